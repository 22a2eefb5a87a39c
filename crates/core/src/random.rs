//! Random numbers. Every draw is keyed by (seed, purpose, and two counters such as epoch and step), so a run needs
//! nothing but those numbers to be repeated or continued, whatever order things are drawn in.

use rand::SeedableRng;
pub use rand_chacha::ChaCha8Rng as Generator;

/// What a stream of random numbers is for. Two purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// Dropout masks, by epoch and step.
    Dropout = 2,
    /// Order of the training examples, by epoch.
    Shuffle = 3,
    /// Which windows are drawn from a genome.
    Windows = 4,
    /// Strand on which a window is read.
    Strands = 5,
    /// Bootstrap resamples of the test examples, for confidence intervals.
    Bootstrap = 6,
    /// Simulated genomes, and sequences of tests.
    Simulate = 7,
    /// Seed of a fresh start after training learned nothing.
    Restart = 8,
    /// Augmentation of training examples, by epoch.
    Augment = 9,
    /// Dinucleotide shuffles of regions.
    Negatives = 10,
    /// Seed of each member of an ensemble.
    Member = 11,
    /// Settings of the trials of a search.
    Search = 12,
    /// Shuffled baselines of integrated gradients.
    Baseline = 13,
    /// Shuffled background of motif discovery.
    Discovery = 14,
    /// Parts that are left out in turn, for the acceleration of the bootstrap.
    Jackknife = 15,
    /// Null motifs: shuffled columns, and weights of further untrained networks.
    MotifNull = 20,
}

/// The generator for one purpose at one place, for example an epoch and a step.
pub fn generator(seed: u64, purpose: Purpose, a: u64, b: u64) -> Generator {
    let mut key = [0u8; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, a, b]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Generator::from_seed(key)
}

/// A single number keyed the same way: a seed for libtorch's own generator, which takes 64 bits and no more.
pub fn seed_for_libtorch(seed: u64, purpose: Purpose, a: u64, b: u64) -> i64 {
    let key = [seed, purpose as u64, a, b].into_iter().fold(0, |hash, word| mix(hash ^ word));
    (key >> 1) as i64
}

/// A fixed hash of some bytes (FNV-1a, then mixed), the same on every machine and in every version of this program.
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(fnv)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn the_same_key_gives_the_same_numbers_and_another_key_others() {
        let draw = |seed, purpose, a, b| generator(seed, purpose, a, b).next_u64();
        let first = draw(1, Purpose::Shuffle, 2, 3);
        assert_eq!(first, draw(1, Purpose::Shuffle, 2, 3));
        for other in [draw(2, Purpose::Shuffle, 2, 3), draw(1, Purpose::Dropout, 2, 3), draw(1, Purpose::Shuffle, 3, 2)]
        {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn hashes_do_not_change_between_versions() {
        assert_eq!(hash(b"chr1"), 0xcf36428874bcb237);
        assert_eq!(hash(b""), 0xc3817c016ba4ff30);
    }
}
