//! Demo genomes from a model simple enough that the likelihood of a window under each species is exact, so that the
//! best possible score is known.
//!
//! A genome is a chain of independent pieces. Each piece is either one background base or one element (a word or a
//! repeat), on either strand with equal probability, copied with substitutions. That is a hidden Markov model whose
//! states are "background" and "base k of element e"; the forward algorithm (Rabiner, 1989) sums over all the ways a
//! window can have come about. The words of the two species are rearrangements of each other, and repeats and
//! background are shared, so GC content tells nothing. A chain of independent pieces reads the same from either end and
//! every element has its reverse complement beside it, so a window and its reverse complement are equally likely.

use std::ops::Range;

use rand::RngExt;
use rayon::prelude::*;

use crate::random::{self, Purpose};
use crate::sequence::alphabet::{self, UNKNOWN};

/// Prefix of the name of a simulated genome, which stands in place of a path; the species follows.
pub const SIMULATED: &str = "simulated ";

/// Share of G and C among background bases, about that of the human genome.
const BACKGROUND_GC: f64 = 0.42;

/// Substitution rate of words, per base.
const WORD_DIVERGENCE: f64 = 0.03;

/// Substitution rate of repeats, per base: that of a middle-aged Alu.
const REPEAT_DIVERGENCE: f64 = 0.12;

/// Words started per piece, both strands together. Chosen so that the best possible AUROC is near 0.95: four windows
/// in ten hold no whole word.
const WORD_RATE: f64 = 1.0 / 105.0;

/// Repeats started per piece, both strands together: a twelfth of the genome.
const REPEAT_RATE: f64 = 1.0 / 700.0;

/// Species-specific words; each of the second species is a rearrangement of one of the first.
const WORDS: [(&str, [&str; 2]); 2] =
    [("human", ["ATTGCCGATAACTG", "CAGGTATGTCAA"]), ("mouse", ["GATTACAGCTTGAC", "TGAACTGGCATA"])];

/// A repeat that both species share: conspicuous to a network, and uninformative.
const REPEAT: &str = "GGCTGGTCTCAAACTCCTGACCTCAAGTGATCCACCCATTTAGGCATCCCAAAGTGCTGG";

/// Chromosomes of a demo genome with their lengths in bp; the default split by chromosome puts some into each split.
const CHROMOSOMES: [(&str, usize); 5] =
    [("chr1", 1_500_000), ("chr6", 600_000), ("chr10", 1_200_000), ("chr11", 900_000), ("chr17", 900_000)];

/// Length of the unknown stretch at both ends of a chromosome, as in telomeres.
const TELOMERE_BP: usize = 5_000;

/// Number of gaps of unknown bases within a chromosome.
const GAPS: usize = 4;
const GAP_BP: Range<usize> = 50..2_000;

/// An element to plant: a word or a repeat, on one strand.
#[derive(Clone, Debug)]
struct Element {
    name: String,
    codes: Vec<u8>,
    reverse: bool,
    repeat: bool,
    /// Probability that a piece is this element.
    rate: f64,
    divergence: f64,
}

/// The generative model of a species.
#[derive(Clone, Debug)]
pub struct Species {
    /// Common name of the species, which is also its class label.
    pub name: String,
    elements: Vec<Element>,
}

/// A planted element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Positions in the chromosome in bp, 0-based and half-open.
    pub range: Range<usize>,
    /// The word on its forward strand, or `repeat`.
    pub name: String,
    /// Whether the element was planted as its reverse complement.
    pub reverse: bool,
    /// Whether the element is the repeat that both species share.
    pub repeat: bool,
}

/// A simulated chromosome with its planted elements.
#[derive(Clone, Debug)]
pub struct SimulatedChromosome {
    /// Name of the chromosome, such as `chr1`.
    pub name: String,
    /// Codes of the bases without case, `[length]`.
    pub codes: Vec<u8>,
    /// The planted elements that no gap covers, sorted by position.
    pub sites: Vec<Site>,
}

impl SimulatedChromosome {
    /// The bases, with repeats in lower case as a repeat masker leaves them.
    pub fn soft_masked(&self) -> String {
        let mut bases = alphabet::decode(&self.codes);
        for site in self.sites.iter().filter(|site| site.repeat) {
            bases[site.range.clone()].make_ascii_lowercase();
        }
        bases
    }

    /// The codes, with repeats soft-masked.
    pub fn codes_with_case(&self) -> Vec<u8> {
        let mut codes = self.codes.clone();
        for site in self.sites.iter().filter(|site| site.repeat) {
            codes[site.range.clone()].iter_mut().for_each(|code| *code |= alphabet::SOFT_MASKED);
        }
        codes
    }
}

/// The two species of the demo, positive class first.
pub fn species() -> [Species; 2] {
    WORDS.map(|(name, words)| {
        let rate = WORD_RATE / words.len() as f64;
        let words = words.iter().map(|word| (*word, false, rate, WORD_DIVERGENCE));
        let elements = words
            .chain([(REPEAT, true, REPEAT_RATE, REPEAT_DIVERGENCE)])
            .flat_map(|(bases, repeat, rate, divergence)| {
                let mut codes = Vec::new();
                alphabet::encode(bases.as_bytes(), &mut codes).expect("elements are written in ACGT");
                [false, true].map(|reverse| {
                    let mut codes = codes.clone();
                    if reverse {
                        alphabet::reverse_complement(&mut codes);
                    }
                    let name = if repeat { "repeat".to_owned() } else { bases.to_owned() };
                    Element { name, codes, reverse, repeat, rate: rate / 2.0, divergence }
                })
            })
            .collect();
        Species { name: name.to_owned(), elements }
    })
}

impl Species {
    /// The species-specific words, each on its forward strand.
    pub fn words(&self) -> Vec<String> {
        self.elements.iter().filter(|e| !e.repeat && !e.reverse).map(|e| e.name.clone()).collect()
    }

    /// Simulates a genome; the same seed gives the same genome.
    pub fn genome(&self, seed: u64) -> Vec<SimulatedChromosome> {
        let species = random::hash(self.name.as_bytes());
        CHROMOSOMES
            .par_iter()
            .enumerate()
            .map(|(i, &(name, length))| {
                self.chromosome(name, length, &mut random::generator(seed, Purpose::Simulate, species, i as u64))
            })
            .collect()
    }

    fn chromosome(&self, name: &str, length: usize, random: &mut random::Generator) -> SimulatedChromosome {
        let mut codes = Vec::with_capacity(length);
        let mut sites = Vec::new();
        while codes.len() < length {
            match self.next_element(random.random()) {
                Some(element) if codes.len() + element.codes.len() <= length => {
                    let start = codes.len();
                    for &base in &element.codes {
                        let other = (base + random.random_range(1..4u8)) % 4;
                        codes.push(if random.random::<f64>() < element.divergence { other } else { base });
                    }
                    let Element { name, reverse, repeat, .. } = element.clone();
                    sites.push(Site { range: start..codes.len(), name, reverse, repeat });
                }
                _ => codes.push(background_base(random.random())),
            }
        }
        // Gaps are placed independently of the sequence, so they carry no information about the species.
        let mut gaps = vec![0..TELOMERE_BP, length - TELOMERE_BP..length];
        for _ in 0..GAPS {
            let start = random.random_range(TELOMERE_BP..length - TELOMERE_BP - GAP_BP.end);
            gaps.push(start..start + random.random_range(GAP_BP));
        }
        for gap in gaps {
            codes[gap.clone()].fill(UNKNOWN);
            sites.retain(|site| site.range.end <= gap.start || site.range.start >= gap.end);
        }
        SimulatedChromosome { name: name.to_owned(), codes, sites }
    }

    /// Maps a uniform number in [0, 1) to an element, or `None` for a background base.
    fn next_element(&self, mut uniform: f64) -> Option<&Element> {
        self.elements.iter().find(|element| {
            uniform -= element.rate;
            uniform < 0.0
        })
    }

    /// The exact natural logarithm of the probability that a window drawn at random from an endless genome of this
    /// species reads `codes`; unknown bases are summed over.
    pub fn log_likelihood(&self, codes: &[u8]) -> f64 {
        self.forward().log_likelihood(codes)
    }

    fn forward(&self) -> Forward {
        Forward::new(self)
    }
}

/// The tables of the forward algorithm. State 0 of each element follows a finished piece; state k follows state k - 1.
struct Forward {
    /// Emission probability, `[base][state]`; an unknown base has probability 1.
    emission: [Vec<f64>; 5],
    background_emission: [f64; 5],
    /// First and last state of each element, and its rate.
    elements: Vec<(usize, usize, f64)>,
    background_rate: f64,
    /// Bases per piece, on average.
    mean_length: f64,
}

impl Forward {
    fn new(species: &Species) -> Self {
        let mut emission: [Vec<f64>; 5] = Default::default();
        let mut elements = Vec::new();
        for element in &species.elements {
            let first = emission[0].len();
            for &code in &element.codes {
                for (base, row) in (0u8..).zip(&mut emission) {
                    row.push(match base {
                        UNKNOWN => 1.0,
                        base if base == code => 1.0 - element.divergence,
                        _ => element.divergence / 3.0,
                    });
                }
            }
            elements.push((first, emission[0].len() - 1, element.rate));
        }
        let background_rate = 1.0 - elements.iter().map(|(_, _, rate)| rate).sum::<f64>();
        let in_elements: f64 = elements.iter().map(|(first, last, rate)| (last - first + 1) as f64 * rate).sum();
        let (at, gc) = ((1.0 - BACKGROUND_GC) / 2.0, BACKGROUND_GC / 2.0);
        Self {
            emission,
            background_emission: [at, gc, gc, at, 1.0],
            elements,
            background_rate,
            mean_length: background_rate + in_elements,
        }
    }

    fn log_likelihood(&self, codes: &[u8]) -> f64 {
        let Some((&first, rest)) = codes.split_first() else { return 0.0 };
        // The first state is drawn from the stationary distribution, since a window may start anywhere.
        let mut state: Vec<f64> = vec![0.0; self.emission[0].len()];
        for &(start, end, rate) in &self.elements {
            let emission = &self.emission[usize::from(first)][start..=end];
            for (state, emission) in state[start..=end].iter_mut().zip(emission) {
                *state = rate / self.mean_length * emission;
            }
        }
        let mut background = self.background_rate / self.mean_length * self.background_emission[usize::from(first)];
        let mut log_scale = 0.0;
        for (position, &code) in rest.iter().enumerate() {
            let code = usize::from(code);
            let finished = background + self.elements.iter().map(|&(_, last, _)| state[last]).sum::<f64>();
            let states = state.len();
            state.copy_within(0..states - 1, 1);
            for &(start, _, rate) in &self.elements {
                state[start] = finished * rate;
            }
            for (state, emission) in state.iter_mut().zip(&self.emission[code]) {
                *state *= emission;
            }
            background = finished * self.background_rate * self.background_emission[code];
            if position % 64 == 63 {
                let scale = background + state.iter().sum::<f64>();
                background /= scale;
                state.iter_mut().for_each(|state| *state /= scale);
                log_scale += scale.ln();
            }
        }
        log_scale + (background + state.iter().sum::<f64>()).ln()
    }
}

/// The score no classifier can beat: the log likelihood ratio of each window, positive species over negative
/// (Neyman and Pearson, 1933). Windows are `[n, length]`, one after another.
pub fn best_scores(codes: &[u8], length: usize) -> Vec<f64> {
    let [positive, negative] = species().map(|species| species.forward());
    codes
        .par_chunks_exact(length)
        .map(|window| positive.log_likelihood(window) - negative.log_likelihood(window))
        .collect()
}

fn background_base(uniform: f64) -> u8 {
    let mut codes = [(0, 1.0 - BACKGROUND_GC), (1, BACKGROUND_GC), (2, BACKGROUND_GC)].into_iter();
    let mut uniform = 2.0 * uniform;
    codes
        .find(|(_, share)| {
            uniform -= share;
            uniform < 0.0
        })
        .map_or(3, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probabilities_of_all_windows_of_one_length_sum_to_one() {
        for species in species() {
            let total: f64 = (0..4u32.pow(6))
                .map(|n| (0..6).map(|k| (n >> (2 * k) & 3) as u8).collect::<Vec<_>>())
                .map(|window| species.log_likelihood(&window).exp())
                .sum();
            assert!((total - 1.0).abs() < 1e-12, "{total}");
            assert!(species.log_likelihood(&[UNKNOWN; 200]).abs() < 1e-9);
        }
    }

    #[test]
    fn the_forward_algorithm_agrees_with_a_sum_over_every_way_to_cut_a_window_into_pieces() {
        // A short species of one element, enumerated by brute force: the window lies in a chain of pieces that starts
        // at most one element before it.
        let [mut species, _] = species();
        species.elements.truncate(2);
        for (element, codes) in species.elements.iter_mut().zip([[0u8, 1, 1], [2, 2, 3]]) {
            element.codes = codes.to_vec();
            element.rate = 0.2;
        }
        let forward = species.forward();
        let window = [0u8, 1, 1, 2, 2, 3, 0];
        fn ways(species: &Species, forward: &Forward, rest: &[u8]) -> f64 {
            let Some(&base) = rest.first() else { return 1.0 };
            let mut sum = forward.background_rate
                * forward.background_emission[base as usize]
                * ways(species, forward, &rest[1..]);
            for element in &species.elements {
                let n = element.codes.len().min(rest.len());
                sum += element.rate * emitted(element, &element.codes[..n], rest) * ways(species, forward, &rest[n..]);
            }
            sum
        }
        fn emitted(element: &Element, codes: &[u8], rest: &[u8]) -> f64 {
            codes
                .iter()
                .zip(rest)
                .map(|(a, b)| if a == b { 1.0 - element.divergence } else { element.divergence / 3.0 })
                .product()
        }
        // The window starts at a fresh piece, or inside an element that began k bases before.
        let mut expected = ways(&species, &forward, &window);
        for element in &species.elements {
            for k in 1..element.codes.len() {
                let left = &element.codes[k..];
                expected +=
                    element.rate * emitted(element, left, &window) * ways(&species, &forward, &window[left.len()..]);
            }
        }
        expected /= forward.mean_length;
        assert!((species.log_likelihood(&window).exp() / expected - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_window_and_its_reverse_complement_are_equally_likely() {
        for species in species() {
            let genome = species.chromosome("chr1", 30_000, &mut random::generator(5, Purpose::Simulate, 0, 0));
            for window in genome.codes.chunks_exact(200) {
                let mut other = window.to_vec();
                alphabet::reverse_complement(&mut other);
                assert!((species.log_likelihood(window) - species.log_likelihood(&other)).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn species_have_equal_gc_and_a_long_word_of_their_own() {
        let gc = |species: &Species| -> f64 {
            species.elements.iter().map(|e| e.rate * e.codes.iter().filter(|&&c| c == 1 || c == 2).count() as f64).sum()
        };
        let [a, b] = species();
        assert_eq!(gc(&a), gc(&b));
        for (one, other) in [(&a, &b), (&b, &a)] {
            assert!(one.words().iter().any(|word| word.len() >= 12 && !other.words().contains(word)));
        }
    }

    #[test]
    fn planted_sites_hold_what_they_say_and_the_same_seed_gives_the_same_genome() {
        let [human, _] = species();
        let genome = human.genome(7);
        assert_eq!(genome[3].codes, human.genome(7)[3].codes);
        assert_ne!(genome[3].codes, human.genome(8)[3].codes);
        let (mut same, mut all) = (0, 0);
        for site in genome[0].sites.iter().filter(|site| !site.repeat) {
            let mut codes = genome[0].codes[site.range.clone()].to_vec();
            if site.reverse {
                alphabet::reverse_complement(&mut codes);
            }
            all += codes.len();
            same += alphabet::decode(&codes).bytes().zip(site.name.bytes()).filter(|(a, b)| a == b).count();
        }
        let kept = same as f64 / all as f64;
        assert!((kept - (1.0 - WORD_DIVERGENCE)).abs() < 0.01, "{kept}");
    }
}
