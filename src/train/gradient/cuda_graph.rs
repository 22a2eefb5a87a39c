//! A step recorded as a CUDA graph: what a GPU is asked to do for a batch, asked for again as a whole.

use anyhow::Result;
use tch::{Device, Tensor};

use super::{BatchGradient, Context, GradientMethod};
use crate::cuda::graph::Graph;
use crate::cuda::stream::Stream;
use crate::libtorch;
use crate::train::loader::Batch;
use crate::train::parameters::Gradient;
use strandnet_core::progress::Progress;

/// Batches that go request by request first: kernels are chosen and memory is found at the first ones.
const FIRST: usize = 3;

impl BatchGradient {
    /// The same in tensors of its own.
    fn copy(&self) -> Self {
        let gradient = match &self.gradient {
            Gradient::Host(numbers) => Gradient::Host(numbers.clone()),
            Gradient::Device(tensor) => Gradient::Device(tensor.copy()),
        };
        Self { gradient, loss: self.loss.copy(), hits: self.hits.as_ref().map(|hits| hits.copy()) }
    }
}

/// Records what batches of one size have in common, and replays it for each of them.
#[derive(Debug)]
pub struct CudaGraph {
    // Dropped in this order.
    recorded: Option<Recorded>,
    _stream: Option<Stream>,
    size: usize,
    passed: usize,
    /// A step could not be recorded, so all go request by request.
    given_up: bool,
}

#[derive(Debug)]
struct Recorded {
    graph: Graph,
    /// Where it reads from, and what it fills.
    codes: Tensor,
    labels: Tensor,
    result: BatchGradient,
}

impl CudaGraph {
    /// For batches of `size`; others go request by request. This thread uses a stream of its own until it is dropped.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn new(device: Device, size: usize) -> Result<Self> {
        Ok(Self { recorded: None, _stream: Stream::enter(device)?, size, passed: 0, given_up: false })
    }
}

impl GradientMethod for CudaGraph {
    fn gradient(&mut self, context: &Context, batch: Batch, seed: i64) -> Result<BatchGradient> {
        let device = context.network.device();
        let batch = batch.on(device);
        let compute = |codes: &Tensor, labels: &Tensor| context.backward(context.network.train_on(codes, seed), labels);
        if batch.n != self.size || self.passed < FIRST || self.given_up {
            self.passed += usize::from(batch.n == self.size);
            return Ok(compute(&batch.codes, &batch.labels));
        }
        libtorch::seed(seed, device);
        let recorded = match &mut self.recorded {
            Some(recorded) => {
                recorded.codes.copy_(&batch.codes);
                recorded.labels.copy_(&batch.labels);
                recorded
            }
            none => {
                let (codes, labels) = (batch.codes.copy(), batch.labels.copy());
                match Graph::record(device, || compute(&codes, &labels)) {
                    Ok((graph, result)) => none.insert(Recorded { graph, codes, labels, result }),
                    Err(error) => {
                        Progress::Quiet.warn(&format!("{error:#}; training goes on without one"));
                        self.given_up = true;
                        return Ok(compute(&batch.codes, &batch.labels));
                    }
                }
            }
        };
        recorded.graph.replay()?;
        Ok(recorded.result.copy())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Network;
    use crate::train::learner::Learner;
    use strandnet_core::config::{
        Architecture, BatchSize, ClassWeights, ModelConfig, Strands, TaskKind, TrainingConfig,
    };
    use strandnet_core::dataset::Classes;
    use strandnet_core::dataset::batches::{Augmentation, Order};
    use strandnet_core::dataset::examples::Examples;
    use strandnet_core::task::Task;
    use tch::{Device, Kind, Tensor};

    /// Parameters after two epochs of ten batches and a smaller one.
    fn trained(arch: Architecture, cuda_graph: bool, device: Device) -> Tensor {
        let codes: Vec<u8> = (0..330 * 60).map(|i| (i * i % 11 % 5) as u8).collect();
        let labels: Vec<f32> = (0..330).map(|i| (i % 2) as f32).collect();
        let examples = Examples::from_codes(&codes, 60, &labels);
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::Auto, &examples).unwrap();
        let training =
            TrainingConfig { batch_size: BatchSize::Of(32), cuda_graph, lr: 1e-3, ..TrainingConfig::default() };
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let network = Network::new(&config, 60, 1, Strands::Single, device, 1).unwrap();
        let mut learner = Learner::new(network, &training, &task, examples.len()).unwrap();
        for epoch in 1..=2 {
            let order = Order { batch_size: 32, augmentation: Augmentation::default(), seed: 1, epoch };
            learner.train_epoch(&examples, order).unwrap();
        }
        learner.parameters.buffer.to_device(Device::Cpu).to_kind(Kind::Double)
    }

    #[test]
    fn recorded_steps_are_those_asked_for_one_by_one() {
        if crate::cuda::has_streams().is_err() {
            eprintln!("skipped: CUDA graphs need a GPU and a program built with CUDA's headers");
            return;
        }
        for arch in [Architecture::Shallow, Architecture::Residual] {
            let [recorded, asked] = [true, false].map(|cuda_graph| trained(arch, cuda_graph, Device::Cuda(0)));
            let difference = (recorded - asked).abs().max().double_value(&[]);
            assert!(difference < 1e-4, "{arch:?}: {difference}");
        }
    }
}
