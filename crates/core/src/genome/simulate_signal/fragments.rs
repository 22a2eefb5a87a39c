//! The reads of a simulated genome as an aligner would give them: fragments whose first bases lie 4 bases before the cuts on either
//! strand.

use std::collections::VecDeque;
use std::ops::Range;

use rand::RngExt;

use crate::genome::simulate_signal::SignalChromosome;
use crate::random::{self, Purpose};

/// Bases from the first base of a read to the cut.
const TO_CUT: usize = 4;

/// Bases between the cuts of most fragments, at least.
const SHORTEST: usize = 30;

/// How often a read ends the fragment that began first, if one has begun: so often that few are open at a time.
const ENDING: f64 = 0.8;

/// Leaves no read that a fragment could not end with: none so near the ends of a chromosome that its first base would lie beyond, and an
/// even number.
pub(super) fn make_even(reads: &mut [f64]) {
    let length = reads.len();
    reads[..TO_CUT].fill(0.0);
    reads[length - TO_CUT..].fill(0.0);
    let all: f64 = reads.iter().sum();
    if all % 2.0 == 1.0
        && let Some(last) = reads.iter_mut().rev().find(|count| **count > 0.0)
    {
        *last += 1.0;
    }
}

/// Fragments with the reads of a chromosome at their ends, in order of their starts; the same seed gives the same. Which two reads are
/// of one fragment is drawn, so their lengths mean nothing.
pub fn fragments(of: &SignalChromosome, seed: u64) -> Vec<Range<usize>> {
    let mut random =
        random::generator(seed, Purpose::Simulate, random::hash(b"fragments"), of.chromosome.length as u64);
    let cuts = of.reads.iter().enumerate().flat_map(|(at, &count)| std::iter::repeat_n(at, count as usize));
    let mut left: usize = of.reads.iter().map(|&count| count as usize).sum();
    let (mut begun, mut found) = (VecDeque::new(), Vec::new());
    for cut in cuts {
        // As many must end as have begun.
        let must_end = begun.len() == left;
        match begun.front() {
            Some(&start) if must_end || (cut - start >= SHORTEST && random.random::<f64>() < ENDING) => {
                begun.pop_front();
                found.push(start - TO_CUT..cut + TO_CUT + 1);
            }
            _ => begun.push_back(cut),
        }
        left -= 1;
    }
    found.sort_by_key(|fragment| (fragment.start, fragment.end));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::simulate_signal::genome;

    #[test]
    fn the_ends_of_fragments_are_the_reads() {
        for chromosome in &genome(3) {
            let mut reads = vec![0.0; chromosome.chromosome.length];
            let fragments = fragments(chromosome, 3);
            assert!(fragments.iter().all(|fragment| fragment.end <= reads.len() && !fragment.is_empty()));
            for fragment in fragments {
                reads[fragment.start + TO_CUT] += 1.0;
                reads[fragment.end - 1 - TO_CUT] += 1.0;
            }
            assert_eq!(reads, chromosome.reads);
        }
    }
}
