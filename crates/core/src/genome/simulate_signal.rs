//! A genome with reads whose every cause is known: motifs that raise the counts of a region and leave footprints, and the preference of
//! the enzyme that cuts. What a network makes of the reads can be held against it.
//!
//! A base of the genome gets a Poisson number of reads with the mean `(background + peaks) * preference`. A peak is a bump around the
//! middle of the motifs planted in it, so that the sequence says where it lies. Its reads are multiplied by the strength of each of
//! them, and around each by its footprint. The preference depends on the bases around the cut alone, in the same way on either strand,
//! as that of Tn5 does.

pub mod fragments;

use std::ops::Range;

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::Serialize;

use crate::genome::Chromosome;
use crate::random::{self, Generator, Purpose};
use crate::sequence::alphabet;

/// Chromosomes with their lengths in bp, by names of which the default split gives some to each part.
const CHROMOSOMES: [(&str, usize); 5] =
    [("chr1", 6_000_000), ("chr6", 2_500_000), ("chr10", 5_000_000), ("chr11", 3_500_000), ("chr17", 3_000_000)];

/// Distance between the places where motifs are planted, in bp: so far apart that most of the genome is background.
const BETWEEN: Range<usize> = 2_500..5_500;

/// Bases at either end of a chromosome without a peak.
const MARGIN: usize = 1_500;

/// Half the length of a region in the list of peaks, in bp.
const HALF_REGION: usize = 250;

/// Standard deviation of the bump around a summit, in bp.
const BUMP_BP: f64 = 80.0;

/// Reads of a peak without any motif, and of a base far from all peaks, on average.
const READS: f64 = 25.0;
const BACKGROUND: f64 = 0.01;

/// Motifs lie within so many bp of such a place, and so many apart from each other.
const WITHIN: usize = 90;
const APART: usize = 30;

/// Most motifs of a peak; there is one at least.
const MOST_MOTIFS: usize = 3;

/// A motif with what it does to the reads around it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Motif {
    /// Its only word.
    pub word: &'static str,
    /// Reads of a peak are multiplied by this for each of its sites.
    pub strength: f64,
    /// Reads on the word itself are multiplied by this.
    pub inside: f64,
    /// Reads on the ten bases at either side are multiplied by this.
    pub beside: f64,
}

/// Bases at either side of a word that its footprint reaches to.
const SHOULDER: usize = 10;

/// The motifs: one that is strong with a deep footprint, one that is weaker with a shallow one, and one without.
pub const MOTIFS: [Motif; 3] = [
    Motif { word: "TGACTCATGC", strength: 3.0, inside: 0.1, beside: 2.0 },
    Motif { word: "CCGGAAGTGA", strength: 2.0, inside: 0.4, beside: 1.4 },
    Motif { word: "ACAATAGCGT", strength: 1.5, inside: 1.0, beside: 1.0 },
];

/// What the enzyme prefers at each distance from the cut, 0 to 4 bases, as logarithms for A, C, G and T; on the other side it is the
/// complement. At the cut itself it cannot tell the strands apart.
pub const PREFERENCE: [[f64; 4]; 5] = [
    [0.2, -0.2, -0.2, 0.2],
    [0.5, -0.6, 0.4, -0.3],
    [-0.4, 0.1, 0.6, -0.3],
    [-0.2, 0.5, -0.5, 0.2],
    [0.3, -0.3, -0.2, 0.2],
];

/// A planted motif.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Positions in the chromosome in bp, 0-based and half-open.
    pub range: Range<usize>,
    /// Index of the motif.
    pub motif: usize,
    /// Whether it was planted as its reverse complement.
    pub reverse: bool,
}

/// A region of many reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// Middle of the bump, 0-based.
    pub summit: usize,
    /// Reads to expect in its region, with the background.
    pub expected: f64,
    /// Reads drawn in its region.
    pub reads: f64,
}

/// A chromosome with its reads.
#[derive(Clone, Debug)]
pub struct SignalChromosome {
    /// Name and length.
    pub chromosome: Chromosome,
    /// Codes of the bases, `[length]`.
    pub codes: Vec<u8>,
    /// In order.
    pub peaks: Vec<Peak>,
    /// In order.
    pub sites: Vec<Site>,
    /// Reads drawn, `[length]`.
    pub reads: Vec<f32>,
    /// Reads to expect, `[length]`.
    pub expected: Vec<f32>,
    /// Reads to expect of an enzyme without a preference, `[length]`.
    pub unbiased: Vec<f32>,
}

/// The region of a summit, which lies well inside its chromosome.
pub fn region(summit: usize) -> Range<usize> {
    summit - HALF_REGION..summit + HALF_REGION
}

/// Simulates the genome; the same seed gives the same.
pub fn genome(seed: u64) -> Vec<SignalChromosome> {
    let stream = random::hash(b"signal");
    let of = |(i, &(name, length)): (usize, &(&str, usize))| {
        chromosome(name, length, &mut random::generator(seed, Purpose::Simulate, stream, i as u64))
    };
    CHROMOSOMES.par_iter().enumerate().map(of).collect()
}

fn chromosome(name: &str, length: usize, random: &mut Generator) -> SignalChromosome {
    let mut codes: Vec<u8> = (0..length).map(|_| random.random_range(0..4)).collect();
    let (mut sites, mut unbiased) = (Vec::new(), vec![BACKGROUND; length]);
    let mut summits = Vec::new();
    let mut place = MARGIN + WITHIN;
    while place + MARGIN + WITHIN < length {
        let own = plant(&mut codes, place, random);
        let summit = own.iter().map(|site| (site.range.start + site.range.end) / 2).sum::<usize>() / own.len();
        add_peak(&mut unbiased, summit, &own);
        sites.extend(own);
        summits.push(summit);
        place += random.random_range(BETWEEN);
    }
    let preference = preferences(&codes);
    let expected: Vec<f64> = unbiased.iter().zip(&preference).map(|(reads, preference)| reads * preference).collect();
    let mut reads: Vec<f64> = expected.iter().map(|&mean| poisson(mean, random)).collect();
    fragments::make_even(&mut reads);
    let peak = |&summit: &usize| Peak {
        summit,
        expected: expected[region(summit)].iter().sum(),
        reads: reads[region(summit)].iter().sum(),
    };
    let single = |numbers: &[f64]| numbers.iter().map(|&number| number as f32).collect();
    SignalChromosome {
        chromosome: Chromosome { name: name.to_owned(), length },
        peaks: summits.iter().map(peak).collect(),
        codes,
        sites,
        reads: single(&reads),
        expected: single(&expected),
        unbiased: single(&unbiased),
    }
}

/// Plants one to three motifs around a place, on either strand, and returns them in order.
fn plant(codes: &mut [u8], place: usize, random: &mut Generator) -> Vec<Site> {
    let mut places: Vec<usize> = (0..2 * WITHIN / APART).map(|i| place - WITHIN + i * APART).collect();
    places.shuffle(random);
    places.truncate(random.random_range(1..=MOST_MOTIFS));
    places.sort_unstable();
    let site = |place: usize| {
        let motif = random.random_range(0..MOTIFS.len());
        let reverse = random.random::<bool>();
        let start = place + random.random_range(0..APART - MOTIFS[motif].word.len());
        let mut word = Vec::new();
        alphabet::encode(MOTIFS[motif].word.as_bytes(), &mut word).expect("words are written in ACGT");
        if reverse {
            alphabet::reverse_complement(&mut word);
        }
        let range = start..start + word.len();
        codes[range.clone()].copy_from_slice(&word);
        Site { range, motif, reverse }
    };
    places.into_iter().map(site).collect()
}

/// Adds the reads of a peak with its motifs.
fn add_peak(reads: &mut [f64], summit: usize, sites: &[Site]) {
    let range = summit - MARGIN..summit + MARGIN;
    let bump = |at: usize| (-((at as f64 - summit as f64) / BUMP_BP).powi(2) / 2.0).exp();
    let whole: f64 = range.clone().map(bump).sum();
    let strength: f64 = sites.iter().map(|site| MOTIFS[site.motif].strength).product();
    for at in range {
        let footprint = |site: &Site| {
            let Motif { inside, beside, .. } = MOTIFS[site.motif];
            match () {
                () if site.range.contains(&at) => inside,
                () if (site.range.start - SHOULDER..site.range.end + SHOULDER).contains(&at) => beside,
                () => 1.0,
            }
        };
        reads[at] += READS * strength * bump(at) / whole * sites.iter().map(footprint).product::<f64>();
    }
}

/// What the enzyme prefers at each base, 1 on average over random sequence; 1 at the ends of a chromosome.
fn preferences(codes: &[u8]) -> Vec<f64> {
    let reach = PREFERENCE.len() - 1;
    let mean: f64 = std::iter::once(PREFERENCE[0])
        .chain(PREFERENCE[1..].iter().flat_map(|row| [*row; 2]))
        .map(|row| row.iter().map(|log| log.exp()).sum::<f64>() / 4.0)
        .product();
    let log = |at: usize| {
        let after = (0..=reach).map(|distance| PREFERENCE[distance][usize::from(codes[at + distance])]);
        let before =
            (1..=reach).map(|distance| PREFERENCE[distance][usize::from(alphabet::complement(codes[at - distance]))]);
        after.chain(before).sum::<f64>()
    };
    let of = |at: usize| if at < reach || at + reach >= codes.len() { 1.0 } else { log(at).exp() / mean };
    (0..codes.len()).map(of).collect()
}

/// A number with the Poisson distribution, by multiplying uniform numbers (Knuth, 1969); means of bases are small.
fn poisson(mean: f64, random: &mut Generator) -> f64 {
    let limit = (-mean).exp();
    let (mut count, mut product) = (0.0, random.random::<f64>());
    while product > limit {
        count += 1.0;
        product *= random.random::<f64>();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_those_to_expect_and_motifs_stand_where_they_are_said_to() {
        let genome = genome(1);
        assert_eq!(genome.len(), CHROMOSOMES.len());
        let chromosome = &genome[1];
        let (drawn, expected): (f64, f64) = (
            chromosome.reads.iter().map(|&reads| f64::from(reads)).sum(),
            chromosome.expected.iter().map(|&reads| f64::from(reads)).sum(),
        );
        // Six standard deviations.
        assert!((drawn - expected).abs() < 6.0 * expected.sqrt(), "{drawn} and {expected}");
        for site in &chromosome.sites {
            let mut word = chromosome.codes[site.range.clone()].to_vec();
            if site.reverse {
                alphabet::reverse_complement(&mut word);
            }
            assert_eq!(alphabet::decode(&word), MOTIFS[site.motif].word);
        }
        assert!(chromosome.sites.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        for peak in &chromosome.peaks {
            let found: f64 = chromosome.reads[region(peak.summit)].iter().map(|&reads| f64::from(reads)).sum();
            assert!((found - peak.reads).abs() < 1e-6);
            assert!((peak.reads - peak.expected).abs() < 7.0 * peak.expected.sqrt());
        }
        assert_eq!(super::genome(1)[1].reads, chromosome.reads);
        assert_ne!(super::genome(2)[1].reads, chromosome.reads);
    }

    #[test]
    fn the_preference_is_the_same_on_either_strand_and_one_on_average() {
        let mut codes: Vec<u8> = (0..200_000u64).map(|i| (random::hash(&i.to_le_bytes()) % 4) as u8).collect();
        let found = preferences(&codes);
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!(found.iter().any(|&preference| preference > 5.0) && found.iter().any(|&preference| preference < 0.2));
        alphabet::reverse_complement(&mut codes);
        let mut other = preferences(&codes);
        other.reverse();
        assert!(found.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-9 * a));
    }

    #[test]
    fn footprints_have_the_depth_that_they_are_said_to_have() {
        let mut reads = vec![0.0; 4000];
        let site = Site { range: 2000..2010, motif: 0, reverse: false };
        add_peak(&mut reads, 2005, std::slice::from_ref(&site));
        let mut without = vec![0.0; 4000];
        add_peak(&mut without, 2005, &[]);
        let ratio = |at: usize| reads[at] / without[at];
        let Motif { strength, inside, beside, .. } = MOTIFS[0];
        for (at, expected) in [(2004, inside), (1995, beside), (2012, beside), (1980, 1.0), (2030, 1.0)] {
            assert!((ratio(at) - strength * expected).abs() < 1e-9, "{at}");
        }
        assert!((without.iter().sum::<f64>() - READS).abs() < 1e-9);
    }
}
