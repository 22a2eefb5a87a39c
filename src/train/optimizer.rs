//! AdamW, Adam and stochastic gradient descent on all parameters at once. On a GPU a step is one fused kernel of libtorch, or two
//! where weights decay and biases do not; on the CPU it is one loop of our own, which is as fast and needs no libtorch.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::libtorch::{Adam, Sgd};
use crate::no_grad::no_grad;
use crate::train::parameters::{CHUNK, FlatParameters, Gradient};
use strandnet_core::config::{OptimizerKind, TrainingConfig};
use strandnet_core::training::schedule::Rates;

/// Decay rates and the guard against division by zero, as Kingma and Ba (2015) propose and PyTorch uses.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// An optimizer and its state.
#[derive(Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    lr: f64,
    /// Momentum of sgd, or the decay of Adam's mean.
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    /// Steps taken.
    step: i32,
    state: State,
}

/// What an optimizer keeps of every parameter: Adam's running mean of the gradient or the velocity of sgd, Adam's running
/// mean of the gradient's square, and, where there is decay, 1 where it applies and 0 for biases and norms.
#[derive(Debug)]
enum State {
    Host { first: Vec<f32>, second: Vec<f32>, decays: Vec<f32> },
    Device(DeviceState),
}

/// The same on a GPU, with the steps taken and the learning rate, so that a recorded step finds them there.
#[derive(Debug)]
struct DeviceState {
    first: Tensor,
    second: Option<Tensor>,
    step: Tensor,
    lr: Tensor,
    /// Parameters that decay, and those that do not.
    groups: Vec<Group>,
}

/// Parameters with the same weight decay, as views of what all are in.
#[derive(Debug)]
struct Group {
    weight_decay: f64,
    ranges: Vec<Range<usize>>,
    parameters: Vec<Tensor>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl DeviceState {
    fn new(parameters: &FlatParameters, is_sgd: bool, weight_decay: f64) -> Self {
        let buffer = &parameters.buffer;
        let (first, second) = (buffer.zeros_like(), (!is_sgd).then(|| buffer.zeros_like()));
        let number = || Tensor::zeros([], (Kind::Float, buffer.device()));
        let groups = [true, false].into_iter().filter_map(|decays| {
            let ranges = parameters.ranges_that(|is_weight| weight_decay == 0.0 || is_weight == decays);
            let skip = ranges.is_empty() || (weight_decay == 0.0 && !decays);
            (!skip).then(|| Group {
                weight_decay: if decays { weight_decay } else { 0.0 },
                parameters: views(buffer, &ranges),
                first: views(&first, &ranges),
                second: second.as_ref().map_or_else(Vec::new, |second| views(second, &ranges)),
                ranges,
            })
        });
        Self { groups: groups.collect(), step: number(), lr: number(), first, second }
    }
}

/// Parts of a row of numbers, each a view.
fn views(row: &Tensor, ranges: &[Range<usize>]) -> Vec<Tensor> {
    ranges.iter().map(|range| row.narrow(0, range.start as i64, range.len() as i64)).collect()
}

impl Optimizer {
    pub fn new(config: &TrainingConfig, parameters: &FlatParameters) -> Self {
        let is_sgd = config.optimizer == OptimizerKind::Sgd;
        let state = match &parameters.host {
            Some(host) => State::Host {
                first: vec![0.0; host.len()],
                second: if is_sgd { Vec::new() } else { vec![0.0; host.len()] },
                decays: if config.weight_decay > 0.0 { parameters.decay_mask() } else { Vec::new() },
            },
            None => State::Device(DeviceState::new(parameters, is_sgd, config.weight_decay)),
        };
        Self {
            kind: config.optimizer,
            lr: config.lr,
            momentum: if is_sgd { config.momentum } else { BETA1 },
            nesterov: config.nesterov,
            weight_decay: config.weight_decay,
            step: 0,
            state,
        }
    }

    /// The learning rate of the last step.
    pub fn learning_rate(&self) -> f64 {
        self.lr
    }

    /// Changes the learning rate, and the momentum where the schedule cycles it, of the steps to come.
    pub fn set_rates(&mut self, rates: Rates) {
        self.lr = rates.lr;
        self.momentum = rates.momentum.unwrap_or(self.momentum);
    }

    /// Steps taken so far.
    pub fn steps(&self) -> i32 {
        self.step
    }

    /// What the next step depends on besides the parameters and the steps taken: tensors `[parameters]` under PyTorch's names.
    pub fn state(&self) -> Vec<(&'static str, Tensor)> {
        let tensors = match &self.state {
            State::Host { first, second, .. } => [first, second]
                .into_iter()
                .filter(|numbers| !numbers.is_empty())
                .map(|n| Tensor::from_slice(n))
                .collect(),
            State::Device(DeviceState { first, second, .. }) => {
                std::iter::once(first).chain(second).map(Tensor::shallow_clone).collect::<Vec<_>>()
            }
        };
        let names = if self.kind == OptimizerKind::Sgd { ["momentum_buffer", ""] } else { ["exp_avg", "exp_avg_sq"] };
        names.into_iter().zip(tensors).collect()
    }

    /// Goes on after so many steps from a state that `state` gave.
    pub fn restore(&mut self, step: i32, tensors: &[Tensor]) {
        self.step = step;
        match &mut self.state {
            State::Host { first, second, .. } => {
                [first, second].into_iter().zip(tensors).for_each(|(own, saved)| *own = numbers(saved));
            }
            State::Device(DeviceState { first, second, step: taken, .. }) => no_grad(|| {
                std::iter::once(first).chain(second).zip(tensors).for_each(|(own, saved)| own.copy_(saved));
                let _ = taken.fill_(i64::from(step));
            }),
        }
    }

    /// Moves the parameters one step down a gradient.
    pub fn step(&mut self, parameters: &mut FlatParameters, gradient: &Gradient) {
        match (gradient, &mut parameters.host) {
            (Gradient::Host(gradient), Some(parameters)) => {
                self.step += 1;
                self.step_on_host(parameters, gradient);
            }
            (Gradient::Device(gradient), None) => {
                self.send_rate();
                self.step_on_device(gradient);
                self.count_step();
            }
            _ => {}
        }
    }

    /// Takes the learning rate to the GPU, where the step finds it.
    pub fn send_rate(&mut self) {
        let lr = self.lr;
        if let State::Device(state) = &mut self.state {
            let _ = no_grad(|| state.lr.fill_(lr));
        }
    }

    /// Counts a step that was taken on a GPU.
    pub fn count_step(&mut self) {
        self.step += 1;
    }

    fn step_on_host(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        let Self { kind, lr, momentum, nesterov, weight_decay, step, .. } = *self;
        let State::Host { first, second, decays } = &mut self.state else { return };
        let decay = (kind == OptimizerKind::Adamw) as u8 as f64 * lr * weight_decay;
        let rule = Rule {
            shrink: decay as f32,
            pull: if kind == OptimizerKind::Adamw { 0.0 } else { weight_decay as f32 },
            momentum: momentum as f32,
            nesterov,
            rate: match kind {
                OptimizerKind::Sgd => lr,
                _ => lr / (1.0 - momentum.powi(step)),
            } as f32,
            bias: (1.0 - BETA2.powi(step)).sqrt() as f32,
        };
        let arch = pulp::Arch::new();
        // Chunks of nothing where there is no decay, and no second moment with sgd.
        let chunks = parameters.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(first.par_chunks_mut(CHUNK));
        let decays = |i: usize| decays.get(i * CHUNK..).map_or(&[][..], |rest| &rest[..rest.len().min(CHUNK)]);
        let update = |i: usize, parameters, gradient, first, second| {
            arch.dispatch(Update { rule, parameters, gradient, first, second, decays: decays(i) });
        };
        if second.is_empty() {
            chunks.enumerate().for_each(|(i, ((parameters, gradient), first))| {
                update(i, parameters, gradient, first, &mut []);
            });
        } else {
            chunks.zip(second.par_chunks_mut(CHUNK)).enumerate().for_each(
                |(i, (((parameters, gradient), first), second))| update(i, parameters, gradient, first, second),
            );
        }
    }

    /// A step on a GPU, from where all of it is there: this can be recorded.
    pub fn step_on_device(&mut self, gradient: &Tensor) {
        let Self { kind, momentum, nesterov, .. } = *self;
        let State::Device(DeviceState { step, lr, groups, .. }) = &mut self.state else { return };
        no_grad(|| {
            let _ = step.g_add_scalar_(1.0);
            for Group { weight_decay, ranges, parameters, first, second } in groups {
                let (weight_decay, gradients) = (*weight_decay, views(gradient, ranges));
                if kind == OptimizerKind::Sgd {
                    Sgd { momentum, nesterov, weight_decay }.step([parameters, &gradients, first], lr);
                } else {
                    let decoupled = kind == OptimizerKind::Adamw;
                    Adam { decoupled, beta1: momentum, beta2: BETA2, weight_decay, epsilon: EPSILON }.step(
                        [parameters, &gradients, first, second],
                        step,
                        lr,
                    );
                }
            }
        });
    }
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut numbers, tensor.numel());
    numbers
}

/// The numbers of one step that are the same for all parameters.
#[derive(Clone, Copy)]
struct Rule {
    /// Part of a weight that decay takes off it, and part that it adds to the gradient.
    shrink: f32,
    pull: f32,
    momentum: f32,
    nesterov: bool,
    rate: f32,
    /// What Adam's root mean square is divided by.
    bias: f32,
}

/// One step of some of the parameters. With no second moment it is sgd; with no decays nothing decays.
struct Update<'a> {
    rule: Rule,
    parameters: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    decays: &'a [f32],
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rule, parameters, gradient, first, second, decays } = self;
        let Rule { shrink, pull, momentum, nesterov, rate, bias } = rule;
        let n = parameters.len();
        let (gradient, first) = (&gradient[..n], &mut first[..n]);
        // Each loop has one thing to do, so that it becomes vector instructions.
        let decayed: Vec<f32>;
        let gradient = if decays.is_empty() {
            gradient
        } else {
            let decays = &decays[..n];
            decayed = (0..n).map(|i| gradient[i] + decays[i] * parameters[i] * pull).collect();
            for i in 0..n {
                parameters[i] *= 1.0 - decays[i] * shrink;
            }
            &decayed[..n]
        };
        if second.is_empty() {
            for i in 0..n {
                first[i] = first[i] * momentum + gradient[i];
                let direction = if nesterov { gradient[i] + first[i] * momentum } else { first[i] };
                parameters[i] -= direction * rate;
            }
        } else {
            let second = &mut second[..n];
            let (other, square) = (1.0 - momentum, (1.0 - BETA2) as f32);
            for i in 0..n {
                first[i] += (gradient[i] - first[i]) * other;
                second[i] += (gradient[i] * gradient[i] - second[i]) * square;
                parameters[i] -= first[i] / (second[i].sqrt() / bias + EPSILON as f32) * rate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Forward;
    use tch::{Device, Kind, nn};

    /// Three steps on the loss `sum(p^2 * w)`, p starting at [1, -2, 3], w = [1, 10, 100]; the first two are a matrix, which
    /// decays, and the last is a bias, which does not.
    /// Golden values: `python tests/golden/optimizer.py` (PyTorch 2.11.0).
    fn three_steps(config: TrainingConfig, on_device: bool) -> Vec<f64> {
        let store = nn::VarStore::new(Device::Cpu);
        let _ = store.root().var_copy("a", &Tensor::from_slice(&[1.0f32, -2.0]).view([1, 2]));
        let _ = store.root().var_copy("b", &Tensor::from_slice(&[3.0f32]));
        let weights = Tensor::from_slice(&[1.0f32, 10.0, 100.0]);
        let config = TrainingConfig { lr: 1e-3, momentum: 0.9, ..config };
        let mut parameters = FlatParameters::new(&store);
        if on_device {
            parameters.host = None;
        }
        let mut optimizer = Optimizer::new(&config, &parameters);
        for _ in 0..3 {
            let variables = store.variables();
            let all = Tensor::cat(&[&variables["a"].view(-1), &variables["b"]], 0);
            let loss = (all.square() * &weights).sum(Kind::Float);
            let mut gradient = parameters.gradient(Forward::by_libtorch(all), &loss);
            if let Some(norm) = config.clip_norm {
                gradient = gradient.clip(norm, &[0..0, 0..parameters.buffer.numel()]);
            }
            optimizer.step(&mut parameters, &gradient);
            parameters.write_back();
        }
        Vec::try_from(parameters.buffer.to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn three_steps_are_pytorchs() {
        let base = TrainingConfig { weight_decay: 0.0, ..TrainingConfig::default() };
        let (adam, adamw, sgd) = (OptimizerKind::Adam, OptimizerKind::Adamw, OptimizerKind::Sgd);
        for (optimizer, weight_decay, nesterov, clip_norm, expected) in [
            (adam, 0.0, false, None, ADAM),
            (sgd, 0.0, false, None, SGD),
            (adamw, 0.5, false, None, ADAMW),
            (sgd, 0.5, true, None, NESTEROV_L2),
            (sgd, 0.0, false, Some(1.5), SGD_CLIPPED),
        ] {
            for on_device in [false, true] {
                let config = TrainingConfig { optimizer, weight_decay, nesterov, clip_norm, ..base.clone() };
                let found = three_steps(config, on_device);
                assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{optimizer:?} {found:?}");
            }
        }
    }

    #[test]
    fn an_optimizer_goes_on_from_its_saved_state_as_if_never_stopped() {
        for optimizer in [OptimizerKind::Adamw, OptimizerKind::Sgd] {
            let config = TrainingConfig { optimizer, ..TrainingConfig::default() };
            let store = nn::VarStore::new(Device::Cpu);
            let _ = store.root().var_copy("a", &Tensor::from_slice(&[1.0f32, -2.0]).view([1, 2]));
            for on_device in [false, true] {
                let mut parameters = FlatParameters::new(&store);
                let numbers = [0.3f32, -0.1];
                let mut gradient = Gradient::Host(numbers.to_vec());
                if on_device {
                    parameters.host = None;
                    gradient = Gradient::Device(Tensor::from_slice(&numbers));
                }
                let mut first = Optimizer::new(&config, &parameters);
                first.step(&mut parameters, &gradient);
                let mut second = Optimizer::new(&config, &parameters);
                let tensors: Vec<Tensor> = first.state().into_iter().map(|(_, tensor)| tensor.copy()).collect();
                second.restore(first.steps(), &tensors);
                parameters.write_back();
                let before = parameters.buffer.copy();
                first.step(&mut parameters, &gradient);
                parameters.write_back();
                let expected = parameters.buffer.copy();
                assert_ne!(before, expected);
                parameters.buffer.copy_(&before);
                parameters.reload();
                second.step(&mut parameters, &gradient);
                parameters.write_back();
                assert_eq!(parameters.buffer, expected, "{optimizer:?}");
            }
        }
    }

    /// Chunks, and what vector instructions leave over.
    #[test]
    fn many_parameters_are_each_updated_as_they_would_be_alone() {
        let n = 2 * CHUNK + 13;
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
        for (optimizer, weight_decay, momentum) in [
            (OptimizerKind::Adamw, 0.1, 0.9),
            (OptimizerKind::Adam, 0.1, 0.9),
            (OptimizerKind::Sgd, 0.0, 0.9),
            (OptimizerKind::Sgd, 0.1, 0.0),
        ] {
            let config = TrainingConfig { optimizer, weight_decay, momentum, lr: 0.1, ..TrainingConfig::default() };
            let found = [false, true].map(|on_device| {
                let store = nn::VarStore::new(Device::Cpu);
                let _ = store.root().var_copy("a", &Tensor::from_slice(&values).view([1, -1]));
                let mut parameters = FlatParameters::new(&store);
                let mut gradient = Gradient::Host(values.iter().map(|value| value.cos()).collect());
                if on_device {
                    parameters.host = None;
                    let Gradient::Host(numbers) = &gradient else { panic!() };
                    gradient = Gradient::Device(Tensor::from_slice(numbers));
                }
                let mut optimizer = Optimizer::new(&config, &parameters);
                (0..3).for_each(|_| optimizer.step(&mut parameters, &gradient));
                parameters.write_back();
                parameters.buffer.copy()
            });
            let difference = (&found[0] - &found[1]).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{optimizer:?}: {difference}");
        }
    }

    const ADAM: [f64; 3] = [0.997_000_098, -1.997_000_098, 2.997_000_217];
    const SGD: [f64; 3] = [0.988_799_214, -1.779_424_071, 0.185_999_706];
    const ADAMW: [f64; 3] = [0.995_502_353, -1.994_002_938, 2.997_000_217];
    const NESTEROV_L2: [f64; 3] = [0.979_964_316, -1.681_562_543, -0.325_056_106];
    const SGD_CLIPPED: [f64; 3] = [0.999_971_986, -1.999_439_955, 2.991_603_851];
}
