//! Motifs: filters of the first layer and their sites, enrichment, discovery from attributions, and matches to known
//! motifs.

pub mod discovery;
pub mod enrichment;
pub mod filters;
pub mod folding;
pub mod known;
pub mod matching;
pub mod motifs;
pub mod null;
pub mod sequence_set;
pub mod sites;
pub mod strata;
pub mod tail;
