//! A prefetching loader: a thread gathers the next shuffled batches of codes while the network trains on the current
//! one.

use std::ops::Range;
use std::sync::mpsc;
use std::thread::Scope;

use anyhow::Result;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::dataset::examples::Examples;
use crate::random::{self, Generator, Purpose};
use crate::sequence::alphabet::{self, UNKNOWN};
use crate::sequence::profile::reverse_stretches;

/// Loads of batches in flight besides the one being gathered: one in use by training, one waiting.
pub const AHEAD: usize = 2;
/// Small batches are handed over several at a time, because waking a thread may take as long as training on one of
/// them.
const LOAD_BYTES: usize = 1 << 18;

/// Batches of a load.
fn load(batch_size: usize, length: usize) -> usize {
    (LOAD_BYTES / batch_size.saturating_mul(length).max(1)).max(1)
}

/// Codes and labels of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, length]`
    pub codes: Vec<u8>,
    /// `[n, width]`, `[n, width, bins]`, or profiles
    pub labels: Vec<f32>,
    /// Number of examples.
    pub n: usize,
}

/// Order and augmentation of the examples in one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Examples per batch; the last batch of an epoch may hold fewer.
    pub batch_size: usize,
    /// Random changes made to each example.
    pub augmentation: Augmentation,
    /// Seed of the order and of the augmentation.
    pub seed: u64,
    /// Counted from 1.
    pub epoch: usize,
    /// Which part of each batch is wanted.
    pub share: Share,
}

/// The part of a whole that one of several processes takes, all alike: all of it where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Of the process, counted from 0.
    pub rank: usize,
    /// Processes.
    pub of: usize,
}

impl Share {
    /// All there is.
    pub const ALL: Self = Self { rank: 0, of: 1 };

    /// Whether a part with this number is the process's own, where whole parts are dealt out in turn.
    pub fn takes(self, number: usize) -> bool {
        number % self.of == self.rank
    }
}

/// Data augmentation: random changes to each training example, drawn anew each epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Augmentation {
    /// Take the reverse complement with probability one half.
    pub either_strand: bool,
    /// Shift by up to this many bp in either direction; uncovered positions become unknown bases.
    pub shift: usize,
    /// Probability that a known base is replaced by one of the other three.
    pub mutate: f64,
}

impl Augmentation {
    /// Draws what is changed of an example whatever its sequence: whether it is reverse-complemented, and its shift.
    fn draw(&self, random: &mut Generator) -> (bool, i64) {
        let reversed = self.either_strand && random.random::<bool>();
        let shift = if self.shift > 0 { random.random_range(-(self.shift as i64)..=self.shift as i64) } else { 0 };
        (reversed, shift)
    }

    /// Changes an example; returns whether it is reverse-complemented.
    fn change(&self, codes: &mut [u8], random: &mut Generator) -> bool {
        let (reversed, shift) = self.draw(random);
        if reversed {
            alphabet::reverse_complement(codes);
        }
        if self.shift > 0 {
            let by = (shift.unsigned_abs() as usize).min(codes.len());
            if shift > 0 {
                codes.rotate_right(by);
                codes[..by].fill(UNKNOWN);
            } else {
                codes.rotate_left(by);
                let end = codes.len() - by;
                codes[end..].fill(UNKNOWN);
            }
        }
        if self.mutate > 0.0 {
            for code in codes.iter_mut().filter(|code| **code != UNKNOWN) {
                if random.random_bool(self.mutate) {
                    *code = (*code + random.random_range(1..4u8)) % 4;
                }
            }
        }
        reversed
    }
}

impl Order {
    /// Where the process's own part of batch `number`, counted from 0, stands in the epoch's order of `n` examples; it may be empty.
    pub fn part(self, number: usize, n: usize) -> Range<usize> {
        self.part_of(self.share.rank, number, n)
    }

    /// The same of the process of any rank.
    pub fn part_of(self, rank: usize, number: usize, n: usize) -> Range<usize> {
        let (batch, size) = (self.batch(number, n), self.batch_size.div_ceil(self.share.of));
        let at = |rank: usize| (batch.start + rank * size).min(batch.end);
        at(rank)..at(rank + 1)
    }

    /// Where all of batch `number` stands.
    pub fn batch(self, number: usize, n: usize) -> Range<usize> {
        let first = (number * self.batch_size).min(n);
        first..(first + self.batch_size).min(n)
    }

    /// The order in which an epoch goes through `n` examples, keyed by (seed, epoch).
    pub fn indices(self, n: usize) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..n).collect();
        indices.shuffle(&mut random::generator(self.seed, Purpose::Shuffle, self.epoch as u64, 0));
        indices
    }

    /// Whether each of `n` examples, in the epoch's order, is reverse-complemented, `[n]`; `None` if augmentation also
    /// shifts or mutates.
    pub fn reversed(self, n: usize) -> Option<Vec<bool>> {
        let Augmentation { either_strand, shift, mutate } = self.augmentation;
        if shift > 0 || mutate > 0.0 {
            return None;
        }
        let mut random = self.changes();
        Some((0..n).map(|_| either_strand && random.random::<bool>()).collect())
    }

    /// Generator of an epoch's augmentation, consumed example by example.
    fn changes(self) -> Generator {
        random::generator(self.seed, Purpose::Augment, self.epoch as u64, 0)
    }
}

/// All examples once, in an order keyed by (seed, epoch), or of each batch the process's own part. The last batch may be smaller, and such
/// a part empty.
pub fn shuffled<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    examples: &'env Examples,
    order: Order,
) -> impl Iterator<Item = Result<Batch>> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD - 1);
    scope.spawn(move || {
        let Order { batch_size, augmentation, .. } = order;
        let indices = order.indices(examples.len());
        let mut random = order.changes();
        let mirrored = examples.mirrored_targets();
        let mut passed = 0;
        let mut gather = |place: Range<usize>| {
            let mut codes = Vec::with_capacity(place.len() * examples.length);
            let mut labels = Vec::with_capacity(place.len() * examples.width);
            // What other processes take is drawn too, so that each example is changed alike whoever has it. Only mutations depend
            // on the sequence.
            for &i in &indices[passed..place.start] {
                if augmentation.mutate > 0.0 {
                    examples.read(i..i + 1, &mut codes)?;
                    augmentation.change(&mut codes, &mut random);
                    codes.clear();
                } else {
                    augmentation.draw(&mut random);
                }
            }
            for &i in &indices[place.clone()] {
                let start = codes.len();
                examples.read(i..i + 1, &mut codes)?;
                let reversed = augmentation.change(&mut codes[start..], &mut random);
                let first = labels.len();
                labels.extend_from_slice(examples.targets_of(i));
                if reversed {
                    reverse_stretches(&mut labels[first..], &mirrored);
                }
            }
            passed = place.end;
            Ok(Batch { codes, labels, n: place.len() })
        };
        let numbers: Vec<usize> = (0..indices.len().div_ceil(batch_size)).collect();
        for numbers in numbers.chunks(load(batch_size, examples.length)) {
            let mut batches = Vec::new();
            for &number in numbers {
                let batch = gather(order.part(number, indices.len()));
                let failed = batch.is_err();
                batches.push(batch);
                if failed {
                    break;
                }
            }
            let failed = batches.last().is_some_and(Result::is_err);
            if sender.send(batches).is_err() || failed {
                return; // training stopped early
            }
        }
    });
    receiver.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(examples: &Examples, epoch: usize, augmentation: Augmentation) -> Vec<Batch> {
        let order = Order { batch_size: 32, augmentation, seed: 7, epoch, share: Share::ALL };
        std::thread::scope(|scope| shuffled(scope, examples, order).map(Result::unwrap).collect())
    }

    fn examples(codes: Vec<u8>, length: usize) -> Examples {
        let labels: Vec<f32> = (0..codes.len() / length).map(|i| (i % 2) as f32).collect();
        Examples::from_codes(&codes, length, &labels)
    }

    #[test]
    fn every_example_comes_once_an_epoch_in_an_order_of_its_own() {
        // Every example spells its number in four codes.
        let spelled = |i: u8| [i / 64, i / 16 % 4, i / 4 % 4, i % 4];
        let examples = examples((0..100).flat_map(spelled).collect(), 4);
        let batches = epoch(&examples, 1, Augmentation::default());
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
        assert_eq!(epoch(&examples, 1, Augmentation::default()), batches);
        assert_ne!(epoch(&examples, 2, Augmentation::default()), batches);
    }

    #[test]
    fn about_half_of_the_examples_are_reversed_and_others_each_epoch() {
        let examples = examples([0, 1, 2, 4].repeat(400), 4);
        let reversed = |number| -> Vec<bool> {
            let batches = epoch(&examples, number, Augmentation { either_strand: true, ..Augmentation::default() });
            let codes = batches.iter().flat_map(|batch| batch.codes.chunks(4));
            codes
                .map(|codes| match codes {
                    [0, 1, 2, 4] => false,
                    [4, 1, 2, 3] => true,
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        let first = reversed(1);
        assert!((150..250).contains(&first.iter().filter(|&&reversed| reversed).count()));
        assert_eq!(first, reversed(1));
        assert_ne!(first, reversed(2));
    }

    #[test]
    fn shifts_move_the_sequence_and_uncover_unknown_bases() {
        let examples = examples([0, 1, 2, 3, 0].repeat(400), 5);
        let shifted = epoch(&examples, 1, Augmentation { shift: 2, ..Augmentation::default() });
        let forms: [[u8; 5]; 5] = [[0, 1, 2, 3, 0], [4, 0, 1, 2, 3], [4, 4, 0, 1, 2], [1, 2, 3, 0, 4], [2, 3, 0, 4, 4]];
        let mut counts = [0; 5];
        for codes in shifted.iter().flat_map(|batch| batch.codes.chunks(5)) {
            counts[forms.iter().position(|form| form == codes).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (50..110).contains(count)), "{counts:?}");
        // A shift longer than the sequence leaves nothing, and no panic.
        epoch(&examples, 1, Augmentation { shift: 50, ..Augmentation::default() });
    }

    #[test]
    fn mutations_replace_the_share_asked_for_and_never_unknown_bases() {
        let examples = examples([0, 1, 2, 4].repeat(2500), 4);
        let mutated = epoch(&examples, 1, Augmentation { mutate: 0.1, ..Augmentation::default() });
        let (mut changed, mut seen) = (0, [[0; 5]; 5]);
        for codes in mutated.iter().flat_map(|batch| batch.codes.chunks(4)) {
            for (&code, original) in codes.iter().zip([0u8, 1, 2, 4]) {
                seen[original as usize][code as usize] += 1;
                changed += u32::from(code != original);
            }
        }
        assert!((650..850).contains(&changed), "{changed} of 7500");
        assert!(seen[4][..4] == [0; 4] && (0..3).all(|from| seen[from][4] == 0));
        assert!((0..3).all(|from| (0..4).all(|to| seen[from][to] > 40)), "{seen:?}");
    }

    #[test]
    fn the_parts_of_all_processes_are_the_batches_whoever_takes_them() {
        let examples = examples((0..50 * 6).map(|i: usize| (i * i % 11 % 5) as u8).collect(), 6);
        for augmentation in [
            Augmentation { either_strand: true, ..Augmentation::default() },
            Augmentation { either_strand: true, shift: 2, ..Augmentation::default() },
            Augmentation { either_strand: true, shift: 1, mutate: 0.3 },
        ] {
            for (batch_size, of) in [(16, 1), (16, 2), (16, 4), (9, 3), (64, 4), (4, 4)] {
                let of_rank = |rank, of| -> Vec<Batch> {
                    let order = Order { batch_size, augmentation, seed: 7, epoch: 3, share: Share { rank, of } };
                    std::thread::scope(|scope| shuffled(scope, &examples, order).map(Result::unwrap).collect())
                };
                let (whole, parts) = (of_rank(0, 1), (0..of).map(|rank| of_rank(rank, of)).collect::<Vec<_>>());
                for (number, whole) in whole.into_iter().enumerate() {
                    let mut joined = Batch { codes: vec![], labels: vec![], n: 0 };
                    for part in parts.iter().map(|parts| &parts[number]) {
                        assert!(part.n <= batch_size / of);
                        joined.codes.extend(&part.codes);
                        joined.labels.extend(&part.labels);
                        joined.n += part.n;
                    }
                    assert_eq!(joined, whole, "{batch_size} in {of} parts: {number}");
                }
            }
        }
    }
}
