//! Metrics of regression tasks: correlations and errors of each column, and their means.

use rayon::prelude::*;

use crate::metrics::bootstrap::{Resampling, bootstrap};
use crate::metrics::estimate::FEWEST_EXAMPLES;
use crate::metrics::ranking::Order;
use crate::metrics::{ClassReport, NoInterval, Report, bounds, column, mean_of_defined, named};

pub(super) const METRICS: [&str; 5] = ["pearson", "spearman", "r2", "rmse", "mae"];

/// What every resample needs of one column, of the examples that have a value in it.
pub(super) struct Column {
    /// Those examples; `None` if they are all.
    there: Option<Vec<usize>>,
    targets: Vec<f64>,
    predictions: Vec<f64>,
    target_order: Order,
    prediction_order: Order,
}

/// Every metric with its interval, from values `[n, K]` and predictions `[n, K]`, row by row, for the K columns of
/// `names`. The overall metrics are means over the columns for which they are defined; the correlations are undefined
/// where the values or the predictions are all equal, R² where the values are. A value that is missing, `NaN`, counts
/// for nothing. The same seed gives the same intervals, however many threads work.
///
/// # Panics
/// If there is not one prediction for each value, a value is infinite or a prediction no finite number; callers check both
/// at the network's border.
pub fn report(targets: &[f64], predictions: &[f64], names: &[String], resampling: &Resampling) -> Report {
    let k = names.len();
    check_shapes(targets, predictions, k);
    assert!(targets.iter().all(|value| !value.is_infinite()), "values are finite or missing");
    assert!(predictions.iter().all(|value| value.is_finite()), "predictions are finite");
    let n = targets.len().checked_div(k).unwrap_or(0);
    let columns: Vec<Column> = (0..k)
        .into_par_iter()
        .map(|place| Column::new(&column(targets, k, place), &column(predictions, k, place)))
        .collect();
    let bounds_of = |metric| bounds(METRICS[metric % METRICS.len()]);
    let mut estimates = bootstrap(resampling, k, bounds_of, |weights| values(&columns, weights)).into_iter();
    let too_few = |column: &Column| {
        let known = column.targets.len();
        (known < FEWEST_EXAMPLES).then_some(NoInterval::Examples(known))
    };
    let of_any = columns.iter().find_map(too_few);
    let metrics = named(METRICS, &mut estimates, |_| of_any);
    let parts = names.iter().zip(&columns).map(|(name, column)| ClassReport {
        name: name.clone(),
        n: None,
        metrics: named(METRICS, &mut estimates, |_| too_few(column)),
    });
    Report {
        n,
        n_positive: None,
        threshold: None,
        blocks: resampling.blocks.summary(),
        metrics,
        // The only column is the whole.
        parts: if k > 1 { parts.collect() } else { Vec::new() },
        confusion: None,
    }
}

/// Mean Pearson correlation of `k` columns, over the columns for which it is defined.
///
/// # Panics
/// If there is not one prediction for each value.
pub fn mean_pearson(targets: &[f64], predictions: &[f64], k: usize) -> Option<f64> {
    check_shapes(targets, predictions, k);
    targets.len().checked_div(k)?;
    let of = |place| {
        let (targets, predictions) = known(targets, predictions, k, place);
        Spread::of(&targets, &predictions, &vec![1; targets.len()]).correlation()
    };
    mean_of_defined((0..k).map(of))
}

/// Mean R² of `k` columns, over the columns for which it is defined.
///
/// # Panics
/// If there is not one prediction for each value.
pub fn mean_r2(targets: &[f64], predictions: &[f64], k: usize) -> Option<f64> {
    check_shapes(targets, predictions, k);
    targets.len().checked_div(k)?;
    let of = |place| {
        let (targets, predictions) = known(targets, predictions, k, place);
        let squares: f64 = targets.iter().zip(&predictions).map(|(target, found)| (target - found).powi(2)).sum();
        Spread::of(&targets, &predictions, &vec![1; targets.len()]).x.map(|spread| 1.0 - squares / spread)
    };
    mean_of_defined((0..k).map(of))
}

/// Pearson and Spearman correlation of two lists of numbers; `None` where one of them is the same number throughout.
pub(super) fn correlation(one: &[f64], other: &[f64]) -> (Option<f64>, Option<f64>) {
    let [pearson, spearman, ..] = Column::new(one, other).values(&vec![1; one.len()]);
    (pearson, spearman)
}

/// The Pearson correlation of each of `k` columns as a function of how often each example counts.
pub(super) fn correlations(
    targets: &[f64],
    predictions: &[f64],
    k: usize,
) -> Vec<impl Fn(&[u32]) -> Option<f64> + Sync + use<>> {
    check_shapes(targets, predictions, k);
    let of = |place| {
        let targets = column(targets, k, place);
        let there: Vec<usize> = (0..targets.len()).filter(|&example| !targets[example].is_nan()).collect();
        let (known, predicted) = known(&targets, &column(predictions, k, place), 1, 0);
        move |weights: &[u32]| {
            let weights: Vec<u32> = there.iter().map(|&example| weights[example]).collect();
            Spread::of(&known, &predicted, &weights).correlation()
        }
    };
    (0..k).map(of).collect()
}

/// One of `k` columns of values with its predictions, where there is a value.
fn known(targets: &[f64], predictions: &[f64], k: usize, place: usize) -> (Vec<f64>, Vec<f64>) {
    let pairs = column(targets, k, place).into_iter().zip(column(predictions, k, place));
    pairs.filter(|(target, _)| !target.is_nan()).unzip()
}

fn check_shapes(targets: &[f64], predictions: &[f64], k: usize) {
    assert_eq!(targets.len(), predictions.len(), "one prediction for each value");
    assert!(targets.is_empty() || targets.len().is_multiple_of(k), "as many values for each example");
}

/// The overall metrics, then those of each column, of the examples, each counted `weights` times.
fn values(columns: &[Column], weights: &[u32]) -> Vec<Option<f64>> {
    let each: Vec<_> = columns.iter().map(|column| column.values(weights)).collect();
    let means = (0..METRICS.len()).map(|metric| mean_of_defined(each.iter().map(|values| values[metric])));
    means.chain(each.iter().flatten().copied()).collect()
}

impl Column {
    pub(super) fn new(targets: &[f64], predictions: &[f64]) -> Self {
        let there: Vec<usize> = (0..targets.len()).filter(|&example| !targets[example].is_nan()).collect();
        let of = |all: &[f64]| there.iter().map(|&example| all[example]).collect::<Vec<_>>();
        let (known, predicted) = (of(targets), of(predictions));
        let (target_order, prediction_order) = (Order::new(&known), Order::new(&predicted));
        let there = (there.len() < targets.len()).then_some(there);
        Self { there, targets: known, predictions: predicted, target_order, prediction_order }
    }

    pub(super) fn values(&self, weights: &[u32]) -> [Option<f64>; METRICS.len()] {
        match &self.there {
            None => self.values_of_known(weights),
            Some(there) => self.values_of_known(&there.iter().map(|&example| weights[example]).collect::<Vec<_>>()),
        }
    }

    /// Of the examples that have a value, each counted `weights` times.
    fn values_of_known(&self, weights: &[u32]) -> [Option<f64>; METRICS.len()] {
        let (mut n, mut squares, mut errors) = (0.0, 0.0, 0.0);
        for ((target, prediction), &weight) in self.targets.iter().zip(&self.predictions).zip(weights) {
            let (weight, error) = (f64::from(weight), (target - prediction).abs());
            n += weight;
            squares += weight * error * error;
            errors += weight * error;
        }
        if n == 0.0 {
            return [None; METRICS.len()];
        }
        let values = Spread::of(&self.targets, &self.predictions, weights);
        let ranks = Spread::of(&ranks(&self.target_order, weights), &ranks(&self.prediction_order, weights), weights);
        [
            values.correlation(),
            ranks.correlation(),
            values.x.map(|spread| 1.0 - squares / spread),
            Some((squares / n).sqrt()),
            Some(errors / n),
        ]
    }
}

/// The rank of each example, each counted `weights` times; equals share the middle of their ranks. As the order is
/// sorted once for all resamples, one pass does.
fn ranks(order: &Order, weights: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; weights.len()];
    let (mut before, mut start) = (0u64, 0);
    for end in (0..ranks.len()).filter(|&place| order.last_of_equals[place]) {
        let equals = &order.examples[start..=end];
        let weight: u64 = equals.iter().map(|&example| u64::from(weights[example as usize])).sum();
        let rank = before as f64 + (weight as f64 + 1.0) / 2.0;
        equals.iter().for_each(|&example| ranks[example as usize] = rank);
        (before, start) = (before + weight, end + 1);
    }
    ranks
}

/// Sums of squared deviations from the means, undefined where the numbers are all equal, and of their products.
struct Spread {
    x: Option<f64>,
    y: Option<f64>,
    xy: f64,
}

impl Spread {
    /// Means first: sums of squares alone would cancel where a mean is large.
    fn of(x: &[f64], y: &[f64], weights: &[u32]) -> Self {
        let counted = || x.iter().zip(y).zip(weights).map(|((x, y), &weight)| (x, y, f64::from(weight)));
        let (n, sum_x, sum_y) =
            counted().fold((0.0, 0.0, 0.0), |(n, of_x, of_y), (x, y, w)| (n + w, of_x + w * x, of_y + w * y));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
        for (x, y, weight) in counted() {
            let (x, y) = (x - mean_x, y - mean_y);
            xx += weight * x * x;
            yy += weight * y * y;
            xy += weight * x * y;
        }
        Self { x: (!are_equal(x, weights)).then_some(xx), y: (!are_equal(y, weights)).then_some(yy), xy }
    }

    fn correlation(&self) -> Option<f64> {
        let correlation = self.xy / (self.x?.sqrt() * self.y?.sqrt());
        // Rounding may take a perfect correlation past 1.
        correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
    }
}

/// Whether all that is counted is equal: asked of the numbers themselves, as rounding leaves their variance above 0.
fn are_equal(numbers: &[f64], weights: &[u32]) -> bool {
    let mut counted = numbers.iter().zip(weights).filter(|(_, weight)| **weight > 0).map(|(number, _)| number);
    let first = counted.next();
    counted.all(|number| Some(number) == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Blocks;
    use proptest::prelude::*;

    fn report(targets: &[f64], predictions: &[f64], names: &[String], seed: u64) -> Report {
        let blocks = Blocks::each(targets.len() / names.len());
        super::report(targets, predictions, names, &Resampling { blocks: &blocks, seed })
    }

    fn close(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
        a.iter().zip(b).all(|pair| match pair {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            (a, b) => a == b,
        })
    }

    /// Values and predictions with ties among them.
    fn examples() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((0i8..8, -6i8..6), 0..40)
            .prop_map(|pairs| pairs.into_iter().map(|(t, p)| (f64::from(t) / 3.0, f64::from(p) / 7.0)).collect())
    }

    fn values_of(examples: &[(f64, f64)]) -> Vec<Option<f64>> {
        let (targets, predictions): (Vec<f64>, Vec<f64>) = examples.iter().copied().unzip();
        Column::new(&targets, &predictions).values(&vec![1; examples.len()]).into()
    }

    #[test]
    fn a_perfect_prediction_is_perfect() {
        let values = [0.1, 0.7, 0.2, 0.9];
        let report = report(&values, &values, &["a".into()], 1);
        let found = report.metrics.iter().map(|(_, estimate)| estimate.unwrap().value);
        for (found, expected) in found.zip([1.0, 1.0, 1.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert!(report.parts.is_empty());
    }

    #[test]
    fn a_constant_column_is_left_out_of_the_means_and_says_why() {
        let targets = [0.1, 1.0, 0.1, 2.0, 0.1, 4.0];
        let predictions = [0.3, 1.5, 0.2, 2.0, 0.1, 3.5];
        let report = report(&targets, &predictions, &["constant".into(), "varied".into()], 1);
        let varied = |name| report.parts[1].get(name);
        assert_eq!(report.get("pearson"), varied("pearson"));
        assert_eq!(report.get("r2"), varied("r2"));
        assert_eq!(report.get("pearson").map(|e| e.value), mean_pearson(&targets, &predictions, 2));
        let reason = |name| report.reason_in_class("constant", name).unwrap();
        assert_eq!(reason("spearman"), "the values or the predictions are all equal");
        assert_eq!(reason("r2"), "the values are all equal");
        assert!((report.parts[0].get("mae").unwrap().value - 0.1).abs() < 1e-12);
        assert_eq!(report.parts[0].n, None);
    }

    #[test]
    fn a_constant_prediction_has_no_correlation_but_an_error() {
        let report = report(&[0.0, 1.0, 2.0], &[0.1; 3], &["a".into()], 1);
        assert_eq!((report.get("pearson"), report.get("spearman")), (None, None));
        assert!(report.get("r2").unwrap().value < 0.0);
    }

    #[test]
    fn a_large_mean_takes_nothing_from_the_correlation() {
        let near: Vec<(f64, f64)> = (0..50).map(|i| ((i * 7 % 11) as f64, (i * 5 % 13) as f64)).collect();
        let far: Vec<(f64, f64)> = near.iter().map(|(target, prediction)| (target + 1e9, prediction - 1e9)).collect();
        assert!(close(&values_of(&near)[..2], &values_of(&far)[..2]));
        assert_eq!(values_of(&[(0.1 + 1e9, 0.3), (0.1 + 1e9, 0.2), (0.1 + 1e9, 0.7)])[..3], [None; 3]);
    }

    #[test]
    fn the_quick_means_are_those_of_the_report() {
        let (targets, predictions) = ([1.0, 10.0, 2.0, 30.0, 4.0, 20.0], [1.5, 9.0, 2.5, 25.0, 3.0, 28.0]);
        let found = report(&targets, &predictions, &["a".into(), "b".into()], 1);
        for (name, value) in
            [("pearson", mean_pearson(&targets, &predictions, 2)), ("r2", mean_r2(&targets, &predictions, 2))]
        {
            assert!((found.get(name).unwrap().value - value.unwrap()).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn a_diverged_network_has_no_correlation() {
        assert_eq!(mean_pearson(&[1.0, 2.0, 3.0], &[f64::NAN, 0.0, f64::INFINITY], 1), None);
    }

    proptest! {
        #[test]
        fn spearman_is_the_pearson_of_the_ranks(examples in examples()) {
            let rank = |value: f64, all: &dyn Fn(&(f64, f64)) -> f64| {
                let below = examples.iter().filter(|example| all(example) < value).count() as f64;
                let equal = examples.iter().filter(|example| all(example) == value).count() as f64;
                below + (equal + 1.0) / 2.0
            };
            let ranked: Vec<(f64, f64)> =
                examples.iter().map(|&(t, p)| (rank(t, &|e| e.0), rank(p, &|e| e.1))).collect();
            prop_assert!(close(&values_of(&examples)[1..2], &values_of(&ranked)[..1]));
        }

        #[test]
        fn a_missing_value_counts_for_nothing(examples in examples(), missing: u64) {
            let is_missing = |i: usize| missing >> (i % 64) & 1 == 1;
            let there: Vec<_> = (0..examples.len()).filter(|&i| !is_missing(i)).map(|i| examples[i]).collect();
            let targets: Vec<f64> =
                examples.iter().enumerate().map(|(i, example)| if is_missing(i) { f64::NAN } else { example.0 }).collect();
            let predictions: Vec<f64> = examples.iter().map(|example| example.1).collect();
            let found: Vec<_> = Column::new(&targets, &predictions).values(&vec![1; examples.len()]).into();
            let expected = values_of(&there);
            prop_assert!(close(&found, &expected));
            prop_assert!(close(&[mean_pearson(&targets, &predictions, 1), mean_r2(&targets, &predictions, 1)], &[expected[0], expected[2]]));
        }

        #[test]
        fn the_order_of_the_examples_does_not_matter(
            (examples, shuffled) in examples().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        ) {
            prop_assert!(close(&values_of(&examples), &values_of(&shuffled)));
        }

        #[test]
        fn a_weight_counts_an_example_that_many_times(examples in examples(), first in 0u32..4) {
            let weights: Vec<u32> = (0..examples.len() as u32).map(|i| (first + i * i) % 4).collect();
            let repeated: Vec<_> =
                examples.iter().zip(&weights).flat_map(|(example, &weight)| vec![*example; weight as usize]).collect();
            let (targets, predictions): (Vec<f64>, Vec<f64>) = examples.iter().copied().unzip();
            prop_assert!(close(&Column::new(&targets, &predictions).values(&weights), &values_of(&repeated)));
        }
    }
}
