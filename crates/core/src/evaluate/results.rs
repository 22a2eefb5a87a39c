//! The contents of `metrics.json`, written by evaluation and read by reports, `verify` and whatever needs the
//! threshold. Keys keep their order, optional keys are left out, and unknown keys are ignored.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::config::TaskKind;
use crate::evaluate::BestPossible;
use crate::evaluate::breakdown::Group;
use crate::evaluate::difference::Difference;
use crate::evaluate::enzyme::EnzymeFootprint;
use crate::evaluate::members::Members;
use crate::evaluate::profiles::OfProfiles;
use crate::metrics::{BlockSummary, Estimate, Interval, Method, NoInterval, Report};
use crate::run::{METRICS_JSON, RunFolder};
use crate::task::Task;

/// The metrics of a run: the object in `metrics.json` of a run folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    /// Validation, which chose the epoch and the threshold.
    pub valid: SplitMetrics,
    /// Test.
    pub test: SplitMetrics,
    /// Baselines by name, where they were fitted.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<(String, BaselineMetrics)>,
    /// Groups of test examples by the share of 12-mers in common with the nearest training sequence. Beside the test, whose metrics
    /// are those of anybody who has no training examples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_similarity: Vec<GroupMetrics>,
}

/// The metrics of a finished run on other data: the object in `metrics.json` of an evaluation folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationMetrics {
    /// The examples evaluated.
    pub test: SplitMetrics,
}

/// A baseline on the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineMetrics {
    /// What was fitted, in words.
    #[serde(rename = "what")]
    pub description: String,
    /// Its metrics on the same test examples as the network's.
    pub test: SplitMetrics,
    /// The network's main metric minus that of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// The metrics of one split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitMetrics {
    /// Number of examples.
    pub n: usize,
    /// Number of examples of the positive class; binary tasks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_positive: Option<usize>,
    /// Probability from which an example is called positive; binary tasks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The blocks of dependent examples that intervals rest on; absent where examples are independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BlockSummary>,
    /// Metrics by name in the order in which they are shown, the main one first.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Each class, label or column.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<(String, GroupMetrics)>,
    /// Number of examples `[classes, classes]` by true class (row) and predicted class (column).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<usize>>>,
    /// Share of examples whose reverse complement is called differently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strand_flip_rate: Option<f64>,
    /// Mean absolute difference between the predictions for both strands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strand_mean_difference: Option<f64>,
    /// Calibration error before calibration, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncalibrated_expected_calibration_error: Option<f64>,
    /// Calibration error after calibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated_expected_calibration_error: Option<f64>,
    /// Mean and deviation over the members of an ensemble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
    /// The same metrics over all bins of the examples, where the task has bins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Box<SplitMetrics>>,
    /// Metrics of profiles, where the task is of profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Box<ProfileResults>>,
    /// Examples without repeats, told by case: less than a twentieth of their bases is soft-masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_repeats: Option<GroupMetrics>,
    /// Examples without an exact or near copy among the training examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_near_copies: Option<GroupMetrics>,
    /// Groups of examples by GC content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_gc: Vec<GroupMetrics>,
    /// Groups of examples by the share of soft-masked bases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_repeats: Vec<GroupMetrics>,
    /// Groups of examples by the share of 12-mers in common with the nearest training sequence; of folds only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_similarity: Vec<GroupMetrics>,
    /// Examples of each class; binary tasks only.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub by_class: Vec<(String, GroupMetrics)>,
    /// AUROC of the exact likelihood ratio on simulated examples: an estimate of the best possible in expectation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_possible_auroc: Option<f64>,
    /// Its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_possible_auroc_standard_error: Option<f64>,
}

/// The metrics of some of the examples, or of one class, label or column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupMetrics {
    /// Lower bound of the shares in the group, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper bound of the shares in the group, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Number of examples; of a label, of its positives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Metrics by name.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// The metrics of profiles and of the counts beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileResults {
    /// Over peaks.
    pub peaks: GroupMetrics,
    /// Peaks without reads, which count for nothing in the metrics of profiles.
    pub peaks_without_reads: usize,
    /// Over background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<GroupMetrics>,
    /// Over peaks and background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<GroupMetrics>,
    /// The same with intervals by chromosome, where loci have coordinates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals_by_chromosome: Option<IntervalsByChromosome>,
    /// How well predicted counts tell peaks from background.
    #[serde(default)]
    pub detection: Metrics,
    /// Over peaks, without this network: `uniform`, `mean_profile` of training peaks, the enzyme's `matrix`, the product of both, and
    /// `bias`.
    #[serde(default, with = "named", skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<(String, GroupMetrics)>,
    /// The Jensen-Shannon distance on a scale where the uniform profile is 0 and the mean profile is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_jsd_normalised: Option<f64>,
    /// The share of the network's gain over the uniform profile that its bias model alone has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_share_of_gain: Option<f64>,
    /// How a network with a bias model answers to what the enzyme prefers, by group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enzyme_footprints: Vec<EnzymeFootprint>,
    /// Pearson correlation of the log counts of two random halves of the reads of all loci, which no network of half the reads can
    /// be expected to pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_pearson_of_halves: Option<f64>,
}

/// Metrics of profiles with intervals by chromosome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalsByChromosome {
    /// The chromosomes of peaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BlockSummary>,
    /// Over peaks.
    pub peaks: GroupMetrics,
    /// Over background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<GroupMetrics>,
    /// Over peaks and background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<GroupMetrics>,
}

impl From<&OfProfiles> for ProfileResults {
    fn from(found: &OfProfiles) -> Self {
        let of = |report: &Report| GroupMetrics {
            n: Some(report.n),
            metrics: Metrics::new(&report.metrics, |name| report.why_undefined(name)),
            ..GroupMetrics::default()
        };
        Self {
            peaks: of(&found.peaks),
            peaks_without_reads: found.without_reads,
            background: found.background.as_ref().map(of),
            all: found.all.as_ref().map(of),
            intervals_by_chromosome: found.by_chromosome.as_ref().map(|(peaks, background, all)| {
                IntervalsByChromosome {
                    blocks: peaks.blocks,
                    peaks: of(peaks),
                    background: background.as_ref().map(of),
                    all: all.as_ref().map(of),
                }
            }),
            detection: Metrics::new(&found.detection, |_| "there are no peaks or no background"),
            baselines: found.baselines.iter().map(|(name, report)| ((*name).to_owned(), of(report))).collect(),
            profile_jsd_normalised: found.normalised_distance(),
            bias_share_of_gain: found.bias_share_of_gain(),
            enzyme_footprints: found.enzyme_footprints.clone(),
            count_pearson_of_halves: found.halves,
        }
    }
}

/// Metrics by name, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(#[serde(with = "named")] Vec<(String, Metric)>);

/// A metric with its 95 % interval and the method of that, or without and why, or why it is undefined: one of
/// `{"value", "low", "high", "method"}`, `{"value", "low": null, "high": null, "interval_reason"}` and
/// `{"value": null, "reason"}`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Metric {
    /// `None`, null in the file, where it is undefined.
    #[serde(deserialize_with = "Option::deserialize")] // the key must be there
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// How the interval was computed; runs of earlier versions do not say.
    pub method: Option<String>,
    /// Why there is a value and no interval.
    pub interval_reason: Option<String>,
    /// Why it is undefined.
    pub reason: Option<String>,
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("value", &self.value)?;
        if self.value.is_some() {
            map.serialize_entry("low", &self.low)?;
            map.serialize_entry("high", &self.high)?;
        }
        for (key, text) in
            [("method", &self.method), ("interval_reason", &self.interval_reason), ("reason", &self.reason)]
        {
            if let Some(text) = text {
                map.serialize_entry(key, text)?;
            }
        }
        map.end()
    }
}

impl RunMetrics {
    /// Reads the file of a finished run.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold the metrics of a run.
    pub fn read(path: &Path) -> Result<Self> {
        let damaged = |what: &dyn std::fmt::Display| {
            anyhow!("{}: is damaged ({what}); restore the file or train again", path.display())
        };
        let bytes = std::fs::read(path).map_err(|error| damaged(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| damaged(&error))
    }
}

impl SplitMetrics {
    /// The metric that says most, which comes first.
    pub fn main(&self) -> Option<(&str, &Metric)> {
        self.metrics.iter().next()
    }

    /// A metric by name.
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.metrics.get(name)
    }

    /// With the best that is possible on the same examples, where it is known.
    pub fn beside(self, best: Option<BestPossible>) -> Self {
        Self {
            best_possible_auroc: best.map(|best| best.auroc),
            best_possible_auroc_standard_error: best.and_then(|best| best.standard_error),
            ..self
        }
    }
}

impl From<&Report> for SplitMetrics {
    fn from(report: &Report) -> Self {
        let class = |part: &crate::metrics::ClassReport| GroupMetrics {
            n: part.n,
            metrics: Metrics::new(&part.metrics, |name| report.why_undefined_in_class(name)),
            ..Default::default()
        };
        Self {
            n: report.n,
            n_positive: report.n_positive,
            threshold: report.threshold,
            blocks: report.blocks,
            metrics: Metrics::new(&report.metrics, |name| report.why_undefined(name)),
            classes: report.parts.iter().map(|part| (part.name.clone(), class(part))).collect(),
            confusion: report.confusion.clone(),
            ..Default::default()
        }
    }
}

impl From<&Group> for GroupMetrics {
    fn from(group: &Group) -> Self {
        Self {
            low: group.range.as_ref().map(|range| range.start),
            high: group.range.as_ref().map(|range| range.end),
            n: Some(group.n),
            metrics: Metrics::new(&group.metrics, |_| "these examples do not define it"),
        }
    }
}

impl Metrics {
    /// Estimates by name; `reason` says why one is undefined.
    pub(crate) fn new(estimates: &[(&str, Option<Estimate>)], reason: impl Fn(&str) -> &'static str) -> Self {
        let metric = |name: &str, estimate: &Option<Estimate>| match *estimate {
            Some(Estimate { value, interval: Ok(Interval { low, high, method }) }) => Metric {
                value: Some(value),
                low: Some(low),
                high: Some(high),
                method: Some(method.name().into()),
                ..Default::default()
            },
            Some(Estimate { value, interval: Err(why) }) => {
                Metric { value: Some(value), interval_reason: Some(why.to_string()), ..Default::default() }
            }
            None => Metric { reason: Some(reason(name).into()), ..Default::default() },
        };
        Self(estimates.iter().map(|(name, estimate)| ((*name).to_owned(), metric(name, estimate))).collect())
    }

    /// A metric by name.
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, metric)| metric)
    }

    /// Every metric with its name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.0.iter().map(|(name, metric)| (name.as_str(), metric))
    }
}

impl Metric {
    /// Value and interval; `None` if it is undefined.
    pub fn estimate(&self) -> Option<Estimate> {
        // Before methods were recorded, all were bootstraps.
        let method = || self.method.as_deref().and_then(Method::named).unwrap_or(Method::Bootstrap);
        let ends = self.low.zip(self.high);
        let interval = ends.map(|(low, high)| Interval { low, high, method: method() }).ok_or(NoInterval::Undefined);
        Some(Estimate { value: self.value?, interval })
    }
}

/// Pairs as a JSON object, in order. Reading passes over values of another kind, such as counts.
pub(crate) mod named {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::{Map, Value};

    pub fn serialize<S: Serializer, T: Serialize>(pairs: &[(String, T)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<(String, T)>, D::Error> {
        let object = Map::<String, Value>::deserialize(from)?;
        Ok(object.into_iter().filter_map(|(name, value)| Some((name, serde_json::from_value(value).ok()?))).collect())
    }
}

/// Of two classes, the threshold that a run chose on validation.
///
/// # Errors
/// The run did not finish, or its metrics are damaged.
pub fn threshold_of(run: &RunFolder, task: &Task) -> Result<Option<f64>> {
    if task.kind != TaskKind::Binary {
        return Ok(None);
    }
    let path = run.file(METRICS_JSON);
    match RunMetrics::read(&path)?.valid.threshold {
        Some(threshold) if threshold.is_finite() => Ok(Some(threshold)),
        _ => bail!("{}: holds no valid.threshold, expected a number; train again or restore the file", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::members::Spread;
    use crate::metrics::{Blocks, Ranking, Resampling, classes, labels, regression};
    use serde_json::json;

    /// Examples that are independent of each other.
    fn alone(n: usize) -> Resampling<'static> {
        let blocks: &'static Blocks = Box::leak(Box::new(Blocks::each(n)));
        Resampling { blocks, seed: 1 }
    }

    fn of_two_splits() -> RunMetrics {
        let mut test = SplitMetrics::from(
            &Ranking::new(&[true, false, true, false], &[0.9, 0.2, 0.4, 0.6]).report(0.5, &alone(4)),
        );
        test.members =
            Some(Members { n: 2, metrics: vec![("auroc".into(), Spread { mean: 0.5, standard_deviation: 0.1 })] });
        test.by_gc =
            vec![(&Group { name: "g".into(), range: Some(0.3..0.4), n: 2, metrics: vec![("auroc", None)] }).into()];
        test.strand_mean_difference = Some(1.0 / 3.0);
        let valid = (&classes::report(&[0, 1], &[0.6, 0.4, 0.3, 0.7], &["z".into(), "a".into()], &alone(2))).into();
        RunMetrics { valid, test, baselines: Vec::new(), by_similarity: Vec::new() }
    }

    #[test]
    fn metrics_come_back_as_they_were_written() {
        let mut metrics = of_two_splits();
        let baseline = BaselineMetrics { description: "fitted".into(), test: metrics.test.clone(), difference: None };
        metrics.baselines.push(("GC".into(), baseline));
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<RunMetrics>(&text).unwrap(), metrics);
    }

    #[test]
    fn keys_have_an_order_and_absent_ones_are_left_out() {
        let value = serde_json::to_value(of_two_splits()).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&value), ["valid", "test"]);
        let found = keys(&value["test"]);
        assert_eq!(found[..4], ["n", "n_positive", "threshold", "auroc"]);
        assert_eq!(found[found.len() - 3..], ["strand_mean_difference", "members", "by_gc"]);
        assert_eq!(
            value["test"]["by_gc"][0].to_string(),
            r#"{"low":0.3,"high":0.4,"n":2,"auroc":{"value":null,"reason":"these examples do not define it"}}"#
        );
        assert_eq!(value["test"]["members"].to_string(), r#"{"n":2,"auroc":{"mean":0.5,"standard_deviation":0.1}}"#);
        assert_eq!(keys(&value["valid"]["classes"]), ["z", "a"]);
        let found = keys(&value["valid"]);
        assert_eq!((found[0].as_str(), found[1].as_str()), ("n", "macro_auroc"));
        assert_eq!(found[found.len() - 2..], ["classes", "confusion"]);
        let report = classes::report(&[0, 1], &[0.6, 0.4, 0.3, 0.7], &["z".into(), "a".into()], &alone(2));
        let names =
            |metrics: &[(&'static str, Option<Estimate>)]| metrics.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(found, [&["n"], &names(&report.metrics)[..], &["classes", "confusion"]].concat());
        let of_class = keys(&value["valid"]["classes"]["a"]);
        assert_eq!(of_class, [&["n"], &names(&report.parts[1].metrics)[..]].concat());
    }

    #[test]
    fn keys_that_a_task_lacks_are_absent() {
        let labels = labels::report(&[true, false, false, true], &[0.5; 4], &["a".into(), "b".into()], &alone(2));
        let value = serde_json::to_value(SplitMetrics::from(&labels)).unwrap();
        assert!(
            value.get("n_positive").is_none() && value.get("confusion").is_none() && value.get("threshold").is_none()
        );
        let column = regression::report(&[0.1, 0.7, 0.2], &[0.1, 0.7, 0.2], &["a".into()], &alone(3));
        assert!(serde_json::to_value(SplitMetrics::from(&column)).unwrap().get("classes").is_none());
        let columns = regression::report(&[0.1, 0.7, 0.2, 0.9], &[0.5; 4], &["a".into(), "b".into()], &alone(2));
        let value = serde_json::to_value(SplitMetrics::from(&columns)).unwrap();
        assert!(value["classes"]["a"].get("n").is_none() && value["classes"]["a"]["pearson"]["value"].is_null());
    }

    #[test]
    fn older_and_newer_files_are_read() {
        let text = json!({
            "valid": {"n": 1}, "later": {"n": 2},
            "test": {"n": 3, "auroc": {"value": 0.5, "low": null, "high": null, "interval_reason": "few"}, "other": [1]},
        });
        let found: RunMetrics = serde_json::from_value(text).unwrap();
        assert_eq!(found.test.metrics.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["auroc"]);
        let found = found.test.get("auroc").unwrap();
        assert_eq!((found.estimate().unwrap().ends(), found.interval_reason.as_deref()), ((0.5, 0.5), Some("few")));
        assert!(serde_json::from_value::<RunMetrics>(json!({"test": {"n": 1}})).is_err());
    }
}
