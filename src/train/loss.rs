//! The loss of a batch, and how many of its examples are right, as tensors.

use tch::{Device, Kind, Reduction, Tensor};

use crate::device;
use crate::model::head;
use strandnet_core::config::{Loss, TaskKind};
use strandnet_core::task::{ProfileTask, Task};

/// The loss of a task, with its tensors at hand, so that a batch takes nothing to the device but itself.
#[derive(Debug)]
pub struct Criterion<'a> {
    task: &'a Task,
    /// Of each class or label, if they count differently.
    weights: Option<Tensor>,
    /// Means and deviations of values, `[1, outputs]` each.
    scales: (Tensor, Tensor),
}

impl<'a> Criterion<'a> {
    /// The loss of a task, on a device.
    pub fn new(task: &'a Task, device: Device) -> Self {
        let weights: Vec<f32> = task.weights.iter().map(|&weight| weight as f32).collect();
        let weights = (!weights.is_empty()).then(|| device::to_device(&weights, device));
        Self { task, weights, scales: head::scale_tensors(task, device) }
    }

    /// How many of a batch are right, a scalar on the device, from logits `[batch, outputs]` and labels `[batch, width]`: the
    /// class (the more probable of two), or the share of labels. Nothing for values.
    pub fn hits(&self, logits: &Tensor, labels: &Tensor) -> Option<Tensor> {
        let hits = match self.task.kind {
            TaskKind::Binary => logits.gt(0.0).eq_tensor(&labels.eq(self.task.positive as f64)).sum(Kind::Double),
            TaskKind::Multiclass => logits.argmax(1, true).eq_tensor(&labels.to_kind(Kind::Int64)).sum(Kind::Double),
            TaskKind::Multilabel if self.task.has_missing => {
                let there = labels.isnan().logical_not();
                let hits = logits.gt(0.0).eq_tensor(&labels.gt(0.5)).logical_and(&there);
                let of_each = |tensor: Tensor| tensor.to_kind(Kind::Double).sum_dim_intlist(1, false, Kind::Double);
                (of_each(hits) / of_each(there).clamp_min(1.0)).sum(Kind::Double)
            }
            TaskKind::Multilabel => logits
                .gt(0.0)
                .eq_tensor(&labels.gt(0.5))
                .to_kind(Kind::Double)
                .mean_dim(1, false, Kind::Double)
                .sum(Kind::Double),
            TaskKind::Regression | TaskKind::Profile => return None,
        };
        Some(hits)
    }

    /// Of which examples the loss depends on the profile, or on profile and log `counts`, from labels `[batch, width]`; nothing
    /// where it is all.
    pub fn needed(&self, labels: &[f32], counts: bool) -> Option<Vec<bool>> {
        let profile = self.task.profile.as_ref()?;
        // Log counts are learned from all examples, but by a network that learns from background.
        (profile.of_background || !counts).then(|| profile.learned(labels))
    }

    /// The mean loss of a batch, a scalar, from logits `[batch, outputs]` and labels `[batch, width]`.
    pub fn loss(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let task = self.task;
        if task.has_missing {
            return self.loss_of_known(logits, labels);
        }
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
                let targets = smooth(logits.zeros_like().scatter_value(1, &classes, 1.0));
                match (task.loss, weights()) {
                    (Loss::Mse, weights) => {
                        let weight = weights.map(|w| w.index_select(0, &classes.flatten(0, -1)));
                        let errors = (logits.softmax(1, Kind::Float) - targets).square();
                        weighted_mean(errors.sum_dim_intlist(1, false, Kind::Float), weight)
                    }
                    // As PyTorch's cross-entropy: each class of a smoothed target counts with its own weight, and the mean is
                    // over the weights of the true classes.
                    (_, Some(weights)) => {
                        let sum = -(logits.log_softmax(1, Kind::Float) * targets * weights).sum(Kind::Float);
                        sum / weights.index_select(0, &classes.flatten(0, -1)).sum(Kind::Float)
                    }
                    (_, None) => {
                        let each = logits.log_softmax(1, Kind::Float) * targets;
                        weighted_mean(-each.sum_dim_intlist(1, false, Kind::Float), None)
                    }
                }
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
            TaskKind::Profile => match &task.profile {
                Some(profile) => loss_of_profiles(profile, logits, labels),
                None => logits.mean(Kind::Float),
            },
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

impl Criterion<'_> {
    /// The mean loss over the labels or values that are there. What stands in for the others never meets a NaN, whose gradient
    /// would be one even where it counts for nothing.
    fn loss_of_known(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let task = self.task;
        let there = labels.isnan().logical_not();
        let known = labels.nan_to_num(0.0, None::<f64>, None::<f64>);
        let each = match (task.kind, task.loss) {
            (TaskKind::Regression, Loss::Poisson) => logits.exp() - logits * (known / &self.scales.0),
            (TaskKind::Regression | TaskKind::Profile, _) => {
                (logits - (known - &self.scales.0) / &self.scales.1).square()
            }
            (_, loss) => {
                let targets = &known * (1.0 - task.label_smoothing) + task.label_smoothing / 2.0;
                if loss == Loss::Mse {
                    let each = (logits.sigmoid() - targets).square();
                    match &self.weights {
                        Some(weights) => each * (known * (weights - 1.0) + 1.0),
                        None => each,
                    }
                } else {
                    let weights = self.weights.as_ref().map(Tensor::shallow_clone);
                    logits.binary_cross_entropy_with_logits(&targets, None::<Tensor>, weights, Reduction::None)
                }
            }
        };
        let there = there.to_kind(Kind::Float);
        (each * &there).sum(Kind::Float) / there.sum(Kind::Float).clamp_min(1.0)
    }
}

/// The multinomial loss of profiles and the weighted squared error of log counts, from logits and labels as [`Outputs`] and
/// [`Profiles::row`] have them.
///
/// [`Outputs`]: strandnet_core::network::Outputs
/// [`Profiles::row`]: strandnet_core::dataset::examples::Profiles::row
fn loss_of_profiles(task: &ProfileTask, logits: &Tensor, labels: &Tensor) -> Tensor {
    let ProfileTask { shape, counts_weight, of_background, .. } = task;
    let is_peak = labels.select(1, shape.row() as i64 - 1);
    let learned = if *of_background { 1.0 - is_peak } else { is_peak };
    let mut likelihood = learned.zeros_like();
    let mut squares = learned.zeros_like();
    for (group, range) in shape.of_groups().enumerate() {
        let of = |tensor: &Tensor| tensor.narrow(1, range.start as i64, range.len() as i64);
        let counts = of(labels);
        let logs = of(logits).log_softmax(1, Kind::Float);
        likelihood += (&counts * logs).sum_dim_intlist(1, false, Kind::Float);
        let error =
            logits.select(1, (shape.values() + group) as i64) - counts.sum_dim_intlist(1, false, Kind::Float).log1p();
        squares += error.square();
    }
    let n = learned.sum(Kind::Float).clamp_min(1.0);
    let profile = -(likelihood * &learned).sum(Kind::Float) / &n;
    let counts = if *of_background { (squares * learned).sum(Kind::Float) / n } else { squares.mean(Kind::Float) };
    profile + counts * *counts_weight
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
    use strandnet_core::config::ClassWeights;
    use strandnet_core::dataset::Classes;
    use strandnet_core::dataset::examples::{Examples, ExamplesWriter, log_counts};
    use strandnet_core::sequence::profile::ProfileShape;

    fn classes(n: usize) -> Classes {
        Classes { names: (0..n).map(|i| format!("c{i}")).collect(), positive: 0 }
    }

    /// Three examples of every kind of question, with logits for them.
    fn questions() -> Vec<(TaskKind, Vec<Loss>, Examples, Vec<f32>)> {
        let codes = [0u8; 6];
        let of = |labels: &[f32]| Examples::from_codes(&codes, 2, labels);
        let (ce, mse, poisson) = (Loss::CrossEntropy, Loss::Mse, Loss::Poisson);
        let wide = vec![-2.0f32, 0.5, 3.0, 0.1, -0.4, 1.5];
        vec![
            (TaskKind::Binary, vec![ce, mse], of(&[0.0, 1.0, 0.0]), vec![-2.0, 0.5, 3.0]),
            (TaskKind::Multiclass, vec![ce, mse], of(&[1.0, 0.0, 1.0]), wide.clone()),
            (TaskKind::Multilabel, vec![ce, mse], of(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]), wide.clone()),
            (TaskKind::Regression, vec![mse, poisson], of(&[3.0, 0.0, 7.0, 10.0, 1.0, 1.0]), wide.clone()),
            (TaskKind::Multilabel, vec![ce, mse], of(&[1.0, f32::NAN, 0.0, 1.0, f32::NAN, 1.0]), wide.clone()),
            (TaskKind::Regression, vec![mse, poisson], of(&[3.0, 0.0, f32::NAN, 10.0, 1.0, f32::NAN]), wide),
        ]
    }

    #[test]
    fn the_loss_and_the_hits_of_predictions_are_those_of_logits() {
        for (kind, losses, examples, logits) in questions() {
            let names = classes(2);
            for loss in losses {
                let all = [ClassWeights::None, ClassWeights::Auto, ClassWeights::Given(vec![("c1".into(), 2.5)])];
                let weights = if kind.predicts_values() { &all[..1] } else { &all[..] };
                for weights in weights {
                    let task = Task::new(kind, &names, Some(loss), weights, &examples).unwrap();
                    let logits = Tensor::from_slice(&logits).view([3, task.outputs() as i64]);
                    let labels = Tensor::from_slice(&examples.labels).view([3, -1]);
                    let predictions = head::Head::new(&task, Device::Cpu).predictions(&logits);
                    assert_eq!(predictions.size(), logits.size());
                    let predictions: Vec<f64> =
                        Vec::try_from(predictions.to_kind(Kind::Double).flatten(0, -1)).unwrap();
                    let expected = Criterion::new(&task, Device::Cpu).loss(&logits, &labels).double_value(&[]);
                    let values = Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap();
                    for (own, expected) in task.activate(&values).unwrap().iter().zip(&predictions) {
                        assert!((own - expected).abs() < 1e-6 * expected.abs().max(1.0), "{kind:?}: {own} {expected}");
                    }
                    let found = task.loss_of(&examples, &predictions);
                    assert!(
                        (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
                        "{kind:?} {loss:?} {weights:?}: {found} {expected}"
                    );
                    let hits = Criterion::new(&task, Device::Cpu)
                        .hits(&logits, &labels)
                        .map(|hits| hits.double_value(&[]) / 3.0);
                    assert_eq!(hits, task.accuracy_of(&examples, &predictions), "{kind:?}");
                }
            }
        }
    }

    /// Weights and smoothing of several classes, against PyTorch's own `CrossEntropyLoss(weight, label_smoothing)`.
    #[test]
    fn the_loss_of_several_classes_is_pytorchs_with_weights_and_label_smoothing() {
        let (n, k) = (40, 4);
        let labels: Vec<f32> = (0..n).map(|i| (i * i % 7 % k) as f32).collect();
        let examples = Examples::from_codes(&vec![0; 2 * n], 2, &labels);
        let logits = (Tensor::arange((n * k) as i64, (Kind::Float, Device::Cpu)) * 1.7).sin() * 3.0;
        let logits = logits.view([n as i64, k as i64]);
        let targets = Tensor::from_slice(&labels).to_kind(Kind::Int64);
        let given = |weights: [f64; 4]| {
            ClassWeights::Given(weights.into_iter().enumerate().map(|(i, weight)| (format!("c{i}"), weight)).collect())
        };
        for weights in [ClassWeights::None, ClassWeights::Auto, given([3.0, 0.1, 1.0, 20.0]), given([0.5; 4])] {
            for label_smoothing in [0.0, 0.05, 0.1, 0.5, 0.9] {
                let task = Task::new(TaskKind::Multiclass, &classes(k), None, &weights, &examples).unwrap();
                let task = Task { label_smoothing, ..task };
                let of_classes: Vec<f32> = task.weights.iter().map(|&weight| weight as f32).collect();
                let of_classes = (!of_classes.is_empty()).then(|| Tensor::from_slice(&of_classes));
                let gradient = |of: &dyn Fn(&Tensor) -> Tensor| {
                    let logits = logits.copy().set_requires_grad(true);
                    let loss = of(&logits);
                    let gradient = Tensor::run_backward(&[&loss], &[&logits], false, false);
                    (loss.double_value(&[]), gradient[0].copy())
                };
                let labels = Tensor::from_slice(&labels).view([-1, 1]);
                let (own, of_own) = gradient(&|logits| Criterion::new(&task, Device::Cpu).loss(logits, &labels));
                let (expected, of_expected) = gradient(&|logits| {
                    logits.cross_entropy_loss(&targets, of_classes.as_ref(), Reduction::Mean, -100, label_smoothing)
                });
                assert!(
                    (own - expected).abs() < 1e-6 * expected.max(1.0),
                    "{weights:?} {label_smoothing}: {own} {expected}"
                );
                assert!((of_own - of_expected).abs().max().double_value(&[]) < 1e-6, "{weights:?} {label_smoothing}");
            }
        }
    }

    #[test]
    fn what_is_missing_moves_nothing_and_the_rest_as_without_it() {
        for (kind, losses, examples, logits) in questions().into_iter().skip(2) {
            let names = classes(2);
            for loss in losses {
                let task = Task::new(kind, &names, Some(loss), &ClassWeights::None, &examples).unwrap();
                let gradient = |labels: &[f32], has_missing: bool| -> Vec<f32> {
                    let task = Task { has_missing, ..task.clone() };
                    let tensor = Tensor::from_slice(&logits).view([3, 2]).set_requires_grad(true);
                    let labels = Tensor::from_slice(labels).view([3, 2]);
                    let loss = Criterion::new(&task, Device::Cpu).loss(&tensor, &labels);
                    Vec::try_from(Tensor::run_backward(&[loss], &[&tensor], false, false)[0].flatten(0, -1)).unwrap()
                };
                let is_missing: Vec<bool> = examples.labels.iter().map(|label| label.is_nan()).collect();
                let filled: Vec<f32> =
                    examples.labels.iter().map(|&label| if label.is_nan() { 1.0 } else { label }).collect();
                let (found, whole) = (gradient(&examples.labels, true), gradient(&filled, false));
                let known = is_missing.iter().filter(|is_missing| !**is_missing).count() as f32;
                for ((found, whole), is_missing) in found.iter().zip(&whole).zip(&is_missing) {
                    let expected = if *is_missing { 0.0 } else { whole * 6.0 / known };
                    assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{kind:?} {loss:?}");
                }
            }
        }
    }

    #[test]
    fn without_libtorch_the_loss_of_two_classes_and_its_gradient_are_the_same() {
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let labels = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        let examples = Examples::from_codes(&[0; 14], 2, &labels);
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
                        let (loss, right) = task.binary_loss().unwrap().of(logits, labels, n);
                        (own, hits) = (own + loss, hits + right);
                    }
                    let tensor = Tensor::from_slice(&logits).view([-1, 1]).set_requires_grad(true);
                    let of_labels = Tensor::from_slice(&labels).view([-1, 1]);
                    let expected = Criterion::new(&task, Device::Cpu).loss(&tensor, &of_labels);
                    assert!((own - expected.double_value(&[])).abs() < 1e-5 * own.max(1.0), "{loss:?}");
                    assert_eq!(
                        hits as f64,
                        Criterion::new(&task, Device::Cpu).hits(&tensor, &of_labels).unwrap().double_value(&[])
                    );
                    let expected = &Tensor::run_backward(&[expected], &[&tensor], false, false)[0];
                    let difference = (Tensor::from_slice(&gradient).view([-1, 1]) - expected).abs().max();
                    assert!(difference.double_value(&[]) < 1e-6, "{loss:?} {label_smoothing}");
                }
            }
        }
    }

    #[test]
    fn the_loss_of_profiles_is_that_of_validation_and_moves_what_it_should() {
        let shape = ProfileShape { tracks: vec![1, 2], length: 3, ..ProfileShape::default() };
        let mut writer = ExamplesWriter::new(2, 2, u64::MAX).with_profiles(Some(shape.clone()));
        let counts: Vec<[f32; 9]> = (0..4).map(|i| std::array::from_fn(|at| ((i * 5 + at * 3) % 7) as f32)).collect();
        for (i, counts) in counts.iter().enumerate() {
            let origin = Examples::from_codes(&[0, 1], 2, &[0.0]).origins[0].clone();
            writer.push(&[0, 1], &log_counts(&shape, counts), origin).unwrap();
            writer.push_profile(counts, i % 2 == 0);
        }
        let examples = writer.finish().unwrap();
        let task = Task::new(TaskKind::Profile, &classes(2), None, &ClassWeights::None, &examples).unwrap();
        assert_eq!(task.loss, Loss::Multinomial);
        let profile = task.profile.clone().unwrap();
        // Medians of the counts of both peaks, over two groups.
        let of_peaks: Vec<f32> = [0, 2].iter().map(|&i: &usize| counts[i].iter().sum()).collect();
        assert!((profile.counts_weight - f64::from(of_peaks[0] + of_peaks[1]) / 2.0 / 2.0 / 10.0).abs() < 1e-6);
        let logits: Vec<f32> = (0..44).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
        let labels = Tensor::from_slice(examples.targets()).view([4, 10]);
        for of_background in [false, true] {
            let profile = Some(ProfileTask { of_background, ..profile.clone() });
            let task = Task { profile, ..task.clone() };
            let tensor = Tensor::from_slice(&logits).view([4, 11]).set_requires_grad(true);
            let loss = Criterion::new(&task, Device::Cpu).loss(&tensor, &labels);
            let own = task.loss_of(&examples, &task.activate_each(&logits).unwrap());
            assert!((loss.double_value(&[]) - own).abs() < 1e-5 * own, "{of_background}: {own}");
            let gradient = Tensor::run_backward(&[loss], &[&tensor], false, false).remove(0).abs();
            let moved = |row: i64, first: i64, n: i64| {
                gradient.select(0, row).narrow(0, first, n).max().double_value(&[]) > 0.0
            };
            for row in 0..4 {
                let is_learned = (row % 2 == 0) != of_background;
                assert_eq!(moved(row, 0, 9), is_learned, "{of_background} {row}");
                // The counts of background count too, where peaks are learned.
                assert_eq!(moved(row, 9, 2), is_learned || !of_background, "{of_background} {row}");
            }
        }
    }
}
