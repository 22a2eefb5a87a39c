//! The gradient by libtorch's autograd, with the CPU's kernels for the first layers where the network has them.

use anyhow::Result;

use super::{BatchGradient, Context, GradientMethod};
use crate::device;
use crate::train::loader::{Batch, HostBatch};

/// libtorch's autograd.
#[derive(Clone, Copy, Debug)]
pub struct Autograd;

impl GradientMethod for Autograd {
    fn gradient(&mut self, context: &Context, batch: Batch, seed: i64) -> Result<BatchGradient> {
        Ok(match batch {
            Batch::Host(HostBatch { codes, labels, n }) => {
                let needed = context.criterion.needed(&labels, !context.network.counts_are_beside());
                let forward = context.network.train_needed(&codes, needed.as_deref(), seed);
                let labels = device::to_device(&labels, context.network.device()).view([n as i64, -1]);
                context.backward(forward, &labels)
            }
            batch => {
                let batch = batch.on(context.network.device());
                context.backward(context.network.train_on(&batch.codes, seed), &batch.labels)
            }
        })
    }
}
