//! Attribution: which bases of a sequence an output depends on, by in-silico mutagenesis and gradients, and the effects
//! of genomic variants.

#[cfg(feature = "files")]
pub mod alignment;
#[cfg(feature = "files")]
pub mod contributions;
#[cfg(feature = "files")]
pub mod footprints;
pub mod gradients;
#[cfg(feature = "files")]
pub mod importance;
pub mod mutagenesis;
#[cfg(feature = "files")]
pub mod normalized;
#[cfg(feature = "files")]
pub mod regions;
#[cfg(feature = "files")]
pub mod sequences;
#[cfg(feature = "files")]
pub mod strongest_variants;
pub mod target;
#[cfg(feature = "files")]
pub mod variant_counts;
#[cfg(feature = "files")]
pub mod variant_rows;
#[cfg(feature = "files")]
pub mod variant_target;
#[cfg(feature = "files")]
pub mod variant_windows;
#[cfg(feature = "files")]
pub mod variants;
