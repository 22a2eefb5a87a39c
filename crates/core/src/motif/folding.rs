//! Folds near-identical motifs, of which networks learn many, into one row each. Two are near-identical if at some offset
//! on either strand their logos correlate where they overlap, and the overlap holds most of what either logo says.

use crate::motif::motifs::{FilterMotif, Motifs};
use crate::sequence::motif::Motif;

/// Least correlation of the overlap. The scatter of a few hundred sites stays above it; another base at one position in
/// nine stays below.
const CORRELATION: f64 = 0.9;

/// Least share of either logo that the overlap holds, as the sum of the squares of the heights of its letters. Filters of
/// one width see a longer motif through windows that are shifted against each other.
const OVERLAP: f64 = 0.7;

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
            let near = |(_, of, _): &&mut (usize, Logo, Fold)| logo.is_near(of);
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
struct Logo([Vec<[f64; 4]>; 2]);

impl Logo {
    fn of(motif: &Motif) -> Self {
        let heights: Vec<[f64; 4]> = motif
            .columns
            .iter()
            .zip(motif.information())
            .map(|(column, bits)| column.map(|share| (share - 0.25) * bits))
            .collect();
        let reverse = heights.iter().rev().map(|&[a, c, g, t]| [t, g, c, a]).collect();
        Self([heights, reverse])
    }

    fn is_near(&self, other: &Self) -> bool {
        let own = &self.0[0];
        other.0.iter().any(|strand| {
            let lowest = 1 - strand.len() as isize;
            (lowest..own.len() as isize).any(|offset| are_near(own, strand, offset))
        })
    }
}

/// Whether two logos are near-identical when `other` begins `offset` positions after `own`.
fn are_near(own: &[[f64; 4]], other: &[[f64; 4]], offset: isize) -> bool {
    let overlap =
        own.len().saturating_sub(offset.max(0) as usize).min(other.len().saturating_sub((-offset).max(0) as usize));
    let (a, b) = (&own[offset.max(0) as usize..][..overlap], &other[(-offset).max(0) as usize..][..overlap]);
    let (of_a, of_b) = (product(a, a), product(b, b));
    of_a > 0.0
        && of_b > 0.0
        && of_a >= OVERLAP * product(own, own)
        && of_b >= OVERLAP * product(other, other)
        && product(a, b) >= CORRELATION * (of_a * of_b).sqrt()
}

fn product(a: &[[f64; 4]], b: &[[f64; 4]]) -> f64 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motif::motifs::Origin;
    use crate::motif::sequence_set::SequenceSet;
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
            sequences: SequenceSet::default(),
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
            matching: None,
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
            filter("f8", "ATTGCCGATAACT", 80, 0.1),
            filter("f9", "TTGCCGATAACTG", 70, 0.1), // another window on a longer motif
        ]);
        let owned = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected =
            [("f2", owned(&["f1", "f3"])), ("f4", vec![]), ("f5", vec![]), ("f6", vec![]), ("f8", owned(&["f9"]))]
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
            ("AAAAAAA", "AAAA"),
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
