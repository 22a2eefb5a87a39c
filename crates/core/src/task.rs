//! The task of a network: binary, multiclass, multilabel or regression. Its loss, how logits become predictions, and
//! the metric that chooses the best epoch.

pub mod calibration;
#[cfg(feature = "files")]
mod learning;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::{Architecture, CalibrationMethod, LONGEST_BP, Loss, Metric, TaskKind, TrainingConfig};
use crate::network::Outputs;
use crate::network::kernels::BinaryLoss;
use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileShape;
use crate::task::calibration::Calibration;
#[cfg(feature = "files")]
pub use crate::task::learning::{known_labels, values, yes_no};

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
        let ProfileShape { tracks, length, control, .. } = &self.shape;
        tracks.len() == groups
            && tracks.iter().all(|tracks| (1..=2).contains(tracks))
            && (1..=LONGEST_BP).contains(length)
            && *control <= 2
            && self.counts_weight.is_finite()
            && self.bias_shift.as_ref().is_none_or(|shift| shift.len() == groups)
    }

    /// Whether the loss is of the profile of each example, from targets as the rows of profiles have them.
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

    /// Numbers `[n, columns, bins]` as rows of bins, `[n * bins, columns]`; without bins they are the same.
    pub fn by_bin(&self, numbers: &[f64]) -> Vec<f64> {
        let along = self.bins.map_or(1, |bins| bins.count);
        let of_example = |row: &[f64]| -> Vec<f64> {
            (0..row.len()).map(|at| row[at % self.count * along + at / self.count]).collect()
        };
        numbers.chunks(self.count * along).flat_map(of_example).collect()
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
