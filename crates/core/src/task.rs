//! The task of a network: binary, multiclass, multilabel or regression. Its loss, how logits become predictions, and
//! the metric that chooses the best epoch.

pub mod calibration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::{
    Architecture, CalibrationMethod, ClassWeights, LONGEST_BP, Loss, Metric, TaskKind, TrainingConfig,
};
use crate::dataset::Classes;
use crate::dataset::examples::{Examples, Profiles};
use crate::metrics;
use crate::metrics::Ranking;
use crate::network::Outputs;
use crate::network::kernels::BinaryLoss;
use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileShape;
use crate::task::calibration::Calibration;

/// Upper limit of the weight of a rare label with `--class-weights auto`.
const LARGEST_LABEL_WEIGHT: f64 = 100.0;

/// A task, with everything that turns logits into predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Kind of task, which decides the activation and the metrics.
    pub kind: TaskKind,
    /// Loss that training minimises.
    pub loss: Loss,
    /// Index of the positive class; binary tasks only.
    pub positive: usize,
    /// Number of classes, labels or columns.
    pub count: usize,
    /// Bins along a sequence, for each of which a network gives all columns; regression only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// The tracks of a profile and how its counts are weighed; profiles only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileTask>,
    /// Weight of each class, or of the positives of each label; empty if all are equal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Scale of each column in the training examples; regression only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<Scale>,
    /// Whether the training examples lack some of their labels or values, which count for nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_missing: bool,
    /// Metric that chooses the best epoch; `None` for the default of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Metric>,
    /// Share of each label that is spread evenly over all classes in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// What calibrates the probabilities, and the prior that they are made for. Runs of earlier versions hold a
    /// temperature.
    #[serde(default, alias = "temperature", skip_serializing_if = "Calibration::is_default")]
    pub calibration: Calibration,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// What a network learns of profiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileTask {
    /// The tracks.
    pub shape: ProfileShape,
    /// Weight of the squared error of log counts beside the loss of the profile.
    pub counts_weight: f64,
    /// Whether the loss is of background, not of peaks: a network that learns an enzyme's preference.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_background: bool,
    /// What is added to the log counts of the run's bias model, of each group; nothing where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_shift: Option<Vec<f64>>,
}

impl ProfileTask {
    /// Whether it can be of so many groups.
    pub fn fits(&self, groups: usize) -> bool {
        let ProfileShape { tracks, length, control } = &self.shape;
        tracks.len() == groups
            && tracks.iter().all(|tracks| (1..=2).contains(tracks))
            && (1..=LONGEST_BP).contains(length)
            && *control <= 2
            && self.counts_weight.is_finite()
            && self.bias_shift.as_ref().is_none_or(|shift| shift.len() == groups)
    }

    /// Whether the loss is of the profile of each example, from targets as [`Profiles::row`] has them.
    pub fn learned(&self, targets: &[f32]) -> Vec<bool> {
        let width = self.shape.row();
        targets.chunks_exact(width).map(|row| (row[width - 1] > 0.0) != self.of_background).collect()
    }

    /// Counts that are expected at each base of each track of a group, `[tracks * length]`, from what a network gives for a sequence.
    pub fn expected_counts(&self, numbers: &[f64], group: usize) -> Vec<f64> {
        let range = self.shape.of_groups().nth(group).unwrap_or(0..0);
        let counts = numbers[self.shape.values() + group].exp_m1().max(0.0);
        softmax(&numbers[range]).into_iter().map(|share| share * counts).collect()
    }
}

/// Mean and standard deviation by which a column is standardised, so that a network need not learn its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Mean over the training examples, in the unit of the column.
    pub mean: f64,
    /// Standard deviation over the training examples, in the unit of the column.
    pub deviation: f64,
}

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

    /// Applies the monitored metric and label smoothing of a training configuration.
    ///
    /// # Errors
    /// The monitored metric, or label smoothing, does not suit the kind of task.
    pub fn trained_by(self, training: &TrainingConfig) -> Result<Self> {
        let allowed: &[Metric] = match self.kind {
            TaskKind::Binary => &[Metric::Auroc, Metric::AveragePrecision, Metric::Accuracy, Metric::Mcc, Metric::Loss],
            TaskKind::Multiclass | TaskKind::Multilabel => &[Metric::Auroc, Metric::Accuracy, Metric::Loss],
            TaskKind::Regression | TaskKind::Profile => &[Metric::R2, Metric::Pearson, Metric::Loss],
        };
        if let Some(metric) = training.monitor.filter(|metric| !allowed.contains(metric)) {
            let names: Vec<&str> = allowed.iter().map(|metric| metric.name()).collect();
            bail!("--monitor {} does not go with this question, expected {}", metric.name(), names.join(", "));
        }
        if self.kind.predicts_values() && training.label_smoothing > 0.0 {
            bail!("--label-smoothing goes with classes and labels, and --task regression has neither; remove it");
        }
        self.calibration_method(training)?;
        let mut profile = self.profile.clone();
        if let (Some(profile), Some(weight)) = (&mut profile, training.counts_weight) {
            profile.counts_weight = weight;
        }
        Ok(Self { monitor: training.monitor, label_smoothing: training.label_smoothing, profile, ..self })
    }

    /// The same task for a network of an architecture: a bias model learns background, and others peaks.
    pub fn of_architecture(mut self, arch: Architecture) -> Self {
        if let Some(profile) = &mut self.profile {
            profile.of_background = arch == Architecture::Bias;
        }
        self
    }

    /// How the probabilities are calibrated: as the configuration says, or the default of the kind of task.
    ///
    /// # Errors
    /// The method does not suit the kind of task.
    pub fn calibration_method(&self, training: &TrainingConfig) -> Result<CalibrationMethod> {
        use CalibrationMethod::{None, Platt, Temperature, Vector};
        let (default, other, suits) = match self.kind {
            TaskKind::Binary => (Platt, Vector, "two classes"),
            TaskKind::Multilabel => (Platt, Vector, "several labels"),
            TaskKind::Multiclass => (Vector, Platt, "several classes"),
            TaskKind::Regression | TaskKind::Profile => match training.calibration {
                // Temperature was the default of earlier versions, whose saved configurations name it.
                Option::None | Some(Temperature | None) => return Ok(None),
                Some(method) => bail!(
                    "--calibration {} goes with classes and labels, and --task regression has neither; remove it",
                    method.name()
                ),
            },
        };
        match training.calibration {
            Some(method) if method == other => bail!(
                "--calibration is {}, expected {}, temperature or none for {suits}",
                method.name(),
                default.name()
            ),
            method => Ok(method.unwrap_or(default)),
        }
    }

    /// Number of predictions for each sequence; of bins their mean is one.
    pub fn outputs(&self) -> usize {
        if self.kind == TaskKind::Binary { 1 } else { self.count }
    }

    /// What comes out of a network.
    pub fn network_outputs(&self) -> Outputs {
        let profile = self.profile.as_ref().map(|profile| profile.shape.clone());
        Outputs { columns: self.outputs(), bins: self.bins, profile }
    }

    /// Predictions `[n, outputs]` from those of bins, `[n, outputs, bins]`: their means; from a profile: its log counts. Without either
    /// they are the same.
    pub fn means_of_bins(&self, predictions: Vec<f64>) -> Vec<f64> {
        if let Some(ProfileTask { shape, .. }) = &self.profile {
            let log_counts = |row: &[f64]| row[shape.values()..].to_vec();
            return predictions.chunks(shape.outputs()).flat_map(log_counts).collect();
        }
        let Some(Bins { count, .. }) = self.bins else { return predictions };
        predictions.chunks(count).map(|bins| bins.iter().sum::<f64>() / count as f64).collect()
    }

    /// The scale of each of the numbers that come out of a network for a sequence, `[outputs, bins]`; those of profiles have none.
    pub fn scales_of_outputs(&self) -> impl Iterator<Item = &Scale> + Clone {
        let along = self.bins.map_or(1, |bins| bins.count);
        let scales = if self.profile.is_some() { &[] } else { &self.scales[..] };
        scales.iter().flat_map(move |scale| std::iter::repeat_n(scale, along))
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

    /// Converts logits, as they come out of a network, into predictions `[n, outputs]`: the probability of the positive class,
    /// of each class or of each label, or values; of bins their means.
    ///
    /// # Errors
    /// A prediction is not finite.
    pub fn activate(&self, logits: &[f32]) -> Result<Vec<f64>> {
        Ok(self.means_of_bins(self.activate_each(logits)?))
    }

    /// Converts logits into predictions of the same shape, so of each bin.
    ///
    /// # Errors
    /// A prediction is not finite.
    pub fn activate_each(&self, logits: &[f32]) -> Result<Vec<f64>> {
        let predictions: Vec<f64> = match self.kind {
            TaskKind::Binary | TaskKind::Multilabel => {
                self.calibrated(logits).into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
            }
            TaskKind::Multiclass => self.calibrated(logits).chunks(self.count).flat_map(softmax).collect(),
            TaskKind::Profile => logits.iter().map(|&logit| f64::from(logit)).collect(),
            TaskKind::Regression => {
                let value = |(logit, scale): (f64, &Scale)| match self.loss {
                    Loss::Poisson => logit.exp() * scale.mean,
                    _ => logit * scale.deviation + scale.mean,
                };
                logits.iter().map(|&logit| f64::from(logit)).zip(self.scales_of_outputs().cycle()).map(value).collect()
            }
        };
        require_finite(&predictions)?;
        Ok(predictions)
    }

    /// Calibrated logits, of the same shape as `logits`, `[n, outputs]`.
    pub fn calibrated(&self, logits: &[f32]) -> Vec<f64> {
        let outputs = self.outputs().max(1);
        let of = |(i, &logit): (usize, &f32)| self.calibration.of_logit(i % outputs, f64::from(logit));
        logits.iter().enumerate().map(of).collect()
    }

    /// The same task with probabilities as the network gives them.
    pub fn uncalibrated(&self) -> Self {
        Self { calibration: Calibration::default(), ..self.clone() }
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

    /// Name of the metric that chooses the best epoch, as in `metrics.json` and `history.csv`.
    pub fn selection_metric(&self) -> &'static str {
        match (self.monitored(), self.kind) {
            (Metric::Auroc, TaskKind::Multiclass | TaskKind::Multilabel) => "macro_auroc",
            (Metric::AveragePrecision, _) => "average_precision",
            (metric, _) => metric.name(),
        }
    }

    fn monitored(&self) -> Metric {
        self.monitor.unwrap_or(match self.kind {
            // For counts, whose variance grows with them, the few largest would dominate R2.
            TaskKind::Regression if self.loss == Loss::Poisson => Metric::Pearson,
            TaskKind::Regression => Metric::R2,
            TaskKind::Profile => Metric::Loss,
            _ => Metric::Auroc,
        })
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

    /// Numbers `[n, columns, bins]` as rows of bins, `[n * bins, columns]`; without bins they are the same.
    pub fn by_bin(&self, numbers: &[f64]) -> Vec<f64> {
        let along = self.bins.map_or(1, |bins| bins.count);
        let of_example = |row: &[f64]| -> Vec<f64> {
            (0..row.len()).map(|at| row[at % self.count * along + at / self.count]).collect()
        };
        numbers.chunks(self.count * along).flat_map(of_example).collect()
    }

    /// Values as rows of bins, `[n * bins, columns]`; without bins, of examples.
    pub fn values_of_bins(&self, examples: &Examples) -> Vec<f64> {
        self.by_bin(&examples.targets().iter().map(|&value| f64::from(value)).collect::<Vec<_>>())
    }

    /// The loss of a binary task as the CPU kernels take it.
    pub fn binary_loss(&self) -> Option<BinaryLoss> {
        (self.kind == TaskKind::Binary).then(|| BinaryLoss {
            is_squared: self.loss == Loss::Mse,
            positive: self.positive,
            label_smoothing: self.label_smoothing,
            weights: [0, 1].map(|class| self.weights.get(class).copied().unwrap_or(1.0)),
        })
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

/// Checks that all predictions are finite.
///
/// # Errors
/// A prediction is not finite.
pub fn require_finite(predictions: &[f64]) -> Result<()> {
    if predictions.iter().any(|prediction| !prediction.is_finite()) {
        bail!("the network's predictions are not finite numbers, so training has diverged; use a smaller --lr");
    }
    Ok(())
}

/// Probabilities of classes from their logits.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
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
