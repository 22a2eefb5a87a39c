//! What an enzyme prefers where it cuts: the bases around counted bases, as a matrix of log odds.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::sequence::alphabet;

/// Bases on either side of a cut that a matrix of 19 bp covers, which is what a transposase touches.
pub const REACH: usize = 9;

/// How often each base stands at each distance from counted bases, beside how often it stands anywhere.
#[derive(Clone, Debug)]
pub struct SiteCounts {
    reach: usize,
    /// `[2 * reach + 1, 4]`
    around: Vec<[f64; 4]>,
    anywhere: [f64; 4],
    counts: f64,
    squares: f64,
}

/// The log odds of each base at each distance from a cut, against the composition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnzymeMatrix {
    /// `[2 * reach + 1, 4]`
    pub log_odds: Vec<[f64; 4]>,
    /// Counts that it rests on, each of the same weight: the square of their sum over the sum of their squares.
    pub counts: f64,
}

impl SiteCounts {
    /// Nothing counted yet, `reach` bases on either side.
    pub fn new(reach: usize) -> Self {
        Self { reach, around: vec![[0.0; 4]; 2 * reach + 1], anywhere: [0.0; 4], counts: 0.0, squares: 0.0 }
    }

    /// Adds the counts of the bases of `range`, `[range]`, in codes, and the composition of `range`.
    pub fn add(&mut self, codes: &[u8], range: Range<usize>, counts: &[f32]) {
        for (at, &count) in range.zip(counts) {
            if !alphabet::is_unknown(codes[at]) {
                self.anywhere[usize::from(codes[at])] += 1.0;
            }
            if count > 0.0 {
                self.add_site(codes, at, f64::from(count));
            }
        }
    }

    /// Adds a word of `2 * reach + 1` bases about a counted base, whose bases are all of the composition too.
    pub fn add_word(&mut self, word: &[u8], count: f64) {
        for &code in word.iter().filter(|code| !alphabet::is_unknown(**code)) {
            self.anywhere[usize::from(code)] += count / 2.0;
            self.anywhere[usize::from(alphabet::complement(code))] += count / 2.0;
        }
        self.add_site(word, self.reach, count);
    }

    fn add_site(&mut self, codes: &[u8], at: usize, count: f64) {
        for (i, row) in self.around.iter_mut().enumerate() {
            let code = (at + i).checked_sub(self.reach).and_then(|place| codes.get(place));
            if let Some(&code) = code.filter(|code| !alphabet::is_unknown(**code)) {
                row[usize::from(code)] += count;
            }
        }
        self.counts += count;
        self.squares += count * count;
    }

    /// What was counted, read on the other strand.
    pub fn reverse_complement(&self) -> Self {
        let mut other = self.clone();
        other.around.reverse();
        other.around.iter_mut().for_each(|row| row.reverse());
        other.anywhere.reverse();
        other
    }

    /// Both together.
    pub fn with(mut self, other: &Self) -> Self {
        let add = |own: &mut [f64; 4], other: &[f64; 4]| own.iter_mut().zip(other).for_each(|(own, more)| *own += more);
        self.around.iter_mut().zip(&other.around).for_each(|(own, other)| add(own, other));
        add(&mut self.anywhere, &other.anywhere);
        self.counts += other.counts;
        self.squares += other.squares;
        self
    }

    /// The log odds, with one count of mean size more at each distance, which has the composition.
    pub fn matrix(&self) -> EnzymeMatrix {
        let bases: f64 = self.anywhere.iter().sum();
        let composition = self.anywhere.map(|base| (base + 1.0) / (bases + 4.0));
        let effective = if self.squares > 0.0 { self.counts * self.counts / self.squares } else { 0.0 };
        let one = if effective > 0.0 { self.counts / effective } else { 1.0 };
        let log_odds = |row: &[f64; 4]| {
            let all = row.iter().sum::<f64>() + one;
            std::array::from_fn(|base| ((row[base] + one * composition[base]) / (all * composition[base])).ln())
        };
        EnzymeMatrix { log_odds: self.around.iter().map(log_odds).collect(), counts: effective }
    }
}

impl EnzymeMatrix {
    /// Bases on either side of the cut.
    pub fn reach(&self) -> usize {
        self.log_odds.len() / 2
    }

    /// The matrix as the other strand has it.
    pub fn reverse_complement(&self) -> Self {
        let reversed = |row: &[f64; 4]| std::array::from_fn(|base| row[3 - base]);
        Self { log_odds: self.log_odds.iter().rev().map(reversed).collect(), counts: self.counts }
    }

    /// The log odds of a cut at each base of `range` in codes. Bases that are unknown, or beyond the ends, say nothing.
    pub fn scores(&self, codes: &[u8], range: Range<usize>) -> Vec<f32> {
        let reach = self.reach();
        let score = |at: usize| {
            let first = at.saturating_sub(reach);
            let codes = &codes[first..(at + reach + 1).min(codes.len())];
            let rows = &self.log_odds[first + reach - at..];
            let known = codes.iter().zip(rows).filter(|(code, _)| !alphabet::is_unknown(**code));
            known.map(|(&code, row)| row[usize::from(code)]).sum::<f64>() as f32
        };
        range.map(score).collect()
    }

    /// The codes of the word that it prefers above all.
    pub fn consensus(&self) -> Vec<u8> {
        let best = |row: &[f64; 4]| (1..4).fold(0, |best, base| if row[base] > row[best] { base } else { best }) as u8;
        self.log_odds.iter().map(best).collect()
    }

    /// The correlation, over all cells that both have, with its own reverse complement about a centre, in half bases from the cut:
    /// 1 lies between the cut and the next base.
    pub fn symmetry(&self, half_bases: i32) -> f64 {
        let reach = self.reach() as i32;
        let (mut n, mut sum, mut squares, mut products) = (0.0, 0.0, 0.0, 0.0);
        // Each pair of cells comes twice, once in either order, so both have the same mean and variance.
        for at in (half_bases - reach).max(-reach)..=(half_bases + reach).min(reach) {
            let [one, other] = [at, half_bases - at].map(|place| &self.log_odds[(place + reach) as usize]);
            for base in 0..4 {
                n += 1.0;
                sum += one[base];
                squares += one[base] * one[base];
                products += one[base] * other[3 - base];
            }
        }
        let mean = sum / n;
        let variance = squares / n - mean * mean;
        if variance > 1e-12 { (products / n - mean * mean) / variance } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: [u8; 11] = [0, 1, 2, 3, 4, 0, 0, 1, 1, 2, 3];

    fn counted(codes: &[u8], counts: &[f32]) -> SiteCounts {
        let mut found = SiteCounts::new(2);
        found.add(codes, 0..codes.len(), counts);
        found
    }

    #[test]
    fn bases_around_counts_are_compared_with_all_bases() {
        let mut counts = [0.0; 11];
        (counts[1], counts[7]) = (3.0, 1.0);
        let found = counted(&CODES, &counts);
        // Beyond the first base there is none.
        assert_eq!(found.around[0], [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(found.around[1], [4.0, 0.0, 0.0, 0.0]);
        assert_eq!(found.around[2], [0.0, 4.0, 0.0, 0.0]);
        assert_eq!(found.anywhere, [3.0, 3.0, 2.0, 2.0]);
        let matrix = found.matrix();
        assert!((matrix.counts - 1.6).abs() < 1e-12);
        let composition = 4.0f64 / 14.0;
        let expected = ((4.0 + 2.5 * composition) / (6.5 * composition)).ln();
        assert!((matrix.log_odds[2][1] - expected).abs() < 1e-12);
        assert_eq!(matrix.consensus()[1..3], [0, 1]);
    }

    #[test]
    fn scaled_counts_give_the_same_matrix() {
        let counts = [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 5.0, 0.0, 1.0, 0.0, 0.0];
        let one = counted(&CODES, &counts).matrix();
        let other = counted(&CODES, &counts.map(|count| count * 0.03125)).matrix();
        assert_eq!(one, other);
    }

    #[test]
    fn the_other_strand_is_scored_as_the_reverse_complement_is() {
        let counts = [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 5.0, 0.0, 1.0, 0.0, 0.0];
        let found = counted(&CODES, &counts);
        let (matrix, mut other) = (found.matrix(), CODES.to_vec());
        assert_eq!(found.reverse_complement().matrix(), matrix.reverse_complement());
        alphabet::reverse_complement(&mut other);
        let (mut own, others) = (matrix.scores(&CODES, 0..11), matrix.reverse_complement().scores(&other, 0..11));
        own.reverse();
        assert!(own.iter().zip(&others).all(|(a, b)| (a - b).abs() < 1e-6), "{own:?} {others:?}");
        assert_eq!(matrix.scores(&CODES, 3..5), matrix.scores(&CODES, 0..11)[3..5]);
    }

    #[test]
    fn a_word_that_is_its_own_reverse_complement_is_symmetric_about_its_middle() {
        // GACGTC, which the cut is in the middle of, or one base before.
        let word = |at: usize| {
            let mut log_odds = vec![[0.0; 4]; 21];
            for (row, code) in log_odds[at..].iter_mut().zip([2, 0, 1, 2, 3, 1]) {
                row[code] = 1.0;
            }
            EnzymeMatrix { log_odds, counts: 1.0 }
        };
        for (at, centre) in [(8, 1), (7, -1), (10, 5)] {
            let found = word(at);
            assert!((found.symmetry(centre) - 1.0).abs() < 1e-9);
            assert!((-8..8).filter(|other| *other != centre).all(|other| found.symmetry(other) < 0.7));
        }
    }
}
