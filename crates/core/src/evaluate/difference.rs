//! How a network differs from a baseline in the main metric of a task: a paired comparison on the same examples.

use serde::{Deserialize, Serialize};

use crate::config::TaskKind;
use crate::dataset::examples::Examples;
use crate::metrics::paired::{Paired, delong};
use crate::metrics::{Resampling, difference};
use crate::task::{self, Task};

/// Methods as `metrics.json` names them.
const DELONG: &str = "delong";
const CLUSTERED_DELONG: &str = "clustered-delong";
const BOOTSTRAP: &str = "paired-bootstrap";
const BLOCK_BOOTSTRAP: &str = "paired-block-bootstrap";

/// The main metric of a network minus that of a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Name of the metric.
    pub metric: String,
    /// `None`, null in the file, where it is undefined.
    #[serde(deserialize_with = "Option::deserialize")] // the key must be there
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Two-sided p-value of the hypothesis that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// How interval and p-value were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Why it is undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Difference {
    /// Compares the predictions of a network with those of a baseline, both `[n, outputs]`.
    pub fn of(task: &Task, examples: &Examples, network: &[f64], baseline: &[f64], resampling: &Resampling) -> Self {
        let metric = main_metric(task.kind).to_owned();
        match compare(task, examples, [baseline, network], resampling) {
            Some((Paired { difference, low, high, p_value }, method)) => Self {
                metric,
                value: Some(difference),
                low: Some(low),
                high: Some(high),
                p_value: Some(p_value),
                method: Some(method.into()),
                reason: None,
            },
            None => Self {
                metric,
                value: None,
                low: None,
                high: None,
                p_value: None,
                method: None,
                reason: Some("the metric is undefined for one of them, both rank the examples alike, or the examples are too few".into()),
            },
        }
    }

    /// Difference with its interval, p-value and method in words; `None` where it is undefined.
    pub fn in_words(&self) -> Option<String> {
        let (value, low, high) = (self.value?, self.low?, self.high?);
        let (p, method) = (self.p_in_digits()?, self.method_in_words());
        Some(format!("{value:+.4} (95 % {low:+.4} to {high:+.4}, p {p}, {method})"))
    }

    /// The method in words.
    pub fn method_in_words(&self) -> &str {
        match self.method.as_deref() {
            Some(DELONG) => "DeLong's test",
            Some(CLUSTERED_DELONG) => "DeLong's test in blocks",
            Some(BOOTSTRAP) => "paired bootstrap",
            Some(BLOCK_BOOTSTRAP) => "paired block bootstrap",
            other => other.unwrap_or("none"),
        }
    }

    /// The p-value in digits.
    pub fn p_in_digits(&self) -> Option<String> {
        let p_value = self.p_value?;
        Some(if p_value > 0.0 { crate::format::p_value(p_value.ln()) } else { "< 1e-300".into() })
    }
}

/// The metric that comes first in a report of a task.
fn main_metric(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary => "auroc",
        TaskKind::Multiclass | TaskKind::Multilabel => "macro_auroc",
        TaskKind::Regression | TaskKind::Profile => "pearson",
    }
}

/// The second of two predictions minus the first in the main metric, with the name of the method.
fn compare(
    task: &Task,
    examples: &Examples,
    both: [&[f64]; 2],
    resampling: &Resampling,
) -> Option<(Paired, &'static str)> {
    let (of_aurocs, bootstrap) =
        if resampling.blocks.are_examples() { (DELONG, BOOTSTRAP) } else { (CLUSTERED_DELONG, BLOCK_BOOTSTRAP) };
    let k = task.outputs();
    match task.kind {
        TaskKind::Binary => {
            let ([first, second], positives) = (both, task.positives(examples));
            let too_few = |class: bool| resampling.blocks.too_few_of(|example| positives[example] == class).is_some();
            if too_few(true) || too_few(false) {
                return None;
            }
            Some((delong(&positives, first, second, resampling.blocks)?, of_aurocs))
        }
        TaskKind::Multiclass => {
            Some((difference::macro_auroc_of_classes(&examples.classes(), both, k, resampling)?, bootstrap))
        }
        TaskKind::Multilabel => {
            Some((difference::macro_auroc_of_labels(&task::yes_no(examples), both, k, resampling)?, bootstrap))
        }
        TaskKind::Regression | TaskKind::Profile => {
            Some((difference::mean_pearson(&task::values(examples), both, k, resampling)?, bootstrap))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::dataset::Classes;
    use crate::metrics::Blocks;

    #[test]
    fn the_main_metric_of_each_task_is_compared() {
        let classes = |k: usize| Classes { names: (0..k).map(|i| format!("c{i}")).collect(), positive: 1 };
        let n = 40;
        let wave = |i: usize, of: f64| (i as f64 * of).fract();
        for (kind, k, metric, method) in [
            (TaskKind::Binary, 2, "auroc", "delong"),
            (TaskKind::Multiclass, 3, "macro_auroc", "paired-bootstrap"),
            (TaskKind::Multilabel, 2, "macro_auroc", "paired-bootstrap"),
            (TaskKind::Regression, 1, "pearson", "paired-bootstrap"),
            (TaskKind::Regression, 2, "pearson", "paired-bootstrap"),
        ] {
            let width =
                if matches!(kind, TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile) { k } else { 1 };
            let labels: Vec<f32> = (0..n * width)
                .map(|i| match kind {
                    TaskKind::Multiclass => (i * 7 % 3) as f32,
                    TaskKind::Regression | TaskKind::Profile => wave(i, 0.618) as f32,
                    _ => (i * 5 / width % 2) as f32,
                })
                .collect();
            let examples = Examples::from_codes(&vec![0; 2 * n], 2, &labels);
            let task = Task::new(kind, &classes(k), None, &ClassWeights::None, &examples).unwrap();
            let outputs = task.outputs();
            let network: Vec<f64> = (0..n * outputs).map(|i| wave(i, 0.381)).collect();
            let baseline: Vec<f64> = (0..n * outputs).map(|i| wave(i, 0.237)).collect();
            let alone = Resampling { blocks: &Blocks::each(n), seed: 1 };
            let found = Difference::of(&task, &examples, &network, &baseline, &alone);
            assert_eq!((found.metric.as_str(), found.method.as_deref()), (metric, Some(method)), "{kind:?}");
            let report = |predictions: &[f64]| {
                let found = crate::evaluate::report(&task, &classes(k), &examples, predictions, Some(0.5), &alone);
                assert_eq!(found.metrics[0].0, metric);
                found.metrics[0].1.unwrap().value
            };
            let expected = report(&network) - report(&baseline);
            assert!((found.value.unwrap() - expected).abs() < 1e-12, "{kind:?}: {found:?} {expected}");
            assert!(found.low < found.value && found.value < found.high, "{found:?}");
            let back = Difference::of(&task, &examples, &baseline, &network, &alone);
            assert!((back.value.unwrap() + expected).abs() < 1e-12 && back.in_words().unwrap().contains("(95 %"));
            let constant = Difference::of(&task, &examples, &network, &network, &alone);
            assert!(constant.value.is_none() && constant.reason.is_some() && constant.in_words().is_none());
        }
    }
}
