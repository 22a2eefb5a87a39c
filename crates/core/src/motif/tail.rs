//! P-values from few draws under a null hypothesis: counted where enough draws are as extreme, and beyond them from a
//! generalized Pareto distribution fitted to the most extreme draws (Knijnenburg, Wessels, Reinders and Shmulevich, 2009).

/// As many draws as this must be as extreme for a p-value to be counted, as in the source.
const COUNTED: usize = 10;

/// Share of the draws that the tail is fitted to, and their number at most.
const FITTED_SHARE: f64 = 0.1;
const MOST_FITTED: usize = 250;

/// A distribution of which a finite number of draws is known, with its upper tail.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The draws in rising order.
    draws: Vec<f64>,
    /// Beginning of the fitted tail, and number of draws above it.
    threshold: f64,
    fitted: usize,
    /// Shape and scale of the generalized Pareto distribution.
    shape: f64,
    scale: f64,
}

impl Tail {
    /// Fits the tail of some draws by the method of moments (Hosking and Wallis, 1987). The shape is at least 0: a tail
    /// that ends somewhere would make everything beyond it impossible, which a few hundred draws cannot show.
    pub fn of(mut draws: Vec<f64>) -> Self {
        draws.sort_by(f64::total_cmp);
        let n = draws.len();
        let fitted = ((n as f64 * FITTED_SHARE) as usize).clamp(COUNTED, MOST_FITTED).min(n.saturating_sub(1));
        let (threshold, above) = match n - fitted {
            0 => (0.0, &draws[..]),
            below => (0.5 * (draws[below - 1] + draws[below.min(n - 1)]), &draws[below..]),
        };
        let count = above.len().max(1) as f64;
        let mean = above.iter().map(|draw| draw - threshold).sum::<f64>() / count;
        let variance = above.iter().map(|draw| (draw - threshold - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let shape = if variance > 0.0 { (0.5 * (1.0 - mean * mean / variance)).max(0.0) } else { 0.0 };
        let scale = mean * (1.0 - shape);
        Self { draws, threshold, fitted, shape, scale }
    }

    /// Number of draws.
    pub fn len(&self) -> usize {
        self.draws.len()
    }

    /// Whether there are no draws.
    pub fn is_empty(&self) -> bool {
        self.draws.is_empty()
    }

    /// Natural logarithm of the p-value of a value: of one as large or larger.
    pub fn log_p(&self, value: f64) -> f64 {
        let n = self.draws.len();
        let as_extreme = n - self.draws.partition_point(|draw| *draw < value);
        let counted = |as_extreme: usize| ((1 + as_extreme) as f64 / (1 + n) as f64).ln();
        if as_extreme >= COUNTED || self.fitted < COUNTED || self.scale <= 0.0 {
            return counted(as_extreme);
        }
        let beyond = (value - self.threshold) / self.scale;
        let log_tail = if self.shape > 1e-9 { -(self.shape * beyond).ln_1p() / self.shape } else { -beyond };
        let fitted = ((1 + self.fitted) as f64 / (1 + n) as f64).ln() + log_tail;
        // Where both can be said, the tail must not rise above what is counted.
        fitted.min(counted(COUNTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, Purpose};
    use rand::RngExt;

    #[test]
    fn common_values_are_counted_and_few_draws_are_never_extended() {
        let tail = Tail::of((1..=99).map(f64::from).collect());
        for (value, as_extreme) in [(0.0, 99.0), (50.0, 50.0), (50.5, 49.0), (90.0, 10.0)] {
            assert!((tail.log_p(value).exp() - (1.0 + as_extreme) / 100.0).abs() < 1e-12, "{value}");
        }
        let few = Tail::of(vec![1.0, 2.0, 3.0]);
        assert_eq!([0.0, 100.0].map(|value| few.log_p(value).exp()), [1.0, 0.25]);
        assert_eq!(Tail::of(Vec::new()).log_p(5.0), 0.0);
        assert_eq!(Tail::of(vec![2.0; 50]).log_p(3.0).exp(), 1.0 / 51.0);
    }

    #[test]
    fn p_values_fall_and_beyond_all_draws_they_are_near_the_true_ones() {
        let (mut off, mut repeats) = (0.0, 0);
        for seed in 0..200 {
            let mut random = random::generator(seed, Purpose::Search, 0, 0);
            let tail = Tail::of((0..500).map(|_| -random.random::<f64>().max(1e-300).ln()).collect());
            let all: Vec<f64> = (0..200).map(|i| tail.log_p(f64::from(i) / 10.0)).collect();
            assert!(all.windows(2).all(|pair| pair[1] <= pair[0]), "{all:?}");
            // A value that one draw in ten thousand exceeds.
            off += tail.log_p(10_000f64.ln()) - 1e-4f64.ln();
            repeats += 1;
        }
        // On the cautious side of the truth, within a factor of five.
        let off = off / f64::from(repeats);
        assert!((0.0..5f64.ln()).contains(&off), "{off}");
    }
}
