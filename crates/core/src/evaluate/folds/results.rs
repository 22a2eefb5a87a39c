//! The contents of `cv.json`: per metric each fold, mean, standard deviation and the value over all examples.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::config::TaskKind;
use crate::dataset::folds::FoldLists;
use crate::evaluate::difference::Difference;
use crate::evaluate::results::{GroupMetrics, Metric, Metrics, ProfileResults, RunMetrics, SplitMetrics, named};
use crate::run::ExampleCounts;

/// What the folds of a cross-validation came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldResults {
    /// Version of the format of the folder.
    pub format_version: u32,
    /// Kind of the task.
    pub task: TaskKind,
    /// Classes, labels or columns.
    pub classes: Vec<String>,
    /// Name of the positive class; binary tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// What stays together.
    pub split_by: String,
    /// Seeds that each fold was trained with.
    pub seeds: Vec<u64>,
    /// Examples that some fold tests on.
    pub n: usize,
    /// Examples that no fold tests on.
    pub not_tested: u64,
    /// Each fold.
    pub folds: Vec<FoldSummary>,
    /// Metrics by name, the main one first.
    #[serde(with = "named")]
    pub metrics: Vec<(String, OverFolds)>,
    /// Metrics of profiles, where the task is of profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileOverFolds>,
    /// The same metrics over all bins of the examples, where the task has bins.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<(String, OverFolds)>,
    /// Baselines by name.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<(String, BaselineOverFolds)>,
    /// What there is to say of all examples together beside their metrics: counts, the threshold, groups.
    pub pooled: SplitMetrics,
    /// The test set that was kept out of all folds, scored by the ensemble of all networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<SplitMetrics>,
}

/// A fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldSummary {
    /// Its number, from 0.
    pub fold: usize,
    /// Examples of each split.
    pub examples: ExampleCounts,
    /// Chromosomes of each split, where the folds are of chromosomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chromosomes: Option<FoldLists>,
    /// The score from which on an example counts as positive, from validation; binary tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The main metric of the run of each seed.
    pub runs: Vec<Option<f64>>,
}

/// A metric over folds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OverFolds {
    /// The value of each fold; null where it is undefined.
    pub folds: Vec<Option<f64>>,
    /// Mean over the folds that define it.
    pub mean: Option<f64>,
    /// Sample standard deviation over the folds that define it, over n - 1.
    pub standard_deviation: Option<f64>,
    /// The value over all examples, each scored by the networks that did not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Metric>,
}

/// Metrics by name over folds.
pub type FoldMetrics = Vec<(String, OverFolds)>;

/// A baseline over folds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BaselineOverFolds {
    /// Metrics by name.
    #[serde(with = "named")]
    pub metrics: FoldMetrics,
    /// The network's main metric minus that of the baseline, over all examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// Metrics of profiles over folds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileOverFolds {
    /// Over peaks.
    #[serde(with = "named")]
    pub peaks: FoldMetrics,
    /// Over background.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub background: FoldMetrics,
    /// Over peaks and background.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub all: FoldMetrics,
    /// How well predicted counts tell peaks from background.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub detection: FoldMetrics,
    /// Over peaks, without the networks, by name.
    #[serde(default, with = "groups", skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<(String, FoldMetrics)>,
}

impl FoldResults {
    /// Reads `cv.json`.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        let damaged = |what: &dyn std::fmt::Display| {
            anyhow!(
                "{}: is damaged ({what}); restore the file, or remove it and join the folds again with cv --resume",
                path.display()
            )
        };
        let bytes = std::fs::read(path).map_err(|error| damaged(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| damaged(&error))
    }

    /// The metric that says most, which comes first.
    pub fn main(&self) -> Option<(&str, &OverFolds)> {
        self.metrics.first().map(|(name, metric)| (name.as_str(), metric))
    }
}

impl OverFolds {
    /// Of the values of folds.
    pub fn of(folds: Vec<Option<f64>>, pooled: Option<Metric>) -> Self {
        let there: Vec<f64> = folds.iter().flatten().copied().collect();
        let n = there.len() as f64;
        let mean = (!there.is_empty()).then(|| there.iter().sum::<f64>() / n);
        let deviation = mean
            .filter(|_| there.len() > 1)
            .map(|mean| (there.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
        Self { folds, mean, standard_deviation: deviation, pooled }
    }
}

/// Metrics of each fold beside those of all examples together, in the order of these.
pub fn over_folds<'a>(each: &[Option<&'a Metrics>], pooled: &'a Metrics) -> FoldMetrics {
    let names = pooled.iter().map(|(name, metric)| (name, Some(metric.clone())));
    names.map(|(name, pooled)| (name.to_owned(), OverFolds::of(values(each, name), pooled))).collect()
}

fn values(each: &[Option<&Metrics>], name: &str) -> Vec<Option<f64>> {
    each.iter().map(|metrics| metrics.and_then(|metrics| metrics.get(name)?.value)).collect()
}

impl ProfileOverFolds {
    /// Of the profiles of each fold, and of all together.
    pub fn of(each: &[Option<&ProfileResults>], pooled: &ProfileResults) -> Self {
        let group = |of: &dyn Fn(&ProfileResults) -> Option<&GroupMetrics>| -> FoldMetrics {
            let Some(pooled) = of(pooled) else { return Vec::new() };
            let each: Vec<Option<&Metrics>> =
                each.iter().map(|found| found.and_then(of).map(|group| &group.metrics)).collect();
            over_folds(&each, &pooled.metrics)
        };
        let baseline =
            |name: &str| group(&|found| found.baselines.iter().find(|(own, _)| own == name).map(|(_, group)| group));
        let detection: Vec<Option<&Metrics>> = each.iter().map(|found| found.map(|found| &found.detection)).collect();
        Self {
            peaks: group(&|found| Some(&found.peaks)),
            background: group(&|found| found.background.as_ref()),
            all: group(&|found| found.all.as_ref()),
            detection: over_folds(&detection, &pooled.detection),
            baselines: pooled.baselines.iter().map(|(name, _)| (name.clone(), baseline(name))).collect(),
        }
    }
}

/// A baseline over the runs of folds, and of all examples together.
pub fn baseline_over_folds(
    name: &str,
    runs: &[&RunMetrics],
    pooled: &SplitMetrics,
    difference: Option<Difference>,
) -> BaselineOverFolds {
    let of = |run: &&'_ RunMetrics| run.baselines.iter().position(|(own, _)| own == name);
    let each: Vec<Option<&Metrics>> =
        runs.iter().map(|run| of(run).map(|place| &run.baselines[place].1.test.metrics)).collect();
    BaselineOverFolds { metrics: over_folds(&each, &pooled.metrics), difference }
}

/// Groups of metrics as an object of objects.
mod groups {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{FoldMetrics, OverFolds, named};

    #[derive(Serialize, Deserialize)]
    struct Of(#[serde(with = "named")] Vec<(String, OverFolds)>);

    pub fn serialize<S: Serializer>(groups: &[(String, FoldMetrics)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(groups.iter().map(|(name, metrics)| (name, Of(metrics.clone()))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, FoldMetrics)>, D::Error> {
        let found: Vec<(String, Of)> = named::deserialize(from)?;
        Ok(found.into_iter().map(|(name, Of(metrics))| (name, metrics)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_over_the_folds_that_define_a_metric() {
        let found = OverFolds::of(vec![Some(0.5), None, Some(0.7), Some(0.6)], None);
        assert!((found.mean.unwrap() - 0.6).abs() < 1e-12);
        assert!((found.standard_deviation.unwrap() - 0.1).abs() < 1e-12);
        let one = OverFolds::of(vec![Some(0.5), None], None);
        assert_eq!((one.mean, one.standard_deviation), (Some(0.5), None));
        assert_eq!(OverFolds::of(vec![None], None).mean, None);
    }
}
