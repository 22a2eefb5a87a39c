//! The difference of a metric between two predictions of the same examples, by a paired bootstrap: both are evaluated on
//! each resample (Efron and Tibshirani, 1993). The p-value is where the percentile interval just reaches zero.

use rayon::prelude::*;

use crate::metrics::bootstrap::{Resampling, quantile, resamples};
use crate::metrics::paired::Paired;
use crate::metrics::ranking::OneOfSeveral;
use crate::metrics::{classes, labels, mean_of_defined, regression};
use crate::random::{self, Purpose};

/// The macro AUROC of the second minus that of the first of two predictions `[n, k]` of the classes `[n]`; `None` if it
/// is undefined. Examples of one block are drawn together.
///
/// # Panics
/// As [`classes::report`].
pub fn macro_auroc_of_classes(
    labels: &[usize],
    [first, second]: [&[f64]; 2],
    k: usize,
    resampling: &Resampling,
) -> Option<Paired> {
    let [first, second] = [first, second].map(|scores| classes::against_the_rest(labels, scores, k));
    let of =
        |each: &[OneOfSeveral], weights: &[u32]| mean_of_defined(each.iter().map(|class| class.areas(weights).auroc()));
    paired(labels.len(), 2 * k, resampling, |weights| Some(of(&second, weights)? - of(&first, weights)?))
}

/// The macro AUROC of the second minus that of the first of two predictions `[n, k]` of labels `[n, k]`, `None` where one
/// is missing; `None` if it is undefined.
///
/// # Panics
/// As [`labels::report`].
pub fn macro_auroc_of_labels(
    labels: &[Option<bool>],
    [first, second]: [&[f64]; 2],
    k: usize,
    resampling: &Resampling,
) -> Option<Paired> {
    let [first, second] = [first, second].map(|scores| labels::each_label(labels, scores, k));
    let of =
        |each: &[OneOfSeveral], weights: &[u32]| mean_of_defined(each.iter().map(|label| label.areas(weights).auroc()));
    let n = labels.len().checked_div(k)?;
    paired(n, 2 * k, resampling, |weights| Some(of(&second, weights)? - of(&first, weights)?))
}

/// The mean Pearson correlation of the second minus that of the first of two predictions `[n, k]` of values `[n, k]`, `NaN`
/// where one is missing, over the columns for which both are defined; `None` if there are none.
///
/// # Panics
/// As [`regression::report`].
pub fn mean_pearson(
    targets: &[f64],
    [first, second]: [&[f64]; 2],
    k: usize,
    resampling: &Resampling,
) -> Option<Paired> {
    let n = targets.len().checked_div(k)?;
    let of_columns = |predictions: &[f64]| regression::correlations(targets, predictions, k);
    let (first, second) = (of_columns(first), of_columns(second));
    paired(n, 2 * k, resampling, |weights| {
        let pairs = first.iter().zip(&second);
        mean_of_defined(pairs.map(|(first, second)| Some(second(weights)? - first(weights)?)))
    })
}

/// Bootstraps a difference; `None` where there are too few examples or blocks for an interval. `value` gets the number of
/// times to count each example.
fn paired(n: usize, k: usize, resampling: &Resampling, value: impl Fn(&[u32]) -> Option<f64> + Sync) -> Option<Paired> {
    let &Resampling { blocks, seed } = resampling;
    let finite = |value: &f64| value.is_finite();
    if blocks.too_few().is_some() {
        return None;
    }
    let difference = value(&vec![1; n]).filter(finite)?;
    let drawn = (0..resamples(n, k) as u64).into_par_iter();
    let draws: Vec<Option<f64>> = drawn
        .map(|resample| value(&blocks.draw(&mut random::generator(seed, Purpose::Bootstrap, resample, 1))))
        .collect();
    let mut draws: Vec<f64> = draws.into_iter().flatten().filter(finite).collect();
    draws.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&draws, 0.025)?, quantile(&draws, 0.975)?);
    if low == high {
        return None; // both are the same on every resample
    }
    // One more on either side, so that p is never 0 and the test is no more liberal than it says.
    let share = |beyond: usize| (beyond + 1) as f64 / (draws.len() + 1) as f64;
    let (not_above, not_below) =
        (draws.partition_point(|&draw| draw <= 0.0), draws.partition_point(|&draw| draw < 0.0));
    let p_value = (2.0 * share(not_above).min(share(draws.len() - not_below))).min(1.0);
    Some(Paired { difference, low, high, p_value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    use crate::metrics::Blocks;
    use crate::metrics::blocks::BlockKind;
    use crate::metrics::paired::delong;

    fn alone(n: usize) -> Blocks {
        Blocks::each(n)
    }

    /// Labels, and two scores of each example that see the same signal, the second `gain` more of it.
    fn simulated(seed: u64, n: usize, gain: f64) -> (Vec<bool>, [Vec<f64>; 2]) {
        let mut random = random::generator(seed, Purpose::Simulate, 0, 0);
        let mut noise = || random.random::<f64>();
        let labels: Vec<bool> = (0..n).map(|i| i % 3 == 0).collect();
        let scores = [0.3, 0.3 + gain].map(|strength| {
            let signal = |&label: &bool| if label { strength } else { 0.0 };
            labels.iter().map(|label| (signal(label) + noise()) / 2.0).collect::<Vec<_>>()
        });
        (labels, scores)
    }

    /// Both columns of a two-class task, whose macro AUROC is the AUROC.
    fn both_columns(scores: &[f64]) -> Vec<f64> {
        scores.iter().flat_map(|&score| [1.0 - score, score]).collect()
    }

    #[test]
    fn of_two_classes_it_agrees_with_delong() {
        for (seed, gain) in [(1, 0.0), (2, 0.1), (3, 0.3)] {
            let (labels, [first, second]) = simulated(seed, 600, gain);
            let expected = delong(&labels, &first, &second, &alone(600)).unwrap();
            let classes: Vec<usize> = labels.iter().map(|&label| usize::from(label)).collect();
            let columns = [both_columns(&first), both_columns(&second)];
            let alone = &Resampling { blocks: &alone(600), seed: 1 };
            let found = macro_auroc_of_classes(&classes, [&columns[0], &columns[1]], 2, alone).unwrap();
            let width = expected.high - expected.low;
            assert!((found.difference - expected.difference).abs() < 1e-12, "{found:?} {expected:?}");
            assert!((found.low - expected.low).abs() < 0.1 * width, "{found:?} {expected:?}");
            assert!((found.high - expected.high).abs() < 0.1 * width, "{found:?} {expected:?}");
            assert!((found.p_value - expected.p_value).abs() < 0.05, "{found:?} {expected:?}");
            let cells: Vec<Option<bool>> = labels.iter().flat_map(|&label| [Some(!label), Some(label)]).collect();
            let of_labels = macro_auroc_of_labels(&cells, [&columns[0], &columns[1]], 2, alone).unwrap();
            assert_eq!(of_labels, found, "the same resamples");
        }
    }

    #[test]
    fn a_correlation_differs_by_the_signal_and_copies_in_clusters_widen_the_interval() {
        let mut random = random::generator(5, Purpose::Simulate, 0, 0);
        let targets: Vec<f64> = (0..200).map(|_| random.random_range(-1.0..1.0)).collect();
        let [first, second] = [2.0, 0.5]
            .map(|noise| targets.iter().map(|t| t + noise * random.random_range(-1.0..1.0)).collect::<Vec<_>>());
        let of = |targets: &[f64], first: &[f64], second: &[f64], blocks: &Blocks| {
            mean_pearson(targets, [first, second], 1, &Resampling { blocks, seed: 1 }).unwrap()
        };
        let found = of(&targets, &first, &second, &alone(200));
        assert!(found.low > 0.0 && found.p_value < 0.01, "{found:?}");
        let twice = |values: &[f64]| values.repeat(4);
        let clusters = Blocks::of_keys((0..800).map(|i| Some(i % 200)), BlockKind::NearCopies);
        let copied = of(&twice(&targets), &twice(&first), &twice(&second), &clusters);
        let width = |found: &Paired| found.high - found.low;
        assert!((width(&copied) / width(&found) - 1.0).abs() < 0.15, "{copied:?} {found:?}");
        let naive = of(&twice(&targets), &twice(&first), &twice(&second), &alone(800));
        assert!(width(&naive) < 0.7 * width(&found), "copies taken for examples: {naive:?}");
    }

    #[test]
    fn what_is_the_same_or_undefined_has_no_difference() {
        let (labels, [first, second]) = simulated(7, 60, 0.0);
        let classes: Vec<usize> = labels.iter().map(|&label| usize::from(label)).collect();
        let [columns, others] = [both_columns(&first), both_columns(&second)];
        let [blocks, one, two, six] = [60, 0, 2, 6].map(alone);
        let [sixty, none, two, six] = [&blocks, &one, &two, &six].map(|blocks| Resampling { blocks, seed: 1 });
        assert!(macro_auroc_of_classes(&classes, [&columns, &others], 2, &sixty).is_some());
        let few = macro_auroc_of_classes(&classes[..6], [&columns[..12], &others[..12]], 2, &six);
        assert_eq!(few, None, "six examples");
        assert_eq!(macro_auroc_of_classes(&classes, [&columns, &columns], 2, &sixty), None);
        assert_eq!(macro_auroc_of_classes(&[0; 60], [&columns, &columns], 2, &sixty), None);
        assert_eq!(macro_auroc_of_classes(&[], [&[], &[]], 2, &none), None);
        assert_eq!(mean_pearson(&[1.0, 2.0], [&[1.0, 1.0], &[1.0, 2.0]], 1, &two), None);
        assert_eq!(mean_pearson(&[], [&[], &[]], 0, &none), None);
        assert_eq!(macro_auroc_of_labels(&[None; 4], [&[0.1; 4], &[0.2; 4]], 2, &two), None);
    }

    #[test]
    fn p_values_are_level_where_there_is_no_difference() {
        let rounds = 300;
        let small = (0..rounds)
            .filter(|&round| {
                let (labels, [first, second]) = simulated(100 + round, 120, 0.0);
                let classes: Vec<usize> = labels.iter().map(|&label| usize::from(label)).collect();
                let columns = [both_columns(&first), both_columns(&second)];
                let resampling = Resampling { blocks: &alone(120), seed: round };
                let found = macro_auroc_of_classes(&classes, [&columns[0], &columns[1]], 2, &resampling).unwrap();
                found.p_value < 0.05
            })
            .count();
        let share = small as f64 / rounds as f64;
        assert!((0.02..0.085).contains(&share), "{share} of p-values are below 0.05");
    }
}
