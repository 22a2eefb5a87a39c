//! A prefetching loader: a thread gathers the next shuffled batches of codes while the network learns from this one.

use std::sync::mpsc;
use std::thread::Scope;

use rand::seq::SliceRandom;

use super::Examples;
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

/// All examples once, in an order keyed by (seed, epoch). The last batch may be smaller.
pub fn shuffled<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    examples: &'env Examples,
    positive: usize,
    batch_size: usize,
    seed: u64,
    epoch: usize,
) -> mpsc::IntoIter<Batch> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    scope.spawn(move || {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.shuffle(&mut random::generator(seed, Purpose::Shuffle, epoch as u64, 0));
        for indices in order.chunks(batch_size) {
            let mut codes = Vec::with_capacity(indices.len() * examples.length);
            for &i in indices {
                codes.extend_from_slice(examples.sequence(i));
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

    #[test]
    fn every_example_comes_once_an_epoch_in_an_order_of_its_own() {
        let examples = Examples {
            codes: (0..100u8).flat_map(|i| [i, i]).collect(),
            labels: (0..100u8).map(|i| i % 2).collect(),
            origins: vec![Origin::Line { table: "t".into(), line: 0 }; 100],
            length: 2,
        };
        let epoch =
            |epoch| -> Vec<Batch> { std::thread::scope(|scope| shuffled(scope, &examples, 1, 32, 7, epoch).collect()) };
        let batches = epoch(0);
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
        assert_eq!(epoch(0), batches);
        assert_ne!(epoch(1), batches);
    }
}
