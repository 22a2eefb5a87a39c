//! Everything of strandnet that needs no libtorch, no C++ and no Python.
#![warn(missing_docs)]

pub mod attribute;
pub mod baselines;
pub mod config;
pub mod dataset;
pub mod evaluate;
pub mod figures;
pub mod files;
pub mod format;
pub mod formats;
pub mod genome;
pub mod html;
pub mod inspect;
pub mod interrupt;
pub mod machine;
pub mod metrics;
pub mod motif;
pub mod network;
pub mod predict;
pub mod progress;
pub mod random;
pub mod run;
pub mod scorer;
pub mod sequence;
pub mod task;
pub mod training;
pub mod tune;
