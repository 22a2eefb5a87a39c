//! The target of attribution: the log-odds of a class or label, or a value. On this scale attributions are additive,
//! and changes near probabilities of 0 and 1 remain visible.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use crate::classes::Classes;
use crate::config::{Loss, TaskKind};
use crate::network::Outputs;
use crate::scorer::{self, Differentiable, Scorer, one_hot};
use crate::task::calibration::Calibration;
use crate::task::{Task, softmax};

/// One output of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Name of the class, label or column.
    pub name: String,
    output: usize,
    /// What comes out of the network.
    outputs: Outputs,
    quantity: Quantity,
    /// What calibrates the logits of classes and labels.
    calibration: Calibration,
    /// Whether the bias model is part of what is predicted.
    with_bias: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    /// A label, or the positive class of two: the calibrated logit. For the other class, its negative.
    LogOdds { is_other: bool },
    /// A class against all others.
    LogOddsAgainstRest,
    /// A value, in the unit of its column.
    Value { mean: f64, deviation: f64 },
    /// The logarithm of a predicted count.
    LogCount { mean: f64 },
    /// The logits of a profile less their mean, weighted with the profile: how pointed it is.
    Profile,
}

/// What follows the name of a group where its profile is explained and not its counts.
const PROFILE: &str = ":profile";

impl Explained {
    /// The class, label or column named `of`; without a name, the positive class of a binary task.
    ///
    /// # Errors
    /// The run has no such class, label or column, or no name was given although there are several outputs.
    pub fn new(task: &Task, classes: &Classes, of: Option<&str>) -> Result<Self> {
        let names = || classes.names.join(", ");
        let of_profile = of.and_then(|of| of.strip_suffix(PROFILE)).filter(|_| task.profile.is_some());
        let of = of_profile.or(of);
        let index = match of {
            Some(name) => match classes.names.iter().position(|class| class == name) {
                Some(index) => index,
                None => bail!("--score-of names '{name}', expected one of {}; correct the name", names()),
            },
            None if task.outputs() > 1 => {
                bail!("the network has {} outputs, expected --score-of with one of {}; add it", task.outputs(), names())
            }
            None => classes.positive,
        };
        let name = classes.names[index].clone();
        let (output, quantity) = match task.kind {
            TaskKind::Binary => (0, Quantity::LogOdds { is_other: index != classes.positive }),
            TaskKind::Multilabel => (index, Quantity::LogOdds { is_other: false }),
            TaskKind::Multiclass => (index, Quantity::LogOddsAgainstRest),
            TaskKind::Profile if of_profile.is_some() => (index, Quantity::Profile),
            TaskKind::Profile => (index, Quantity::Value { mean: 0.0, deviation: 1.0 }),
            TaskKind::Regression => {
                let scale = task.scales[index];
                let quantity = match task.loss {
                    Loss::Poisson => Quantity::LogCount { mean: scale.mean },
                    _ => Quantity::Value { mean: scale.mean, deviation: scale.deviation },
                };
                (index, quantity)
            }
        };
        let (outputs, calibration) = (task.network_outputs(), task.calibration.clone());
        Ok(Self { name, output, outputs, quantity, calibration, with_bias: false })
    }

    /// The same of what is predicted with the bias model, which descriptions then say.
    pub fn with_bias(self, with_bias: bool) -> Self {
        Self { with_bias, ..self }
    }

    /// Place of the output among those of the task; of a profile, of its group.
    pub fn output(&self) -> usize {
        self.output
    }

    /// Whether it is a profile, not its counts.
    pub fn is_profile(&self) -> bool {
        self.quantity == Quantity::Profile
    }

    /// Description of the target for messages.
    pub fn description(&self) -> String {
        let (name, with_bias) = (&self.name, if self.with_bias { ", with bias" } else { "" });
        match self.quantity {
            Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest => format!("log-odds of '{name}'"),
            Quantity::Value { .. } if self.outputs.profile.is_some() => format!("log counts of '{name}'{with_bias}"),
            Quantity::Value { .. } => format!("value of '{name}'"),
            Quantity::LogCount { .. } => format!("logarithm of '{name}'"),
            Quantity::Profile => format!("profile of '{name}'{with_bias}"),
        }
    }

    /// Whether the network predicts a probability for this target.
    pub fn is_probability(&self) -> bool {
        matches!(self.quantity, Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest)
    }

    /// The places of its numbers among those that come out of the network for a sequence: one, or as many as bins.
    fn places(&self) -> Range<usize> {
        if let Some(profile) = &self.outputs.profile {
            if self.quantity == Quantity::Profile {
                return profile.of_groups().nth(self.output).unwrap_or(0..0);
            }
            let log_count = profile.values() + self.output;
            return log_count..log_count + 1;
        }
        let along = self.outputs.bins.map_or(1, |bins| bins.count);
        self.output * along..(self.output + 1) * along
    }

    /// Values of the target, `[n]`, from logits as they come out of the network. Of bins it is what the mean of their
    /// predictions comes to.
    pub fn of_logits(&self, logits: &[f32]) -> Vec<f64> {
        let of = |row: &[f32]| {
            let all = &row[self.places()];
            let own = f64::from(all[0]);
            let each = || all.iter().map(|&logit| f64::from(logit));
            match self.quantity {
                Quantity::LogOdds { is_other } => {
                    let calibrated = self.calibration.of_logit(self.output, own);
                    if is_other { -calibrated } else { calibrated }
                }
                Quantity::LogOddsAgainstRest => {
                    let (largest, sum) = self.rest(row);
                    self.calibration.of_logit(self.output, own) - (largest + sum.ln())
                }
                Quantity::Value { mean, deviation } => each().sum::<f64>() / all.len() as f64 * deviation + mean,
                Quantity::LogCount { mean } if all.len() == 1 => own + mean.ln(),
                Quantity::LogCount { mean } => {
                    let largest = each().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = each().map(|logit| (logit - largest).exp()).sum();
                    largest + (sum / all.len() as f64).ln() + mean.ln()
                }
                Quantity::Profile => {
                    let logits: Vec<f64> = each().collect();
                    let weighted: f64 = softmax(&logits).iter().zip(&logits).map(|(share, logit)| share * logit).sum();
                    weighted - logits.iter().sum::<f64>() / logits.len() as f64
                }
            }
        };
        logits.chunks(self.outputs.numbers()).map(of).collect()
    }

    /// Derivatives of the target with respect to logits, of the same shape.
    pub fn derivatives(&self, logits: &[f32]) -> Vec<f32> {
        let of = |row: &[f32]| {
            let mut derivatives = vec![0.0; row.len()];
            if self.quantity == Quantity::Profile {
                let logits: Vec<f64> = row[self.places()].iter().map(|&logit| f64::from(logit)).collect();
                let shares = softmax(&logits);
                let weighted: f64 = shares.iter().zip(&logits).map(|(share, logit)| share * logit).sum();
                let each = shares.iter().zip(&logits).map(|(share, logit)| share * (1.0 + logit - weighted));
                let less = 1.0 / logits.len() as f64;
                derivatives[self.places()].iter_mut().zip(each).for_each(|(own, of)| *own = of - less);
                return derivatives.into_iter().map(|derivative| derivative as f32).collect();
            }
            if self.outputs.bins.is_some() {
                let all = &row[self.places()];
                let shares = match self.quantity {
                    Quantity::LogCount { .. } => {
                        softmax(&all.iter().map(|&logit| f64::from(logit)).collect::<Vec<_>>())
                    }
                    Quantity::Value { deviation, .. } => vec![deviation / all.len() as f64; all.len()],
                    // Classes and labels have no bins, and profiles none besides their bases.
                    Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest | Quantity::Profile => vec![0.0; all.len()],
                };
                derivatives[self.places()].copy_from_slice(&shares);
                return derivatives.into_iter().map(|derivative| derivative as f32).collect::<Vec<_>>();
            }
            derivatives[self.places().start] = match self.quantity {
                Quantity::LogOdds { is_other } => {
                    let scale = self.calibration.scale(self.output);
                    if is_other { -scale } else { scale }
                }
                Quantity::LogOddsAgainstRest => {
                    let (largest, sum) = self.rest(row);
                    for (output, (derivative, &logit)) in derivatives.iter_mut().zip(row).enumerate() {
                        let calibrated = self.calibration.of_logit(output, f64::from(logit));
                        *derivative = -(calibrated - largest).exp() / sum * self.calibration.scale(output);
                    }
                    self.calibration.scale(self.output)
                }
                Quantity::Value { deviation, .. } => deviation,
                Quantity::LogCount { .. } => 1.0,
                Quantity::Profile => 0.0,
            };
            derivatives.into_iter().map(|derivative| derivative as f32).collect()
        };
        logits.chunks(self.outputs.numbers()).flat_map(of).collect()
    }

    /// The largest calibrated logit of the other classes, and the sum of the exponentials of all of them relative to it.
    fn rest(&self, row: &[f32]) -> (f64, f64) {
        let others = || {
            let others = row.iter().enumerate().filter(|&(output, _)| output != self.output);
            others.map(|(output, &logit)| self.calibration.of_logit(output, f64::from(logit)))
        };
        let largest = others().fold(f64::NEG_INFINITY, f64::max);
        (largest, others().map(|logit| (logit - largest).exp()).sum())
    }

    /// The prediction that corresponds to the target: a probability, value or count.
    pub fn prediction(&self, number: f64) -> f64 {
        match self.quantity {
            Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest => 1.0 / (1.0 + (-number).exp()),
            Quantity::Value { .. } | Quantity::Profile => number,
            Quantity::LogCount { .. } => number.exp(),
        }
    }
}

/// A scorer with the target to explain.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    /// The network.
    pub scorer: &'a dyn Scorer,
    /// The output that is explained.
    pub explained: &'a Explained,
}

impl<'a> Explainer<'a> {
    /// Length of a sequence, in bp.
    pub fn length(&self) -> usize {
        self.scorer.length()
    }

    /// Target for codes `[n, length]`, scored as in `predict`: both strands if the network uses them, ensembles
    /// averaged.
    ///
    /// # Errors
    /// The scores are not finite.
    pub fn score(&self, codes: &[u8]) -> Result<Vec<f64>> {
        let mut numbers = Vec::with_capacity(codes.len() / self.length());
        for batch in codes.chunks(scorer::batch_size(self.length()) * self.length()) {
            numbers.extend(finite(self.explained.of_logits(self.scorer.score(batch)?.logits()))?);
        }
        Ok(numbers)
    }

    /// Target for inputs `[n, 4, length]`, which need not be one-hot.
    ///
    /// # Errors
    /// As `score`, or the scorer has no gradients.
    pub fn score_inputs(&self, inputs: &[f32]) -> Result<Vec<f64>> {
        finite(self.explained.of_logits(self.differentiable()?.score_inputs(inputs)?.logits()))
    }

    /// Gradients of the target with respect to inputs, both `[n, 4, length]`.
    ///
    /// # Errors
    /// The gradients are not finite, or the scorer has none.
    pub fn gradients(&self, inputs: &[f32]) -> Result<Vec<f32>> {
        let gradients = self.differentiable()?.gradients(inputs, &|logits| self.explained.derivatives(logits))?;
        if gradients.iter().any(|gradient| !gradient.is_finite()) {
            bail!(NOT_FINITE);
        }
        Ok(gradients)
    }

    fn differentiable(&self) -> Result<&'a dyn Differentiable> {
        self.scorer.differentiable().context("this model gives no gradients; use in-silico mutagenesis instead")
    }

    /// Converts codes `[n, length]` into one-hot inputs `[n, 4, length]`.
    pub fn input(&self, codes: &[u8]) -> Vec<f32> {
        one_hot(codes, self.length())
    }
}

/// What is wrong with scores that are not finite.
pub(super) const NOT_FINITE: &str =
    "the network's scores are not finite numbers, so training has diverged; use a smaller --lr";

fn finite(numbers: Vec<f64>) -> Result<Vec<f64>> {
    if numbers.iter().any(|number| !number.is_finite()) {
        bail!(NOT_FINITE);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::dataset::examples::Examples;
    use crate::sequence::profile::ProfileShape;

    /// With a scale for each output, and a bias unless it is 0.
    fn explained(kind: TaskKind, names: &[&str], of: Option<&str>, scale: f64, bias: f64) -> Result<(Task, Explained)> {
        let classes = Classes::named(names.iter().map(|name| (*name).to_owned()).collect());
        let width = if matches!(kind, TaskKind::Binary | TaskKind::Multiclass) { 1 } else { names.len() };
        let labels: Vec<f32> = (0..3 * width).map(|i| (i % 3 % names.len().max(2)) as f32).collect();
        let examples = Examples::from_codes(&[0; 6], 2, &labels);
        let task = Task::new(kind, &classes, None, &ClassWeights::None, &examples)?;
        let each = |first: f64, step: f64| (0..task.outputs()).map(|i| first + i as f64 * step).collect();
        let calibration = Calibration { scales: each(scale, 0.1), biases: each(bias, -bias), ..Calibration::default() };
        let task = Task { calibration, ..task };
        let explained = Explained::new(&task, &classes, of)?;
        Ok((task, explained))
    }

    #[test]
    fn the_number_leads_to_the_prediction_whatever_the_question() {
        let logits = [0.3f32, -1.0, 2.5, 0.7, 0.1, -3.0];
        for (kind, names, of, scale, bias) in [
            (TaskKind::Binary, &["a", "b"][..], None, 1.0, 0.0),
            (TaskKind::Binary, &["a", "b"], Some("b"), 0.5, -0.7),
            (TaskKind::Multiclass, &["a", "b", "c"], Some("a"), 0.7, 0.3),
            (TaskKind::Multiclass, &["a", "b", "c"], Some("c"), 1.0, 0.0),
            (TaskKind::Multilabel, &["a", "b"], Some("b"), 0.3, 1.2),
            (TaskKind::Regression, &["x"], None, 1.0, 0.0),
        ] {
            let (task, explained) = explained(kind, names, of, scale, bias).unwrap();
            let outputs = task.outputs();
            let numbers = explained.of_logits(&logits);
            let predictions = task.activate(&logits).unwrap();
            let index = names.iter().position(|name| Some(*name) == of).unwrap_or(0);
            for (row, &number) in numbers.iter().enumerate() {
                let expected = match kind {
                    TaskKind::Binary if index == 1 => 1.0 - predictions[row],
                    TaskKind::Binary => predictions[row],
                    _ => predictions[row * outputs + index],
                };
                assert!((explained.prediction(number) - expected).abs() < 1e-6, "{kind:?} {of:?}");
            }
        }
    }

    #[test]
    fn derivatives_are_the_slopes_of_the_number() {
        let logits = [0.3f32, -1.0, 2.5, 0.7, 0.1, -3.0];
        for (kind, names, of) in [
            (TaskKind::Binary, &["a", "b"][..], Some("b")),
            (TaskKind::Multiclass, &["a", "b", "c"], Some("b")),
            (TaskKind::Multilabel, &["a", "b"], Some("b")),
            (TaskKind::Regression, &["x"], None),
        ] {
            let (_, explained) = explained(kind, names, of, 0.7, 0.4).unwrap();
            let derivatives = explained.derivatives(&logits);
            for (index, &derivative) in derivatives.iter().enumerate() {
                let nudged = |by: f32| {
                    let mut logits = logits;
                    logits[index] += by;
                    explained.of_logits(&logits).iter().sum::<f64>()
                };
                let slope = (nudged(0.01) - nudged(-0.01)) / 0.02;
                assert!((slope - f64::from(derivative)).abs() < 1e-4, "{kind:?} {index}: {slope} {derivative}");
            }
        }
    }

    #[test]
    fn the_slopes_of_profiles_and_of_their_log_counts_are_those_of_their_own_group() {
        let profile = ProfileShape { tracks: vec![1, 2], length: 2, ..ProfileShape::default() };
        let outputs = Outputs { columns: 2, bins: None, profile: Some(profile) };
        let logits = [0.3f32, -1.0, 2.5, 0.7, 0.1, -3.0, 4.0, 5.0];
        for (quantity, places) in [(Quantity::Profile, 2..6), (Quantity::Value { mean: 0.0, deviation: 1.0 }, 7..8)] {
            let calibration = Calibration::default();
            let (name, outputs, with_bias) = ("b".into(), outputs.clone(), false);
            let explained = Explained { name, output: 1, outputs, quantity, calibration, with_bias };
            assert_eq!(explained.places(), places);
            let derivatives = explained.derivatives(&logits);
            for (index, &derivative) in derivatives.iter().enumerate() {
                let nudged = |by: f32| {
                    let mut logits = logits;
                    logits[index] += by;
                    explained.of_logits(&logits)[0]
                };
                let slope = (nudged(0.01) - nudged(-0.01)) / 0.02;
                assert!((slope - f64::from(derivative)).abs() < 1e-3, "{quantity:?} {index}: {slope} {derivative}");
                assert_eq!(derivative != 0.0, places.contains(&index));
            }
        }
    }

    #[test]
    fn names_are_asked_for_where_there_are_several_and_checked() {
        let error = |kind, names: &[&str], of| explained(kind, names, of, 1.0, 0.0).unwrap_err().to_string();
        assert!(error(TaskKind::Binary, &["a", "b"], Some("c")).contains("'c', expected one of a, b"));
        assert!(error(TaskKind::Multiclass, &["a", "b", "c"], None).contains("3 outputs, expected --score-of"));
    }
}
