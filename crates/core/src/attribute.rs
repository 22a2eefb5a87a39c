//! Attribution: which bases of a sequence an output depends on, by in-silico mutagenesis and gradients, and the effects
//! of genomic variants.

pub mod alignment;
pub mod contributions;
pub mod footprints;
pub mod gradients;
pub mod importance;
pub mod mutagenesis;
pub mod normalized;
pub mod regions;
pub mod sequences;
pub mod strongest_variants;
pub mod target;
pub mod variant_counts;
pub mod variant_rows;
pub mod variant_target;
pub mod variant_windows;
pub mod variants;
