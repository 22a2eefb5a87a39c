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
    use crate::train::loader::HostBatch;
    use strandnet_core::config::{Architecture, ClassWeights, ModelConfig, Strands, TaskKind};
    use strandnet_core::dataset::Classes;
    use strandnet_core::dataset::examples::{Examples, ExamplesWriter, log_counts};
    use strandnet_core::random;
    use strandnet_core::sequence::profile::ProfileShape;
    use strandnet_core::task::ProfileTask;
    use tch::{Device, Kind};

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

    /// Peaks and background of two groups of tracks.
    fn loci(length: usize, shape: &ProfileShape) -> (Examples, Classes) {
        let mut writer = ExamplesWriter::new(length, 2, u64::MAX).with_profiles(Some(shape.clone()));
        let number = |i: usize| random::hash(&i.to_le_bytes()) as usize;
        for i in 0..10 {
            let codes: Vec<u8> = (0..length).map(|at| (number(i * length + at) % 41 / 10) as u8).collect();
            let counts: Vec<f32> = (0..shape.values()).map(|at| (number(i * length + at) % 7) as f32).collect();
            let origin = Examples::from_codes(&[0, 1], 2, &[0.0]).origins[0].clone();
            writer.push(&codes, &log_counts(shape, &counts), origin).unwrap();
            writer.push_profile(&counts, i.is_multiple_of(3));
        }
        (writer.finish().unwrap(), Classes::named(vec!["a".into(), "b".into()]))
    }

    #[test]
    fn profiles_that_the_loss_does_not_depend_on_are_not_computed_and_the_gradient_is_libtorchs() {
        let (length, shape) = (160, ProfileShape { tracks: vec![1, 2], length: 31, ..ProfileShape::default() });
        let (examples, classes) = loci(length, &shape);
        let task = Task::new(TaskKind::Profile, &classes, None, &ClassWeights::None, &examples).unwrap();
        let codes = examples.all_codes().unwrap();
        let batch = HostBatch { codes, labels: examples.targets().to_vec(), n: 10 };
        for arch in [Architecture::Branched, Architecture::Bpnet, Architecture::Bias] {
            let profile = task.profile.clone().unwrap();
            let of_background = arch == Architecture::Bias;
            let task = Task { profile: Some(ProfileTask { of_background, ..profile }), ..task.clone() };
            for strands in [Strands::Single, Strands::Shared] {
                let [own, by_libtorch] = [false, true].map(|no_native| {
                    let config = ModelConfig { arch, filters: Some(12), dropout: 0.0, ..ModelConfig::default() };
                    let network =
                        Network::new(&config, length, task.network_outputs(), strands, Device::Cpu, 1).unwrap();
                    let network = network.without_native(no_native);
                    let (parameters, criterion) =
                        (FlatParameters::new(&network.store), Criterion::new(&task, Device::Cpu));
                    let context = Context { network: &network, parameters: &parameters, criterion: &criterion };
                    let found = Autograd.gradient(&context, Batch::Host(batch.clone()), 1).unwrap();
                    let (Gradient::Host(gradient), Scalar::Computed(loss)) = (found.gradient, found.loss) else {
                        panic!("on the CPU, by libtorch")
                    };
                    let needed = criterion.needed(&batch.labels, !network.counts_are_beside());
                    let logits = network.train_needed(&batch.codes, needed.as_deref(), 1).logits;
                    let profiles =
                        logits.narrow(1, 0, shape.values() as i64).abs().sum_dim_intlist(1, false, None::<Kind>);
                    (loss.double_value(&[]), gradient, Vec::<f32>::try_from(profiles).unwrap())
                });
                assert!((own.0 - by_libtorch.0).abs() < 1e-5 * by_libtorch.0, "{arch:?} {strands:?}");
                let largest = by_libtorch.1.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
                for (own, other) in own.1.iter().zip(&by_libtorch.1) {
                    assert!((own - other).abs() < 1e-4 * largest, "{arch:?} {strands:?}: {own} {other} of {largest}");
                }
                let computed: Vec<bool> = own.2.iter().map(|sum| *sum > 0.0).collect();
                let expected = |i: usize| arch == Architecture::Bpnet || i.is_multiple_of(3) != of_background;
                assert_eq!(computed, (0..10).map(expected).collect::<Vec<_>>(), "{arch:?} {strands:?}");
                assert!(by_libtorch.2.iter().all(|sum| *sum > 0.0));
            }
        }
    }
}
