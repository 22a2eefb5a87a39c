//! Metrics of multiclass tasks: of the class with the highest probability, and of each class against the rest.

use rayon::prelude::*;

use crate::metrics::bootstrap::{Resampling, bootstrap};
use crate::metrics::closed_form::wilson;
use crate::metrics::ranking::OneOfSeveral;
use crate::metrics::{ClassReport, NoInterval, Report, bounds, loss, mean_of_defined, named, replace};

const OVERALL: [&str; 7] =
    ["macro_auroc", "macro_average_precision", "accuracy", "balanced_accuracy", "mcc", "macro_f1", "log_loss"];
const OF_A_CLASS: [&str; 5] = ["auroc", "average_precision", "precision", "recall", "f1"];

/// Precomputed properties of the examples, shared by all resamples.
struct Examples<'a> {
    labels: &'a [usize],
    /// Index of the most probable class, the first of equals.
    predicted: Vec<usize>,
    log_loss: Vec<f64>,
    classes: Vec<OneOfSeveral>,
}

/// Number of examples of a class, predicted as it, and both.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    present: u64,
    predicted: u64,
    right: u64,
}

/// Every metric with its interval, from classes `[n]` and probabilities `[n, K]`, row by row, for the K classes of
/// `names`. The same seed gives the same intervals, however many threads work.
///
/// The macro metrics are means over the classes for which they are defined: areas need a class and its rest, recall a
/// class that is present, F1 one that is present or predicted.
///
/// # Panics
/// If there is not one probability for each example and class, a class is not among the names or a probability is not a
/// number; callers check all three at the network's border.
pub fn report(labels: &[usize], scores: &[f64], names: &[String], resampling: &Resampling) -> Report {
    let (n, k) = (labels.len(), names.len());
    let examples = Examples::new(labels, scores, k);
    let confusion = examples.confusion();
    let bounds_of = |metric| bounds(name_of(metric));
    let mut estimates = bootstrap(resampling, k, bounds_of, |weights| examples.values(weights)).into_iter();
    let blocks = resampling.blocks;
    let too_few: Vec<Option<NoInterval>> =
        (0..k).map(|class| blocks.too_few_of(|example| labels[example] == class)).collect();
    // The rest of a class is too small as well where all but a few are of the class.
    let too_few_of_rest = |class: usize| blocks.too_few_of(|example| labels[example] != class);
    let of_any = (0..k).filter(|&class| confusion[class].iter().sum::<usize>() > 0).find_map(|class| too_few[class]);
    let mut metrics = named(OVERALL, &mut estimates, |name| match name {
        "accuracy" | "log_loss" => None,
        _ => of_any,
    });
    let right = |class: usize| confusion[class][class] as u64;
    let mut parts: Vec<ClassReport> = names
        .iter()
        .enumerate()
        .map(|(class, name)| ClassReport {
            name: name.clone(),
            n: Some(confusion[class].iter().sum()),
            metrics: named(OF_A_CLASS, &mut estimates, |_| too_few[class].or_else(|| too_few_of_rest(class))),
        })
        .collect();
    if blocks.are_examples() {
        replace(&mut metrics, "accuracy", (n > 0).then(|| wilson((0..k).map(right).sum(), n as u64)));
        for (class, part) in parts.iter_mut().enumerate() {
            let called: usize = confusion.iter().map(|row| row[class]).sum();
            let share = |of: usize| (of > 0).then(|| wilson(right(class), of as u64));
            replace(&mut part.metrics, "auroc", examples.classes[class].auroc_interval());
            replace(&mut part.metrics, "precision", share(called));
            replace(&mut part.metrics, "recall", share(part.n.unwrap_or(0)));
        }
    }
    Report {
        n,
        n_positive: None,
        threshold: None,
        blocks: blocks.summary(),
        metrics,
        parts,
        confusion: Some(confusion),
    }
}

/// The name of a metric by its place among all values.
fn name_of(place: usize) -> &'static str {
    OVERALL.get(place).copied().unwrap_or_else(|| OF_A_CLASS[(place - OVERALL.len()) % OF_A_CLASS.len()])
}

/// Mean AUROC of each of `k` classes against the rest, over the classes for which it is defined.
///
/// # Panics
/// As [`report`].
pub fn macro_auroc(labels: &[usize], scores: &[f64], k: usize) -> Option<f64> {
    let once = vec![1; labels.len()];
    mean_of_defined(against_the_rest(labels, scores, k).iter().map(|class| class.areas(&once).auroc()))
}

pub(super) fn against_the_rest(labels: &[usize], scores: &[f64], k: usize) -> Vec<OneOfSeveral> {
    assert_eq!(labels.len() * k, scores.len(), "one score for each example and class");
    assert!(labels.iter().all(|&label| label < k), "labels are classes");
    assert!(scores.iter().all(|score| !score.is_nan()), "scores are numbers");
    (0..k)
        .into_par_iter()
        .map(|class| OneOfSeveral::new(scores, k, class, |example| Some(labels[example] == class)))
        .collect()
}

/// The class of the highest score, the first of equals.
pub fn highest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

impl<'a> Examples<'a> {
    fn new(labels: &'a [usize], scores: &[f64], k: usize) -> Self {
        let classes = against_the_rest(labels, scores, k);
        let rows = || scores.chunks_exact(k.max(1));
        Self {
            labels,
            predicted: rows().map(highest).collect(),
            log_loss: rows().zip(labels).map(|(row, &label)| loss(row[label])).collect(),
            classes,
        }
    }

    fn confusion(&self) -> Vec<Vec<usize>> {
        let mut confusion = vec![vec![0; self.classes.len()]; self.classes.len()];
        for (&label, &predicted) in self.labels.iter().zip(&self.predicted) {
            confusion[label][predicted] += 1;
        }
        confusion
    }

    /// The overall metrics followed by those of each class, with each example counted `weights` times.
    fn values(&self, weights: &[u32]) -> Vec<Option<f64>> {
        let mut counts = vec![Counts::default(); self.classes.len()];
        let mut log_loss = 0.0;
        for (example, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            let (label, predicted) = (self.labels[example], self.predicted[example]);
            counts[label].present += u64::from(weight);
            counts[predicted].predicted += u64::from(weight);
            if label == predicted {
                counts[label].right += u64::from(weight);
            }
            log_loss += f64::from(weight) * self.log_loss[example];
        }
        let areas: Vec<_> = self.classes.iter().map(|class| class.areas(weights)).collect();
        let n: u64 = counts.iter().map(|class| class.present).sum();
        let right: u64 = counts.iter().map(|class| class.right).sum();
        let several = counts.iter().filter(|class| class.present > 0).count() > 1;
        let mut values = vec![
            mean_of_defined(areas.iter().map(|class| class.auroc())),
            mean_of_defined(areas.iter().map(|class| class.average_precision())),
            share(right, n),
            mean_of_defined(counts.iter().map(Counts::recall)).filter(|_| several),
            several.then(|| mcc(&counts)),
            mean_of_defined(counts.iter().map(Counts::f1)),
            (n > 0).then(|| log_loss / n as f64),
        ];
        for (areas, counts) in areas.iter().zip(&counts) {
            values.extend([areas.auroc(), areas.average_precision(), counts.precision(), counts.recall(), counts.f1()]);
        }
        values
    }
}

impl Counts {
    fn precision(&self) -> Option<f64> {
        share(self.right, self.predicted)
    }

    fn recall(&self) -> Option<f64> {
        share(self.right, self.present)
    }

    fn f1(&self) -> Option<f64> {
        share(2 * self.right, self.present + self.predicted)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Matthews correlation for several classes (Gorodkin, 2004). As with two, 0 by convention if all predictions are the
/// same.
fn mcc(counts: &[Counts]) -> f64 {
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(|class| of(class) as f64).sum::<f64>();
    let product = |a: fn(&Counts) -> u64, b: fn(&Counts) -> u64| {
        counts.iter().map(|class| a(class) as f64 * b(class) as f64).sum::<f64>()
    };
    let (n, right) = (sum(|class| class.present), sum(|class| class.right));
    let spread_present = n * n - product(|class| class.present, |class| class.present);
    let spread_predicted = n * n - product(|class| class.predicted, |class| class.predicted);
    if spread_present <= 0.0 || spread_predicted <= 0.0 {
        return 0.0;
    }
    let together = right * n - product(|class| class.present, |class| class.predicted);
    together / (spread_present.sqrt() * spread_predicted.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Blocks, Ranking};
    use proptest::prelude::*;

    const K: usize = 3;

    fn report(labels: &[usize], scores: &[f64], names: &[String], seed: u64) -> Report {
        let blocks = Blocks::each(labels.len());
        super::report(labels, scores, names, &Resampling { blocks: &blocks, seed })
    }

    fn names(k: usize) -> Vec<String> {
        (0..k).map(|class| format!("class{class}")).collect()
    }

    /// Classes and probabilities with ties among them.
    fn examples() -> impl Strategy<Value = Vec<(usize, [f64; K])>> {
        let row = [0u8..6, 0u8..6, 1u8..6].prop_map(|row| {
            let sum: u8 = row.iter().sum();
            row.map(|score| f64::from(score) / f64::from(sum))
        });
        prop::collection::vec((0..K, row), 0..40)
    }

    fn apart(examples: &[(usize, [f64; K])]) -> (Vec<usize>, Vec<f64>) {
        (examples.iter().map(|(label, _)| *label).collect(), examples.iter().flat_map(|(_, row)| *row).collect())
    }

    fn values(examples: &[(usize, [f64; K])]) -> Vec<Option<f64>> {
        let (labels, scores) = apart(examples);
        Examples::new(&labels, &scores, K).values(&vec![1; labels.len()])
    }

    fn close(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
        a.iter().zip(b).all(|pair| match pair {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            (a, b) => a == b,
        })
    }

    #[test]
    fn two_classes_agree_with_the_yes_no_metrics() {
        let positive: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.618).fract()).collect();
        let labels: Vec<usize> = (0..200).map(|i| usize::from((i as f64 * 0.7548).fract() < positive[i])).collect();
        let scores: Vec<f64> = positive.iter().flat_map(|&score| [1.0 - score, score]).collect();
        let several = report(&labels, &scores, &names(2), 1);
        let is_positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        let single = Ranking::new(&is_positive, &positive)
            .report(0.5, &Resampling { blocks: &Blocks::each(positive.len()), seed: 1 });
        let same = |a: Option<crate::metrics::Estimate>, name: &str| {
            assert!((a.unwrap().value - single.get(name).unwrap().value).abs() < 1e-9, "{name}");
        };
        for name in ["accuracy", "balanced_accuracy", "mcc", "log_loss"] {
            same(several.get(name), name);
        }
        same(several.get("macro_auroc"), "auroc");
        for name in ["auroc", "average_precision", "f1"] {
            same(several.parts[1].get(name), name);
        }
        assert_eq!(several.parts[1].n, single.n_positive);
    }

    #[test]
    fn the_first_of_equal_probabilities_is_called() {
        let report = report(&[0, 1, 2], &[0.4, 0.4, 0.2, 0.4, 0.4, 0.2, 0.2, 0.4, 0.4], &names(3), 1);
        assert_eq!(report.confusion, Some(vec![vec![1, 0, 0], vec![1, 0, 0], vec![0, 1, 0]]));
    }

    #[test]
    fn one_class_leaves_undefined_what_needs_two() {
        let report = report(&[1; 4], &[0.2, 0.8].repeat(4), &names(2), 1);
        for name in ["macro_auroc", "macro_average_precision", "balanced_accuracy", "mcc"] {
            assert_eq!(report.reason(name), Some("only one class is present"), "{name}");
        }
        assert_eq!(report.get("accuracy").unwrap().value, 1.0);
        assert_eq!(report.get("macro_f1").unwrap().value, 1.0);
    }

    #[test]
    fn an_absent_class_is_left_out_of_the_means_and_says_why() {
        let report = report(&[0, 0, 1, 1], &[0.7, 0.2, 0.1, 0.6, 0.3, 0.1, 0.2, 0.7, 0.1, 0.9, 0.1, 0.0], &names(3), 1);
        assert_eq!(report.get("macro_auroc").unwrap().value, 0.5);
        assert_eq!(report.get("balanced_accuracy").unwrap().value, 0.75);
        assert_eq!(report.parts[2].n, Some(0));
        let reason = |name| report.reason_in_class("class2", name).unwrap();
        assert_eq!(reason("auroc"), "it has no positives or no negatives");
        assert_eq!(reason("precision"), "it is never predicted");
        assert_eq!(reason("recall"), "it has no examples");
        assert_eq!(reason("f1"), "it has no examples and is never predicted");
    }

    #[test]
    fn a_constant_call_has_no_correlation() {
        let report = report(&[0, 1, 2], &[0.5, 0.3, 0.2].repeat(3), &names(3), 1);
        assert_eq!(report.get("mcc").unwrap().value, 0.0);
        assert_eq!(report.get("macro_auroc").unwrap().value, 0.5);
    }

    proptest! {
        #[test]
        fn macro_auroc_is_the_mean_share_of_pairs_in_the_right_order(examples in examples()) {
            let mut defined = Vec::new();
            for class in 0..K {
                let (mut won, mut pairs) = (0.0, 0.0);
                for (_, of_class) in examples.iter().filter(|(label, _)| *label == class) {
                    for (_, of_rest) in examples.iter().filter(|(label, _)| *label != class) {
                        let (a, b) = (of_class[class], of_rest[class]);
                        pairs += 1.0;
                        won += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
                    }
                }
                if pairs > 0.0 {
                    defined.push(won / pairs);
                }
            }
            let (labels, scores) = apart(&examples);
            match macro_auroc(&labels, &scores, K) {
                Some(auroc) => prop_assert!((auroc - defined.iter().sum::<f64>() / defined.len() as f64).abs() < 1e-12),
                None => prop_assert!(defined.is_empty()),
            }
        }

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

        #[test]
        fn the_confusion_holds_every_example_once(examples in examples()) {
            let (labels, scores) = apart(&examples);
            let confusion = Examples::new(&labels, &scores, K).confusion();
            prop_assert_eq!(confusion.iter().flatten().sum::<usize>(), labels.len());
            for (class, row) in confusion.iter().enumerate() {
                prop_assert_eq!(row.iter().sum::<usize>(), labels.iter().filter(|&&label| label == class).count());
            }
        }
    }
}
