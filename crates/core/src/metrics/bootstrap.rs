//! Intervals of any metric by the bootstrap (Efron, 1979), of examples or of whole blocks of them: bias-corrected and
//! accelerated (Efron, 1987), with the quantiles of Student's t for few blocks (Hesterberg, 2015).

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::metrics::blocks::{BlockKind, Blocks, FEW_BLOCKS};
use crate::metrics::estimate::{Estimate, Interval, Method, NoInterval};
use crate::metrics::t_95;
use crate::random::{self, Purpose};

/// Number of resamples behind each interval: enough for the second digit of its ends.
const RESAMPLES: usize = 1000;

/// Smallest number of resamples, for sets so large that all would take too long; their intervals are narrow in any
/// case.
const FEWEST_RESAMPLES: usize = 100;

/// Budget of scores over all resamples, beyond which there are fewer resamples: one or two minutes on one core.
const MOST_SCORES: usize = 4_000_000_000;

/// Parts that are left out in turn to measure the acceleration: enough for its first digit.
const PARTS: usize = 200;

/// Shares of the resamples below the value beyond which their quantiles are no longer trusted: they are moved by half a
/// standard error and more, as where noise in each of many bins or classes adds to a metric.
const LEAST_BELOW: f64 = 0.3;

/// What examples are resampled with.
#[derive(Clone, Debug)]
pub struct Resampling<'a> {
    /// Which examples are drawn together.
    pub blocks: &'a Blocks,
    /// The same seed gives the same intervals, whatever the number of threads.
    pub seed: u64,
}

/// Bootstraps statistics of examples with `k` scores each. `values` gets the number of times to count each example. A
/// value that is not finite is undefined; resamples in which it is undefined are left out of its interval. `bounds` are
/// those of each statistic, in order.
pub(crate) fn bootstrap(
    resampling: &Resampling,
    k: usize,
    bounds: impl Fn(usize) -> (f64, f64) + Sync,
    values: impl Fn(&[u32]) -> Vec<Option<f64>> + Sync,
) -> Vec<Option<Estimate>> {
    let &Resampling { blocks, seed } = resampling;
    let of_all = values(&vec![1; blocks.examples()]);
    if let Some(reason) = blocks.too_few() {
        let alone = |value: Option<f64>| {
            let value = value.filter(|value| value.is_finite())?;
            Some(Estimate { value, interval: Err(reason) })
        };
        return of_all.into_iter().map(alone).collect();
    }
    let drawn: Vec<Vec<Option<f64>>> = (0..resamples(blocks.examples(), k) as u64)
        .into_par_iter()
        .map(|resample| values(&blocks.draw(&mut random::generator(seed, Purpose::Bootstrap, resample, 0))))
        .collect();
    let parts = blocks.count().min(PARTS).min(drawn.len());
    let without = blocks.without_each_part(parts, seed);
    let left_out: Vec<Vec<Option<f64>>> = (0..parts).into_par_iter().map(|part| values(&without(part))).collect();
    let t = wide_quantile(blocks.effective_count());
    // So few are drawn in so few ways that their quantiles end at the value of one chromosome.
    let by_error = blocks.kind() == BlockKind::Chromosomes && blocks.count() < FEW_BLOCKS;
    let estimate = |(i, value): (usize, Option<f64>)| {
        let value = value.filter(|value| value.is_finite())?;
        let finite = |rows: &[Vec<Option<f64>>]| -> Vec<f64> {
            rows.iter().filter_map(|values| values[i]).filter(|value| value.is_finite()).collect()
        };
        let (mut draws, left_out) = (finite(&drawn), finite(&left_out));
        draws.sort_unstable_by(f64::total_cmp);
        // A metric that most resamples leave undefined rests on too few examples.
        let interval = if draws.len() * 2 < drawn.len() {
            Err(NoInterval::Undefined)
        } else if draws.first() == draws.last() {
            Err(NoInterval::Constant)
        } else {
            let (ends, is_normal) = interval(value, &draws, &left_out, t, by_error);
            let method = match (blocks.are_examples(), is_normal) {
                (true, false) => Method::Bootstrap,
                (true, true) => Method::NormalBootstrap,
                (false, false) => Method::BlockBootstrap,
                (false, true) => Method::NormalBlockBootstrap,
            };
            Ok(Interval::around(value, ends, bounds(i), method))
        };
        Some(Estimate { value, interval })
    };
    of_all.into_par_iter().enumerate().map(estimate).collect()
}

/// Number of resamples of examples with `k` scores each.
pub(super) fn resamples(n: usize, k: usize) -> usize {
    (MOST_SCORES / n.saturating_mul(k).max(1)).clamp(FEWEST_RESAMPLES, RESAMPLES)
}

/// The quantile of the normal distribution whose percentile interval, of so many blocks, is as wide as it should be:
/// Student's t instead of the normal, and the variance that resampling takes 1/n too small.
fn wide_quantile(blocks: f64) -> f64 {
    let freedom = (blocks - 1.0).max(1.0);
    t_95(freedom) * (blocks.max(2.0) / freedom).sqrt()
}

/// The ends of an interval from sorted resamples and the values without each part, and whether only their standard error was taken:
/// where that is wanted, or where the resamples are too biased for their quantiles.
fn interval(value: f64, draws: &[f64], left_out: &[f64], t: f64, by_error: bool) -> ((f64, f64), bool) {
    let normal = Normal::standard();
    let n = draws.len() as f64;
    // Draws equal to the value count half, as on either side of it.
    let below = draws.partition_point(|&draw| draw < value) as f64;
    let up_to = draws.partition_point(|&draw| draw <= value) as f64;
    let below = (below + up_to) / (2.0 * n);
    if by_error || !(LEAST_BELOW..=1.0 - LEAST_BELOW).contains(&below) {
        let mean = draws.iter().sum::<f64>() / n;
        let deviation = (draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
        return ((value - t * deviation, value + t * deviation), true);
    }
    let bias = normal.inverse_cdf(below);
    let acceleration = acceleration(left_out);
    let end = |z: f64| {
        let z = bias + z;
        let share = normal.cdf(bias + z / (1.0 - acceleration * z).max(0.1));
        quantile(draws, share).unwrap_or(value)
    };
    ((end(-t), end(t)), false)
}

/// The acceleration: a sixth of the skewness of what each part adds to the value.
fn acceleration(left_out: &[f64]) -> f64 {
    let mean = left_out.iter().sum::<f64>() / left_out.len().max(1) as f64;
    let power = |exponent: i32| left_out.iter().map(|value| (mean - value).powi(exponent)).sum::<f64>();
    let spread = power(2);
    if spread > 0.0 { (power(3) / (6.0 * spread.powf(1.5))).clamp(-0.25, 0.25) } else { 0.0 }
}

/// A quantile of sorted values, interpolated linearly.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = place.floor() as usize;
    Some(sorted[below] + (place - below as f64) * (sorted[(below + 1).min(last)] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;
    const UNBOUNDED: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    fn mean_of(values: &[f64], weights: &[u32]) -> Option<f64> {
        let n: u32 = weights.iter().sum();
        (n > 0).then(|| values.iter().zip(weights).map(|(v, &w)| v * f64::from(w)).sum::<f64>() / f64::from(n))
    }

    #[test]
    fn a_value_that_resamples_do_not_define_has_no_interval() {
        let all_once = |weights: &[u32]| vec![weights.iter().all(|&weight| weight == 1).then_some(2.5), Some(f64::NAN)];
        let blocks = Blocks::each(50);
        let found = bootstrap(&Resampling { blocks: &blocks, seed: 1 }, 1, |_| UNBOUNDED, all_once);
        assert_eq!(found, [Some(Estimate { value: 2.5, interval: Err(NoInterval::Undefined) }), None]);
    }

    /// Where no example of a resample is called wrongly, an interval from it would be a point, as if nothing could ever be.
    #[test]
    fn a_value_that_all_resamples_share_has_no_interval() {
        let scores: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 0.6 + 0.01 * f64::from(i) } else { 0.1 }).collect();
        let right = |weights: &[u32]| {
            let called = scores.iter().zip(0..).map(|(&score, i)| f64::from(u8::from((score > 0.5) == (i % 2 == 0))));
            vec![mean_of(&called.collect::<Vec<_>>(), weights), mean_of(&scores, weights)]
        };
        for blocks in [Blocks::each(40), Blocks::of_keys((0..40).map(|i| Some(i / 4)), BlockKind::NearCopies)] {
            let found = bootstrap(&Resampling { blocks: &blocks, seed: 1 }, 1, |_| (0.0, 1.0), right);
            assert_eq!(found[0], Some(Estimate { value: 1.0, interval: Err(NoInterval::Constant) }));
            assert!(found[1].unwrap().interval.is_ok());
        }
    }

    #[test]
    fn large_sets_are_resampled_less_often() {
        assert_eq!([resamples(0, 0), resamples(4_000, 1_000), resamples(8_000, 1_000)], [1000, 1000, 500]);
        assert_eq!([resamples(455_024, 919), resamples(usize::MAX, 3)], [100, 100]);
    }

    #[test]
    fn few_blocks_widen_an_interval() {
        // scipy.stats.t.ppf(0.975, n - 1) * (n / (n - 1)) ** 0.5, SciPy 1.17
        for (blocks, expected) in [(5.0, 3.104_160), (10.0, 2.384_523), (30.0, 2.080_193), (1e9, 1.959_964)] {
            let found = wide_quantile(blocks);
            assert!((found / expected - 1.0).abs() < 3e-3, "{blocks}: {found}");
        }
    }

    #[test]
    fn few_chromosomes_have_the_interval_of_their_means() {
        // Three chromosomes with means of 1, 2 and 3: 2 +- t(2) * 1 / sqrt(3), which is 2.484.
        let values: Vec<f64> = (0..60).map(|i| f64::from(i / 20) + 1.0).collect();
        let blocks = Blocks::of_keys((0..60).map(|i| Some(i / 20)), BlockKind::Chromosomes);
        let resampling = Resampling { blocks: &blocks, seed: 1 };
        let found = bootstrap(&resampling, 1, |_| UNBOUNDED, |weights| vec![mean_of(&values, weights)])[0].unwrap();
        let Interval { low, high, method } = found.interval.unwrap();
        assert!((high - 2.0 - 2.484).abs() < 0.2 && (low + high - 4.0).abs() < 1e-9, "{low} to {high}");
        assert_eq!(method, Method::NormalBlockBootstrap);
    }

    #[test]
    fn copies_of_the_same_examples_do_not_narrow_a_block_bootstrap() {
        let values: Vec<f64> = (0..60).map(|i| (f64::from(i) * 0.618).fract()).collect();
        let copied: Vec<f64> = values.iter().flat_map(|&value| [value; 20]).collect();
        let kind = BlockKind::NearCopies;
        let width = |values: &[f64], blocks: &Blocks| {
            let resampling = Resampling { blocks, seed: 3 };
            let found = bootstrap(&resampling, 1, |_| UNBOUNDED, |weights| vec![mean_of(values, weights)]);
            let Interval { low, high, .. } = found[0].unwrap().interval.unwrap();
            high - low
        };
        let alone = width(&values, &Blocks::each(60));
        let together = width(&copied, &Blocks::of_keys((0..1200).map(|i| Some(i / 20)), kind));
        let naive = width(&copied, &Blocks::each(1200));
        assert!((together / alone - 1.0).abs() < 0.02, "{together} {alone}");
        assert!(naive < 0.3 * alone);
    }

    /// Values that resampling always raises, as the mean distance of shares from what is expected of them.
    #[test]
    fn an_interval_holds_a_value_that_all_resamples_exceed() {
        let spread = |weights: &[u32]| {
            let uneven: f64 = weights.iter().map(|&weight| (f64::from(weight) - 1.0).abs()).sum();
            vec![Some(0.01 + uneven / weights.len() as f64)]
        };
        let blocks = Blocks::each(100);
        let found = bootstrap(&Resampling { blocks: &blocks, seed: 1 }, 1, |_| (0.0, 1.0), spread)[0].unwrap();
        let Interval { low, high, method } = found.interval.unwrap();
        assert!((0.0..=0.01).contains(&low) && high >= 0.01 && method == Method::NormalBootstrap, "{found:?}");
    }
}
