//! Adam and stochastic gradient descent on one flat buffer. The parameters are views of it, so a step is a handful of
//! tensor operations however many layers there are, and the state is at most two tensors of the same size.

use tch::Tensor;
use tch::nn::VarStore;

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

    /// The gradient of a scalar loss with respect to every parameter, `[parameters]`.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let gradients = Tensor::run_backward(&[loss], &self.views, false, false);
        Tensor::cat(&gradients.iter().map(|gradient| gradient.flatten(0, -1)).collect::<Vec<_>>(), 0)
    }
}

/// An optimizer and its state.
#[derive(Debug)]
pub enum Optimizer {
    Adam {
        lr: f64,
        /// Steps taken.
        step: i32,
        /// Running mean of the gradient, `[parameters]`.
        mean: Tensor,
        /// Running mean of its square, `[parameters]`.
        square: Tensor,
    },
    Sgd {
        lr: f64,
        momentum: f64,
        /// `[parameters]`
        velocity: Tensor,
    },
}

impl Optimizer {
    pub fn new(config: &TrainingConfig, parameters: &FlatParameters) -> Self {
        let zeros = || parameters.buffer.zeros_like();
        match config.optimizer {
            OptimizerKind::Adam | OptimizerKind::Adamw => Self::Adam { lr: config.lr, step: 0, mean: zeros(), square: zeros() },
            OptimizerKind::Sgd => Self::Sgd { lr: config.lr, momentum: config.momentum, velocity: zeros() },
        }
    }

    /// The learning rate of the last step.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Adam { lr, .. } | Self::Sgd { lr, .. } => *lr,
        }
    }

    /// Changes the learning rate of the steps to come.
    pub fn set_learning_rate(&mut self, rate: f64) {
        match self {
            Self::Adam { lr, .. } | Self::Sgd { lr, .. } => *lr = rate,
        }
    }

    /// Moves the parameters one step down a gradient `[parameters]`.
    pub fn step(&mut self, parameters: &mut FlatParameters, gradient: &Tensor) {
        tch::no_grad(|| match self {
            Self::Adam { lr, step, mean, square } => {
                *step += 1;
                let _ = mean.lerp_(gradient, 1.0 - BETA1);
                let _ = square.lerp_(&gradient.square(), 1.0 - BETA2);
                let bias1 = 1.0 - BETA1.powi(*step);
                let bias2 = (1.0 - BETA2.powi(*step)).sqrt();
                let denominator = (square.sqrt() / bias2).g_add_scalar_(EPSILON);
                let _ = parameters.buffer.g_sub_(&(&*mean / denominator).g_mul_scalar_(*lr / bias1));
            }
            Self::Sgd { lr, momentum, velocity } => {
                let _ = velocity.g_mul_scalar_(*momentum).g_add_(gradient);
                let _ = parameters.buffer.g_sub_(&(&*velocity * *lr));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn};

    /// Three steps on the loss `sum(p^2 * w)`, p starting at [1, -2, 3], w = [1, 10, 100].
    /// Golden values: `python tests/golden/optimizer.py` (PyTorch 2.11.0).
    fn three_steps(kind: OptimizerKind) -> Vec<f64> {
        let store = nn::VarStore::new(Device::Cpu);
        let _ = store.root().var_copy("a", &Tensor::from_slice(&[1.0f32, -2.0]));
        let _ = store.root().var_copy("b", &Tensor::from_slice(&[3.0f32]));
        let weights = Tensor::from_slice(&[1.0f32, 10.0, 100.0]);
        let config = TrainingConfig { optimizer: kind, lr: 1e-3, momentum: 0.9, ..TrainingConfig::default() };
        let mut parameters = FlatParameters::new(&store);
        let mut optimizer = Optimizer::new(&config, &parameters);
        for _ in 0..3 {
            let variables = store.variables();
            let all = Tensor::cat(&[&variables["a"], &variables["b"]], 0);
            let loss = (all.square() * &weights).sum(Kind::Float);
            let gradient = parameters.gradient(&loss);
            optimizer.step(&mut parameters, &gradient);
        }
        Vec::try_from(parameters.buffer.to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn three_steps_are_pytorchs() {
        let near = |found: Vec<f64>, expected: [f64; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        };
        near(three_steps(OptimizerKind::Adam), ADAM);
        near(three_steps(OptimizerKind::Sgd), SGD);
    }

    const ADAM: [f64; 3] = [0.997_000_098, -1.997_000_098, 2.997_000_217];
    const SGD: [f64; 3] = [0.988_799_214, -1.779_424_071, 0.185_999_706];
}
