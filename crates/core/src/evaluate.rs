//! Evaluation: predictions for examples, and metrics of predictions against labels.

pub mod baselines;
pub mod bins;
pub mod breakdown;
pub mod calibration;
pub mod dependence;
pub mod difference;
pub mod enzyme;
pub mod folds;
pub mod members;
pub mod predictions;
pub mod profiles;
pub mod results;
pub mod strands;
pub mod unlike_training;

use anyhow::{Result, bail};

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::batches::Share;
use crate::dataset::examples::Examples;
use crate::evaluate::bins::OfBins;
use crate::evaluate::breakdown::{Breakdown, Group};
use crate::evaluate::enzyme::ProfileBaselines;
use crate::evaluate::members::Members;
use crate::evaluate::profiles::OfProfiles;
use crate::evaluate::results::{GroupMetrics, ProfileResults, SplitMetrics};
use crate::evaluate::strands::StrandAgreement;
use crate::evaluate::unlike_training::UnlikeTraining;
use crate::metrics::{self, Blocks, Ranking, Report, Resampling, paired};
pub use crate::scorer::batch_size;
use crate::scorer::{Activation, Scorer};
use crate::sequence::alphabet;
use crate::task::{self, Task};

/// Share of 12-mers in common with a training sequence that unrelated sequences do not have.
const SIMILAR: f64 = 0.1;

/// Which strand of each example is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strand {
    /// The sequence as the example gives it.
    AsGiven,
    /// The reverse complement of the sequence.
    ReverseComplement,
}

/// Predictions for codes `[n, length]`, `[n, outputs]` row by row.
///
/// # Errors
/// A prediction is not finite, or the scorer fails.
pub fn predict(scorer: &dyn Scorer, task: &Task, codes: &[u8]) -> Result<Vec<f64>> {
    scorer.activation()(task, &logits_of_codes(scorer, codes)?)
}

/// Logits for codes `[n, length]`, row by row as they come out of the network.
///
/// # Errors
/// The scorer fails.
pub fn logits_of_codes(scorer: &dyn Scorer, codes: &[u8]) -> Result<Vec<f32>> {
    let length = scorer.length();
    let mut logits = Vec::new();
    for batch in codes.chunks(batch_size(length) * length) {
        logits.extend_from_slice(scorer.score(batch)?.logits());
    }
    Ok(logits)
}

/// Logits for examples, row by row as they come out of the network.
///
/// # Errors
/// The examples cannot be read, or the scorer fails.
pub fn logits_of(scorer: &dyn Scorer, examples: &Examples, strand: Strand) -> Result<Vec<f32>> {
    logits_of_share(scorer, examples, strand, 1, Share::ALL)
}

/// The same in batches that are dealt out to several processes, of which this one scores its own. The logits of others, `outputs` of each
/// example, are minus zero, which changes nothing it is added to.
///
/// # Errors
/// As [`logits_of`].
pub fn logits_of_share(
    scorer: &dyn Scorer,
    examples: &Examples,
    strand: Strand,
    outputs: usize,
    share: Share,
) -> Result<Vec<f32>> {
    let size = batch_size(examples.length);
    // All batches are submitted before the first is waited for, so that a GPU is never idle.
    let mut batches = Vec::new();
    let mut codes = Vec::new();
    for first in (0..examples.len()).step_by(size) {
        let place = first..(first + size).min(examples.len());
        if !share.takes(first / size) {
            batches.push((place, None));
            continue;
        }
        codes.clear();
        examples.read(place.clone(), &mut codes)?;
        if strand == Strand::ReverseComplement {
            codes.chunks_mut(examples.length).for_each(alphabet::reverse_complement);
        }
        batches.push((place, Some(scorer.submit(&codes)?)));
    }
    let mut logits = Vec::new();
    for (place, batch) in batches {
        let Some(batch) = batch else {
            logits.resize(logits.len() + place.len() * outputs, -0.0);
            continue;
        };
        let first_logit = logits.len();
        logits.extend_from_slice(batch.wait()?.logits());
        if let Some(profiles) = examples.profiles.as_ref().filter(|profiles| profiles.shape.control > 0) {
            let mut counts = Vec::new();
            for i in place {
                let first = counts.len();
                counts.extend_from_slice(profiles.control_of(i));
                if strand == Strand::ReverseComplement {
                    counts[first..].reverse();
                }
            }
            scorer.add_control(&counts, &mut logits[first_logit..])?;
        }
    }
    Ok(logits)
}

/// Mean logits of several members, all of the same shape, always added in the same order.
pub fn mean_logits(members: &[Vec<f32>]) -> Vec<f32> {
    let mut members_left = members.iter();
    let mut mean = members_left.next().cloned().unwrap_or_default();
    for member in members_left {
        mean.iter_mut().zip(member).for_each(|(sum, logit)| *sum += logit);
    }
    if members.len() > 1 {
        mean.iter_mut().for_each(|sum| *sum /= members.len() as f32);
    }
    mean
}

/// Predictions for examples, `[n, outputs]`.
///
/// # Errors
/// As [`predict`] and [`logits_of`].
pub fn predictions_of(scorer: &dyn Scorer, task: &Task, examples: &Examples) -> Result<Vec<f64>> {
    scorer.activation()(task, &logits_of(scorer, examples, Strand::AsGiven)?)
}

/// Whether every output, or each bin of it, is constant over all examples, as in a network whose ReLUs have all died. The tolerance is far
/// above rounding error and far below the variation of any trained network.
pub fn are_constant(predictions: &[f64], task: &Task) -> bool {
    let outputs = task.network_outputs().numbers();
    let scales: Vec<_> = task.scales_of_outputs().collect();
    (0..outputs).all(|output| {
        let values = predictions.iter().skip(output).step_by(outputs);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        let unit = match scales.get(output) {
            Some(scale) if task.kind.predicts_values() => scale.deviation,
            _ => 1.0,
        };
        high - low < 1e-6 * unit
    })
}

/// The threshold that suits these predictions best; binary tasks only.
pub fn best_threshold(task: &Task, examples: &Examples, predictions: &[f64]) -> Option<f64> {
    (task.kind == TaskKind::Binary).then(|| Ranking::new(&task.positives(examples), predictions).best_threshold())
}

/// All metrics of predictions `[n, outputs]`. A binary task needs a threshold: the one given, or else the best one on
/// these examples.
pub fn report(
    task: &Task,
    classes: &Classes,
    examples: &Examples,
    predictions: &[f64],
    threshold: Option<f64>,
    resampling: &Resampling,
) -> Report {
    match task.kind {
        TaskKind::Binary => {
            let ranking = Ranking::new(&task.positives(examples), predictions);
            ranking.report(threshold.unwrap_or_else(|| ranking.best_threshold()), resampling)
        }
        TaskKind::Multiclass => metrics::classes::report(&examples.classes(), predictions, &classes.names, resampling),
        TaskKind::Multilabel => {
            metrics::labels::report(&task::yes_no(examples), predictions, &classes.names, resampling)
        }
        TaskKind::Regression | TaskKind::Profile => {
            metrics::regression::report(&task::values(examples), predictions, &classes.names, resampling)
        }
    }
}

/// The predictions of an ensemble for a set of examples, with their metrics.
pub struct Evaluation<'a> {
    /// The task.
    pub task: &'a Task,
    /// The classes.
    pub classes: &'a Classes,
    /// The examples evaluated.
    pub examples: &'a Examples,
    /// What intervals are computed with.
    pub resampling: Resampling<'a>,
    /// Predictions, `[n, outputs]`.
    pub predictions: Vec<f64>,
    /// Predictions without calibration, `[n, outputs]`, if it changes them.
    pub uncalibrated: Option<Vec<f64>>,
    /// Metrics of all examples.
    pub report: Report,
    /// What was predicted for each bin of the examples, where the task has bins.
    pub bins: Option<OfBins>,
    /// What was predicted of profiles, where the task is of profiles.
    pub profiles: Option<OfProfiles>,
    /// Metrics of groups, once measured.
    pub breakdown: Option<Breakdown>,
    /// Metrics of the examples that are unlike the training examples, once measured.
    pub unlike_training: UnlikeTraining,
    /// Agreement of both strands, once measured.
    pub strands: Option<StrandAgreement>,
    /// Spread over the members of an ensemble, once measured.
    pub members: Option<Members>,
}

impl<'a> Evaluation<'a> {
    /// Evaluates the predictions for logits, as they come out of the network; for binary tasks at the given threshold, or else at the
    /// best one on these examples.
    ///
    /// # Errors
    /// Predictions are not finite.
    pub fn of(
        task: &'a Task,
        classes: &'a Classes,
        examples: &'a Examples,
        logits: &[f32],
        activation: Activation,
        threshold: Option<f64>,
        resampling: Resampling<'a>,
    ) -> Result<Self> {
        let predictions = activation(task, logits)?;
        let is_identity = task.calibration.is_identity();
        let uncalibrated = (!is_identity).then(|| activation(&task.uncalibrated(), logits)).transpose()?;
        let report = report(task, classes, examples, &predictions, threshold, &resampling);
        let found = examples.bins.as_ref().map(|bins| bins.of_each);
        let of_examples = examples.profiles.as_ref().map(|profiles| &profiles.shape);
        if let (Some(own), Some(found)) = (task.profile.as_ref().map(|profile| &profile.shape), of_examples)
            && own != found
        {
            bail!(
                "{}: the examples have {} tracks of {} bp, expected {} of {} bp as the run learned; give the tracks alike",
                examples.origins.first().map_or("the data", |origin| &origin.source),
                found.all_tracks(),
                found.length,
                own.all_tracks(),
                own.length
            );
        }
        if let (Some(own), Some(found)) = (task.bins, found)
            && own != found
        {
            bail!(
                "{}: the examples have {} bins of {} bp, expected {} of {} bp as the run learned; give a listing of such",
                examples.origins.first().map_or("the data", |origin| &origin.source),
                found.count,
                found.bp,
                own.count,
                own.bp
            );
        }
        // Data with one value a column are the means over bins.
        let bins = task.bins.filter(|_| found.is_some());
        let bins = bins.map(|bins| OfBins::new(task, classes, examples, logits, bins, &resampling)).transpose()?;
        let profiles = examples.profiles.as_ref().filter(|_| task.profile.is_some());
        let chromosomes = profiles.and_then(|_| dependence::chromosomes_of(examples));
        let profiles = profiles.map(|profiles| OfProfiles::new(profiles, logits, &resampling, chromosomes.as_ref()));
        Ok(Self {
            task,
            classes,
            examples,
            resampling,
            predictions,
            uncalibrated,
            report,
            bins,
            profiles,
            breakdown: None,
            unlike_training: UnlikeTraining::default(),
            strands: None,
            members: None,
        })
    }

    /// Adds metrics of groups of the examples.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn with_breakdown(mut self) -> Result<Self> {
        let of =
            |examples: &Examples, chosen: &[usize], predictions: &[f64]| self.report_of(examples, chosen, predictions);
        self.breakdown = Some(Breakdown::new(self.task, self.classes, self.examples, &self.predictions, &of)?);
        self.unlike_training.without_repeats =
            unlike_training::without_repeats(self.examples).map(|chosen| self.group("without repeats", &chosen));
        Ok(self)
    }

    /// The metrics of some of the examples, with their places among all and their predictions.
    fn report_of(&self, examples: &Examples, chosen: &[usize], predictions: &[f64]) -> Report {
        let blocks = &self.resampling.blocks.at(chosen.iter().copied());
        let resampling = Resampling { blocks, ..self.resampling };
        report(self.task, self.classes, examples, predictions, self.report.threshold, &resampling)
    }

    /// Adds metrics by how similar each example is to the nearest training sequence, `[n]` from 0 to 1.
    pub fn with_similarity(mut self, similarity: &[f64]) -> Self {
        let of =
            |examples: &Examples, chosen: &[usize], predictions: &[f64]| self.report_of(examples, chosen, predictions);
        let groups = Breakdown::by_similarity(self.task, self.examples, &self.predictions, similarity, &of);
        self.breakdown.get_or_insert_default().by_similarity = groups;
        self
    }

    /// Adds metrics of the examples without near copies among the training examples, and by similarity to these.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn beside_training(self, train: &Examples) -> Result<Self> {
        let mut found = self.without_near_copies_in(train)?;
        let similarity = unlike_training::similarity(train, found.examples)?;
        // Where all are strangers to training, there is nothing to tell apart.
        if let Some(similarity) = similarity.filter(|all| all.iter().any(|&share| share >= SIMILAR)) {
            found = found.with_similarity(&similarity);
        }
        Ok(found)
    }

    fn without_near_copies_in(mut self, train: &Examples) -> Result<Self> {
        let chosen = unlike_training::without_near_copies(train, self.examples)?;
        self.unlike_training.without_near_copies =
            chosen.map(|chosen| self.group("without near copies in training", &chosen));
        Ok(self)
    }

    /// Adds, of profiles, metrics of what can be told without a network, from training examples.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn beside_profile_baselines(mut self, baselines: Option<&ProfileBaselines>) -> Result<Self> {
        if let (Some(found), Some(baselines)) = (&mut self.profiles, baselines) {
            found.beside_baselines(baselines, self.examples, &self.resampling)?;
        }
        Ok(self)
    }

    /// The metrics of some of the examples.
    fn group(&self, name: &str, chosen: &[usize]) -> Group {
        let blocks = self.resampling.blocks.at(chosen.iter().copied());
        let resampling = Resampling { blocks: &blocks, ..self.resampling };
        let of = |examples: &Examples, predictions: &[f64]| {
            report(self.task, self.classes, examples, predictions, self.report.threshold, &resampling)
        };
        let all = (self.examples, &self.predictions[..], self.task.outputs());
        unlike_training::measure(name, self.task.kind, all, chosen, &of)
    }

    /// Scores the reverse complement of each example and adds the agreement of both strands.
    ///
    /// # Errors
    /// The examples cannot be read, or the scorer fails.
    pub fn with_strands(mut self, scorer: &dyn Scorer) -> Result<Self> {
        let logits = logits_of(scorer, self.examples, Strand::ReverseComplement)?;
        let reverse = scorer.activation()(self.task, &logits)?;
        let threshold = self.report.threshold.unwrap_or(0.5);
        self.strands = Some(StrandAgreement::of(self.task, &self.predictions, &reverse, threshold));
        Ok(self)
    }

    /// The entry of `metrics.json` for these examples.
    pub fn metrics(&self) -> SplitMetrics {
        let breakdown = self.breakdown.clone().unwrap_or_default();
        let groups = |groups: &[Group]| groups.iter().map(GroupMetrics::from).collect();
        let (uncalibrated, calibrated) = self.calibration_errors().unzip();
        SplitMetrics {
            strand_flip_rate: self.strands.and_then(|strands| strands.flip_rate),
            strand_mean_difference: self.strands.map(|strands| strands.mean_difference),
            uncalibrated_expected_calibration_error: uncalibrated,
            calibrated_expected_calibration_error: calibrated,
            members: self.members.clone(),
            bins: self.bins.as_ref().map(|bins| Box::new(SplitMetrics::from(&bins.report))),
            profile: self.profiles.as_ref().map(|found| Box::new(ProfileResults::from(found))),
            without_repeats: self.unlike_training.without_repeats.as_ref().map(GroupMetrics::from),
            without_near_copies: self.unlike_training.without_near_copies.as_ref().map(GroupMetrics::from),
            by_gc: groups(&breakdown.by_gc),
            by_repeats: groups(&breakdown.by_repeats),
            by_class: breakdown.by_class.iter().map(|group| (group.name.clone(), group.into())).collect(),
            ..SplitMetrics::from(&self.report)
        }
    }

    /// Metrics by similarity to the nearest training sequence, where that was measured.
    pub fn by_similarity(&self) -> Vec<GroupMetrics> {
        self.breakdown.iter().flat_map(|breakdown| &breakdown.by_similarity).map(GroupMetrics::from).collect()
    }

    /// Predicted probabilities with their outcomes, as a calibration curve needs them: of the positive class for binary
    /// tasks, of the predicted class for multiclass tasks, and of all labels together for multilabel tasks. `None` for
    /// regression.
    pub fn probabilities(&self, predictions: &[f64]) -> Option<Ranking> {
        match self.task.kind {
            TaskKind::Binary => Some(Ranking::new(&self.task.positives(self.examples), predictions)),
            TaskKind::Multilabel => {
                let (labels, predictions) = task::known_labels(self.examples, predictions);
                Some(Ranking::new(&labels, &predictions))
            }
            TaskKind::Multiclass => {
                let rows = || predictions.chunks(self.task.count);
                let called = rows().map(metrics::classes::highest);
                let right: Vec<bool> = called.zip(self.examples.classes()).map(|(a, b)| a == b).collect();
                Some(Ranking::new(&right, &rows().map(|row| row[metrics::classes::highest(row)]).collect::<Vec<_>>()))
            }
            TaskKind::Regression | TaskKind::Profile => None,
        }
    }

    /// Calibration errors before and after calibration; `None` if there is none.
    pub fn calibration_errors(&self) -> Option<(f64, f64)> {
        let error = |predictions: &[f64]| self.probabilities(predictions)?.calibration_error();
        Some((error(self.uncalibrated.as_ref()?)?, error(&self.predictions)?))
    }

    /// What calibration did, in a sentence without a full stop; `None` if none was wanted.
    pub fn calibration_sentence(&self) -> Option<String> {
        let of_test = self.report.n_positive.map(|positives| positives as f64 / self.report.n.max(1) as f64);
        calibration::sentence(self.task, self.calibration_errors(), of_test)
    }

    /// The AUROC of the best possible scores on the same examples.
    pub fn beside_best_possible(&self, best: &[f64]) -> BestPossible {
        BestPossible::of(&self.task.positives(self.examples), best, self.resampling.blocks)
    }

    /// The lines that say what intervals rest on; empty where examples are independent and there is an interval.
    pub fn about_intervals(&self) -> String {
        let blocks = self.report.blocks.map(|blocks| format!("intervals: bootstrap of {}\n", blocks.describe()));
        let main = self.report.metrics.first().and_then(|(_, estimate)| estimate.as_ref());
        let none = main.and_then(|estimate| estimate.interval.err()).map(|why| format!("no interval: {why}\n"));
        blocks.into_iter().chain(none).collect()
    }
}

/// The AUROC of the exact likelihood ratio on simulated examples: an estimate of what is possible in expectation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestPossible {
    /// On the examples.
    pub auroc: f64,
    /// How far it would vary over other examples; `None` where a class has too few.
    pub standard_error: Option<f64>,
}

impl BestPossible {
    /// Of the scores of examples that lie in blocks.
    pub fn of(positives: &[bool], scores: &[f64], blocks: &Blocks) -> Self {
        let auroc = Ranking::new(positives, scores).auroc().unwrap_or(0.5);
        Self { auroc, standard_error: paired::standard_error(positives, scores, blocks) }
    }
}
