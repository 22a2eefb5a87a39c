//! Test examples that say most about sequence never seen: those that are no repeats, and those without a near copy among
//! the training examples. Families of repeats stand on both sides of any split by chromosome.

use anyhow::Result;

use crate::config::TaskKind;
use crate::dataset::duplicates::{self, Entry};
use crate::dataset::examples::Examples;
use crate::dataset::similarity::{self, OfOneLength};
use crate::evaluate::breakdown::Group;
use crate::metrics::Report;

/// An example whose share of soft-masked bases is below this has no repeat: a twentieth, as in the breakdown by repeats.
pub const NO_REPEAT: f64 = 0.05;

/// Near copies are looked for among at most this many bases, which takes half a minute on two cores.
const MOST_BASES: usize = 100_000_000;

/// Metrics of the test examples that are unlike the training examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnlikeTraining {
    /// Without repeats; `None` where case tells nothing, or none or all are without.
    pub without_repeats: Option<Group>,
    /// Without near copies in training; `None` where there are none, or they were not looked for.
    pub without_near_copies: Option<Group>,
}

/// Metrics by name that such examples are given.
fn wanted(kind: TaskKind) -> &'static [&'static str] {
    match kind {
        TaskKind::Binary => &["auroc", "average_precision", "accuracy", "mcc", "mcc_at_half"],
        TaskKind::Multiclass => &["macro_auroc", "macro_average_precision", "accuracy", "mcc"],
        TaskKind::Multilabel => &["macro_auroc", "macro_average_precision", "accuracy_at_half"],
        TaskKind::Regression | TaskKind::Profile => &["pearson", "spearman", "r2", "rmse"],
    }
}

/// Which examples are without repeats; `None` where case tells nothing, or none or all are.
pub fn without_repeats(examples: &Examples) -> Option<Vec<usize>> {
    let masked: Vec<f64> = examples.origins.iter().map(|origin| f64::from(origin.masked)).collect();
    let case_tells = masked.iter().any(|&share| share > 0.0) && masked.iter().any(|&share| share < 1.0);
    let chosen: Vec<usize> = (0..masked.len()).filter(|&i| masked[i] < NO_REPEAT).collect();
    (case_tells && !chosen.is_empty() && chosen.len() < masked.len()).then_some(chosen)
}

/// Which test examples have no exact or near copy, on either strand, among the training examples; `None` where all have
/// none, or the search would take too long.
///
/// # Errors
/// The examples cannot be read.
pub fn without_near_copies(train: &Examples, test: &Examples) -> Result<Option<Vec<usize>>> {
    let in_memory = train.is_in_memory() && test.is_in_memory();
    if !in_memory || train.length != test.length || (train.len() + test.len()) * test.length > MOST_BASES {
        return Ok(None);
    }
    let mut codes = train.all_codes()?;
    test.read(0..test.len(), &mut codes)?;
    let split = |i: usize| if i < train.len() { 0 } else { 2 };
    let each = codes.chunks_exact(test.length.max(1)).enumerate();
    let entries: Vec<Entry> = each.map(|(i, codes)| Entry { codes, split: split(i), label: 0 }).collect();
    let mut has_copy = vec![false; test.len()];
    duplicates::find(&entries).leaks.iter().for_each(|found| has_copy[found.index - train.len()] = true);
    let chosen: Vec<usize> = (0..test.len()).filter(|&i| !has_copy[i]).collect();
    Ok((chosen.len() < test.len()).then_some(chosen))
}

/// How similar each test example is to the nearest training example, on either strand: the share of distinct 12-mers in common,
/// `[n]`; `None` where it would take too long to tell.
///
/// # Errors
/// The examples cannot be read.
pub fn similarity(train: &Examples, test: &Examples) -> Result<Option<Vec<f64>>> {
    let in_memory = train.is_in_memory() && test.is_in_memory();
    if !in_memory || train.is_empty() || (train.len() * train.length + test.len() * test.length) > MOST_BASES {
        return Ok(None);
    }
    let (of_train, of_test) = (train.all_codes()?, test.all_codes()?);
    let sequences = |codes, length| OfOneLength { codes, length };
    Ok(Some(similarity::nearest(&sequences(&of_test[..], test.length), &sequences(&of_train[..], train.length))))
}

/// The metrics of some of the examples. `report` takes examples and their predictions, of which there are `[n, outputs]`.
pub fn measure(
    name: &str,
    kind: TaskKind,
    (examples, predictions, outputs): (&Examples, &[f64], usize),
    chosen: &[usize],
    report: &dyn Fn(&Examples, &[f64]) -> Report,
) -> Group {
    let found: Vec<f64> = chosen.iter().flat_map(|&i| &predictions[i * outputs..(i + 1) * outputs]).copied().collect();
    let report = report(&examples.labels_at(chosen), &found);
    let metrics = report.metrics.into_iter().filter(|(name, _)| wanted(kind).contains(name)).collect();
    Group { name: name.into(), range: None, n: chosen.len(), metrics }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;
    use crate::dataset::examples::ExamplesWriter;
    use crate::random::{self, Purpose};
    use crate::sequence::alphabet::reverse_complement;

    const LENGTH: usize = 60;

    fn examples(sequences: &[Vec<u8>]) -> Examples {
        if sequences.is_empty() {
            return ExamplesWriter::new(LENGTH, 1, 0).finish().unwrap();
        }
        Examples::from_codes(&sequences.concat(), LENGTH, &vec![0.0; sequences.len()])
    }

    fn random_sequences(seed: u64, n: usize) -> Vec<Vec<u8>> {
        let mut random = random::generator(seed, Purpose::Simulate, 0, 0);
        (0..n).map(|_| (0..LENGTH).map(|_| random.random_range(0..4)).collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn copies_in_training_are_left_out_however_they_are_written(
            seed: u64,
            copies in prop::collection::vec((0..40usize, any::<bool>(), any::<bool>()), 1..8),
        ) {
            let (train, mut test) = (random_sequences(seed, 40), random_sequences(seed ^ 1, 12));
            for (place, &(of, reverse, substituted)) in copies.iter().enumerate() {
                test[place] = train[of].clone();
                if reverse {
                    reverse_complement(&mut test[place]);
                }
                if substituted {
                    test[place][LENGTH / 2] = (test[place][LENGTH / 2] + 1) % 4;
                }
            }
            let found = without_near_copies(&examples(&train), &examples(&test)).unwrap().unwrap();
            prop_assert_eq!(found, (copies.len()..12).collect::<Vec<_>>());
        }
    }

    #[test]
    fn where_there_is_nothing_to_tell_there_is_no_row() {
        let (train, test) = (examples(&random_sequences(1, 30)), examples(&random_sequences(2, 30)));
        assert_eq!(without_near_copies(&train, &test).unwrap(), None, "no copies");
        assert_eq!(without_near_copies(&test, &test).unwrap(), Some(Vec::new()), "all are copies");
        let empty = examples(&[]);
        assert_eq!(without_near_copies(&empty, &test).unwrap(), None);
        assert_eq!(without_near_copies(&train, &empty).unwrap(), None);
    }

    #[test]
    fn repeats_are_told_by_case_where_it_tells() {
        let of = |shares: &[f32]| {
            let mut examples = examples(&random_sequences(3, shares.len()));
            examples.origins.iter_mut().zip(shares).for_each(|(origin, &share)| origin.masked = share);
            without_repeats(&examples)
        };
        assert_eq!(of(&[0.0, 0.04, 0.05, 0.5, 1.0]), Some(vec![0, 1]));
        for none in [&[0.0, 0.0][..], &[1.0, 1.0], &[0.0, 0.04], &[0.3, 1.0], &[]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
