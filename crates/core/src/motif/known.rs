//! Known motifs, and which of them motifs resemble more than two nulls do: motifs of the network before training, and
//! copies of the motifs themselves whose informative columns are shuffled.

use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::motif::enrichment::benjamini_hochberg;
use crate::motif::matching::{Database, Match, is_informative};
use crate::motif::null::Null;
use crate::random::{self, Purpose};
use crate::sequence::motif::Motif;

/// Q-value below which a match is counted.
pub const SIGNIFICANT: f64 = 0.05;

/// Number of matches kept for each motif.
const MATCHES: usize = 5;

/// Smallest number of sites of a motif that is compared with known ones; one or two sites resemble anything.
const LEAST_SITES: u64 = 5;

/// Motifs with shuffled columns, at least, for a tail that can be fitted.
const LEAST_SHUFFLED: usize = 512;

/// A known motif that a motif resembles.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownMatch {
    /// The alignment, with the p- and q-values of Tomtom, which are not calibrated.
    pub alignment: Match,
    /// Natural logarithm of the calibrated p-value: the larger of those of the two nulls, corrected for the number of known
    /// motifs.
    pub log_p: f64,
    /// Natural logarithm of the calibrated q-value over all motifs; for a match that is not the best of its motif, what it
    /// would be if it were.
    pub log_q: f64,
}

/// Known motifs with the null of a network that was not trained.
pub struct Known<'a> {
    /// The known motifs.
    pub motifs: &'a [Motif],
    /// Filters of the untrained network that were compared.
    pub untrained: usize,
    /// Those of them whose best match has a q-value of Tomtom below [`SIGNIFICANT`].
    pub untrained_matching: usize,
    null: Option<Null>,
    seed: u64,
}

/// Matches of several motifs to known ones.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// Those of each motif, best first.
    pub of_motifs: Vec<Vec<KnownMatch>>,
    /// Number of motifs with shuffled columns.
    pub shuffled: usize,
    /// Motifs that have a match with a q-value of Tomtom below [`SIGNIFICANT`].
    pub uncalibrated: usize,
}

impl<'a> Known<'a> {
    /// Compares motifs of untrained filters, with `background` of the sequences that they were made from, with known motifs.
    pub fn new(motifs: &'a [Motif], untrained: &[Motif], background: &[f64; 4], seed: u64) -> Self {
        let database = Database::new(motifs);
        let of = |motif: &Motif| {
            let matches = database.matches(&motif.columns, background);
            let is_match = matches.first().is_some_and(|best| best.log_q < SIGNIFICANT.ln());
            (scores(&matches, motifs.len()), is_match)
        };
        let untrained: Vec<&Motif> = untrained.iter().filter(|motif| is_compared(motif, background)).collect();
        let compared: Vec<(Vec<f64>, bool)> = untrained.par_iter().map(|motif| of(motif)).collect();
        let untrained_matching = compared.iter().filter(|(_, is_match)| *is_match).count();
        let scores: Vec<Vec<f64>> = compared.into_iter().map(|(scores, _)| scores).collect();
        Self { motifs, untrained: scores.len(), untrained_matching, null: Null::of(&scores), seed }
    }

    /// The known motifs that each motif resembles most. Q-values are by Benjamini and Hochberg over the best matches of all
    /// motifs that are compared.
    pub fn matches(&self, motifs: &[Motif], background: &[f64; 4]) -> Matches {
        let database = Database::new(self.motifs);
        let compared: Vec<usize> = (0..motifs.len()).filter(|&i| is_compared(&motifs[i], background)).collect();
        if compared.is_empty() {
            return Matches { of_motifs: vec![Vec::new(); motifs.len()], ..Matches::default() };
        }
        let rounds = LEAST_SHUFFLED.div_ceil(compared.len());
        let copies: Vec<Vec<f64>> = compared
            .par_iter()
            .flat_map_iter(|&i| (0..rounds).map(move |round| (i, round)))
            .map(|(i, round)| {
                let copy = self.shuffled(&motifs[i], background, i, round);
                scores(&database.matches(&copy, background), self.motifs.len())
            })
            .collect();
        let shuffled = Null::of(&copies);
        let nulls: Vec<&Null> = self.null.iter().chain(&shuffled).collect();
        let of_motif = |&i: &usize| {
            let all = database.matches(&motifs[i].columns, background);
            let is_match = all.first().is_some_and(|best| best.log_q < SIGNIFICANT.ln());
            let calibrated = all.into_iter().map(|alignment| {
                let score = score(&alignment);
                let log_p =
                    nulls.iter().map(|null| null.log_p(alignment.target, score)).fold(f64::NEG_INFINITY, f64::max);
                KnownMatch { alignment, log_p: log_p.min(0.0), log_q: 0.0 }
            });
            let mut matches: Vec<KnownMatch> = calibrated.collect();
            // The sort keeps the order of equals: by Tomtom's p-value.
            matches.sort_by(|a, b| a.log_p.total_cmp(&b.log_p));
            matches.truncate(MATCHES);
            (i, matches, is_match)
        };
        let found: Vec<(usize, Vec<KnownMatch>, bool)> = compared.par_iter().map(of_motif).collect();
        let mut of_motifs = vec![Vec::new(); motifs.len()];
        let uncalibrated = found.iter().filter(|(.., is_match)| *is_match).count();
        found.into_iter().for_each(|(i, matches, _)| of_motifs[i] = matches);
        correct(&mut of_motifs);
        Matches { of_motifs, shuffled: copies.len(), uncalibrated }
    }

    /// The columns of a motif with those that are informative in another order. The others stay where they are, so that a
    /// filter that is wider than its motif does not fall apart.
    fn shuffled(&self, motif: &Motif, background: &[f64; 4], index: usize, round: usize) -> Vec<[f64; 4]> {
        let places: Vec<usize> =
            (0..motif.columns.len()).filter(|&i| is_informative(&motif.columns[i], background)).collect();
        let mut order = places.clone();
        order.shuffle(&mut random::generator(self.seed, Purpose::MotifNull, index as u64, round as u64));
        let mut columns = motif.columns.clone();
        places.iter().zip(order).for_each(|(&to, from)| columns[to] = motif.columns[from]);
        columns
    }
}

/// Whether a motif has enough sites, and says anything.
fn is_compared(motif: &Motif, background: &[f64; 4]) -> bool {
    motif.sites >= LEAST_SITES && motif.columns.iter().any(|column| is_informative(column, background))
}

fn score(alignment: &Match) -> f64 {
    -alignment.log_p / std::f64::consts::LN_10
}

/// Scores against all targets; 0 where nothing can be aligned.
fn scores(matches: &[Match], targets: usize) -> Vec<f64> {
    let mut scores = vec![0.0; targets];
    matches.iter().for_each(|found| scores[found.target] = score(found));
    scores
}

/// Sets the q-values.
fn correct(of_motifs: &mut [Vec<KnownMatch>]) {
    let best: Vec<f64> = of_motifs.iter().filter_map(|matches| Some(matches.first()?.log_p)).collect();
    let log_q = benjamini_hochberg(&best);
    let mut corrected: Vec<(f64, f64)> = best.into_iter().zip(log_q).collect();
    corrected.sort_by(|a, b| a.0.total_cmp(&b.0));
    for found in of_motifs.iter_mut().flatten() {
        let next = corrected.partition_point(|(log_p, _)| *log_p < found.log_p);
        found.log_q = corrected.get(next).map_or(found.log_p, |(_, log_q)| *log_q);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    const EVEN: [f64; 4] = [0.25; 4];

    /// A motif of `width` columns, each with some preference for a base.
    fn noise(id: &str, width: usize, random: &mut random::Generator) -> Motif {
        let columns = (0..width).map(|_| {
            let weights: [f64; 4] = std::array::from_fn(|_| random.random::<f64>().powi(3) + 0.02);
            let total: f64 = weights.iter().sum();
            weights.map(|weight| weight / total)
        });
        Motif { id: id.into(), name: String::new(), columns: columns.collect(), sites: 100 }
    }

    fn word(bases: &str) -> Motif {
        let column = |base| {
            let mut column = [0.05; 4];
            column["ACGT".find(base).unwrap()] = 0.85;
            column
        };
        Motif { id: bases.into(), name: String::new(), columns: bases.chars().map(column).collect(), sites: 100 }
    }

    /// Known words, and motifs that hold the first of them each in some noise.
    fn known_words(random: &mut random::Generator) -> Vec<Motif> {
        (0..60)
            .map(|_| word(&(0..10).map(|_| ['A', 'C', 'G', 'T'][random.random_range(0..4)]).collect::<String>()))
            .collect()
    }

    #[test]
    fn what_an_untrained_network_holds_as_well_is_no_match_and_what_it_lacks_is() {
        let mut random = random::generator(4, Purpose::Search, 0, 0);
        let words = known_words(&mut random);
        // Untrained filters that all hold a trace of the first word, as where the sequences are full of it.
        let trace = |columns: &[[f64; 4]]| -> Vec<[f64; 4]> {
            let mixed = columns.iter().map(|column| column.map(|p| 0.6 * p + 0.1)).collect::<Vec<_>>();
            [mixed, vec![EVEN; 4]].concat()
        };
        let mut untrained: Vec<Motif> = (0..200).map(|i| noise(&format!("u{i}"), 14, &mut random)).collect();
        for motif in untrained.iter_mut().step_by(2) {
            motif.columns = trace(&words[0].columns);
            motif.columns[10] = [0.1 + 0.6 * random.random::<f64>(), 0.1, 0.1, 0.1].map(|p| p);
        }
        let known = Known::new(&words, &untrained, &EVEN, 1);
        assert!((90..130).contains(&known.untrained_matching), "{}", known.untrained_matching);
        let motifs = [
            Motif { columns: trace(&words[0].columns), ..words[0].clone() }, // as the untrained ones
            words[7].clone(),
            words[9].reverse_complement(),
            noise("noise", 14, &mut random),
            Motif { sites: 4, ..words[3].clone() },
        ];
        let Matches { of_motifs, shuffled, uncalibrated } = known.matches(&motifs, &EVEN);
        assert!(shuffled >= LEAST_SHUFFLED && uncalibrated >= 3, "{shuffled} {uncalibrated}");
        let best: Vec<Option<(usize, bool)>> = of_motifs
            .iter()
            .map(|matches| matches.first().map(|best| (best.alignment.target, best.log_q < SIGNIFICANT.ln())))
            .collect();
        assert!(of_motifs[0].iter().all(|found| found.log_q > SIGNIFICANT.ln()), "{:?}", of_motifs[0]);
        assert_eq!(best[1..3], [Some((7, true)), Some((9, true))]);
        assert!(!best[3].unwrap().1 && best[4].is_none());
        assert!(of_motifs[0][0].alignment.log_q < SIGNIFICANT.ln(), "as Tomtom alone has it");
    }

    #[test]
    fn motifs_of_the_null_match_no_more_than_chance_has_it() {
        let mut random = random::generator(5, Purpose::Search, 0, 0);
        let words = known_words(&mut random);
        let mut found = 0;
        for repeat in 0..10 {
            let motifs: Vec<Motif> = (0..320).map(|i| noise(&i.to_string(), 12, &mut random)).collect();
            let known = Known::new(&words, &motifs[..256], &EVEN, repeat);
            let matches = known.matches(&motifs[256..], &EVEN).of_motifs;
            found += usize::from(matches.iter().any(|matches| matches[0].log_q < SIGNIFICANT.ln()));
        }
        // With q-values at 0.05, one set in twenty has a match.
        assert!(found <= 2, "{found} of 10 sets");
    }

    #[test]
    fn a_motif_of_one_repeated_column_is_no_evidence_for_a_known_one_like_it() {
        let mut random = random::generator(6, Purpose::Search, 0, 0);
        let words: Vec<Motif> = known_words(&mut random).into_iter().chain([word("AAAAAAAAAA")]).collect();
        let known = Known::new(&words, &[], &EVEN, 1);
        let matches = known.matches(&[word("AAAAAAAAAA")], &EVEN).of_motifs;
        assert_eq!(matches[0][0].alignment.target, 60);
        assert!(matches[0][0].log_p > 0.3f64.ln() && matches[0][0].alignment.log_q < -5.0, "{:?}", matches[0][0]);
    }

    #[test]
    fn shuffled_columns_are_the_same_and_uninformative_ones_stay() {
        let mut motif = word("ACGTACGGTA");
        motif.columns[4] = [0.26, 0.24, 0.25, 0.25];
        let known = Known::new(&[], &[], &EVEN, 3);
        let sorted = |mut columns: Vec<[f64; 4]>| {
            columns.sort_by(|a, b| a.partial_cmp(b).unwrap());
            columns
        };
        let copies: Vec<_> = (0..20).map(|round| known.shuffled(&motif, &EVEN, 0, round)).collect();
        assert!(
            copies
                .iter()
                .all(|copy| copy[4] == motif.columns[4] && sorted(copy.clone()) == sorted(motif.columns.clone()))
        );
        assert!(copies.iter().any(|copy| *copy != motif.columns));
        assert!(known.matches(&[motif], &EVEN).of_motifs[0].is_empty(), "there is nothing to match");
    }
}
