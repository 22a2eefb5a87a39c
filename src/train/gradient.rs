//! Ways to compute the gradient of a batch. All implement [`GradientMethod`]; one's own loss or step is one more.

mod autograd;
mod fused_step;

use std::fmt::Debug;

use anyhow::Result;
use strandnet_core::task::Task;
use tch::Tensor;

use super::loader::Batch;
use super::loss::Criterion;
use super::parameters::{FlatParameters, Gradient};
use super::totals::Scalar;
use crate::model::{Forward, Network};
pub use autograd::Autograd;
pub use fused_step::FusedCpu;

/// The gradient of a batch's mean loss, and what the epoch's totals take of it.
#[derive(Debug)]
pub struct BatchGradient {
    /// With respect to all parameters.
    pub gradient: Gradient,
    /// The mean loss.
    pub loss: Scalar,
    /// How many are right; nothing for values.
    pub hits: Option<Scalar>,
}

/// What a gradient is computed from.
pub struct Context<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its parameters.
    pub parameters: &'a FlatParameters,
    /// The task's own loss.
    pub criterion: &'a Criterion<'a>,
}

impl Context<'_> {
    /// The backward pass of the task's own loss, from the forward pass of a batch and its labels f32 `[n, width]`.
    pub fn backward(&self, forward: Forward, labels: &Tensor) -> BatchGradient {
        let loss = self.criterion.loss(&forward.logits, labels);
        let hits = self.criterion.hits(&forward.logits.detach(), labels);
        self.backward_from(forward, &loss, hits)
    }

    /// The backward pass of any loss, a scalar computed from the forward pass's logits.
    pub fn backward_from(&self, forward: Forward, loss: &Tensor, hits: Option<Tensor>) -> BatchGradient {
        let gradient = self.parameters.gradient(forward, loss);
        BatchGradient { gradient, loss: Scalar::Computed(loss.detach()), hits: hits.map(Scalar::Computed) }
    }
}

/// One way to compute the gradient of a batch.
pub trait GradientMethod: Debug {
    /// The gradient of the mean loss of a batch with respect to all parameters. `seed` keys every random draw, such as
    /// dropout's.
    ///
    /// # Errors
    /// The device failed.
    fn gradient(&mut self, context: &Context, batch: Batch, seed: i64) -> Result<BatchGradient>;

    /// Whether it reads the weights from the network's tensors, which then must have them after every step.
    fn reads_tensors(&self) -> bool {
        true
    }
}

/// The fastest way for a network, for batches of up to `largest` examples: the fused step where the CPU's kernels are all of the
/// network, and libtorch's autograd otherwise.
pub(crate) fn fastest(context: &Context, task: &Task, largest: usize) -> Box<dyn GradientMethod> {
    match FusedCpu::new(context, task, largest) {
        Some(fused) => Box::new(fused),
        None => Box::new(Autograd),
    }
}
