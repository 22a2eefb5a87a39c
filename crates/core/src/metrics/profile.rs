//! Metrics of profiles: where the reads of a locus lie, base by base. Definitions are those of bpnet-lite's performance table and of
//! SciPy; a locus without reads has no profile.

use statrs::function::gamma::ln_gamma;

use crate::metrics::regression;

/// How far a predicted profile is from the counts of one locus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileMetrics {
    /// Negative log-likelihood of the counts under the multinomial distribution of the profile, in nats, with its combinatorial term.
    pub multinomial_nll: f64,
    /// What a count gains over the uniform profile, in nats.
    pub gain: f64,
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
            jensen_shannon_distance: jensen_shannon_distance(&observed, &probabilities),
            pearson,
            spearman,
            pearson_binned,
            spearman_binned,
        })
    }
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
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = f64::from(largest);
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    logits.iter().map(|&logit| f64::from(logit) - largest - sum.ln()).collect()
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
    fn the_observed_profile_itself_is_best() {
        let counts = [3.0, 0.0, 1.0, 0.0, 4.0, 2.0];
        let logits: Vec<f32> = counts.iter().map(|count: &f64| (count.max(1e-30)).ln() as f32).collect();
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
