//! Enrichment of sites in one group of sequences over another at equal GC content: the test of Cochran (1954) and of
//! Mantel and Haenszel (1959) over strata, and the Benjamini-Hochberg correction. All in natural logarithms, because
//! p-values of thousands of sequences underflow an `f64`.

/// Number of sequences of a group with and without a motif.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Sequences with the motif.
    pub with: u64,
    /// Sequences without the motif.
    pub without: u64,
}

impl Group {
    /// Number of sequences.
    pub fn len(self) -> u64 {
        self.with + self.without
    }

    /// Whether the group is empty.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Share of sequences with the motif; 0 for an empty group.
    pub fn share(self) -> f64 {
        self.with as f64 / self.len().max(1) as f64
    }

    /// Counts one sequence.
    pub fn count(&mut self, has: bool) {
        *(if has { &mut self.with } else { &mut self.without }) += 1;
    }
}

/// The sequences of a class and the rest over all strata.
pub fn pooled(strata: &[[Group; 2]]) -> [Group; 2] {
    [0, 1].map(|side| Group {
        with: strata.iter().map(|stratum| stratum[side].with).sum(),
        without: strata.iter().map(|stratum| stratum[side].without).sum(),
    })
}

/// Association of a motif with a class at equal GC content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Association {
    /// Common odds ratio of the strata.
    pub odds_ratio: f64,
    /// Natural logarithm of the two-sided p-value.
    pub log_p: f64,
}

/// The common odds ratio of Mantel and Haenszel and the p-value of the Cochran-Mantel-Haenszel test: whether sequences of
/// the class have the motif as often as the others of their stratum. As in R and statsmodels, the difference is reduced by
/// one half before it is squared, to at least 0.
///
/// Where a sum of the odds ratio is 0 because a cell of every stratum is, it is that of all strata together with one half
/// added to each count (Haldane, 1956).
pub fn mantel_haenszel(strata: &[[Group; 2]]) -> Association {
    let (mut above, mut below, mut difference, mut variance) = (0.0, 0.0, 0.0, 0.0);
    for [class, rest] in strata {
        let n = (class.len() + rest.len()) as f64;
        if n < 2.0 {
            continue;
        }
        let [a, b, c, d] = [class.with, class.without, rest.with, rest.without].map(|count| count as f64);
        above += a * d / n;
        below += b * c / n;
        difference += a - (a + b) * (a + c) / n;
        variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1.0));
    }
    let odds_ratio = if above > 0.0 && below > 0.0 { above / below } else { odds_ratio(pooled(strata)) };
    let reduced = (f64::abs(difference) - 0.5).max(0.0);
    // Nothing varies within any stratum, so nothing is told.
    let log_p = if variance > 0.0 { log_tail_of_chi_squared(reduced * reduced / variance) } else { 0.0 };
    Association { odds_ratio, log_p }
}

fn odds_ratio([one, other]: [Group; 2]) -> f64 {
    let odds = |group: Group| (group.with as f64 + 0.5) / (group.without as f64 + 0.5);
    odds(one) / odds(other)
}

/// Natural logarithm of the probability that chi-squared with one degree of freedom is as large or larger.
fn log_tail_of_chi_squared(statistic: f64) -> f64 {
    let x = (statistic / 2.0).sqrt();
    if x < 20.0 {
        return libm::erfc(x).ln().min(0.0);
    }
    // Beyond, the complementary error function underflows, and the first terms of its asymptotic series are exact.
    let y = 1.0 / (2.0 * x * x);
    -x * x - (x * std::f64::consts::PI.sqrt()).ln() + (y * (3.0 * y - 1.0)).ln_1p()
}

/// Natural logarithms of q-values from those of p-values, in the same order (Benjamini and Hochberg, 1995).
pub fn benjamini_hochberg(log_p: &[f64]) -> Vec<f64> {
    let n = log_p.len() as f64;
    let mut order: Vec<usize> = (0..log_p.len()).collect();
    order.sort_by(|&a, &b| log_p[a].total_cmp(&log_p[b]));
    let mut log_q = vec![0.0; log_p.len()];
    let mut least = 0.0f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        least = least.min(log_p[i] + n.ln() - ((rank + 1) as f64).ln());
        log_q[i] = least;
    }
    log_q
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tables(numbers: &[[u64; 4]]) -> Vec<[Group; 2]> {
        let group = |with, without| Group { with, without };
        numbers.iter().map(|&[a, b, c, d]| [group(a, b), group(c, d)]).collect()
    }

    /// Tables by stratum, the common odds ratio and the base-10 logarithm of the p-value, as statsmodels has them.
    #[derive(serde::Deserialize)]
    struct Golden {
        tables: Vec<[u64; 4]>,
        odds_ratio: f64,
        log10_p: f64,
    }

    #[test]
    fn odds_ratios_and_p_values_are_those_of_statsmodels() {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../../tests/golden/mantel_haenszel.json")).unwrap();
        assert!(golden.len() >= 20);
        for Golden { tables: numbers, odds_ratio, log10_p } in golden {
            let found = mantel_haenszel(&tables(&numbers));
            assert!((found.odds_ratio / odds_ratio - 1.0).abs() < 1e-12, "{numbers:?}: {}", found.odds_ratio);
            let log10 = found.log_p / std::f64::consts::LN_10;
            assert!((log10 - log10_p).abs() <= 1e-9 * log10_p.abs().max(1.0), "{numbers:?}: {log10} {log10_p}");
        }
    }

    #[test]
    fn empty_groups_and_strata_tell_nothing_and_extremes_stay_finite() {
        for numbers in [&[[0, 0, 5, 5]][..], &[[5, 5, 5, 5]], &[[0, 0, 0, 0]], &[[3, 0, 4, 0]], &[[0, 1, 0, 0]], &[]] {
            let found = mantel_haenszel(&tables(numbers));
            assert!(found.log_p == 0.0 && found.odds_ratio.is_finite(), "{numbers:?} {found:?}");
        }
        let far = mantel_haenszel(&tables(&[[90_000, 10, 10, 90_000]]));
        assert!(far.log_p < -80_000.0 && far.log_p.is_finite(), "{far:?}");
        // All of one group and none of the other.
        let apart = mantel_haenszel(&tables(&[[9, 0, 0, 9], [4, 0, 0, 2]]));
        assert!(apart.odds_ratio > 100.0 && apart.odds_ratio.is_finite() && apart.log_p < 0.001f64.ln(), "{apart:?}");
    }

    #[test]
    fn a_difference_in_gc_content_alone_is_no_enrichment() {
        // The motif depends on the stratum and not on the class, which stands mostly in one of the strata.
        let strata = tables(&[[810, 90, 90, 10], [10, 90, 90, 810]]);
        let found = mantel_haenszel(&strata);
        assert!((found.odds_ratio - 1.0).abs() < 1e-12 && found.log_p > 0.9f64.ln(), "{found:?}");
        let together = mantel_haenszel(&[pooled(&strata)]);
        assert!(together.odds_ratio > 10.0 && together.log_p < -100.0, "{together:?}");
    }

    #[test]
    fn q_values_are_those_of_the_published_example() {
        // The fifteen p-values of Benjamini and Hochberg, 1995, of which four are rejected at 0.05.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0,
        ];
        let q: Vec<f64> = benjamini_hochberg(&p.map(f64::ln)).into_iter().map(f64::exp).collect();
        assert_eq!(q.iter().filter(|&&q| q <= 0.05).count(), 4);
        assert!((q[0] - 0.0015).abs() < 1e-12 && (q[3] - 0.035_625).abs() < 1e-12 && q[14] == 1.0, "{q:?}");
        assert_eq!(benjamini_hochberg(&[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn a_p_value_is_a_probability_and_does_not_depend_on_the_order(
            numbers in prop::collection::vec(prop::array::uniform4(0u64..60), 1..6),
        ) {
            let found = mantel_haenszel(&tables(&numbers));
            prop_assert!(found.log_p <= 0.0 && found.odds_ratio > 0.0 && found.odds_ratio.is_finite());
            let swapped: Vec<[u64; 4]> = numbers.iter().rev().map(|&[a, b, c, d]| [c, d, a, b]).collect();
            let other = mantel_haenszel(&tables(&swapped));
            prop_assert!((found.log_p - other.log_p).abs() < 1e-9);
            prop_assert!((found.odds_ratio * other.odds_ratio - 1.0).abs() < 1e-9);
        }
    }
}
