//! Examples that depend on each other, drawn together when a metric is resampled: windows of one stretch of a
//! chromosome (block bootstrap: Politis and Romano, 1994; of genomes: Bickel and others, 2010), or near copies of one
//! sequence.

use std::collections::HashMap;
use std::hash::Hash;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::metrics::estimate::{FEWEST_BLOCKS, FEWEST_CHROMOSOMES, FEWEST_EXAMPLES, NoInterval};
use crate::random::{self, Generator, Purpose};

/// Fewer blocks than this make for rough intervals.
pub const FEW_BLOCKS: usize = 30;

/// The blocks of a set of examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    /// The block of each example, `[n]`; `None` where each is its own.
    of: Option<Vec<u32>>,
    /// Number of blocks.
    count: usize,
    kind: BlockKind,
}

/// What makes examples dependent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BlockKind {
    /// Nothing that is known of: each example is a block.
    Examples,
    /// They lie in the same stretch of a chromosome.
    Coordinates {
        /// Length of a stretch, in bp.
        length: u64,
    },
    /// They are near copies of one another.
    NearCopies,
    /// They lie on the same chromosome.
    Chromosomes,
}

/// Blocks and how many there are, as `metrics.json` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSummary {
    /// What makes examples dependent.
    #[serde(flatten)]
    pub kind: BlockKind,
    /// Number of blocks.
    pub count: usize,
}

impl Blocks {
    /// Examples that are independent of each other.
    pub fn each(n: usize) -> Self {
        Self { of: None, count: n, kind: BlockKind::Examples }
    }

    /// Examples with equal keys are in one block; one without a key is its own.
    pub fn of_keys<K: Eq + Hash>(keys: impl IntoIterator<Item = Option<K>>, kind: BlockKind) -> Self {
        let (mut known, mut count) = (HashMap::new(), 0u32);
        let mut next = || {
            count += 1;
            count - 1
        };
        let of: Vec<u32> = keys
            .into_iter()
            .map(|key| match key {
                Some(key) => *known.entry(key).or_insert_with(&mut next),
                None => next(),
            })
            .collect();
        Self { of: Some(of), count: count as usize, kind }
    }

    /// What makes examples dependent.
    pub fn kind(&self) -> BlockKind {
        self.kind
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.of.as_ref().map_or(self.count, Vec::len)
    }

    /// Whether each example is a block of its own, for want of anything that ties them together.
    pub fn are_examples(&self) -> bool {
        self.kind == BlockKind::Examples
    }

    /// The block of an example.
    pub fn of(&self, example: usize) -> usize {
        self.of.as_ref().map_or(example, |of| of[example] as usize)
    }

    /// What is to be said of them; `None` where each example is a block.
    pub fn summary(&self) -> Option<BlockSummary> {
        (!self.are_examples()).then_some(BlockSummary { kind: self.kind, count: self.count })
    }

    /// The blocks of some of the examples, in that order.
    pub fn at<I: IntoIterator<Item = usize>>(&self, chosen: I) -> Self {
        match &self.of {
            Some(of) => Self::of_keys(chosen.into_iter().map(|example| Some(of[example])), self.kind),
            None => Self::each(chosen.into_iter().count()),
        }
    }

    /// The blocks of observations, so many of each example, which belong to the example's block.
    pub fn of_observations(&self, each: usize) -> Self {
        let examples = (0..self.examples()).map(|example| self.of.as_ref().map_or(example as u32, |of| of[example]));
        Self::of_keys(examples.flat_map(|block| std::iter::repeat_n(Some(block), each)), self.kind)
    }

    /// Number of blocks of one size that would tell as much: the square of the number of examples over the sum of the
    /// squares of the blocks' sizes (Kish, 1965).
    pub fn effective_count(&self) -> f64 {
        let Some(of) = &self.of else { return self.count as f64 };
        let mut sizes = vec![0.0f64; self.count];
        of.iter().for_each(|&block| sizes[block as usize] += 1.0);
        let squares: f64 = sizes.iter().map(|size| size * size).sum();
        if squares > 0.0 { (of.len() as f64).powi(2) / squares } else { 0.0 }
    }

    /// Why there can be no interval; `None` where there are enough examples and blocks.
    pub fn too_few(&self) -> Option<NoInterval> {
        match (self.examples(), self.count) {
            (n, _) if n < FEWEST_EXAMPLES => Some(NoInterval::Examples(n)),
            (_, n) if self.kind == BlockKind::Chromosomes => {
                (n < FEWEST_CHROMOSOMES).then_some(NoInterval::Chromosomes(n))
            }
            (_, blocks) if !self.are_examples() && blocks < FEWEST_BLOCKS => Some(NoInterval::Blocks(blocks)),
            _ => None,
        }
    }

    /// Why there can be no interval that rests on the examples of one class, for which `is_of_class` is true; `None`
    /// where they, and the blocks that they lie in, are enough.
    pub fn too_few_of(&self, is_of_class: impl Fn(usize) -> bool) -> Option<NoInterval> {
        let (mut n, mut seen, mut blocks) = (0, vec![false; self.count], 0);
        for example in (0..self.examples()).filter(|&example| is_of_class(example)) {
            n += 1;
            blocks += usize::from(!std::mem::replace(&mut seen[self.of(example)], true));
        }
        match (n, blocks) {
            (n, _) if n < FEWEST_EXAMPLES => Some(NoInterval::OfClass(n)),
            (_, blocks) if !self.are_examples() && blocks < FEWEST_BLOCKS => Some(NoInterval::BlocksOfClass(blocks)),
            _ => None,
        }
    }

    /// Draws as many blocks as there are, with replacement: the number of times each example is drawn, `[n]`.
    pub fn draw(&self, random: &mut Generator) -> Vec<u32> {
        let mut times = vec![0u32; self.count];
        // 32 bits if they suffice, because drawing takes a good part of the time.
        match u32::try_from(self.count) {
            Ok(count) => (0..count).for_each(|_| times[random.random_range(0..count) as usize] += 1),
            Err(_) => (0..self.count).for_each(|_| times[random.random_range(0..self.count)] += 1),
        }
        self.of_examples(times)
    }

    /// The blocks divided at random into `parts` parts of equal size; for each part the weights of the examples without
    /// it, 0 or 1.
    pub fn without_each_part(&self, parts: usize, seed: u64) -> impl Fn(usize) -> Vec<u32> + '_ {
        let mut order: Vec<usize> = (0..self.count).collect();
        order.shuffle(&mut random::generator(seed, Purpose::Jackknife, 0, 0));
        move |part| {
            let mut times = vec![1; self.count];
            for &block in &order[part * self.count / parts..(part + 1) * self.count / parts] {
                times[block] = 0;
            }
            self.of_examples(times)
        }
    }

    fn of_examples(&self, times: Vec<u32>) -> Vec<u32> {
        match &self.of {
            Some(of) => of.iter().map(|&block| times[block as usize]).collect(),
            None => times,
        }
    }
}

impl BlockSummary {
    /// A line about them, such as `213 blocks of 100 kb`.
    pub fn describe(&self) -> String {
        let count = crate::format::thousands(self.count);
        let plural = if self.count == 1 { "" } else { "s" };
        match self.kind {
            BlockKind::Examples => format!("{count} independent example{plural}"),
            BlockKind::Coordinates { length } => format!("{count} block{plural} of {}", length_in_words(length)),
            BlockKind::NearCopies => format!("{count} cluster{plural} of near copies"),
            BlockKind::Chromosomes => format!("{count} chromosome{plural}"),
        }
    }
}

/// A number of bases, in kb where that is a whole number.
fn length_in_words(length: u64) -> String {
    if length >= 1000 && length.is_multiple_of(1000) {
        format!("{} kb", crate::format::thousands((length / 1000) as usize))
    } else {
        format!("{} bp", crate::format::thousands(length as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: BlockKind = BlockKind::Coordinates { length: 100_000 };

    #[test]
    fn blocks_are_described_and_counted() {
        let blocks = Blocks::of_keys([Some("a"), None, Some("a"), Some("b"), None], KIND);
        assert_eq!((blocks.count(), blocks.examples()), (4, 5));
        assert_eq!(blocks.summary().unwrap().describe(), "4 blocks of 100 kb");
        assert_eq!(Blocks::each(3).summary(), None);
        let of = |length| BlockSummary { kind: BlockKind::Coordinates { length }, count: 1 }.describe();
        assert_eq!((of(1500).as_str(), of(2_000_000).as_str()), ("1 block of 1,500 bp", "1 block of 2,000 kb"));
    }

    #[test]
    fn equal_blocks_count_whole_and_unequal_ones_less() {
        assert_eq!(Blocks::each(7).effective_count(), 7.0);
        assert_eq!(Blocks::of_keys([0, 0, 1, 1].map(Some), KIND).effective_count(), 2.0);
        assert_eq!(Blocks::of_keys([0, 0, 0, 1].map(Some), KIND).effective_count(), 1.6);
    }

    #[test]
    fn small_classes_and_few_blocks_have_no_interval() {
        assert_eq!(Blocks::each(9).too_few(), Some(NoInterval::Examples(9)));
        assert_eq!(Blocks::each(10).too_few(), None);
        let four = Blocks::of_keys((0..100).map(|i| Some(i % 4)), KIND);
        assert_eq!(four.too_few(), Some(NoInterval::Blocks(4)));
        let many = Blocks::of_keys((0..100).map(|i| Some(i / 2)), KIND);
        assert_eq!(many.too_few(), None);
        assert_eq!(many.too_few_of(|i| i < 9), Some(NoInterval::OfClass(9)));
        assert_eq!(many.too_few_of(|i| i < 10), None);
        let uneven = Blocks::of_keys((0..100).map(|i| Some(if i < 50 { 0 } else { i })), KIND);
        assert_eq!(uneven.too_few_of(|i| i < 53), Some(NoInterval::BlocksOfClass(4)));
        assert_eq!(Blocks::each(100).too_few_of(|i| i < 3), Some(NoInterval::OfClass(3)));
        let chromosomes = |count| Blocks::of_keys((0..100).map(|i| Some(i % count)), BlockKind::Chromosomes);
        assert_eq!((chromosomes(2).too_few(), chromosomes(3).too_few()), (Some(NoInterval::Chromosomes(2)), None));
        assert_eq!(chromosomes(3).summary().unwrap().describe(), "3 chromosomes");
    }

    proptest! {
        #[test]
        fn examples_of_a_block_are_drawn_and_left_out_together(keys in prop::collection::vec(prop::option::of(0u8..6), 1..60), seed: u64) {
            let blocks = Blocks::of_keys(keys.iter().copied(), KIND);
            let drawn = blocks.draw(&mut random::generator(seed, Purpose::Bootstrap, 0, 0));
            let parts = blocks.count().min(4);
            let without = blocks.without_each_part(parts, seed);
            let mut left_out = vec![0; keys.len()];
            for weights in std::iter::once(drawn.clone()).chain((0..parts).map(&without)) {
                for (i, a) in keys.iter().enumerate() {
                    for (j, b) in keys.iter().enumerate() {
                        prop_assert!(a.is_none() || a != b || weights[i] == weights[j]);
                    }
                }
            }
            for part in 0..parts {
                without(part).iter().zip(&mut left_out).for_each(|(&weight, count)| *count += 1 - weight);
            }
            prop_assert!(left_out.iter().all(|&count| count == 1), "each example is left out once");
            let times: u32 = (0..blocks.count()).map(|block| drawn[(0..keys.len()).find(|&i| blocks.of(i) == block).unwrap()]).sum();
            prop_assert_eq!(times as usize, blocks.count());
        }

        #[test]
        fn some_of_the_examples_keep_their_blocks(keys in prop::collection::vec(0u8..6, 1..40), step in 1usize..4) {
            let blocks = Blocks::of_keys(keys.iter().map(Some), KIND);
            let chosen: Vec<usize> = (0..keys.len()).step_by(step).collect();
            let some = blocks.at(chosen.iter().copied());
            for (i, &a) in chosen.iter().enumerate() {
                for (j, &b) in chosen.iter().enumerate() {
                    prop_assert_eq!(some.of(i) == some.of(j), keys[a] == keys[b]);
                }
            }
        }
    }
}
