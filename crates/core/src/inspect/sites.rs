//! Where the site of an enzyme lies from the bases that a track counts, found in the track itself: the preference of a transposase is a
//! dyad, the same word on either strand, so the bases around counts are symmetric about the centre of the site. No matrix of a
//! known enzyme is needed, and any genome does.
//!
//! A track of both strands is always symmetric about a place halfway between those of its strands. Whether one dyad lies there, or one
//! of each strand on either side, is told by fitting both: the bases around each count come from a dyad at one place or at another,
//! which of them is unknown (expectation maximisation, as in Bailey and Elkan, 1994, with the places given).

use crate::random::{self, Purpose};
use crate::sequence::alphabet;
use crate::sequence::enzyme::{EnzymeMatrix, REACH, SiteCounts};
use rand::RngExt;
use rayon::prelude::*;

/// Bases on either side of a count that are looked at.
const AROUND: usize = 30;
/// Length of a word around a count.
pub const WIDTH: usize = 2 * AROUND + 1;
/// Centres that are compared, up to so many half bases on either side of the counted base.
const FARTHEST: i32 = 20;
/// Half the distance between two dyads that are compared, in half bases.
const WIDEST: i32 = 18;
/// Bases on either side of the centre in which an enzyme without a dyad may prefer any: those of dyads up to 5 bases away.
const FREE_REACH: usize = REACH + 5;
/// Rounds in which dyads, and an enzyme without one, are fitted: more change the third digit.
const ROUNDS: usize = 12;
const FREE_ROUNDS: usize = 30;
/// Rounds in which shares of centres are found.
const SHARE_ROUNDS: usize = 60;

/// The bases around counted bases, in one direction.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// `[n, WIDTH]`; unknown beyond the ends of a window.
    codes: Vec<u8>,
    /// `[n]`
    counts: Vec<f64>,
}

/// How the bases around counts are symmetric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Symmetry {
    /// The centre of the best, in half bases from the counted base.
    pub centre: i32,
    /// Correlation of the matrix and its reverse complement about it.
    pub correlation: f64,
    /// The highest correlation about any other centre.
    pub next: f64,
}

/// What two dyads explain, or one where both lie at the same place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dyads {
    /// Their centres, in half bases from the counted base, the rightmost first.
    pub centres: (i32, i32),
    /// Log-likelihood of a count above that of bases without a preference, in nats, less a count's share of the parameters.
    pub gain: f64,
}

/// The dyads that explain most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The best.
    pub best: Dyads,
    /// The gain of the second best.
    pub next: f64,
    /// The gain of an enzyme with any preference, on both strands alike.
    pub free: f64,
}

impl Words {
    /// Centres that are compared, in half bases from the counted base.
    pub const CENTRES: std::ops::RangeInclusive<i32> = -FARTHEST..=FARTHEST;

    /// Adds the bases around position `at` of a sequence.
    pub fn push(&mut self, codes: &[u8], at: usize, count: f64) {
        let code = |i: usize| (at + i).checked_sub(AROUND).and_then(|place| codes.get(place)).copied();
        self.codes.extend((0..WIDTH).map(|i| code(i).unwrap_or(alphabet::UNKNOWN)));
        self.counts.push(count);
    }

    /// Counts of equal weight that would tell as much.
    pub fn effective(&self) -> f64 {
        let (all, squares) = self.counts.iter().fold((0.0, 0.0), |(all, squares), n| (all + n, squares + n * n));
        if squares > 0.0 { all * all / squares } else { 0.0 }
    }

    /// Both together.
    pub fn with(mut self, other: &Self) -> Self {
        self.codes.extend(&other.codes);
        self.counts.extend(&other.counts);
        self
    }

    /// `wanted` of them or fewer, evenly spread, with counts in units of their mean, of which none is above `most`: one place of very
    /// many reads is not the genome.
    pub fn thinned(&self, wanted: usize, most: f64) -> Self {
        let n = self.counts.len();
        let mean = self.counts.iter().sum::<f64>() / n.max(1) as f64;
        let kept = n.min(wanted);
        let mut thinned = Self::default();
        for i in (0..kept).map(|i| i * n / kept) {
            thinned.codes.extend(&self.codes[i * WIDTH..(i + 1) * WIDTH]);
            thinned.counts.push((self.counts[i] / mean).min(most));
        }
        thinned
    }

    /// The matrix of all bases, against their mean composition on both strands.
    pub fn matrix(&self) -> EnzymeMatrix {
        let mut sites = SiteCounts::new(AROUND);
        self.codes.chunks(WIDTH).zip(&self.counts).for_each(|(word, &count)| sites.add_word(word, count));
        sites.matrix()
    }

    /// The matrix of bases that are all read in one direction, against their own composition, in which strands differ along genes.
    pub fn matrix_of_strand(&self) -> EnzymeMatrix {
        let mut sites = SiteCounts::new(AROUND);
        let mut counts = [0.0; WIDTH];
        for (word, &count) in self.codes.chunks(WIDTH).zip(&self.counts) {
            counts[AROUND] = count as f32;
            sites.add(word, 0..WIDTH, &counts);
        }
        sites.matrix()
    }

    /// Shares of A, C, G and T at each place of the words, `[WIDTH, 4]`.
    pub fn probabilities(&self) -> Vec<[f64; 4]> {
        let mut shares = vec![[0.0; 4]; WIDTH];
        for (word, &count) in self.codes.chunks(WIDTH).zip(&self.counts) {
            let known = word.iter().zip(&mut shares).filter(|(code, _)| !alphabet::is_unknown(**code));
            known.for_each(|(&code, row)| row[usize::from(code)] += count);
        }
        for row in &mut shares {
            let all: f64 = row.iter().sum();
            *row = if all > 0.0 { row.map(|share| share / all) } else { [0.25; 4] };
        }
        shares
    }

    /// Which share of the counts has the centre of its dyad at each base, from the counted base, given the dyad about `centre`, in
    /// half bases (expectation maximisation of the shares alone).
    pub fn shares_of_centres(&self, centre: i32) -> Vec<(i32, f64)> {
        let composition = self.composition();
        let width = 2 * REACH + 1 + usize::from(centre % 2 != 0);
        let mut counts = vec![[0.0; 5]; width];
        let from = first(centre, width);
        for (word, &count) in self.codes.chunks(WIDTH).zip(&self.counts) {
            let word = &word[from..from + width];
            counts.iter_mut().zip(word).for_each(|(row, &code)| row[usize::from(code)] += count);
        }
        let log_odds = Preference::Dyad.log_odds(&counts, &composition);
        // Centres that lie on a base as the dyad's does, or between two.
        let places: Vec<i32> = (-FARTHEST..=FARTHEST).filter(|at| (at - centre) % 2 == 0).collect();
        let odds = |word: &[u8]| -> Vec<f64> {
            let score = |at: &i32| {
                let word = &word[first(*at, width)..][..width];
                log_odds.iter().zip(word).map(|(row, &code)| row[usize::from(code)]).sum::<f64>().exp()
            };
            places.iter().map(score).collect()
        };
        let odds: Vec<Vec<f64>> = self.codes.par_chunks(WIDTH).map(odds).collect();
        let mut shares = vec![1.0 / places.len() as f64; places.len()];
        for _ in 0..SHARE_ROUNDS {
            let (mut next, mut all) = (vec![0.0; places.len()], 0.0);
            for (odds, count) in odds.iter().zip(&self.counts) {
                let sum: f64 = odds.iter().zip(&shares).map(|(odds, share)| odds * share).sum();
                if sum > 0.0 {
                    all += count;
                    next.iter_mut()
                        .zip(odds.iter().zip(&shares))
                        .for_each(|(next, (odds, share))| *next += count * odds * share / sum);
                }
            }
            shares = next.into_iter().map(|share| if all > 0.0 { share / all } else { 0.0 }).collect();
        }
        places.into_iter().map(|at| at.div_euclid(2)).zip(shares).collect()
    }

    /// The centre about which the bases are most symmetric.
    pub fn symmetry(&self) -> Symmetry {
        let matrix = self.matrix();
        let mut found: Vec<(f64, i32)> = (-FARTHEST..=FARTHEST).map(|at| (matrix.symmetry(at), at)).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        Symmetry { centre: found[0].1, correlation: found[0].0, next: found[1].0 }
    }

    /// The two dyads about a centre that explain the bases best.
    pub fn fit(&self, centre: i32) -> Fit {
        let composition = self.composition();
        let mut dyads: Vec<Dyads> = (0..=WIDEST)
            .map(|half| {
                let centres = (centre + half, centre - half);
                // A dyad about a base is of an odd length, one between two bases of an even one.
                let width = 2 * REACH + 1 + usize::from(centres.0 % 2 != 0);
                let [one, other] = [centres.0, centres.1].map(|at| first(at, width));
                let rounds = if half == 0 { 1 } else { ROUNDS };
                Dyads { centres, gain: self.mixture((one, other), width, Preference::Dyad, rounds, &composition) }
            })
            .collect();
        dyads.sort_by(|a, b| b.gain.total_cmp(&a.gain));
        let width = 2 * FREE_REACH + 1 + usize::from(centre % 2 != 0);
        let at = first(centre, width);
        let free = self.mixture((at, at), width, Preference::Any, FREE_ROUNDS, &composition);
        Fit { best: dyads[0], next: dyads[1].gain, free }
    }

    /// Shares of the bases on both strands.
    fn composition(&self) -> [f64; 4] {
        let mut bases = [1.0; 4];
        for &code in self.codes.iter().filter(|code| !alphabet::is_unknown(**code)) {
            bases[usize::from(code)] += 1.0;
            bases[usize::from(3 - code)] += 1.0;
        }
        let all: f64 = bases.iter().sum();
        bases.map(|base| base / all)
    }

    /// What a matrix of `width` bases explains that begins at one place of each word, or, on the other strand, at another.
    fn mixture(
        &self,
        (one, other): (usize, usize),
        width: usize,
        preference: Preference,
        rounds: usize,
        composition: &[f64; 4],
    ) -> f64 {
        let mut random = random::generator(0, Purpose::Simulate, width as u64, 0);
        // Bases that prefer anything must begin unlike their own reverse complement, or they stay so.
        let off = if preference == Preference::Any { 0.05 } else { 0.0 };
        let mut shares: Vec<f64> = self.counts.iter().map(|_| 0.5 + off * (random.random::<f64>() - 0.5)).collect();
        let (mut gain, all) = (0.0, self.counts.iter().sum::<f64>());
        for _ in 0..rounds {
            let mut counts = vec![[0.0; 5]; width];
            for ((word, &count), &share) in self.codes.chunks(WIDTH).zip(&self.counts).zip(&shares) {
                let (forward, backward) = (count * share, count * (1.0 - share));
                for (i, row) in counts.iter_mut().enumerate() {
                    row[usize::from(word[one + i])] += forward;
                    row[usize::from(alphabet::complement(word[other + width - 1 - i]))] += backward;
                }
            }
            let log_odds = preference.log_odds(&counts, composition);
            gain = 0.0;
            for ((word, &count), share) in self.codes.chunks(WIDTH).zip(&self.counts).zip(&mut shares) {
                let (mut forward, mut backward) = (0.0, 0.0);
                for (i, row) in log_odds.iter().enumerate() {
                    forward += row[usize::from(word[one + i])];
                    backward += row[usize::from(alphabet::complement(word[other + width - 1 - i]))];
                }
                *share = 1.0 / (1.0 + (backward - forward).exp());
                let most = f64::max(forward, backward);
                gain += count * (most + f64::midpoint((forward - most).exp(), (backward - most).exp()).ln());
            }
        }
        let parameters = 3.0 * width as f64 / if preference == Preference::Dyad { 2.0 } else { 1.0 };
        gain / all.max(f64::MIN_POSITIVE) - parameters / self.effective().max(1.0)
    }
}

/// What a matrix may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preference {
    /// A word that is its own reverse complement.
    Dyad,
    /// Any word.
    Any,
}

impl Preference {
    /// Log odds of counts `[width, 5]`, of which the last column is of unknown bases, with one count more of the composition.
    fn log_odds(self, counts: &[[f64; 5]], composition: &[f64; 4]) -> Vec<[f64; 5]> {
        let row = |i: usize| {
            let mut counted: [f64; 4] = std::array::from_fn(|base| counts[i][base]);
            if self == Preference::Dyad {
                let other = &counts[counts.len() - 1 - i];
                counted.iter_mut().enumerate().for_each(|(base, count)| *count += other[3 - base]);
            }
            let all = counted.iter().sum::<f64>() + 1.0;
            let log_odds = |base: usize| match base {
                4 => 0.0,
                _ => ((counted[base] + composition[base]) / (all * composition[base])).ln(),
            };
            std::array::from_fn(log_odds)
        };
        (0..counts.len()).map(row).collect()
    }
}

/// Where in a word a matrix of `width` bases begins whose centre lies so many half bases from the counted base.
fn first(centre: i32, width: usize) -> usize {
    (AROUND as i32 + (centre - (width as i32 - 1)).div_euclid(2)) as usize
}
