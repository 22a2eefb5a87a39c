//! Motifs: filters of the first layer and their sites, enrichment, discovery from attributions, and matches to known
//! motifs.

pub mod discovery;
pub mod enrichment;
pub mod filters;
pub mod folding;
pub mod matching;
pub mod motifs;
pub mod sites;
