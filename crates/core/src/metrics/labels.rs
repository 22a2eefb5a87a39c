//! Metrics of multilabel tasks: of each label at a threshold of one half, and their means.

use rayon::prelude::*;

use crate::metrics::bootstrap::{Resampling, bootstrap};
use crate::metrics::closed_form::wilson;
use crate::metrics::ranking::{Decisions, OneOfSeveral};
use crate::metrics::{ClassReport, NoInterval, Report, bounds, loss, mean_of_defined, named, replace};

const OVERALL: [&str; 5] =
    ["macro_auroc", "macro_average_precision", "accuracy_at_half", "macro_f1_at_half", "log_loss"];
const OF_A_LABEL: [&str; 5] = ["auroc", "average_precision", "accuracy_at_half", "f1_at_half", "log_loss"];

/// Precomputed properties of the examples, shared by all resamples.
struct Examples<'a> {
    /// `None` where the label is missing; `[n, K]`, as are the next two.
    positive: Vec<Option<bool>>,
    scores: &'a [f64],
    log_loss: Vec<f64>,
    labels: Vec<OneOfSeveral>,
}

/// Sums over the examples for one label.
#[derive(Clone, Copy, Debug, Default)]
struct LabelTotals {
    positives: u64,
    negatives: u64,
    true_positives: u64,
    false_positives: u64,
    log_loss: f64,
}

/// Every metric with its interval, from labels `[n, K]` and probabilities `[n, K]`, row by row, for the K labels of
/// `names`. The same seed gives the same intervals, however many threads work.
///
/// The overall metrics are means over the labels for which they are defined: areas need positives and negatives, F1
/// needs positives. Labels may be `Option<bool>`, `None` where one is missing: it counts for nothing.
///
/// # Panics
/// If there is not one probability for each label or a probability is not a number; callers check both at the network's
/// border.
pub fn report<L: Copy + Into<Option<bool>>>(
    labels: &[L],
    scores: &[f64],
    names: &[String],
    resampling: &Resampling,
) -> Report {
    let k = names.len();
    let n = labels.len().checked_div(k).unwrap_or(0);
    let examples = Examples::new(labels, scores, k);
    let bounds_of = |metric| bounds(name_of(metric));
    let mut estimates = bootstrap(resampling, k, bounds_of, |weights| examples.values(weights)).into_iter();
    let blocks = resampling.blocks;
    let totals = examples.totals(&vec![1; n]);
    let too_few = |label: usize| -> Option<NoInterval> {
        let of = |wanted: bool| blocks.too_few_of(|example| examples.positive[example * k + label] == Some(wanted));
        let LabelTotals { positives, negatives, .. } = totals[label];
        [(positives, true), (negatives, false)].into_iter().filter(|(n, _)| *n > 0).find_map(|(_, wanted)| of(wanted))
    };
    let too_few: Vec<Option<NoInterval>> = (0..k).map(too_few).collect();
    let of_any = too_few.iter().find_map(|reason| *reason);
    let metrics = named(OVERALL, &mut estimates, |name| match name {
        "accuracy_at_half" | "log_loss" => None,
        _ => of_any,
    });
    let mut parts: Vec<ClassReport> = names
        .iter()
        .enumerate()
        .map(|(label, name)| ClassReport {
            name: name.clone(),
            n: Some(totals[label].positives as usize),
            metrics: named(OF_A_LABEL, &mut estimates, |_| too_few[label]),
        })
        .collect();
    if blocks.are_examples() {
        for ((part, label), totals) in parts.iter_mut().zip(&examples.labels).zip(&totals) {
            let LabelTotals { positives, negatives, true_positives, false_positives, .. } = *totals;
            let (right, known) = (true_positives + negatives - false_positives, positives + negatives);
            replace(&mut part.metrics, "auroc", label.auroc_interval());
            replace(&mut part.metrics, "accuracy_at_half", (known > 0).then(|| wilson(right, known)));
        }
    }
    Report { n, n_positive: None, threshold: None, blocks: blocks.summary(), metrics, parts, confusion: None }
}

/// The name of a metric by its place among all values.
fn name_of(place: usize) -> &'static str {
    OVERALL.get(place).copied().unwrap_or_else(|| OF_A_LABEL[(place - OVERALL.len()) % OF_A_LABEL.len()])
}

/// Mean AUROC of `k` labels, over the labels for which it is defined.
///
/// # Panics
/// As [`report`].
pub fn macro_auroc<L: Copy + Into<Option<bool>>>(labels: &[L], scores: &[f64], k: usize) -> Option<f64> {
    let once = vec![1; labels.len().checked_div(k)?];
    let positive: Vec<Option<bool>> = labels.iter().map(|&label| label.into()).collect();
    mean_of_defined(each_label(&positive, scores, k).iter().map(|label| label.areas(&once).auroc()))
}

pub(super) fn each_label(positive: &[Option<bool>], scores: &[f64], k: usize) -> Vec<OneOfSeveral> {
    assert_eq!(positive.len(), scores.len(), "one score for each label");
    assert!(positive.is_empty() || positive.len().is_multiple_of(k), "as many labels for each example");
    assert!(scores.iter().all(|score| !score.is_nan()), "scores are numbers");
    (0..k)
        .into_par_iter()
        .map(|label| OneOfSeveral::new(scores, k, label, |example| positive[example * k + label]))
        .collect()
}

impl<'a> Examples<'a> {
    fn new<L: Copy + Into<Option<bool>>>(labels: &[L], scores: &'a [f64], k: usize) -> Self {
        let positive: Vec<Option<bool>> = labels.iter().map(|&label| label.into()).collect();
        let labels = each_label(&positive, scores, k);
        let of_cell = |(&positive, &score): (&Option<bool>, &f64)| match positive {
            Some(positive) => loss(if positive { score } else { 1.0 - score }),
            None => 0.0,
        };
        let log_loss = positive.iter().zip(scores).map(of_cell).collect();
        Self { positive, scores, log_loss, labels }
    }

    /// The overall metrics followed by those of each label, with each example counted `weights` times.
    fn values(&self, weights: &[u32]) -> Vec<Option<f64>> {
        let totals = self.totals(weights);
        let areas: Vec<_> = self.labels.iter().map(|label| label.areas(weights)).collect();
        let decisions: Vec<_> = totals.iter().map(LabelTotals::decisions).collect();
        let log_loss = || totals.iter().map(LabelTotals::mean_log_loss);
        let mut values = vec![
            mean_of_defined(areas.iter().map(|label| label.auroc())),
            mean_of_defined(areas.iter().map(|label| label.average_precision())),
            mean_of_defined(decisions.iter().map(|label| label.accuracy)),
            mean_of_defined(decisions.iter().map(|label| label.f1)),
            mean_of_defined(log_loss()),
        ];
        for ((areas, decisions), log_loss) in areas.iter().zip(&decisions).zip(log_loss()) {
            values.extend([areas.auroc(), areas.average_precision(), decisions.accuracy, decisions.f1, log_loss]);
        }
        values
    }

    /// Row by row, in the order of memory.
    fn totals(&self, weights: &[u32]) -> Vec<LabelTotals> {
        let k = self.labels.len();
        let mut totals = vec![LabelTotals::default(); k];
        for (example, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            let row = example * k..(example + 1) * k;
            let cells = self.positive[row.clone()].iter().zip(&self.scores[row.clone()]).zip(&self.log_loss[row]);
            for (totals, ((&positive, &score), &log_loss)) in totals.iter_mut().zip(cells) {
                let Some(positive) = positive else { continue };
                let called = if score >= 0.5 { u64::from(weight) } else { 0 };
                if positive {
                    totals.positives += u64::from(weight);
                    totals.true_positives += called;
                } else {
                    totals.negatives += u64::from(weight);
                    totals.false_positives += called;
                }
                totals.log_loss += f64::from(weight) * log_loss;
            }
        }
        totals
    }
}

impl LabelTotals {
    fn decisions(&self) -> Decisions {
        Decisions::new(self.true_positives, self.false_positives, self.positives, self.negatives)
    }

    fn mean_log_loss(&self) -> Option<f64> {
        let n = self.positives + self.negatives;
        (n > 0).then(|| self.log_loss / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Blocks, Ranking};
    use proptest::prelude::*;

    const K: usize = 3;

    fn report<L: Copy + Into<Option<bool>>>(labels: &[L], scores: &[f64], names: &[String], seed: u64) -> Report {
        let blocks = Blocks::each(labels.len() / names.len());
        super::report(labels, scores, names, &Resampling { blocks: &blocks, seed })
    }

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(String::from).into()
    }

    /// Labels and probabilities with ties among them.
    fn examples() -> impl Strategy<Value = Vec<[(bool, f64); K]>> {
        let cell = || (any::<bool>(), (0u8..=10).prop_map(|score| f64::from(score) / 10.0));
        prop::collection::vec([cell(), cell(), cell()], 0..40)
    }

    fn apart(examples: &[[(bool, f64); K]]) -> (Vec<bool>, Vec<f64>) {
        examples.iter().flatten().copied().unzip()
    }

    fn values(examples: &[[(bool, f64); K]]) -> Vec<Option<f64>> {
        let (labels, scores) = apart(examples);
        Examples::new(&labels, &scores, K).values(&vec![1; examples.len()])
    }

    fn close(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
        a.iter().zip(b).all(|pair| match pair {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            (a, b) => a == b,
        })
    }

    #[test]
    fn a_label_without_positives_is_left_out_of_the_means_and_says_why() {
        let labels = [true, false, false, false, false, true, true, false, true, false, false, false];
        let scores = [0.9, 0.1, 0.2, 0.1, 0.6, 0.7, 0.3, 0.1, 0.8, 0.4, 0.2, 0.2];
        let report = report(&labels, &scores, &names(), 1);
        assert_eq!(report.parts.iter().map(|part| part.n).collect::<Vec<_>>(), [Some(2), Some(0), Some(2)]);
        assert_eq!(report.get("macro_auroc").unwrap().value, (0.75 + 1.0) / 2.0);
        assert_eq!(report.get("accuracy_at_half").unwrap().value, 10.0 / 12.0);
        assert_eq!(report.reason_in_class("b", "auroc"), Some("it has no positives or no negatives"));
        assert_eq!(report.reason_in_class("b", "f1_at_half"), Some("it has no positives"));
        assert_eq!(report.parts[1].get("accuracy_at_half").unwrap().value, 0.75);
        assert!(report.n_positive.is_none() && report.confusion.is_none());
    }

    #[test]
    fn no_positives_at_all_leave_the_means_undefined() {
        let report = report(&[false; 6], &[0.1; 6], &names(), 1);
        assert_eq!(report.reason("macro_auroc"), Some("no label has both positives and negatives"));
        assert_eq!(report.reason("macro_f1_at_half"), Some("no label has positives"));
        assert_eq!(report.get("accuracy_at_half").unwrap().value, 1.0);
    }

    proptest! {
        // Each case makes three whole reports with their intervals.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn each_label_is_a_yes_no_question_of_its_own(examples in examples()) {
            let found = values(&examples);
            let mut each = Vec::new();
            for label in 0..K {
                let (positive, scores): (Vec<bool>, Vec<f64>) = examples.iter().map(|row| row[label]).unzip();
                let report = Ranking::new(&positive, &scores)
                    .report(0.5, &Resampling { blocks: &Blocks::each(positive.len()), seed: 1 });
                each.extend(OF_A_LABEL.map(|name| report.get(name).map(|estimate| estimate.value)));
            }
            prop_assert!(close(&found[OVERALL.len()..], &each), "{:?} {:?}", found, each);
            for (metric, found) in found[..OVERALL.len()].iter().enumerate() {
                let mean = mean_of_defined(each.iter().skip(metric).step_by(OF_A_LABEL.len()).copied());
                prop_assert!(close(&[*found], &[mean]));
            }
            let (labels, scores) = apart(&examples);
            prop_assert_eq!(macro_auroc(&labels, &scores, K), found[0]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_missing_label_counts_for_nothing(examples in examples(), missing: u64) {
            let is_missing = |i: usize, label: usize| missing >> ((i * K + label) % 64) & 1 == 1;
            let (labels, scores) = apart(&examples);
            let masked: Vec<Option<bool>> =
                labels.iter().enumerate().map(|(cell, &label)| (!is_missing(cell / K, cell % K)).then_some(label)).collect();
            let found = Examples::new(&masked, &scores, K).values(&vec![1; examples.len()]);
            for label in 0..K {
                let there: Vec<[(bool, f64); 1]> = (0..examples.len())
                    .filter(|&i| !is_missing(i, label))
                    .map(|i| [examples[i][label]])
                    .collect();
                let (positive, scores): (Vec<bool>, Vec<f64>) = there.iter().flatten().copied().unzip();
                let alone = Examples::new(&positive, &scores, 1).values(&vec![1; there.len()]);
                let at = OVERALL.len() + label * OF_A_LABEL.len();
                prop_assert!(close(&found[at..at + OF_A_LABEL.len()], &alone[OVERALL.len()..]));
            }
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_examples_does_not_matter(
            (examples, shuffled) in examples().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        ) {
            prop_assert!(close(&values(&examples), &values(&shuffled)));
        }

        #[test]
        fn a_weight_counts_an_example_that_many_times(examples in examples(), first in 0u32..4) {
            let weights: Vec<u32> = (0..examples.len() as u32).map(|i| (first + i * i) % 4).collect();
            let repeated: Vec<_> =
                examples.iter().zip(&weights).flat_map(|(example, &weight)| vec![*example; weight as usize]).collect();
            let (labels, scores) = apart(&examples);
            prop_assert!(close(&Examples::new(&labels, &scores, K).values(&weights), &values(&repeated)));
        }
    }
}
