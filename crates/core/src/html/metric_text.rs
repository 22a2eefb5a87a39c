//! Metrics in words and digits, as reports show them.

use crate::config::TaskKind;
use crate::evaluate::results::Metric;
use crate::format;
use crate::metrics::Method;
use crate::training::history::metric_name;

/// The value as text, or a dash if it is undefined.
pub fn value(metric: Option<&Metric>) -> String {
    metric.and_then(|metric| metric.value).map_or_else(|| "–".into(), format::metric)
}

/// The interval as text, or the reason why there is none or the value is undefined.
pub fn interval(metric: &Metric) -> String {
    let because = |what: &str, reason: &Option<String>| match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    };
    match (metric.value, metric.low.zip(metric.high)) {
        (Some(_), Some((low, high))) => format!("{} to {}", format::metric(low), format::metric(high)),
        (Some(_), None) => because("none", &metric.interval_reason),
        (None, _) => because("undefined", &metric.reason),
    }
}

/// The method of the interval in words; empty where there is none.
pub fn method(metric: &Metric) -> &'static str {
    metric.method.as_deref().and_then(Method::named).map_or("", Method::in_words)
}

/// Value and interval in a sentence.
pub fn in_words(metric: &Metric) -> String {
    match metric.value {
        Some(value) if metric.low.is_some() => format!("{} (95 % {})", format::metric(value), interval(metric)),
        Some(value) => format::metric(value),
        None => interval(metric),
    }
}

/// Name of a metric as a heading.
pub fn title(metric: &str) -> String {
    let name = metric_name(metric).replace(" at half", " at 0.5");
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Short explanation of a metric.
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
        ("debiased_calibration_error", _) => {
            "root mean squared gap between probability and truth without the noise of small bins; 0 if calibrated"
        }
        ("log_loss", _) => "minus the log of the probability of what is true; lower is better",
        ("pearson", _) => "how far predictions follow the values on a line",
        ("spearman", _) => "how far predictions follow the order of the values",
        ("r2", _) => "share of the variance explained",
        ("rmse", _) => "root of the mean squared error, in the values' unit; lower is better",
        ("mae", _) => "mean error, in the values' unit; lower is better",
        _ => "",
    }
}
