//! The question put to a network: one of two classes. Its loss, and how logits become probabilities.

use tch::{Reduction, Tensor};

use crate::config::Loss;

/// The mean loss of a batch, a scalar, from logits and targets `[batch]`.
pub fn loss(kind: Loss, logits: &Tensor, targets: &Tensor) -> Tensor {
    match kind {
        Loss::Bce => logits.binary_cross_entropy_with_logits::<Tensor>(targets, None, None, Reduction::Mean),
        Loss::Mse => logits.sigmoid().mse_loss(targets, Reduction::Mean),
    }
}

/// The same loss of finished scores, for validation.
pub fn loss_of_scores(kind: Loss, positive: &[bool], scores: &[f64]) -> f64 {
    let total: f64 = positive
        .iter()
        .zip(scores)
        .map(|(&positive, &score)| match kind {
            Loss::Bce => -(if positive { score } else { 1.0 - score }).max(f64::MIN_POSITIVE).ln(),
            Loss::Mse => (score - f64::from(u8::from(positive))).powi(2),
        })
        .sum();
    total / positive.len().max(1) as f64
}

/// Probabilities of the positive class from logits, of the same shape.
pub fn probabilities(logits: &Tensor) -> Tensor {
    logits.sigmoid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_scores_is_the_loss_of_logits() {
        let logits = Tensor::from_slice(&[-2.0f32, 0.5, 3.0]);
        let targets = Tensor::from_slice(&[0.0f32, 1.0, 0.0]);
        let scores: Vec<f64> = Vec::try_from(probabilities(&logits).to_kind(tch::Kind::Double)).unwrap();
        for kind in [Loss::Bce, Loss::Mse] {
            let expected = loss(kind, &logits, &targets).double_value(&[]);
            assert!((loss_of_scores(kind, &[false, true, false], &scores) - expected).abs() < 1e-6);
        }
    }
}
