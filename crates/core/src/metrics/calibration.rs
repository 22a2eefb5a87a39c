//! How far probabilities are from being calibrated: an estimate without the bias of the usual ones, and the range within
//! which observed shares would lie if the probabilities were calibrated.

/// Bins of equal count of the debiased calibration error, as in the package uncertainty-calibration.
pub(super) const BINS: usize = 15;

/// Steps of the exact distribution of the number of positives up to which it is computed; beyond, in bins of ten thousands,
/// it is as good as normal.
const MOST_STEPS: f64 = 2e7;

/// Half the width of a 95 % interval of the normal distribution, in standard deviations.
const Z: f64 = 1.959_963_984_540_054;

/// Sums over the examples of a bin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BinTotals {
    count: f64,
    scores: f64,
    positives: f64,
}

impl BinTotals {
    /// Counts an example `many` times.
    pub(super) fn add(&mut self, many: f64, score: f64, positive: bool) {
        self.count += many;
        self.scores += many * score;
        self.positives += many * f64::from(u8::from(positive));
    }
}

/// The bin of each score, of scores sorted by value: at most 15 of equal count, in which equal scores share one.
pub(super) fn bins_of_sorted(scores: &[f64]) -> Vec<usize> {
    let (n, bins) = (scores.len(), BINS.min(scores.len()));
    // As numpy.array_split has it: the first parts hold one more where they cannot be equal.
    let start_of = |part: usize| part * (n / bins) + part.min(n % bins);
    let (mut bin, mut part) = (0, 0);
    (0..n)
        .map(|i| {
            while part + 1 < bins && i >= start_of(part + 1) {
                part += 1;
            }
            if i == 0 || scores[i] != scores[i - 1] {
                bin = part;
            }
            bin
        })
        .collect()
}

/// The root of the mean squared calibration error, from the sums of each bin. The bias of the plug-in estimate, the variance of
/// the share of positives, is subtracted in each bin (Kumar, Liang and Ma, 2019, section 5), so that the square is 0 on
/// average for calibrated scores; below 0 the root is 0. Undefined without examples.
pub(super) fn debiased_error(bins: &[BinTotals]) -> Option<f64> {
    let n: f64 = bins.iter().map(|bin| bin.count).sum();
    (n > 0.0).then(|| bins.iter().map(|bin| bin.count / n * squared_error(bin)).sum::<f64>().max(0.0).sqrt())
}

/// The squared error of one bin without the bias; of a single example nothing is known.
fn squared_error(bin: &BinTotals) -> f64 {
    if bin.count < 2.0 {
        return 0.0;
    }
    let share = bin.positives / bin.count;
    (bin.scores / bin.count - share).powi(2) - share * (1.0 - share) / (bin.count - 1.0)
}

/// The range of the share of positives among examples with these probabilities, if they are calibrated: 95 % of draws lie
/// within (the consistency bars of Bröcker and Smith, 2007, given the probabilities of a bin).
pub fn consistency_bar(probabilities: &[f64]) -> (f64, f64) {
    let n = probabilities.len() as f64;
    let mean: f64 = probabilities.iter().sum();
    let deviation = probabilities.iter().map(|p| p * (1.0 - p)).sum::<f64>().sqrt();
    // Of the rarer outcome, whose distribution is the shorter.
    let is_rare = mean <= n / 2.0;
    let rarer = if is_rare { mean } else { n - mean };
    let most = (rarer + 10.0 * deviation + 20.0).min(n);
    let (low, high) = if n * most > MOST_STEPS {
        ((rarer - Z * deviation).max(0.0), (rarer + Z * deviation).min(n))
    } else {
        quantiles(probabilities.iter().map(|&p| if is_rare { p } else { 1.0 - p }), most as usize)
    };
    if is_rare { (low / n, high / n) } else { (1.0 - high / n, 1.0 - low / n) }
}

/// The 2.5 and 97.5 % quantiles of a number of successes with these probabilities, of which up to `most` are looked at.
fn quantiles(probabilities: impl Iterator<Item = f64>, most: usize) -> (f64, f64) {
    let mut chances = vec![0.0; most + 1];
    chances[0] = 1.0;
    for (done, p) in probabilities.enumerate() {
        for k in (0..=most.min(done + 1)).rev() {
            let before = if k > 0 { chances[k - 1] } else { 0.0 };
            chances[k] = chances[k] * (1.0 - p) + before * p;
        }
    }
    let quantile = |share: f64| {
        let mut sum = 0.0;
        let place = chances.iter().position(|chance| {
            sum += chance;
            sum >= share
        });
        place.unwrap_or(most) as f64
    };
    (quantile(0.025), quantile(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngExt;

    use crate::metrics::Ranking;
    use crate::random::{self, Purpose};

    fn error(positive: &[bool], scores: &[f64]) -> f64 {
        Ranking::new(positive, scores).debiased_calibration_error().unwrap()
    }

    #[test]
    fn the_debiased_error_is_that_of_the_package_of_its_authors() {
        let table = include_str!("../../../../tests/golden/probabilities.csv");
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/golden/probabilities.json")).unwrap();
        let sets = golden["debiased_calibration_error"].as_object().unwrap();
        assert_eq!(sets.len(), 4);
        for (set, expected) in sets {
            let rows = table.lines().filter_map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                (fields[0] == set).then(|| (fields[1] == "1", fields[2].parse::<f64>().unwrap()))
            });
            let (positive, scores): (Vec<bool>, Vec<f64>) = rows.unzip();
            let found = error(&positive, &scores);
            assert!((found - expected.as_f64().unwrap()).abs() < 1e-9, "{set}: {found} {expected}");
        }
    }

    /// Of calibrated scores the usual error is far from 0, as it takes the noise of every bin for an error; this one is not.
    #[test]
    fn calibrated_scores_have_an_error_of_nothing() {
        let (mut usual, mut squares, mut roots) = (0.0, 0.0, 0.0);
        let rounds = 200;
        for round in 0..rounds {
            let mut random = random::generator(round, Purpose::Simulate, 0, 0);
            let scores: Vec<f64> = (0..1000).map(|_| random.random::<f64>()).collect();
            let positive: Vec<bool> = scores.iter().map(|&score| random.random::<f64>() < score).collect();
            let mut sorted: Vec<(f64, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let bins = bins_of_sorted(&sorted.iter().map(|(score, _)| *score).collect::<Vec<_>>());
            let mut totals = vec![BinTotals::default(); BINS];
            bins.iter().zip(&sorted).for_each(|(&bin, &(score, positive))| totals[bin].add(1.0, score, positive));
            squares += totals.iter().map(|bin| bin.count / 1000.0 * squared_error(bin)).sum::<f64>() / rounds as f64;
            roots += error(&positive, &scores) / rounds as f64;
            usual += Ranking::new(&positive, &scores).calibration_error().unwrap() / rounds as f64;
        }
        assert!((0.03..0.05).contains(&usual), "{usual}");
        assert!(squares.abs() < 2e-4, "the square is 0 on average: {squares}");
        assert!(roots < 0.015, "{roots}");
    }

    #[test]
    fn the_bar_holds_the_share_of_calibrated_scores_in_95_of_100_draws() {
        let mut random = random::generator(9, Purpose::Simulate, 0, 0);
        for (n, low, high) in [(20, 0.0, 1.0), (100, 0.0, 0.1), (100, 0.9, 1.0), (400, 0.4, 0.6), (5000, 0.0, 0.01)] {
            let probabilities: Vec<f64> = (0..n).map(|_| random.random_range(low..high)).collect();
            let (low, high) = consistency_bar(&probabilities);
            let draws = 2000;
            let within = (0..draws).filter(|_| {
                let share = probabilities.iter().filter(|&&p| random.random::<f64>() < p).count() as f64 / n as f64;
                (low - 1e-9..=high + 1e-9).contains(&share)
            });
            let share = within.count() as f64 / draws as f64;
            assert!((0.94..=0.995).contains(&share), "{n} {low} {high}: {share}");
        }
        assert_eq!(consistency_bar(&[0.0; 30]), (0.0, 0.0));
        assert_eq!(consistency_bar(&[1.0; 30]), (1.0, 1.0));
        // Large bins, where the normal distribution stands in.
        let (low, high) = consistency_bar(&vec![0.5; 40_000]);
        assert!((low - 0.4951).abs() < 1e-4 && (high - 0.5049).abs() < 1e-4, "{low} {high}");
    }

    proptest! {
        #[test]
        fn equal_scores_share_a_bin_and_bins_are_in_order(mut scores in proptest::collection::vec(0u8..12, 0..80)) {
            scores.sort_unstable();
            let scores: Vec<f64> = scores.into_iter().map(|score| f64::from(score) / 11.0).collect();
            let bins = bins_of_sorted(&scores);
            prop_assert_eq!(bins.len(), scores.len());
            for (bins, scores) in bins.windows(2).zip(scores.windows(2)) {
                prop_assert!(bins[0] <= bins[1] && bins[1] < BINS);
                prop_assert!(scores[0] != scores[1] || bins[0] == bins[1]);
            }
        }
    }
}
