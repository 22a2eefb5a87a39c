//! What the folds of a cross-validation came to: each example scored by the network that did not see it, the metrics of each fold,
//! their mean and deviation, and those of all examples together.

mod results;

use anyhow::{Result, bail};

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::examples::{Examples, ExamplesWriter};
use crate::evaluate::breakdown::Group;
use crate::evaluate::difference::Difference;
use crate::evaluate::enzyme::ProfileBaselines;
use crate::evaluate::predictions::Predictions;
use crate::evaluate::profiles::OfProfiles;
use crate::evaluate::results::{Metric, ProfileResults, RunMetrics, SplitMetrics};
use crate::evaluate::{self, Evaluation};
use crate::metrics::{Ranking, Report, Resampling};
use crate::run::ExampleCounts;
use crate::scorer::Activation;
use crate::task::Task;

pub use crate::evaluate::folds::results::{
    BaselineOverFolds, FoldMetrics, FoldResults, FoldSummary, OverFolds, ProfileOverFolds, baseline_over_folds,
    over_folds,
};

/// What one fold came to on the examples that it tests on.
pub struct Fold {
    /// The examples.
    pub examples: Examples,
    /// Logits of the fold's networks, calibrated to a task that all folds share.
    pub logits: Vec<f32>,
    /// Predictions, `[n, outputs]`.
    pub predictions: Vec<f64>,
    /// Predictions of baselines by name, `[n, outputs]`.
    pub baselines: Vec<(String, Vec<f64>)>,
    /// How similar each example is to the nearest training sequence; `None` where that was not measured.
    pub similarity: Option<Vec<f64>>,
    /// Metrics of the runs of the fold, one for each seed.
    pub runs: Vec<RunMetrics>,
    /// What tells profiles without a network, of the fold's training examples.
    pub profile_baselines: Option<ProfileBaselines>,
    /// Examples of each split.
    pub counts: ExampleCounts,
}

impl Fold {
    /// The score from which on an example counts as positive: the mean of those that the runs chose on validation.
    pub fn threshold(&self) -> Option<f64> {
        mean(self.runs.iter().map(|run| run.valid.threshold))
    }
}

/// The examples of all folds together.
pub struct Pooled {
    /// The examples, fold by fold.
    pub examples: Examples,
    /// Logits, as [`Fold::logits`] has them.
    pub logits: Vec<f32>,
    /// Predictions, `[n, outputs]`.
    pub predictions: Vec<f64>,
    /// Predictions of the baselines that all folds have, by name.
    pub baselines: Vec<(String, Vec<f64>)>,
    /// See [`Fold::similarity`].
    pub similarity: Option<Vec<f64>>,
    /// The mean of the thresholds of folds.
    pub threshold: Option<f64>,
}

impl Pooled {
    /// Puts the examples of folds together.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn of(folds: &[Fold]) -> Result<Self> {
        let first = &folds[0].examples;
        let bins = first.bins.as_ref().map(|bins| bins.of_each);
        let shape = first.profiles.as_ref().map(|profiles| profiles.shape.clone());
        let mut writer = ExamplesWriter::new(first.length, first.width, u64::MAX).with_bins(bins).with_profiles(shape);
        let (mut codes, mut logits, mut predictions, mut similarity) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for Fold { examples, logits: own, predictions: found, .. } in folds {
            if examples.length != first.length {
                bail!(
                    "the folds have sequences of {} and of {} bp, expected one length; add --length",
                    first.length,
                    examples.length
                );
            }
            for i in 0..examples.len() {
                codes.clear();
                examples.read_with_case(i..i + 1, &mut codes)?;
                writer.push(&codes, examples.labels_of(i), examples.origins[i].clone())?;
                if let Some(profiles) = &examples.profiles {
                    let row = profiles.row(i);
                    writer.push_profile(&row[..row.len() - 1], profiles.is_peak(i));
                } else if bins.is_some() {
                    writer.push_bins(examples.targets_of(i));
                }
            }
            logits.extend_from_slice(own);
            predictions.extend_from_slice(found);
        }
        for fold in folds {
            similarity.extend(fold.similarity.iter().flatten().copied());
        }
        let examples = writer.finish()?;
        let names = folds[0].baselines.iter().map(|(name, _)| name.clone());
        let baselines = names.filter_map(|name| {
            let of = |fold: &Fold| Some(fold.baselines.iter().find(|(own, _)| *own == name)?.1.clone());
            let each: Option<Vec<Vec<f64>>> = folds.iter().map(of).collect();
            Some((name, each?.concat()))
        });
        Ok(Self {
            baselines: baselines.collect(),
            similarity: (similarity.len() == examples.len()).then_some(similarity),
            threshold: mean(folds.iter().map(Fold::threshold)),
            examples,
            logits,
            predictions,
        })
    }

    /// Evaluates all examples together.
    ///
    /// # Errors
    /// Predictions are not finite, or the examples cannot be read.
    pub fn evaluate<'a>(
        &'a self,
        task: &'a Task,
        classes: &'a Classes,
        activation: Activation,
        resampling: Resampling<'a>,
        folds: &[Fold],
    ) -> Result<Evaluation<'a>> {
        let mut found =
            Evaluation::of(task, classes, &self.examples, &self.logits, activation, self.threshold, resampling)?;
        // What the runs wrote, to the last digit.
        found.report =
            evaluate::report(task, classes, &self.examples, &self.predictions, self.threshold, &found.resampling);
        found.predictions.clone_from(&self.predictions);
        if let (Some(of_profiles), Some(profiles)) = (&mut found.profiles, &self.examples.profiles) {
            let each: Option<Vec<_>> =
                folds.iter().map(|fold| Some((fold.profile_baselines.as_ref()?, fold))).collect();
            let mut named: Vec<(&'static str, Vec<f32>)> = Vec::new();
            for (baselines, fold) in each.into_iter().flatten() {
                for (name, logits) in baselines.logits_of(&fold.examples)? {
                    match named.iter_mut().find(|(own, _)| *own == name) {
                        Some((_, all)) => all.extend(logits),
                        None => named.push((name, logits)),
                    }
                }
            }
            let whole = |logits: &Vec<f32>| logits.len() == profiles.len() * profiles.shape.outputs();
            for (name, logits) in named.iter().filter(|(_, logits)| whole(logits)) {
                of_profiles.beside(name, profiles, logits, &found.resampling);
            }
        }
        let found = found.with_breakdown()?;
        Ok(match &self.similarity {
            Some(similarity) => found.with_similarity(similarity),
            None => found,
        })
    }

    /// How the network differs from each baseline over all examples.
    pub fn differences(&self, task: &Task, resampling: &Resampling) -> Vec<Difference> {
        let of = |(_, baseline): &(String, Vec<f64>)| {
            Difference::of(task, &self.examples, &self.predictions, baseline, resampling)
        };
        self.baselines.iter().map(of).collect()
    }
}

/// `predictions.csv` of folds: every example scored by the networks that did not see it.
///
/// # Errors
/// A row cannot be written.
pub fn table(task: &Task, classes: &Classes, folds: &[Fold]) -> Result<Vec<u8>> {
    let shared = |(name, _): &&(String, Vec<f64>)| {
        folds.iter().all(|fold| fold.baselines.iter().any(|(other, _)| other == name))
    };
    let names: Vec<&str> = folds[0].baselines.iter().filter(shared).map(|(name, _)| name.as_str()).collect();
    let mut rows = Predictions::of_folds(task, classes, &names)?;
    for (number, fold) in folds.iter().enumerate() {
        let of = |name: &&str| fold.baselines.iter().find(|(own, _)| own == *name).map(|(_, found)| &found[..]);
        let baselines: Vec<&[f64]> = names.iter().filter_map(of).collect();
        rows.append_fold(number, &fold.examples, &fold.predictions, &baselines, fold.similarity.as_deref())?;
    }
    rows.finish()
}

/// The metrics of the test part of each fold: those of its run, or of the mean of several runs.
pub fn of_each(
    task: &Task,
    classes: &Classes,
    folds: &[Fold],
    resampling_of: &dyn Fn(&Examples) -> Result<crate::metrics::Blocks>,
    seed: u64,
) -> Result<Vec<SplitMetrics>> {
    let of = |fold: &Fold| -> Result<SplitMetrics> {
        if let [run] = &fold.runs[..] {
            return Ok(run.test.clone());
        }
        let blocks = resampling_of(&fold.examples)?;
        let resampling = Resampling { blocks: &blocks, seed };
        let report: Report =
            evaluate::report(task, classes, &fold.examples, &fold.predictions, fold.threshold(), &resampling);
        let profile = fold.examples.profiles.as_ref().filter(|_| task.profile.is_some());
        let profile = profile.map(|profiles| OfProfiles::new(profiles, &fold.logits, &resampling, None));
        Ok(SplitMetrics {
            profile: profile.map(|found| Box::new(ProfileResults::from(&found))),
            ..SplitMetrics::from(&report)
        })
    };
    folds.iter().map(of).collect()
}

/// The main metric of each fold, as groups of a picture.
pub fn groups(each: &[SplitMetrics], main: &'static str) -> Vec<Group> {
    let group = |(fold, metrics): (usize, &SplitMetrics)| Group {
        name: format!("fold {fold}"),
        range: None,
        n: metrics.n,
        metrics: vec![(main, metrics.get(main).and_then(Metric::estimate))],
    };
    each.iter().enumerate().map(group).collect()
}

/// Rankings of the folds of two classes.
pub fn rankings(task: &Task, folds: &[Fold]) -> Vec<Ranking> {
    let of = |fold: &Fold| Ranking::new(&task.positives(&fold.examples), &fold.predictions);
    if task.kind == TaskKind::Binary { folds.iter().map(of).collect() } else { Vec::new() }
}

/// The mean of values of which all are there.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
