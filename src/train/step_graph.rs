//! Steps recorded as a CUDA graph: what a GPU is asked to do for a batch, asked for again as a whole. Where nothing has to be decided in
//! between, that is all of it: the batch is gathered from the examples on the GPU, the network runs forward and backward, and the
//! optimizer takes its step. What differs from step to step (where the batch begins, the learning rate, the steps taken) is a number
//! on the GPU.

use anyhow::Result;
use strandnet_core::progress::Progress;
use strandnet_core::training::schedule::Rates;
use tch::{Device, Kind, Tensor};

use super::device_examples::IndexedBatch;
use super::gradient::BatchGradient;
use super::learner::Learner;
use super::loader::{Batch, DeviceBatch};
use super::parameters::Gradient;
use super::totals::BatchNumbers;
use crate::cuda::graph::Graph;
use crate::cuda::stream::Stream;
use crate::libtorch;
use crate::no_grad::no_grad;

/// Batches that go request by request first: kernels are chosen and memory is found at the first ones.
const FIRST: usize = 3;

/// What was done for a batch.
#[derive(Debug)]
pub enum Done {
    /// Its gradient was computed.
    Gradient(BatchGradient),
    /// The step was taken too.
    Step(BatchNumbers),
}

impl Done {
    /// The same in tensors of its own.
    fn copy(&self) -> Self {
        match self {
            Self::Gradient(BatchGradient { gradient, loss, hits }) => {
                let gradient = match gradient {
                    Gradient::Host(numbers) => Gradient::Host(numbers.clone()),
                    Gradient::Device(tensor) => Gradient::Device(tensor.copy()),
                };
                let hits = hits.as_ref().map(|hits| hits.copy());
                Self::Gradient(BatchGradient { gradient, loss: loss.copy(), hits })
            }
            Self::Step(numbers) => Self::Step(numbers.copy()),
        }
    }
}

/// Records what steps of one batch size have in common, and replays it for each of them.
#[derive(Debug)]
pub struct StepGraph {
    // Dropped in this order.
    recorded: Option<Recorded>,
    _stream: Option<Stream>,
    size: usize,
    /// Whether the optimizer's step is recorded too.
    with_step: bool,
    passed: usize,
    /// A step could not be recorded, so all go request by request.
    given_up: bool,
    /// Without a GPU, for tests: what would be replayed is computed again.
    emulated: bool,
}

#[derive(Debug)]
struct Recorded {
    /// Nothing where it is emulated.
    graph: Option<Graph>,
    inputs: Inputs,
    done: Done,
}

/// A batch that a recorded step can take.
#[derive(Debug)]
enum Source {
    Copied(DeviceBatch),
    Indexed(IndexedBatch),
}

impl From<Source> for Batch {
    fn from(source: Source) -> Self {
        match source {
            Source::Copied(batch) => Self::Device(batch),
            Source::Indexed(batch) => Self::Indexed(batch),
        }
    }
}

/// Where a recorded step reads its batch from.
#[derive(Debug)]
enum Inputs {
    /// Tensors that every batch is copied to.
    Copied(DeviceBatch),
    /// Examples on the GPU, from the place in the epoch's order that stands in `first`, i64 `[1]`; `places` are 0, 1, ... i64 `[n]`.
    Indexed { batch: IndexedBatch, first: Tensor, places: Tensor },
}

impl Inputs {
    fn new(batch: &Source, device: Device) -> Self {
        match batch {
            Source::Indexed(batch) => Self::Indexed {
                first: Tensor::from_slice(&[batch.first as i64]).to_device(device),
                places: Tensor::arange(batch.n as i64, (Kind::Int64, device)),
                batch: batch.clone(),
            },
            Source::Copied(DeviceBatch { codes, labels, n }) => {
                Self::Copied(DeviceBatch { codes: codes.copy(), labels: labels.copy(), n: *n })
            }
        }
    }

    /// Puts a batch where the recorded step reads it; false where that reads from somewhere else.
    fn take(&mut self, batch: &Source) -> bool {
        match (self, batch) {
            (Self::Indexed { batch: own, first, .. }, Source::Indexed(batch)) if own.is_of_the_examples_of(batch) => {
                let _ = first.fill_(batch.first as i64);
            }
            (Self::Copied(own), Source::Copied(batch)) => {
                own.codes.copy_(&batch.codes);
                own.labels.copy_(&batch.labels);
            }
            _ => return false,
        }
        true
    }

    /// The batch, computed from the inputs.
    fn batch(&self) -> DeviceBatch {
        match self {
            Self::Copied(DeviceBatch { codes, labels, n }) => {
                DeviceBatch { codes: codes.shallow_clone(), labels: labels.shallow_clone(), n: *n }
            }
            Self::Indexed { batch, first, places } => batch.gathered(&(places + first)),
        }
    }
}

impl StepGraph {
    /// For batches of `size`; others go request by request. This thread uses a stream of its own until it is dropped.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn new(device: Device, size: usize, with_step: bool) -> Result<Self> {
        let _stream = Stream::enter(device)?;
        Ok(Self { recorded: None, _stream, size, with_step, passed: 0, given_up: false, emulated: false })
    }

    /// What stands for one on the CPU.
    #[cfg(test)]
    pub fn emulated(size: usize, with_step: bool) -> Self {
        Self { emulated: true, ..Self::new(Device::Cpu, size, with_step).unwrap() }
    }

    /// Computes the gradient of a batch, or takes the whole step; `seed` keys what dropout drops.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self, learner: &mut Learner, batch: Batch, seed: i64, rates: Rates) -> Result<Done> {
        let device = learner.network.device();
        if batch.n() != self.size || self.passed < FIRST || self.given_up {
            self.passed += usize::from(batch.n() == self.size);
            return learner.gradient(batch, seed).map(Done::Gradient);
        }
        let batch = match batch {
            Batch::Indexed(batch) => Source::Indexed(batch),
            batch => Source::Copied(batch.on(device)),
        };
        if self.with_step {
            learner.optimizer.set_rates(rates);
            learner.optimizer.send_rate();
        }
        libtorch::seed(seed, device);
        let with_step = self.with_step;
        if !no_grad(|| self.recorded.as_mut().is_some_and(|recorded| recorded.inputs.take(&batch))) {
            self.recorded = None; // first, so that its memory is free
            let inputs = no_grad(|| Inputs::new(&batch, device));
            no_grad(|| inputs.batch()); // kernels are loaded where they are first used, which is not to be in a recording
            self.recorded = match self.record(learner, inputs, seed, device) {
                Ok(recorded) => Some(recorded),
                Err(error) => {
                    Progress::Quiet.warn(&format!("{error:#}; training goes on without one"));
                    self.given_up = true;
                    return learner.gradient(batch.into(), seed).map(Done::Gradient);
                }
            };
        }
        match &mut self.recorded {
            Some(Recorded { graph: Some(graph), done, .. }) => {
                graph.replay()?;
                Ok(done.copy())
            }
            Some(Recorded { graph: None, inputs, .. }) => work(learner, inputs, seed, with_step),
            None => learner.gradient(batch.into(), seed).map(Done::Gradient),
        }
    }

    fn record(&self, learner: &mut Learner, inputs: Inputs, seed: i64, device: Device) -> Result<Recorded> {
        if self.emulated {
            let done = Done::Step(BatchNumbers::Host { loss: 0.0, hits: None, largest: None });
            return Ok(Recorded { graph: None, inputs, done });
        }
        let (graph, done) = Graph::record(device, || work(learner, &inputs, seed, self.with_step))?;
        Ok(Recorded { graph: Some(graph), inputs, done: done? })
    }
}

/// What is recorded.
fn work(learner: &mut Learner, inputs: &Inputs, seed: i64, with_step: bool) -> Result<Done> {
    let batch = no_grad(|| inputs.batch());
    let gradient = learner.gradient(Batch::Device(batch), seed)?;
    Ok(if with_step { learner.step_on_device(gradient) } else { Done::Gradient(gradient) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;
    use crate::train::device_examples::DeviceExamples;
    use crate::train::learner;
    use crate::train::loader;
    use crate::train::totals::EpochTotals;
    use strandnet_core::config::{
        Architecture, BatchSize, ClassWeights, ModelConfig, OptimizerKind, Strands, TaskKind, TrainingConfig,
    };
    use strandnet_core::dataset::Classes;
    use strandnet_core::dataset::examples::Examples;
    use strandnet_core::task::Task;

    fn examples() -> (Examples, Task) {
        let codes: Vec<u8> = (0..330 * 60).map(|i| (i * i % 11 % 5) as u8).collect();
        let labels: Vec<f32> = (0..330).map(|i| (i % 2) as f32).collect();
        let examples = Examples::from_codes(&codes, 60, &labels);
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::Auto, &examples).unwrap();
        (examples, task)
    }

    fn network(arch: Architecture, training: &TrainingConfig, device: Device) -> Network {
        let config = ModelConfig { arch, dropout: 0.0, ..ModelConfig::default() };
        let network = Network::new(&config, 60, 1, training.strands, device, 1).unwrap();
        network.without_native(true)
    }

    /// Parameters after two epochs of ten batches and a smaller one, with the loss and accuracy of the second.
    fn trained(training: &TrainingConfig, indexed: bool, prepare: impl Fn(&mut Learner)) -> (Tensor, f64, f64) {
        let (examples, task) = examples();
        // Without batch norm, whose biases before it have gradients of rounding alone, which Adam takes whole steps down.
        let network = network(Architecture::Shallow, training, Device::Cpu);
        let on_device = indexed.then(|| DeviceExamples::new(Device::Cpu, &examples).unwrap());
        let mut learner = Learner::new(network, training, &task, examples.len()).unwrap();
        prepare(&mut learner);
        let mut totals = EpochTotals::default();
        for epoch in 1..=2 {
            totals = totals.next_epoch();
            let order = learner::order(training, 1, epoch);
            std::thread::scope(|scope| {
                let batches = loader::batches_of(scope, &examples, on_device.as_ref(), order, Device::Cpu);
                for (number, batch) in batches.enumerate() {
                    learner.learn(batch.unwrap(), order, number, &mut totals).unwrap();
                }
            });
            totals.read().unwrap();
            learner.finish_epoch();
        }
        let parameters = learner.parameters.buffer.to_kind(Kind::Double);
        (parameters, totals.mean_loss(), totals.share_right().unwrap())
    }

    /// Without a GPU: what is recorded is computed again for each step, from the same inputs and to the same places.
    #[test]
    fn recorded_steps_take_batches_rates_and_counts_from_where_they_stand() {
        let base = TrainingConfig {
            batch_size: BatchSize::Of(32),
            lr: 1e-3,
            epochs: 2,
            strands: Strands::Augment,
            ..TrainingConfig::default()
        };
        for training in [
            base.clone(),
            TrainingConfig { clip_norm: Some(0.1), weight_decay: 0.1, ..base.clone() },
            TrainingConfig { optimizer: OptimizerKind::Sgd, lr: 0.01, ..base.clone() },
            TrainingConfig { accumulate: 3, ..base.clone() },
            TrainingConfig { ema: Some(0.9), shift: 2, ..base },
        ] {
            let plain = trained(&training, false, |_| ());
            for indexed in [false, true] {
                let recorded = trained(&training, indexed, |learner| learner.emulate_graph());
                let difference = (&recorded.0 - &plain.0).abs().max().double_value(&[]);
                assert!(difference < 2e-5, "{training:?}: {difference}");
                assert!((recorded.1 - plain.1).abs() < 1e-5 && recorded.2 == plain.2, "{recorded:?} {plain:?}");
            }
        }
    }

    /// On a GPU: gradients, and not where Adam led, which takes a step of the full rate down what is nothing but rounding.
    #[test]
    fn a_recorded_gradient_is_the_one_asked_for() {
        let Some((_one_at_a_time, device)) = crate::cuda::gpu_of_test() else { return };
        let (examples, task) = examples();
        let training = TrainingConfig { batch_size: BatchSize::Of(32), accumulate: 2, ..TrainingConfig::default() };
        for arch in [Architecture::Shallow, Architecture::Residual, Architecture::Danq] {
            let mut learner = Learner::new(network(arch, &training, device), &training, &task, examples.len()).unwrap();
            let mut graph = StepGraph::new(device, 32, false).unwrap();
            let on_device = DeviceExamples::new(device, &examples).unwrap();
            let order = learner::order(&training, 1, 1);
            for batch in on_device.shuffled(order).unwrap().filter(|batch| batch.n == 32) {
                let rates = Rates { lr: 0.0, momentum: None };
                let asked = learner.gradient(Batch::Indexed(batch.clone()), 7).unwrap();
                let recorded = graph.step(&mut learner, Batch::Indexed(batch), 7, rates).unwrap();
                let (
                    Done::Gradient(BatchGradient { gradient: Gradient::Device(recorded), .. }),
                    Gradient::Device(asked),
                ) = (recorded, asked.gradient)
                else {
                    panic!("gradients are on the GPU");
                };
                let scale = asked.abs().max().double_value(&[]);
                let difference = (recorded - asked).abs().max().double_value(&[]);
                assert!(difference <= 1e-4 * scale, "{arch:?}: {difference} of {scale}");
            }
            assert!(!graph.given_up && graph.recorded.is_some());
        }
    }
}
