//! What a network has learned, in terms of the sequence: the motifs of its first layer, and what they resemble; which bases
//! of a sequence its answer rests on; and what variants of a genome do to it.

pub mod attribution;
pub mod bedgraph;
pub mod discovery;
pub mod enrichment;
pub mod explained;
pub mod filters;
pub mod importance;
pub mod matching;
pub mod meme;
pub mod motif;
pub mod motifs;
pub mod mutagenesis;
pub mod npz;
pub mod sequences;
pub mod sites;
pub mod variant_rows;
pub mod variants;
