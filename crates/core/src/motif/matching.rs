//! Which known motifs a motif resembles, with a p-value: the method of Tomtom (Gupta, Stamatoyannopoulos, Bailey and Noble,
//! Genome Biology 2007).
//!
//! Two columns are compared by their Euclidean distance; the score of an alignment is the sum over the columns that lie one
//! above the other. Scores of a query's columns against all columns of the database become whole numbers from 0 to 100.
//! If the columns opposite the query's were drawn at random from the database, the sum over some of the query's columns
//! would have a distribution that dynamic programming gives exactly: that of the first column, then of the first two, and so
//! on. The p-value of an alignment is the probability of a sum as large or larger; that of a target is
//! `1 - (1 - p)^n` for the smallest of the p-values of its `n` alignments, over all offsets and both strands.
//!
//! One thing is our own: columns of the query that tell next to nothing do not count. Filters are wider than most motifs, and
//! known motifs have stretches that tell nothing too. Drawn one by one such columns are rare, so that a stretch of them would
//! be a likeness beyond chance.

use rayon::prelude::*;

use crate::motif::enrichment::benjamini_hochberg;
use crate::sequence::motif::{self, Motif};

/// The largest score of two columns.
const BEST: usize = 100;

/// Fewest columns that are compared, of motifs that have as many: one or two alike are no likeness.
const LEAST_OVERLAP: usize = 5;

/// Information of a query's column, in bits, below which it does not count: an eighth of what a column can tell.
const LEAST_BITS: f64 = 0.25;

/// A known motif and how well it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Its place in the database.
    pub target: usize,
    /// Position of the query at which the target, read on `reverse`, begins; negative where it begins before.
    pub offset: i64,
    /// The match is to the reverse complement.
    pub reverse: bool,
    /// Columns that lie one above the other and count.
    pub overlap: usize,
    /// Natural logarithms, as the numbers may be too small for one.
    pub log_p: f64,
    /// Natural logarithm of the q-value.
    pub log_q: f64,
}

impl Match {
    /// The natural logarithm of the number of targets that would fit as well by chance.
    pub fn log_e(&self, targets: usize) -> f64 {
        self.log_p + (targets as f64).ln()
    }
}

/// Motifs to compare with, and their columns on both strands.
pub struct Database<'a> {
    /// The database.
    pub motifs: &'a [Motif],
    /// Columns of a motif as it is and reversed, one motif after another, `[2 * columns, 4]`.
    columns: Vec<[f64; 4]>,
    /// Where the columns of each motif begin, as it is and reversed.
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

    /// How well each motif of the database fits a query, the best first; q-values are over the targets of this query.
    /// Those that lie beside too few columns which count, wherever they are laid, are left out, so nothing fits a query that
    /// tells nothing.
    pub fn matches(&self, query: &[[f64; 4]]) -> Vec<Match> {
        let counts: Vec<bool> = query.iter().map(|column| motif::bits(column) >= LEAST_BITS).collect();
        if self.columns.is_empty() || !counts.contains(&true) {
            return Vec::new();
        }
        let scores = Scores::new(query, counts, &self.columns);
        // Alignments whose first column of the query is the same share their sums.
        let of_starts: Vec<Vec<Alignments>> =
            (0..query.len()).into_par_iter().map(|start| self.alignments_from(start, &scores)).collect();
        let mut found: Vec<Match> = (0..self.motifs.len())
            .filter_map(|target| {
                let mut all = Alignments::default();
                // Of two that are as probable, the one that starts first, so that the order never depends on the machine.
                of_starts.iter().for_each(|from_start| all.add(from_start[target].clone()));
                all.over_all()
            })
            .collect();
        let log_q = benjamini_hochberg(&found.iter().map(|found| found.log_p).collect::<Vec<_>>());
        found.iter_mut().zip(log_q).for_each(|(found, log_q)| found.log_q = log_q);
        found.sort_by(|a, b| a.log_p.total_cmp(&b.log_p).then(b.overlap.cmp(&a.overlap)));
        found
    }

    /// The alignments of each target whose first column of the query is `start`.
    fn alignments_from(&self, start: usize, scores: &Scores) -> Vec<Alignments> {
        let query = scores.counts.len();
        let tails = scores.tails(start, self.widest);
        // How many of the query's columns from `start` on count, of each number of them.
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
            // Only at its own beginning can the query stand further to the right than the target.
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

/// Ways to lay a target beside a query: how many there are, and the best.
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

    /// The best, its p-value that of the best of so many.
    fn over_all(self) -> Option<Match> {
        let (best, count) = (self.best?, self.count as f64);
        let p = best.log_p.exp();
        // Of a small p-value so many times it, which stays a number where the other does not.
        let log_p = if p < 1e-12 { best.log_p + count.ln() } else { (-(count * (-p).ln_1p()).exp_m1()).ln() };
        Some(Match { log_p: log_p.min(0.0), ..best })
    }
}

/// Scores of each of the query's columns against each of the database's.
struct Scores {
    /// Whether a column of the query counts, `[query]`.
    counts: Vec<bool>,
    columns: usize,
    /// `[query, columns]`, from 0 to `BEST`; 0 throughout for a column that does not count.
    scores: Vec<u8>,
    /// How probable each score of a column is, `[query, BEST + 1]`.
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

    /// For the first, the first two and so on of the query's columns from `start` on, up to `widest` of them, the logarithm of
    /// the probability of a sum as large or larger, by sum.
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
