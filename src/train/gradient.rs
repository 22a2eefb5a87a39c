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
        let forward = forward.beside_control(self.network, labels);
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

/// Whether the CPU computes all of a network's step in one round of its own kernels: for networks as small as that a GPU spends its
/// time on being asked.
pub(crate) fn is_all_fused_on_cpu(network: &Network, task: &Task) -> bool {
    network.all_native().is_some() && task.binary_loss().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::config::{Architecture, ClassWeights, ModelConfig, Strands, TaskKind};
    use strandnet_core::dataset::Classes;
    use strandnet_core::dataset::examples::Examples;
    use tch::Device;

    #[test]
    fn the_published_network_is_all_fused_on_the_cpu_and_the_default_one_is_not() {
        let examples = Examples::from_codes(&[0; 4 * 128], 128, &[0.0, 1.0, 0.0, 1.0]);
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::Auto, &examples).unwrap();
        for (arch, fused) in [(Architecture::Shallow, true), (Architecture::Residual, false)] {
            let config = ModelConfig { arch, ..ModelConfig::default() };
            let network = Network::new(&config, 128, 1, Strands::Single, Device::Cpu, 1).unwrap();
            assert_eq!(is_all_fused_on_cpu(&network, &task), fused, "{arch:?}");
        }
    }
}
