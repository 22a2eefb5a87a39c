//! Network times data gives predictions; predictions times labels give metrics.

pub mod breakdown;
pub mod floor;
pub mod predictions;

use anyhow::{Result, bail};

use crate::config::TaskKind;
use crate::data::Classes;
use crate::data::examples::Examples;
use crate::metrics::{self, Ranking, Report};
use crate::model::{self, Network};
use crate::task::{self, Task};
use breakdown::Breakdown;

/// Sequences of this length scored at a time: enough bases to keep every core busy, and little memory whatever the length.
pub fn batch_size(length: usize) -> usize {
    const BASES: usize = 1 << 17;
    (BASES / length.max(1)).clamp(1, 1024)
}

/// Predictions for codes `[n, length]`, `[n, outputs]` row by row.
///
/// # Errors
/// The network returns something that is not a number.
pub fn predict(network: &Network, task: &Task, codes: &[u8]) -> Result<Vec<f64>> {
    let mut predictions = Vec::with_capacity(codes.len() / network.length * task.outputs());
    tch::no_grad(|| {
        for batch in codes.chunks(batch_size(network.length) * network.length) {
            let codes = model::codes_tensor(batch, network.length, network.device());
            let found = task.predictions(&network.logits(&codes, false)).flatten(0, -1);
            predictions.extend(Vec::<f64>::try_from(found.to_kind(tch::Kind::Double).to_device(tch::Device::Cpu))?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    if predictions.iter().any(|prediction| !prediction.is_finite()) {
        bail!("the network's predictions are not finite numbers, so training has diverged; use a smaller --lr");
    }
    Ok(predictions)
}

/// Predictions for examples, `[n, outputs]`.
pub fn predictions_of(network: &Network, task: &Task, examples: &Examples) -> Result<Vec<f64>> {
    let mut predictions = Vec::with_capacity(examples.len() * task.outputs());
    examples.for_each_batch(batch_size(network.length), |_, codes| {
        predictions.extend(predict(network, task, codes)?);
        Ok(())
    })?;
    Ok(predictions)
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

/// What predictions for a set of examples come to.
pub struct Judgement<'a> {
    pub task: &'a Task,
    pub classes: &'a Classes,
    pub examples: &'a Examples,
    /// `[n, outputs]`
    pub predictions: Vec<f64>,
    pub report: Report,
    pub breakdown: Option<Breakdown>,
}

impl<'a> Judgement<'a> {
    /// Measures predictions; of two classes at a threshold, or with none given at the one that is best on these examples.
    pub fn of(
        task: &'a Task,
        classes: &'a Classes,
        examples: &'a Examples,
        predictions: Vec<f64>,
        threshold: Option<f64>,
        seed: u64,
    ) -> Self {
        let report = report(task, classes, examples, &predictions, threshold, seed);
        Self { task, classes, examples, predictions, report, breakdown: None }
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

    /// The object that `metrics.json` holds for these examples.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut object = self.report.to_json();
        if let Some(breakdown) = &self.breakdown {
            object.extend(breakdown.to_json());
        }
        object
    }

    /// The AUROC of the best possible scores on the same examples.
    pub fn beside_best_possible(&self, best: &[f64]) -> f64 {
        Ranking::new(&self.task.positives(self.examples), best).auroc().unwrap_or(0.5)
    }
}
