//! What a network's answer rests on: which bases of a sequence, by in-silico mutagenesis and gradients, and what variants of a
//! genome do to it.

pub mod gradients;
pub mod importance;
pub mod mutagenesis;
pub mod sequences;
pub mod target;
pub mod variant_rows;
pub mod variants;
