//! DeLong's test (DeLong, DeLong and Clarke-Pearson, 1988) of two correlated areas under the ROC curve, computed from
//! ranks as in Sun and Xu (2014), for examples that are independent or lie in blocks (Obuchowski, 1997).

use crate::metrics::{Blocks, Z_95};

/// How two rankings of the same examples differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// AUROC of the second ranking minus that of the first.
    pub difference: f64,
    /// Lower end of the difference's 95 % interval.
    pub low: f64,
    /// Upper end of the difference's 95 % interval.
    pub high: f64,
    /// Two-sided p-value of the difference under the hypothesis of equal AUROC.
    pub p_value: f64,
}

/// Compares two scores of each example; a tie between a positive and a negative counts half. Examples of one block are
/// not independent (Obuchowski, 1997). `None` if the test is not defined: fewer than two blocks have a class, or the
/// rankings are the same or constant.
///
/// # Panics
/// If the slices and blocks differ in length or a score is not a number; callers check both at the network's border.
pub fn delong(positives: &[bool], first: &[f64], second: &[f64], blocks: &Blocks) -> Option<Paired> {
    let [first, second] = [first, second].map(|scores| Placements::new(positives, scores));
    let difference = second.auroc() - first.auroc();
    let differences = |ours: &[f64], theirs: &[f64]| ours.iter().zip(theirs).map(|(a, b)| b - a).collect::<Vec<_>>();
    let placements = Placements {
        of_positives: differences(&first.of_positives, &second.of_positives),
        of_negatives: differences(&first.of_negatives, &second.of_negatives),
    };
    let variance = placements.variance(positives, blocks)?;
    if variance <= 0.0 {
        return None;
    }
    let (z, margin) = (difference / variance.sqrt(), Z_95 * variance.sqrt());
    let p_value = libm::erfc(z.abs() / std::f64::consts::SQRT_2);
    Some(Paired { difference, low: difference - margin, high: difference + margin, p_value })
}

/// The standard error of an AUROC; examples of one block are not independent. `None` where fewer than two blocks have a
/// class.
///
/// # Panics
/// As [`delong`].
pub fn standard_error(positives: &[bool], scores: &[f64], blocks: &Blocks) -> Option<f64> {
    Placements::new(positives, scores).variance(positives, blocks).map(f64::sqrt)
}

/// Placement values: for a positive the share of negatives below it, for a negative the share of positives above it.
/// The mean of either is the AUROC.
struct Placements {
    of_positives: Vec<f64>,
    of_negatives: Vec<f64>,
}

impl Placements {
    fn new(positives: &[bool], scores: &[f64]) -> Self {
        assert_eq!(positives.len(), scores.len(), "one score for each label");
        assert!(scores.iter().all(|score| !score.is_nan()), "scores are numbers");
        let of_class = |wanted: bool| -> Vec<f64> {
            scores.iter().zip(positives).filter(|&(_, &positive)| positive == wanted).map(|(&score, _)| score).collect()
        };
        let (positive, negative) = (of_class(true), of_class(false));
        let below = shares_below(&positive, &negative);
        let above = shares_below(&negative, &positive).into_iter().map(|share| 1.0 - share).collect();
        Self { of_positives: below, of_negatives: above }
    }

    fn auroc(&self) -> f64 {
        mean(&self.of_positives)
    }

    /// The variance of the mean placement where examples of one block are dependent (Obuchowski, 1997, equation 2), which
    /// is DeLong's where each example is a block.
    fn variance(&self, positives: &[bool], blocks: &Blocks) -> Option<f64> {
        assert_eq!(positives.len(), blocks.examples(), "a block for each example");
        let (m, n) = (self.of_positives.len() as f64, self.of_negatives.len() as f64);
        let centres = [mean(&self.of_positives), mean(&self.of_negatives)];
        // What the positives and the negatives of each block add; `None` where it has none of the class.
        let mut added: Vec<[Option<f64>; 2]> = vec![[None; 2]; blocks.count()];
        let (mut of_positives, mut of_negatives) = (self.of_positives.iter(), self.of_negatives.iter());
        for (example, &positive) in positives.iter().enumerate() {
            let class = usize::from(!positive);
            let placement = if positive { of_positives.next() } else { of_negatives.next() }?;
            *added[blocks.of(example)][class].get_or_insert(0.0) += placement - centres[class];
        }
        let of_class = |class: usize, count: f64| {
            let added: Vec<f64> = added.iter().filter_map(|added| added[class]).collect();
            let blocks = added.len() as f64;
            let squares: f64 = added.iter().map(|sum| sum * sum).sum();
            (blocks >= 2.0).then(|| blocks / (blocks - 1.0) * squares / (count * count))
        };
        let products: f64 =
            added.iter().map(|[positive, negative]| positive.unwrap_or(0.0) * negative.unwrap_or(0.0)).sum();
        let count = blocks.count() as f64;
        Some(of_class(0, m)? + of_class(1, n)? + 2.0 * count / (count - 1.0) * products / (m * n))
    }
}

/// For each score the share of `others` below it, with ties counting half.
fn shares_below(scores: &[f64], others: &[f64]) -> Vec<f64> {
    let mut sorted = others.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let share = |&score: &f64| {
        let below = sorted.partition_point(|&other| other < score);
        let up_to = sorted.partition_point(|&other| other <= score);
        (below + up_to) as f64 / (2.0 * count)
    };
    scores.iter().map(share).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;
    use crate::metrics::Ranking;
    use crate::metrics::blocks::BlockKind;
    use crate::random::{self, Purpose};

    fn delong(positives: &[bool], first: &[f64], second: &[f64]) -> Option<Paired> {
        super::delong(positives, first, second, &Blocks::each(positives.len()))
    }

    #[test]
    fn copies_of_examples_prove_nothing_more() {
        let mut random = random::generator(4, Purpose::Bootstrap, 0, 0);
        let labels: Vec<bool> = (0..90).map(|i| i % 3 == 0).collect();
        let mut noisy = |gain: f64| -> Vec<f64> {
            labels.iter().map(|&label| f64::from(u8::from(label)) * gain + random.random::<f64>()).collect()
        };
        let (first, second) = (noisy(0.2), noisy(0.4));
        let copied = |values: &[f64]| -> Vec<f64> { values.iter().flat_map(|&value| [value; 7]).collect() };
        let labels_copied: Vec<bool> = labels.iter().flat_map(|&label| [label; 7]).collect();
        let blocks = Blocks::of_keys((0..90 * 7).map(|i| Some(i / 7)), BlockKind::NearCopies);
        let alone = delong(&labels, &first, &second).unwrap();
        let together = super::delong(&labels_copied, &copied(&first), &copied(&second), &blocks).unwrap();
        assert!((alone.p_value - together.p_value).abs() < 1e-9, "{alone:?} {together:?}");
        assert!(delong(&labels_copied, &copied(&first), &copied(&second)).unwrap().p_value < alone.p_value / 10.0);
        let one = Blocks::of_keys(vec![Some(0); 90], BlockKind::NearCopies);
        assert_eq!(super::delong(&labels, &first, &second, &one), None, "one block");
    }

    #[test]
    fn too_few_or_equal_rankings_say_nothing() {
        assert_eq!(delong(&[true, false, false], &[0.1, 0.2, 0.3], &[0.3, 0.2, 0.1]), None);
        assert_eq!(delong(&[true; 3], &[0.1, 0.2, 0.3], &[0.3, 0.2, 0.1]), None);
        let (labels, scores) = ([true, true, false, false, false], [0.9, 0.4, 0.5, 0.2, 0.1]);
        assert_eq!(delong(&labels, &scores, &scores), None);
        assert_eq!(delong(&labels, &scores, &scores.map(|score| score * 2.0)), None, "order alone counts");
    }

    #[test]
    fn p_values_are_level_where_there_is_no_difference() {
        let mut random = random::generator(3, Purpose::Bootstrap, 0, 0);
        let mut noise = || random.random::<f64>();
        let rounds = 2000;
        let small = (0..rounds)
            .filter(|_| {
                let labels: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
                // Both see the same signal, each with noise of its own.
                let mut scores =
                    || labels.iter().map(|&label| f64::from(u8::from(label)) * 0.3 + noise()).collect::<Vec<_>>();
                delong(&labels, &scores(), &scores()).unwrap().p_value < 0.05
            })
            .count();
        let share = small as f64 / f64::from(rounds);
        assert!((0.035..0.065).contains(&share), "{share} of p-values are below 0.05");
    }

    proptest! {
        #[test]
        fn difference_is_that_of_the_aurocs_and_turns_with_the_order(
            examples in prop::collection::vec((any::<bool>(), 0..20u8, 0..20u8), 4..60)
        ) {
            let labels: Vec<bool> = examples.iter().map(|example| example.0).collect();
            let first: Vec<f64> = examples.iter().map(|example| f64::from(example.1)).collect();
            let second: Vec<f64> = examples.iter().map(|example| f64::from(example.2)).collect();
            if let Some(found) = delong(&labels, &first, &second) {
                let auroc = |scores: &[f64]| Ranking::new(&labels, scores).auroc().unwrap();
                prop_assert!((found.difference - (auroc(&second) - auroc(&first))).abs() < 1e-12);
                prop_assert!((0.0..=1.0).contains(&found.p_value));
                prop_assert!(found.low <= found.difference && found.difference <= found.high);
                let swapped = delong(&labels, &second, &first).unwrap();
                prop_assert!((swapped.difference + found.difference).abs() < 1e-12);
                prop_assert!((swapped.p_value - found.p_value).abs() < 1e-12);
            }
        }
    }
}
