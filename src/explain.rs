//! What a network has learned, in terms of the sequence: the motifs of its first layer, and what they resemble.

pub mod enrichment;
pub mod filters;
pub mod matching;
pub mod meme;
pub mod motif;
pub mod motifs;
pub mod sites;
