//! Known motifs similar to a motif, with p-values: the score of Tomtom as published in 2007, with incomplete columns (Gupta,
//! Stamatoyannopoulos, Bailey and Noble, Genome Biology), which counts the columns that overlap. Later versions of Tomtom
//! complete the score with a value for each column that does not (Tanaka, Bailey, Grant and Noble, 2011).
//!
//! Two columns are compared by their Euclidean distance; the score of an alignment is the sum over aligned columns.
//! Scores of a query's columns against all columns of the database are scaled to integers from 0 to 100. Under the null
//! hypothesis that the columns aligned to the query are drawn at random from the database, dynamic programming gives
//! the exact distribution of the sum over the first column, the first two, and so on. The p-value of an alignment is
//! the probability of a sum as large or larger; that of a target is `1 - (1 - p)^n` for the smallest p-value of its `n`
//! alignments, over all offsets and both strands.
//!
//! In contrast to Tomtom, uninformative columns of the query do not count. Filters are wider than most motifs, and
//! known motifs have uninformative stretches too; as such columns are rare in a random draw, matching stretches of them
//! would look significant. A column is informative relative to the composition of the sequences: one that merely has it
//! tells nothing.
//!
//! The columns of a filter are no random draw from a database, so these p-values alone prove nothing: [`crate::motif::null`]
//! calibrates them.

use rayon::prelude::*;

use crate::motif::enrichment::benjamini_hochberg;
use crate::sequence::motif::{self, Motif};

/// Largest score of two columns.
const BEST: usize = 100;

/// Smallest number of aligned columns, for motifs that have as many; one or two similar columns are no match.
const LEAST_OVERLAP: usize = 5;

/// Smallest information of a query's column that counts, in bits relative to the composition of the sequences: an eighth of
/// the maximum where bases are equally frequent.
const LEAST_BITS: f64 = 0.25;

/// A known motif with its similarity to the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Index in the database.
    pub target: usize,
    /// Offset of the target, read on `reverse`, in the query; negative if it starts before the query.
    pub offset: i64,
    /// Whether the reverse complement of the target matches.
    pub reverse: bool,
    /// Number of aligned columns that count.
    pub overlap: usize,
    /// Natural logarithm of the p-value, which may underflow.
    pub log_p: f64,
    /// Natural logarithm of the q-value.
    pub log_q: f64,
}

impl Match {
    /// Natural logarithm of the expected number of targets that fit as well by chance.
    pub fn log_e(&self, targets: usize) -> f64 {
        self.log_p + (targets as f64).ln()
    }
}

/// Motifs to compare with, with their columns on both strands.
pub struct Database<'a> {
    /// The database.
    pub motifs: &'a [Motif],
    /// Columns of each motif and its reverse complement, one motif after another, `[2 * columns, 4]`.
    columns: Vec<[f64; 4]>,
    /// Start of the columns of each motif and of its reverse complement.
    starts: Vec<[usize; 2]>,
    widest: usize,
}

impl<'a> Database<'a> {
    /// Prepares a database for searching.
    pub fn new(motifs: &'a [Motif]) -> Self {
        let (mut columns, mut starts) = (Vec::new(), Vec::new());
        for motif in motifs {
            let start = columns.len();
            columns.extend(&motif.columns);
            starts.push([start, columns.len()]);
            columns.extend(motif.reverse_complement().columns);
        }
        let widest = motifs.iter().map(|motif| motif.columns.len()).max().unwrap_or(0);
        Self { motifs, columns, starts, widest }
    }

    /// Similarity of the query to each motif of the database, best first; q-values are over the targets of this query.
    /// `background` holds the frequencies of A, C, G and T in the sequences that the query was made from. Targets that cannot be aligned to enough informative columns are left out, so an uninformative query has no
    /// match.
    pub fn matches(&self, query: &[[f64; 4]], background: &[f64; 4]) -> Vec<Match> {
        let counts: Vec<bool> = query.iter().map(|column| is_informative(column, background)).collect();
        if self.columns.is_empty() || !counts.contains(&true) {
            return Vec::new();
        }
        let scores = Scores::new(query, counts, &self.columns);
        // Alignments that start at the same column of the query share their distributions.
        let of_starts: Vec<Vec<Alignments>> =
            (0..query.len()).into_par_iter().map(|start| self.alignments_from(start, &scores)).collect();
        let mut found: Vec<Match> = (0..self.motifs.len())
            .filter_map(|target| {
                let mut all = Alignments::default();
                // Of equally probable alignments the one that starts first, so that the result does not depend on the
                // machine.
                of_starts.iter().for_each(|from_start| all.add(from_start[target].clone()));
                all.over_all()
            })
            .collect();
        let log_q = benjamini_hochberg(&found.iter().map(|found| found.log_p).collect::<Vec<_>>());
        found.iter_mut().zip(log_q).for_each(|(found, log_q)| found.log_q = log_q);
        found.sort_by(|a, b| a.log_p.total_cmp(&b.log_p).then(b.overlap.cmp(&a.overlap)));
        found
    }

    /// Alignments of each target that start at column `start` of the query.
    fn alignments_from(&self, start: usize, scores: &Scores) -> Vec<Alignments> {
        let query = scores.counts.len();
        let tails = scores.tails(start, self.widest);
        // Number of informative columns among the first of the query's columns from `start` on.
        let counting: Vec<usize> = scores.counts[start..]
            .iter()
            .scan(0, |sum, &counts| {
                *sum += usize::from(counts);
                Some(*sum)
            })
            .collect();
        let all = scores.counts.iter().filter(|&&counts| counts).count();
        let of_target = |(target, motif): (usize, &Motif)| {
            let width = motif.columns.len();
            let least = LEAST_OVERLAP.min(all).min(width);
            // The target may start before the query only at the query's first column.
            let skipped = if start == 0 { 0..width } else { 0..1 };
            let mut alignments = Alignments::default();
            for skip in skipped {
                let compared = (query - start).min(width - skip);
                let overlap = counting[compared - 1];
                if overlap < least {
                    continue;
                }
                for (reverse, first) in [false, true].into_iter().zip(self.starts[target]) {
                    let columns = first + skip..first + skip + compared;
                    let sum: usize = (start..).zip(columns).map(|(row, column)| scores.of(row, column)).sum();
                    let (log_p, offset) = (tails[compared - 1][sum], start as i64 - skip as i64);
                    let best = Some(Match { target, offset, reverse, overlap, log_p, log_q: 0.0 });
                    alignments.add(Alignments { count: 1, best });
                }
            }
            alignments
        };
        self.motifs.iter().enumerate().map(of_target).collect()
    }
}

/// Whether a column of a query counts.
pub fn is_informative(column: &[f64; 4], background: &[f64; 4]) -> bool {
    motif::relative_bits(column, background) >= LEAST_BITS
}

/// Alignments of a target to the query: their number, and the best.
#[derive(Clone, Default)]
struct Alignments {
    count: usize,
    best: Option<Match>,
}

impl Alignments {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        let is_better = |found: &Match, best: &Match| {
            found.log_p < best.log_p || (found.log_p == best.log_p && found.overlap > best.overlap)
        };
        if let Some(found) = other.best
            && self.best.as_ref().is_none_or(|best| is_better(&found, best))
        {
            self.best = Some(found);
        }
    }

    /// The best alignment, with its p-value corrected for the number of alignments.
    fn over_all(self) -> Option<Match> {
        let (best, count) = (self.best?, self.count as f64);
        let p = best.log_p.exp();
        // For a small p-value the product, which stays finite where the exact form underflows.
        let log_p = if p < 1e-12 { best.log_p + count.ln() } else { (-(count * (-p).ln_1p()).exp_m1()).ln() };
        Some(Match { log_p: log_p.min(0.0), ..best })
    }
}

/// Scores of each column of the query against each of the database.
struct Scores {
    /// Whether a column of the query is informative, `[query]`.
    counts: Vec<bool>,
    columns: usize,
    /// Scores from 0 to `BEST`, `[query, columns]`; 0 for uninformative columns.
    scores: Vec<u8>,
    /// Probability of each score of a column, `[query, BEST + 1]`.
    probabilities: Vec<[f64; BEST + 1]>,
}

impl Scores {
    fn new(query: &[[f64; 4]], counts: Vec<bool>, columns: &[[f64; 4]]) -> Self {
        let distance = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        let rows = || query.iter().zip(&counts).filter(|(_, counts)| **counts);
        let distances = rows().flat_map(|(row, _)| columns.iter().map(|column| distance(row, column)));
        let (least, most) =
            distances.fold((f64::INFINITY, 0.0f64), |(l, m), distance| (l.min(distance), m.max(distance)));
        let scale = if most > least { BEST as f64 / (most - least) } else { 0.0 };
        let score = |row, column, counts| {
            if counts { ((most - distance(row, column)) * scale).round() as u8 } else { 0 }
        };
        let scores: Vec<u8> = query
            .iter()
            .zip(&counts)
            .flat_map(|(row, &counts)| columns.iter().map(move |column| score(row, column, counts)))
            .collect();
        let each = 1.0 / columns.len() as f64;
        let probabilities = scores
            .chunks(columns.len())
            .map(|row| {
                let mut probabilities = [0.0; BEST + 1];
                row.iter().for_each(|&score| probabilities[usize::from(score)] += each);
                probabilities
            })
            .collect();
        Self { counts, columns: columns.len(), scores, probabilities }
    }

    fn of(&self, row: usize, column: usize) -> usize {
        usize::from(self.scores[row * self.columns + column])
    }

    /// For the first, the first two and so on of the query's columns from `start` on, up to `widest` of them: the
    /// logarithm of the probability of a sum as large or larger, by sum.
    fn tails(&self, start: usize, widest: usize) -> Vec<Vec<f64>> {
        let mut distribution = vec![1.0f64];
        let mut tails = Vec::new();
        for probabilities in self.probabilities[start..].iter().take(widest) {
            let mut longer = vec![0.0; distribution.len() + BEST];
            for (score, &probability) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                for (to, sum) in longer[score..].iter_mut().zip(&distribution) {
                    *to += probability * sum;
                }
            }
            distribution = longer;
            let mut tail: Vec<f64> = distribution
                .iter()
                .rev()
                .scan(0.0, |tail, &p| {
                    *tail += p;
                    Some(f64::min(*tail, 1.0).ln())
                })
                .collect();
            tail.reverse();
            tails.push(tail);
        }
        tails
    }
}

#[cfg(test)]
mod tests;
