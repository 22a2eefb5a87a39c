//! The calibration of a network's probabilities: a scale and a bias of each logit, and the prior that the probabilities
//! are made for. `evaluate::calibration` fits it; everything that turns logits into probabilities applies it.

use serde::{Deserialize, Serialize};

use crate::config::{CalibrationMethod, TaskKind};
use crate::format::{thousands, three_digits};

/// Range of scales: far beyond that of useful fits, and narrow enough that scaled logits stay finite.
pub const SCALES: std::ops::RangeInclusive<f64> = 1e-3..=1e3;

/// How logits become calibrated ones, and what prior the probabilities are made for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Calibration {
    /// How it was fitted; `none` leaves logits as they are.
    pub method: CalibrationMethod,
    /// Factor of each logit, one for each output or one for all; empty for a factor of 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<f64>,
    /// What is added to each scaled logit, one for each output; empty for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub biases: Vec<f64>,
    /// Share of the positive class, of each class or of each label that the probabilities are made for, one for each
    /// output; empty where it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prior: Vec<f64>,
    /// Where the prior comes from.
    #[serde(skip_serializing_if = "Prevalence::is_training")]
    pub prevalence: Prevalence,
    /// Number of validation examples that it was fitted on.
    #[serde(skip_serializing_if = "is_zero")]
    pub examples: usize,
    /// Why there is none, or not for every output, although one was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The prevalence of a prior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prevalence {
    /// That of the training examples.
    #[default]
    Training,
    /// That of `--target-prior`.
    Target,
    /// That of `predict --prior`.
    Sample,
}

impl Prevalence {
    fn is_training(&self) -> bool {
        *self == Self::Training
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What `run.json` holds: a calibration, or in runs of earlier versions the temperature alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Temperature(f64),
    Calibration {
        #[serde(default)]
        method: CalibrationMethod,
        #[serde(default)]
        scales: Vec<f64>,
        #[serde(default)]
        biases: Vec<f64>,
        #[serde(default)]
        prior: Vec<f64>,
        #[serde(default)]
        prevalence: Prevalence,
        #[serde(default)]
        examples: usize,
        #[serde(default)]
        reason: Option<String>,
    },
}

impl From<Stored> for Calibration {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Temperature(temperature) => Self::of_temperature(temperature),
            Stored::Calibration { method, scales, biases, prior, prevalence, examples, reason } => {
                Self { method, scales, biases, prior, prevalence, examples, reason }
            }
        }
    }
}

impl Calibration {
    /// A calibration that divides all logits by a temperature, as runs of earlier versions have it.
    pub fn of_temperature(temperature: f64) -> Self {
        if temperature == 1.0 {
            return Self::default();
        }
        Self { method: CalibrationMethod::Temperature, scales: vec![1.0 / temperature], ..Self::default() }
    }

    /// Whether it is that of a task without any, which need not be written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether logits stay as they are.
    pub fn is_identity(&self) -> bool {
        self.scales.iter().all(|&scale| scale == 1.0) && self.biases.iter().all(|&bias| bias == 0.0)
    }

    /// Factor of the logit of an output.
    pub fn scale(&self, output: usize) -> f64 {
        self.scales.get(output).or(self.scales.first()).copied().unwrap_or(1.0)
    }

    /// What is added to the scaled logit of an output.
    pub fn bias(&self, output: usize) -> f64 {
        self.biases.get(output).copied().unwrap_or(0.0)
    }

    /// The calibrated logit of an output.
    pub fn of_logit(&self, output: usize, logit: f64) -> f64 {
        logit * self.scale(output) + self.bias(output)
    }

    /// Whether it goes with a task of this kind and so many outputs, and all its numbers with 32-bit logits.
    pub fn fits(&self, kind: TaskKind, outputs: usize) -> bool {
        let Self { scales, biases, prior, .. } = self;
        let largest = f64::from(f32::MAX);
        let prior_fits = prior.is_empty()
            || (!kind.predicts_values()
                && prior.len() == outputs
                && prior.iter().all(|share| *share > 0.0 && *share < 1.0));
        (scales.len() <= 1 || scales.len() == outputs)
            && scales.iter().all(|scale| SCALES.contains(scale))
            && (biases.is_empty() || biases.len() == outputs)
            && biases.iter().all(|bias| bias.abs() <= largest)
            && prior_fits
    }

    /// The same with probabilities moved from the prior that they are made for to another one, both of each output, by
    /// the ratio of the odds (Saerens, Latinne and Decaestecker, 2002, equation 2.4).
    pub fn moved(&self, kind: TaskKind, from: &[f64], to: &[f64]) -> Self {
        let log_odds = |share: f64| log_odds_of_share(kind, share);
        let shift = from.iter().zip(to).map(|(&from, &to)| log_odds(to) - log_odds(from));
        let biases = shift.enumerate().map(|(output, shift)| self.bias(output) + shift).collect();
        Self { biases, prior: to.to_vec(), prevalence: Prevalence::Sample, ..self.clone() }
    }

    /// What was done, in words for the terminal and the report; `None` for a task that was to have no calibration.
    pub fn description(&self, kind: TaskKind) -> Option<String> {
        if self.method == CalibrationMethod::None {
            return self.reason.as_ref().map(|reason| format!("not calibrated: {reason}"));
        }
        let range = |values: &[f64]| -> String {
            let (low, high) = values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
            let (low, high) = (three_digits(low), three_digits(high));
            if low == high { low } else { format!("{low} to {high}") }
        };
        let biases = if self.biases.is_empty() { &[0.0][..] } else { &self.biases };
        let (several, of_each) = match kind {
            TaskKind::Multilabel => (true, "each label"),
            TaskKind::Multiclass => (true, "each class"),
            _ => (false, ""),
        };
        let how = match self.method {
            CalibrationMethod::Platt if several => {
                format!("Platt scaling of {of_each}, slopes {}, intercepts {}", range(&self.scales), range(biases))
            }
            CalibrationMethod::Platt => {
                format!("Platt scaling, slope {}, intercept {}", range(&self.scales), range(biases))
            }
            CalibrationMethod::Vector => {
                format!("vector scaling, scales {}, biases {}", range(&self.scales), range(biases))
            }
            _ => format!("temperature scaling, temperature {}", three_digits(1.0 / self.scale(0))),
        };
        let on = match self.examples {
            0 => "on validation".to_owned(),
            n => {
                let which = if self.prevalence == Prevalence::Target { "target" } else { "training" };
                let prior = match (&self.prior[..], several) {
                    ([share], false) => format!(" {}", three_digits(*share)),
                    _ => format!(" of {of_each}"),
                };
                format!("on {} validation examples reweighted to the {which} prevalence{prior}", thousands(n))
            }
        };
        let but = self.reason.as_ref().map_or_else(String::new, |reason| format!("; {reason}"));
        Some(format!("calibrated by {how}, {on}{but}"))
    }
}

/// The log-odds of a share; of one of several classes, whose probabilities are a softmax, its logarithm.
pub fn log_odds_of_share(kind: TaskKind, share: f64) -> f64 {
    if kind == TaskKind::Multiclass { share.ln() } else { share.ln() - (-share).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn runs_of_earlier_versions_hold_a_temperature() {
        let read = |value| serde_json::from_value::<Calibration>(value).unwrap();
        let old = read(json!(1.25));
        assert_eq!(
            (old.method, old.scale(0), old.scale(7), old.bias(3)),
            (CalibrationMethod::Temperature, 0.8, 0.8, 0.0)
        );
        assert!(read(json!(1.0)).is_default() && read(json!({})).is_default());
        assert_eq!(
            old.description(TaskKind::Binary).unwrap(),
            "calibrated by temperature scaling, temperature 1.25, on validation"
        );
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let calibration = Calibration {
            method: CalibrationMethod::Platt,
            scales: vec![0.83],
            biases: vec![-0.41],
            prior: vec![0.045],
            prevalence: Prevalence::Target,
            examples: 1234,
            reason: None,
        };
        let value = serde_json::to_value(&calibration).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 6, "{value}");
        assert_eq!(serde_json::from_value::<Calibration>(value).unwrap(), calibration);
        for wrong in [json!("platt"), json!([1.0]), json!({"method": "other"}), json!({"scales": 1.0}), json!(null)] {
            assert!(serde_json::from_value::<Calibration>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_that_no_fit_gives_do_not_fit() {
        let binary = |calibration: Calibration| calibration.fits(TaskKind::Binary, 1);
        assert!(binary(Calibration::default()) && binary(Calibration::of_temperature(1e3)));
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
            assert!(!binary(Calibration::of_temperature(temperature)), "{temperature}");
        }
        let of = |scales: &[f64], biases: &[f64], prior: &[f64]| Calibration {
            scales: scales.into(),
            biases: biases.into(),
            prior: prior.into(),
            ..Calibration::default()
        };
        for (scales, biases, prior, outputs, fits) in [
            (&[2.0][..], &[-0.5, 1.0, 0.0][..], &[0.2, 0.3, 0.5][..], 3, true),
            (&[2.0, 1.0, 1.0], &[], &[], 3, true),
            (&[2.0, 1.0], &[], &[], 3, false),
            (&[], &[1.0], &[], 3, false),
            (&[], &[f64::INFINITY; 3], &[], 3, false),
            (&[], &[], &[0.2], 3, false),
            (&[], &[], &[0.0, 0.5, 0.5], 3, false),
            (&[], &[], &[1.0, 0.5, 0.5], 3, false),
        ] {
            assert_eq!(of(scales, biases, prior).fits(TaskKind::Multiclass, outputs), fits, "{scales:?} {biases:?}");
        }
        assert!(!of(&[], &[], &[0.5]).fits(TaskKind::Regression, 1));
    }
}
