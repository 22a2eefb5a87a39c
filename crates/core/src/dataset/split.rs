//! Which part of the data is for training, validation and test: by chromosome, by blocks of chromosomes, or by a hash
//! of the sequence. Windows that overlap never land in two splits.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::{DataConfig, SourceKind};
use crate::dataset::blocks;
use crate::genome::Chromosome;
use crate::genome::interval::{self, Interval};
use crate::genome::names::{NameIndex, list_names, parent, same_name, without_chr};
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

/// Shares of the data for validation and test, from 0 to 1; the rest is for training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// For validation.
    pub valid: f64,
    /// For the test.
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { valid: 0.1, test: 0.1 }
    }
}

/// The chromosomes the user named for each split; empty where none were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChromosomeChoice {
    /// Chromosomes named for training.
    pub train: Vec<String>,
    /// Chromosomes named for validation.
    pub valid: Vec<String>,
    /// Chromosomes named for testing.
    pub test: Vec<String>,
    /// Where all chromosomes are cut into blocks, the shares of these; then none is named.
    pub blocks: Option<Shares>,
}

impl ChromosomeChoice {
    /// Whether validation is cut from the training chromosomes, block by block.
    pub fn validates_on_blocks(&self) -> bool {
        self.valid.is_empty() && !(self.train.is_empty() && self.test.is_empty())
    }

    /// Whether no chromosome is named.
    pub fn names_none(&self) -> bool {
        self.train.is_empty() && self.valid.is_empty() && self.test.is_empty()
    }

    /// The flags with the names that were given to them.
    fn flags(&self) -> [(&'static str, Split, &[String]); 3] {
        [
            ("--train-chroms", Split::Train, &self.train),
            ("--valid-chroms", Split::Valid, &self.valid),
            ("--test-chroms", Split::Test, &self.test),
        ]
    }

    /// Reports a chromosome that two splits name, or that no genome has.
    ///
    /// # Errors
    /// The first such name, with the names there are.
    pub fn check(&self, known: &[&str]) -> Result<()> {
        let index = NameIndex::new(known.iter().copied());
        // A haplotype may be named by its chromosome.
        let alike: HashSet<&str> = known.iter().flat_map(|name| [same_name(name), same_name(parent(name))]).collect();
        let mut named: HashMap<&str, &str> = HashMap::new();
        for (flag, _, names) in self.flags() {
            for name in names {
                let found = index.find(name).map(|i| known[i]);
                let other = *named.entry(found.unwrap_or(same_name(name))).or_insert(flag);
                if other != flag {
                    bail!(
                        "chromosome '{name}' is in {other} and in {flag}, expected in one only; remove it from the other"
                    );
                }
                if found.is_none() && !alike.contains(same_name(name)) {
                    bail!(
                        "no genome has a chromosome '{name}' ({flag}), expected names among {}; correct the name",
                        list_names(known.iter().copied())
                    );
                }
            }
        }
        Ok(())
    }
}

/// How the chromosomes of a genome are assigned to splits.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    /// For training: by the user's choice, and by the rules for what it leaves open.
    Choice(ChromosomeChoice),
    /// Everything, which is dealt to splits once it is read.
    TrainOnAll,
    /// For evaluation: these chromosomes are the test, whatever a run did with them.
    TestOn(Vec<String>),
    /// For evaluation: all chromosomes that a run with this choice did not learn from are the test.
    TestOnUnseenBy(ChromosomeChoice),
    /// For evaluation: all chromosomes but these, and pieces of them, are the test.
    TestOnOthers(Vec<String>),
    /// For evaluation: everything is the test but these places, by chromosome, which a run learned from.
    TestAwayFrom(HashMap<String, Vec<Range<usize>>>),
    /// For evaluation: everything is the test.
    TestOnAll,
}

impl Assignment {
    /// The assignment that settings ask for.
    pub fn of(config: &DataConfig) -> Self {
        match config.source() {
            SourceKind::Regions if config.deals_examples() => Self::TrainOnAll,
            _ => Self::Choice(config.into()),
        }
    }

    /// Whether validation is cut from the training chromosomes, block by block.
    pub fn validates_on_blocks(&self) -> bool {
        matches!(self, Self::Choice(choice) if choice.blocks.is_none() && choice.validates_on_blocks())
    }

    /// Whether a chromosome is for the test, as far as its name alone tells.
    pub fn tests_on(&self, name: &str) -> bool {
        Resolved::new(self, std::iter::once(name)).split_of(name) == Some(Split::Test)
    }

    /// Whether the user left to the program which chromosomes are for what.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Choice(choice) => choice.train.is_empty() || choice.test.is_empty(),
            Self::TestOn(_) | Self::TrainOnAll => false,
            Self::TestOnUnseenBy(_) | Self::TestOnOthers(_) | Self::TestAwayFrom(_) | Self::TestOnAll => true,
        }
    }

    /// Whether all chromosomes may be cut into blocks where whole ones cannot give every split some.
    pub(crate) fn may_use_blocks(&self) -> bool {
        matches!(self, Self::Choice(choice) if choice.blocks.is_none() && choice.names_none())
    }

    /// Whether blocks of all chromosomes are dealt to splits.
    pub(crate) fn divides_by_blocks(&self) -> bool {
        matches!(self, Self::Choice(choice) if choice.blocks.is_some())
    }

    /// The assignment by blocks of all chromosomes.
    pub(crate) fn by_blocks(shares: Shares) -> Self {
        Self::Choice(ChromosomeChoice { blocks: Some(shares), ..ChromosomeChoice::default() })
    }

    /// Whether a chromosome may be in one of these splits, as far as its name alone tells: what is not need not be read.
    pub(crate) fn may_need<'a>(&'a self, splits: &'a [Split]) -> impl Fn(&str) -> bool + 'a {
        let resolved = Resolved::new(self, std::iter::empty());
        let spelled: HashSet<&str> =
            self.named().into_iter().flat_map(|(_, names)| names).map(String::as_str).collect();
        move |name| {
            // What else there is decides about pieces and haplotypes, and whether it is this chromosome that a flag names.
            let is_wanted = |split: Option<Split>| split.is_some_and(|split| splits.contains(&split));
            let may_be_unnamed = || resolved.named(name).is_some() && !spelled.contains(name);
            let without_flags = || match self {
                Self::Choice(choice) => is_wanted(resolved.unnamed(choice, name)),
                _ => true,
            };
            parent(name) != name
                || self.divides_by_blocks()
                || is_wanted(resolved.split_of(name))
                || (may_be_unnamed() && without_flags())
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
            _ => Ok(()),
        }
    }

    /// The chromosomes that it names, with what they are for.
    fn named(&self) -> Vec<(Split, &[String])> {
        match self {
            Self::Choice(choice) | Self::TestOnUnseenBy(choice) => {
                choice.flags().into_iter().map(|(_, split, names)| (split, names)).collect()
            }
            Self::TestOn(names) => vec![(Split::Test, names)],
            Self::TestOnOthers(names) => vec![(Split::Train, names)],
            Self::TestAwayFrom(_) | Self::TestOnAll | Self::TrainOnAll => Vec::new(),
        }
    }
}

/// An assignment applied to chromosomes that are all known, which decides what a name means: the one that is spelled
/// exactly so comes before others that are the same, and `chr1_hap1` is a piece of `chr1` only where there is a `chr1`.
pub(crate) struct Resolved<'a> {
    assignment: &'a Assignment,
    /// The first spelling of every chromosome, by the name that all share.
    first: HashMap<&'a str, &'a str>,
    /// Splits of the chromosomes that are spelled as they are named.
    exactly: HashMap<&'a str, Split>,
    /// Splits of the others, by the name that all spellings share.
    alike: HashMap<&'a str, Split>,
    /// Chromosomes of which a haplotype is named, where there is no other chromosome of that name, with that haplotype.
    haplotypes: HashMap<&'a str, (&'a str, Split)>,
}

impl<'a> Resolved<'a> {
    /// Applies an assignment to chromosomes.
    pub fn new(assignment: &'a Assignment, known: impl Iterator<Item = &'a str>) -> Self {
        let (mut exact, mut first) = (HashSet::new(), HashMap::new());
        for name in known {
            exact.insert(name);
            first.entry(same_name(name)).or_insert(name);
        }
        let (mut exactly, mut alike, mut haplotypes) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (split, names) in assignment.named() {
            for name in names.iter().map(String::as_str) {
                if exact.contains(name) {
                    exactly.entry(name).or_insert(split);
                } else {
                    alike.entry(same_name(name)).or_insert(split);
                }
                let chromosome = same_name(parent(name));
                if chromosome != same_name(name) && !first.contains_key(chromosome) {
                    haplotypes.entry(chromosome).or_insert((name, split));
                }
            }
        }
        Self { assignment, first, exactly, alike, haplotypes }
    }

    /// Applies an assignment to the chromosomes of a genome.
    pub fn of_genome(assignment: &'a Assignment, chromosomes: &'a [Chromosome]) -> Self {
        Self::new(assignment, chromosomes.iter().map(|chromosome| chromosome.name.as_str()))
    }

    /// The split of a chromosome; `None` for one that no split wants. Where validation or all splits are to be cut from
    /// chromosomes, those are `Train`.
    pub fn split_of(&self, name: &str) -> Option<Split> {
        let is_test = match self.assignment {
            Assignment::Choice(choice) => return self.chosen(choice, name),
            Assignment::TrainOnAll => return Some(Split::Train),
            Assignment::TestOn(_) => self.named(name).or_else(|| self.named_chromosome(name)).is_some(),
            Assignment::TestOnUnseenBy(choice) => !self.is_learned(choice, name),
            Assignment::TestOnOthers(_) => self.named(name).is_none() && !self.has_named_relative(name),
            Assignment::TestAwayFrom(_) | Assignment::TestOnAll => true,
        };
        is_test.then_some(Split::Test)
    }

    /// The chromosome whose blocks lie where this one's do, as haplotypes are near copies: its own name otherwise.
    pub fn group<'b>(&self, name: &'b str) -> &'b str {
        if self.is_haplotype(name) { parent(name) } else { name }
    }

    /// The haplotype of the same chromosome for whose sake this one is left out, and the split of that.
    pub fn left_out_for(&self, name: &str) -> Option<(&'a str, Split)> {
        let Assignment::Choice(choice) = self.assignment else { return None };
        let is_unnamed = self.named(name).is_none() && self.named_chromosome(name).is_none();
        let other = self.haplotypes.get(same_name(parent(name))).filter(|_| self.is_haplotype(name) && is_unnamed);
        other.copied().filter(|_| choice.blocks.is_none() && (choice.train.is_empty() || choice.test.is_empty()))
    }

    fn chosen(&self, choice: &ChromosomeChoice, name: &str) -> Option<Split> {
        if choice.blocks.is_some() {
            // No block is right for a copy of some part of a chromosome.
            return (!self.is_piece(name)).then_some(Split::Train);
        }
        self.named(name).or_else(|| self.named_chromosome(name)).or_else(|| self.unnamed(choice, name))
    }

    /// The split of a chromosome that no flag names.
    fn unnamed(&self, choice: &ChromosomeChoice, name: &str) -> Option<Split> {
        if (!choice.train.is_empty() && !choice.test.is_empty()) || self.left_out_for(name).is_some() {
            return None;
        }
        // Alternate and unplaced pieces are near-copies of their chromosome, or parts of it, and go where it goes.
        let chromosome = parent(name);
        let rest = match (choice.train.is_empty(), choice.test.is_empty()) {
            (_, false) => Split::Train,
            (false, true) => Split::Test,
            (true, true) => match deal(self.first.get(same_name(chromosome)).copied().unwrap_or(chromosome)) {
                // The user's own validation chromosomes stand instead of dealt ones.
                Split::Valid if !choice.valid.is_empty() => Split::Train,
                split => split,
            },
        };
        let split = if chromosome == name { rest } else { self.named(chromosome).unwrap_or(rest) };
        // Where a chromosome is shared out block by block, no block is right for a copy of some part of it.
        let cut = split == Split::Train && choice.validates_on_blocks() && self.is_piece(name);
        (!cut).then_some(split)
    }

    /// Whether a run with this choice learned from the chromosome or from one it is a piece of.
    fn is_learned(&self, choice: &ChromosomeChoice, name: &str) -> bool {
        let learns = |name: &str| matches!(self.chosen(choice, name), Some(Split::Train | Split::Valid));
        learns(name) || (learns(parent(name)) && self.named(name) != Some(Split::Test))
    }

    /// The split that names this chromosome.
    fn named(&self, name: &str) -> Option<Split> {
        self.exactly.get(name).or_else(|| self.alike.get(same_name(name))).copied()
    }

    /// The split that names the chromosome of a haplotype, which then stands for all of its haplotypes.
    fn named_chromosome(&self, name: &str) -> Option<Split> {
        if self.is_haplotype(name) { self.alike.get(same_name(parent(name))).copied() } else { None }
    }

    fn has_named_relative(&self, name: &str) -> bool {
        let chromosome = parent(name);
        chromosome != name && (self.named(chromosome).is_some() || self.haplotypes.contains_key(same_name(chromosome)))
    }

    /// Whether a chromosome is a piece of one that is there.
    fn is_piece(&self, name: &str) -> bool {
        same_name(parent(name)) != same_name(name) && self.first.contains_key(same_name(parent(name)))
    }

    /// Whether a chromosome is one of the haplotypes of another that is not there itself.
    fn is_haplotype(&self, name: &str) -> bool {
        same_name(parent(name)) != same_name(name) && !self.first.contains_key(same_name(parent(name)))
    }
}

/// Reports flags that leave training or the test without any chromosome.
///
/// # Errors
/// They do.
pub(crate) fn check_flags_leave_some(
    resolved: &Resolved,
    chromosomes: &[Chromosome],
    wanted: &[Split],
    choice: &ChromosomeChoice,
) -> Result<()> {
    let flag = match (choice.train.is_empty(), choice.test.is_empty()) {
        (true, false) => ("--test-chroms", Split::Train, "training"),
        (false, true) => ("--train-chroms", Split::Test, "the test"),
        _ => return Ok(()),
    };
    let (flag, split, purpose) = flag;
    let is_there = chromosomes.iter().any(|chromosome| resolved.split_of(&chromosome.name) == Some(split));
    if is_there || !wanted.contains(&split) || chromosomes.is_empty() {
        return Ok(());
    }
    let names = list_names(chromosomes.iter().map(|chromosome| chromosome.name.as_str()));
    match chromosomes.iter().find_map(|c| Some((&c.name, resolved.left_out_for(&c.name)?.0))) {
        Some((name, other)) => bail!(
            "{flag} leaves no chromosome for {purpose}, as {name} is another haplotype of {other}, expected others among {names}; name each chromosome with --train-chroms and --test-chroms"
        ),
        None => bail!(
            "{flag} leaves no chromosome for {purpose}, expected others beside {names}; leave the flag out, and the chromosomes are divided by blocks if whole ones are too few"
        ),
    }
}

/// Deals chromosomes 80/10/10 by a fixed hash of their name, the same in every genome and version.
pub(crate) fn deal(name: &str) -> Split {
    // The prefix was chosen so that human and mouse chromosomes come out near the intended shares.
    match random::hash(format!("chr{}", without_chr(name)).as_bytes()) % 10 {
        0..8 => Split::Train,
        8 => Split::Valid,
        _ => Split::Test,
    }
}

/// The intervals of one genome that belong to each split. Chromosomes shorter than `length` have none.
pub(crate) fn intervals(chromosomes: &[Chromosome], assignment: &Assignment, length: usize) -> [Vec<Interval>; 3] {
    let resolved = Resolved::of_genome(assignment, chromosomes);
    let mut parts: [Vec<Interval>; 3] = Default::default();
    for (chromosome, Chromosome { name, length: bases }) in chromosomes.iter().enumerate() {
        if let Some(split) = resolved.split_of(name)
            && *bases >= length
        {
            parts[split as usize].push(Interval { chromosome, range: 0..*bases });
        }
    }
    let group = |chromosome: usize| resolved.group(&chromosomes[chromosome].name);
    match assignment {
        Assignment::Choice(ChromosomeChoice { blocks: Some(shares), .. }) => {
            blocks::cut_all(group, &parts[Split::Train as usize], *shares, length)
        }
        Assignment::TestAwayFrom(learned) => {
            let test = &mut parts[Split::Test as usize];
            *test = interval::without(test, &learned_in(chromosomes, learned));
            test.retain(|interval| interval.range.len() >= length);
            parts
        }
        _ if assignment.validates_on_blocks() => {
            let (train, valid) = blocks::cut_validation(group, &parts[Split::Train as usize], length);
            parts[Split::Train as usize] = train;
            parts[Split::Valid as usize] = valid;
            parts
        }
        _ => parts,
    }
}

/// Places that a run learned from, as intervals of a genome, in order of chromosome and start.
fn learned_in(chromosomes: &[Chromosome], learned: &HashMap<String, Vec<Range<usize>>>) -> Vec<Interval> {
    let mut by_name: HashMap<&str, Vec<&Range<usize>>> = HashMap::new();
    for (name, ranges) in learned {
        by_name.entry(same_name(name)).or_default().extend(ranges);
    }
    let mut intervals = Vec::new();
    for (chromosome, Chromosome { name, .. }) in chromosomes.iter().enumerate() {
        let ranges = by_name.get(same_name(name)).into_iter().flatten();
        intervals.extend(ranges.map(|range| Interval { chromosome, range: (*range).clone() }));
    }
    intervals.sort_by_key(|interval| (interval.chromosome, interval.range.start));
    intervals
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
        ChromosomeChoice { train: own(train), valid: own(valid), test: own(test), blocks: None }
    }

    /// The split of a chromosome beside others that are there.
    fn split_beside(assignment: &Assignment, name: &str, others: &[&str]) -> Option<Split> {
        Resolved::new(assignment, std::iter::once(name).chain(others.iter().copied())).split_of(name)
    }

    /// The split of a chromosome in a genome that has the others that the tests name.
    fn split_of(choice: &ChromosomeChoice, name: &str) -> Option<Split> {
        split_beside(&Assignment::Choice(choice.clone()), name, &["chr2", "chr17"])
    }

    fn genome(lengths: &[usize]) -> Vec<Chromosome> {
        lengths.iter().enumerate().map(|(i, &length)| Chromosome { name: format!("chr{}", i + 1), length }).collect()
    }

    #[test]
    fn a_name_with_and_without_chr_is_the_same_chromosome() {
        assert_eq!(split_of(&choice(&["1"], &[], &["chrX"]), "chr1"), Some(Split::Train));
        assert_eq!(split_of(&choice(&["1"], &[], &["chrX"]), "X"), Some(Split::Test));
        assert_eq!(split_of(&choice(&["1"], &[], &["chrX"]), "2"), None);
        assert_eq!(deal("chr7"), deal("7"));
    }

    #[test]
    fn alternate_pieces_go_where_their_chromosome_goes_unless_both_sides_are_named() {
        let piece = "chr17_GL000258v2_alt";
        assert_eq!(split_of(&choice(&[], &[], &["17"]), piece), Some(Split::Test));
        assert_eq!(split_of(&choice(&["17"], &["2"], &[]), piece), Some(Split::Train));
        // Validation is cut from chr17 block by block, and this may copy any of the blocks.
        assert_eq!(split_of(&choice(&["17"], &[], &[]), piece), None);
        assert_eq!(split_of(&choice(&[], &[], &[]), piece), Some(deal("17")));
        assert_eq!(split_of(&choice(&["1"], &[], &["17"]), piece), None);
        assert_eq!(split_of(&choice(&["1"], &[], &[piece]), piece), Some(Split::Test));
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
                let learned = matches!(
                    split_beside(&Assignment::Choice(own.clone()), &name, &[]),
                    Some(Split::Train | Split::Valid)
                );
                assert_eq!(split_beside(&judged, &name, &[]).is_none(), learned, "{own:?} {name}");
                let piece = split_beside(&judged, &format!("{name}_GL000258v2_alt"), &[&name]);
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

    #[test]
    fn haplotypes_are_chromosomes_of_their_own_and_stay_together() {
        for [a1, a2, b1, b2] in [
            ["chr1_hap1", "chr1_hap2", "chr2_hap1", "chr2_hap2"],
            ["chr1_MATERNAL", "chr1_PATERNAL", "chr2_MATERNAL", "chr2_PATERNAL"],
            ["chr1_mat", "chr1_pat", "chr2_mat", "chr2_pat"],
            ["1_h1", "1_h2", "2_h1", "2_h2"],
            ["hap1_chr1", "hap2_chr1", "hap1_chr2", "hap2_chr2"],
            ["HG002#1#chr1", "HG002#2#chr1", "HG002#1#chr2", "HG002#2#chr2"],
            ["chr1.hap1", "chr1.hap2", "chr2.hap1", "chr2.hap2"],
            ["scaffold_1_hap1", "scaffold_1_hap2", "scaffold_2_hap1", "scaffold_2_hap2"],
        ] {
            let all = [a1, a2, b1, b2];
            let of = |choice: ChromosomeChoice| {
                let assignment = Assignment::Choice(choice);
                all.map(|name| split_beside(&assignment, name, &all))
            };
            let (train, test) = (Some(Split::Train), Some(Split::Test));
            assert_eq!(of(choice(&[], &[], &[a1])), [test, None, train, train], "{a1}");
            assert_eq!(of(choice(&[b1], &[], &[])), [test, test, train, None], "{a1}");
            assert_eq!(of(choice(&[a2, b1, b2], &[], &[a1])), [test, train, train, train], "{a1}");
            assert_eq!(of(choice(&[], &[], &[parent(a1)])), [test, test, train, train], "{a1}");
            choice(&[], &[], &[parent(a1)]).check(&all).unwrap();
            let dealt = of(choice(&[], &[], &[]));
            assert!(dealt[0] == dealt[1] && dealt[2] == dealt[3] && !dealt.contains(&None), "{a1} {dealt:?}");
            // Blocks of both lie at the same places.
            let genome: Vec<Chromosome> =
                all.iter().map(|name| Chromosome { name: (*name).into(), length: 400_000 }).collect();
            let parts = intervals(&genome, &Assignment::by_blocks(Shares::default()), 100);
            for part in &parts {
                let of = |chromosome: usize| -> Vec<_> {
                    part.iter().filter(|i| i.chromosome == chromosome).map(|i| i.range.clone()).collect()
                };
                assert!(of(0) == of(1) && of(2) == of(3), "{a1}");
            }
        }
    }

    #[test]
    fn a_flag_names_the_chromosome_that_is_spelled_so_and_else_any_spelling() {
        let assignment = Assignment::Choice(choice(&["1", "MT"], &[], &["chr2", "X"]));
        let both = ["1", "chr1", "chr2", "2", "chrM", "chrX"];
        let splits = both.map(|name| split_beside(&assignment, name, &both));
        let (train, test) = (Some(Split::Train), Some(Split::Test));
        assert_eq!(splits, [train, None, test, None, train, test]);
        choice(&["1"], &[], &["chr1"]).check(&both).unwrap();
    }

    #[test]
    fn what_is_read_is_never_less_than_what_is_needed() {
        let all = ["chr1", "1", "chr2", "chr2_hap1", "chr3_hap1", "chr3_hap2", "chr1_x_alt", "MT", "chrM", "GL1"];
        for own in [
            choice(&[], &[], &[]),
            choice(&[], &[], &["1"]),
            choice(&["chr3"], &[], &[]),
            choice(&["1"], &["2"], &["M"]),
            choice(&[], &["chr3_hap1"], &[]),
        ] {
            for assignment in [
                Assignment::Choice(own.clone()),
                Assignment::TestOnUnseenBy(own.clone()),
                Assignment::TestOn(own.test.clone()),
                Assignment::TestOnOthers(own.train.clone()),
                Assignment::TestOnAll,
                Assignment::by_blocks(Shares::default()),
            ] {
                for splits in [&Split::ALL[..], &[Split::Test], &[Split::Train]] {
                    let may_need = assignment.may_need(splits);
                    for name in all {
                        let needs = split_beside(&assignment, name, &all).is_some_and(|split| splits.contains(&split));
                        assert!(!needs || may_need(name), "{assignment:?} {name}");
                    }
                }
            }
        }
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
