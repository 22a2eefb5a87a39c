//! The question put to a network: one of two classes, one of several, several yes/no labels, or real values. Its loss,
//! how logits become predictions, and the one number that chooses the best epoch.

mod loss;

pub use loss::{Criterion, YesNoLoss};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::config::{ClassWeights, Loss, Metric, TaskKind, TrainingConfig};
use crate::data::Classes;
use crate::data::examples::Examples;
use crate::device;
use crate::metrics::{self, Ranking};

/// Labels that are this much rarer than their opposite count this much more with `--class-weights auto`, and no more.
const LARGEST_LABEL_WEIGHT: f64 = 100.0;

/// A question, with all that turns logits into predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub kind: TaskKind,
    pub loss: Loss,
    /// Index of the positive class, of two.
    pub positive: usize,
    /// Classes, labels or columns.
    pub count: usize,
    /// Weight of each class, or of the positives of each label; empty where all count the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Of each column of values in the training examples; empty for classes and labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<Scale>,
    /// What chooses the best epoch; the question's own choice where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Metric>,
    /// Share of each label that training spreads over all classes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// What logits are divided by before they become probabilities, so that these mean what they say.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub temperature: f64,
}

fn one() -> f64 {
    1.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// What the values of a column are measured against, so that a network need not learn their unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    pub mean: f64,
    pub deviation: f64,
}

impl Task {
    /// Settles the loss, the weights and the scales from the training examples.
    ///
    /// # Errors
    /// The loss or the weights do not go with the question, or counts are negative.
    pub fn new(
        kind: TaskKind,
        classes: &Classes,
        loss: Option<Loss>,
        weights: &ClassWeights,
        train: &Examples,
    ) -> Result<Self> {
        let is_regression = kind == TaskKind::Regression;
        let loss = loss.unwrap_or(if is_regression { Loss::Mse } else { Loss::CrossEntropy });
        match loss {
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
            weights: Vec::new(),
            scales,
            monitor: None,
            label_smoothing: 0.0,
            temperature: 1.0,
        };
        task.weights = task.class_weights(weights, classes, train)?;
        Ok(task)
    }

    /// The same, trained as `training` says.
    ///
    /// # Errors
    /// The metric that is to choose the best epoch, or label smoothing, does not go with the question.
    pub fn trained_by(self, training: &TrainingConfig) -> Result<Self> {
        let allowed: &[Metric] = match self.kind {
            TaskKind::Binary => &[Metric::Auroc, Metric::AveragePrecision, Metric::Accuracy, Metric::Mcc, Metric::Loss],
            TaskKind::Multiclass | TaskKind::Multilabel => &[Metric::Auroc, Metric::Accuracy, Metric::Loss],
            TaskKind::Regression => &[Metric::R2, Metric::Pearson, Metric::Loss],
        };
        if let Some(metric) = training.monitor.filter(|metric| !allowed.contains(metric)) {
            let names: Vec<&str> = allowed.iter().map(|metric| metric.name()).collect();
            bail!("--monitor {} does not go with this question, expected {}", metric.name(), names.join(", "));
        }
        if self.kind == TaskKind::Regression && training.label_smoothing > 0.0 {
            bail!("--label-smoothing goes with classes and labels, and --task regression has neither; remove it");
        }
        Ok(Self { monitor: training.monitor, label_smoothing: training.label_smoothing, ..self })
    }

    /// Numbers a network gives for each sequence.
    pub fn outputs(&self) -> usize {
        if self.kind == TaskKind::Binary { 1 } else { self.count }
    }

    fn class_weights(&self, wanted: &ClassWeights, classes: &Classes, train: &Examples) -> Result<Vec<f64>> {
        if self.kind == TaskKind::Regression && *wanted != ClassWeights::None {
            bail!("--class-weights goes with classes and labels, and --task regression has neither; remove it");
        }
        let n = train.len() as f64;
        let positives = |label: usize| (0..train.len()).filter(|&i| train.labels_of(i)[label] == 1.0).count() as f64;
        Ok(match wanted {
            ClassWeights::None => Vec::new(),
            ClassWeights::Auto if self.kind == TaskKind::Multilabel => (0..self.count)
                .map(|label| {
                    let positives = positives(label);
                    ((n - positives) / positives.max(1.0)).clamp(1.0 / LARGEST_LABEL_WEIGHT, LARGEST_LABEL_WEIGHT)
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

    /// Predictions of the same shape as logits `[batch, outputs]`: the probability of the positive class, of each class,
    /// of each label, or values.
    pub fn predictions(&self, logits: &Tensor) -> Tensor {
        self.head(logits.device()).predictions(logits)
    }

    /// What turns logits into predictions, with its tensors at hand.
    pub fn head(&self, device: Device) -> Head<'_> {
        Head { task: self, scales: self.scale_tensors(device) }
    }

    /// Means and deviations, `[1, outputs]` each.
    fn scale_tensors(&self, device: Device) -> (Tensor, Tensor) {
        let of = |value: fn(&Scale) -> f64| {
            let values: Vec<f32> = self.scales.iter().map(|scale| value(scale) as f32).collect();
            device::upload(&values, device).view([1, -1])
        };
        (of(|scale| scale.mean), of(|scale| scale.deviation))
    }

    /// How many of a batch are right, a scalar on the device: the class (the more probable of two), or the share of labels.
    /// Nothing for values.
    pub fn hits(&self, logits: &Tensor, labels: &Tensor) -> Option<Tensor> {
        let hits = match self.kind {
            TaskKind::Binary => logits.gt(0.0).eq_tensor(&labels.eq(self.positive as f64)).sum(Kind::Double),
            TaskKind::Multiclass => logits.argmax(1, true).eq_tensor(&labels.to_kind(Kind::Int64)).sum(Kind::Double),
            TaskKind::Multilabel => logits
                .gt(0.0)
                .eq_tensor(&labels.gt(0.5))
                .to_kind(Kind::Double)
                .mean_dim(1, false, Kind::Double)
                .sum(Kind::Double),
            TaskKind::Regression => return None,
        };
        Some(hits)
    }

    /// The share of examples that are right, as `hits` counts them.
    pub fn accuracy_of(&self, examples: &Examples, predictions: &[f64]) -> Option<f64> {
        let outputs = self.outputs();
        let right = |i: usize| -> f64 {
            let (found, labels) = (&predictions[i * outputs..(i + 1) * outputs], examples.labels_of(i));
            match self.kind {
                TaskKind::Binary => f64::from((found[0] >= 0.5) == (labels[0] as usize == self.positive)),
                TaskKind::Multiclass => f64::from(metrics::classes::highest(found) == labels[0] as usize),
                TaskKind::Multilabel | TaskKind::Regression => {
                    let hits = labels.iter().zip(found).filter(|&(&label, &p)| (p >= 0.5) == (label == 1.0)).count();
                    hits as f64 / outputs as f64
                }
            }
        };
        let is_decision = self.kind != TaskKind::Regression && !examples.is_empty();
        is_decision.then(|| (0..examples.len()).map(right).sum::<f64>() / examples.len() as f64)
    }

    /// The metric that chooses the best epoch, by the name it has in `metrics.json` and `history.csv`.
    pub fn selection_metric(&self) -> &'static str {
        match (self.monitored(), self.kind) {
            (Metric::Auroc, TaskKind::Multiclass | TaskKind::Multilabel) => "macro_auroc",
            (Metric::AveragePrecision, _) => "average_precision",
            (metric, _) => metric.name(),
        }
    }

    fn monitored(&self) -> Metric {
        self.monitor.unwrap_or(match self.kind {
            // Of counts, whose spread grows with them, the few largest would decide R2.
            TaskKind::Regression if self.loss == Loss::Poisson => Metric::Pearson,
            TaskKind::Regression => Metric::R2,
            _ => Metric::Auroc,
        })
    }

    /// That metric of predictions `[n, outputs]`, higher being better (a loss comes out negative); chance where it is
    /// undefined.
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
            (Metric::R2, _) => (metrics::regression::mean_r2(&values(examples), predictions, self.count), 0.0),
            (Metric::Pearson, _) => {
                (metrics::regression::mean_pearson(&values(examples), predictions, self.count), 0.0)
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

    /// Which examples are of the positive class, of two, `[n]`.
    pub fn positives(&self, examples: &Examples) -> Vec<bool> {
        (0..examples.len()).map(|i| examples.class_of(i) == self.positive).collect()
    }
}

/// The last step from logits to predictions. A model is traced with one made before: tensors made from numbers while
/// tracing would come out as nothing.
pub struct Head<'a> {
    task: &'a Task,
    scales: (Tensor, Tensor),
}

impl Head<'_> {
    pub fn predictions(&self, logits: &Tensor) -> Tensor {
        match self.task.kind {
            TaskKind::Binary | TaskKind::Multilabel => (logits / self.task.temperature).sigmoid(),
            TaskKind::Multiclass => (logits / self.task.temperature).softmax(1, Kind::Float),
            TaskKind::Regression => {
                let (mean, deviation) = &self.scales;
                match self.task.loss {
                    Loss::Poisson => logits.exp() * mean,
                    _ => logits * deviation + mean,
                }
            }
        }
    }
}

/// Labels as yes or no, `[n, labels]`.
pub fn yes_no(examples: &Examples) -> Vec<bool> {
    examples.labels.iter().map(|&label| label == 1.0).collect()
}

/// Values, `[n, columns]`.
pub fn values(examples: &Examples) -> Vec<f64> {
    examples.labels.iter().map(|&value| f64::from(value)).collect()
}

fn scales(train: &Examples, classes: &Classes, loss: Loss) -> Result<Vec<Scale>> {
    classes
        .names
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let values: Vec<f64> = (0..train.len()).map(|i| f64::from(train.labels_of(i)[column])).collect();
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

    /// Three examples of every kind of question, with logits for them.
    fn questions() -> Vec<(TaskKind, Vec<Loss>, Examples, Vec<f32>)> {
        let codes = [0u8; 6];
        let of = |labels: &[f32]| Examples::of(&codes, 2, labels);
        let (ce, mse, poisson) = (Loss::CrossEntropy, Loss::Mse, Loss::Poisson);
        let wide = vec![-2.0f32, 0.5, 3.0, 0.1, -0.4, 1.5];
        vec![
            (TaskKind::Binary, vec![ce, mse], of(&[0.0, 1.0, 0.0]), vec![-2.0, 0.5, 3.0]),
            (TaskKind::Multiclass, vec![ce, mse], of(&[1.0, 0.0, 1.0]), wide.clone()),
            (TaskKind::Multilabel, vec![ce, mse], of(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]), wide.clone()),
            (TaskKind::Regression, vec![mse, poisson], of(&[3.0, 0.0, 7.0, 10.0, 1.0, 1.0]), wide),
        ]
    }

    #[test]
    fn the_loss_and_the_hits_of_predictions_are_those_of_logits() {
        for (kind, losses, examples, logits) in questions() {
            let names = classes(2);
            for loss in losses {
                let all = [ClassWeights::None, ClassWeights::Auto, ClassWeights::Given(vec![("c1".into(), 2.5)])];
                let weights = if kind == TaskKind::Regression { &all[..1] } else { &all[..] };
                for weights in weights {
                    let task = Task::new(kind, &names, Some(loss), weights, &examples).unwrap();
                    let logits = Tensor::from_slice(&logits).view([3, task.outputs() as i64]);
                    let labels = Tensor::from_slice(&examples.labels).view([3, -1]);
                    let predictions = task.predictions(&logits);
                    assert_eq!(predictions.size(), logits.size());
                    let predictions: Vec<f64> =
                        Vec::try_from(predictions.to_kind(Kind::Double).flatten(0, -1)).unwrap();
                    let expected = task.criterion(Device::Cpu).loss(&logits, &labels).double_value(&[]);
                    let found = task.loss_of(&examples, &predictions);
                    assert!(
                        (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
                        "{kind:?} {loss:?} {weights:?}: {found} {expected}"
                    );
                    let hits = task.hits(&logits, &labels).map(|hits| hits.double_value(&[]) / 3.0);
                    assert_eq!(hits, task.accuracy_of(&examples, &predictions), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn losses_and_weights_that_do_not_fit_the_question_are_refused() {
        let (names, examples) = (classes(2), Examples::of(&[0; 6], 2, &[0.0, 1.0, 0.0]));
        let new = |kind, loss, weights: &ClassWeights| Task::new(kind, &names, Some(loss), weights, &examples);
        let values = Examples::of(&[0; 6], 2, &[3.0, 0.0, -7.0, 10.0, 1.0, 1.0]);
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
    fn auto_weights_let_every_class_count_the_same() {
        let examples = Examples::of(&[0; 8], 2, &[0.0, 1.0, 1.0, 1.0]);
        let task = Task::new(TaskKind::Binary, &classes(2), None, &ClassWeights::Auto, &examples).unwrap();
        assert_eq!(task.weights, [2.0, 2.0 / 3.0]);
    }
}
