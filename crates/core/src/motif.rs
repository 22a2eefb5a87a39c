//! Motifs: matrices, the filters of a first layer, their sites and enrichment, discovery from attributions, and the known motifs
//! they resemble.

pub mod discovery;
pub mod enrichment;
pub mod filters;
pub mod matching;
pub mod motifs;
pub mod sites;
