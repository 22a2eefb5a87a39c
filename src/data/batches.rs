//! A prefetching loader: a thread gathers the next shuffled batches of codes while the network learns from this one.

use std::sync::mpsc;
use std::thread::Scope;

use rand::RngExt;
use rand::seq::SliceRandom;

use super::{Examples, alphabet};
use crate::random::{self, Purpose};

/// Batches gathered ahead. Gathering takes microseconds and a step milliseconds, so two hide every hiccup.
const AHEAD: usize = 2;

/// Codes and targets of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, length]`
    pub codes: Vec<u8>,
    /// 1 for the positive class and 0 for the other, `[n]`.
    pub targets: Vec<f32>,
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
    positive: usize,
    order: Order,
) -> mpsc::IntoIter<Batch> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    scope.spawn(move || {
        let Order { batch_size, either_strand, seed, epoch } = order;
        let mut indices: Vec<usize> = (0..examples.len()).collect();
        indices.shuffle(&mut random::generator(seed, Purpose::Shuffle, epoch as u64, 0));
        let mut strands = random::generator(seed, Purpose::Augment, epoch as u64, 0);
        for indices in indices.chunks(batch_size) {
            let mut codes = Vec::with_capacity(indices.len() * examples.length);
            for &i in indices {
                let start = codes.len();
                codes.extend_from_slice(examples.sequence(i));
                if either_strand && strands.random::<bool>() {
                    alphabet::reverse_complement(&mut codes[start..]);
                }
            }
            let targets =
                indices.iter().map(|&i| f32::from(u8::from(usize::from(examples.labels[i]) == positive))).collect();
            if sender.send(Batch { codes, targets }).is_err() {
                return; // training stopped early
            }
        }
    });
    receiver.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Origin;

    fn epoch(examples: &Examples, epoch: usize, either_strand: bool) -> Vec<Batch> {
        let order = Order { batch_size: 32, either_strand, seed: 7, epoch };
        std::thread::scope(|scope| shuffled(scope, examples, 1, order).collect())
    }

    fn examples(codes: Vec<u8>, length: usize) -> Examples {
        let n = codes.len() / length;
        let origin = Origin::Line { table: "t".into(), line: 0 };
        Examples { codes, labels: (0..n).map(|i| (i % 2) as u8).collect(), origins: vec![origin; n], length }
    }

    #[test]
    fn every_example_comes_once_an_epoch_in_an_order_of_its_own() {
        let examples = examples((0..100u8).flat_map(|i| [i, i]).collect(), 2);
        let batches = epoch(&examples, 1, false);
        assert_eq!(batches.iter().map(|batch| batch.targets.len()).collect::<Vec<_>>(), [32, 32, 32, 4]);
        let mut seen: Vec<u8> = Vec::new();
        for batch in &batches {
            for (codes, target) in batch.codes.chunks(2).zip(&batch.targets) {
                assert_eq!((codes[0], f32::from(codes[0] % 2)), (codes[1], *target));
                seen.push(codes[0]);
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
