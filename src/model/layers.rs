//! Layers as tensors. Each is made from a step of the plan, with weights that start as PyTorch's do: uniform within one
//! over the square root of the fan-in (tch's own defaults differ), drawn from our own generator, so that they depend on
//! nothing but the seed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use rand::RngExt;
use tch::nn::{self, Init, ModuleT, Path};
use tch::{Kind, Tensor};

use crate::model::lstm::Lstm;
use crate::model::pooling::{PlacesPool, Pool};
use crate::model::profile::{Dilated, ProfileHead};
use crate::model::strands::Reading;
use crate::no_grad::no_grad;
use strandnet_core::config::layers::{GlobalPool, Layer, Padding, groups_of_strand, of_strand};
use strandnet_core::network::plan::{Plan, Step};
use strandnet_core::random::Generator;

/// What is asked of all layers of a network, and may change between two passes.
#[derive(Debug, Default)]
pub struct Demands {
    /// Train in bfloat16.
    pub half: AtomicBool,
    /// The first blocks, so many, run as in scoring even while others train.
    pub frozen_blocks: AtomicUsize,
    /// Batch norm leaves the statistics of the batch in the place of its running ones.
    pub leaves_statistics: AtomicBool,
}

/// A layer in its place: a member of a `SequentialT`.
#[derive(Debug)]
struct Placed {
    layer: Box<dyn Module>,
    block: usize,
    demands: Arc<Demands>,
}

impl ModuleT for Placed {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let training = train && self.block >= self.demands.frozen_blocks.load(Relaxed);
        let half = training && self.demands.half.load(Relaxed);
        let momentum = if self.demands.leaves_statistics.load(Relaxed) { 1.0 } else { STATISTICS_MOMENTUM };
        self.layer.forward(xs, Mode { training, half, momentum })
    }
}

/// All layers of a plan.
pub struct Sequences {
    /// The first ones, one after the other, or those of the first branch.
    pub first: nn::SequentialT,
    /// Those that follow.
    pub rest: nn::SequentialT,
    /// Those of the second branch, in two parts.
    pub beside: Option<(nn::SequentialT, nn::SequentialT)>,
}

/// All layers of a plan, of which the first `count` are apart; where it is but two branches, each of these is, and of the second the
/// first `count`.
pub fn sequences(plan: &Plan, count: usize, demands: &Arc<Demands>, root: &Path, random: &mut Generator) -> Sequences {
    let mut sequence = |steps: &[Step]| {
        steps.iter().fold(nn::seq_t(), |layers, step| {
            let layer = build(step, plan.tied, root, random);
            layers.add(Placed { layer, block: step.block, demands: demands.clone() })
        })
    };
    if let Some((first, beside)) = plan.branches() {
        let (one, rest) = beside.split_at(count);
        let first = sequence(first);
        return Sequences { first, beside: Some((sequence(one), sequence(rest))), rest: nn::seq_t() };
    }
    let (first, rest) = plan.steps.split_at(count);
    Sequences { first: sequence(first), rest: sequence(rest), beside: None }
}

/// How much the statistics of a batch count in the running ones of batch norm, as in PyTorch.
pub const STATISTICS_MOMENTUM: f64 = 0.1;

/// How a layer computes.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Whether dropout drops, and batch norm takes the statistics of the batch.
    pub training: bool,
    /// Whether layers with weights compute in bfloat16; what they give stays in it.
    pub half: bool,
    /// How much the statistics of a batch count in the running ones of batch norm.
    pub momentum: f64,
}

impl Mode {
    /// A tensor in the kind of number that layers with weights compute in.
    pub fn cast(self, xs: &Tensor) -> Tensor {
        if self.half { xs.to_kind(Kind::BFloat16) } else { xs.shallow_clone() }
    }
}

/// `[batch, channels, positions]` or `[batch, features]` to the like.
pub trait Module: std::fmt::Debug + Send {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor;
}

/// Makes the layer of a step, with its weights under the step's name.
fn build(step: &Step, tied: bool, root: &Path, random: &mut Generator) -> Box<dyn Module> {
    let path = step.name.split('.').filter(|name| !name.is_empty()).fold(root.clone(), |path, name| path / name);
    let both = step.layer.reads_both_strands(step.input, tied);
    let reading = Reading::of(tied, both);
    let read = step.input.read_channels(&step.layer, tied) as i64;
    let (channels, out) = (step.input.channels as i64, step.output.channels as i64);
    match step.layer {
        Layer::Convolution { width, stride, dilation, groups, padding, .. } => {
            let groups = groups_of_strand(groups, step.input, tied);
            let shape = Filters { width, stride, dilation, groups, padding };
            Box::new(Convolution::new(&path, read, out, shape, reading, random))
        }
        Layer::BatchNorm {} => Box::new(BatchNorm::new(&path, channels)),
        Layer::Relu {} => Box::new(Activation(Tensor::relu)),
        Layer::Gelu {} => Box::new(Activation(|xs| xs.gelu("none"))),
        Layer::Silu {} => Box::new(Activation(Tensor::silu)),
        Layer::Tanh {} => Box::new(Activation(Tensor::tanh)),
        Layer::Exp { at_most } => Box::new(Exp(f64::from(at_most))),
        Layer::MaxPool { width, stride } => Box::new(Pool::max(width, stride.unwrap_or(width))),
        Layer::MeanPool { width, stride } => Box::new(Pool::mean(width, stride.unwrap_or(width))),
        Layer::Dropout { rate } => Box::new(Dropout(rate.unwrap_or(0.0))),
        Layer::Residual { .. } => {
            Box::new(Residual(step.inner.iter().map(|step| build(step, tied, root, random)).collect()))
        }
        Layer::Gated { width, dilation } => {
            let shape = Filters { width, stride: 1, dilation, groups: 1, padding: Padding::Same };
            Box::new(Gated {
                norm: BatchNorm::new(&(&path / "norm"), channels),
                convolution: Convolution::new(&(&path / "conv"), read, out, shape, reading, random),
                gate: Convolution::new(&(&path / "gate"), read, out, shape, reading, random),
            })
        }
        Layer::Lstm { .. } => Box::new(Lstm::new(&path, read, out / 2, reading, random)),
        Layer::GlobalPool { of: GlobalPool::Max } => Box::new(Activation(|xs| xs.amax(2, false))),
        Layer::GlobalPool { of: GlobalPool::Mean } => Box::new(Activation(|xs| xs.mean_dim(2, false, None::<Kind>))),
        Layer::GlobalPool { of: GlobalPool::Both } => {
            Box::new(Activation(|xs| Tensor::cat(&[xs.amax(2, false), xs.mean_dim(2, false, None::<Kind>)], 1)))
        }
        Layer::PlacesPool { filters, places } => {
            let filters = of_strand(filters, tied) as i64;
            let shape = Filters { width: 1, stride: 1, dilation: 1, groups: 1, padding: Padding::None };
            let place = Convolution::new(&path, read, filters, shape, reading, random);
            Box::new(PlacesPool { place, places: places as i64 })
        }
        Layer::Dilated { width, dilation, positions, residual, relu, .. } => {
            let (reads, kept) = ((width as i64, dilation as i64), positions as i64);
            Box::new(Dilated::new(&path, (channels, out), reads, kept, (residual, relu), random))
        }
        Layer::ProfileHead { tracks, groups, width, length, counted } => {
            let (of_each, sizes) = ((tracks as i64, groups as i64), (width as i64, length as i64, counted as i64));
            Box::new(ProfileHead::new(&path, channels, of_each, sizes, random))
        }
        Layer::Branches { .. } => unreachable!("branches are all of a network, of which `sequences` makes two"),
        Layer::Crop { positions } => Box::new(Crop(positions as i64)),
        Layer::Flatten {} => Box::new(Activation(|xs| xs.flatten(1, -1))),
        Layer::Dense { .. } => Box::new(Dense::new(&path, channels, out, reading, random)),
    }
}

/// What a convolution's filters look at.
#[derive(Clone, Copy, Debug)]
pub struct Filters {
    pub width: usize,
    pub stride: usize,
    pub dilation: usize,
    pub groups: usize,
    pub padding: Padding,
}

/// `[batch, inputs, positions]` to `[batch, outputs, positions]`, fewer positions with a stride or without padding.
#[derive(Debug)]
pub struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    dilation: i64,
    groups: i64,
    /// Zeros at both ends.
    padding: i64,
    /// Whether there is one zero more behind: filters that reach over an even number of positions have no middle.
    is_lopsided: bool,
    reading: Reading,
}

impl Convolution {
    pub fn new(
        path: &Path,
        inputs: i64,
        outputs: i64,
        filters: Filters,
        reading: Reading,
        random: &mut Generator,
    ) -> Self {
        let Filters { width, stride, dilation, groups, padding } = filters;
        let (width, stride, dilation, groups) = (width as i64, stride as i64, dilation as i64, groups as i64);
        let fan_in = inputs / groups * width;
        let [weight, bias] = weight_and_bias(path, &[outputs, inputs / groups, width], fan_in, random);
        let [before, behind] = padding.zeros(filters.width.saturating_sub(1) * filters.dilation);
        Self { weight, bias, stride, dilation, groups, padding: before as i64, is_lopsided: behind > before, reading }
    }
}

impl Module for Convolution {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        self.convolve(xs, &self.weight, &self.bias, mode)
    }
}

impl Convolution {
    /// The same with other filters of the same shape, however many.
    fn convolve(&self, xs: &Tensor, weight: &Tensor, bias: &Tensor, mode: Mode) -> Tensor {
        let (weight, bias) = (mode.cast(weight), mode.cast(bias));
        self.reading.apply(&mode.cast(xs), mode.training, |xs| {
            let padded = self.is_lopsided.then(|| xs.constant_pad_nd([0, 1]));
            let xs = padded.as_ref().unwrap_or(xs);
            xs.conv1d(&weight, Some(&bias), self.stride, self.padding, self.dilation, self.groups)
        })
    }
}

/// `[batch, inputs]` to `[batch, outputs]`.
#[derive(Debug)]
struct Dense {
    weight: Tensor,
    bias: Tensor,
    reading: Reading,
}

impl Dense {
    fn new(path: &Path, inputs: i64, outputs: i64, reading: Reading, random: &mut Generator) -> Self {
        let [weight, bias] = weight_and_bias(path, &[outputs, inputs], inputs, random);
        Self { weight, bias, reading }
    }
}

impl Module for Dense {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let (weight, bias) = (mode.cast(&self.weight), mode.cast(&self.bias));
        self.reading.apply(&mode.cast(xs), mode.training, |xs| xs.linear(&weight, Some(&bias)))
    }
}

/// What batch norm adds to variances, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// Batch normalisation of each channel; the scale starts at 1 and the shift at 0. Statistics are f32 in any mode.
#[derive(Debug)]
struct BatchNorm(nn::BatchNorm);

impl BatchNorm {
    fn new(path: &Path, channels: i64) -> Self {
        let (ws_init, bs_init) = (Init::Const(1.0), Init::Const(0.0));
        let config = nn::BatchNormConfig { ws_init, bs_init, ..nn::BatchNormConfig::default() };
        Self(nn::batch_norm1d(path, channels, config))
    }
}

impl Module for BatchNorm {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        // A single value for each channel has no variance; the statistics so far stand in.
        let has_spread = xs.numel() as i64 > xs.size()[1];
        let nn::BatchNorm { running_mean, running_var, ws, bs, .. } = &self.0;
        let (mean, variance) = (Some(running_mean), Some(running_var));
        let trains = mode.training && has_spread;
        xs.batch_norm(ws.as_ref(), bs.as_ref(), mean, variance, trains, mode.momentum, EPSILON, true)
    }
}

/// The exponential function of at most so much.
#[derive(Debug)]
struct Exp(f64);

impl Module for Exp {
    fn forward(&self, xs: &Tensor, _mode: Mode) -> Tensor {
        xs.clamp_max(self.0).exp()
    }
}

/// A function without weights, the same in any mode.
struct Activation(fn(&Tensor) -> Tensor);

impl std::fmt::Debug for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Activation")
    }
}

impl Module for Activation {
    fn forward(&self, xs: &Tensor, _mode: Mode) -> Tensor {
        (self.0)(xs)
    }
}

/// The middle positions, so many.
#[derive(Debug)]
struct Crop(i64);

impl Module for Crop {
    fn forward(&self, xs: &Tensor, _mode: Mode) -> Tensor {
        xs.narrow(2, (xs.size()[2] - self.0) / 2, self.0)
    }
}

/// Drops this share of the numbers in training.
#[derive(Debug)]
struct Dropout(f64);

impl Module for Dropout {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        if mode.training && self.0 > 0.0 { xs.dropout(self.0, true) } else { xs.shallow_clone() }
    }
}

/// Its input plus what the layers make of it.
#[derive(Debug)]
struct Residual(Vec<Box<dyn Module>>);

impl Module for Residual {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        xs + self.0.iter().fold(xs.shallow_clone(), |xs, layer| layer.forward(&xs, mode))
    }
}

/// `x + conv(norm(x)) * sigmoid(gate(norm(x)))`.
#[derive(Debug)]
struct Gated {
    norm: BatchNorm,
    convolution: Convolution,
    gate: Convolution,
}

impl Module for Gated {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let normed = self.norm.forward(xs, mode);
        // One convolution for both branches, which read the same.
        let (branch, gate) = (&self.convolution, &self.gate);
        let weight = Tensor::cat(&[&branch.weight, &gate.weight], 0);
        let bias = Tensor::cat(&[&branch.bias, &gate.bias], 0);
        let both = branch.convolve(&normed, &weight, &bias, mode).chunk(2, 1);
        xs + &both[0] * both[1].sigmoid()
    }
}

/// `weight` of a shape and `bias` of its first size, both uniform within one over the square root of the fan-in.
pub fn weight_and_bias(path: &Path, shape: &[i64], fan_in: i64, random: &mut Generator) -> [Tensor; 2] {
    let bias = path.var("bias", &shape[..1], Init::Const(0.0));
    let weight = path.var("weight", shape, Init::Const(0.0));
    let bound = 1.0 / (fan_in as f32).sqrt();
    [weight, bias].map(|parameter| drawn(parameter, bound, random))
}

/// The parameter with values drawn uniformly from minus to plus `bound`.
pub fn drawn(mut parameter: Tensor, bound: f32, random: &mut Generator) -> Tensor {
    let values: Vec<f32> = (0..parameter.numel()).map(|_| random.random_range(-bound..=bound)).collect();
    no_grad(|| parameter.copy_(&Tensor::from_slice(&values).view(parameter.size().as_slice())));
    parameter
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::random;
    use strandnet_core::random::Purpose;
    use tch::{Device, nn::VarStore};

    #[test]
    fn weights_start_within_pytorchs_bound_and_fill_it() {
        let store = VarStore::new(Device::Cpu);
        let mut random = random::generator(1, Purpose::Weights, 0, 0);
        let filters = Filters { width: 25, stride: 1, dilation: 1, groups: 1, padding: Padding::Same };
        Convolution::new(&(store.root() / "c"), 4, 640, filters, Reading::Plain, &mut random);
        Dense::new(&(store.root() / "d"), 100, 640, Reading::Plain, &mut random);
        Lstm::new(&(store.root() / "l"), 7, 100, Reading::Plain, &mut random);
        for variable in store.trainable_variables() {
            let most = variable.abs().max().double_value(&[]);
            assert!(most <= 0.1 && most > 0.095, "{most}");
            assert!(variable.mean(Kind::Float).double_value(&[]).abs() < 0.01);
        }
    }
}
