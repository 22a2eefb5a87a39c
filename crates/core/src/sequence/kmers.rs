//! Words of a fixed length, each the same on either strand.

use crate::sequence::alphabet::{self, UNKNOWN};

/// Passes on every word of `k` bases without unknown ones, in order, as the smaller of its two strands: two bits for a base, the first
/// base in the highest. `k` is at most 15.
pub fn for_each(codes: &[u8], k: usize, mut each: impl FnMut(u32)) {
    let mask = (1u32 << (2 * k)) - 1;
    let (mut forward, mut reverse, mut known) = (0u32, 0u32, 0usize);
    for &code in codes {
        if code >= UNKNOWN {
            known = 0;
            continue;
        }
        forward = (forward << 2 | u32::from(code)) & mask;
        reverse = reverse >> 2 | u32::from(alphabet::complement(code)) << (2 * (k - 1));
        known += 1;
        if known >= k {
            each(forward.min(reverse));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_those_of_the_sequence_and_the_same_on_the_other_strand(
            codes in prop::collection::vec(0u8..=UNKNOWN, 0..40),
            k in 1usize..=15,
        ) {
            let of = |codes: &[u8]| {
                let mut found = Vec::new();
                for_each(codes, k, |word| found.push(word));
                found
            };
            let number = |word: &[u8]| word.iter().fold(0u32, |number, &code| number << 2 | u32::from(code));
            let smaller = |word: &[u8]| {
                let mut other = word.to_vec();
                alphabet::reverse_complement(&mut other);
                number(word).min(number(&other))
            };
            let words = codes.windows(k).filter(|word| !word.contains(&UNKNOWN));
            prop_assert_eq!(of(&codes), words.map(smaller).collect::<Vec<_>>());
            let mut other = codes.clone();
            alphabet::reverse_complement(&mut other);
            let mut reversed = of(&other);
            reversed.reverse();
            prop_assert_eq!(reversed, of(&codes));
        }
    }
}
