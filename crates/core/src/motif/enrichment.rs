//! Enrichment: Fisher's exact test and the Benjamini-Hochberg correction. All in natural logarithms, because p-values
//! of thousands of sequences underflow an `f64`.

/// Natural logarithms of the factorials of 0 to `n`.
pub struct LogFactorials(Vec<f64>);

impl LogFactorials {
    /// Computes the table for 0 to `n`.
    pub fn up_to(n: u64) -> Self {
        let mut sum = 0.0;
        Self(
            (0..=n)
                .map(|k| {
                    sum += (k.max(1) as f64).ln();
                    sum
                })
                .collect(),
        )
    }

    fn choose(&self, n: u64, k: u64) -> f64 {
        let of = |n: u64| self.0[n as usize];
        of(n) - of(k) - of(n - k)
    }
}

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
}

/// Odds ratio of the motif between two groups; one half is added to each count, so that none is 0 (Haldane, 1956).
pub fn odds_ratio(one: Group, other: Group) -> f64 {
    let odds = |group: Group| (group.with as f64 + 0.5) / (group.without as f64 + 0.5);
    odds(one) / odds(other)
}

/// Natural logarithm of the two-sided p-value of Fisher's exact test: the probability, given the margins, of all tables
/// no more probable than this one.
pub fn log_fisher(one: Group, other: Group, factorials: &LogFactorials) -> f64 {
    let with = one.with + other.with;
    let all = factorials.choose(one.len() + other.len(), with);
    let log_probability = |k: u64| factorials.choose(one.len(), k) + factorials.choose(other.len(), with - k) - all;
    let here = log_probability(one.with);
    let (least, most) = (with.saturating_sub(other.len()), with.min(one.len()));
    // As in scipy and R, tables as probable as this one are recognised with a tolerance.
    let tail = (least..=most).map(log_probability).filter(|&p| p <= here + 1e-7);
    // The largest term is that of this table.
    (here + tail.map(|p| (p - here).exp()).sum::<f64>().ln()).min(0.0)
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

    fn fisher(table: [[u64; 2]; 2]) -> f64 {
        let group = |[with, without]: [u64; 2]| Group { with, without };
        let n = table.iter().flatten().sum();
        log_fisher(group(table[0]), group(table[1]), &LogFactorials::up_to(n)).exp()
    }

    #[test]
    fn fishers_test_gives_known_values() {
        // The lady tasting tea (Fisher, 1935), the example of scipy.stats.fisher_exact, and groups that are empty.
        assert!((fisher([[3, 1], [1, 3]]) - 34.0 / 70.0).abs() < 1e-12);
        assert!((fisher([[8, 2], [1, 5]]) - 0.034_965_034_965_034_94).abs() < 1e-12);
        assert_eq!(fisher([[0, 0], [5, 5]]), 1.0);
        assert_eq!(fisher([[5, 5], [5, 5]]), 1.0);
        let [one, other] = [[900, 100], [100, 900]].map(|[with, without]| Group { with, without });
        let far = log_fisher(one, other, &LogFactorials::up_to(2000));
        assert!(far < -600.0 && far.is_finite(), "{far}");
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
        fn a_p_value_is_a_probability_and_does_not_depend_on_the_order(table in prop::array::uniform2(prop::array::uniform2(0u64..60))) {
            let p = fisher(table);
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!((p - fisher([table[1], table[0]])).abs() < 1e-9);
            let swapped = table.map(|[with, without]| [without, with]);
            prop_assert!((p - fisher(swapped)).abs() < 1e-9);
        }
    }
}
