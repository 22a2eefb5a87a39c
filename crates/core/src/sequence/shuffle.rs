//! Dinucleotide-preserving shuffles: negatives and backgrounds that cannot be told from the original by composition.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random::Generator;
use crate::sequence::alphabet::UNKNOWN;

/// Number of letters: A, C, G, T and the unknown base.
const LETTERS: usize = UNKNOWN as usize + 1;

/// A sequence drawn uniformly from all those with the same first and last code as `codes` (0 to 4) and the same
/// dinucleotide counts. It may be `codes` itself, and is if no other has these counts.
///
/// Such sequences are the Eulerian paths of the graph whose edges are the pairs (Altschul and Erickson, Mol. Biol.
/// Evol. 1985). Every path is fixed by the last edge that leaves each letter, which together form a tree towards the
/// last code, and by the order of the other edges. The tree is drawn uniformly with a loop-erased random walk (Wilson,
/// STOC 1996), as uShuffle does (Jiang et al., BMC Bioinformatics 2008).
///
/// # Panics
/// A code is above 4.
pub fn dinucleotide_shuffle(codes: &[u8], random: &mut Generator) -> Vec<u8> {
    let (Some(&first), Some(&last)) = (codes.first(), codes.last()) else {
        return Vec::new();
    };
    let (mut successors, starts) = successors(codes);
    let last_edges = draw_last_edges(&successors, &starts, last, random);
    for letter in 0..LETTERS {
        let edges = &mut successors[starts[letter]..starts[letter + 1]];
        match last_edges[letter] {
            Some(edge) => {
                let end = edges.len() - 1;
                edges.swap(edge, end);
                edges[..end].shuffle(random);
            }
            None => edges.shuffle(random),
        }
    }

    let mut next = starts;
    let mut shuffled = Vec::with_capacity(codes.len());
    let mut code = first;
    shuffled.push(code);
    for _ in 1..codes.len() {
        let edge = &mut next[usize::from(code)];
        code = successors[*edge];
        *edge += 1;
        shuffled.push(code);
    }
    shuffled
}

/// Successors of each occurrence of each letter: those of letter `l` are at `starts[l]..starts[l + 1]`.
fn successors(codes: &[u8]) -> (Vec<u8>, [usize; LETTERS + 1]) {
    let mut starts = [0; LETTERS + 1];
    for pair in codes.windows(2) {
        starts[usize::from(pair[0]) + 1] += 1;
    }
    for letter in 0..LETTERS {
        starts[letter + 1] += starts[letter];
    }
    let mut next = starts;
    let mut successors = vec![0; codes.len() - 1];
    for pair in codes.windows(2) {
        let place = &mut next[usize::from(pair[0])];
        successors[*place] = pair[1];
        *place += 1;
    }
    (successors, starts)
}

/// The last edge to leave each letter, as an index into that letter's edges; none for `root`, the last code of the
/// sequence, and for letters that do not occur.
fn draw_last_edges(
    successors: &[u8],
    starts: &[usize; LETTERS + 1],
    root: u8,
    random: &mut Generator,
) -> [Option<usize>; LETTERS] {
    let mut last_edges = [None; LETTERS];
    let mut in_tree = [false; LETTERS];
    in_tree[usize::from(root)] = true;
    let target = |letter: usize, edge: usize| usize::from(successors[starts[letter] + edge]);
    for origin in 0..LETTERS {
        if starts[origin] == starts[origin + 1] {
            continue;
        }
        // A letter keeps the edge by which the walk left it last, which erases the loops.
        let mut letter = origin;
        while !in_tree[letter] {
            let edge = random.random_range(0..starts[letter + 1] - starts[letter]);
            last_edges[letter] = Some(edge);
            letter = target(letter, edge);
        }
        let mut letter = origin;
        while !in_tree[letter] {
            in_tree[letter] = true;
            if let Some(edge) = last_edges[letter] {
                letter = target(letter, edge);
            }
        }
    }
    last_edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn pairs(codes: &[u8]) -> [[usize; LETTERS]; LETTERS] {
        let mut counts = [[0; LETTERS]; LETTERS];
        for pair in codes.windows(2) {
            counts[usize::from(pair[0])][usize::from(pair[1])] += 1;
        }
        counts
    }

    /// Every sequence that goes on from `path` and uses up `left`.
    fn eulerian_paths(path: &mut Vec<u8>, left: &mut [[usize; LETTERS]; LETTERS], found: &mut BTreeMap<Vec<u8>, u32>) {
        if left.iter().flatten().all(|&count| count == 0) {
            found.insert(path.clone(), 0);
            return;
        }
        let from = usize::from(path[path.len() - 1]);
        for to in 0..LETTERS {
            if left[from][to] > 0 {
                left[from][to] -= 1;
                path.push(to as u8);
                eulerian_paths(path, left, found);
                path.pop();
                left[from][to] += 1;
            }
        }
    }

    fn assert_kept(codes: &[u8], seed: u64) {
        let shuffled = dinucleotide_shuffle(codes, &mut generator(seed, Purpose::Shuffle, 0, 0));
        assert_eq!(shuffled.len(), codes.len());
        assert_eq!(pairs(&shuffled), pairs(codes));
        assert_eq!((shuffled.first(), shuffled.last()), (codes.first(), codes.last()));
    }

    proptest! {
        #[test]
        fn all_pairs_and_both_ends_are_kept(codes in prop::collection::vec(0u8..5, 0..300), seed: u64) {
            assert_kept(&codes, seed);
        }

        #[test]
        fn letters_that_are_hard_to_leave_are_left(
            run in 1usize..200, unit in prop::collection::vec(0u8..5, 1..4), end in 0u8..5,
        ) {
            let mut codes = unit.repeat(run);
            codes.push(end);
            assert_kept(&codes, run as u64);
        }
    }

    #[test]
    fn every_length_is_kept() {
        let mut random = generator(1, Purpose::Simulate, 0, 0);
        for length in 0..300 {
            let codes: Vec<u8> = (0..length).map(|_| random.random_range(0..5)).collect();
            assert_kept(&codes, length);
        }
    }

    #[test]
    fn every_eulerian_path_is_as_likely_as_any_other() {
        let cases: [&[u8]; 4] = [
            &[0, 1, 0, 1, 2, 0, 1, 0, 0, 2, 1],
            &[0, 1, 2, 3, 0, 2, 1, 3, 2, 0],
            &[4, 0, 0, 1, 4, 1, 0, 2, 4, 2],
            &[0, 0, 1, 1, 2, 0, 1, 2, 0, 2, 3],
        ];
        for (case, codes) in cases.into_iter().enumerate() {
            let mut seen = BTreeMap::new();
            eulerian_paths(&mut vec![codes[0]], &mut pairs(codes), &mut seen);
            let mut random = generator(7, Purpose::Shuffle, case as u64, 0);
            let expected = 2000.0;
            for _ in 0..seen.len() * expected as usize {
                let shuffled = dinucleotide_shuffle(codes, &mut random);
                *seen.get_mut(&shuffled).expect("a shuffle is one of the paths") += 1;
            }
            let chi_square: f64 = seen.values().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
            let freedom = seen.len() as f64 - 1.0;
            assert!(freedom >= 5.0, "case {case} has too few paths to tell");
            // Four standard deviations of the chi-square distribution.
            assert!(chi_square < freedom + 4.0 * (2.0 * freedom).sqrt(), "case {case}: {chi_square} of {freedom}");
        }
    }

    #[test]
    fn a_long_sequence_changes_and_the_same_draw_repeats_it() {
        let mut random = generator(2, Purpose::Simulate, 0, 0);
        let codes: Vec<u8> = (0..1000).map(|_| random.random_range(0..4)).collect();
        let shuffle = |seed| dinucleotide_shuffle(&codes, &mut generator(seed, Purpose::Shuffle, 0, 0));
        let changed = codes.iter().zip(shuffle(1)).filter(|(a, b)| **a != *b).count();
        assert!(changed > 600, "{changed}");
        assert_eq!(shuffle(1), shuffle(1));
        assert_ne!(shuffle(1), shuffle(2));
    }
}
