//! A motif as a matrix of base probabilities by position, with its derived properties.

use crate::sequence::alphabet;

/// A position probability matrix with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Motif {
    /// Identifier without spaces: the first word of a `MOTIF` line.
    pub id: String,
    /// Common name; may be empty.
    pub name: String,
    /// Probabilities of A, C, G and T at each position, `[width, 4]`.
    pub columns: Vec<[f64; 4]>,
    /// Number of sites it was made from; 0 if unknown.
    pub sites: u64,
}

impl Motif {
    /// A motif from counts of bases at each position, `[width, 4]`; without counts, a position is uniform.
    pub fn from_counts(id: String, counts: &[[u64; 4]], sites: u64) -> Self {
        let columns = counts.iter().map(|column| match column.iter().sum::<u64>() {
            0 => [0.25; 4],
            all => column.map(|count| count as f64 / all as f64),
        });
        Self { id, name: String::new(), columns: columns.collect(), sites }
    }

    /// Information content of each position, in bits: 2 minus the entropy, corrected for the bias of few sites
    /// (Schneider and others, 1986), which is 3 / (2 ln 2 n).
    pub fn information(&self) -> Vec<f64> {
        let bias = if self.sites == 0 { 0.0 } else { 3.0 / (2.0 * std::f64::consts::LN_2 * self.sites as f64) };
        self.columns.iter().map(|column| (bits(column) - bias).max(0.0)).collect()
    }

    /// Consensus sequence (Cavener, 1987): the base with more than half and more than twice the next, two bases with
    /// more than three quarters together, else N.
    pub fn consensus(&self) -> String {
        let letter = |column: &[f64; 4]| {
            let mut order = [0, 1, 2, 3];
            order.sort_by(|&a, &b| column[b].total_cmp(&column[a]));
            let [first, second, ..] = order;
            if column[first] > 0.5 && column[first] > 2.0 * column[second] {
                char::from(alphabet::ALPHABET.as_bytes()[first])
            } else if column[first] + column[second] > 0.75 {
                match (first.min(second), first.max(second)) {
                    (0, 1) => 'M',
                    (0, 2) => 'R',
                    (0, _) => 'W',
                    (1, 2) => 'S',
                    (1, _) => 'Y',
                    _ => 'K',
                }
            } else {
                'N'
            }
        };
        self.columns.iter().map(letter).collect()
    }

    /// The reverse complement of the motif.
    pub fn reverse_complement(&self) -> Self {
        let columns = self.columns.iter().rev().map(|&[a, c, g, t]| [t, g, c, a]).collect();
        Self { columns, ..self.clone() }
    }
}

/// Information of a column relative to base frequencies, in bits: the Kullback-Leibler divergence, which is two bits minus
/// the entropy where bases are equally frequent.
pub fn relative_bits(column: &[f64; 4], background: &[f64; 4]) -> f64 {
    // A base that does not occur is taken as rare, so that the information is finite.
    const LEAST: f64 = 1e-6;
    let present = column.iter().zip(background).filter(|(p, _)| **p > 0.0);
    present.map(|(p, of_all)| p * (p / of_all.max(LEAST)).log2()).sum()
}

/// Two bits minus the entropy of a column.
pub fn bits(column: &[f64; 4]) -> f64 {
    2.0 + column.iter().filter(|&&p| p > 0.0).map(|p| p * p.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A motif that is a word.
    fn word(bases: &str) -> Motif {
        let column =
            |base| alphabet::ALPHABET.bytes().map(|other| f64::from(u8::from(other == base))).collect::<Vec<_>>();
        let columns = bases.bytes().map(|base| column(base).try_into().unwrap()).collect();
        Motif { id: bases.into(), name: String::new(), columns, sites: 0 }
    }

    #[test]
    fn information_is_what_is_missing_from_two_bits() {
        let motif = Motif::from_counts("m".into(), &[[8, 0, 0, 0], [4, 4, 0, 0], [2, 2, 2, 2], [0; 4]], 0);
        let information = motif.information();
        assert_eq!(information, [2.0, 1.0, 0.0, 0.0]);
        let few = Motif { sites: 8, ..motif }.information();
        assert!((few[0] - (2.0 - 0.270_505)).abs() < 1e-5, "{few:?}");
        assert_eq!(few[2], 0.0);
    }

    #[test]
    fn information_relative_to_a_composition_is_none_where_that_is_all_there_is() {
        let rich = [0.1, 0.4, 0.4, 0.1];
        assert_eq!(relative_bits(&rich, &rich), 0.0);
        let column = [0.7, 0.1, 0.1, 0.1];
        assert!((relative_bits(&column, &[0.25; 4]) - bits(&column)).abs() < 1e-12);
        // scipy.stats.entropy([0.7, 0.1, 0.1, 0.1], [0.1, 0.4, 0.4, 0.1], base=2)
        assert!((relative_bits(&column, &rich) - 1.565_148_445_440_322_8).abs() < 1e-12);
        assert!(relative_bits(&[1.0, 0.0, 0.0, 0.0], &[0.0, 0.5, 0.5, 0.0]).is_finite());
    }

    #[test]
    fn the_consensus_is_in_iupac_letters() {
        let mut motif = word("GATTACA");
        motif.columns.push([0.5, 0.0, 0.5, 0.0]);
        motif.columns.push([0.1, 0.4, 0.1, 0.4]);
        motif.columns.push([0.4, 0.2, 0.2, 0.2]);
        assert_eq!(motif.consensus(), "GATTACARYN");
        assert_eq!(motif.reverse_complement().consensus(), "NRYTGTAATC");
    }
}
