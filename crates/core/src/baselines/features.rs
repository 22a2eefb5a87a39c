//! Features of the baselines: GC content, counts of k-mers or counts of gapped k-mers, stored sparsely rather than as a
//! matrix.

use crate::baselines::gapped::choose;
use crate::sequence::alphabet::{UNKNOWN, complement, gc_share};

/// Features that a baseline computes from a sequence. Words with an unknown base are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// GC content among the known bases; one half if none is known.
    Gc,
    /// Counts of the k-mers.
    Kmers {
        /// 1 to 8 bases.
        k: usize,
        /// A k-mer and its reverse complement count as one.
        both_strands: bool,
    },
    /// Counts of the gapped k-mers (Ghandi and others, 2014): words of `length` bases with every choice of `informative`
    /// positions that count, the others being gaps.
    Gapped {
        /// 1 to 11 bases.
        length: usize,
        /// 1 to `length`.
        informative: usize,
        /// Counted on both strands.
        both_strands: bool,
    },
}

/// Sequences of one length.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Codes of the alphabet, `[n, length]`.
    pub codes: &'a [u8],
    /// In bases.
    pub length: usize,
}

/// Features of every sequence.
pub enum Rows {
    Shares(Vec<f64>),
    /// K-mers.
    Short(Lists<u16>),
    /// The words that gapped k-mers are read from.
    Long(Lists<u32>),
}

/// Numbers of the words of every sequence, in order and as often as they occur.
pub struct Lists<N> {
    /// End of each sequence in the list of numbers; it starts at the end of the one before.
    ends: Vec<usize>,
    numbers: Vec<N>,
}

/// Words of one length, numbered from 0; a word and its reverse complement have one number where both strands count.
pub struct Words {
    length: usize,
    /// Number of each word, read in base four; empty where every word is its own number.
    canonical: Vec<u32>,
}

impl Sequences<'_> {
    /// Number of sequences.
    pub fn count(&self) -> usize {
        self.codes.len().checked_div(self.length).unwrap_or(0)
    }
}

impl Features {
    /// Features of a sequence.
    pub fn count(self) -> usize {
        // Pairs of a word and its reverse complement, and those that are their own.
        let distinct = |all: usize, palindromes: usize| (all + palindromes) / 2;
        match self {
            Features::Gc => 1,
            Features::Kmers { k, both_strands: false } => 4usize.pow(k as u32),
            // Only words of even length can be their own reverse complement.
            Features::Kmers { k, both_strands: true } => {
                distinct(4usize.pow(k as u32), if k % 2 == 0 { 1 << k } else { 0 })
            }
            Features::Gapped { length, informative, both_strands } => {
                let all = choose(length, informative) as usize * 4usize.pow(informative as u32);
                // The middle of an odd number of positions is no base's own complement, so it is a gap.
                let mirrored = choose(length / 2, informative / 2) as usize * (1 << informative);
                match both_strands {
                    true => distinct(all, if informative % 2 == 0 { mirrored } else { 0 }),
                    false => all,
                }
            }
        }
    }

    /// Numbers that the rows of [`Features::read`] hold: the features themselves, or for gapped k-mers the words.
    pub fn numbers(self) -> usize {
        match self {
            Features::Gapped { length, both_strands, .. } => Features::Kmers { k: length, both_strands }.count(),
            _ => self.count(),
        }
    }

    /// The features of sequences.
    pub fn read(self, sequences: &Sequences) -> Rows {
        assert_eq!(sequences.count() * sequences.length, sequences.codes.len(), "codes are whole sequences");
        let each = sequences.codes.chunks_exact(sequences.length.max(1));
        match self {
            Features::Gc => Rows::Shares(each.map(gc_share).collect()),
            Features::Kmers { k, both_strands } => {
                let words = Words::new(k, both_strands);
                Rows::Short(Lists::of(each, sequences.codes.len(), |codes| words.numbers_in(codes).map(|n| n as u16)))
            }
            Features::Gapped { length, both_strands, .. } => {
                let words = Words::new(length, both_strands);
                Rows::Long(Lists::of(each, sequences.codes.len(), |codes| words.numbers_in(codes)))
            }
        }
    }
}

impl<N: Copy + Into<u32>> Lists<N> {
    fn of<'a, I: Iterator<Item = N>>(
        each: impl ExactSizeIterator<Item = &'a [u8]>,
        bases: usize,
        read: impl Fn(&'a [u8]) -> I,
    ) -> Self {
        let (mut ends, mut numbers) = (Vec::with_capacity(each.len()), Vec::with_capacity(bases));
        for codes in each {
            numbers.extend(read(codes));
            ends.push(numbers.len());
        }
        Self { ends, numbers }
    }

    fn of_row(&self, row: usize) -> &[N] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.numbers[start..self.ends[row]]
    }

    fn add_products(&self, row: usize, weights: &[f64], sums: &mut [f64]) {
        let numbers = self.of_row(row).iter().map(|&number| number.into() as usize);
        if let [sum] = sums {
            *sum += numbers.map(|number| weights[number]).sum::<f64>();
        } else {
            numbers.for_each(|number| add_scaled(sums, 1.0, &weights[number * sums.len()..]));
        }
    }

    fn scatter(&self, row: usize, values: &[f64], sums: &mut [f64]) {
        let numbers = self.of_row(row).iter().map(|&number| number.into() as usize);
        if let [value] = values {
            numbers.for_each(|number| sums[number] += value);
        } else {
            numbers.for_each(|number| add_scaled(&mut sums[number * values.len()..], 1.0, values));
        }
    }
}

impl Words {
    /// Words of `length` bases.
    pub fn new(length: usize, both_strands: bool) -> Self {
        Self { length, canonical: if both_strands { canonical_numbers(length) } else { Vec::new() } }
    }

    /// Length of a word.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many numbers there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.of_numbers().len()
    }

    /// The numbers of the words of known bases in `codes`.
    fn numbers_in<'a>(&'a self, codes: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let number = |word: usize| if self.canonical.is_empty() { word as u32 } else { self.canonical[word] };
        forward_kmers(codes, self.length).map(number)
    }

    /// The word of each number, and its reverse complement where both strands count.
    pub fn of_numbers(&self) -> Vec<(u32, Option<u32>)> {
        let all = 0..1u32 << (2 * self.length);
        if self.canonical.is_empty() {
            return all.map(|word| (word, None)).collect();
        }
        let pairs = all.map(|word| (word, other_strand(word as usize, self.length) as u32));
        pairs.filter(|(word, other)| word <= other).map(|(word, other)| (word, Some(other))).collect()
    }
}

/// The k-mers of known bases in `codes`, each read as a number in base four.
pub fn forward_kmers(codes: &[u8], k: usize) -> impl Iterator<Item = usize> + '_ {
    let (mut kmer, mut known) = (0, 0);
    codes.iter().filter_map(move |&code| {
        if code < UNKNOWN {
            kmer = (kmer << 2 | usize::from(code)) & ((1 << (2 * k)) - 1);
            known += 1;
        } else {
            known = 0;
        }
        (known >= k).then_some(kmer)
    })
}

fn other_strand(kmer: usize, k: usize) -> usize {
    (0..k).fold(0, |other, i| other << 2 | usize::from(complement((kmer >> (2 * i) & 3) as u8)))
}

/// Number of each k-mer, the same as that of its reverse complement.
pub fn canonical_numbers(k: usize) -> Vec<u32> {
    let mut numbers = vec![0; 1 << (2 * k)];
    let mut next = 0;
    for kmer in 0..numbers.len() {
        let other_strand = other_strand(kmer, k);
        if kmer <= other_strand {
            (numbers[kmer], numbers[other_strand]) = (next, next);
            next += 1;
        }
    }
    numbers
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Rows::Shares(shares) => shares.len(),
            Rows::Short(lists) => lists.ends.len(),
            Rows::Long(lists) => lists.ends.len(),
        }
    }

    /// Numbers of the words in a row; none where features are not counts.
    pub fn numbers(&self, row: usize) -> Vec<u32> {
        match self {
            Rows::Shares(_) => Vec::new(),
            Rows::Short(lists) => lists.of_row(row).iter().map(|&number| number.into()).collect(),
            Rows::Long(lists) => lists.of_row(row).to_vec(),
        }
    }

    /// Adds the features of a row times `weights`, `[numbers, outputs]`, to `sums`, `[outputs]`.
    pub fn add_products(&self, row: usize, weights: &[f64], sums: &mut [f64]) {
        match self {
            Rows::Shares(shares) => add_scaled(sums, shares[row], weights),
            Rows::Short(lists) => lists.add_products(row, weights, sums),
            Rows::Long(lists) => lists.add_products(row, weights, sums),
        }
    }

    /// Adds the features of a row, each times `values`, `[outputs]`, to `sums`, `[numbers, outputs]`.
    pub fn scatter(&self, row: usize, values: &[f64], sums: &mut [f64]) {
        match self {
            Rows::Shares(shares) => add_scaled(sums, shares[row], values),
            Rows::Short(lists) => lists.scatter(row, values, sums),
            Rows::Long(lists) => lists.scatter(row, values, sums),
        }
    }

    /// Mean of each number.
    pub fn means(&self, numbers: usize) -> Vec<f64> {
        let n = self.len() as f64;
        let mut means = vec![0.0; numbers];
        (0..self.len()).for_each(|row| self.scatter(row, &[1.0 / n], &mut means));
        means
    }

    /// Root mean square distance of the rows from their `means`; one if all rows are the same.
    pub fn scale(&self, means: &[f64]) -> f64 {
        let mut counts = vec![0.0; means.len()];
        let mut squares = [0.0];
        for row in 0..self.len() {
            self.scatter(row, &[1.0], &mut counts);
            self.add_products(row, &counts, &mut squares);
            self.scatter(row, &[-1.0], &mut counts); // cheaper than clearing all of them
        }
        let mean_square = squares[0] / self.len() as f64;
        let variance = mean_square - means.iter().map(|mean| mean * mean).sum::<f64>();
        // The rest of rows that are all the same is rounding error.
        if variance > 1e-9 * mean_square { variance.sqrt() } else { 1.0 }
    }
}

/// Adds `factor` times `values` to `sums`, element by element.
pub fn add_scaled(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}
