//! `metrics.json` as it is read back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::config::TaskKind;
use crate::figures::number;
use crate::metrics::Estimate;
use crate::training::history::metric_name;

/// What a run came to.
#[derive(Clone, Debug, Deserialize)]
pub struct Metrics {
    pub valid: Results,
    pub test: Results,
    #[serde(default, deserialize_with = "in_order")]
    pub baselines: Vec<(String, Baseline)>,
}

/// What a network must be better than.
#[derive(Clone, Debug, Deserialize)]
pub struct Baseline {
    pub what: String,
    pub test: Results,
}

/// The results on one split.
#[derive(Clone, Debug, Deserialize)]
pub struct Results {
    pub n: usize,
    pub n_positive: Option<usize>,
    pub threshold: Option<f64>,
    /// Of each class, label or column.
    #[serde(default, deserialize_with = "in_order")]
    pub classes: Vec<(String, Group)>,
    pub confusion: Option<Vec<Vec<usize>>>,
    pub strand_flip_rate: Option<f64>,
    pub strand_mean_difference: Option<f64>,
    pub uncalibrated_expected_calibration_error: Option<f64>,
    pub calibrated_expected_calibration_error: Option<f64>,
    pub best_possible_auroc: Option<f64>,
    #[serde(default, deserialize_with = "in_order")]
    pub members: Vec<(String, Spread)>,
    #[serde(default)]
    pub by_gc: Vec<Group>,
    #[serde(default)]
    pub by_repeats: Vec<Group>,
    #[serde(default, deserialize_with = "in_order")]
    pub by_class: Vec<(String, Group)>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Some of the examples, or one class, label or column.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    /// Shares that the group takes.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub n: Option<usize>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A metric with its interval, or why it is undefined.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Metric {
    pub value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    reason: Option<String>,
}

/// Of a metric over the members of an ensemble.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Spread {
    pub mean: f64,
    pub standard_deviation: f64,
}

impl Results {
    /// The metrics by name, in the order in which they are shown.
    pub fn metrics(&self) -> Vec<(&str, Metric)> {
        metrics(&self.rest)
    }

    pub fn metric(&self, name: &str) -> Option<Metric> {
        metric(self.rest.get(name)?)
    }

    /// The metric that says most, which comes first.
    pub fn main(&self) -> Option<(&str, Metric)> {
        self.metrics().into_iter().next()
    }
}

impl Group {
    pub fn metrics(&self) -> Vec<(&str, Metric)> {
        metrics(&self.rest)
    }
}

impl Metric {
    pub fn estimate(&self) -> Option<Estimate> {
        let value = self.value?;
        Some(Estimate { value, low: self.low.unwrap_or(value), high: self.high.unwrap_or(value) })
    }

    /// The value in digits, or a dash.
    pub fn text(&self) -> String {
        self.value.map_or_else(|| "–".into(), number)
    }

    /// The interval in digits, or why there is none.
    pub fn interval(&self) -> String {
        match (self.estimate(), &self.reason) {
            (Some(Estimate { low, high, .. }), _) => format!("{} to {}", number(low), number(high)),
            (None, Some(reason)) => format!("undefined: {reason}"),
            (None, None) => "undefined".into(),
        }
    }

    /// Value and interval in a sentence.
    pub fn in_words(&self) -> String {
        if self.value.is_some() { format!("{} (95 % {})", self.text(), self.interval()) } else { self.interval() }
    }
}

/// A metric as a heading.
pub fn title(metric: &str) -> String {
    let name = metric_name(metric).replace(" at half", " at 0.5");
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What a metric says, in a few words.
pub fn meaning(metric: &str, kind: TaskKind) -> &'static str {
    match (metric.trim_end_matches("_at_half"), kind) {
        ("auroc", _) => "how often a positive scores above a negative; 0.5 is chance",
        ("macro_auroc", TaskKind::Multilabel) => "mean over labels of how often a positive scores above a negative",
        ("macro_auroc", _) => "mean over classes of how often one of the class scores above another",
        ("average_precision", _) => "mean precision over recall; chance is the share of positives",
        ("macro_average_precision", _) => "mean precision over recall, of each alone, averaged",
        ("accuracy", TaskKind::Multilabel) => "share of labels called rightly",
        ("accuracy", _) => "share called rightly",
        ("balanced_accuracy", _) => "the same, each class counting alike",
        ("mcc", _) => "correlation of calls and truth; 0 is chance",
        ("f1", _) => "harmonic mean of precision and recall",
        ("macro_f1", _) => "harmonic mean of precision and recall, of each alone, averaged",
        ("brier_score", _) => "mean squared error of the probability; lower is better",
        ("expected_calibration_error", _) => "mean gap between probability and truth; lower is better",
        ("log_loss", _) => "minus the log of the probability of what is true; lower is better",
        ("pearson", _) => "how far predictions follow the values on a line",
        ("spearman", _) => "how far predictions follow the order of the values",
        ("r2", _) => "share of the variance explained",
        ("rmse", _) => "root of the mean squared error, in the values' unit; lower is better",
        ("mae", _) => "mean error, in the values' unit; lower is better",
        _ => "",
    }
}

fn metrics(object: &Map<String, Value>) -> Vec<(&str, Metric)> {
    object.iter().filter_map(|(name, value)| Some((name.as_str(), metric(value)?))).collect()
}

fn metric(value: &Value) -> Option<Metric> {
    value.get("value")?;
    serde_json::from_value(value.clone()).ok()
}

/// An object as names and values, in the order of the file; what is of another kind, such as a count, is passed over.
fn in_order<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<(String, T)>, D::Error> {
    let object = Map::deserialize(from)?;
    Ok(object.into_iter().filter_map(|(name, value)| Some((name, serde_json::from_value(value).ok()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Ranking, classes};
    use serde_json::json;

    #[test]
    fn metrics_come_back_as_they_were_written() {
        let report = Ranking::new(&[true, false, true, false], &[0.9, 0.2, 0.4, 0.6]).report(0.5, 1);
        let mut test = report.to_json();
        test.insert("members".into(), json!({"n": 2, "auroc": {"mean": 0.5, "standard_deviation": 0.1}}));
        test.insert(
            "by_gc".into(),
            json!([{"low": 0.3, "high": 0.4, "n": 2, "auroc": {"value": null, "reason": "why"}}]),
        );
        let valid = classes::report(&[0, 1], &[0.6, 0.4, 0.3, 0.7], &["z".into(), "a".into()], 1).to_json();
        let found: Metrics = serde_json::from_value(json!({"valid": valid, "test": test})).unwrap();
        let names: Vec<&str> = report.metrics.iter().map(|(name, _)| *name).collect();
        assert_eq!(found.test.metrics().iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        assert_eq!(found.test.metric("auroc").unwrap().estimate(), report.get("auroc"));
        assert_eq!((found.test.n, found.test.threshold, found.test.members.len()), (4, Some(0.5), 1));
        let group = &found.test.by_gc[0];
        assert_eq!(
            (group.low, group.n, group.metrics()[0].1.interval().as_str()),
            (Some(0.3), Some(2), "undefined: why")
        );
        assert_eq!(found.valid.classes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
        assert!(serde_json::from_value::<Metrics>(json!({"test": {"n": 1}})).is_err());
    }
}
