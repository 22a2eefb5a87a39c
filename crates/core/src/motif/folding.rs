//! Folds near-identical motifs, of which networks learn many, into one row each. Two are near-identical if their logos
//! correlate above a threshold at the best offset on either strand.

use crate::motif::motifs::{FilterMotif, Motifs};
use crate::sequence::motif::Motif;

/// Correlation from which two logos count as one. Shifts of a position of low information and differences within the
/// scatter of a few hundred sites stay above it; motifs of different factors stay below.
pub const NEAR_IDENTICAL: f64 = 0.9;

/// A motif with those that are nearly identical to it and have fewer sites.
#[derive(Clone, Debug)]
pub struct Fold<'a> {
    /// The motif with the most sites, which stands for all.
    pub shown: &'a FilterMotif,
    /// The others.
    pub others: Vec<&'a FilterMotif>,
}

impl Fold<'_> {
    /// Number of motifs.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Whether the motif with the given identifier is among them.
    pub fn holds(&self, id: &str) -> bool {
        self.shown.motif.id == id || self.others.iter().any(|other| other.motif.id == id)
    }

    /// The name of the motif shown, with the number of all that it stands for if there are several.
    pub fn title(&self) -> String {
        match self.count() {
            1 => self.shown.motif.id.clone(),
            count => format!("{} ×{count}", self.shown.motif.id),
        }
    }
}

impl Motifs<'_> {
    /// The motifs that have sites, near-identical ones folded, in the order of [`Motifs::ranked`] of those shown.
    pub fn folded(&self) -> Vec<Fold<'_>> {
        let ranked = self.ranked();
        // By number of sites, so that each motif meets those that may stand for it first.
        let mut order: Vec<usize> = (0..ranked.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(ranked[i].sites.n));
        let mut folds: Vec<(usize, Logo, Fold)> = Vec::new();
        for i in order {
            let logo = Logo::of(&ranked[i].motif);
            let near = |(_, of, _): &&mut (usize, Logo, Fold)| logo.correlation(of) >= NEAR_IDENTICAL;
            match folds.iter_mut().find(near) {
                Some((_, _, fold)) => fold.others.push(ranked[i]),
                None => folds.push((i, logo, Fold { shown: ranked[i], others: Vec::new() })),
            }
        }
        folds.sort_by_key(|(rank, ..)| *rank);
        folds.into_iter().map(|(_, _, fold)| fold).collect()
    }
}

/// The heights of a logo's letters, less the mean of their position, on both strands.
struct Logo {
    strands: [Vec<[f64; 4]>; 2],
    /// Square root of the sum of squares.
    norm: f64,
}

impl Logo {
    fn of(motif: &Motif) -> Self {
        let heights: Vec<[f64; 4]> = motif
            .columns
            .iter()
            .zip(motif.information())
            .map(|(column, bits)| column.map(|share| (share - 0.25) * bits))
            .collect();
        let reverse = heights.iter().rev().map(|&[a, c, g, t]| [t, g, c, a]).collect();
        let norm = heights.iter().flatten().map(|height| height * height).sum::<f64>().sqrt();
        Self { strands: [heights, reverse], norm }
    }

    /// Correlation at the best offset on either strand; positions without a partner count as partnered by nothing.
    fn correlation(&self, other: &Self) -> f64 {
        let [own, _] = &self.strands;
        let offsets = |strand: &Vec<[f64; 4]>| -> f64 {
            let lowest = 1 - strand.len() as isize;
            (lowest..own.len() as isize).map(|offset| overlap(own, strand, offset)).fold(0.0, f64::max)
        };
        let best = other.strands.iter().map(offsets).fold(0.0, f64::max);
        // Motifs without information resemble nothing.
        if best > 0.0 { best / (self.norm * other.norm) } else { 0.0 }
    }
}

/// Sum of the products of the heights when `other` begins `offset` positions after `own`.
fn overlap(own: &[[f64; 4]], other: &[[f64; 4]], offset: isize) -> f64 {
    let (skip_own, skip_other) = (offset.max(0) as usize, (-offset).max(0) as usize);
    let pairs = own.iter().skip(skip_own).zip(other.iter().skip(skip_other));
    pairs.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motif::motifs::Origin;
    use crate::motif::sites::{Bins, Sites};

    /// A motif that is a word with some noise, and its number of sites.
    fn filter(id: &str, word: &str, sites: u64, noise: f64) -> FilterMotif {
        let column = |base: char| {
            let mut column = [noise / 4.0; 4];
            match "ACGT".find(base) {
                Some(base) => column[base] += 1.0 - noise,
                None => column = [0.25; 4],
            }
            column
        };
        let columns = word.chars().map(column).collect();
        let motif = Motif { id: id.into(), name: String::new(), columns, sites };
        let sites = Sites {
            largest: 1.0,
            threshold: 0.5,
            n: sites,
            reverse: 0,
            counts: Vec::new(),
            places: Vec::new(),
            sequences: sites,
            groups: Vec::new(),
        };
        FilterMotif { motif, sites, enrichments: Vec::new(), matches: Vec::new() }
    }

    fn folded(filters: Vec<FilterMotif>) -> Vec<(String, Vec<String>)> {
        let bins = Bins::Shares(1);
        let motifs = Motifs {
            origin: Origin::Filters,
            filters,
            divisions: Vec::new(),
            database: &[],
            both_strands: true,
            sequences: 1000,
            bins,
            background: [0.25; 4],
        };
        let id = |filter: &FilterMotif| filter.motif.id.clone();
        motifs
            .folded()
            .iter()
            .map(|fold| (id(fold.shown), fold.others.iter().map(|other| id(other)).collect()))
            .collect()
    }

    #[test]
    fn shifted_reversed_and_noisy_copies_are_one_row_with_the_most_sites() {
        let found = folded(vec![
            filter("f1", "NNGATAAGNN", 300, 0.1),
            filter("f2", "GATAAGNNNN", 500, 0.1),
            filter("f3", "NNNCTTATCN", 200, 0.2), // its reverse complement
            filter("f4", "CCACGTGG", 400, 0.1),
            filter("f5", "NNNNNNNN", 100, 0.1),
            filter("f6", "NNNNNNNN", 90, 0.1),
            filter("f7", "GATAAG", 0, 0.1), // never fires
        ]);
        let owned = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [("f2", owned(&["f1", "f3"])), ("f4", vec![]), ("f5", vec![]), ("f6", vec![])]
            .map(|(id, of)| (id.to_owned(), of));
        assert_eq!(found, expected);
    }

    #[test]
    fn neighbours_of_a_motif_stay_apart() {
        for (one, other) in [
            ("CACGTG", "CATGTG"),
            ("TGACTCA", "TGACGTCA"),
            ("GATAAG", "GATAAGNNNNGATAAG"),
            ("GGGGCGGGG", "GGGGTGGGG"),
            ("AAAAAA", "AAAA"),
            ("TTGCAA", "TTACGTAA"),
        ] {
            assert_eq!(folded(vec![filter("a", one, 9, 0.05), filter("b", other, 8, 0.05)]).len(), 2, "{one} {other}");
        }
    }

    #[test]
    fn copies_stay_together_whatever_their_offset_strand_and_noise() {
        for i in 0..24 {
            let (before, after) = ("N".repeat(i % 5), "N".repeat(i % 3));
            let word = ["TGACTCA", "CCAATNAG", "GGAAGTGA", "ATGCAAAT"][i % 4];
            let reverse = Motif::reverse_complement(&filter("", word, 1, 0.0).motif).consensus();
            let word_again = if i % 2 == 0 { word.to_owned() } else { reverse };
            let other = filter("b", &format!("{before}{word_again}{after}"), 400, 0.1 + 0.005 * i as f64);
            let found = folded(vec![filter("a", word, 500, 0.1), other]);
            assert_eq!(found, [("a".to_owned(), vec!["b".to_owned()])], "{i}");
        }
    }
}
