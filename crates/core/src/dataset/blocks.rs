//! Divides chromosomes, or sequences that lie on them, into blocks that are dealt to splits, so that windows of two splits
//! share no base.

use std::ops::Range;

use crate::dataset::split::{Shares, Split};
use crate::genome::interval::Interval;
use crate::genome::names::without_chr;
use crate::random;

/// Blocks are this long where the chromosomes allow it: far longer than any window, so that little is lost at the edges,
/// and short enough that a few chromosomes give many.
const BLOCK_BP: usize = 100_000;

/// One block in this many is for validation, as validation has a sixth as many fragments as training.
const BLOCKS_PER_VALIDATION_BLOCK: usize = 7;

/// Blocks that a small genome, or sequences on a few chromosomes, are divided into, for every split to have several.
const BLOCKS: usize = 40;

/// Fewer blocks of sequences than this leave too little choice.
const FEWEST_BLOCKS: usize = 10;

/// Blocks of sequences are made fewer until no more than this share of the sequences lies across their edges.
const MOST_LOST: f64 = 0.1;

/// Cuts whole chromosomes into blocks and deals one block in seven to validation, by rank of a fixed hash of
/// chromosome and block number, so that the share is right even for few blocks.
pub fn cut_validation<'a>(
    group: impl Fn(usize) -> &'a str,
    whole: &[Interval],
    length: usize,
) -> (Vec<Interval>, Vec<Interval>) {
    let bases: usize = whole.iter().map(|interval| interval.range.len()).sum();
    let block = BLOCK_BP.min(bases / (2 * BLOCKS_PER_VALIDATION_BLOCK)).max(2 * length);
    let mut blocks = Vec::new();
    for interval in whole {
        for (number, start) in interval.range.clone().step_by(block).enumerate() {
            let end = (start + block).min(interval.range.end);
            let hash = hash_of(group(interval.chromosome), number);
            blocks.push((hash, Interval { chromosome: interval.chromosome, range: start..end }));
        }
    }
    let mut ranked: Vec<u64> = blocks.iter().map(|(hash, _)| *hash).collect();
    ranked.sort_unstable();
    let last = ranked.get((ranked.len() / BLOCKS_PER_VALIDATION_BLOCK).max(1) - 1).copied().unwrap_or(0);
    let [train, valid, _] = joined(
        blocks.into_iter().map(|(hash, block)| (if hash <= last { Split::Valid } else { Split::Train }, block)),
        length,
    );
    (train, valid)
}

/// Cuts whole chromosomes into blocks and deals them to all splits by rank of the same hash.
pub fn cut_all<'a>(
    group: impl Fn(usize) -> &'a str,
    whole: &[Interval],
    shares: Shares,
    length: usize,
) -> [Vec<Interval>; 3] {
    let bases: usize = whole.iter().map(|interval| interval.range.len()).sum();
    let shortest = (4 * length).min((bases / FEWEST_BLOCKS).max(2 * length));
    let block = BLOCK_BP.min(bases / BLOCKS).max(shortest);
    let mut blocks = Vec::new();
    for Interval { chromosome, range } in whole {
        // Of equal size, as a short one at the end might be all that a split gets.
        let count = (range.len() / block).max(1);
        let edge = |number: usize| range.start + (range.len() as u128 * number as u128 / count as u128) as usize;
        for number in 0..count {
            let range = edge(number)..edge(number + 1);
            blocks.push((hash_of(group(*chromosome), number), Interval { chromosome: *chromosome, range }));
        }
    }
    let dealt = deal(blocks.iter().map(|(hash, _)| *hash), shares);
    joined(dealt.into_iter().zip(blocks).map(|(split, (_, block))| (split, block)), length)
}

/// Deals sequences that lie on chromosomes, given by their groups and ranges, to all splits in blocks that follow their
/// density. `None` where a sequence lies across the edge of two splits.
pub fn deal_sequences(places: &[(&str, Range<usize>)], shares: Shares) -> Vec<Option<Split>> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&i| (places[i].0, places[i].1.start, places[i].1.end));
    let mut dealt = Vec::new();
    for blocks in [BLOCKS, BLOCKS / 2, FEWEST_BLOCKS] {
        dealt = deal_in_blocks(places, &order, blocks, shares);
        let lost = dealt.iter().filter(|split| split.is_none()).count();
        if lost as f64 <= MOST_LOST * places.len() as f64 {
            break;
        }
    }
    dealt
}

fn deal_in_blocks(
    places: &[(&str, Range<usize>)],
    order: &[usize],
    blocks: usize,
    shares: Shares,
) -> Vec<Option<Split>> {
    let wanted = (places.len() / blocks).max(1);
    // Of each sequence in order, the number of its block; of each block, its group and where it starts.
    let (mut block_of, mut starts): (Vec<usize>, Vec<(&str, usize)>) = Default::default();
    let (mut held, mut end, mut last_start) = (0, 0, 0);
    for &i in order {
        let (group, range) = &places[i];
        let is_new = match starts.last() {
            None => true,
            Some((other, _)) => {
                let is_full = held >= wanted && range.start >= end;
                // Where sequences overlap without end, some have to lie across an edge.
                let is_overfull = held >= 2 * wanted && range.start > last_start;
                other != group || is_full || is_overfull
            }
        };
        if is_new {
            if starts.last().is_none_or(|(other, _)| other != group) {
                end = 0;
            }
            starts.push((group, range.start));
            held = 0;
        }
        held += 1;
        end = end.max(range.end);
        last_start = range.start;
        block_of.push(starts.len() - 1);
    }
    let hash = |(number, (group, _)): (usize, &(&str, usize))| hash_of(group, number);
    let splits = deal(starts.iter().enumerate().map(hash), shares);
    let mut dealt = vec![None; places.len()];
    for (&i, &block) in order.iter().zip(&block_of) {
        let (group, range) = &places[i];
        // A sequence may reach over several blocks behind its own.
        let reached =
            (block + 1..starts.len()).take_while(|&next| starts[next].0 == *group && starts[next].1 < range.end);
        let is_whole = { reached }.all(|next| splits[next] == splits[block]);
        dealt[i] = is_whole.then_some(splits[block]);
    }
    dealt
}

/// Splits of blocks by the rank of their hashes, of which equal ones stay together. Each split with a share has one block
/// or more, training first, as far as there are blocks.
fn deal(hashes: impl Iterator<Item = u64> + Clone, shares: Shares) -> Vec<Split> {
    let mut ranked: Vec<u64> = hashes.clone().collect();
    ranked.sort_unstable();
    ranked.dedup();
    let count = |share: f64| if share > 0.0 { ((ranked.len() as f64 * share).round() as usize).max(1) } else { 0 };
    let test = count(shares.test).min(ranked.len().saturating_sub(1));
    let valid = count(shares.valid).min(ranked.len().saturating_sub(1 + test));
    let split = |hash: u64| match ranked.partition_point(|&other| other < hash) {
        rank if rank < test => Split::Test,
        rank if rank < test + valid => Split::Valid,
        _ => Split::Train,
    };
    hashes.map(split).collect()
}

fn hash_of(group: &str, number: usize) -> u64 {
    random::hash(format!("{} block {number}", without_chr(group)).as_bytes())
}

/// Blocks as the intervals of each split. Neighbouring blocks of one split are one interval, so that no window is lost
/// between them; what is shorter than `length` is left out.
fn joined(blocks: impl Iterator<Item = (Split, Interval)>, length: usize) -> [Vec<Interval>; 3] {
    let mut parts: [Vec<Interval>; 3] = Default::default();
    for (split, block) in blocks {
        let part = &mut parts[split as usize];
        match part.last_mut() {
            Some(before) if before.chromosome == block.chromosome && before.range.end == block.range.start => {
                before.range.end = block.range.end;
            }
            _ => part.push(block),
        }
    }
    for part in &mut parts {
        part.retain(|interval| interval.range.len() >= length);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sequences_of_two_splits_share_no_base(
            raw in prop::collection::vec((0usize..3, 0usize..20_000, 1usize..400), 3..400),
            valid in 0.05f64..0.3, test in 0.05f64..0.3,
        ) {
            let names = ["chr1", "2", "NC_000913.3"];
            let places: Vec<(&str, Range<usize>)> =
                raw.iter().map(|&(group, start, length)| (names[group], start..start + length)).collect();
            let dealt = deal_sequences(&places, Shares { valid, test });
            for (i, (group, range)) in places.iter().enumerate() {
                for (j, (other_group, other)) in places.iter().enumerate() {
                    if group == other_group && range.start < other.end && other.start < range.end
                        && let (Some(a), Some(b)) = (dealt[i], dealt[j])
                    {
                        prop_assert_eq!(a, b);
                    }
                }
            }
        }

        #[test]
        fn one_chromosome_gives_every_split_some_and_no_base_to_two(bases in 3_000usize..5_000_000, length in 20usize..300) {
            let whole = [Interval { chromosome: 0, range: 0..bases }];
            let parts = cut_all(|_| "NC_000913.3", &whole, Shares::default(), length);
            let mut all: Vec<&Interval> = parts.iter().flatten().collect();
            all.sort_by_key(|interval| interval.range.start);
            prop_assert!(all.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            if bases >= 10 * 2 * length {
                prop_assert!(parts.iter().all(|part| !part.is_empty()), "{parts:?}");
            }
            let share = |split: Split| parts[split as usize].iter().map(|i| i.range.len()).sum::<usize>() as f64 / bases as f64;
            if bases >= 200 * length {
                prop_assert!((0.05..0.2).contains(&share(Split::Valid)) && (0.05..0.2).contains(&share(Split::Test)));
            }
        }
    }

    #[test]
    fn overlapping_windows_all_along_a_chromosome_reach_every_split_and_few_are_lost() {
        let places: Vec<(&str, Range<usize>)> = (0..1186).map(|i| ("chr1", i * 10..i * 10 + 64)).collect();
        let dealt = deal_sequences(&places, Shares::default());
        let of = |split| dealt.iter().filter(|found| **found == split).count();
        assert!(of(Some(Split::Valid)) > 60 && of(Some(Split::Test)) > 60 && of(None) < 150, "{}", of(None));
    }
}
