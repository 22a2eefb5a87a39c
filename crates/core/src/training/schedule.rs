//! Learning-rate schedules, as arithmetic on step numbers and validation scores.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::config;
use crate::config::TrainingConfig;

/// PyTorch's constants of the one-cycle policy: the share of steps in which the rate rises, the first rate relative to
/// the full one, the last relative to the first, and the momentum at both ends and at the peak.
const RISING_SHARE: f64 = 0.3;
const FIRST_PART: f64 = 1.0 / 25.0;
const LAST_PART: f64 = 1e-4;
const MOMENTA: (f64, f64) = (0.95, 0.85);

/// Number of epochs without improvement before `plateau` lowers the rate, and the factor by which it does.
const PLATEAU_EPOCHS: usize = 3;
const PLATEAU_FACTOR: f64 = 0.1;

/// Hyperparameters of the optimizer for a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub lr: f64,
    /// Momentum, if the schedule cycles it.
    pub momentum: Option<f64>,
}

/// The learning rate of every step of a run.
#[derive(Clone, Debug)]
pub struct Schedule {
    kind: config::Schedule,
    lr: f64,
    /// Steps of warm-up, which need not be whole, and steps in all.
    warmup: f64,
    steps: f64,
    /// State of the plateau schedule, saved in checkpoints.
    pub plateau: Plateau,
}

/// State of the plateau schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// Current rate, relative to the full rate.
    factor: f64,
    /// Number of epochs since the last improvement.
    waited: usize,
}

impl Schedule {
    /// The schedule that a configuration asks for, before the first step.
    pub fn new(training: &TrainingConfig, steps_per_epoch: usize) -> Self {
        let steps_per_epoch = steps_per_epoch as f64;
        Self {
            kind: training.schedule,
            lr: training.lr,
            warmup: if training.schedule == config::Schedule::OneCycle {
                0.0
            } else {
                training.warmup * steps_per_epoch
            },
            steps: training.epochs as f64 * steps_per_epoch,
            plateau: Plateau { factor: 1.0, waited: 0 },
        }
    }

    /// Hyperparameters for a step, counted from 0.
    pub fn rates(&self, step: usize) -> Rates {
        let step = step as f64;
        if step + 1.0 < self.warmup {
            return Rates { lr: self.lr * (step + 1.0) / self.warmup, momentum: None };
        }
        let done = (step - self.warmup).max(0.0) / (self.steps - self.warmup).max(1.0);
        match self.kind {
            config::Schedule::Constant => Rates { lr: self.lr, momentum: None },
            config::Schedule::Plateau => Rates { lr: self.lr * self.plateau.factor, momentum: None },
            // Half a cosine from the full rate to zero (Loshchilov and Hutter, 2017), without restarts.
            config::Schedule::Cosine => Rates { lr: between(self.lr, 0.0, done), momentum: None },
            config::Schedule::OneCycle => {
                let (low, high, top) = (MOMENTA.0, MOMENTA.1, self.steps * RISING_SHARE - 1.0);
                let first = self.lr * FIRST_PART;
                let (lr, momentum) = if step <= top {
                    let done = step / top.max(1.0);
                    (between(first, self.lr, done), between(low, high, done))
                } else {
                    let done = ((step - top) / (self.steps - 1.0 - top).max(1.0)).min(1.0);
                    (between(self.lr, first * LAST_PART, done), between(high, low, done))
                };
                Rates { lr, momentum: Some(momentum) }
            }
        }
    }

    /// Records whether an epoch improved the validation score.
    pub fn after_epoch(&mut self, improved: bool) {
        let Plateau { factor, waited } = &mut self.plateau;
        *waited = if improved { 0 } else { *waited + 1 };
        if *waited >= PLATEAU_EPOCHS {
            *factor *= PLATEAU_FACTOR;
            *waited = 0;
        }
    }
}

/// Interpolates along half a cosine, with `done` from 0 to 1.
fn between(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: config::Schedule, warmup: f64) -> Schedule {
        let training = TrainingConfig { schedule: kind, lr: 2.0, warmup, epochs: 10, ..TrainingConfig::default() };
        Schedule::new(&training, 10)
    }

    #[test]
    fn the_cosine_falls_from_the_full_rate_to_nothing() {
        let cosine = schedule(config::Schedule::Cosine, 0.0);
        let rate = |step| cosine.rates(step).lr;
        assert_eq!(rate(0), 2.0);
        assert!((rate(50) - 1.0).abs() < 1e-12);
        assert!(rate(99) < 0.01 && rate(99) > 0.0);
        assert!((1..100).all(|step| rate(step) < rate(step - 1)));
        assert_eq!(schedule(config::Schedule::Constant, 0.0).rates(99).lr, 2.0);
    }

    #[test]
    fn warm_up_rises_in_equal_steps_to_the_full_rate_and_the_rest_follows_from_there() {
        for kind in [config::Schedule::Constant, config::Schedule::Cosine] {
            let warmed = schedule(kind, 1.0);
            assert!((warmed.rates(0).lr - 0.2).abs() < 1e-12);
            assert!((warmed.rates(4).lr - 1.0).abs() < 1e-12);
            assert_eq!(warmed.rates(9).lr, 2.0);
            assert_eq!(warmed.rates(10).lr, 2.0);
        }
        assert!((schedule(config::Schedule::Cosine, 1.0).rates(55).lr - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_cycle_is_pytorchs() {
        // torch.optim.lr_scheduler.OneCycleLR(SGD(lr=1, momentum=0.9), max_lr=2, total_steps=100), PyTorch 2.11.0
        let expected = [
            (0, 0.08, 0.95),
            (10, 0.590_327_896_928_201_5, 0.923_420_422_034_989_5),
            (29, 2.0, 0.85),
            (60, 1.178_560_180_571_057_5, 0.891_072_155_260_069_9),
            (99, 8e-6, 0.95),
        ];
        for (step, lr, momentum) in expected {
            let found = schedule(config::Schedule::OneCycle, 0.0).rates(step);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
            assert!(near(found.lr, lr) && near(found.momentum.unwrap(), momentum), "step {step}: {found:?}");
        }
    }

    #[test]
    fn a_plateau_lowers_the_rate_after_three_epochs_without_a_better_score() {
        let mut plateau = schedule(config::Schedule::Plateau, 0.0);
        let mut after = |improved| {
            plateau.after_epoch(improved);
            plateau.rates(50).lr
        };
        assert_eq!([true, false, false, true, false, false].map(&mut after), [2.0; 6]);
        assert!((after(false) - 0.2).abs() < 1e-12);
        assert!((after(false) - 0.2).abs() < 1e-12);
    }
}
