//! Sequences as codes: bases, complements and shuffles.

pub mod alphabet;
pub mod bins;
pub mod enzyme;
pub mod kmers;
pub mod motif;
pub mod profile;
pub mod shuffle;
pub mod unknown_limit;
