//! Baselines for a network: k-mer counts, gapped k-mer counts and GC content alone, fitted on the same training examples
//! and evaluated on the same test examples.

use std::borrow::Cow;

use anyhow::Result;

use crate::baselines::{self, Features, Fitted, Link, Sequences};
use crate::config::{Loss, Strands, TaskKind};
use crate::dataset::Dataset;
use crate::dataset::examples::Examples;
use crate::evaluate::difference::Difference;
use crate::evaluate::{self, Evaluation};
use crate::format::thousands;
use crate::metrics::{Report, Resampling};
use crate::progress::Progress;
use crate::task::Task;

/// The longest k for which most k-mers occur in a few thousand sequences.
const K: usize = 6;

/// Informative positions of gapped k-mers. Of 5, 6 and 7, in words of 8 to 11, six of ten have the lowest validation loss
/// on tf_human_0 and tf_human_1 of GUE.
const INFORMATIVE: usize = 6;

/// Lengths of the words of gapped k-mers, the first that suits the data.
const GAPPED_LENGTHS: [usize; 4] = [10, 9, 8, 7];

/// Weights of words times outputs, at most: each takes eight bytes in each of about 30 vectors.
const MOST_WEIGHTS: usize = 1 << 21;

/// Bases of training sequences from which gapped k-mers are learned, at most: 128 MiB of word numbers.
const MOST_BASES: usize = 1 << 25;

/// Largest number of training examples for a baseline; more take minutes and change little.
const MOST_EXAMPLES: usize = 200_000;

/// A baseline with its metrics on the test split.
pub struct BaselineResult {
    /// `6-mers`, `gapped 6-mers` or `GC`.
    pub name: String,
    /// Description of the fitted model.
    pub description: String,
    /// Metrics on the test split.
    pub report: Report,
    /// Predictions for the validation split, `[n, outputs]`.
    pub valid: Vec<f64>,
    /// Predictions for the test split, `[n, outputs]`.
    pub test: Vec<f64>,
    /// The network's main metric minus this one's on the test split, once compared.
    pub difference: Option<Difference>,
}

impl BaselineResult {
    /// Compares the network with the baseline on the test split.
    pub fn compare(&mut self, network: &Evaluation) {
        let Evaluation { task, examples, predictions, resampling, .. } = network;
        self.difference = Some(Difference::of(task, examples, predictions, &self.test, resampling));
    }
}

/// Fits the baselines and evaluates them on the test split. They keep the strands apart where the network does. For
/// binary tasks the threshold is chosen on the validation split, as for a network.
///
/// # Errors
/// The examples cannot be read, or a fit fails.
pub fn evaluate(
    task: &Task,
    data: &Dataset,
    strands: Strands,
    resampling: &Resampling,
    progress: Progress,
) -> Result<Vec<BaselineResult>> {
    let link = match (task.kind, task.loss) {
        (TaskKind::Binary | TaskKind::Multilabel, _) => Link::Logistic,
        (TaskKind::Multiclass, _) => Link::Softmax,
        (TaskKind::Regression, Loss::Poisson) => Link::Log,
        (TaskKind::Regression | TaskKind::Profile, _) => Link::Identity,
    };
    let (train, step) = (data.train.len(), data.train.len().div_ceil(MOST_EXAMPLES).max(1));
    if step > 1 {
        progress.say(&format!("baselines learn from every {step}th of {} training examples", thousands(train)));
    }
    let (train_codes, train_targets) = gather(task, &data.train, step)?;
    let (valid_codes, valid_targets) = gather(task, &data.valid, 1)?;
    let (test_codes, _) = gather(task, &data.test, 1)?;
    let length = data.train.length;
    let both_strands = strands != Strands::Single;
    let mut kinds = vec![(format!("{K}-mers"), Features::Kmers { k: K, both_strands })];
    match gapped(train_codes.len(), task.outputs(), both_strands) {
        Some(features) => kinds.push((format!("gapped {INFORMATIVE}-mers"), features)),
        None => progress.say(&format!(
            "gapped {INFORMATIVE}-mers are left out of the baselines, as {} outputs would take too long",
            task.outputs()
        )),
    }
    kinds.push(("GC".into(), Features::Gc));
    let mut results = Vec::new();
    for (name, features) in kinds {
        let thinned = |codes, targets, which| {
            let most = if matches!(features, Features::Gapped { .. }) { MOST_BASES } else { usize::MAX };
            let (codes, targets, step) = thin(codes, targets, length, most);
            if step > 1 {
                progress.say(&format!("{name} learn from one in {step} of these {which} examples"));
            }
            (codes, targets)
        };
        let (codes, targets) = thinned(&train_codes, &train_targets, "training");
        let (valid, valid_targets) = thinned(&valid_codes, &valid_targets, "validation");
        let fitted: Fitted = baselines::fit(
            features,
            link,
            task.outputs(),
            (Sequences { codes: &codes, length }, &targets),
            (Sequences { codes: &valid, length }, &valid_targets),
        )?;
        let (valid, test) = (
            fitted.predict(&Sequences { codes: &valid_codes, length }),
            fitted.predict(&Sequences { codes: &test_codes, length }),
        );
        let threshold = evaluate::best_threshold(task, &data.valid, &valid);
        let report = evaluate::report(task, &data.classes, &data.test, &test, threshold, resampling);
        results.push(BaselineResult { name, description: fitted.describe(), report, valid, test, difference: None });
    }
    Ok(results)
}

/// The gapped k-mers for this many training bases and outputs: no more words than there are bases to learn them from, and
/// no more weights than can be fitted in tens of seconds.
fn gapped(bases: usize, outputs: usize, both_strands: bool) -> Option<Features> {
    let words = |length: usize| 1usize << (2 * length);
    let affordable = || GAPPED_LENGTHS.into_iter().filter(|&length| words(length) * outputs <= MOST_WEIGHTS);
    let length = affordable().find(|&length| words(length) <= bases).or_else(|| affordable().next_back())?;
    Some(Features::Gapped { length, informative: INFORMATIVE, both_strands })
}

/// Every so many-th sequence with its targets, so that there are at most `most` bases, and how many-th.
fn thin<'a>(codes: &'a [u8], targets: &'a [f32], length: usize, most: usize) -> (Cow<'a, [u8]>, Cow<'a, [f32]>, usize) {
    let step = codes.len().div_ceil(most).max(1);
    if step == 1 {
        return (codes.into(), targets.into(), 1);
    }
    let outputs = targets.len() / (codes.len() / length);
    let codes: Vec<u8> = codes.chunks_exact(length).step_by(step).flatten().copied().collect();
    let targets: Vec<f32> = targets.chunks_exact(outputs).step_by(step).flatten().copied().collect();
    (codes.into(), targets.into(), step)
}

/// Codes `[n, length]` and targets `[n, outputs]` of every `step`th example.
fn gather(task: &Task, examples: &Examples, step: usize) -> Result<(Vec<u8>, Vec<f32>)> {
    let (mut codes, mut targets) = (Vec::new(), Vec::new());
    for i in (0..examples.len()).step_by(step) {
        examples.read(i..i + 1, &mut codes)?;
        match task.kind {
            TaskKind::Binary => targets.push(f32::from(u8::from(examples.class_of(i) == task.positive))),
            TaskKind::Multiclass => {
                targets.extend((0..task.count).map(|class| f32::from(u8::from(class == examples.class_of(i)))));
            }
            TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
                targets.extend_from_slice(examples.labels_of(i))
            }
        }
    }
    Ok((codes, targets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_gapped_kmers_suit_the_data() {
        let length = |bases, outputs| match gapped(bases, outputs, true) {
            Some(Features::Gapped { length, informative: INFORMATIVE, both_strands: true }) => Some(length),
            None => None,
            other => panic!("{other:?}"),
        };
        for (bases, outputs, expected) in [
            (3_000_000, 1, Some(10)),
            (1 << 20, 1, Some(10)),
            ((1 << 20) - 1, 1, Some(9)),
            (1 << 18, 1, Some(9)),
            (100_000, 1, Some(8)),
            (20_000, 1, Some(7)),
            (10, 1, Some(7)),
            (0, 1, Some(7)),
            (3_000_000, 2, Some(10)),
            (3_000_000, 3, Some(9)),
            (3_000_000, 8, Some(9)),
            (3_000_000, 9, Some(8)),
            (3_000_000, 32, Some(8)),
            (3_000_000, 33, Some(7)),
            (3_000_000, 128, Some(7)),
            (3_000_000, 129, None),
            (10, 919, None),
        ] {
            assert_eq!(length(bases, outputs), expected, "{bases} bases, {outputs} outputs");
        }
    }

    #[test]
    fn thinned_examples_keep_their_targets() {
        let codes: Vec<u8> = (0..7u8).flat_map(|i| [i, i]).collect();
        let targets: Vec<f32> = (0..7u8).flat_map(|i| [f32::from(i), -f32::from(i)]).collect();
        let all = thin(&codes, &targets, 2, 14);
        assert_eq!((&all.0[..], &all.1[..], all.2), (&codes[..], &targets[..], 1));
        let third = thin(&codes, &targets, 2, 5);
        assert_eq!((&third.0[..], third.2), (&[0, 0, 3, 3, 6, 6][..], 3));
        assert_eq!(third.1[..], [0.0, 0.0, 3.0, -3.0, 6.0, -6.0]);
        assert_eq!(thin(&[], &[], 2, 5).2, 1);
    }
}
