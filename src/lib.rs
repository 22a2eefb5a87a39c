//! Convolutional networks on DNA: trained, judged and shipped, straight from FASTA.
//!
//! The map of the crate. Dependence points downwards.
//!
//! ```text
//! main        parse, dispatch, turn an error into one line and an exit code
//! commands    one file for each command: its table of contents
//! cli         flags, one struct for each command
//!
//! report      the table and the pictures            predict    FASTA -> scores, streamed
//! train       the loop; optimizer, history          export     TorchScript: trace, save, load again, compare
//! evaluate    network x data -> scores -> metrics
//!
//! model       architectures, one-hot, weights       data       FASTA, tables, simulation, splits, sampling, batches
//! task        loss and activation                   metrics    plain slices, with intervals
//! device      which device, and why                 run        the run folder and atomic writes
//!
//! config      the resolved experiment               random     numbers keyed by seed, purpose and place
//! progress    what a person sees meanwhile
//! ```

pub mod baselines;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod inspect;
pub mod metrics;
pub mod model;
pub mod predict;
pub mod progress;
pub mod random;
pub mod report;
pub mod run;
pub mod task;
pub mod train;
