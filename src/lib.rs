//! Convolutional networks on DNA: trained, evaluated and shipped, straight from FASTA, on libtorch.
//!
//! The front door is [`Model`], a finished run that scores sequences, and [`Trainer`], which makes one. What needs no libtorch
//! (files, datasets, metrics, motifs, figures, scoring on the CPU) is the package `strandnet_core`, whose modules stand here too, except
//! where this package has one of that name: `cli`, `commands` and `export` are those of the program.
//!
//! ```text
//! main       parse, dispatch, turn an error into one line and an exit code
//! commands   one file for each command: its table of contents        cli     flags
//!            (predict, evaluate, explain sequences|variants and report are in core; commands::libtorch opens runs for them)
//! trainer    Trainer: training, evaluation, export and run folder
//! train      the training loop and what it needs                     export  TorchScript
//! model      Model; networks as tensors, ensembles, weights          device  which device, and why
//! cuda       GPUs: driver, streams, graphs, opened when asked for
//! distributed   processes that train one network together
//! no_grad    work that leaves no trace for gradients                libtorch  what tch does not bind
//! ```

#![warn(missing_docs)]

pub mod cli;
pub mod commands;
mod cuda;
pub mod device;
pub mod distributed;
pub mod export;
mod libtorch;
pub mod model;
mod no_grad;
pub mod train;
mod trainer;

pub use model::{Model, ScoreMatrix};
pub use strandnet_core::*;
pub use tch::Device;
pub use trainer::{InterruptedRun, Resumption, TrainedRun, Trainer};

/// This program, as runs record it.
pub const BUILD: run::Build = run::Build {
    version: env!("CARGO_PKG_VERSION"),
    git_revision: env!("STRANDNET_GIT_REVISION"),
    libtorch: env!("STRANDNET_LIBTORCH_VERSION"),
};
