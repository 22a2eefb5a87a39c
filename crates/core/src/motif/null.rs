//! Matches to known motifs against a null: what motifs that nothing was learned for match as well.
//!
//! The filters of a network that was never trained resemble known motifs too, because sites are taken from the same
//! sequences: where a word is frequent, the sites of any filter hold it, and where G and C are, any filter resembles the
//! known motifs that are rich in them. The p-values of [`crate::motif::matching`] know nothing of that.
//!
//! The score of a null motif and a target is -log10 of their p-value. For each target the scores of all null motifs have a
//! mean and a deviation, and the score of a motif is expressed in deviations above that mean, so that a target that
//! everything resembles is no evidence. The greatest of these over all targets is what a null motif reaches; that of each
//! null motif, with the mean and deviation of the others, makes the distribution that a motif is compared with. Its upper
//! tail is the p-value: corrected for the number of targets, because it is that of the greatest over all of them (the
//! single-step procedure of Westfall and Young, 1993).

use crate::motif::tail::Tail;

/// Null motifs, at least, for a deviation to mean something.
const LEAST: usize = 10;

/// The scores of null motifs.
#[derive(Clone, Debug)]
pub struct Null {
    /// Mean and deviation for each target.
    targets: Vec<Moments>,
    greatest: Tail,
}

#[derive(Clone, Copy, Debug)]
struct Moments {
    mean: f64,
    deviation: f64,
}

impl Null {
    /// From scores `[null motifs][targets]`; `None` where there are too few.
    pub fn of(scores: &[Vec<f64>]) -> Option<Self> {
        let targets = scores.first()?.len();
        if scores.len() < LEAST || targets == 0 {
            return None;
        }
        let n = scores.len() as f64;
        let total =
            |of: &dyn Fn(f64) -> f64, target: usize| scores.iter().map(|scores| of(scores[target])).sum::<f64>();
        let totals: Vec<[f64; 2]> = (0..targets).map(|i| [total(&|x| x, i), total(&|x| x * x, i)]).collect();
        let mean_and_variance = |[sum, squares]: [f64; 2], n: f64| {
            let mean = sum / n;
            (mean, (squares / n - mean * mean).max(0.0))
        };
        // The deviation of a target is steadied by that of all, as one that few null motifs resemble has hardly any.
        let of_all = totals.iter().map(|&totals| mean_and_variance(totals, n).1).sum::<f64>() / targets as f64;
        let moments = |totals: [f64; 2], n: f64| {
            let (mean, variance) = mean_and_variance(totals, n);
            Moments { mean, deviation: (0.5 * (variance + of_all)).sqrt() }
        };
        let without = |[sum, squares]: [f64; 2], x: f64| [sum - x, squares - x * x];
        let greatest = scores.iter().map(|scores| {
            let each = scores.iter().zip(&totals).map(|(&x, &totals)| moments(without(totals, x), n - 1.0).excess(x));
            each.fold(f64::NEG_INFINITY, f64::max)
        });
        let greatest = Tail::of(greatest.collect());
        Some(Self { targets: totals.into_iter().map(|totals| moments(totals, n)).collect(), greatest })
    }

    /// Natural logarithm of the p-value of a motif's score against a target, corrected for the number of targets.
    pub fn log_p(&self, target: usize, score: f64) -> f64 {
        self.greatest.log_p(self.targets[target].excess(score))
    }

    /// Number of null motifs.
    pub fn len(&self) -> usize {
        self.greatest.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.greatest.is_empty()
    }
}

impl Moments {
    fn excess(self, score: f64) -> f64 {
        if self.deviation > 0.0 { (score - self.mean) / self.deviation } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, Purpose};
    use rand::RngExt;

    /// Scores of null motifs, and pairs of a target and a score with their p-values, from an independent script.
    #[derive(serde::Deserialize)]
    struct Golden {
        scores: Vec<Vec<f64>>,
        asked: Vec<(usize, f64, f64)>,
    }

    #[test]
    fn p_values_are_those_of_an_independent_script() {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../../tests/golden/motif_null.json")).unwrap();
        for Golden { scores, asked } in golden {
            let null = Null::of(&scores).unwrap();
            for (target, score, log_p) in asked {
                let found = null.log_p(target, score);
                assert!((found - log_p).abs() < 1e-8 * log_p.abs().max(1.0), "{target} {score}: {found} {log_p}");
            }
        }
    }

    /// Scores as of p-values that are uniform, but for targets that everything resembles and motifs that resemble all.
    fn scores(n: usize, targets: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut random = random::generator(seed, Purpose::Search, 0, 0);
        let of_motif = |_| {
            let own = 0.5 + random.random::<f64>();
            (0..targets)
                .map(|target| {
                    let easy = if target % 7 == 0 { 4.0 } else { 1.0 };
                    -random.random::<f64>().max(1e-300).log10() * own * easy
                })
                .collect()
        };
        (0..n).map(of_motif).collect()
    }

    #[test]
    fn motifs_of_the_null_have_uniform_p_values_and_an_easy_target_is_no_evidence() {
        let all = scores(700, 60, 1);
        let null = Null::of(&all[..300]).unwrap();
        let best = |scores: &Vec<f64>| {
            scores.iter().enumerate().map(|(i, &score)| null.log_p(i, score).exp()).fold(1.0, f64::min)
        };
        let p: Vec<f64> = all[300..].iter().map(best).collect();
        for limit in [0.05, 0.2, 0.5] {
            let share = p.iter().filter(|&&p| p <= limit).count() as f64 / p.len() as f64;
            assert!((share - limit).abs() < 0.05, "{limit}: {share}");
        }
        assert!(p.iter().all(|&p| p > 1e-4), "the least of 400");
        // What stands out among easy targets, and what does so among others.
        assert!(null.log_p(0, 8.0) > 0.1f64.ln() && null.log_p(1, 8.0) < 0.01f64.ln());
    }

    #[test]
    fn too_few_motifs_are_no_null() {
        assert!(Null::of(&scores(9, 5, 2)).is_none() && Null::of(&[]).is_none());
        assert!(Null::of(&vec![Vec::new(); 20]).is_none());
        assert!(Null::of(&vec![vec![0.0; 4]; 20]).unwrap().log_p(2, 0.0) == 0.0);
    }
}
