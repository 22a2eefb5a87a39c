//! How similar sequences are by the k-mers that they share on either strand, in memory that is bounded: clusters of sequences
//! that are similar, and how similar each is to the nearest of others. Needs no alignment.

use rayon::prelude::*;

use crate::random;
use crate::sequence::{alphabet, kmers};

/// Bases in a k-mer. There are 8 million 12-mers if both strands count as one, so unrelated sequences share few.
const K: usize = 12;
/// Numbers that a k-mer can have.
const SLOTS: usize = 1 << (2 * K);
/// Of these, as many occur as the smaller of two strands.
const DISTINCT: f64 = (SLOTS / 2) as f64;

/// The most places of k-mers that an index holds: 256 MiB. Of more sequences, clusters take a sample of k-mers.
const MOST_PLACES: usize = 1 << 26;

/// Sequences that are kept for each k-mer, the first ones: poly-A and families of repeats would cost the square of their number.
/// The earliest members of a family keep all of their k-mers, so later ones are linked to them.
const OF_EACH: u32 = 64;
/// The same where the nearest sequence is looked for.
const OF_EACH_NEAREST: u32 = 256;

/// Pairs of one sequence that may reach the fewest k-mers by chance.
const BY_CHANCE: f64 = 0.02;

/// Sequences that are looked up at a time.
const BATCH: usize = 4096;

/// Sequences, `[n]`, read by index.
pub trait Source: Sync {
    /// Number of sequences.
    fn count(&self) -> usize;

    /// Puts the codes of a sequence, without case, into `codes`.
    fn codes(&self, index: usize, codes: &mut Vec<u8>);
}

/// Codes `[n, length]`, one after another.
pub struct OfOneLength<'a> {
    /// All of them.
    pub codes: &'a [u8],
    /// Of each, in bp.
    pub length: usize,
}

impl Source for OfOneLength<'_> {
    fn count(&self) -> usize {
        self.codes.len() / self.length.max(1)
    }

    fn codes(&self, index: usize, codes: &mut Vec<u8>) {
        codes.clear();
        codes.extend_from_slice(&self.codes[index * self.length..(index + 1) * self.length]);
    }
}

/// The cluster of each sequence, named by its first member: sequences of which at least a share of `threshold` of the distinct
/// 12-mers is in common, `2 |A ∩ B| / (|A| + |B|)`, or that are linked by such (single linkage). Where the share comes to fewer
/// k-mers than unrelated sequences share by chance, more are needed.
///
/// A hundred thousand sequences of 200 bp take a few seconds. Beyond 67 million k-mers a fixed sample of them is compared, the
/// same for all, so memory stays below 400 MB and 8 bytes for each sequence.
pub fn clusters(sequences: &impl Source, threshold: f64) -> Vec<usize> {
    let n = sequences.count();
    let all: usize = (0..n).into_par_iter().map_init(Vec::new, |codes, i| length_of(sequences, i, codes)).sum();
    let sample = Sample::of(all);
    let index = Index::new(sequences, 0..n, OF_EACH, sample);
    let mut parents: Vec<u32> = (0..n as u32).collect();
    for first in (0..n).step_by(BATCH) {
        let links: Vec<Vec<u32>> = (first..(first + BATCH).min(n))
            .into_par_iter()
            .map_init(
                || Lookup::new(n),
                |lookup, i| {
                    let own = lookup.read(sequences, i, sample);
                    let mut links = Vec::new();
                    lookup.shared(&index, i as u32, |other, shared| {
                        let sizes = (own, index.sizes[other as usize] as usize);
                        if shared as f64 >= fewest_shared(sizes, n, threshold, sample.share()) {
                            links.push(other);
                        }
                    });
                    links
                },
            )
            .collect();
        for (i, links) in (first..).zip(links) {
            for other in links {
                let (a, b) = (root(&mut parents, i as u32), root(&mut parents, other));
                parents[a.max(b) as usize] = a.min(b);
            }
        }
    }
    // Sequences without k-mers, as short ones, are clusters of equal ones all the same.
    join_equal(sequences, &mut parents);
    (0..n as u32).map(|i| root(&mut parents, i) as usize).collect()
}

/// The k-mers that two sequences must share, of `sizes` distinct ones each, to be similar: the share asked for, and more than
/// unrelated ones of `n` sequences share. A chance match of one k-mer goes on for m more bases once in 4^m times.
fn fewest_shared((a, b): (usize, usize), n: usize, threshold: f64, sampled: f64) -> f64 {
    let (a, b) = (a as f64 / sampled, b as f64 / sampled);
    let chance = n as f64 * a * b / DISTINCT / BY_CHANCE;
    let beyond_chance = 2.0 + chance.max(1.0).log(4.0);
    // Copies of one short sequence have all of their few k-mers in common, which is more than chance too.
    (threshold * (a + b) / 2.0).max(beyond_chance.min(a.min(b) * 0.9)).max(1.0) * sampled
}

/// How similar each of some sequences is to the nearest of others: the share of distinct 12-mers in common, 0 to 1. K-mers of more
/// than 256 of the others count for the first of these alone, so among large families of repeats it may be more.
pub fn nearest(sequences: &impl Source, others: &impl Source) -> Vec<f64> {
    let n = sequences.count();
    let mut nearest = vec![0.0f64; n];
    let (mut first, mut codes) = (0, Vec::new());
    while first < others.count() {
        let (mut end, mut places) = (first, 0);
        while end < others.count() && (end == first || places < MOST_PLACES) {
            places += length_of(others, end, &mut codes);
            end += 1;
        }
        let index = Index::new(others, first..end, OF_EACH_NEAREST, Sample::ALL);
        nearest.par_iter_mut().enumerate().for_each_init(
            || Lookup::new(end - first),
            |lookup, (i, nearest)| {
                let own = lookup.read(sequences, i, Sample::ALL);
                lookup.shared(&index, u32::MAX, |other, shared| {
                    let both = own + index.sizes[other as usize] as usize;
                    *nearest = nearest.max(2.0 * f64::from(shared) / both as f64);
                });
            },
        );
        first = end;
    }
    nearest
}

fn length_of(sequences: &impl Source, i: usize, codes: &mut Vec<u8>) -> usize {
    sequences.codes(i, codes);
    codes.len().saturating_sub(K - 1)
}

fn root(parents: &mut [u32], mut of: u32) -> u32 {
    while parents[of as usize] != of {
        parents[of as usize] = parents[parents[of as usize] as usize];
        of = parents[of as usize];
    }
    of
}

/// Joins sequences that are equal, on either strand.
fn join_equal(sequences: &impl Source, parents: &mut [u32]) {
    let hash = |codes: &mut Vec<u8>, i: usize| {
        sequences.codes(i, codes);
        (canonical_hash(codes), i as u32)
    };
    let mut hashes: Vec<(u64, u32)> = (0..parents.len()).into_par_iter().map_init(Vec::new, hash).collect();
    hashes.par_sort_unstable();
    for pair in hashes.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let (a, b) = (root(parents, pair[0].1), root(parents, pair[1].1));
        parents[a.max(b) as usize] = a.min(b);
    }
}

/// A hash of the smaller of a sequence, without case, and its reverse complement.
pub fn canonical_hash(codes: &[u8]) -> u64 {
    let mut other = codes.to_vec();
    alphabet::reverse_complement(&mut other);
    random::hash(if other.as_slice() < codes { &other } else { codes })
}

/// Which k-mers are compared: those whose scrambled number is below a limit.
#[derive(Clone, Copy)]
struct Sample {
    below: u32,
}

impl Sample {
    const ALL: Self = Self { below: SLOTS as u32 };

    /// Few enough of `all` places.
    fn of(all: usize) -> Self {
        let share = (MOST_PLACES as f64 / all.max(1) as f64).min(1.0);
        Self { below: (share * SLOTS as f64) as u32 }
    }

    fn share(self) -> f64 {
        f64::from(self.below) / SLOTS as f64
    }

    fn has(self, kmer: u32) -> bool {
        // An odd multiplier takes no two numbers of 24 bits to one.
        self.below == SLOTS as u32 || kmer.wrapping_mul(0x009e_3779) & (SLOTS as u32 - 1) < self.below
    }
}

/// The distinct k-mers without unknown bases, each as the smaller of its two strands, ascending.
fn distinct_kmers(codes: &[u8], sample: Sample, found: &mut Vec<u32>) {
    found.clear();
    kmers::for_each(codes, K, |kmer| found.extend(Some(kmer).filter(|kmer| sample.has(*kmer))));
    found.sort_unstable();
    found.dedup();
}

/// Up to so many places, the k-mers that there are are listed; beyond, there is a slot for each that there can be.
const MOST_LISTED: usize = 1 << 20;

/// The first sequences that have each k-mer.
struct Index {
    /// The k-mers that there are, ascending, where they are listed.
    listed: Option<Vec<u32>>,
    /// Where the places of a k-mer begin, `[slots + 1]`.
    starts: Vec<u32>,
    /// Indices of sequences, counted from the first of the index.
    places: Vec<u32>,
    /// Distinct k-mers of each sequence.
    sizes: Vec<u32>,
}

impl Index {
    fn new(sequences: &impl Source, range: std::ops::Range<usize>, of_each: u32, sample: Sample) -> Self {
        let mut codes = Vec::new();
        let few = range.len() <= MOST_LISTED / 8
            && range.clone().map(|i| length_of(sequences, i, &mut codes)).sum::<usize>() <= MOST_LISTED;
        let listed = few.then(|| {
            let mut all = Vec::new();
            each_kmers(sequences, range.clone(), sample, |_, kmers| all.extend_from_slice(kmers));
            all.sort_unstable();
            all.dedup();
            all
        });
        let slots = listed.as_ref().map_or(SLOTS, Vec::len);
        let slot_of = |kmer: u32| match &listed {
            Some(listed) => listed.partition_point(|&other| other < kmer),
            None => kmer as usize,
        };
        let mut starts = vec![0u32; slots + 1];
        let mut sizes = Vec::with_capacity(range.len());
        each_kmers(sequences, range.clone(), sample, |_, kmers| {
            sizes.push(kmers.len() as u32);
            for &kmer in kmers {
                let count = &mut starts[slot_of(kmer) + 1];
                *count = (*count + 1).min(of_each);
            }
        });
        for slot in 0..slots {
            starts[slot + 1] += starts[slot];
        }
        let mut places = vec![0u32; starts[slots] as usize];
        let mut fill = vec![0u16; slots];
        each_kmers(sequences, range, sample, |i, kmers| {
            for &kmer in kmers {
                let slot = slot_of(kmer);
                let place = starts[slot] + u32::from(fill[slot]);
                if place < starts[slot + 1] {
                    places[place as usize] = i as u32;
                    fill[slot] += 1;
                }
            }
        });
        Self { listed, starts, places, sizes }
    }

    fn of(&self, kmer: u32) -> &[u32] {
        let slot = match &self.listed {
            Some(listed) => match listed.binary_search(&kmer) {
                Ok(slot) => slot,
                Err(_) => return &[],
            },
            None => kmer as usize,
        };
        &self.places[self.starts[slot] as usize..self.starts[slot + 1] as usize]
    }
}

/// Hands the k-mers of sequences to `each`, in order, with their number in the range; they are found in parallel.
fn each_kmers(
    sequences: &impl Source,
    range: std::ops::Range<usize>,
    sample: Sample,
    mut each: impl FnMut(usize, &[u32]),
) {
    for first in range.clone().step_by(BATCH) {
        let batch: Vec<Vec<u32>> = (first..(first + BATCH).min(range.end))
            .into_par_iter()
            .map_init(Vec::new, |codes, i| {
                let mut found = Vec::new();
                sequences.codes(i, codes);
                distinct_kmers(codes, sample, &mut found);
                found
            })
            .collect();
        batch.iter().enumerate().for_each(|(i, kmers)| each(first - range.start + i, kmers));
    }
}

/// What one thread needs to look sequences up.
struct Lookup {
    codes: Vec<u8>,
    kmers: Vec<u32>,
    /// K-mers shared with each sequence of the index.
    counts: Vec<u16>,
    touched: Vec<u32>,
}

impl Lookup {
    fn new(n: usize) -> Self {
        Self { codes: Vec::new(), kmers: Vec::new(), counts: vec![0; n], touched: Vec::new() }
    }

    /// Takes a sequence; returns the number of its distinct k-mers.
    fn read(&mut self, sequences: &impl Source, i: usize, sample: Sample) -> usize {
        sequences.codes(i, &mut self.codes);
        distinct_kmers(&self.codes, sample, &mut self.kmers);
        self.kmers.len()
    }

    /// Hands each sequence of the index before `before` that shares k-mers with the one read, with their number, to `each`.
    fn shared(&mut self, index: &Index, before: u32, mut each: impl FnMut(u32, u16)) {
        for &kmer in &self.kmers {
            for &other in index.of(kmer).iter().take_while(|&&other| other < before) {
                let count = &mut self.counts[other as usize];
                if *count == 0 {
                    self.touched.push(other);
                }
                *count = count.saturating_add(1);
            }
        }
        for other in self.touched.drain(..) {
            each(other, std::mem::take(&mut self.counts[other as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use rand::RngExt;

    use super::*;
    use crate::random::{Generator, Purpose, generator};

    const LENGTH: usize = 200;

    fn bases(random: &mut Generator) -> Vec<u8> {
        (0..LENGTH).map(|_| random.random_range(0..4)).collect()
    }

    /// A copy with a share of its bases drawn anew, on either strand.
    fn relative(codes: &[u8], share: f64, random: &mut Generator) -> Vec<u8> {
        let mut copy: Vec<u8> = codes
            .iter()
            .map(|&code| if random.random_bool(share) { random.random_range(0..4) } else { code })
            .collect();
        if random.random_bool(0.5) {
            alphabet::reverse_complement(&mut copy);
        }
        copy
    }

    fn of(codes: &[Vec<u8>]) -> Vec<u8> {
        codes.concat()
    }

    #[test]
    fn families_are_found_whole_and_strangers_stay_apart() {
        let mut random = generator(1, Purpose::Simulate, 0, 0);
        for share in [0.0, 0.05, 0.1] {
            let mut sequences = Vec::new();
            for _ in 0..100 {
                let ancestor = bases(&mut random);
                sequences.extend((0..20).map(|_| relative(&ancestor, share, &mut random)));
            }
            let found = clusters(&OfOneLength { codes: &of(&sequences), length: LENGTH }, 0.05);
            let whole = (0..sequences.len()).filter(|i| found[*i] == i / 20 * 20).count();
            assert!(whole >= 1990, "{whole} of 2000 with {share} of the bases drawn anew");
            assert!((0..sequences.len()).all(|i| found[i] / 20 == i / 20), "no two families are one");
        }
    }

    #[test]
    fn order_changes_nothing_about_who_is_together() {
        let mut random = generator(2, Purpose::Simulate, 0, 0);
        let mut sequences: Vec<Vec<u8>> = Vec::new();
        for _ in 0..20 {
            let ancestor = bases(&mut random);
            sequences.extend((0..5).map(|_| relative(&ancestor, 0.05, &mut random)));
        }
        let clusters =
            |sequences: &[Vec<u8>]| super::clusters(&OfOneLength { codes: &of(sequences), length: LENGTH }, 0.05);
        let forward = clusters(&sequences);
        sequences.reverse();
        let mut backward = clusters(&sequences);
        backward.reverse();
        let mut names: HashMap<usize, usize> = HashMap::new();
        for (one, other) in forward.iter().zip(&backward) {
            assert_eq!(names.entry(*one).or_insert(*other), other);
        }
    }

    #[test]
    fn a_share_that_is_asked_for_is_kept_to() {
        let mut random = generator(3, Purpose::Simulate, 0, 0);
        let one = bases(&mut random);
        // The first half of one sequence and nothing else of it.
        let half: Vec<u8> = one[..100].iter().copied().chain((0..100).map(|_| random.random_range(0..4))).collect();
        let codes = of(&[one, half]);
        let together = |share| clusters(&OfOneLength { codes: &codes, length: LENGTH }, share) == [0, 0];
        assert!(together(0.4) && !together(0.5));
        let sequences = OfOneLength { codes: &codes, length: LENGTH };
        let found = nearest(&OfOneLength { codes: &codes[LENGTH..], length: LENGTH }, &sequences);
        assert_eq!(found, [1.0]);
        let found = nearest(
            &OfOneLength { codes: &codes[LENGTH..], length: LENGTH },
            &OfOneLength { codes: &codes[..LENGTH], length: LENGTH },
        );
        assert!((found[0] - 89.0 / 189.0).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn what_is_too_short_for_a_kmer_is_joined_where_it_is_equal() {
        // The third is the second on the other strand.
        let codes = [0, 1, 2, 3, 3, 3, 0, 0, 0, 0, 1, 2];
        let found = clusters(&OfOneLength { codes: &codes, length: 3 }, 0.05);
        assert_eq!(found, [0, 1, 1, 0]);
        let found = nearest(&OfOneLength { codes: &codes, length: 3 }, &OfOneLength { codes: &codes, length: 3 });
        assert_eq!(found, [0.0; 4]);
        assert_eq!(clusters(&OfOneLength { codes: &[], length: 3 }, 0.05), [0; 0]);
    }

    #[test]
    fn a_hundred_thousand_sequences_take_seconds_also_where_they_are_repetitive() {
        let mut random = generator(4, Purpose::Simulate, 0, 0);
        let ancestor = bases(&mut random);
        let sequences: Vec<Vec<u8>> = (0..100_000)
            .map(|i| match i % 10 {
                0 => relative(&ancestor, 0.15, &mut random),
                1 => vec![(i % 4) as u8; LENGTH],
                _ => bases(&mut random),
            })
            .collect();
        let codes = of(&sequences);
        let started = Instant::now();
        let found = clusters(&OfOneLength { codes: &codes, length: LENGTH }, 0.05);
        // Ten seconds on two cores, optimised or not, and a margin for a busy machine.
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        let of_family = (0..100_000).filter(|i| i % 10 == 0 && found[*i] == 0).count();
        assert!(of_family > 9_900, "{of_family} of 10,000");
        let strangers = (0..100_000).filter(|i| i % 10 > 1 && found[*i] != *i).count();
        assert!(strangers < 2_000, "{strangers} of 80,000 are with others by chance");
    }
}
