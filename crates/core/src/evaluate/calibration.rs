//! Fits the calibration of probabilities to validation examples, reweighted such that each class or label has the share
//! that the scores will meet: that of the training examples, or that of `--target-prior`. Without reweighting,
//! probabilities would be those of a sample like the validation split, which may hold other shares.

mod binary;
mod classes;
mod minimise;

use anyhow::{Result, anyhow};

use crate::config::{CalibrationMethod, TaskKind, TrainingConfig};
use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::evaluate::calibration::binary::{Line, Unfit};
use crate::evaluate::calibration::classes::Vectors;
use crate::format::{list_first, three_digits};
use crate::task::Task;
use crate::task::calibration::{Calibration, Prevalence};

/// Most classes or labels that a warning names.
const MOST_NAMED: usize = 5;

/// Difference between the prevalence of the test and the one calibrated to, relative to the rarer class, from which on it
/// is said.
const MISMATCH: f64 = 0.25;

/// What is fitted, to which examples and to which prevalence.
pub struct Calibrator<'a> {
    task: &'a Task,
    classes: &'a Classes,
    valid: &'a Examples,
    method: CalibrationMethod,
    prior: Vec<f64>,
    prevalence: Prevalence,
    /// The prior that scores are made for where nothing is fitted.
    trained: Vec<f64>,
}

impl<'a> Calibrator<'a> {
    /// Of a task trained on `train`, as the configuration says, on `valid`.
    ///
    /// # Errors
    /// The method or the target prevalence does not suit the task.
    pub fn new(
        task: &'a Task,
        training: &TrainingConfig,
        classes: &'a Classes,
        train: &Examples,
        valid: &'a Examples,
    ) -> Result<Self> {
        let method = task.calibration_method(training)?;
        let shares = training_shares(task, train);
        let trained = weighted_shares(task, &shares);
        let target = match &training.target_prior {
            Some(target) => Some(
                target
                    .of_outputs("--target-prior", task.kind, &classes.names, classes.positive)
                    .map_err(|e| anyhow!(e))?,
            ),
            None => None,
        };
        let prevalence = if target.is_some() { Prevalence::Target } else { Prevalence::Training };
        let prior = target.unwrap_or_else(|| of_outputs(task, &shares));
        Ok(Self { task, classes, valid, method, prior, prevalence, trained })
    }

    /// The calibration for logits of the validation examples, `[n, outputs]`, with what the user should know of it: why
    /// there is none, or less than was asked for.
    pub fn fit(&self, logits: &[f32]) -> (Calibration, Vec<String>) {
        if self.task.kind.predicts_values() {
            return (Calibration::default(), Vec::new());
        }
        let as_trained = Calibration { prior: self.trained.clone(), ..Calibration::default() };
        if self.method == CalibrationMethod::None {
            return (as_trained, Vec::new());
        }
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let fitted = match self.task.kind {
            TaskKind::Binary => self.of_two(&logits),
            TaskKind::Multiclass => self.of_several(&logits),
            _ => self.of_labels(&logits),
        };
        match fitted {
            Ok((fitted, mut warnings)) => {
                if self.method == CalibrationMethod::Temperature && !self.task.weights.is_empty() {
                    let other = if self.task.kind == TaskKind::Multiclass { "vector" } else { "platt" };
                    warnings.push(format!(
                        "class weights shift the mean probability, which temperature scaling cannot shift back; use --calibration {other}"
                    ));
                }
                let calibration = Calibration {
                    prior: if fitted.prior.is_empty() { self.prior.clone() } else { fitted.prior },
                    prevalence: self.prevalence,
                    examples: self.valid.len(),
                    ..fitted
                };
                (calibration, warnings)
            }
            Err(reason) => {
                let warning = format!("probabilities are not calibrated: {reason}");
                (Calibration { reason: Some(reason), ..as_trained }, vec![warning])
            }
        }
    }

    /// Two classes.
    fn of_two(&self, logits: &[f64]) -> Result<(Calibration, Vec<String>), String> {
        let positive = self.task.positives(self.valid);
        let scores = binary::Scores { logits, positive: &positive, prior: self.prior[0] };
        let found = match self.method {
            CalibrationMethod::Temperature => binary::common_slope(&[scores]),
            _ => scores.platt(),
        };
        let line = found.map_err(|unfit| self.reason(unfit))?;
        let mut warnings = Vec::new();
        warnings.extend(line.at_bound.then(|| at_bound(&line, "the validation scores")));
        Ok((Calibration { method: self.method, ..of_lines(&[line]) }, warnings))
    }

    /// Labels, each on its own.
    fn of_labels(&self, logits: &[f64]) -> Result<(Calibration, Vec<String>), String> {
        let (outputs, names) = (self.task.outputs(), &self.classes.names);
        let of_label = |label: usize| -> (Vec<f64>, Vec<bool>) {
            let rows = (0..self.valid.len()).map(|i| (self.valid.labels_of(i)[label], logits[i * outputs + label]));
            rows.filter(|(value, _)| !value.is_nan()).map(|(value, logit)| (logit, value == 1.0)).unzip()
        };
        let labels: Vec<(Vec<f64>, Vec<bool>)> = (0..outputs).map(of_label).collect();
        let each = labels.iter().zip(&self.prior);
        let scores: Vec<binary::Scores> =
            each.map(|((logits, positive), &prior)| binary::Scores { logits, positive, prior }).collect();
        let mut warnings = Vec::new();
        if self.method == CalibrationMethod::Temperature {
            let line = binary::common_slope(&scores).map_err(|unfit| self.reason(unfit))?;
            warnings.extend(line.at_bound.then(|| at_bound(&line, "the validation scores")));
            return Ok((Calibration { method: self.method, ..of_lines(&[line]) }, warnings));
        }
        let fits: Vec<Result<Line, Unfit>> = scores.iter().map(binary::Scores::platt).collect();
        if let Some(Err(unfit)) = fits.first()
            && fits.iter().all(Result::is_err)
        {
            return Err(self.reason(*unfit));
        }
        let left: Vec<String> =
            fits.iter().zip(names).filter(|(fit, _)| fit.is_err()).map(|(_, name)| format!("'{name}'")).collect();
        let reason = (!left.is_empty()).then(|| {
            format!(
                "{} not, for want of positives and negatives in validation or of scores that rise with them",
                list_first(&left, MOST_NAMED)
            )
        });
        warnings
            .extend(reason.as_ref().map(|reason| format!("probabilities of labels are not all calibrated: {reason}")));
        for (fit, name) in fits.iter().zip(names) {
            if let Ok(line) = fit
                && line.at_bound
            {
                warnings.push(at_bound(line, &format!("the validation scores of '{name}'")));
            }
        }
        let as_trained = Line { slope: 1.0, intercept: 0.0, at_bound: false };
        let lines: Vec<Line> = fits.iter().map(|fit| fit.unwrap_or(as_trained)).collect();
        let prior = fits.iter().enumerate().map(|(i, fit)| if fit.is_ok() { self.prior[i] } else { self.trained[i] });
        Ok((Calibration { method: self.method, prior: prior.collect(), reason, ..of_lines(&lines) }, warnings))
    }

    /// One of several classes.
    fn of_several(&self, logits: &[f64]) -> Result<(Calibration, Vec<String>), String> {
        let classes = self.valid.classes();
        let scores = classes::Scores { logits, classes: &classes, prior: &self.prior };
        let mut warnings = Vec::new();
        let counts = scores.counts();
        let absent = counts.iter().zip(&self.classes.names).filter(|(count, _)| **count == 0);
        let absent: Vec<String> = absent.map(|(_, name)| format!("'{name}'")).collect();
        if self.method == CalibrationMethod::Vector && absent.len() + 1 < counts.len() {
            if absent.is_empty() {
                match self.vectors(&scores, &mut warnings) {
                    Ok(Vectors { scales, biases }) => {
                        return Ok((Calibration { method: self.method, scales, biases, ..Calibration::default() }, warnings));
                    }
                    Err(Unfit::NotRising) => warnings.push(
                        "vector scaling is not possible, as validation scores do not rise with their classes: one temperature is fitted instead"
                            .into(),
                    ),
                    Err(unfit) => return Err(self.reason(unfit)),
                }
            } else {
                warnings.push(format!(
                    "no validation example is of {}, which vector scaling needs: one temperature is fitted for all classes instead; give validation of every class (--valid, --valid-chroms)",
                    list_first(&absent, MOST_NAMED)
                ));
            }
        }
        let line = scores.common_scale().map_err(|unfit| self.reason(unfit))?;
        warnings.extend(line.at_bound.then(|| at_bound(&line, "the validation scores")));
        let calibration = Calibration { method: CalibrationMethod::Temperature, ..of_lines(&[line]) };
        Ok((calibration, warnings))
    }

    /// A scale for each class where each can have one, otherwise one for all, and a bias for each.
    fn vectors(&self, scores: &classes::Scores, warnings: &mut Vec<String>) -> Result<Vectors, Unfit> {
        let common = scores.common_scale_with_biases()?;
        match scores.vectors(&common) {
            Ok(vectors) => Ok(vectors),
            Err(Unfit::NotRising) => {
                warnings.push(
                    "the scores of a class do not rise with it on validation, so calibration fits one scale for all classes and a bias for each"
                        .into(),
                );
                Ok(common)
            }
            Err(unfit) => Err(unfit),
        }
    }

    /// Why nothing was fitted, and what to do.
    fn reason(&self, unfit: Unfit) -> String {
        match unfit {
            Unfit::OneClass => {
                let of = match self.task.kind {
                    TaskKind::Multilabel => "validation has no positives or no negatives of any label",
                    _ if self.valid.is_empty() => "there are no validation examples",
                    _ => "all validation examples are of one class",
                };
                format!("{of}; give validation of every class (--valid, --valid-chroms)")
            }
            Unfit::Constant => "all validation scores are equal; train longer, or with another --lr".into(),
            Unfit::NotFinite => "a validation score is not a finite number; use a smaller --lr".into(),
            Unfit::NotRising => {
                "higher scores do not go with more positives on validation, so the slope would be negative; the network has not learned".into()
            }
        }
    }
}

/// What calibration did, with the calibration error on test before and after; `of_test` is the share of positives of the
/// test, for two classes. `None` if no calibration was wanted.
pub fn sentence(task: &Task, errors: Option<(f64, f64)>, of_test: Option<f64>) -> Option<String> {
    let mut text = task.calibration.description(task.kind)?;
    if let Some((before, after)) = errors {
        let rose = if after > before { ", so it rose" } else { "" };
        text.push_str(&format!("; calibration error on test {before:.4} before and {after:.4} after{rose}"));
    }
    if let ([prior], TaskKind::Binary, Some(of_test)) = (&task.calibration.prior[..], task.kind, of_test)
        && task.calibration.method != CalibrationMethod::None
        && (of_test - prior).abs() > MISMATCH * prior.min(1.0 - prior)
    {
        text.push_str(&format!(
            ", at a prevalence of {} in the test, which is not the one calibrated to",
            three_digits(of_test)
        ));
    }
    Some(text)
}

/// A warning that a slope has reached the end of its range.
fn at_bound(line: &Line, what: &str) -> String {
    format!(
        "the slope of the calibration stops at {}, the end of its range, as {what} ask for one beyond it; probabilities may be off",
        three_digits(line.slope)
    )
}

fn of_lines(lines: &[Line]) -> Calibration {
    let biases: Vec<f64> = lines.iter().map(|line| line.intercept).collect();
    Calibration {
        scales: lines.iter().map(|line| line.slope).collect(),
        biases: if biases.iter().all(|&bias| bias == 0.0) { Vec::new() } else { biases },
        ..Calibration::default()
    }
}

/// The share of each class in examples, or of the positives of each label. A class without examples counts as half a one,
/// so that every share lies between 0 and 1.
pub fn training_shares(task: &Task, examples: &Examples) -> Vec<f64> {
    match task.kind {
        TaskKind::Binary | TaskKind::Multiclass => {
            let mut counts = vec![0.0; task.count];
            examples.classes().into_iter().for_each(|class| counts[class] += 1.0);
            shares_of_counts(&counts)
        }
        TaskKind::Multilabel => {
            let mut counts = vec![[0.0; 2]; task.count];
            for (i, &value) in examples.labels.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                counts[i % task.count][usize::from(value != 1.0)] += 1.0;
            }
            counts.iter().map(|counts| shares_of_counts(counts)[0]).collect()
        }
        TaskKind::Regression | TaskKind::Profile => Vec::new(),
    }
}

/// Shares of counts, of which zeros count as one half.
pub fn shares_of_counts(counts: &[f64]) -> Vec<f64> {
    let counts = || counts.iter().map(|count| count.max(0.5));
    let sum: f64 = counts().sum();
    counts().map(|count| count / sum).collect()
}

/// The prior that scores of a network are made for as trained, one for each output: the shares of training, times the
/// weights of the loss, under which a class counts as if it were that much more common.
pub fn weighted_shares(task: &Task, shares: &[f64]) -> Vec<f64> {
    if task.weights.is_empty() {
        return of_outputs(task, shares);
    }
    let weighted = shares.iter().zip(&task.weights);
    if task.kind == TaskKind::Multilabel {
        return weighted.map(|(share, weight)| share * weight / (share * weight + 1.0 - share)).collect();
    }
    let weighted: Vec<f64> = weighted.map(|(share, weight)| share * weight).collect();
    let sum: f64 = weighted.iter().sum();
    of_outputs(task, &weighted.iter().map(|share| share / sum).collect::<Vec<_>>())
}

/// Of shares of classes or labels, those of the outputs: of two classes that of the positive one.
fn of_outputs(task: &Task, shares: &[f64]) -> Vec<f64> {
    if task.kind == TaskKind::Binary { vec![shares[task.positive]] } else { shares.to_vec() }
}

#[cfg(test)]
mod tests;
