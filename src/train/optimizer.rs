//! AdamW, Adam and stochastic gradient descent on one flat buffer. The parameters are views of it, so a step is a handful of
//! tensor operations however many layers there are, and the state is at most two tensors of the same size.

use tch::Tensor;
use tch::nn::VarStore;

use super::schedule::Rates;
use crate::config::{OptimizerKind, TrainingConfig};

/// Decay rates and the guard against division by zero, as Kingma and Ba (2015) propose and PyTorch uses.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// All trainable parameters of a store, as views of one buffer.
#[derive(Debug)]
pub struct FlatParameters {
    /// `[parameters]`
    pub buffer: Tensor,
    views: Vec<Tensor>,
}

impl FlatParameters {
    /// Moves the parameters into one buffer; the store's tensors become views of it.
    pub fn new(store: &VarStore) -> Self {
        let mut views = store.trainable_variables();
        let buffer = tch::no_grad(|| Tensor::cat(&views.iter().map(|view| view.flatten(0, -1)).collect::<Vec<_>>(), 0));
        let mut offset = 0;
        for view in &mut views {
            let length = view.numel() as i64;
            view.set_data(&buffer.narrow(0, offset, length).view(view.size().as_slice()));
            offset += length;
        }
        Self { buffer, views }
    }

    /// 1 for parameters of two dimensions or more, which are weights, and 0 for the others, which are biases and norms,
    /// `[parameters]`.
    fn matrices(&self) -> Tensor {
        let of = |view: &Tensor| if view.dim() > 1 { view.ones_like() } else { view.zeros_like() };
        tch::no_grad(|| Tensor::cat(&self.views.iter().map(|view| of(view).flatten(0, -1)).collect::<Vec<_>>(), 0))
    }

    /// The gradient of a scalar loss with respect to every parameter, `[parameters]`.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let gradients = Tensor::run_backward(&[loss], &self.views, false, false);
        Tensor::cat(&gradients.iter().map(|gradient| gradient.flatten(0, -1)).collect::<Vec<_>>(), 0)
    }
}

/// An optimizer and its state.
#[derive(Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    lr: f64,
    /// Momentum of sgd, or the decay of Adam's mean.
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    /// 1 where decay applies, 0 for biases and norms, `[parameters]`; nothing without decay.
    decays: Option<Tensor>,
    /// Steps taken.
    step: i32,
    /// Adam's running mean of the gradient, or the velocity of sgd, `[parameters]`.
    first: Tensor,
    /// Adam's running mean of the gradient's square, `[parameters]`.
    second: Option<Tensor>,
}

impl Optimizer {
    pub fn new(config: &TrainingConfig, parameters: &FlatParameters) -> Self {
        let zeros = || parameters.buffer.zeros_like();
        let is_sgd = config.optimizer == OptimizerKind::Sgd;
        Self {
            kind: config.optimizer,
            lr: config.lr,
            momentum: if is_sgd { config.momentum } else { BETA1 },
            nesterov: config.nesterov,
            weight_decay: config.weight_decay,
            decays: (config.weight_decay > 0.0).then(|| parameters.matrices()),
            step: 0,
            first: zeros(),
            second: (!is_sgd).then(zeros),
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

    /// What the next step depends on besides the parameters: steps taken, and tensors `[parameters]` under PyTorch's names.
    pub fn state(&self) -> (i32, Vec<(&'static str, &Tensor)>) {
        let first = if self.second.is_some() { "exp_avg" } else { "momentum_buffer" };
        let second = self.second.iter().map(|second| ("exp_avg_sq", second));
        (self.step, std::iter::once((first, &self.first)).chain(second).collect())
    }

    /// Goes on from a state that `state` gave.
    pub fn restore(&mut self, step: i32, tensors: &[Tensor]) {
        self.step = step;
        tch::no_grad(|| {
            for (own, saved) in std::iter::once(&mut self.first).chain(&mut self.second).zip(tensors) {
                own.copy_(saved);
            }
        });
    }

    /// Moves the parameters one step down a gradient `[parameters]`.
    pub fn step(&mut self, parameters: &mut FlatParameters, gradient: &Tensor) {
        self.step += 1;
        let Self { lr, momentum, weight_decay, .. } = *self;
        tch::no_grad(|| {
            let decayed = match (&self.decays, self.kind) {
                (Some(decays), OptimizerKind::Adamw) => {
                    let _ = parameters.buffer.g_mul_(&(decays * (-lr * weight_decay) + 1.0));
                    None
                }
                (Some(decays), _) => Some(gradient + decays * &parameters.buffer * weight_decay),
                (None, _) => None,
            };
            let gradient = decayed.as_ref().unwrap_or(gradient);
            let first = &mut self.first;
            match &mut self.second {
                Some(square) => {
                    let _ = first.lerp_(gradient, 1.0 - momentum);
                    let _ = square.lerp_(&gradient.square(), 1.0 - BETA2);
                    let bias1 = 1.0 - momentum.powi(self.step);
                    let bias2 = (1.0 - BETA2.powi(self.step)).sqrt();
                    let denominator = (square.sqrt() / bias2).g_add_scalar_(EPSILON);
                    let _ = parameters.buffer.g_sub_(&(&*first / denominator).g_mul_scalar_(lr / bias1));
                }
                None => {
                    let _ = first.g_mul_scalar_(momentum).g_add_(gradient);
                    let direction = if self.nesterov { gradient + &*first * momentum } else { first.shallow_clone() };
                    let _ = parameters.buffer.g_sub_(&(direction * lr));
                }
            }
        });
    }
}

/// Scales a gradient `[parameters]` down to a norm of at most `most`.
pub fn clip(gradient: &mut Tensor, most: f64) {
    // PyTorch's guard against division by zero. The norm stays on the device.
    let scale = (gradient.norm() + 1e-6).reciprocal() * most;
    let _ = gradient.g_mul_(&scale.clamp_max(1.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn};

    /// Three steps on the loss `sum(p^2 * w)`, p starting at [1, -2, 3], w = [1, 10, 100]; the first two are a matrix, which
    /// decays, and the last is a bias, which does not.
    /// Golden values: `python tests/golden/optimizer.py` (PyTorch 2.11.0).
    fn three_steps(config: TrainingConfig) -> Vec<f64> {
        let store = nn::VarStore::new(Device::Cpu);
        let _ = store.root().var_copy("a", &Tensor::from_slice(&[1.0f32, -2.0]).view([1, 2]));
        let _ = store.root().var_copy("b", &Tensor::from_slice(&[3.0f32]));
        let weights = Tensor::from_slice(&[1.0f32, 10.0, 100.0]);
        let config = TrainingConfig { lr: 1e-3, momentum: 0.9, ..config };
        let mut parameters = FlatParameters::new(&store);
        let mut optimizer = Optimizer::new(&config, &parameters);
        for _ in 0..3 {
            let variables = store.variables();
            let all = Tensor::cat(&[&variables["a"].view(-1), &variables["b"]], 0);
            let loss = (all.square() * &weights).sum(Kind::Float);
            let mut gradient = parameters.gradient(&loss);
            if let Some(norm) = config.clip_norm {
                clip(&mut gradient, norm);
            }
            optimizer.step(&mut parameters, &gradient);
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
            let found = three_steps(TrainingConfig { optimizer, weight_decay, nesterov, clip_norm, ..base.clone() });
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{optimizer:?} {found:?}");
        }
    }

    #[test]
    fn an_optimizer_goes_on_from_its_saved_state_as_if_never_stopped() {
        for optimizer in [OptimizerKind::Adamw, OptimizerKind::Sgd] {
            let config = TrainingConfig { optimizer, ..TrainingConfig::default() };
            let store = nn::VarStore::new(Device::Cpu);
            let _ = store.root().var_copy("a", &Tensor::from_slice(&[1.0f32, -2.0]).view([1, 2]));
            let mut parameters = FlatParameters::new(&store);
            let gradient = Tensor::from_slice(&[0.3f32, -0.1]);
            let mut first = Optimizer::new(&config, &parameters);
            first.step(&mut parameters, &gradient);
            let mut second = Optimizer::new(&config, &parameters);
            let (step, tensors) = first.state();
            let tensors: Vec<Tensor> = tensors.into_iter().map(|(_, tensor)| tensor.copy()).collect();
            second.restore(step, &tensors);
            let before = parameters.buffer.copy();
            first.step(&mut parameters, &gradient);
            let expected = parameters.buffer.copy();
            parameters.buffer.copy_(&before);
            second.step(&mut parameters, &gradient);
            assert_eq!(parameters.buffer, expected, "{optimizer:?}");
        }
    }

    const ADAM: [f64; 3] = [0.997_000_098, -1.997_000_098, 2.997_000_217];
    const SGD: [f64; 3] = [0.988_799_214, -1.779_424_071, 0.185_999_706];
    const ADAMW: [f64; 3] = [0.995_502_353, -1.994_002_938, 2.997_000_217];
    const NESTEROV_L2: [f64; 3] = [0.979_964_316, -1.681_562_543, -0.325_056_106];
    const SGD_CLIPPED: [f64; 3] = [0.999_971_986, -1.999_439_955, 2.991_603_851];
}
