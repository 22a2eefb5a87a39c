//! Which part of the data is for training, validation and test: by chromosome, by blocks of chromosomes, or by a hash
//! of the sequence. Windows that overlap never land in two splits.

use std::ops::Range;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::genome::Chromosome;
use crate::genome::interval::Interval;
use crate::genome::names::{contains, is_same_name, list_names, parent, same_name};
use crate::random;
use crate::sequence::alphabet;

/// What a part of the data is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For fitting weights.
    Train,
    /// For early stopping, calibration and the choice of the epoch.
    Valid,
    /// For the final metrics, unseen in training.
    Test,
}

impl Split {
    /// Every split, in the order of their discriminants, by which arrays of splits are indexed.
    pub const ALL: [Split; 3] = [Split::Train, Split::Valid, Split::Test];

    /// Name in tables and JSON: `train`, `valid` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
        }
    }

    /// The split that a table names: also `dev` and `validation`, which others write for `valid`, and any case.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Split::Train),
            "valid" | "validation" | "val" | "dev" => Some(Split::Valid),
            "test" => Some(Split::Test),
            _ => None,
        }
    }
}

/// The chromosomes the user named for each split; empty where none were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChromosomeChoice {
    /// Chromosomes named for training.
    pub train: Vec<String>,
    /// Chromosomes named for validation.
    pub valid: Vec<String>,
    /// Chromosomes named for testing.
    pub test: Vec<String>,
}

/// Validation blocks are this long where the chromosomes allow it: far longer than any window, so that little is lost
/// at the edges, and short enough that a few chromosomes give many.
const BLOCK_BP: usize = 100_000;

/// One block in this many is for validation, as validation has a sixth as many fragments as training.
const BLOCKS_PER_VALIDATION_BLOCK: usize = 7;

impl ChromosomeChoice {
    /// The split of a chromosome; `None` for one that no split wants. Where validation is to be cut from training
    /// chromosomes, those are `Train`.
    pub fn split_of(&self, name: &str) -> Option<Split> {
        if let Some(split) = self.named(name) {
            return Some(split);
        }
        if !self.train.is_empty() && !self.test.is_empty() {
            return None;
        }
        // Alternate and unplaced pieces are near-copies of their chromosome, or parts of it, and go where it goes.
        let chromosome = parent(name);
        let rest = match (self.train.is_empty(), self.test.is_empty()) {
            (_, false) => Split::Train,
            (false, true) => Split::Test,
            (true, true) => match deal(chromosome) {
                // The user's own validation chromosomes stand instead of dealt ones.
                Split::Valid if !self.valid.is_empty() => Split::Train,
                split => split,
            },
        };
        let split = self.named(chromosome).unwrap_or(rest);
        // Where a chromosome is shared out block by block, no block is right for a copy of some part of it.
        let cut = split == Split::Train && self.validates_on_blocks() && chromosome != name;
        (!cut).then_some(split)
    }

    /// Whether a run with this choice learned from the chromosome or from one it is a piece of.
    pub fn learns_from(&self, name: &str) -> bool {
        let learns = |name: &str| matches!(self.split_of(name), Some(Split::Train | Split::Valid));
        learns(name) || (learns(parent(name)) && self.named(name) != Some(Split::Test))
    }

    /// The split that names this chromosome.
    fn named(&self, name: &str) -> Option<Split> {
        [(&self.train, Split::Train), (&self.valid, Split::Valid), (&self.test, Split::Test)]
            .into_iter()
            .find(|(names, _)| contains(names, name))
            .map(|(_, split)| split)
    }

    /// Whether validation is cut from the training chromosomes, block by block.
    pub fn validates_on_blocks(&self) -> bool {
        self.valid.is_empty() && !(self.train.is_empty() && self.test.is_empty())
    }

    /// Reports a chromosome that two splits name, or that no genome has.
    ///
    /// # Errors
    /// The first such name, with the names there are.
    pub fn check(&self, known: &[&str]) -> Result<()> {
        let named: Vec<_> =
            [("--train-chroms", &self.train), ("--valid-chroms", &self.valid), ("--test-chroms", &self.test)]
                .into_iter()
                .flat_map(|(flag, names)| names.iter().map(move |name| (flag, name)))
                .collect();
        for (i, (flag, name)) in named.iter().enumerate() {
            let before = named[..i].iter().find(|(other, n)| other != flag && is_same_name(n, name));
            if let Some((other, _)) = before {
                bail!(
                    "chromosome '{name}' is in {other} and in {flag}, expected in one only; remove it from the other"
                );
            }
            if !known.iter().any(|other| is_same_name(other, name)) {
                bail!(
                    "no genome has a chromosome '{name}' ({flag}), expected names among {}; correct the name",
                    list_names(known.iter().copied())
                );
            }
        }
        Ok(())
    }
}

/// How the chromosomes of a genome are assigned to splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// For training: by the user's choice, and by the rules for what it leaves open.
    Choice(ChromosomeChoice),
    /// For evaluation: these chromosomes are the test, whatever a run did with them.
    TestOn(Vec<String>),
    /// For evaluation: all chromosomes that a run with this choice did not learn from are the test.
    TestOnUnseenBy(ChromosomeChoice),
    /// For evaluation: all chromosomes but these, and pieces of them, are the test.
    TestOnOthers(Vec<String>),
    /// For evaluation: everything is the test.
    TestOnAll,
}

impl Assignment {
    /// Split of a chromosome; `None` where it is in none.
    pub fn split_of(&self, name: &str) -> Option<Split> {
        let is_test = match self {
            Self::Choice(choice) => return choice.split_of(name),
            Self::TestOn(names) => contains(names, name),
            Self::TestOnUnseenBy(choice) => !choice.learns_from(name),
            Self::TestOnOthers(names) => !contains(names, name) && !contains(names, parent(name)),
            Self::TestOnAll => true,
        };
        is_test.then_some(Split::Test)
    }

    /// Whether validation is cut from the training chromosomes, block by block.
    pub fn validates_on_blocks(&self) -> bool {
        matches!(self, Self::Choice(choice) if choice.validates_on_blocks())
    }

    /// Whether the user left to the program which chromosomes are for what.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Choice(choice) => choice.train.is_empty() || choice.test.is_empty(),
            Self::TestOn(_) => false,
            Self::TestOnUnseenBy(_) | Self::TestOnOthers(_) | Self::TestOnAll => true,
        }
    }

    /// Checks the names that the user gave against those there are.
    ///
    /// # Errors
    /// As [`ChromosomeChoice::check`].
    pub fn check(&self, known: &[&str]) -> Result<()> {
        match self {
            Self::Choice(choice) => choice.check(known),
            Self::TestOn(names) => ChromosomeChoice { test: names.clone(), ..Default::default() }.check(known),
            Self::TestOnUnseenBy(_) | Self::TestOnOthers(_) | Self::TestOnAll => Ok(()),
        }
    }
}

/// Deals chromosomes 80/10/10 by a fixed hash of their name, the same in every genome and version.
pub(crate) fn deal(name: &str) -> Split {
    // The prefix was chosen so that human and mouse chromosomes come out near the intended shares.
    match random::hash(format!("chr{}", same_name(name)).as_bytes()) % 10 {
        0..8 => Split::Train,
        8 => Split::Valid,
        _ => Split::Test,
    }
}

/// The intervals of one genome that belong to each split. Chromosomes shorter than `length` have none.
pub(crate) fn intervals(chromosomes: &[Chromosome], assignment: &Assignment, length: usize) -> [Vec<Interval>; 3] {
    let mut parts: [Vec<Interval>; 3] = Default::default();
    for (chromosome, Chromosome { name, length: bases }) in chromosomes.iter().enumerate() {
        if let Some(split) = assignment.split_of(name)
            && *bases >= length
        {
            parts[split as usize].push(Interval { chromosome, range: 0..*bases });
        }
    }
    if assignment.validates_on_blocks() {
        let (train, valid) = cut_blocks(chromosomes, &parts[Split::Train as usize], length);
        parts[Split::Train as usize] = train;
        parts[Split::Valid as usize] = valid;
    }
    parts
}

/// The split whose intervals hold a whole range of a chromosome; `None` where it lies across an edge or outside.
pub(crate) fn split_holding(parts: &[Vec<Interval>; 3], chromosome: usize, range: &Range<usize>) -> Option<Split> {
    Split::ALL.into_iter().find(|&split| {
        let part = &parts[split as usize];
        let after =
            part.partition_point(|interval| (interval.chromosome, interval.range.start) <= (chromosome, range.start));
        after.checked_sub(1).is_some_and(|i| part[i].chromosome == chromosome && range.end <= part[i].range.end)
    })
}

/// Cuts whole chromosomes into blocks and deals one block in seven to validation, by rank of a fixed hash of
/// chromosome and block number, so that the share is right even for few blocks.
fn cut_blocks(chromosomes: &[Chromosome], whole: &[Interval], length: usize) -> (Vec<Interval>, Vec<Interval>) {
    let bases: usize = whole.iter().map(|interval| interval.range.len()).sum();
    let block = BLOCK_BP.min(bases / (2 * BLOCKS_PER_VALIDATION_BLOCK)).max(2 * length);
    let mut blocks = Vec::new();
    for interval in whole {
        for (number, start) in interval.range.clone().step_by(block).enumerate() {
            let end = (start + block).min(interval.range.end);
            let name = same_name(&chromosomes[interval.chromosome].name);
            let hash = random::hash(format!("{name} block {number}").as_bytes());
            blocks.push((hash, Interval { chromosome: interval.chromosome, range: start..end }));
        }
    }
    let mut ranked: Vec<u64> = blocks.iter().map(|(hash, _)| *hash).collect();
    ranked.sort_unstable();
    let last = ranked.get((ranked.len() / BLOCKS_PER_VALIDATION_BLOCK).max(1) - 1).copied().unwrap_or(0);

    let (mut train, mut valid): (Vec<Interval>, Vec<Interval>) = Default::default();
    for (hash, interval) in blocks {
        let part = if hash <= last { &mut valid } else { &mut train };
        match part.last_mut() {
            // Neighbouring blocks of one split are one interval, so that no window is lost between them.
            Some(before) if before.chromosome == interval.chromosome && before.range.end == interval.range.start => {
                before.range.end = interval.range.end;
            }
            _ => part.push(interval),
        }
    }
    let long_enough = |interval: &Interval| interval.range.len() >= length;
    train.retain(long_enough);
    valid.retain(long_enough);
    (train, valid)
}

/// The split of a sequence that comes without coordinates: a hash of the smaller of the sequence and its reverse
/// complement, so that a duplicate on either strand lands in the same split. `valid` and `test` are shares.
pub(crate) fn split_of_sequence(codes: &[u8], valid: f64, test: f64) -> Split {
    // Ten thousandths, so that a share is not at the mercy of rounding.
    let [valid, test] = [valid, test].map(|share| (share * 10_000.0).round() as u64);
    match hash_of_either_strand(codes) % 10_000 {
        share if share < test => Split::Test,
        share if share < test + valid => Split::Valid,
        _ => Split::Train,
    }
}

/// A hash that is the same for a sequence and its reverse complement.
pub(crate) fn hash_of_either_strand(codes: &[u8]) -> u64 {
    let mut other = codes.to_vec();
    alphabet::reverse_complement(&mut other);
    random::hash(codes.min(&other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choice(train: &[&str], valid: &[&str], test: &[&str]) -> ChromosomeChoice {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ChromosomeChoice { train: own(train), valid: own(valid), test: own(test) }
    }

    fn genome(lengths: &[usize]) -> Vec<Chromosome> {
        lengths.iter().enumerate().map(|(i, &length)| Chromosome { name: format!("chr{}", i + 1), length }).collect()
    }

    #[test]
    fn a_name_with_and_without_chr_is_the_same_chromosome() {
        assert_eq!(choice(&["1"], &[], &["chrX"]).split_of("chr1"), Some(Split::Train));
        assert_eq!(choice(&["1"], &[], &["chrX"]).split_of("X"), Some(Split::Test));
        assert_eq!(choice(&["1"], &[], &["chrX"]).split_of("2"), None);
        assert_eq!(deal("chr7"), deal("7"));
    }

    #[test]
    fn alternate_pieces_go_where_their_chromosome_goes_unless_both_sides_are_named() {
        let piece = "chr17_GL000258v2_alt";
        assert_eq!(choice(&[], &[], &["17"]).split_of(piece), Some(Split::Test));
        assert_eq!(choice(&["17"], &["2"], &[]).split_of(piece), Some(Split::Train));
        // Validation is cut from chr17 block by block, and this may copy any of the blocks.
        assert_eq!(choice(&["17"], &[], &[]).split_of(piece), None);
        assert_eq!(choice(&[], &[], &[]).split_of(piece), Some(deal("17")));
        assert_eq!(choice(&["1"], &[], &["17"]).split_of(piece), None);
        assert_eq!(choice(&["1"], &[], &[piece]).split_of(piece), Some(Split::Test));
    }

    #[test]
    fn other_genomes_are_judged_on_what_a_run_did_not_learn_from() {
        for own in [
            choice(&[], &[], &["17"]),
            choice(&["1", "2"], &[], &[]),
            choice(&[], &[], &[]),
            choice(&["1"], &["2"], &["3"]),
        ] {
            let judged = Assignment::TestOnUnseenBy(own.clone());
            for name in (1..=22).map(|i| format!("chr{i}")) {
                let learned = matches!(own.split_of(&name), Some(Split::Train | Split::Valid));
                assert_eq!(judged.split_of(&name).is_none(), learned, "{own:?} {name}");
                let piece = judged.split_of(&format!("{name}_GL000258v2_alt"));
                assert_eq!(piece.is_none(), learned, "{own:?} piece of {name}");
            }
        }
    }

    #[test]
    fn the_deal_gives_the_usual_chromosomes_to_every_split() {
        for last in [19, 22] {
            let count = |split| (1..=last).filter(|i| deal(&i.to_string()) == split).count();
            assert!(Split::ALL.iter().all(|&split| count(split) > 0));
            assert!(count(Split::Train) > last * 7 / 10);
        }
    }

    #[test]
    fn an_unknown_chromosome_and_one_in_two_splits_are_errors() {
        let known = ["chr1", "chr2"];
        let unknown = choice(&["3"], &[], &[]).check(&known).unwrap_err().to_string();
        assert!(unknown.contains("'3'") && unknown.contains("chr1, chr2"), "{unknown}");
        let twice = choice(&["1"], &[], &["chr1"]).check(&known).unwrap_err().to_string();
        assert!(twice.contains("--train-chroms") && twice.contains("--test-chroms"), "{twice}");
        choice(&["1"], &[], &["2"]).check(&known).unwrap();
    }

    proptest! {
        #[test]
        fn splits_never_overlap_and_validation_is_near_a_seventh(
            lengths in prop::collection::vec(1usize..3_000_000, 1..6),
            window in 1usize..2000,
        ) {
            let chromosomes = genome(&lengths);
            let parts = intervals(&chromosomes, &Assignment::Choice(choice(&["1", "2", "3"], &[], &["4", "5"])), window);
            let mut all: Vec<&Interval> = parts.iter().flatten().collect();
            all.sort_by_key(|interval| (interval.chromosome, interval.range.start));
            for pair in all.windows(2) {
                prop_assert!(pair[0].chromosome != pair[1].chromosome || pair[0].range.end <= pair[1].range.start);
            }
            for interval in &all {
                let held = split_holding(&parts, interval.chromosome, &interval.range);
                prop_assert!(held.is_some_and(|split| parts[split as usize].contains(interval)));
                let beyond = interval.range.start..interval.range.end + 1;
                prop_assert_eq!(split_holding(&parts, interval.chromosome, &beyond), None);
                prop_assert!(interval.range.len() >= window);
                prop_assert!(interval.range.end <= chromosomes[interval.chromosome].length);
            }
            let bases = |split: Split| parts[split as usize].iter().map(|i| i.range.len()).sum::<usize>() as f64;
            let (train, valid) = (bases(Split::Train), bases(Split::Valid));
            if train + valid > 2_000_000.0 {
                prop_assert!((0.04..0.25).contains(&(valid / (train + valid))), "{valid} of {}", train + valid);
            }
        }

        #[test]
        fn a_sequence_and_its_reverse_complement_land_in_one_split(codes in prop::collection::vec(0u8..5, 1..200)) {
            let mut other = codes.clone();
            alphabet::reverse_complement(&mut other);
            prop_assert_eq!(split_of_sequence(&codes, 0.1, 0.1), split_of_sequence(&other, 0.1, 0.1));
        }
    }

    #[test]
    fn the_shares_of_hashed_sequences_are_as_asked() {
        let mut shares = [0usize; 3];
        for i in 0u64..20_000 {
            let codes: Vec<u8> = (0..32).map(|k| ((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> k) % 4) as u8).collect();
            shares[split_of_sequence(&codes, 0.1, 0.2) as usize] += 1;
        }
        assert!((13_600..14_400).contains(&shares[0]) && (1_800..2_200).contains(&shares[1]), "{shares:?}");
    }
}
