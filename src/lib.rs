//! Convolutional networks on DNA: trained, evaluated and shipped, straight from FASTA.

pub mod cli;
pub mod commands;
pub mod device;
pub mod export;
pub mod model;
pub mod train;

/// This program, as runs record it.
pub const BUILD: strandnet_core::run::Build = strandnet_core::run::Build {
    version: env!("CARGO_PKG_VERSION"),
    git_revision: env!("STRANDNET_GIT_REVISION"),
    libtorch: env!("STRANDNET_LIBTORCH_VERSION"),
};
