//! A set of sequences by index, one bit each, because there is a set for each of hundreds of filters.

/// Some of the sequences that were searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceSet {
    bits: Vec<u64>,
    len: u64,
}

impl SequenceSet {
    /// Adds a sequence.
    pub fn insert(&mut self, sequence: usize) {
        let (word, bit) = (sequence / 64, 1u64 << (sequence % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.len += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    /// Whether a sequence is in the set.
    pub fn contains(&self, sequence: usize) -> bool {
        self.bits.get(sequence / 64).is_some_and(|word| word >> (sequence % 64) & 1 == 1)
    }

    /// Number of sequences in the set.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the set holds no sequence.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_once(sequences in prop::collection::vec(0usize..300, 0..60)) {
            let mut set = SequenceSet::default();
            sequences.iter().for_each(|&sequence| set.insert(sequence));
            let distinct: std::collections::BTreeSet<usize> = sequences.into_iter().collect();
            prop_assert_eq!(set.len(), distinct.len() as u64);
            prop_assert_eq!(set.is_empty(), distinct.is_empty());
            prop_assert!((0..400).all(|sequence| set.contains(sequence) == distinct.contains(&sequence)));
        }
    }
}
