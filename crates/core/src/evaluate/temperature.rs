//! Temperature scaling (Guo and others, 2017): a single divisor of the logits, fitted on validation, that calibrates
//! the probabilities. It changes no predicted class. For binary and multilabel tasks the ranking of the examples stays
//! the same, and so do areas under curves; for multiclass tasks the ranking may change, as the probability of a class
//! depends on all logits.

use anyhow::{Result, anyhow};
use argmin::core::{CostFunction, Executor};
use argmin::solver::brent::BrentOpt;

use crate::config::TaskKind;

/// Range of temperatures searched. Beyond it the network is uninformative, or the validation set is too small to tell.
const LOWEST: f64 = 0.05;
const HIGHEST: f64 = 20.0;

/// Logits with their true labels.
pub struct Validation<'a> {
    /// The kind of task.
    pub kind: TaskKind,
    /// `[n, outputs]`
    pub logits: &'a [f64],
    /// Index of the true class, `[n]`, for multiclass tasks; otherwise 1 or 0, `[n, outputs]`.
    pub targets: &'a [f64],
    /// Outputs of an example.
    pub outputs: usize,
}

impl Validation<'_> {
    /// Mean negative log-likelihood of the labels at a temperature.
    pub fn log_loss(&self, temperature: f64) -> f64 {
        let sum: f64 = if self.kind == TaskKind::Multiclass {
            let one = |(logits, &class): (&[f64], &f64)| {
                let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.iter().map(|logit| ((logit - most) / temperature).exp()).sum();
                sum.ln() - (logits[class as usize] - most) / temperature
            };
            self.logits.chunks(self.outputs).zip(self.targets).map(one).sum()
        } else {
            // softplus of the logit against the truth, without overflow
            let one = |(&logit, &target): (&f64, &f64)| {
                let against = logit / temperature * (1.0 - 2.0 * target);
                against.max(0.0) + (-against.abs()).exp().ln_1p()
            };
            self.logits.iter().zip(self.targets).map(one).sum()
        };
        sum / self.targets.len().max(1) as f64
    }

    /// The temperature of least loss; 1 if there is only one class or the loss has no minimum.
    ///
    /// # Errors
    /// The optimizer fails.
    pub fn temperature(self) -> Result<f64> {
        if self.targets.is_empty() {
            return Ok(1.0);
        }
        let solver = BrentOpt::new(LOWEST.ln(), HIGHEST.ln());
        let run = Executor::new(self, solver).configure(|state| state.max_iters(100)).run();
        let found =
            run.map_err(|error| anyhow!("the temperature cannot be fitted ({error}); use --calibration none"))?;
        // At either end of the range the loss has no minimum, as when all validation examples are classified correctly:
        // the data does not determine the confidence.
        let best = found.state.best_param.unwrap_or(0.0);
        Ok(if best - LOWEST.ln() < 0.05 || HIGHEST.ln() - best < 0.05 { 1.0 } else { best.exp() })
    }
}

impl CostFunction for Validation<'_> {
    /// The logarithm of a temperature.
    type Param = f64;
    type Output = f64;

    fn cost(&self, logarithm: &f64) -> Result<f64, argmin::core::Error> {
        Ok(self.log_loss(logarithm.exp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    use crate::random::{self, Purpose};

    #[test]
    fn logits_that_were_stretched_are_shrunk_by_the_same_factor() {
        let mut random = random::generator(1, Purpose::Simulate, 0, 0);
        for stretch in [0.3, 1.0, 4.0] {
            let honest: Vec<f64> = (0..20_000).map(|_| random.random_range(-3.0..3.0)).collect();
            let yes = |&logit: &f64| f64::from(u8::from(random.random::<f64>() < 1.0 / (1.0 + (-logit).exp())));
            let targets: Vec<f64> = honest.iter().map(yes).collect();
            let logits: Vec<f64> = honest.iter().map(|logit| logit * stretch).collect();
            for kind in [TaskKind::Binary, TaskKind::Multilabel] {
                let validation = Validation { kind, logits: &logits, targets: &targets, outputs: 1 };
                let found = validation.temperature().unwrap();
                assert!((found / stretch - 1.0).abs() < 0.08, "{stretch}: {found}");
            }
        }
    }

    #[test]
    fn of_several_classes_it_is_where_the_loss_is_least() {
        let mut random = random::generator(2, Purpose::Simulate, 0, 0);
        let bonus = |i: usize| if i % 3 == i / 3 % 3 { 4.0 } else { 0.0 };
        let logits: Vec<f64> = (0..3000).map(|i| bonus(i) + random.random_range(-8.0..8.0)).collect();
        let targets: Vec<f64> = (0..1000).map(|i| f64::from(i % 3)).collect();
        let validation = || Validation { kind: TaskKind::Multiclass, logits: &logits, targets: &targets, outputs: 3 };
        let found = validation().temperature().unwrap();
        for other in [0.5, 0.9, 1.1, 2.0] {
            assert!(validation().log_loss(found) <= validation().log_loss((found * other).clamp(LOWEST, HIGHEST)));
        }
        assert!((2.0..15.0).contains(&found), "such logits say too much: {found}");
    }

    #[test]
    fn extreme_logits_and_no_examples_are_no_trouble() {
        let of = |logits: &[f64], targets: &[f64]| {
            Validation { kind: TaskKind::Binary, logits, targets, outputs: 1 }.temperature().unwrap()
        };
        assert_eq!(of(&[], &[]), 1.0);
        assert!(of(&[1e6, -1e6, 1e6], &[1.0, 0.0, 0.0]).is_finite());
        assert_eq!(of(&[9.0, -9.0], &[1.0, 0.0]), 1.0);
    }
}
