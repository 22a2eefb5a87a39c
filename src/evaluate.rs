//! Network times data gives predictions; predictions times labels give metrics.

pub mod breakdown;
pub mod floor;
pub mod members;
pub mod predictions;
pub mod strands;
pub mod temperature;

use anyhow::{Result, bail};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::config::TaskKind;
use crate::data::examples::Examples;
use crate::data::{Classes, alphabet};
use crate::metrics::{self, Ranking, Report};
use crate::model::{Network, ensemble};
use crate::task::{self, Task};
use breakdown::Breakdown;
use members::Members;
use strands::StrandAgreement;
use temperature::Validation;

/// Sequences of this length scored at a time: enough bases to keep every core busy, and little memory whatever the length.
pub fn batch_size(length: usize) -> usize {
    const BASES: usize = 1 << 17;
    (BASES / length.max(1)).clamp(1, 1024)
}

/// Which strand of each example is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strand {
    AsGiven,
    ReverseComplement,
}

/// Predictions of an ensemble for codes `[n, length]`, `[n, outputs]` row by row.
///
/// # Errors
/// The networks return something that is not a number.
pub fn predict(networks: &[Network], task: &Task, codes: &[u8]) -> Result<Vec<f64>> {
    let length = networks.first().map_or(1, |network| network.length);
    let mut predictions = Vec::with_capacity(codes.len() / length * task.outputs());
    for batch in codes.chunks(batch_size(length) * length) {
        predictions.extend(predictions_from(task, &logits_of_batch(networks, batch))?);
    }
    Ok(predictions)
}

/// Logits of an ensemble, `[windows, outputs]`, for windows that start at `starts` of codes, one not before the other. On a GPU
/// they need not be there yet when this returns.
pub fn logits_of_windows(networks: &[Network], codes: &[u8], starts: &[usize]) -> Tensor {
    tch::no_grad(|| ensemble::logits_of_windows(networks, codes, starts))
}

/// Logits of an ensemble for examples, `[n, outputs]` on the CPU.
pub fn logits_of(networks: &[Network], task: &Task, examples: &Examples, strand: Strand) -> Result<Tensor> {
    let mut logits = vec![Tensor::zeros([0, task.outputs() as i64], (Kind::Float, Device::Cpu))];
    // A GPU is asked for all batches before the first is waited for.
    let mut batches = Vec::new();
    examples.for_each_batch(batch_size(examples.length), |_, codes| {
        batches.push(match strand {
            Strand::AsGiven => logits_of_batch(networks, codes),
            Strand::ReverseComplement => {
                let mut codes = codes.to_vec();
                codes.chunks_mut(examples.length).for_each(alphabet::reverse_complement);
                logits_of_batch(networks, &codes)
            }
        });
        Ok(())
    })?;
    logits.extend(batches.into_iter().map(|batch| batch.to_device(Device::Cpu)));
    Ok(Tensor::cat(&logits, 0))
}

/// Logits of an ensemble for codes `[n, length]`, where the networks are.
fn logits_of_batch(networks: &[Network], codes: &[u8]) -> Tensor {
    tch::no_grad(|| ensemble::logits(networks, codes))
}

/// Predictions `[n, outputs]`, row by row, from logits of the same shape on any device.
///
/// # Errors
/// Some are not numbers.
pub fn predictions_from(task: &Task, logits: &Tensor) -> Result<Vec<f64>> {
    let found = tch::no_grad(|| task.predictions(&logits.to_device(Device::Cpu)).flatten(0, -1).to_kind(Kind::Double));
    let predictions = Vec::<f64>::try_from(found)?;
    if predictions.iter().any(|prediction| !prediction.is_finite()) {
        bail!("the network's predictions are not finite numbers, so training has diverged; use a smaller --lr");
    }
    Ok(predictions)
}

/// Predictions of an ensemble for examples, `[n, outputs]`.
pub fn predictions_of(networks: &[Network], task: &Task, examples: &Examples) -> Result<Vec<f64>> {
    predictions_from(task, &logits_of(networks, task, examples, Strand::AsGiven)?)
}

/// The temperature that makes probabilities mean most on examples, given their logits `[n, outputs]`; 1 for values, and
/// where only one class is there to learn from.
pub fn fitted_temperature(task: &Task, examples: &Examples, logits: &Tensor) -> Result<f64> {
    let targets: Vec<f64> = match task.kind {
        TaskKind::Binary => task.positives(examples).into_iter().map(f64::from).collect(),
        TaskKind::Multiclass => examples.classes().into_iter().map(|class| class as f64).collect(),
        TaskKind::Multilabel => task::values(examples),
        TaskKind::Regression => return Ok(1.0),
    };
    if targets.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(1.0);
    }
    let logits = Vec::<f64>::try_from(logits.to_kind(Kind::Double).flatten(0, -1))?;
    Validation { kind: task.kind, logits: &logits, targets: &targets, outputs: task.outputs() }.temperature()
}

/// Whether every output is the same for all examples, as those of a network whose ReLUs have all died are. The tolerance
/// is far above rounding and far below what any living network varies by.
pub fn are_constant(predictions: &[f64], task: &Task) -> bool {
    let outputs = task.outputs();
    (0..outputs).all(|output| {
        let values = predictions.iter().skip(output).step_by(outputs);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        let unit = match task.scales.get(output) {
            Some(scale) if task.kind == TaskKind::Regression => scale.deviation,
            _ => 1.0,
        };
        high - low < 1e-6 * unit
    })
}

/// Of two classes, the threshold that is best for these predictions.
pub fn best_threshold(task: &Task, examples: &Examples, predictions: &[f64]) -> Option<f64> {
    (task.kind == TaskKind::Binary).then(|| Ranking::new(&task.positives(examples), predictions).best_threshold())
}

/// Every metric of predictions `[n, outputs]`. A question of two classes needs a threshold: the one given, or the one
/// that is best on these examples.
pub fn report(
    task: &Task,
    classes: &Classes,
    examples: &Examples,
    predictions: &[f64],
    threshold: Option<f64>,
    seed: u64,
) -> Report {
    match task.kind {
        TaskKind::Binary => {
            let ranking = Ranking::new(&task.positives(examples), predictions);
            ranking.report(threshold.unwrap_or_else(|| ranking.best_threshold()), seed)
        }
        TaskKind::Multiclass => metrics::classes::report(&examples.classes(), predictions, &classes.names, seed),
        TaskKind::Multilabel => metrics::labels::report(&task::yes_no(examples), predictions, &classes.names, seed),
        TaskKind::Regression => metrics::regression::report(&task::values(examples), predictions, &classes.names, seed),
    }
}

/// What an ensemble's answers for a set of examples come to.
pub struct Judgement<'a> {
    pub task: &'a Task,
    pub classes: &'a Classes,
    pub examples: &'a Examples,
    /// `[n, outputs]`
    pub predictions: Vec<f64>,
    /// What the predictions would be at a temperature of 1, where it is another, `[n, outputs]`.
    pub uncalibrated: Option<Vec<f64>>,
    pub report: Report,
    pub breakdown: Option<Breakdown>,
    pub strands: Option<StrandAgreement>,
    pub members: Option<Members>,
}

impl<'a> Judgement<'a> {
    /// Measures the predictions that logits `[n, outputs]` give; of two classes at a threshold, or with none given at the
    /// one that is best on these examples.
    pub fn of(
        task: &'a Task,
        classes: &'a Classes,
        examples: &'a Examples,
        logits: &Tensor,
        threshold: Option<f64>,
        seed: u64,
    ) -> Result<Self> {
        let predictions = predictions_from(task, logits)?;
        let as_they_are = Task { temperature: 1.0, ..task.clone() };
        let uncalibrated = (task.temperature != 1.0).then(|| predictions_from(&as_they_are, logits)).transpose()?;
        let report = report(task, classes, examples, &predictions, threshold, seed);
        Ok(Self {
            task,
            classes,
            examples,
            predictions,
            uncalibrated,
            report,
            breakdown: None,
            strands: None,
            members: None,
        })
    }

    /// Measures groups of the examples too.
    pub fn with_breakdown(mut self, seed: u64) -> Result<Self> {
        let threshold = self.report.threshold;
        let of = |examples: &Examples, predictions: &[f64]| {
            report(self.task, self.classes, examples, predictions, threshold, seed)
        };
        self.breakdown = Some(Breakdown::new(self.task, self.classes, self.examples, &self.predictions, &of)?);
        Ok(self)
    }

    /// Scores the reverse complement of each example too, and compares.
    pub fn with_strands(mut self, networks: &[Network]) -> Result<Self> {
        let logits = logits_of(networks, self.task, self.examples, Strand::ReverseComplement)?;
        let reverse = predictions_from(self.task, &logits)?;
        let threshold = self.report.threshold.unwrap_or(0.5);
        self.strands = Some(StrandAgreement::of(self.task, &self.predictions, &reverse, threshold));
        Ok(self)
    }

    /// The object that `metrics.json` holds for these examples.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut object = self.report.to_json();
        if let Some(strands) = &self.strands {
            if let Some(rate) = strands.flip_rate {
                object.insert("strand_flip_rate".into(), json!(rate));
            }
            object.insert("strand_mean_difference".into(), json!(strands.mean_difference));
        }
        if let Some((before, after)) = self.calibration_errors() {
            object.insert("uncalibrated_expected_calibration_error".into(), json!(before));
            object.insert("calibrated_expected_calibration_error".into(), json!(after));
        }
        if let Some(members) = &self.members {
            object.insert("members".into(), members.to_json());
        }
        if let Some(breakdown) = &self.breakdown {
            object.extend(breakdown.to_json());
        }
        object
    }

    /// Whether calls are right, or labels there, and how probable each was said to be: what a calibration curve shows. Of
    /// two classes the positive one, of several the one called, and all labels together. Nothing for values.
    pub fn probabilities(&self, predictions: &[f64]) -> Option<Ranking> {
        match self.task.kind {
            TaskKind::Binary => Some(Ranking::new(&self.task.positives(self.examples), predictions)),
            TaskKind::Multilabel => Some(Ranking::new(&task::yes_no(self.examples), predictions)),
            TaskKind::Multiclass => {
                let rows = || predictions.chunks(self.task.count);
                let called = rows().map(metrics::classes::highest);
                let right: Vec<bool> = called.zip(self.examples.classes()).map(|(a, b)| a == b).collect();
                Some(Ranking::new(&right, &rows().map(|row| row[metrics::classes::highest(row)]).collect::<Vec<_>>()))
            }
            TaskKind::Regression => None,
        }
    }

    /// The calibration error at a temperature of 1 and at the one fitted, where that is another.
    pub fn calibration_errors(&self) -> Option<(f64, f64)> {
        let error = |predictions: &[f64]| self.probabilities(predictions)?.calibration_error();
        Some((error(self.uncalibrated.as_ref()?)?, error(&self.predictions)?))
    }

    /// The AUROC of the best possible scores on the same examples.
    pub fn beside_best_possible(&self, best: &[f64]) -> f64 {
        Ranking::new(&self.task.positives(self.examples), best).auroc().unwrap_or(0.5)
    }
}
