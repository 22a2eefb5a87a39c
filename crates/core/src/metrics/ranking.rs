//! Metrics of binary tasks: the ranking by score, its curves, the threshold and what follows from it. The areas under
//! the curves of single classes and labels are computed here too.

use crate::metrics::bootstrap::{Resampling, bootstrap};
use crate::metrics::calibration::{BINS as EQUAL_BINS, BinTotals, bins_of_sorted, consistency_bar, debiased_error};
use crate::metrics::closed_form::{self, wilson};
use crate::metrics::{Interval, Report, bounds, column, loss, named, replace};

/// Equal-width bins of the expected calibration error.
const CALIBRATION_BINS: usize = 15;

/// Bandwidth of the smoothing under which the threshold is chosen, in logits, times the fifth root of the number of
/// examples: Silverman's factor for a logistic distribution.
const SMOOTHING: f64 = 0.9;

/// Largest number of candidate thresholds, evenly spread over the scores.
const MOST_CUTS: usize = 2048;

/// A point of the ROC or the precision-recall curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// False positive rate, or recall.
    pub x: f64,
    /// True positive rate, or precision.
    pub y: f64,
    /// Scores at or above this value are called positive.
    pub threshold: f64,
}

/// One bin of predicted probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// Number of scores in the bin.
    pub count: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of positives in the bin.
    pub observed: f64,
    /// Lower end of the 95 % interval of that share (Wilson, 1927).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Range of the share in 95 % of draws if the scores are calibrated (Bröcker and Smith, 2007).
    pub consistent: (f64, f64),
}

/// Labels and scores, sorted once by falling score. Ties are treated as one group, so their order does not matter.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// The examples, `[n]`.
    examples: Vec<u32>,
    positive: Vec<bool>,
    scores: Vec<f64>,
    /// Whether this score is the last of its ties.
    last_of_equals: Vec<bool>,
}

/// Errors of a score, computed once for all resamples.
#[derive(Clone, Copy, Debug)]
struct Errors {
    squared: f64,
    log_loss: f64,
    /// Index of its bin in the calibration curve.
    bin: usize,
    /// Index of its bin of equal count.
    equal_bin: usize,
}

/// Examples by falling score.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// 32 bits, since there is one order for each label and there may be a thousand labels.
    pub(super) examples: Vec<u32>,
    /// Whether this score is the last of its ties.
    pub(super) last_of_equals: Vec<bool>,
}

/// One of several classes or labels; they are resampled together, so the order of the examples is kept.
#[derive(Clone, Debug)]
pub(super) struct OneOfSeveral {
    order: Order,
    positive: Vec<bool>,
}

/// The areas under both curves, summed from the highest score to the lowest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Areas {
    true_positives: u64,
    false_positives: u64,
    /// Counts above the ties that are being added.
    before_true: u64,
    before_false: u64,
    wins: f64,
    precision: f64,
}

/// The metrics of one set of examples at one threshold. `None` is undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Values {
    auroc: Option<f64>,
    average_precision: Option<f64>,
    at_threshold: Decisions,
    at_half: Decisions,
    brier: Option<f64>,
    log_loss: Option<f64>,
    expected_calibration_error: Option<f64>,
    debiased_calibration_error: Option<f64>,
}

/// Metrics of binary decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Decisions {
    pub(super) accuracy: Option<f64>,
    balanced_accuracy: Option<f64>,
    mcc: Option<f64>,
    pub(super) f1: Option<f64>,
}

impl Ranking {
    /// Sorts labels and scores, both `[n]`, by falling score.
    ///
    /// # Panics
    /// If the slices differ in length or a score is not a number; callers check both at the network's border.
    pub fn new(positive: &[bool], scores: &[f64]) -> Self {
        assert_eq!(positive.len(), scores.len(), "one score for each label");
        assert!(scores.iter().all(|score| !score.is_nan()), "scores are numbers");
        let Order { examples, last_of_equals } = Order::new(scores);
        let in_order = || examples.iter().map(|&example| example as usize);
        Self {
            positive: in_order().map(|example| positive[example]).collect(),
            scores: in_order().map(|example| scores[example]).collect(),
            last_of_equals,
            examples,
        }
    }

    fn counts(&self) -> (usize, usize) {
        let positives = self.positive.iter().filter(|&&positive| positive).count();
        (positives, self.positive.len() - positives)
    }

    /// Area under the ROC curve; a tie counts half. Undefined with one class.
    pub fn auroc(&self) -> Option<f64> {
        self.values_of_all(0.5).auroc
    }

    /// Mean precision over the steps of recall, not interpolated. Undefined with one class.
    pub fn average_precision(&self) -> Option<f64> {
        self.values_of_all(0.5).average_precision
    }

    /// The ROC curve: false positive rate and true positive rate at every distinct score, from (0, 0) to (1, 1).
    pub fn roc(&self) -> Vec<CurvePoint> {
        let (positives, negatives) = self.counts();
        let start = CurvePoint { x: 0.0, y: 0.0, threshold: f64::INFINITY };
        std::iter::once(start)
            .chain(self.steps().map(|(true_positives, false_positives, threshold)| CurvePoint {
                x: false_positives as f64 / negatives as f64,
                y: true_positives as f64 / positives as f64,
                threshold,
            }))
            .collect()
    }

    /// Precision against recall at every distinct score, from recall 0.
    pub fn precision_recall(&self) -> Vec<CurvePoint> {
        let (positives, _) = self.counts();
        let mut points: Vec<CurvePoint> = self
            .steps()
            .map(|(true_positives, false_positives, threshold)| CurvePoint {
                x: true_positives as f64 / positives as f64,
                y: true_positives as f64 / (true_positives + false_positives) as f64,
                threshold,
            })
            .collect();
        if let Some(first) = points.first() {
            points.insert(0, CurvePoint { x: 0.0, threshold: f64::INFINITY, ..*first });
        }
        points
    }

    /// Number of true and false positives with the threshold at each distinct score.
    fn steps(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        let (mut true_positives, mut false_positives) = (0, 0);
        (0..self.scores.len()).filter_map(move |i| {
            if self.positive[i] {
                true_positives += 1
            } else {
                false_positives += 1
            }
            self.last_of_equals[i].then_some((true_positives, false_positives, self.scores[i]))
        })
    }

    /// The threshold that maximises sensitivity plus specificity (Youden, 1950) after both are smoothed over
    /// neighbouring scores (as in Fluss, Faraggi and Reiser, 2005). The unsmoothed maximum follows noise: on scores
    /// simulated from normal, skewed, unequally wide and mixed distributions it lost on average 0.004 of the best sum
    /// with 1,000 examples and 0.017 with 100, the smoothed one 0.002 and 0.010. 0.5 if there is only one class.
    ///
    /// Only the order of the scores matters: each is placed at the logit of the share of both classes above it, with
    /// both classes weighing the same however rare one is.
    pub fn best_threshold(&self) -> f64 {
        let (positives, negatives) = self.counts();
        if positives == 0 || negatives == 0 {
            return 0.5;
        }
        let (positives, negatives) = (positives as f64, negatives as f64);
        let logit = |share: f64| (share / (1.0 - share)).ln();
        let steps: Vec<_> = self.steps().collect();
        let cuts = steps.chunks(steps.len().div_ceil(MOST_CUTS)).filter_map(<[_]>::last);
        // For each candidate the number of examples above it, their share averaged over both classes, and sensitivity
        // minus the false positive rate.
        let cuts: Vec<(usize, f64, f64)> = cuts
            .map(|&(true_positives, false_positives, _)| {
                let (sensitivity, fallout) = (true_positives as f64 / positives, false_positives as f64 / negatives);
                (true_positives + false_positives, f64::midpoint(sensitivity, fallout), sensitivity - fallout)
            })
            .collect();
        let before = std::iter::once((0.0, 0.0)).chain(cuts.iter().map(|&(_, share, gain)| (share, gain)));
        let parts: Vec<(f64, f64)> = before
            .zip(&cuts)
            .map(|((share, gain), (_, next_share, next_gain))| {
                (logit(f64::midpoint(share, *next_share)), next_gain - gain)
            })
            .collect();
        let effective_n = 4.0 / (1.0 / positives + 1.0 / negatives);
        let width = SMOOTHING * effective_n.powf(-0.2);
        let smoothed = |share: f64| -> f64 {
            let cut = logit(share);
            parts.iter().map(|(place, gain)| gain / (1.0 + ((place - cut) / width).exp())).sum()
        };
        let best = cuts[..cuts.len() - 1]
            .iter()
            .map(|&(above, share, _)| (above, smoothed(share)))
            .max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
        // The midpoint to the next lower score, so that the threshold does not depend on the last digit of a score.
        best.map_or(self.scores[0], |(above, _)| f64::midpoint(self.scores[above - 1], self.scores[above]))
    }

    /// Expected calibration error: mean distance between predicted probability and share of positives over equal-width
    /// bins, weighted by their number of examples.
    pub fn calibration_error(&self) -> Option<f64> {
        self.values_of_all(0.5).expected_calibration_error
    }

    /// Root mean squared calibration error without the bias of the plug-in estimate (Kumar, Liang and Ma, 2019).
    pub fn debiased_calibration_error(&self) -> Option<f64> {
        self.values_of_all(0.5).debiased_calibration_error
    }

    /// Matthews correlation of the decisions at a threshold.
    pub fn mcc(&self, threshold: f64) -> Option<f64> {
        self.values_of_all(threshold).at_threshold.mcc
    }

    /// Calibration curve in at most `bins` bins of equal count, by rising score. Equal scores share a bin, so counts may
    /// differ, and there may be fewer bins.
    pub fn calibration(&self, bins: usize) -> Vec<CalibrationBin> {
        let n = self.scores.len();
        // Where bins end, from the highest score down; each is given its share of what is left.
        let mut ends: Vec<usize> = vec![0];
        for bin in 0..bins {
            let start = ends[ends.len() - 1];
            let share = ((n - start) as f64 / (bins - bin) as f64).round().max(1.0) as usize;
            ends.extend((start + share..=n).find(|&end| self.last_of_equals[end - 1]));
        }
        // What long ties leave may be too little for a bin of its own.
        if ends.len() > 2 && n - ends[ends.len() - 2] < n / bins / 2 {
            ends.remove(ends.len() - 2);
        }
        let bin = |ends: &[usize]| {
            let range = ends[0]..ends[1];
            let count = range.len();
            let positives = self.positive[range.clone()].iter().filter(|&&positive| positive).count();
            let predicted = self.scores[range.clone()].iter().sum::<f64>() / count as f64;
            let consistent = consistency_bar(&self.scores[range]);
            let Interval { low, high, .. } = wilson(positives as u64, count as u64);
            CalibrationBin { count, predicted, observed: positives as f64 / count as f64, low, high, consistent }
        };
        ends.windows(2).rev().map(bin).collect()
    }

    /// Computes the errors of each score.
    fn errors(&self) -> Vec<Errors> {
        let ascending: Vec<f64> = self.scores.iter().rev().copied().collect();
        let equal_bins = bins_of_sorted(&ascending);
        let of = |((&score, &positive), equal_bin): ((&f64, &bool), usize)| Errors {
            squared: (score - f64::from(u8::from(positive))).powi(2),
            log_loss: loss(if positive { score } else { 1.0 - score }),
            bin: calibration_bin(score, CALIBRATION_BINS),
            equal_bin,
        };
        self.scores.iter().zip(&self.positive).zip(equal_bins.into_iter().rev()).map(of).collect()
    }

    /// All metrics, with each example counted once.
    fn values_of_all(&self, threshold: f64) -> Values {
        self.values(&self.errors(), &vec![1; self.scores.len()], threshold)
    }

    /// All metrics, with each example counted `weights` times, in one pass from the highest score to the lowest.
    fn values(&self, errors: &[Errors], weights: &[u32], threshold: f64) -> Values {
        let mut areas = Areas::default();
        let (mut brier, mut log_loss) = (0.0, 0.0);
        let mut calibration = [(0.0, 0.0); CALIBRATION_BINS];
        let mut equal_bins = [BinTotals::default(); EQUAL_BINS];
        let (mut bin, mut in_bin) = (0, (0.0, 0.0));
        let mut cuts = [(threshold, (0, 0)), (0.5, (0, 0))];
        let examples = self.scores.iter().zip(&self.positive).zip(&self.last_of_equals);
        for (((&score, &positive), &is_last), (&weight, error)) in examples.zip(weights.iter().zip(errors)) {
            // Free of branches on the weight or the label, which would be mispredicted.
            let many = f64::from(weight);
            areas.add(positive, weight);
            brier += many * error.squared;
            log_loss += many * error.log_loss;
            equal_bins[error.equal_bin].add(many, score, positive);
            if error.bin != bin {
                (calibration[bin], bin) = (in_bin, error.bin);
                in_bin = calibration[bin];
            }
            in_bin = (in_bin.0 + many * score, in_bin.1 + many * f64::from(u8::from(positive)));
            for (cut, counts) in &mut cuts {
                if score >= *cut {
                    *counts = (areas.true_positives, areas.false_positives);
                }
            }
            if is_last {
                areas.end_equals();
            }
        }
        calibration[bin] = in_bin;
        let (positives, negatives) = (areas.true_positives, areas.false_positives);
        let n = positives + negatives;
        let decisions =
            |(true_positives, false_positives)| Decisions::new(true_positives, false_positives, positives, negatives);
        let share = |sum: f64| (n > 0).then(|| sum / n as f64);
        Values {
            auroc: areas.auroc(),
            average_precision: areas.average_precision(),
            at_threshold: decisions(cuts[0].1),
            at_half: decisions(cuts[1].1),
            brier: share(brier),
            log_loss: share(log_loss),
            expected_calibration_error: share(
                calibration.iter().map(|(predicted, observed)| (predicted - observed).abs()).sum(),
            ),
            debiased_calibration_error: debiased_error(&equal_bins),
        }
    }

    /// All metrics with their intervals. The same seed gives the same intervals, whatever the number of threads.
    ///
    /// # Panics
    /// If there are blocks for another number of examples.
    pub fn report(&self, threshold: f64, resampling: &Resampling) -> Report {
        let n = self.scores.len();
        assert_eq!(resampling.blocks.examples(), n, "a block for each example");
        let blocks = &resampling.blocks.at(self.examples.iter().map(|&example| example as usize));
        let names = || Values::default().named().into_iter().map(|(name, _)| name);
        let bounds: Vec<_> = names().map(bounds).collect();
        let errors = self.errors();
        let values = |weights: &[u32]| self.values(&errors, weights, threshold).named().map(|(_, value)| value).into();
        let resampling = Resampling { blocks, ..*resampling };
        let mut estimates = bootstrap(&resampling, 1, |metric| bounds[metric], values).into_iter();
        let (positives, negatives) = self.counts();
        // A class that is missing takes nothing from the metrics that are defined without it.
        let too_few = [(positives, true), (negatives, false)]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .find_map(|(_, class)| blocks.too_few_of(|example| self.positive[example] == class));
        let mut metrics = named(names(), &mut estimates, |_| too_few);
        if blocks.are_examples() {
            replace(&mut metrics, "auroc", closed_form::auroc(&self.positive, &self.last_of_equals));
            for (name, cut) in [("accuracy", threshold), ("accuracy_at_half", 0.5)] {
                let is_right = |(score, positive): &(&f64, &bool)| (**score >= cut) == **positive;
                let right = self.scores.iter().zip(&self.positive).filter(is_right).count();
                replace(&mut metrics, name, (n > 0).then(|| wilson(right as u64, n as u64)));
            }
        }
        Report {
            n,
            n_positive: Some(positives),
            threshold: Some(threshold),
            blocks: blocks.summary(),
            metrics,
            parts: Vec::new(),
            confusion: None,
        }
    }
}

impl Order {
    pub(super) fn new(scores: &[f64]) -> Self {
        let n = u32::try_from(scores.len()).expect("fewer than 2^32 examples");
        Self::of(scores, (0..n).collect())
    }

    /// The order of some of the examples.
    fn of(scores: &[f64], mut examples: Vec<u32>) -> Self {
        examples.sort_unstable_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let score = |&example: &u32| scores[example as usize];
        let mut last_of_equals: Vec<bool> =
            examples.windows(2).map(|neighbours| score(&neighbours[0]) != score(&neighbours[1])).collect();
        last_of_equals.extend(examples.last().map(|_| true));
        Self { examples, last_of_equals }
    }
}

impl OneOfSeveral {
    /// The column `place` of `k` columns of scores, `[n, k]`, without examples that are neither positive nor negative.
    pub(super) fn new(scores: &[f64], k: usize, place: usize, positive: impl Fn(usize) -> Option<bool>) -> Self {
        let scores = column(scores, k, place);
        let n = u32::try_from(scores.len()).expect("fewer than 2^32 examples");
        let there = (0..n).filter(|&example| positive(example as usize).is_some()).collect();
        let order = Order::of(&scores, there);
        let positive = order.examples.iter().map(|&example| positive(example as usize) == Some(true)).collect();
        Self { order, positive }
    }

    /// The interval of the area under the ROC curve, of independent examples.
    pub(super) fn auroc_interval(&self) -> Option<Interval> {
        closed_form::auroc(&self.positive, &self.order.last_of_equals)
    }

    /// The areas, with each example counted `weights` times.
    pub(super) fn areas(&self, weights: &[u32]) -> Areas {
        let mut areas = Areas::default();
        let Order { examples, last_of_equals } = &self.order;
        for ((&example, &last), &positive) in examples.iter().zip(last_of_equals).zip(&self.positive) {
            areas.add(positive, weights[example as usize]);
            if last {
                areas.end_equals();
            }
        }
        areas
    }
}

impl Areas {
    fn add(&mut self, positive: bool, weight: u32) {
        let weight = u64::from(weight);
        let of_true = weight * u64::from(positive);
        self.true_positives += of_true;
        self.false_positives += weight - of_true;
    }

    fn end_equals(&mut self) {
        let new_true = self.true_positives - self.before_true;
        let new_false = self.false_positives - self.before_false;
        self.wins += new_false as f64 * (self.before_true as f64 + new_true as f64 / 2.0);
        // Free of a branch on whether the counts changed, which would be mispredicted.
        let called = (self.true_positives + self.false_positives).max(1);
        self.precision += new_true as f64 * self.true_positives as f64 / called as f64;
        (self.before_true, self.before_false) = (self.true_positives, self.false_positives);
    }

    fn both_classes(&self) -> bool {
        self.true_positives > 0 && self.false_positives > 0
    }

    pub(super) fn auroc(&self) -> Option<f64> {
        self.both_classes().then(|| self.wins / (self.true_positives as f64 * self.false_positives as f64))
    }

    pub(super) fn average_precision(&self) -> Option<f64> {
        self.both_classes().then(|| self.precision / self.true_positives as f64)
    }
}

impl Decisions {
    pub(super) fn new(true_positives: u64, false_positives: u64, positives: u64, negatives: u64) -> Self {
        let n = positives + negatives;
        if n == 0 {
            return Self::default();
        }
        let [tp, fp, p, q] = [true_positives, false_positives, positives, negatives].map(|count| count as f64);
        let (tn, missed) = (q - fp, p - tp);
        let both = positives > 0 && negatives > 0;
        // If all decisions are the same, the correlation is 0/0; 0 by convention.
        let spread = ((tp + fp) * p * q * (tn + missed)).sqrt();
        let mcc = if spread > 0.0 { (tp * tn - fp * missed) / spread } else { 0.0 };
        Self {
            accuracy: Some((tp + tn) / n as f64),
            balanced_accuracy: both.then(|| (tp / p + tn / q) / 2.0),
            mcc: both.then_some(mcc),
            f1: (positives > 0).then(|| 2.0 * tp / (2.0 * tp + fp + missed)),
        }
    }
}

impl Values {
    fn named(&self) -> [(&'static str, Option<f64>); 14] {
        let Self { at_threshold, at_half, .. } = self;
        [
            ("auroc", self.auroc),
            ("average_precision", self.average_precision),
            ("accuracy", at_threshold.accuracy),
            ("balanced_accuracy", at_threshold.balanced_accuracy),
            ("mcc", at_threshold.mcc),
            ("f1", at_threshold.f1),
            ("accuracy_at_half", at_half.accuracy),
            ("balanced_accuracy_at_half", at_half.balanced_accuracy),
            ("mcc_at_half", at_half.mcc),
            ("f1_at_half", at_half.f1),
            ("brier_score", self.brier),
            ("expected_calibration_error", self.expected_calibration_error),
            ("debiased_calibration_error", self.debiased_calibration_error),
            ("log_loss", self.log_loss),
        ]
    }
}

fn calibration_bin(score: f64, bins: usize) -> usize {
    ((score * bins as f64) as usize).min(bins - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Blocks, Estimate, Method, NoInterval};
    use proptest::prelude::*;
    use rand::RngExt;

    fn report(ranking: &Ranking, threshold: f64, seed: u64) -> Report {
        let blocks = Blocks::each(ranking.scores.len());
        ranking.report(threshold, &Resampling { blocks: &blocks, seed })
    }

    fn value(positive: &[bool], scores: &[f64], name: &str) -> Option<f64> {
        report(&Ranking::new(positive, scores), 0.5, 1).get(name).map(|estimate| estimate.value)
    }

    #[test]
    fn ties_count_half_and_order_does_not_matter() {
        let labels = [true, false, true, false];
        assert_eq!(value(&labels, &[0.5; 4], "auroc"), Some(0.5));
        assert_eq!(value(&labels, &[0.9, 0.1, 0.8, 0.2], "auroc"), Some(1.0));
        assert_eq!(value(&labels, &[0.9, 0.9, 0.8, 0.2], "auroc"), Some(0.625));
    }

    #[test]
    fn one_class_leaves_undefined_what_needs_two() {
        let report = report(&Ranking::new(&[true; 5], &[0.2, 0.4, 0.6, 0.8, 0.9]), 0.5, 1);
        for name in ["auroc", "average_precision", "balanced_accuracy", "mcc"] {
            assert_eq!(report.get(name), None, "{name}");
            assert_eq!(report.reason(name), Some("only one class is present"));
        }
        assert_eq!(report.get("accuracy").unwrap().value, 0.6);
        assert_eq!(Ranking::new(&[true; 5], &[0.1; 5]).best_threshold(), 0.5);
    }

    /// Where all is right no resample says how wrong it may be; score intervals do.
    #[test]
    fn perfect_scores_have_the_intervals_that_need_no_resamples() {
        let positive: Vec<bool> = (0..40).map(|i| i % 2 == 0).collect();
        let scores: Vec<f64> = positive.iter().map(|&positive| if positive { 0.9 } else { 0.1 }).collect();
        let report = report(&Ranking::new(&positive, &scores), 0.5, 1);
        for (name, method) in [("auroc", Method::Newcombe), ("accuracy", Method::Wilson)] {
            let Estimate { value, interval } = report.get(name).unwrap();
            let interval = interval.unwrap();
            assert!(value == 1.0 && interval.low < 0.95 && interval.high == 1.0, "{name}: {interval:?}");
            assert_eq!(interval.method, method);
        }
        for name in ["average_precision", "mcc", "f1"] {
            let none = Estimate { value: 1.0, interval: Err(NoInterval::Constant) };
            assert_eq!(report.get(name), Some(none), "{name}");
        }
    }

    #[test]
    fn calibration_bins_hold_equal_counts_and_their_intervals() {
        let scores: Vec<f64> = (0..1000).map(|i| f64::from(i).powi(3) / 1e9).collect();
        let positive: Vec<bool> = (0..1000).map(|i| i % 4 == 0).collect();
        let bins = Ranking::new(&positive, &scores).calibration(10);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [100; 10]);
        assert!(bins.windows(2).all(|pair| pair[0].predicted < pair[1].predicted));
        for bin in bins {
            // statsmodels.stats.proportion.proportion_confint(25, 100, method="wilson"), version 0.14.
            let expected = (0.175_460, 0.343_045);
            assert!(
                (bin.observed, (bin.low - expected.0).abs() < 1e-5, (bin.high - expected.1).abs() < 1e-5)
                    == (0.25, true, true),
                "{bin:?}"
            );
        }
    }

    #[test]
    fn equal_scores_share_a_calibration_bin() {
        let of = |scores: &[f64], bins| -> Vec<usize> {
            let positive: Vec<bool> = (0..scores.len()).map(|i| i % 2 == 0).collect();
            Ranking::new(&positive, scores).calibration(bins).iter().map(|bin| bin.count).collect()
        };
        assert_eq!(of(&[0.5; 100], 10), [100]);
        assert_eq!(of(&[], 10), [0usize; 0]);
        assert_eq!(of(&[0.1, 0.2, 0.3], 10), [1, 1, 1]);
        let saturated: Vec<f64> = (0..100).map(|i| if i < 70 { 0.0 } else { f64::from(i) / 100.0 }).collect();
        assert_eq!(of(&saturated, 10), [70, 10, 10, 10]);
    }

    proptest! {
        #[test]
        fn calibration_bins_hold_every_score_once(
            scores in prop::collection::vec(0..30u32, 0..200),
            bins in 1..12usize,
        ) {
            let positive: Vec<bool> = scores.iter().map(|score| score % 3 == 0).collect();
            let scores: Vec<f64> = scores.into_iter().map(|score| f64::from(score) / 30.0).collect();
            let found = Ranking::new(&positive, &scores).calibration(bins);
            prop_assert!(found.len() <= bins);
            prop_assert_eq!(found.iter().map(|bin| bin.count).sum::<usize>(), scores.len());
            prop_assert!(found.windows(2).all(|pair| pair[0].predicted < pair[1].predicted));
            prop_assert!(found.iter().all(|bin| bin.low <= bin.observed && bin.observed <= bin.high));
        }
    }

    #[test]
    fn a_constant_score_is_chance() {
        let ranking = Ranking::new(&[true, false, false], &[0.3; 3]);
        let report = report(&ranking, ranking.best_threshold(), 1);
        assert_eq!(report.get("auroc").unwrap().value, 0.5);
        assert_eq!(report.get("mcc").unwrap().value, 0.0);
        assert_eq!(ranking.roc().len(), 2);
    }

    #[test]
    fn the_threshold_lies_between_the_classes_wherever_they_part() {
        let sure = Ranking::new(&[true, false], &[0.9, 0.2]);
        assert!((sure.best_threshold() - 0.55).abs() < 1e-12);
        for (n, rare) in [(40, 20), (1000, 500), (1000, 10), (5000, 4950)] {
            let labels: Vec<bool> = (0..n).map(|i| i < rare).collect();
            let scores: Vec<f64> = (0..n).map(|i| 1.0 - (i as f64 / n as f64).powi(3)).collect();
            let threshold = Ranking::new(&labels, &scores).best_threshold();
            let rank = scores.iter().filter(|&&score| score >= threshold).count();
            assert_eq!(rank, rare, "of {n}");
        }
    }

    /// Two normal distributions, two standard deviations apart, part best halfway between their means.
    #[test]
    fn the_threshold_is_steadier_than_the_bare_maximum_and_as_well_placed() {
        let mut random = crate::random::generator(1, crate::random::Purpose::Simulate, 0, 0);
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let [mut smoothed, mut bare] = [0.0, 0.0];
        const TIMES: i32 = 40;
        for _ in 0..TIMES {
            let labels: Vec<bool> = (0..500).map(|i| i % 2 == 0).collect();
            let scores: Vec<f64> = labels.iter().map(|&label| normal() + if label { 1.0 } else { -1.0 }).collect();
            let ranking = Ranking::new(&labels, &scores);
            let furthest = ranking.roc().into_iter().max_by(|a, b| (a.y - a.x).total_cmp(&(b.y - b.x))).unwrap();
            smoothed += ranking.best_threshold().powi(2) / f64::from(TIMES);
            bare += furthest.threshold.powi(2) / f64::from(TIMES);
        }
        assert!(smoothed.sqrt() < 0.15 && smoothed < 0.5 * bare, "{smoothed} {bare}");
    }

    #[test]
    fn the_threshold_of_many_scores_is_found_without_looking_at_each() {
        let labels: Vec<bool> = (0..200_000).map(|i| i < 60_000).collect();
        let scores: Vec<f64> = (0..200_000).map(|i| -f64::from(i)).collect();
        let threshold = Ranking::new(&labels, &scores).best_threshold();
        assert!((threshold + 60_000.0).abs() < 200.0, "{threshold}");
    }

    #[test]
    fn intervals_hold_the_value_and_shrink_with_more_examples() {
        let of = |n: usize| {
            let scores: Vec<f64> = (0..n).map(|i| (i as f64 * 0.618).fract()).collect();
            let labels: Vec<bool> = scores.iter().enumerate().map(|(i, s)| (i as f64 * 0.7548).fract() < *s).collect();
            report(&Ranking::new(&labels, &scores), 0.5, 3)
        };
        let (few, many) = (of(200), of(3200));
        for (name, estimate) in &many.metrics {
            let estimate = estimate.unwrap();
            let ((low, high), wide) = (estimate.ends(), few.get(name).unwrap().ends());
            assert!(low <= estimate.value && estimate.value <= high, "{name}: {estimate:?}");
            // Without its bias the calibration error is often 0, where its range ends.
            if *name != "debiased_calibration_error" {
                assert!(low < estimate.value && estimate.value < high, "{name}: {estimate:?}");
                assert!(high - low < 0.6 * (wide.1 - wide.0), "{name}");
            }
        }
        assert_eq!(of(200), few, "the same seed gives the same intervals");
    }

    proptest! {
        #[test]
        fn auroc_is_the_share_of_pairs_in_the_right_order(examples in prop::collection::vec((any::<bool>(), 0u8..20), 2..60)) {
            let (labels, scores): (Vec<bool>, Vec<f64>) = examples.into_iter().map(|(l, s)| (l, f64::from(s) / 20.0)).unzip();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (a, sa) in labels.iter().zip(&scores) {
                for (b, sb) in labels.iter().zip(&scores) {
                    if *a && !*b {
                        pairs += 1.0;
                        won += if sa > sb { 1.0 } else if sa == sb { 0.5 } else { 0.0 };
                    }
                }
            }
            match Ranking::new(&labels, &scores).auroc() {
                Some(auroc) => prop_assert!((auroc - won / pairs).abs() < 1e-12),
                None => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
