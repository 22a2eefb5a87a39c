//! Features of the baselines: GC content or k-mer counts, stored sparsely rather than as a matrix.

use crate::sequence::alphabet::{UNKNOWN, complement, gc_share};

/// Features that a baseline computes from a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// GC content among the known bases; one half if none is known.
    Gc,
    /// Counts of the k-mers, 1 to 8 bases long. A k-mer and its reverse complement count as one; k-mers with an unknown
    /// base are left out.
    Kmers(usize),
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
    Kmers {
        /// End of each sequence in the list of k-mers; it starts at the end of the one before.
        ends: Vec<usize>,
        kmers: Vec<u16>,
    },
}

impl Sequences<'_> {
    /// Number of features.
    pub fn count(&self) -> usize {
        self.codes.len().checked_div(self.length).unwrap_or(0)
    }
}

impl Features {
    /// Features of a sequence.
    pub fn count(self) -> usize {
        match self {
            Features::Gc => 1,
            // Pairs of a k-mer and its reverse complement, and palindromes, which only even lengths have.
            Features::Kmers(k) => (4usize.pow(k as u32) + if k % 2 == 0 { 1 << k } else { 0 }) / 2,
        }
    }

    /// The features of sequences.
    pub fn read(self, sequences: &Sequences) -> Rows {
        assert_eq!(sequences.count() * sequences.length, sequences.codes.len(), "codes are whole sequences");
        let each = sequences.codes.chunks_exact(sequences.length.max(1));
        match self {
            Features::Gc => Rows::Shares(each.map(gc_share).collect()),
            Features::Kmers(k) => {
                let numbers = canonical_numbers(k);
                let (mut ends, mut kmers) = (Vec::with_capacity(each.len()), Vec::with_capacity(sequences.codes.len()));
                for codes in each {
                    kmers.extend(forward_kmers(codes, k).map(|kmer| numbers[kmer]));
                    ends.push(kmers.len());
                }
                Rows::Kmers { ends, kmers }
            }
        }
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

/// Feature index of each k-mer, the same as that of its reverse complement.
pub fn canonical_numbers(k: usize) -> Vec<u16> {
    let mut numbers = vec![0; 1 << (2 * k)];
    let mut next = 0;
    for kmer in 0..numbers.len() {
        let other_strand = (0..k).fold(0, |other, i| other << 2 | usize::from(complement((kmer >> (2 * i) & 3) as u8)));
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
            Rows::Kmers { ends, .. } => ends.len(),
        }
    }

    fn kmers<'a>(ends: &[usize], kmers: &'a [u16], row: usize) -> &'a [u16] {
        let start = if row == 0 { 0 } else { ends[row - 1] };
        &kmers[start..ends[row]]
    }

    /// Adds the features of a row times `weights`, `[features, outputs]`, to `sums`, `[outputs]`.
    pub fn add_products(&self, row: usize, weights: &[f64], sums: &mut [f64]) {
        match self {
            Rows::Shares(shares) => add_scaled(sums, shares[row], weights),
            Rows::Kmers { ends, kmers } => {
                let kmers = Self::kmers(ends, kmers, row);
                if let [sum] = sums {
                    *sum += kmers.iter().map(|&kmer| weights[usize::from(kmer)]).sum::<f64>();
                } else {
                    for &kmer in kmers {
                        add_scaled(sums, 1.0, &weights[usize::from(kmer) * sums.len()..]);
                    }
                }
            }
        }
    }

    /// Adds the features of a row, each times `values`, `[outputs]`, to `sums`, `[features, outputs]`.
    pub fn scatter(&self, row: usize, values: &[f64], sums: &mut [f64]) {
        match self {
            Rows::Shares(shares) => add_scaled(sums, shares[row], values),
            Rows::Kmers { ends, kmers } => {
                let kmers = Self::kmers(ends, kmers, row);
                if let [value] = values {
                    kmers.iter().for_each(|&kmer| sums[usize::from(kmer)] += value);
                } else {
                    for &kmer in kmers {
                        add_scaled(&mut sums[usize::from(kmer) * values.len()..], 1.0, values);
                    }
                }
            }
        }
    }

    /// Mean of each feature, and the root mean square distance of the rows from it; one if all rows are the same.
    pub fn moments(&self, features: usize) -> (Vec<f64>, f64) {
        let n = self.len() as f64;
        let mut means = vec![0.0; features];
        (0..self.len()).for_each(|row| self.scatter(row, &[1.0 / n], &mut means));
        let mut counts = vec![0.0; features];
        let mut squares = [0.0];
        for row in 0..self.len() {
            self.scatter(row, &[1.0], &mut counts);
            self.add_products(row, &counts, &mut squares);
            self.scatter(row, &[-1.0], &mut counts); // cheaper than clearing all of them
        }
        let mean_square = squares[0] / n;
        let variance = mean_square - means.iter().map(|mean| mean * mean).sum::<f64>();
        // The rest of rows that are all the same is rounding error.
        (means, if variance > 1e-9 * mean_square { variance.sqrt() } else { 1.0 })
    }
}

/// Adds `factor` times `values` to `sums`, element by element.
pub fn add_scaled(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}
