//! Metrics of binary, multiclass, multilabel and regression tasks, from plain slices. Definitions follow scikit-learn;
//! every value comes with a 95 % interval that allows for examples that depend on each other, or with the reason why
//! there is none (docs/statistics.md). A metric that needs both classes is undefined, not zero, if there is only one.

pub mod blocks;
mod bootstrap;
pub mod calibration;
pub mod classes;
mod closed_form;
pub mod difference;
pub mod estimate;
pub mod labels;
pub mod paired;
pub mod profile;
mod ranking;
pub mod regression;
pub mod resampled;

pub use crate::metrics::blocks::{BlockSummary, Blocks};
pub use crate::metrics::bootstrap::{Resampling, quantile};
pub use crate::metrics::estimate::{Estimate, Interval, Method, NoInterval};
pub use crate::metrics::ranking::{CalibrationBin, CurvePoint, Ranking};

/// Half the width of a 95 % interval in standard deviations of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// The same for Student's t, from 4 degrees of freedom within 0.3 %, from 50 within 1e-6 (Abramowitz and Stegun, 1964,
/// 26.7.5).
fn t_95(freedom: f64) -> f64 {
    let z = Z_95;
    let terms = [
        z,
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
    ];
    terms.iter().zip(0..).map(|(term, power)| term / freedom.powi(power)).sum()
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
    /// The blocks that intervals rest on; `None` where examples are independent.
    pub blocks: Option<BlockSummary>,
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
            "pearson" | "spearman" | "count_pearson" | "count_spearman" => {
                "the values or the predictions are all equal"
            }
            _ if name.starts_with("profile_") => "no locus has reads and a profile that varies",
            "count_mse" => NO_EXAMPLES,
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

/// The least and the greatest value that a metric can have.
fn bounds(metric: &str) -> (f64, f64) {
    match metric {
        "mcc" | "mcc_at_half" | "pearson" | "spearman" => (-1.0, 1.0),
        name if name.ends_with("_pearson") || name.ends_with("_spearman") || name.ends_with("_10bp") => (-1.0, 1.0),
        "r2" => (f64::NEG_INFINITY, 1.0),
        "log_loss" | "rmse" | "mae" | "profile_mnll" | "profile_jsd" | "count_mse" => (0.0, f64::INFINITY),
        "profile_gain" => (f64::NEG_INFINITY, f64::INFINITY),
        _ => (0.0, 1.0),
    }
}

/// The estimates of named metrics in order, without the intervals for which `too_few` has a reason.
fn named(
    names: impl IntoIterator<Item = &'static str>,
    estimates: &mut impl Iterator<Item = Option<Estimate>>,
    too_few: impl Fn(&str) -> Option<NoInterval>,
) -> Vec<(&'static str, Option<Estimate>)> {
    let name = |(name, estimate): (&'static str, Option<Estimate>)| {
        (name, estimate.map(|estimate| estimate.unless(too_few(name))))
    };
    names.into_iter().zip(estimates).map(name).collect()
}

/// Replaces the interval of a metric that is there and has one, or had none only because no resample differs.
fn replace(metrics: &mut [(&'static str, Option<Estimate>)], name: &str, interval: Option<Interval>) {
    let found = metrics.iter_mut().find(|(own, _)| *own == name);
    if let (Some((_, Some(estimate))), Some(interval)) = (found, interval)
        && matches!(estimate.interval, Ok(_) | Err(NoInterval::Constant))
    {
        estimate.interval = Ok(interval);
    }
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
    fn intervals_do_not_depend_on_the_number_of_threads() {
        let scores: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.618).fract()).collect();
        let labels: Vec<usize> = (0..100).map(|i| i * 7 % 3).collect();
        let names = ["a", "b", "c"].map(String::from);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                classes::report(&labels, &scores, &names, &Resampling { blocks: &Blocks::each(100), seed: 4 })
            })
        };
        assert_eq!(with_threads(1), with_threads(3));
    }

    #[test]
    fn no_examples_leave_everything_undefined_and_say_so() {
        let names = ["a", "b"].map(String::from);
        let none = Resampling { blocks: &Blocks::each(0), seed: 1 };
        let reports = [
            Ranking::new(&[], &[]).report(0.5, &none),
            classes::report(&[], &[], &names, &none),
            classes::report(&[], &[], &[], &none),
            labels::report::<bool>(&[], &[], &names, &none),
            labels::report::<bool>(&[], &[], &[], &none),
            regression::report(&[], &[], &names, &none),
            regression::report(&[], &[], &[], &none),
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
