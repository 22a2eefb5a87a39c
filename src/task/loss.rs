//! What training makes small: of a batch's logits, as tensors, and of finished predictions, as plain numbers.

use tch::{Device, Kind, Reduction, Tensor};

use super::Task;
use crate::config::{Loss, TaskKind};
use crate::data::examples::Examples;
use crate::device;

/// The loss of a question of two classes without libtorch.
#[derive(Clone, Copy, Debug)]
pub struct YesNoLoss {
    is_squared: bool,
    positive: usize,
    label_smoothing: f64,
    /// Of each class.
    weights: [f64; 2],
}

impl YesNoLoss {
    /// What some logits of a batch of `n` add to its mean loss, and how many are right; in their place come the gradients of
    /// the mean loss with respect to them.
    pub fn of(&self, logits: &mut [f32], labels: &[f32], n: usize) -> (f64, usize) {
        let (mut loss, mut hits) = (0.0, 0);
        for (logit, &label) in logits.iter_mut().zip(labels) {
            let (z, is_positive) = (f64::from(*logit), label as usize == self.positive);
            let target = f64::from(u8::from(is_positive)) * (1.0 - self.label_smoothing) + self.label_smoothing / 2.0;
            let weight = self.weights[usize::from(label >= 0.5)] / n as f64;
            // Both from the exponential that cannot overflow.
            let small = (-z.abs()).exp();
            let p = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            let (own, slope) = if self.is_squared {
                ((p - target).powi(2), 2.0 * (p - target) * p * (1.0 - p))
            } else {
                (z.max(0.0) - z * target + small.ln_1p(), p - target)
            };
            loss += weight * own;
            *logit = (weight * slope) as f32;
            hits += usize::from((z > 0.0) == is_positive);
        }
        (loss, hits)
    }
}

/// What training makes small, with its tensors at hand, so that a batch takes nothing to the device but itself.
#[derive(Debug)]
pub struct Criterion<'a> {
    task: &'a Task,
    /// Of each class or label, if they count differently.
    weights: Option<Tensor>,
    /// Means and deviations of values, `[1, outputs]` each.
    scales: (Tensor, Tensor),
}

impl Criterion<'_> {
    /// The mean loss of a batch, a scalar, from logits `[batch, outputs]` and labels `[batch, width]`.
    pub fn loss(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let task = self.task;
        let weights = || self.weights.as_ref();
        // Towards the same probability for all, as PyTorch's cross-entropy does it.
        let smooth = |targets: Tensor| match task.label_smoothing {
            0.0 => targets,
            share => targets * (1.0 - share) + share / task.count.max(2) as f64,
        };
        match task.kind {
            TaskKind::Binary => {
                let targets = smooth(labels.eq(task.positive as f64).to_kind(Kind::Float));
                let weight =
                    weights().map(|w| w.index_select(0, &labels.flatten(0, -1).to_kind(Kind::Int64)).view([-1, 1]));
                match task.loss {
                    Loss::Mse => weighted_mean((logits.sigmoid() - targets).square(), weight),
                    _ => logits.binary_cross_entropy_with_logits(&targets, weight, None::<Tensor>, Reduction::Mean),
                }
            }
            TaskKind::Multiclass => {
                let classes = labels.to_kind(Kind::Int64);
                let weight = weights().map(|w| w.index_select(0, &classes.flatten(0, -1)));
                let each = match task.loss {
                    Loss::Mse => {
                        let targets = smooth(logits.zeros_like().scatter_value(1, &classes, 1.0));
                        (logits.softmax(1, Kind::Float) - targets).square().sum_dim_intlist(1, false, Kind::Float)
                    }
                    _ => {
                        let targets = smooth(logits.zeros_like().scatter_value(1, &classes, 1.0));
                        -(logits.log_softmax(1, Kind::Float) * targets).sum_dim_intlist(1, false, Kind::Float)
                    }
                };
                weighted_mean(each, weight)
            }
            TaskKind::Multilabel => {
                // Each label is a yes or a no of its own.
                let targets = labels * (1.0 - task.label_smoothing) + task.label_smoothing / 2.0;
                match task.loss {
                    Loss::Mse => {
                        let weight = weights().map(|w| labels * (w - 1.0) + 1.0);
                        weighted_mean((logits.sigmoid() - targets).square(), weight)
                    }
                    _ => logits.binary_cross_entropy_with_logits(
                        &targets,
                        None::<Tensor>,
                        weights().map(Tensor::shallow_clone),
                        Reduction::Mean,
                    ),
                }
            }
            TaskKind::Regression => {
                let (mean, deviation) = &self.scales;
                match task.loss {
                    Loss::Poisson => (logits.exp() - logits * (labels / mean)).mean(Kind::Float),
                    _ => (logits - (labels - mean) / deviation).square().mean(Kind::Float),
                }
            }
        }
    }
}

impl Task {
    /// What training makes small, on a device.
    pub fn criterion(&self, device: Device) -> Criterion<'_> {
        let weights: Vec<f32> = self.weights.iter().map(|&weight| weight as f32).collect();
        let weights = (!weights.is_empty()).then(|| device::upload(&weights, device));
        Criterion { task: self, weights, scales: self.scale_tensors(device) }
    }

    /// The same without libtorch, for questions of two classes.
    pub fn yes_no_loss(&self) -> Option<YesNoLoss> {
        (self.kind == TaskKind::Binary).then(|| YesNoLoss {
            is_squared: self.loss == Loss::Mse,
            positive: self.positive,
            label_smoothing: self.label_smoothing,
            weights: [0, 1].map(|class| self.weights.get(class).copied().unwrap_or(1.0)),
        })
    }

    /// The same loss of finished predictions `[n, outputs]`, for validation.
    pub fn loss_of(&self, examples: &Examples, predictions: &[f64]) -> f64 {
        let outputs = self.outputs();
        let weight = |class: usize| self.weights.get(class).copied().unwrap_or(1.0);
        let log = |p: f64| -p.max(f64::MIN_POSITIVE).ln();
        let one = |i: usize| -> f64 {
            let found = &predictions[i * outputs..(i + 1) * outputs];
            let labels = examples.labels_of(i);
            match (self.kind, self.loss) {
                (TaskKind::Binary, loss) => {
                    let (class, p) = (labels[0] as usize, found[0]);
                    let right = if class == self.positive { p } else { 1.0 - p };
                    weight(class) * if loss == Loss::Mse { (1.0 - right).powi(2) } else { log(right) }
                }
                (TaskKind::Multiclass, loss) => {
                    let class = labels[0] as usize;
                    let squares = |(k, p): (usize, &f64)| (p - f64::from(u8::from(k == class))).powi(2);
                    let sum = || found.iter().enumerate().map(squares).sum();
                    weight(class) * if loss == Loss::Mse { sum() } else { log(found[class]) }
                }
                (TaskKind::Multilabel, loss) => {
                    let each = labels.iter().zip(found).enumerate().map(|(k, (&label, &p))| {
                        let right = if label == 1.0 { p } else { 1.0 - p };
                        let weight = if label == 1.0 { weight(k) } else { 1.0 };
                        weight * if loss == Loss::Mse { (1.0 - right).powi(2) } else { log(right) }
                    });
                    each.sum::<f64>() / outputs as f64
                }
                (TaskKind::Regression, loss) => {
                    let each = labels.iter().zip(found).zip(&self.scales).map(|((&value, &p), scale)| match loss {
                        Loss::Poisson => {
                            (p - f64::from(value) * (p / scale.mean).max(f64::MIN_POSITIVE).ln()) / scale.mean
                        }
                        _ => ((p - f64::from(value)) / scale.deviation).powi(2),
                    });
                    each.sum::<f64>() / outputs as f64
                }
            }
        };
        (0..examples.len()).map(one).sum::<f64>() / examples.len().max(1) as f64
    }
}

fn weighted_mean(each: Tensor, weight: Option<Tensor>) -> Tensor {
    match weight {
        Some(weight) => (each * weight).mean(Kind::Float),
        None => each.mean(Kind::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::data::Classes;

    #[test]
    fn without_libtorch_the_loss_of_two_classes_and_its_gradient_are_the_same() {
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let labels = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        let examples = Examples::of(&[0; 14], 2, &labels);
        let logits = [0.3f32, -1.5, 40.0, -40.0, 0.0, 120.0, -0.01];
        for loss in [Loss::CrossEntropy, Loss::Mse] {
            for weights in [ClassWeights::None, ClassWeights::Given(vec![("a".into(), 3.0), ("b".into(), 0.5)])] {
                for (label_smoothing, positive) in [(0.0, 1), (0.1, 0)] {
                    let task = Task::new(TaskKind::Binary, &classes, Some(loss), &weights, &examples).unwrap();
                    let task = Task { label_smoothing, positive, ..task };
                    let mut gradient = logits;
                    let n = logits.len();
                    let (mut own, mut hits) = (0.0, 0);
                    // In two parts, as the shards of a batch are.
                    for (logits, labels) in gradient.chunks_mut(4).zip(labels.chunks(4)) {
                        let (loss, right) = task.yes_no_loss().unwrap().of(logits, labels, n);
                        (own, hits) = (own + loss, hits + right);
                    }
                    let tensor = Tensor::from_slice(&logits).view([-1, 1]).set_requires_grad(true);
                    let of_labels = Tensor::from_slice(&labels).view([-1, 1]);
                    let expected = task.criterion(Device::Cpu).loss(&tensor, &of_labels);
                    assert!((own - expected.double_value(&[])).abs() < 1e-5 * own.max(1.0), "{loss:?}");
                    assert_eq!(hits as f64, task.hits(&tensor, &of_labels).unwrap().double_value(&[]));
                    let expected = &Tensor::run_backward(&[expected], &[&tensor], false, false)[0];
                    let difference = (Tensor::from_slice(&gradient).view([-1, 1]) - expected).abs().max();
                    assert!(difference.double_value(&[]) < 1e-6, "{loss:?} {label_smoothing}");
                }
            }
        }
    }
}
