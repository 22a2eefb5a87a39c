//! Finds sequences that occur more than once, exactly or nearly and on either strand: those that leak from training
//! into validation or test, and those with two labels. Reports them only; nothing is removed.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use crate::random;
use crate::sequence::{alphabet, kmers};

/// Bases in a k-mer. There are 8 million 12-mers if both strands count as one, so unrelated sequences share next to
/// none, and a substitution breaks no more than 12 of them. Longer ones would meet by chance less, and survive less.
const K: usize = 12;

/// The share of k-mers in common from which sequences are near copies. Windows of one length reach it where they
/// overlap by a little more than half, and copies of n bases do with up to (n - 11) / 24 substitutions, wherever they
/// are, as these break half of the k-mers at most. For sets of one size it is a Jaccard index of a third.
pub const NEAR: f64 = 0.5;

/// The k-mers of each sequence, the first in scrambled order, of which two sequences must have one in common to be
/// compared. Of random sequences of 128 to 400 bp, eight miss 1 in 5000 copies with 3 % of the bases substituted, 1 in
/// 200 windows that overlap by 55 %, and 1 in 30 where one sequence is the first 40 % of the other.
const SKETCH: usize = 8;

/// The sequences that share a k-mer of their sketches are all compared with the first this many of them, training
/// before validation before test. Ordinary sequence shares less; this keeps poly-A, microsatellites and families of
/// repeats from costing the square of their number.
const BUCKET: usize = 64;

/// Before all k-mers are compared, the first this many of both sequences are, as most candidates have met by chance.
const GLANCE: usize = 64;

/// Near copies share 21 k-mers or more at first glance on average, even where one is three times as long as the other;
/// they share fewer than this less than once in 100,000 times.
const GLANCE_SHARED: usize = 4;

/// One sequence.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// 0 to 3, and 4 for an unknown base.
    pub codes: &'a [u8],
    /// 0 train, 1 validation, 2 test.
    pub split: u8,
    /// Sequences with different labels conflict. Meant for few distinct labels.
    pub label: u32,
}

/// How two sequences are alike, the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The same bases, or bases that read the same on both strands.
    Identical,
    /// The same bases on opposite strands.
    ReverseComplement,
    /// At least [`NEAR`] of the 12-mers in common, on either strand.
    Near,
}

/// A sequence that has a copy elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Index of the sequence among the entries, in the order they were given.
    pub index: usize,
    /// Index of the entry that it is a copy of.
    pub other: usize,
    /// How the two are alike.
    pub kind: Kind,
    /// The share of distinct 12-mers in common, `2 |A ∩ B| / (|A| + |B|)` (Sørensen and Dice); 1 for exact copies.
    pub similarity: f64,
}

/// The copies found. Every match is the best there is: by kind, then by similarity, then the earliest sequence. Lists
/// are in order of `index`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Duplicates {
    /// Every validation or test sequence that has a copy in training.
    pub leaks: Vec<Match>,
    /// Every test sequence that has a copy in validation, whether or not it has one in training.
    pub test_in_valid: Vec<Match>,
    /// Every sequence that has an earlier copy with another label, in any split.
    pub conflicts: Vec<Match>,
    /// Sequences that repeat an earlier one of the same split and label, by kind.
    pub repeats: [usize; 3],
}

/// Finds exact and near copies.
///
/// Exact copies are all found, and compared base by base. Near copies are candidates first, where bottom sketches of
/// their 12-mers meet (Broder, 1997), then compared by all of their 12-mers, so every one reported is one. A few are
/// missed: 1 in 5000 copies with 3 % of the bases substituted, and more among repeats and low-complexity sequence,
/// where each is compared with the first 64 that share a part of its sketch. 12-mers with unknown bases are left out,
/// so sequences in which no 12 known bases stand together have no near copies.
///
/// A hundred thousand sequences of 200 bp take two seconds, a million a minute or two, as more and more meet by chance;
/// every base takes about ten bytes of memory.
pub fn find(entries: &[Entry]) -> Duplicates {
    let classes = classes(entries);
    let neighbours = neighbours(entries, &classes);
    collect(&classes, &neighbours)
}

/// The cluster of each sequence, named by its first member: sequences that are copies of each other, exactly or nearly, or
/// of copies. The time and memory are those of [`find`].
pub fn clusters(sequences: &[&[u8]]) -> Vec<usize> {
    let entries: Vec<Entry> = sequences.iter().map(|codes| Entry { codes, split: 0, label: 0 }).collect();
    let classes = classes(&entries);
    let mut parents: Vec<usize> = (0..classes.len()).collect();
    fn root(parents: &mut [usize], mut class: usize) -> usize {
        while parents[class] != class {
            parents[class] = parents[parents[class]];
            class = parents[class];
        }
        class
    }
    for (class, near) in neighbours(&entries, &classes).iter().enumerate() {
        for &(_, other) in near {
            let (a, b) = (root(&mut parents, class), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    let mut clusters = vec![0; sequences.len()];
    for (class, found) in classes.iter().enumerate() {
        let first = classes[root(&mut parents, class)].members[0].index;
        found.members.iter().for_each(|member| clusters[member.index] = first);
    }
    clusters
}

/// Finds exact copies only, in a fraction of the time, of sequences that come one by one and are not kept: sequences are
/// held to be the same where their 64-bit hashes are, which among ten million goes wrong once in four hundred thousand
/// data sets. Training comes before validation, and validation before test.
#[derive(Default)]
pub struct ExactCopies {
    /// The first of every split, label and strand, by the hash of either strand.
    firsts: HashMap<u64, Vec<Member>>,
    count: usize,
    found: Duplicates,
}

impl ExactCopies {
    /// Compares the next sequence with all before it.
    pub fn push(&mut self, entry: Entry) {
        let Canonical { hash, index, reverse } = Canonical::new(self.count, entry.codes);
        let this = Member { index, split: entry.split, label: entry.label, reverse };
        self.count += 1;
        let firsts = self.firsts.entry(hash).or_default();
        // The same strand before the other, then the earliest.
        let best = |wanted: &dyn Fn(&Member) -> bool| {
            let fitting = firsts.iter().filter(|member| wanted(member));
            fitting.min_by_key(|member| (member.reverse != reverse, member.index)).map(|other| {
                let kind = if other.reverse == reverse { Kind::Identical } else { Kind::ReverseComplement };
                Match { index, other: other.index, kind, similarity: 1.0 }
            })
        };
        let Duplicates { leaks, test_in_valid, conflicts, repeats } = &mut self.found;
        if this.split > 0 {
            leaks.extend(best(&|other| other.split == 0));
        }
        if this.split == 2 {
            test_in_valid.extend(best(&|other| other.split == 1));
        }
        conflicts.extend(best(&|other| other.label != this.label));
        if let Some(repeat) = best(&|other| (other.split, other.label) == (this.split, this.label)) {
            repeats[repeat.kind as usize] += 1;
        }
        let is_known = |other: &Member| (other.split, other.label, other.reverse) == (this.split, this.label, reverse);
        if !firsts.iter().any(is_known) {
            firsts.push(this);
        }
    }

    /// Copies among all sequences that were pushed.
    pub fn finish(self) -> Duplicates {
        self.found
    }
}

/// A sequence as it reads on its canonical strand: the one that is smaller, code by code.
struct Canonical {
    hash: u64,
    index: usize,
    /// It is the other strand that is canonical. False for palindromes.
    reverse: bool,
}

impl Canonical {
    fn new(index: usize, codes: &[u8]) -> Self {
        let mut other = codes.to_vec();
        alphabet::reverse_complement(&mut other);
        let reverse = other.as_slice() < codes;
        Self { hash: random::hash(if reverse { &other } else { codes }), index, reverse }
    }

    fn same_bases(&self, other: &Self, entries: &[Entry]) -> bool {
        let (a, b) = (entries[self.index].codes, entries[other.index].codes);
        if self.reverse == other.reverse {
            a == b
        } else {
            a.len() == b.len() && a.iter().zip(b.iter().rev()).all(|(&a, &b)| a == alphabet::complement(b))
        }
    }
}

/// All sequences that are exact copies of each other, of which there may be one, by ascending index.
struct Class {
    members: Vec<Member>,
    /// The first of every split, label and strand, by ascending index: all that others need to know of a large class.
    firsts: Vec<Member>,
}

#[derive(Clone, Copy)]
struct Member {
    index: usize,
    split: u8,
    label: u32,
    reverse: bool,
}

impl Class {
    fn new(canonicals: &[&Canonical], entries: &[Entry]) -> Self {
        let members: Vec<Member> = canonicals
            .iter()
            .map(|&&Canonical { index, reverse, .. }| {
                let Entry { split, label, .. } = entries[index];
                Member { index, split, label, reverse }
            })
            .collect();
        let mut firsts = members.clone();
        firsts.sort_by_key(|member| (member.split, member.label, member.reverse));
        firsts.dedup_by_key(|member| (member.split, member.label, member.reverse));
        firsts.sort_by_key(|member| member.index);
        Self { members, firsts }
    }

    /// The best exact copy of `member` among those that fit.
    fn exact(&self, member: &Member, fits: impl Fn(&Member) -> bool) -> Option<Match> {
        let first = |reverse| self.firsts.iter().find(|other| other.reverse == reverse && fits(other));
        let found = |other: &Member, kind| Match { index: member.index, other: other.index, kind, similarity: 1.0 };
        first(member.reverse)
            .map(|other| found(other, Kind::Identical))
            .or_else(|| first(!member.reverse).map(|other| found(other, Kind::ReverseComplement)))
    }
}

/// Groups exact copies. Classes with a member in training come first, then those with one in validation, each by
/// their first such member.
fn classes(entries: &[Entry]) -> Vec<Class> {
    let mut canonicals: Vec<Canonical> =
        entries.par_iter().enumerate().map(|(index, entry)| Canonical::new(index, entry.codes)).collect();
    canonicals.par_sort_unstable_by_key(|canonical| (canonical.hash, canonical.index));

    let mut classes = Vec::new();
    for run in canonicals.chunk_by(|a, b| a.hash == b.hash) {
        // More than one group only where hashes collide.
        let mut groups: Vec<Vec<&Canonical>> = Vec::new();
        for canonical in run {
            match groups.iter_mut().find(|group| group[0].same_bases(canonical, entries)) {
                Some(group) => group.push(canonical),
                None => groups.push(vec![canonical]),
            }
        }
        classes.extend(groups.iter().map(|group| Class::new(group, entries)));
    }
    classes.par_sort_unstable_by_key(|class| class.firsts.iter().map(|first| (first.split, first.index)).min());
    classes
}

/// The near copies of every class: how near, and which class.
fn neighbours(entries: &[Entry], classes: &[Class]) -> Vec<Vec<(f64, usize)>> {
    let kmers: Vec<Vec<u32>> =
        classes.par_iter().map(|class| scrambled_kmers(entries[class.members[0].index].codes)).collect();
    let sketch = |class: usize| kmers[class].iter().take(SKETCH).copied();
    let mut buckets: Vec<(u32, usize)> =
        (0..classes.len()).flat_map(|class| sketch(class).map(move |kmer| (kmer, class))).collect();
    buckets.par_sort_unstable();

    let earlier: Vec<Vec<(f64, usize)>> = (0..classes.len())
        .into_par_iter()
        .map(|class| {
            let mut candidates: Vec<usize> = Vec::new();
            for kmer in sketch(class) {
                let start = buckets.partition_point(|&bucket| bucket < (kmer, 0));
                let sharing = buckets[start..].iter().take(BUCKET);
                candidates.extend(sharing.take_while(|&&bucket| bucket < (kmer, class)).map(|&(_, other)| other));
            }
            candidates.sort_unstable();
            candidates.dedup();
            candidates
                .into_iter()
                .filter_map(|other| Some((near_similarity(&kmers[class], &kmers[other])?, other)))
                .collect()
        })
        .collect();

    let mut neighbours = earlier.clone();
    for (class, earlier) in earlier.iter().enumerate() {
        for &(similarity, other) in earlier {
            neighbours[other].push((similarity, class));
        }
    }
    neighbours
}

/// The distinct k-mers without unknown bases, each as the smaller of its two strands and scrambled, ascending.
fn scrambled_kmers(codes: &[u8]) -> Vec<u32> {
    let mut found = Vec::with_capacity(codes.len());
    kmers::for_each(codes, K, |kmer| found.push(scramble(kmer)));
    found.sort_unstable();
    found.dedup();
    found
}

/// The finaliser of MurmurHash3 (Appleby, 2011): puts k-mers in an order as good as random, and never makes one of two.
fn scramble(kmer: u32) -> u32 {
    let kmer = (kmer ^ (kmer >> 16)).wrapping_mul(0x85eb_ca6b);
    let kmer = (kmer ^ (kmer >> 13)).wrapping_mul(0xc2b2_ae35);
    kmer ^ (kmer >> 16)
}

/// The share of k-mers in common, if it is at least [`NEAR`].
fn near_similarity(a: &[u32], b: &[u32]) -> Option<f64> {
    if let (Some(a), Some(b)) = (a.get(..GLANCE), b.get(..GLANCE))
        && shared(a, b) < GLANCE_SHARED
    {
        return None;
    }
    let similarity = 2.0 * shared(a, b) as f64 / (a.len() + b.len()) as f64;
    (similarity >= NEAR).then_some(similarity)
}

/// How many of two ascending lists are in both.
fn shared(a: &[u32], b: &[u32]) -> usize {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    // No branches on the values, which no processor could foresee.
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    shared
}

fn collect(classes: &[Class], neighbours: &[Vec<(f64, usize)>]) -> Duplicates {
    let parts: Vec<Duplicates> = (0..classes.len())
        .into_par_iter()
        .filter(|&class| classes[class].members.len() > 1 || !neighbours[class].is_empty())
        .map(|class| copies_of(&classes[class], classes, &neighbours[class]))
        .collect();
    let mut all = Duplicates::default();
    for part in parts {
        all.leaks.extend(part.leaks);
        all.test_in_valid.extend(part.test_in_valid);
        all.conflicts.extend(part.conflicts);
        for (sum, count) in all.repeats.iter_mut().zip(part.repeats) {
            *sum += count;
        }
    }
    for matches in [&mut all.leaks, &mut all.test_in_valid, &mut all.conflicts] {
        matches.sort_unstable_by_key(|found| found.index);
    }
    all
}

/// The copies that the members of one class have.
fn copies_of(class: &Class, classes: &[Class], neighbours: &[(f64, usize)]) -> Duplicates {
    let near = near_members(classes, neighbours);
    let best = |member: &Member, fits: &dyn Fn(&Member) -> bool| {
        class.exact(member, fits).or_else(|| {
            let &(similarity, other) = near.iter().find(|(_, other)| fits(other))?;
            Some(Match { index: member.index, other: other.index, kind: Kind::Near, similarity })
        })
    };
    let mut copies = Duplicates::default();
    for member in &class.members {
        if member.split > 0 {
            copies.leaks.extend(best(member, &|other| other.split == 0));
        }
        if member.split > 1 {
            copies.test_in_valid.extend(best(member, &|other| other.split == 1));
        }
        let earlier = |other: &Member| other.index < member.index;
        copies.conflicts.extend(best(member, &|other| earlier(other) && other.label != member.label));
        let alike = |other: &Member| (other.split, other.label) == (member.split, member.label);
        if let Some(repeat) = best(member, &|other| earlier(other) && alike(other)) {
            copies.repeats[repeat.kind as usize] += 1;
        }
    }
    copies
}

/// The members of near classes, the best first. Of those with one split and label only such as stand before all better
/// ones, as no others can be the best there is before some sequence: a class and its neighbours may both be large.
fn near_members(classes: &[Class], neighbours: &[(f64, usize)]) -> Vec<(f64, Member)> {
    let mut near: Vec<(f64, Member)> = neighbours
        .iter()
        .flat_map(|&(similarity, class)| classes[class].firsts.iter().map(move |&member| (similarity, member)))
        .collect();
    near.sort_unstable_by(|(a, x), (b, y)| b.total_cmp(a).then(x.index.cmp(&y.index)));
    let mut earliest: BTreeMap<(u8, u32), usize> = BTreeMap::new();
    near.retain(|(_, member)| {
        let earliest = earliest.entry((member.split, member.label)).or_insert(usize::MAX);
        let kept = member.index < *earliest;
        *earliest = member.index.min(*earliest);
        kept
    });
    near
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::alphabet::UNKNOWN;

    fn find_exact(entries: &[Entry]) -> Duplicates {
        let mut copies = ExactCopies::default();
        entries.iter().for_each(|entry| copies.push(*entry));
        copies.finish()
    }
    use crate::random::{Generator, Purpose, generator};
    use proptest::prelude::*;
    use rand::RngExt;
    use rand::seq::SliceRandom;
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    fn bases(length: usize, random: &mut Generator) -> Vec<u8> {
        (0..length).map(|_| random.random_range(0..4)).collect()
    }

    fn other_strand(codes: &[u8]) -> Vec<u8> {
        let mut codes = codes.to_vec();
        alphabet::reverse_complement(&mut codes);
        codes
    }

    /// Another base at exactly `changes` places.
    fn substituted(codes: &[u8], changes: usize, random: &mut Generator) -> Vec<u8> {
        let mut places: Vec<usize> = (0..codes.len()).collect();
        places.shuffle(random);
        let mut codes = codes.to_vec();
        for &place in &places[..changes] {
            codes[place] = (codes[place] + random.random_range(1..4)) % 4;
        }
        codes
    }

    fn entries(sequences: &[(Vec<u8>, u8, u32)]) -> Vec<Entry<'_>> {
        sequences.iter().map(|(codes, split, label)| Entry { codes, split: *split, label: *label }).collect()
    }

    fn pair(a: &[u8], b: &[u8]) -> Duplicates {
        find(&[Entry { codes: a, split: 0, label: 0 }, Entry { codes: b, split: 2, label: 0 }])
    }

    fn exact(index: usize, other: usize, kind: Kind) -> Match {
        Match { index, other, kind, similarity: 1.0 }
    }

    #[test]
    fn planted_copies_are_found_and_no_others() {
        let mut random = generator(1, Purpose::Simulate, 0, 0);
        let train: Vec<Vec<u8>> = (0..500).map(|_| bases(200, &mut random)).collect();
        let mut sequences: Vec<(Vec<u8>, u8, u32)> = train.iter().map(|codes| (codes.clone(), 0, 0)).collect();
        let mut leaks = Vec::new();
        for (i, codes) in train.iter().enumerate().take(300) {
            let index = sequences.len();
            let (codes, kind) = match i % 3 {
                0 => (codes.clone(), Some(Kind::Identical)),
                1 => (other_strand(codes), Some(Kind::ReverseComplement)),
                _ => (bases(200, &mut random), None),
            };
            sequences.push((codes, 1 + (i % 2) as u8, 0));
            leaks.extend(kind.map(|kind| exact(index, i, kind)));
        }
        let expected = Duplicates { leaks, ..Default::default() };
        assert_eq!(find_exact(&entries(&sequences)), expected);
        assert_eq!(find(&entries(&sequences)), expected);
    }

    #[test]
    fn copies_with_a_few_substitutions_are_near_on_either_strand() {
        for length in [128, 200, 400] {
            let mut found = 0;
            for case in 0..256 {
                let mut random = generator(case, Purpose::Simulate, length as u64, 1);
                let codes = bases(length, &mut random);
                let mut copy = substituted(&codes, length * 3 / 100, &mut random);
                if case % 2 == 1 {
                    copy = other_strand(&copy);
                }
                found += pair(&codes, &copy).leaks.iter().filter(|leak| leak.kind == Kind::Near).count();
            }
            assert!(found >= 254, "{found} of 256 with {length} bp");
        }
    }

    #[test]
    fn windows_that_overlap_are_near_on_either_strand() {
        let mut found = 0;
        for case in 0..256 {
            let mut random = generator(case, Purpose::Simulate, 0, 2);
            let codes = bases(220, &mut random);
            let copy = if case % 2 == 1 { other_strand(&codes[20..]) } else { codes[20..].to_vec() };
            found += pair(&codes[..200], &copy).leaks.iter().filter(|leak| leak.kind == Kind::Near).count();
        }
        assert!(found >= 254, "{found} of 256");
    }

    #[test]
    fn windows_are_near_while_half_of_their_kmers_are_in_common() {
        let codes = bases(400, &mut generator(1, Purpose::Simulate, 0, 3));
        let similarity =
            |shift: usize| pair(&codes[..200], &codes[shift..shift + 200]).leaks.first().map(|leak| leak.similarity);
        // A window of 200 bp has 189 12-mers.
        assert_eq!(similarity(20), Some(169.0 / 189.0));
        assert_eq!(similarity(110), None);
    }

    proptest! {
        #[test]
        fn the_similarity_is_the_share_of_kmers_in_common(seed: u64, length in 12usize..400, changes in 0usize..12) {
            let mut random = generator(seed, Purpose::Simulate, 0, 0);
            let mut a = bases(length, &mut random);
            let mut b = substituted(&a, changes, &mut random);
            a[random.random_range(0..length)] = UNKNOWN;
            b[random.random_range(0..length)] = UNKNOWN;
            let kmers = |codes: &[u8]| -> HashSet<Vec<u8>> {
                let known = codes.windows(12).filter(|kmer| !kmer.contains(&UNKNOWN));
                known.map(|kmer| kmer.to_vec().min(other_strand(kmer))).collect()
            };
            let (in_a, in_b) = (kmers(&a), kmers(&b));
            let expected = 2.0 * in_a.intersection(&in_b).count() as f64 / (in_a.len() + in_b.len()).max(1) as f64;
            let found = near_similarity(&scrambled_kmers(&a), &scrambled_kmers(&b));
            prop_assert_eq!(found, (expected >= NEAR).then_some(expected));
        }

        /// Sequences so short that most have copies, against what the definitions say of every pair.
        #[test]
        fn exact_copies_are_what_comparing_all_pairs_finds(
            mut sequences in prop::collection::vec((prop::collection::vec(0u8..5, 1..3), 0u8..3, 0u32..3), 0..60),
        ) {
            sequences.sort_by_key(|(_, split, _)| *split);
            let entries = entries(&sequences);
            let best = |index: usize, fits: &dyn Fn(&Entry, usize) -> bool| {
                let kind = |other: &Entry| match entries[index].codes {
                    codes if codes == other.codes => Some(Kind::Identical),
                    codes if other_strand(codes) == other.codes => Some(Kind::ReverseComplement),
                    _ => None,
                };
                let copies = entries.iter().enumerate().filter(|&(other, entry)| other != index && fits(entry, other));
                let best = copies.filter_map(|(other, entry)| Some((kind(entry)?, other))).min();
                best.map(|(kind, other)| exact(index, other, kind))
            };
            let mut expected = Duplicates::default();
            for (index, entry) in entries.iter().enumerate() {
                expected.leaks.extend(best(index, &|other, _| entry.split > 0 && other.split == 0));
                expected.test_in_valid.extend(best(index, &|other, _| entry.split == 2 && other.split == 1));
                expected.conflicts.extend(best(index, &|other, i| i < index && other.label != entry.label));
                if let Some(repeat) =
                    best(index, &|other, i| i < index && (other.split, other.label) == (entry.split, entry.label))
                {
                    expected.repeats[repeat.kind as usize] += 1;
                }
            }
            prop_assert_eq!(find_exact(&entries), expected);
        }
    }

    #[test]
    fn unrelated_sequences_have_no_copies() {
        let mut random = generator(4, Purpose::Simulate, 0, 0);
        let sequences: Vec<_> = (0..5000).map(|i| (bases(200, &mut random), (i % 3) as u8, (i % 2) as u32)).collect();
        assert_eq!(find(&entries(&sequences)), Duplicates::default());
    }

    #[test]
    fn a_copy_with_another_label_conflicts_once_for_each_later_sequence() {
        let mut random = generator(5, Purpose::Simulate, 0, 0);
        let (a, b) = (bases(200, &mut random), bases(200, &mut random));
        let near = substituted(&a, 4, &mut random);
        let sequences = [
            (a.clone(), 2, 1),
            (b.clone(), 0, 0),
            (other_strand(&a), 0, 0),
            (a.clone(), 0, 1),
            (b, 0, 0),
            (near, 1, 0),
            (a, 0, 7),
        ];
        let found = find(&entries(&sequences));
        let conflicts: Vec<_> = found.conflicts.iter().map(|found| (found.index, found.other, found.kind)).collect();
        assert_eq!(
            conflicts,
            [
                (2, 0, Kind::ReverseComplement),
                (3, 2, Kind::ReverseComplement),
                (5, 0, Kind::Near),
                (6, 0, Kind::Identical),
            ]
        );
        let leaks: Vec<_> = found.leaks.iter().map(|found| (found.index, found.other, found.kind)).collect();
        assert_eq!(leaks, [(0, 3, Kind::Identical), (5, 2, Kind::Near)]);
        let in_valid: Vec<_> = found.test_in_valid.iter().map(|found| (found.index, found.other)).collect();
        assert_eq!(in_valid, [(0, 5)]);
        assert_eq!(found.repeats, [1, 0, 0]);
    }

    #[test]
    fn repeats_count_later_copies_within_a_split_and_label() {
        let mut random = generator(6, Purpose::Simulate, 0, 0);
        let a = bases(200, &mut random);
        let near = substituted(&a, 4, &mut random);
        let sequences = [
            (a.clone(), 0, 0),
            (other_strand(&a), 0, 0),
            (a.clone(), 0, 0),
            (near.clone(), 0, 0),
            (near, 0, 0),
            (a, 1, 0),
        ];
        assert_eq!(find(&entries(&sequences)).repeats, [2, 1, 1]);
        assert_eq!(find_exact(&entries(&sequences)).repeats, [2, 1, 0]);
    }

    #[test]
    fn a_palindrome_is_identical_to_itself() {
        let half = bases(100, &mut generator(7, Purpose::Simulate, 0, 0));
        let palindrome = [half.clone(), other_strand(&half)].concat();
        assert_eq!(pair(&palindrome, &other_strand(&palindrome)).leaks, [exact(1, 0, Kind::Identical)]);
    }

    #[test]
    fn short_empty_and_unknown_sequences_have_exact_copies_only() {
        let copies = |a: &[u8], b: &[u8]| pair(a, b).leaks.first().map(|leak| leak.kind);
        assert_eq!(copies(&[], &[]), Some(Kind::Identical));
        assert_eq!(copies(&[0, 1, 2, 4], &[4, 1, 2, 3]), Some(Kind::ReverseComplement));
        assert_eq!(copies(&[0, 1, 2, 4], &[0, 1, 2, 3]), None);
        assert_eq!(copies(&[4; 200], &[4; 199]), None);
        assert_eq!(find(&[]), Duplicates::default());
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let mut random = generator(8, Purpose::Simulate, 0, 0);
        let families: Vec<Vec<u8>> = (0..100).map(|_| bases(200, &mut random)).collect();
        let sequences: Vec<_> = (0..2000u32)
            .map(|i| {
                let changes = random.random_range(0..8);
                let codes = substituted(&families[random.random_range(0..100)], changes, &mut random);
                (if i % 2 == 0 { codes } else { other_strand(&codes) }, (i % 3) as u8, i % 5 / 3)
            })
            .collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| find(&entries(&sequences)))
        };
        let one = with(1);
        assert!(one.leaks.len() > 1000 && one.conflicts.len() > 1000);
        assert_eq!(one, with(2));
        assert_eq!(one, with(7));
    }

    #[test]
    fn low_complexity_sequence_does_not_take_the_square_of_its_number() {
        let mut random = generator(9, Purpose::Simulate, 0, 0);
        let sequences: Vec<_> = (0..20_000)
            .map(|i| {
                let length = 128 + i % 273;
                let codes: Vec<u8> = (0..length).map(|place| if i % 2 == 0 { 0 } else { (place % 2) as u8 }).collect();
                // A third are copies, the others differ in a few bases.
                let codes = substituted(&codes, i % 3, &mut random);
                (codes, (i % 5 / 3) as u8, (i % 7 / 5) as u32)
            })
            .collect();
        let start = Instant::now();
        let found = find(&entries(&sequences));
        // Four seconds without optimisation on two busy cores; all pairs would take minutes.
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        assert!(found.leaks.len() > 7900, "{}", found.leaks.len());
    }
}
