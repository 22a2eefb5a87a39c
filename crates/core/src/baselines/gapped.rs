//! Gapped k-mers as in gkm-SVM (Ghandi and others, 2014): words of `length` positions of which `informative` count,
//! whichever they are. A linear model on their counts is one on the counts of whole l-mers whose weights are smooth, so
//! the features, hundreds of thousands of them, are never listed.
//!
//! With `A` the matrix that says which gapped k-mers each l-mer holds, weights `w` of gapped k-mers give the l-mers
//! the weights `A w`. `A Aᵀ` depends only on how many positions two l-mers differ in, so the Walsh transform over the
//! two bits of each base turns it into a diagonal matrix. Parameters here are the coordinates after that transform,
//! scaled so that their length is that of the shortest `w`: an L2 penalty on them is one on `w`.

use rayon::prelude::*;

use crate::baselines::features::{Rows, Words};

/// Stages of the transform done on one block after the other: 65,536 numbers, which fit a core's cache.
const STAGES_IN_BLOCK: u32 = 8;

/// Pairs of l-mers compared for the mean square length of the rows, at most; beyond it, every so many-th row is.
const MOST_PAIRS: usize = 1 << 30;

/// Numbers that a thread takes at a time, each of which is little work.
const AT_A_TIME: usize = 1 << 12;

/// Bit mask of the lower bit of every base.
const LOWER_BITS: u32 = 0x5555_5555;

/// The map from parameters to weights of l-mers.
pub struct Gapped {
    length: usize,
    /// Number of gapped k-mers that two l-mers share, by the number of positions in which they differ.
    shared: Vec<f64>,
    /// One l-mer of each number, and its reverse complement where both strands count.
    words: Vec<(u32, Option<u32>)>,
    /// The number of each l-mer, and how often it stands for it: twice where it is its own reverse complement and both
    /// strands count.
    numbers: Vec<(u32, f64)>,
    /// The transform's coordinates that gapped k-mers reach: those of at most `informative` positions. Each with the
    /// square root of its eigenvalue.
    coordinates: Vec<(u32, f64)>,
}

impl Gapped {
    /// The map for words of `length` positions, `informative` of which count.
    pub fn new(words: &Words, informative: usize) -> Self {
        let length = words.length();
        let shared = (0..=length).map(|apart| choose(length - apart, informative)).collect();
        // A function of the positions in which it sees differences, as a sum over those positions, has this eigenvalue.
        let root = |positions: usize| {
            let subsets = choose(length - positions, informative - positions);
            (subsets * 4f64.powi((length - informative) as i32)).sqrt()
        };
        let coordinates = (0..1u32 << (2 * length))
            .map(|coordinate| (coordinate, positions_apart(coordinate, 0)))
            .filter(|&(_, positions)| positions <= informative)
            .map(|(coordinate, positions)| (coordinate, root(positions)))
            .collect();
        let words = words.of_numbers();
        let mut numbers = vec![(0, 0.0); 1 << (2 * length)];
        for (number, &(word, other_strand)) in words.iter().enumerate() {
            for word in [Some(word), other_strand].into_iter().flatten() {
                let (of_word, times) = &mut numbers[word as usize];
                (*of_word, *times) = (number as u32, *times + 1.0);
            }
        }
        Self { length, shared, words, numbers, coordinates }
    }

    /// Number of parameters of one output.
    pub fn parameters(&self) -> usize {
        self.coordinates.len()
    }

    /// Weights of l-mers `[numbers, outputs]` for parameters `[parameters, outputs]`.
    pub fn weights(&self, parameters: &[f64], outputs: usize) -> Vec<f64> {
        let mut full = vec![0.0; outputs << (2 * self.length)];
        for (&(coordinate, root), of_one) in self.coordinates.iter().zip(parameters.chunks_exact(outputs)) {
            let place = coordinate as usize * outputs;
            full[place..place + outputs].iter_mut().zip(of_one).for_each(|(to, from)| *to = root * from);
        }
        transform(&mut full, self.length, outputs);
        let mut weights = vec![0.0; self.words.len() * outputs];
        weights.par_chunks_mut(outputs).zip(&self.words).with_min_len(AT_A_TIME).for_each(
            |(weights, &(word, other_strand))| {
                for (output, weight) in weights.iter_mut().enumerate() {
                    let of = |word: u32| full[word as usize * outputs + output];
                    *weight = of(word) + other_strand.map_or(0.0, of);
                }
            },
        );
        weights
    }

    /// The transpose of [`Gapped::weights`]: from `[numbers, outputs]` to `[parameters, outputs]`. It turns the gradient
    /// of a loss with respect to weights into that with respect to parameters, and counts into features.
    pub fn transposed(&self, of_weights: &[f64], outputs: usize) -> Vec<f64> {
        let mut full = vec![0.0; outputs << (2 * self.length)];
        full.par_chunks_mut(outputs).zip(&self.numbers).with_min_len(AT_A_TIME).for_each(
            |(of_one, &(number, times))| {
                let place = number as usize * outputs;
                of_one.iter_mut().zip(&of_weights[place..place + outputs]).for_each(|(to, from)| *to = times * from);
            },
        );
        transform(&mut full, self.length, outputs);
        let mut parameters = vec![0.0; self.coordinates.len() * outputs];
        let each = parameters.par_chunks_mut(outputs).zip(&self.coordinates).with_min_len(AT_A_TIME);
        each.for_each(|(of_one, &(coordinate, root))| {
            let place = coordinate as usize * outputs;
            of_one.iter_mut().zip(&full[place..place + outputs]).for_each(|(to, from)| *to = root * from);
        });
        parameters
    }

    /// Root mean square distance of the rows of gapped k-mer counts from their mean; one if all rows are the same.
    /// `means` are those of the l-mers, `[numbers]`.
    pub fn scale(&self, rows: &Rows, means: &[f64]) -> f64 {
        let pairs: usize = (0..rows.len()).map(|row| rows.numbers(row).len().pow(2)).sum();
        let step = pairs.div_ceil(MOST_PAIRS).max(1);
        let chosen: Vec<usize> = (0..rows.len()).step_by(step).collect();
        // Sums of whole numbers, so their order changes nothing.
        let sum: f64 = chosen.par_iter().map(|&row| self.square_length(&rows.numbers(row))).sum();
        let mean_square = sum / chosen.len() as f64;
        let of_mean: f64 = self.transposed(means, 1).iter().map(|value| value * value).sum();
        let variance = mean_square - of_mean;
        if variance > 1e-9 * mean_square { variance.sqrt() } else { 1.0 }
    }

    /// Squared length of the vector of gapped k-mer counts of a sequence that holds these l-mers.
    fn square_length(&self, numbers: &[u32]) -> f64 {
        let words: Vec<(u32, Option<u32>)> = numbers.iter().map(|&number| self.words[number as usize]).collect();
        let shared = |one: u32, other: u32| self.shared[positions_apart(one, other)];
        let of_pair = |&(one, _): &(u32, Option<u32>), &(other, other_strand): &(u32, Option<u32>)| match other_strand {
            Some(reverse) => 2.0 * (shared(one, other) + shared(one, reverse)),
            None => shared(one, other),
        };
        words.iter().map(|one| words.iter().map(|other| of_pair(one, other)).sum::<f64>()).sum()
    }
}

/// Number of positions in which two words differ.
fn positions_apart(one: u32, other: u32) -> usize {
    let bits = one ^ other;
    ((bits | bits >> 1) & LOWER_BITS).count_ones() as usize
}

/// Ways to choose `k` of `n`; none if `k` is larger.
pub fn choose(n: usize, k: usize) -> f64 {
    if k > n { 0.0 } else { (0..k).map(|i| (n - i) as f64 / (k - i) as f64).product::<f64>().round() }
}

/// The orthonormal Walsh transform of `[4^length, outputs]` over the two bits of each base, in place; its own inverse.
fn transform(values: &mut [f64], length: usize, outputs: usize) {
    let inner = (length as u32).min(STAGES_IN_BLOCK);
    values.par_chunks_mut(outputs * 4usize.pow(inner)).for_each(|block| {
        for stage in 0..inner {
            block.chunks_exact_mut(outputs * 4usize.pow(stage + 1)).for_each(|values| mix(quarters(values)));
        }
    });
    for stage in inner..length as u32 {
        for values in values.chunks_exact_mut(outputs * 4usize.pow(stage + 1)) {
            let part = outputs << 14;
            let [a, b, c, d] = quarters(values).map(|quarter| quarter.par_chunks_mut(part));
            a.zip(b).zip(c).zip(d).for_each(|(((a, b), c), d)| mix([a, b, c, d]));
        }
    }
}

fn quarters(values: &mut [f64]) -> [&mut [f64]; 4] {
    let quarter = values.len() / 4;
    let (low, high) = values.split_at_mut(2 * quarter);
    let ((a, b), (c, d)) = (low.split_at_mut(quarter), high.split_at_mut(quarter));
    [a, b, c, d]
}

/// The transform of one base, from the values of A, C, G and T.
fn mix([a, b, c, d]: [&mut [f64]; 4]) {
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        let (sums, differences) = ([*a + *b, *c + *d], [*a - *b, *c - *d]);
        [*a, *c] = [0.5 * (sums[0] + sums[1]), 0.5 * (sums[0] - sums[1])];
        [*b, *d] = [0.5 * (differences[0] + differences[1]), 0.5 * (differences[0] - differences[1])];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::baselines::{Features, Sequences};
    use crate::sequence::alphabet::{UNKNOWN, reverse_complement};

    /// Counts of gapped k-mers by the plainest means: every choice of positions in every word of known bases.
    fn brute_force(codes: &[u8], length: usize, informative: usize, both: bool) -> HashMap<(u32, Vec<u8>), f64> {
        let mut strands = vec![codes.to_vec()];
        if both {
            let mut other = codes.to_vec();
            reverse_complement(&mut other);
            strands.push(other);
        }
        let mut counts = HashMap::new();
        for word in strands.iter().flat_map(|strand| strand.windows(length)).filter(|word| !word.contains(&UNKNOWN)) {
            for mask in (0..1u32 << length).filter(|mask| mask.count_ones() as usize == informative) {
                let bases = (0..length).filter(|i| mask >> i & 1 == 1).map(|i| word[i]).collect();
                *counts.entry((mask, bases)).or_insert(0.0) += 1.0;
            }
        }
        counts
    }

    /// The features of each sequence in the coordinates of the map, and the map with the rows.
    fn mapped(sequences: &[Vec<u8>], features: Features) -> (Vec<Vec<f64>>, Gapped, Rows) {
        let Features::Gapped { length, informative, both_strands } = features else { panic!("{features:?}") };
        let words = Words::new(length, both_strands);
        let gapped = Gapped::new(&words, informative);
        let codes = sequences.concat();
        let rows = features.read(&Sequences { codes: &codes, length: sequences[0].len() });
        let each = (0..rows.len()).map(|row| {
            let mut counts = vec![0.0; words.count()];
            rows.scatter(row, &[1.0], &mut counts);
            gapped.transposed(&counts, 1)
        });
        (each.collect(), gapped, rows)
    }

    proptest! {
        #[test]
        fn products_of_rows_are_those_of_counted_gapped_kmers(
            (length, informative) in (1..6usize).prop_flat_map(|length| (Just(length), 1..=length)),
            both_strands: bool,
            bases in 1..24usize,
            seed in prop::collection::vec(0..5u8, 72),
        ) {
            let sequences: Vec<Vec<u8>> = seed.chunks_exact(24).map(|codes| codes[..bases].to_vec()).collect();
            let (found, gapped, rows) = mapped(&sequences, Features::Gapped { length, informative, both_strands });
            let expected: Vec<_> =
                sequences.iter().map(|codes| brute_force(codes, length, informative, both_strands)).collect();
            for (one, one_counts) in found.iter().zip(&expected) {
                for (other, other_counts) in found.iter().zip(&expected) {
                    let found: f64 = one.iter().zip(other).map(|(a, b)| a * b).sum();
                    let expected: f64 = one_counts.iter().map(|(key, n)| n * other_counts.get(key).unwrap_or(&0.0)).sum();
                    prop_assert!((found - expected).abs() < 1e-9 * expected.max(1.0), "{found} {expected}");
                }
            }
            for (row, counts) in expected.iter().enumerate() {
                let square: f64 = counts.values().map(|n| n * n).sum();
                prop_assert_eq!(gapped.square_length(&rows.numbers(row)), square);
            }
        }

        #[test]
        fn the_transform_is_its_own_inverse(length in 1..10usize, outputs in 1..4usize, place: prop::sample::Index) {
            let mut values = vec![0.0; outputs << (2 * length)];
            let place = place.index(values.len());
            values[place] = 1.0;
            let before = values.clone();
            transform(&mut values, length, outputs);
            let squares: f64 = values.iter().map(|value| value * value).sum();
            prop_assert!((squares - 1.0).abs() < 1e-12);
            transform(&mut values, length, outputs);
            prop_assert!(values.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
}
