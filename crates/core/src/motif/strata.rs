//! Strata of sequences of about the same GC content, within which groups of sequences are compared.

use crate::sequence::alphabet;

/// Largest number of strata.
const MOST: usize = 1000;

/// Sequences of a stratum, at least. Deciles are too coarse for sets of thousands that differ much, because the content
/// still differs within the outer ones; the Mantel-Haenszel test does not need large strata.
const LEAST_SEQUENCES: usize = 20;

/// Share of G and C among the known bases of a sequence; 0 where none is known.
pub fn gc_share(codes: &[u8]) -> f32 {
    let known = codes.iter().filter(|&&code| code < alphabet::UNKNOWN).count();
    let gc = codes.iter().filter(|&&code| code == 1 || code == 2).count();
    gc as f32 / known.max(1) as f32
}

/// The stratum of each sequence, counted from 0 in rising order of GC content. Strata are quantiles of all sequences;
/// sequences of equal content are never apart.
pub fn by_gc(shares: &[f32]) -> Vec<u16> {
    let n = shares.len();
    let count = (n / LEAST_SEQUENCES).clamp(1, MOST);
    let mut sorted = shares.to_vec();
    sorted.sort_by(f32::total_cmp);
    let mut borders: Vec<f32> = (1..count).map(|border| sorted[border * n / count]).collect();
    borders.dedup();
    shares.iter().map(|share| borders.partition_point(|border| border <= share) as u16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    #[test]
    fn contents_count_known_bases() {
        assert_eq!([&[0u8, 1, 2, 3][..], &[4, 4, 1], &[4], &[]].map(gc_share), [0.5, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn few_sequences_are_one_stratum_and_many_are_parted_evenly() {
        assert_eq!(by_gc(&[0.1, 0.9, 0.5]), [0, 0, 0]);
        assert_eq!(by_gc(&[]), [0u16; 0]);
        let shares: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
        let strata = by_gc(&shares);
        assert_eq!((strata[0], strata[19], strata[20], strata[999]), (0, 0, 1, 49));
    }

    proptest! {
        #[test]
        fn strata_rise_with_the_content_and_equal_ones_stay_together(contents in prop::collection::vec(0u8..30, 0..400)) {
            let shares: Vec<f32> = contents.iter().map(|&content| f32::from(content) / 30.0).collect();
            let strata = by_gc(&shares);
            for i in 0..shares.len().saturating_sub(1) {
                let (a, b) = (shares[i], shares[i + 1]);
                let fits = match a.total_cmp(&b) {
                    Ordering::Less => strata[i] <= strata[i + 1],
                    Ordering::Equal => strata[i] == strata[i + 1],
                    Ordering::Greater => strata[i] >= strata[i + 1],
                };
                prop_assert!(fits);
            }
        }
    }
}
