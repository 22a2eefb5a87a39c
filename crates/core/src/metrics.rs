//! Metrics of binary, multiclass, multilabel and regression tasks, from plain slices. Definitions follow scikit-learn;
//! every value comes with a 95 % interval from the bootstrap (Efron, 1979). A metric that needs both classes is
//! undefined, not zero, if there is only one.

pub mod classes;
pub mod difference;
pub mod labels;
pub mod paired;
mod ranking;
pub mod regression;

use rand::RngExt;
use rayon::prelude::*;

pub use crate::metrics::ranking::{CalibrationBin, CurvePoint, Ranking};

use crate::random::{self, Purpose};

/// Number of resamples behind each interval: enough for the second digit of its ends.
const RESAMPLES: usize = 1000;

/// Smallest number of resamples, for sets so large that all would take too long; their intervals are narrow in any
/// case.
const FEWEST_RESAMPLES: usize = 100;

/// Budget of scores over all resamples, beyond which there are fewer resamples: one or two minutes on one core.
const MOST_SCORES: usize = 4_000_000_000;

/// A metric with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value on all examples.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Every metric of one split, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Number of examples.
    pub n: usize,
    /// Number of positives; binary tasks only.
    pub n_positive: Option<usize>,
    /// Probability at or above which an example is called positive; binary tasks only.
    pub threshold: Option<f64>,
    /// Metrics by name; `None` is undefined.
    pub metrics: Vec<(&'static str, Option<Estimate>)>,
    /// Metrics of each class against the rest, each label or each column; empty for binary tasks and a single column.
    pub parts: Vec<ClassReport>,
    /// Examples by true class (row) and by the class of the highest score (column).
    pub confusion: Option<Vec<Vec<usize>>>,
}

/// The metrics of one class, label or column.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassReport {
    /// Name of the class, label or column.
    pub name: String,
    /// Number of examples of the class, or of positives of the label; `None` for regression.
    pub n: Option<usize>,
    /// Metrics by name; `None` is undefined.
    pub metrics: Vec<(&'static str, Option<Estimate>)>,
}

impl Report {
    /// Looks up a metric; `None` if it is undefined here.
    pub fn get(&self, name: &str) -> Option<Estimate> {
        find(&self.metrics, name)
    }

    /// Reason why a metric of one class, label or column is undefined.
    pub(crate) fn why_undefined_in_class(&self, name: &str) -> &'static str {
        match name {
            _ if self.n == 0 => NO_EXAMPLES,
            "auroc" | "average_precision" => "it has no positives or no negatives",
            "f1_at_half" => "it has no positives",
            "precision" => "it is never predicted",
            "recall" => "it has no examples",
            "f1" => "it has no examples and is never predicted",
            "accuracy_at_half" | "log_loss" => "it has no labels",
            _ => self.why_undefined(name),
        }
    }

    /// Reason why a metric of all examples is undefined.
    pub(crate) fn why_undefined(&self, name: &str) -> &'static str {
        match name {
            _ if self.n == 0 => NO_EXAMPLES,
            "pearson" | "spearman" => "the values or the predictions are all equal",
            "r2" => "the values are all equal",
            "rmse" | "mae" => "there are no values, or the errors are too large to add up",
            "macro_f1_at_half" => "no label has positives",
            "macro_auroc" | "macro_average_precision" if self.confusion.is_none() => {
                "no label has both positives and negatives"
            }
            _ => "only one class is present",
        }
    }
}

impl ClassReport {
    /// Looks up a metric; `None` if it is undefined here.
    pub fn get(&self, name: &str) -> Option<Estimate> {
        find(&self.metrics, name)
    }
}

const NO_EXAMPLES: &str = "there are no examples";

fn find(metrics: &[(&'static str, Option<Estimate>)], name: &str) -> Option<Estimate> {
    metrics.iter().find(|(found, _)| *found == name).and_then(|(_, estimate)| *estimate)
}

/// Bootstraps the statistics of `n` examples with `k` scores each. `values` gets the number of times to count each
/// example. The same seed gives the same intervals, whatever the number of threads. A value that is not finite is
/// undefined; resamples in which it is undefined are left out of its interval.
fn bootstrap(
    n: usize,
    k: usize,
    seed: u64,
    values: impl Fn(&[u32]) -> Vec<Option<f64>> + Sync,
) -> Vec<Option<Estimate>> {
    let resampled: Vec<Vec<Option<f64>>> = (0..resamples(n, k) as u64)
        .into_par_iter()
        .map(|resample| {
            let mut random = random::generator(seed, Purpose::Bootstrap, resample, 0);
            let mut weights = vec![0u32; n];
            // 32 bits if they suffice, because drawing takes a good part of the time.
            match u32::try_from(n) {
                Ok(n) => (0..n).for_each(|_| weights[random.random_range(0..n) as usize] += 1),
                Err(_) => (0..n).for_each(|_| weights[random.random_range(0..n)] += 1),
            }
            values(&weights)
        })
        .collect();
    let estimate = |(i, value): (usize, Option<f64>)| {
        let value = value.filter(|value| value.is_finite())?;
        let mut draws: Vec<f64> =
            resampled.iter().filter_map(|values| values[i]).filter(|draw| draw.is_finite()).collect();
        draws.sort_unstable_by(f64::total_cmp);
        let end = |share| quantile(&draws, share).unwrap_or(value);
        Some(Estimate { value, low: end(0.025), high: end(0.975) })
    };
    values(&vec![1; n]).into_par_iter().enumerate().map(estimate).collect()
}

fn resamples(n: usize, k: usize) -> usize {
    (MOST_SCORES / n.saturating_mul(k).max(1)).clamp(FEWEST_RESAMPLES, RESAMPLES)
}

/// A quantile of sorted values, interpolated linearly.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = place.floor() as usize;
    Some(sorted[below] + (place - below as f64) * (sorted[(below + 1).min(last)] - sorted[below]))
}

/// The mean of the values that are defined; undefined if none is.
pub fn mean_of_defined(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.into_iter().flatten().fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Column `place` of a `[n, k]` table.
fn column<T: Copy>(table: &[T], k: usize, place: usize) -> Vec<T> {
    table.iter().skip(place).step_by(k).copied().collect()
}

/// The log loss of one example, from the probability of the true class.
fn loss(probability: f64) -> f64 {
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

#[cfg(test)]
impl Report {
    /// Why a metric is undefined; `None` where it is defined or not there.
    fn reason(&self, name: &str) -> Option<&'static str> {
        let found = self.metrics.iter().find(|(own, _)| *own == name);
        found.filter(|(_, estimate)| estimate.is_none()).map(|_| self.why_undefined(name))
    }

    /// The same of a class, label or column.
    fn reason_in_class(&self, class: &str, name: &str) -> Option<&'static str> {
        let part = self.parts.iter().find(|part| part.name == class)?;
        let found = part.metrics.iter().find(|(own, _)| *own == name);
        found.filter(|(_, estimate)| estimate.is_none()).map(|_| self.why_undefined_in_class(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_a_defined_resample_is_its_own_interval() {
        let all_once = |weights: &[u32]| vec![weights.iter().all(|&weight| weight == 1).then_some(2.5), Some(f64::NAN)];
        let estimates = bootstrap(50, 1, 1, all_once);
        assert_eq!(estimates, [Some(Estimate { value: 2.5, low: 2.5, high: 2.5 }), None]);
    }

    #[test]
    fn large_sets_are_resampled_less_often() {
        assert_eq!([resamples(0, 0), resamples(4_000, 1_000), resamples(8_000, 1_000)], [1000, 1000, 500]);
        assert_eq!([resamples(455_024, 919), resamples(usize::MAX, 3)], [100, 100]);
    }

    #[test]
    fn intervals_do_not_depend_on_the_number_of_threads() {
        let scores: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.618).fract()).collect();
        let labels: Vec<usize> = (0..100).map(|i| i * 7 % 3).collect();
        let names = ["a", "b", "c"].map(String::from);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| classes::report(&labels, &scores, &names, 4))
        };
        assert_eq!(with_threads(1), with_threads(3));
    }

    #[test]
    fn no_examples_leave_everything_undefined_and_say_so() {
        let names = ["a", "b"].map(String::from);
        let reports = [
            Ranking::new(&[], &[]).report(0.5, 1),
            classes::report(&[], &[], &names, 1),
            classes::report(&[], &[], &[], 1),
            labels::report::<bool>(&[], &[], &names, 1),
            labels::report::<bool>(&[], &[], &[], 1),
            regression::report(&[], &[], &names, 1),
            regression::report(&[], &[], &[], 1),
        ];
        for report in reports {
            assert!(report.n == 0 && report.metrics.iter().all(|(_, estimate)| estimate.is_none()), "{report:?}");
            let parts = report.parts.iter().flat_map(|part| &part.metrics);
            assert!(parts.into_iter().all(|(_, estimate)| estimate.is_none()), "{report:?}");
            assert_eq!(report.reason(report.metrics[0].0), Some(NO_EXAMPLES));
        }
        assert_eq!(classes::macro_auroc(&[], &[], 2), None);
        assert_eq!(labels::macro_auroc::<bool>(&[], &[], 0), None);
        assert_eq!(regression::mean_pearson(&[], &[], 0), None);
    }
}
