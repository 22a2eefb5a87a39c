//! Metrics of profiles: where the reads of a locus lie, base by base. Definitions are those of bpnet-lite's performance table and of
//! SciPy; a locus without reads has no profile.

use statrs::function::gamma::ln_gamma;

use crate::metrics::bootstrap::{Resampling, bootstrap};
use crate::metrics::estimate::FEWEST_EXAMPLES;
use crate::metrics::regression::{self, Column};
use crate::metrics::{NoInterval, Report, bounds, mean_of_defined, named};

/// How far a predicted profile is from the counts of one locus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileMetrics {
    /// Negative log-likelihood of the counts under the multinomial distribution of the profile, in nats, with its combinatorial term.
    pub multinomial_nll: f64,
    /// What a count gains over the uniform profile, in nats.
    pub gain: f64,
    /// Counts.
    pub counts: f64,
    /// Jensen-Shannon distance: the square root of the divergence in nats, so 0 to 0.83.
    pub jensen_shannon_distance: f64,
    /// Pearson correlation base by base; `None` where one of both is the same everywhere.
    pub pearson: Option<f64>,
    /// Spearman correlation base by base.
    pub spearman: Option<f64>,
    /// Pearson correlation of sums over bins of some bases.
    pub pearson_binned: Option<f64>,
    /// Spearman correlation of sums over bins of some bases.
    pub spearman_binned: Option<f64>,
}

impl ProfileMetrics {
    /// Of counts `[bases]` and log-probabilities `[bases]`, whose probabilities add up to 1. Bins have `bin`
    /// bases; a rest that is shorter is left out. `None` where there is no count.
    ///
    /// # Panics
    /// There is not one probability for each base, or a bin has no base.
    pub fn new(counts: &[f64], log_probabilities: &[f64], bin: usize) -> Option<Self> {
        assert_eq!(counts.len(), log_probabilities.len(), "one probability for each base");
        let n: f64 = counts.iter().sum();
        if n <= 0.0 {
            return None;
        }
        let probabilities: Vec<f64> = log_probabilities.iter().map(|log| log.exp()).collect();
        let observed: Vec<f64> = counts.iter().map(|count| count / n).collect();
        let each = counts.iter().zip(log_probabilities).filter(|(count, _)| **count > 0.0);
        let log_likelihood: f64 = each.map(|(count, log)| count * log).sum();
        let combinations = ln_gamma(n + 1.0) - counts.iter().map(|count| ln_gamma(count + 1.0)).sum::<f64>();
        let binned = |values: &[f64]| values.chunks_exact(bin).map(|part| part.iter().sum()).collect::<Vec<f64>>();
        // Of counts, whose sums are exact, so that equals stay equal.
        let (pearson, spearman) = regression::correlation(counts, &probabilities);
        let (pearson_binned, spearman_binned) = regression::correlation(&binned(counts), &binned(&probabilities));
        Some(Self {
            multinomial_nll: -(combinations + log_likelihood),
            gain: log_likelihood / n + (counts.len() as f64).ln(),
            counts: n,
            jensen_shannon_distance: jensen_shannon_distance(&observed, &probabilities),
            pearson,
            spearman,
            pearson_binned,
            spearman_binned,
        })
    }
}

/// Length of the bins over which correlations are taken beside those base by base, in bp.
pub const BIN: usize = 10;

/// Metrics of loci by name, as bpnet-lite's table has them: of profiles over the loci that have reads, those of likelihood as means
/// (`profile_gain` over all counts) and the others as medians; of log counts over all loci.
pub const METRICS: [&str; 10] = [
    "profile_mnll",
    "profile_jsd",
    "profile_gain",
    "profile_pearson",
    "profile_spearman",
    "profile_pearson_10bp",
    "profile_spearman_10bp",
    "count_pearson",
    "count_spearman",
    "count_mse",
];
const OF_PROFILES: usize = 7;

/// Loci with what was predicted for them.
#[derive(Clone, Debug, Default)]
pub struct Loci {
    /// Of each locus; `None` where it has no reads.
    pub profiles: Vec<Option<ProfileMetrics>>,
    /// Log counts of each group of tracks, `[groups][n]`, observed and predicted.
    pub log_counts: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Loci {
    /// Some of the loci.
    pub fn at(&self, chosen: &[usize]) -> Self {
        let of = |values: &[f64]| chosen.iter().map(|&i| values[i]).collect::<Vec<f64>>();
        Self {
            profiles: chosen.iter().map(|&i| self.profiles[i]).collect(),
            log_counts: self.log_counts.iter().map(|(observed, found)| (of(observed), of(found))).collect(),
        }
    }

    /// Every metric with its interval; of several groups, log counts have the means of their metrics.
    pub fn report(&self, resampling: &Resampling) -> Report {
        let n = self.profiles.len();
        let values = |of| Sorted::new(&self.profiles, of);
        let profiles: [(Sorted, Summary); OF_PROFILES] = [
            (values(|found| Some(found.multinomial_nll)), Summary::Mean),
            (values(|found| Some(found.jensen_shannon_distance)), Summary::Median),
            (values(|found| Some(found.gain)), Summary::OfCounts),
            (values(|found| found.pearson), Summary::Median),
            (values(|found| found.spearman), Summary::Median),
            (values(|found| found.pearson_binned), Summary::Median),
            (values(|found| found.spearman_binned), Summary::Median),
        ];
        let columns: Vec<Column> =
            self.log_counts.iter().map(|(observed, found)| Column::new(observed, found)).collect();
        let estimates = bootstrap(
            resampling,
            METRICS.len(),
            |metric| bounds(METRICS[metric]),
            |weights| {
                let counts: Vec<_> = columns.iter().map(|column| column.values(weights)).collect();
                let [pearson, spearman, _, rmse, _] =
                    std::array::from_fn(|metric| mean_of_defined(counts.iter().map(|found| found[metric])));
                let mse =
                    rmse.and_then(|_| mean_of_defined(counts.iter().map(|found| found[3].map(|rmse| rmse * rmse))));
                let profiles = profiles.iter().map(|(sorted, summary)| sorted.summary(*summary, weights));
                profiles.chain([pearson, spearman, mse]).collect()
            },
        );
        let too_few = (n < FEWEST_EXAMPLES).then_some(NoInterval::Examples(n));
        let metrics = named(METRICS, &mut estimates.into_iter(), |_| too_few);
        Report {
            n,
            n_positive: None,
            threshold: None,
            blocks: resampling.blocks.summary(),
            metrics,
            parts: Vec::new(),
            confusion: None,
        }
    }
}

/// What stands for the values of several loci.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summary {
    Mean,
    /// The mean in which each locus counts as often as it has counts.
    OfCounts,
    Median,
}

/// Values that are there, ascending, with the loci that they are of and the counts of these.
struct Sorted(Vec<(f64, usize, f64)>);

impl Sorted {
    fn new(profiles: &[Option<ProfileMetrics>], of: fn(&ProfileMetrics) -> Option<f64>) -> Self {
        let there = profiles.iter().enumerate().filter_map(|(i, profile)| Some((i, profile.as_ref()?)));
        let value = |profile| of(profile).filter(|value| value.is_finite());
        let mut all: Vec<(f64, usize, f64)> =
            there.filter_map(|(i, profile)| Some((value(profile)?, i, profile.counts))).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(all)
    }

    /// Of the loci, each counted `weights` times; nothing where none counts.
    fn summary(&self, summary: Summary, weights: &[u32]) -> Option<f64> {
        let weight = |i: usize| u64::from(weights[i]);
        let n: u64 = self.0.iter().map(|&(_, i, _)| weight(i)).sum();
        if n == 0 {
            return None;
        }
        if summary != Summary::Median {
            let each = self.0.iter().map(|&(value, i, counts)| {
                let weight = weight(i) as f64 * if summary == Summary::OfCounts { counts } else { 1.0 };
                (value * weight, weight)
            });
            let (sum, weights) =
                each.fold((0.0, 0.0), |(sum, weights), (value, weight)| (sum + value, weights + weight));
            return Some(sum / weights);
        }
        // The middle one, or the mean of both.
        let at = |place: u64| {
            let mut before = 0;
            let found = self.0.iter().find(|(_, i, _)| {
                before += weight(*i);
                before > place
            });
            found.map(|(value, ..)| *value)
        };
        Some(f64::midpoint(at((n - 1) / 2)?, at(n / 2)?))
    }
}

/// The mean of the metrics of several groups of tracks of one locus, of those that are there.
pub fn mean_of_groups(groups: &[Option<ProfileMetrics>]) -> Option<ProfileMetrics> {
    let there: Vec<&ProfileMetrics> = groups.iter().flatten().collect();
    let of =
        |value: fn(&ProfileMetrics) -> f64| there.iter().map(|found| value(found)).sum::<f64>() / there.len() as f64;
    let defined = |value: fn(&ProfileMetrics) -> Option<f64>| mean_of_defined(there.iter().map(|found| value(found)));
    (!there.is_empty()).then(|| ProfileMetrics {
        multinomial_nll: of(|found| found.multinomial_nll),
        gain: of(|found| found.gain),
        counts: there.iter().map(|found| found.counts).sum(),
        jensen_shannon_distance: of(|found| found.jensen_shannon_distance),
        pearson: defined(|found| found.pearson),
        spearman: defined(|found| found.spearman),
        pearson_binned: defined(|found| found.pearson_binned),
        spearman_binned: defined(|found| found.spearman_binned),
    })
}

/// The square root of the Jensen-Shannon divergence of two distributions, in nats (Lin, 1991).
pub fn jensen_shannon_distance(one: &[f64], other: &[f64]) -> f64 {
    let of = |p: f64, mean: f64| if p > 0.0 { p * (p / mean).ln() } else { 0.0 };
    let each = one.iter().zip(other).map(|(&p, &q)| {
        let mean = f64::midpoint(p, q);
        of(p, mean) + of(q, mean)
    });
    // Rounding may take it below 0 where both are the same.
    (each.sum::<f64>() / 2.0).max(0.0).sqrt()
}

/// The logarithm of the softmax of logits.
pub fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = logits.iter().map(|&logit| (logit - largest).exp()).sum::<f64>().ln();
    logits.iter().map(|&logit| logit - largest - log_sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_locus_without_reads_has_no_profile() {
        assert_eq!(ProfileMetrics::new(&[0.0; 4], &log_softmax(&[0.0; 4]), 2), None);
    }

    #[test]
    fn likelihoods_are_means_and_distances_medians_of_the_loci_that_have_reads() {
        let of = |nll, counts| {
            Some(ProfileMetrics {
                multinomial_nll: nll,
                gain: nll / 100.0,
                counts,
                jensen_shannon_distance: nll / 1000.0,
                pearson: (nll > 150.0).then_some(nll / 500.0),
                spearman: None,
                pearson_binned: None,
                spearman_binned: None,
            })
        };
        let profiles = vec![of(100.0, 1.0), None, of(200.0, 1.0), of(400.0, 2.0), of(300.0, 0.0)];
        let observed: Vec<f64> = (0..5).map(f64::from).collect();
        let found: Vec<f64> = observed.iter().map(|value| 2.0 * value + 1.0).collect();
        let loci = Loci { profiles, log_counts: vec![(observed, found)] };
        let blocks = crate::metrics::Blocks::each(5);
        let report = loci.report(&Resampling { blocks: &blocks, seed: 1 });
        let value = |name| report.get(name).map(|estimate| estimate.value);
        assert_eq!((value("profile_mnll"), value("profile_jsd")), (Some(250.0), Some(0.25)));
        // Over counts: (1 + 2 + 2 * 4) / 4.
        assert_eq!((value("profile_gain"), value("profile_pearson")), (Some(2.75), Some(0.6)));
        assert_eq!(value("profile_spearman"), None);
        assert!((value("count_pearson").unwrap() - 1.0).abs() < 1e-12);
        // Off by 1 to 5.
        assert!((value("count_mse").unwrap() - 11.0).abs() < 1e-9);
        assert!(report.why_undefined("profile_spearman").starts_with("no locus"));
        let pair = mean_of_groups(&[of(100.0, 1.0), None, of(300.0, 2.0)]).unwrap();
        assert_eq!((pair.multinomial_nll, pair.pearson, pair.counts), (200.0, Some(0.6), 3.0));
        assert_eq!(mean_of_groups(&[None]), None);
    }

    #[test]
    fn the_observed_profile_itself_is_best() {
        let counts = [3.0, 0.0, 1.0, 0.0, 4.0, 2.0];
        let logits: Vec<f64> = counts.iter().map(|count: &f64| (count.max(1e-30)).ln()).collect();
        let found = ProfileMetrics::new(&counts, &log_softmax(&logits), 2).unwrap();
        assert!(found.jensen_shannon_distance < 1e-6 && found.pearson.unwrap() > 1.0 - 1e-9);
        assert!(found.spearman.unwrap() > 1.0 - 1e-9 && found.pearson_binned.unwrap() > 1.0 - 1e-9);
        let uniform = ProfileMetrics::new(&counts, &log_softmax(&[0.0; 6]), 2).unwrap();
        assert!(uniform.gain.abs() < 1e-12 && uniform.pearson.is_none());
        // Each count gains what the likelihood does.
        let gained = uniform.multinomial_nll - found.multinomial_nll;
        assert!((gained - found.gain * 10.0).abs() < 1e-6, "{gained}");
    }

    proptest! {
        #[test]
        fn the_distance_is_symmetric_and_within_its_bounds(
            pairs in prop::collection::vec((0.0..5.0f64, 0.0..5.0f64), 1..30),
        ) {
            let normal = |values: Vec<f64>| {
                let sum: f64 = values.iter().sum();
                (sum > 0.0).then(|| values.iter().map(|value| value / sum).collect::<Vec<f64>>())
            };
            let (one, other): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let (Some(one), Some(other)) = (normal(one), normal(other)) else { return Ok(()) };
            let distance = jensen_shannon_distance(&one, &other);
            prop_assert!((distance - jensen_shannon_distance(&other, &one)).abs() < 1e-12);
            prop_assert!((0.0..=std::f64::consts::LN_2.sqrt() + 1e-12).contains(&distance));
            prop_assert!(jensen_shannon_distance(&one, &one) < 1e-12);
        }
    }
}
