//! A prefetching loader: a thread gathers the next shuffled batches of codes while the network learns from this one.

use std::sync::mpsc;
use std::thread::Scope;

use anyhow::Result;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::alphabet;
use super::examples::Examples;
use crate::random::{self, Purpose};

/// Batches gathered ahead. Gathering takes microseconds and a step milliseconds, so two hide every hiccup.
const AHEAD: usize = 2;

/// Codes and labels of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, length]`
    pub codes: Vec<u8>,
    /// `[n, width]`
    pub labels: Vec<f32>,
    pub n: usize,
}

/// How an epoch goes through the examples.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub batch_size: usize,
    /// Turn each example into its reverse complement with probability one half, anew each epoch.
    pub either_strand: bool,
    pub seed: u64,
    /// Counted from 1.
    pub epoch: usize,
}

/// All examples once, in an order keyed by (seed, epoch). The last batch may be smaller.
pub fn shuffled<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    examples: &'env Examples,
    order: Order,
) -> mpsc::IntoIter<Result<Batch>> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    scope.spawn(move || {
        let Order { batch_size, either_strand, seed, epoch } = order;
        let mut indices: Vec<usize> = (0..examples.len()).collect();
        indices.shuffle(&mut random::generator(seed, Purpose::Shuffle, epoch as u64, 0));
        let mut strands = random::generator(seed, Purpose::Augment, epoch as u64, 0);
        for indices in indices.chunks(batch_size) {
            let mut codes = Vec::with_capacity(indices.len() * examples.length);
            let mut labels = Vec::with_capacity(indices.len() * examples.width);
            let read = indices.iter().try_for_each(|&i| {
                let start = codes.len();
                examples.read(i..i + 1, &mut codes)?;
                if either_strand && strands.random::<bool>() {
                    alphabet::reverse_complement(&mut codes[start..]);
                }
                labels.extend_from_slice(examples.labels_of(i));
                Ok(())
            });
            let failed = read.is_err();
            let batch = read.map(|()| Batch { codes, labels, n: indices.len() });
            if sender.send(batch).is_err() || failed {
                return; // training stopped early
            }
        }
    });
    receiver.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(examples: &Examples, epoch: usize, either_strand: bool) -> Vec<Batch> {
        let order = Order { batch_size: 32, either_strand, seed: 7, epoch };
        std::thread::scope(|scope| shuffled(scope, examples, order).map(Result::unwrap).collect())
    }

    fn examples(codes: Vec<u8>, length: usize) -> Examples {
        let labels: Vec<f32> = (0..codes.len() / length).map(|i| (i % 2) as f32).collect();
        Examples::of(&codes, length, &labels)
    }

    #[test]
    fn every_example_comes_once_an_epoch_in_an_order_of_its_own() {
        // Every example spells its number in four codes.
        let spelled = |i: u8| [i / 64, i / 16 % 4, i / 4 % 4, i % 4];
        let examples = examples((0..100).flat_map(spelled).collect(), 4);
        let batches = epoch(&examples, 1, false);
        assert_eq!(batches.iter().map(|batch| batch.n).collect::<Vec<_>>(), [32, 32, 32, 4]);
        let mut seen: Vec<u8> = Vec::new();
        for batch in &batches {
            for (codes, label) in batch.codes.chunks(4).zip(&batch.labels) {
                let number = codes.iter().fold(0, |number, code| number * 4 + code);
                assert_eq!(*label, f32::from(number % 2));
                seen.push(number);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<u8>>());
        assert_eq!(epoch(&examples, 1, false), batches);
        assert_ne!(epoch(&examples, 2, false), batches);
    }

    #[test]
    fn about_half_of_the_examples_are_turned_and_others_each_epoch() {
        let examples = examples([0, 1, 2, 4].repeat(400), 4);
        let turned = |number| -> Vec<bool> {
            let batches = epoch(&examples, number, true);
            let codes = batches.iter().flat_map(|batch| batch.codes.chunks(4));
            codes
                .map(|codes| match codes {
                    [0, 1, 2, 4] => false,
                    [4, 1, 2, 3] => true,
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        let first = turned(1);
        assert!((150..250).contains(&first.iter().filter(|&&turned| turned).count()));
        assert_eq!(first, turned(1));
        assert_ne!(first, turned(2));
    }
}
