//! Footprints: the mean profile around a motif that is set into the middle of many shuffled sequences.

use anyhow::Result;

use crate::evaluate;
use crate::metrics::profile::log_softmax;
use crate::random::{self, Purpose};
use crate::scorer::Scorer;
use crate::sequence::alphabet;
use crate::sequence::profile::{ProfileShape, reverse_stretches};
use crate::sequence::shuffle::dinucleotide_shuffle;

/// Sequences `[n, length]` in which motifs are set.
pub struct Backgrounds {
    codes: Vec<u8>,
    length: usize,
}

/// What a network gives around a motif.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// Mean over backgrounds and both strands of the motif: the share of a group's counts at each base of its tracks, `[tracks, length]`.
    pub profile: Vec<f64>,
    /// Mean log counts of each group.
    pub log_counts: Vec<f64>,
}

impl Backgrounds {
    /// Dinucleotide-preserving shuffles of sequences `[n, length]`, `wanted` of them, taken in turn.
    pub fn shuffled(codes: &[u8], length: usize, wanted: usize, seed: u64) -> Self {
        let n = (codes.len() / length).max(1);
        let shuffle = |i: usize| {
            let of = &codes[i % n * length..(i % n + 1) * length];
            dinucleotide_shuffle(of, &mut random::generator(seed, Purpose::Negatives, i as u64, 1))
        };
        Self { codes: (0..wanted).flat_map(shuffle).collect(), length }
    }

    /// The mean profile with a word in the middle of each background, as codes of which unknown ones leave the background; an empty
    /// word leaves all of it.
    ///
    /// # Errors
    /// The scorer fails.
    ///
    /// # Panics
    /// The word is longer than the profile.
    pub fn footprint(&self, scorer: &dyn Scorer, shape: &ProfileShape, word: &[u8]) -> Result<Footprint> {
        assert!(word.len() <= shape.length, "a word lies within the profile");
        let mut other = word.to_vec();
        alphabet::reverse_complement(&mut other);
        let mut footprint = Footprint { profile: vec![0.0; shape.values()], log_counts: vec![0.0; shape.groups()] };
        let n = self.codes.len() / self.length;
        for (word, is_reverse) in [(word, false), (&other, true)] {
            let mut codes = self.codes.clone();
            for background in codes.chunks_mut(self.length) {
                let before = self.length / 2 - word.len() / 2;
                // On the other strand its bases are at the same places of that strand.
                let before = if is_reverse { self.length - before - word.len() } else { before };
                for (base, &code) in background[before..].iter_mut().zip(word) {
                    if !alphabet::is_unknown(code) {
                        *base = code;
                    }
                }
            }
            for row in evaluate::logits_of_codes(scorer, &codes)?.chunks_mut(shape.outputs()) {
                if is_reverse {
                    reverse_stretches(row, &shape.stretches());
                }
                for range in shape.of_groups() {
                    let logits: Vec<f64> = row[range.clone()].iter().map(|&logit| f64::from(logit)).collect();
                    for (sum, log) in footprint.profile[range].iter_mut().zip(log_softmax(&logits)) {
                        *sum += log.exp() / (2 * n) as f64;
                    }
                }
                for (sum, &log_count) in footprint.log_counts.iter_mut().zip(&row[shape.values()..]) {
                    *sum += f64::from(log_count) / (2 * n) as f64;
                }
            }
        }
        Ok(footprint)
    }
}

impl Footprint {
    /// The share of each group's counts at the middle of a motif of so many bases, over that of a control: one base of each track,
    /// or the two in the middle of an even number.
    pub fn folds(&self, control: &Self, shape: &ProfileShape, bases: usize) -> Vec<f64> {
        let middle = shape.length / 2;
        let first = middle - usize::from(bases.is_multiple_of(2) && middle > 0);
        let share = |footprint: &Self, range: std::ops::Range<usize>| -> f64 {
            range.step_by(shape.length).flat_map(|track| &footprint.profile[track + first..=track + middle]).sum()
        };
        shape.of_groups().map(|group| share(self, group.clone()) / share(control, group)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::{Pending, Scores};

    const LENGTH: usize = 31;

    /// Counts fall behind each G of a CG, on the plus track, and before its C on the minus track.
    struct Cutter(ProfileShape);

    impl Scorer for Cutter {
        fn length(&self) -> usize {
            LENGTH
        }

        fn submit(&self, codes: &[u8]) -> Result<Pending> {
            let (shape, mut logits) = (&self.0, Vec::new());
            for codes in codes.chunks(LENGTH) {
                let mut row = vec![0.0; shape.outputs()];
                let before = (LENGTH - shape.length) / 2;
                for base in 1..shape.length - 1 {
                    let at = before + base;
                    if codes[at] == 1 && codes[at + 1] == 2 {
                        row[base + 1] += 3.0;
                        row[shape.length + base] += 3.0;
                        row[shape.values()] += 1.0;
                    }
                }
                logits.extend(row);
            }
            Ok(Pending::ready(Scores::of_logits(logits, self.0.outputs())))
        }
    }

    #[test]
    fn a_motif_that_is_cut_shows_and_another_does_not() {
        let shape = ProfileShape { tracks: vec![2], length: 21, ..ProfileShape::default() };
        // Without C and G, so that the motif alone is cut.
        let sequences: Vec<u8> = (0..3 * LENGTH).map(|i| [0, 3, 3, 0, 0, 3, 0][i * i % 7]).collect();
        let backgrounds = Backgrounds::shuffled(&sequences, LENGTH, 10, 1);
        assert!(backgrounds.codes.chunks(LENGTH).all(|codes| codes.iter().filter(|&&code| code == 3).count() > 5));
        let scorer = Cutter(shape.clone());
        let of = |word: &[u8]| backgrounds.footprint(&scorer, &shape, word).unwrap();
        let (empty, cut, uncut) = (of(&[]), of(&[0, 1, 2, 3]), of(&[0, 2, 1, 3]));
        assert!((cut.profile.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(empty.profile.iter().all(|share| (share - 1.0 / 42.0).abs() < 1e-9));
        // The palindrome ACGT of 4 bp lies at 8 to 12 or 9 to 13 of 21, so it is cut on either track at one of two places.
        let peak = cut.profile.iter().copied().fold(0.0, f64::max);
        assert!(peak > 0.15 && (cut.log_counts[0] - 1.0).abs() < 1e-9, "{peak}");
        assert_eq!(uncut, empty);
        assert!(cut.folds(&empty, &shape, 4)[0] > 5.0 && uncut.folds(&empty, &shape, 4) == [1.0]);
        // What a base of the background would be stays there.
        assert_eq!(of(&[4, 1, 2, 4]), cut);
    }
}
