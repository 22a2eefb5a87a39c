//! The gradient without libtorch, for networks that the CPU's kernels compute as a whole: forward pass, loss and backward pass
//! in one round of threads.

use anyhow::Result;
use strandnet_core::network::kernels::{FusedStep, Key};
use strandnet_core::task::Task;

use super::{Autograd, BatchGradient, Context, GradientMethod};
use crate::train::loader::{Batch, HostBatch};
use crate::train::parameters::Gradient;
use crate::train::totals::Scalar;

/// Core's fused step, on the parameters that the CPU's optimizer works on.
#[derive(Debug)]
pub struct FusedCpu {
    step: FusedStep,
}

impl FusedCpu {
    /// For batches of up to `largest` examples; nothing where libtorch has a part in the network or the loss.
    pub fn new(context: &Context, task: &Task, largest: usize) -> Option<Self> {
        let (native, loss) = (context.network.all_native()?, task.binary_loss()?);
        context.parameters.host.as_ref()?;
        let ranges = context.parameters.ranges_of(native.parameters())?;
        Some(Self { step: native.fused_step(ranges, loss, largest, rayon::current_num_threads())? })
    }
}

impl GradientMethod for FusedCpu {
    fn gradient(&mut self, context: &Context, batch: Batch, seed: i64) -> Result<BatchGradient> {
        match (&context.parameters.host, batch) {
            (Some(parameters), Batch::Host(HostBatch { codes, labels, .. })) => {
                let (gradient, loss, hits) = self.step.gradient(parameters, codes, labels, Key(seed as u64));
                Ok(BatchGradient {
                    gradient: Gradient::Host(gradient),
                    loss: Scalar::Known(loss),
                    hits: Some(Scalar::Known(hits as f64)),
                })
            }
            (_, batch) => Autograd.gradient(context, batch, seed),
        }
    }

    fn reads_tensors(&self) -> bool {
        false
    }
}
