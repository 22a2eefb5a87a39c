//! What a task takes from its examples: loss, weights and scales of training, and the metric that chooses the best epoch.

use anyhow::{Result, bail};

use super::{ProfileTask, Scale, Task};
use crate::config::{ClassWeights, Loss, Metric, TaskKind};
use crate::dataset::Classes;
use crate::dataset::examples::{Examples, Profiles};
use crate::metrics;
use crate::metrics::Ranking;
use crate::task::calibration::Calibration;

/// Upper limit of the weight of a rare label with `--class-weights auto`.
const LARGEST_LABEL_WEIGHT: f64 = 100.0;

impl Task {
    /// Derives the loss, the weights and the scales from the training examples.
    ///
    /// # Errors
    /// The loss or the weights do not suit the kind of task, or counts are negative.
    pub fn new(
        kind: TaskKind,
        classes: &Classes,
        loss: Option<Loss>,
        weights: &ClassWeights,
        train: &Examples,
    ) -> Result<Self> {
        let is_regression = kind.predicts_values();
        let loss = loss.unwrap_or(match kind {
            TaskKind::Profile => Loss::Multinomial,
            TaskKind::Regression => Loss::Mse,
            _ => Loss::CrossEntropy,
        });
        match loss {
            _ if (kind == TaskKind::Profile) != (loss == Loss::Multinomial) => {
                bail!("--loss multinomial goes with --task profile, and with nothing else; remove --loss")
            }
            Loss::Poisson if !is_regression => {
                bail!("--loss poisson goes with --task regression; use cross-entropy or mse here")
            }
            Loss::CrossEntropy if is_regression => {
                bail!("--loss cross-entropy goes with classes and labels; use mse or poisson for --task regression")
            }
            _ => {}
        }
        let count = classes.names.len();
        let scales = if is_regression { scales(train, classes, loss)? } else { Vec::new() };
        let mut task = Self {
            kind,
            loss,
            positive: classes.positive,
            count,
            bins: train.bins.as_ref().map(|bins| bins.of_each),
            profile: train.profiles.as_ref().map(|profiles| ProfileTask {
                shape: profiles.shape.clone(),
                counts_weight: counts_weight(train, profiles),
                of_background: false,
                bias_shift: None,
            }),
            weights: Vec::new(),
            scales,
            has_missing: train.labels.iter().any(|label| label.is_nan()),
            monitor: None,
            label_smoothing: 0.0,
            calibration: Calibration::default(),
        };
        task.weights = task.class_weights(weights, classes, train)?;
        Ok(task)
    }

    fn class_weights(&self, wanted: &ClassWeights, classes: &Classes, train: &Examples) -> Result<Vec<f64>> {
        if self.kind.predicts_values() && *wanted != ClassWeights::None {
            bail!("--class-weights goes with classes and labels, and --task regression has neither; remove it");
        }
        let n = train.len() as f64;
        let count_of =
            |label: usize, value: f32| (0..train.len()).filter(|&i| train.labels_of(i)[label] == value).count() as f64;
        Ok(match wanted {
            ClassWeights::None => Vec::new(),
            ClassWeights::Auto if self.kind == TaskKind::Multilabel => (0..self.count)
                .map(|label| {
                    let (positives, negatives) = (count_of(label, 1.0), count_of(label, 0.0));
                    (negatives / positives.max(1.0)).clamp(1.0 / LARGEST_LABEL_WEIGHT, LARGEST_LABEL_WEIGHT)
                })
                .collect(),
            ClassWeights::Auto => {
                let mut counts = vec![0.0; self.count];
                train.classes().into_iter().for_each(|class| counts[class] += 1.0);
                counts.iter().map(|count: &f64| n / (self.count as f64 * count.max(1.0))).collect()
            }
            ClassWeights::Given(given) => {
                let mut weights = vec![1.0; self.count];
                for (name, weight) in given {
                    let Some(class) = classes.names.iter().position(|class| class == name) else {
                        bail!(
                            "--class-weights names '{name}', expected names among {}; correct it",
                            classes.names.join(", ")
                        );
                    };
                    weights[class] = *weight;
                }
                weights
            }
        })
    }

    /// Accuracy, with correct predictions counted by `hits`.
    pub fn accuracy_of(&self, examples: &Examples, predictions: &[f64]) -> Option<f64> {
        let outputs = self.outputs();
        let right = |i: usize| -> f64 {
            let (found, labels) = (&predictions[i * outputs..(i + 1) * outputs], examples.labels_of(i));
            match self.kind {
                TaskKind::Binary => f64::from((found[0] >= 0.5) == (labels[0] as usize == self.positive)),
                TaskKind::Multiclass => f64::from(metrics::classes::highest(found) == labels[0] as usize),
                TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
                    let there = || labels.iter().zip(found).filter(|(label, _)| !label.is_nan());
                    let hits = there().filter(|&(&label, &p)| (p >= 0.5) == (label == 1.0)).count();
                    hits as f64 / there().count().max(1) as f64
                }
            }
        };
        let is_decision = !self.kind.predicts_values() && !examples.is_empty();
        is_decision.then(|| (0..examples.len()).map(right).sum::<f64>() / examples.len() as f64)
    }

    /// The metric that chooses the best epoch, for predictions `[n, outputs]`, or of each bin; higher is better, so a loss is
    /// negated. Chance level if it is undefined.
    pub fn selection(&self, examples: &Examples, predictions: &[f64]) -> f64 {
        let ranking = || Ranking::new(&self.positives(examples), predictions);
        let (value, chance) = match (self.monitored(), self.kind) {
            (Metric::Loss, _) => (Some(-self.loss_of(examples, predictions)), f64::NEG_INFINITY),
            (Metric::Accuracy, _) => (self.accuracy_of(examples, predictions), 0.0),
            (Metric::AveragePrecision, _) => (ranking().average_precision(), 0.0),
            (Metric::Mcc, _) => {
                let ranking = ranking();
                (ranking.mcc(ranking.best_threshold()), 0.0)
            }
            (Metric::R2 | Metric::Pearson, TaskKind::Profile) => {
                let (values, found) = (values(examples), self.means_of_bins(predictions.to_vec()));
                let metric = if self.monitored() == Metric::R2 {
                    metrics::regression::mean_r2
                } else {
                    metrics::regression::mean_pearson
                };
                (metric(&values, &found, self.count), 0.0)
            }
            (Metric::R2, _) => (
                metrics::regression::mean_r2(&self.values_of_bins(examples), &self.by_bin(predictions), self.count),
                0.0,
            ),
            (Metric::Pearson, _) => {
                let (values, predictions) = (self.values_of_bins(examples), self.by_bin(predictions));
                (metrics::regression::mean_pearson(&values, &predictions, self.count), 0.0)
            }
            (Metric::Auroc, TaskKind::Multiclass) => {
                (metrics::classes::macro_auroc(&examples.classes(), predictions, self.count), 0.5)
            }
            (Metric::Auroc, TaskKind::Multilabel) => {
                (metrics::labels::macro_auroc(&yes_no(examples), predictions, self.count), 0.5)
            }
            (Metric::Auroc, _) => (ranking().auroc(), 0.5),
        };
        value.unwrap_or(chance)
    }

    /// Values as rows of bins, `[n * bins, columns]`; without bins, of examples.
    pub fn values_of_bins(&self, examples: &Examples) -> Vec<f64> {
        self.by_bin(&examples.targets().iter().map(|&value| f64::from(value)).collect::<Vec<_>>())
    }

    /// Loss of predictions `[n, outputs]`, or of each bin, for validation.
    pub fn loss_of(&self, examples: &Examples, predictions: &[f64]) -> f64 {
        if let (Some(task), Some(profiles)) = (&self.profile, &examples.profiles) {
            return profile_loss(task, profiles, predictions);
        }
        let outputs = self.network_outputs().numbers();
        let there = examples.labels.iter().filter(|label| !label.is_nan()).count();
        // The mean over all labels, or over those that are there.
        let has_missing = there < examples.labels.len();
        let of_row = if has_missing { there as f64 / examples.len() as f64 } else { outputs as f64 };
        let weight = |class: usize| self.weights.get(class).copied().unwrap_or(1.0);
        let log = |p: f64| -p.max(f64::MIN_POSITIVE).ln();
        let one = |i: usize| -> f64 {
            let found = &predictions[i * outputs..(i + 1) * outputs];
            let labels = examples.targets_of(i);
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
                    let there = labels.iter().zip(found).enumerate().filter(|(_, (label, _))| !label.is_nan());
                    let each = there.map(|(k, (&label, &p))| {
                        let right = if label == 1.0 { p } else { 1.0 - p };
                        let weight = if label == 1.0 { weight(k) } else { 1.0 };
                        weight * if loss == Loss::Mse { (1.0 - right).powi(2) } else { log(right) }
                    });
                    each.sum::<f64>() / of_row
                }
                (TaskKind::Regression | TaskKind::Profile, loss) => {
                    let there = labels
                        .iter()
                        .zip(found)
                        .zip(self.scales_of_outputs())
                        .filter(|((value, _), _)| !value.is_nan());
                    let each = there.map(|((&value, &p), scale)| match loss {
                        Loss::Poisson => {
                            (p - f64::from(value) * (p / scale.mean).max(f64::MIN_POSITIVE).ln()) / scale.mean
                        }
                        _ => ((p - f64::from(value)) / scale.deviation).powi(2),
                    });
                    each.sum::<f64>() / of_row
                }
            }
        };
        let n = if self.kind == TaskKind::Multiclass && self.loss == Loss::CrossEntropy {
            // As PyTorch's, the mean is over the weights of the true classes.
            (0..examples.len()).map(|i| weight(examples.class_of(i))).sum::<f64>()
        } else {
            examples.len() as f64
        };
        (0..examples.len()).map(one).sum::<f64>() / if n > 0.0 { n } else { 1.0 }
    }

    /// Whether each example belongs to the positive class, `[n]`; binary tasks only.
    pub fn positives(&self, examples: &Examples) -> Vec<bool> {
        (0..examples.len()).map(|i| examples.class_of(i) == self.positive).collect()
    }
}

/// The loss of profiles: the mean negative log-likelihood of the counts of a peak, without its combinatorial term, which
/// predictions do not change, and the weight times the mean squared error of log counts of all examples; of several groups, their sums.
fn profile_loss(task: &ProfileTask, profiles: &Profiles, predictions: &[f64]) -> f64 {
    let ProfileTask { shape, counts_weight, of_background, .. } = task;
    let (mut likelihood, mut squares, mut learned, mut counted) = (0.0, 0.0, 0.0, 0.0);
    for (i, found) in predictions.chunks(shape.outputs()).enumerate() {
        let counts = profiles.counts_of(i);
        let is_learned = profiles.is_peak(i) != *of_background;
        learned += f64::from(u8::from(is_learned));
        if *of_background && !is_learned {
            continue;
        }
        counted += 1.0;
        for (group, range) in shape.of_groups().enumerate() {
            let counts = &counts[range.clone()];
            let log_count = counts.iter().map(|&count| f64::from(count)).sum::<f64>().ln_1p();
            squares += (found[shape.values() + group] - log_count).powi(2);
            if is_learned {
                let logs = metrics::profile::log_softmax(&found[range]);
                likelihood -= counts.iter().zip(logs).map(|(&count, log)| f64::from(count) * log).sum::<f64>();
            }
        }
    }
    likelihood / f64::max(learned, 1.0) + counts_weight * squares / f64::max(counted, 1.0)
}

/// A tenth of the median counts of training peaks, as in ChromBPNet, over the length whose profile is predicted.
fn counts_weight(train: &Examples, profiles: &Profiles) -> f64 {
    let peaks = (0..train.len()).filter(|&i| profiles.is_peak(i));
    let counts = |i: usize| profiles.counts_of(i).iter().map(|&count| f64::from(count)).sum::<f64>();
    let mut all: Vec<f64> = peaks.map(counts).collect();
    all.sort_by(f64::total_cmp);
    // Also where most have no counts, counts are learned.
    metrics::quantile(&all, 0.5).unwrap_or(1.0).max(1.0) / profiles.shape.groups() as f64 / 10.0
}

/// Labels as booleans, `[n, labels]`; `None` where one is missing.
pub fn yes_no(examples: &Examples) -> Vec<Option<bool>> {
    examples.labels.iter().map(|&label| (!label.is_nan()).then_some(label == 1.0)).collect()
}

/// Labels that are there, and the predictions of them, of `[n, labels]`.
pub fn known_labels(examples: &Examples, predictions: &[f64]) -> (Vec<bool>, Vec<f64>) {
    let pairs = yes_no(examples).into_iter().zip(predictions);
    pairs.filter_map(|(label, &prediction)| Some((label?, prediction))).unzip()
}

/// Values, `[n, columns]`; `NaN` where one is missing.
pub fn values(examples: &Examples) -> Vec<f64> {
    examples.labels.iter().map(|&value| f64::from(value)).collect()
}

fn scales(train: &Examples, classes: &Classes, loss: Loss) -> Result<Vec<Scale>> {
    classes
        .names
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let along = train.values_along();
            // Of a profile, the log counts.
            let numbers = |i| if train.profiles.is_some() { train.labels_of(i) } else { train.targets_of(i) };
            let bins = |i| &numbers(i)[column * along..(column + 1) * along];
            let all = (0..train.len()).flat_map(|i| bins(i).iter().map(|&value| f64::from(value)));
            let values: Vec<f64> = all.filter(|value| !value.is_nan()).collect();
            if loss == Loss::Poisson
                && let Some(negative) = values.iter().find(|value| **value < 0.0)
            {
                bail!(
                    "column '{name}' holds {negative}, expected counts of 0 or more for --loss poisson; use --loss mse"
                );
            }
            let n = values.len().max(1) as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
            Ok(Scale { mean, deviation: if variance > 0.0 { variance.sqrt() } else { 1.0 } })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: usize) -> Classes {
        Classes { names: (0..n).map(|i| format!("c{i}")).collect(), positive: 0 }
    }

    #[test]
    fn losses_and_weights_that_do_not_fit_the_question_are_refused() {
        let (names, examples) = (classes(2), Examples::from_codes(&[0; 6], 2, &[0.0, 1.0, 0.0]));
        let new = |kind, loss, weights: &ClassWeights| Task::new(kind, &names, Some(loss), weights, &examples);
        let values = Examples::from_codes(&[0; 6], 2, &[3.0, 0.0, -7.0, 10.0, 1.0, 1.0]);
        assert!(new(TaskKind::Binary, Loss::Poisson, &ClassWeights::None).is_err());
        assert!(
            Task::new(TaskKind::Regression, &names, Some(Loss::CrossEntropy), &ClassWeights::None, &values).is_err()
        );
        let negative = Task::new(TaskKind::Regression, &names, Some(Loss::Poisson), &ClassWeights::None, &values);
        assert!(negative.unwrap_err().to_string().contains("'c0' holds -7"));
        let unknown = new(TaskKind::Binary, Loss::Mse, &ClassWeights::Given(vec![("other".into(), 2.0)]));
        assert!(unknown.unwrap_err().to_string().contains("'other'"));
    }

    #[test]
    fn what_is_missing_counts_for_nothing() {
        let nan = f32::NAN;
        let names = classes(2);
        let values = Examples::from_codes(&[0; 8], 2, &[1.0, nan, 3.0, 10.0, nan, 20.0, nan, 30.0]);
        let task = Task::new(TaskKind::Regression, &names, None, &ClassWeights::None, &values).unwrap();
        assert!(task.has_missing);
        assert_eq!((task.scales[0].mean, task.scales[0].deviation), (2.0, 1.0));
        assert_eq!(task.scales[1].mean, 20.0);
        // Each value is off by one deviation of its column, whatever the predictions for the others.
        let (deviation, far) = (task.scales[1].deviation, 1e6);
        let off = [2.0, far, 4.0, 10.0 + deviation, far, 20.0 - deviation, far, 30.0 + deviation];
        assert!((task.loss_of(&values, &off) - 1.0).abs() < 1e-9);

        let labels = Examples::from_codes(&[0; 8], 2, &[1.0, nan, 0.0, 0.0, nan, 1.0, 0.0, nan]);
        let task = Task::new(TaskKind::Multilabel, &names, None, &ClassWeights::Auto, &labels).unwrap();
        assert_eq!(task.weights, [2.0, 1.0]);
        let predictions = [0.9, 0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9];
        assert_eq!(task.accuracy_of(&labels, &predictions), Some((1.0 + 0.5 + 1.0 + 0.0) / 4.0));
        assert_eq!(known_labels(&labels, &predictions).0, [true, false, false, true, false]);
        let all = Examples::from_codes(&[0; 4], 2, &[1.0, 0.0, 0.0, 1.0]);
        assert!(!Task::new(TaskKind::Multilabel, &names, None, &ClassWeights::Auto, &all).unwrap().has_missing);
    }

    #[test]
    fn auto_weights_let_every_class_count_the_same() {
        let examples = Examples::from_codes(&[0; 8], 2, &[0.0, 1.0, 1.0, 1.0]);
        let task = Task::new(TaskKind::Binary, &classes(2), None, &ClassWeights::Auto, &examples).unwrap();
        assert_eq!(task.weights, [2.0, 2.0 / 3.0]);
    }
}
