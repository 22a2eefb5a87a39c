//! Network times data gives scores; scores times labels give metrics.

pub mod predictions;

use anyhow::{Result, bail};

use crate::data::Examples;
use crate::metrics::{Ranking, Report};
use crate::model::{self, Network};
use crate::task;

/// Sequences of this length scored at a time: enough bases to keep every core busy, and little memory whatever the length.
pub fn batch_size(length: usize) -> usize {
    const BASES: usize = 1 << 17;
    (BASES / length.max(1)).clamp(1, 1024)
}

/// Probabilities of the positive class for codes `[n, length]`, `[n]`.
///
/// # Errors
/// The network returns something that is not a number.
pub fn scores(network: &Network, codes: &[u8]) -> Result<Vec<f64>> {
    let mut scores = Vec::with_capacity(codes.len() / network.length);
    tch::no_grad(|| {
        for batch in codes.chunks(batch_size(network.length) * network.length) {
            let codes = model::codes_tensor(batch, network.length, network.device());
            let probabilities = task::probabilities(&network.logits(&codes, false));
            scores.extend(Vec::<f64>::try_from(probabilities.to_kind(tch::Kind::Double).to_device(tch::Device::Cpu))?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    if scores.iter().any(|score| score.is_nan()) {
        bail!("the network's scores are not numbers, so training has diverged; use a smaller --lr");
    }
    Ok(scores)
}

/// Scores of examples, `[n]`.
pub fn scores_of(network: &Network, examples: &Examples) -> Result<Vec<f64>> {
    scores(network, &examples.codes)
}

/// Whether all scores are equal, as those of a network whose ReLUs have all died are. The tolerance is far above
/// rounding and far below what any living network varies by.
pub fn are_constant(scores: &[f64]) -> bool {
    let (low, high) =
        scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &score| (low.min(score), high.max(score)));
    high - low < 1e-6
}

/// Scores of a set of examples and what they come to.
pub struct Judgement {
    pub positives: Vec<bool>,
    pub scores: Vec<f64>,
    pub ranking: Ranking,
    pub report: Report,
}

impl Judgement {
    /// Scores examples and measures at a threshold; with none given, at the one that is best on these examples.
    pub fn of(
        network: &Network,
        examples: &Examples,
        positive: usize,
        threshold: Option<f64>,
        seed: u64,
    ) -> Result<Self> {
        let scores = scores_of(network, examples)?;
        let positives = examples.positives(positive);
        let ranking = Ranking::new(&positives, &scores);
        let report = ranking.report(threshold.unwrap_or_else(|| ranking.best_threshold()), seed);
        Ok(Self { positives, scores, ranking, report })
    }

    /// The AUROC of the best possible scores on the same examples.
    pub fn beside_best_possible(&self, best: &[f64]) -> f64 {
        Ranking::new(&self.positives, best).auroc().unwrap_or(0.5)
    }
}
