//! Convolutional networks on DNA: trained, judged and shipped, straight from FASTA.
//!
//! The map of the crate. Dependence points downwards.
//!
//! ```text
//! main        parse, dispatch, turn an error into one line and an exit code
//! commands    one file for each command: its table of contents
//! cli         flags, one struct for each command
//!
//! tune        settings searched, and learning rates
//! page        a run, or several, as one HTML file
//! report      tables and pictures                   predict    sequences -> scores, streamed; reads sorted
//! explain     the motifs of the first layer: sites, matrices, enrichment, known motifs they resemble;
//!             importance of bases: mutagenesis, gradients; variants in their context
//! inspect     data before training                  export     TorchScript: trace, save, load again, compare
//! train       the loop; learner, optimizer, schedule, stopping, history; checkpoints, watch over numbers, memory
//! evaluate    networks x data -> predictions -> metrics; calibration; baselines (regression on k-mers) beside them
//!
//! run         the run folder: claims and locks, atomic writes, checksums
//! model       architectures, strands, tensor files  task       loss, predictions, what chooses the best epoch
//!             native: the CPU's own kernels
//! data        genomes, regions, records, tables; splits, sampling, negatives, copies, batches
//! metrics     plain slices, with intervals          device     which device, and why
//!
//! config      the resolved experiment               random     numbers keyed by seed, purpose and place
//! progress    what a person sees meanwhile          interrupt  Ctrl-C and SIGTERM
//! ```

pub mod baselines;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod inspect;
pub mod interrupt;
pub mod metrics;
pub mod model;
pub mod page;
pub mod predict;
pub mod progress;
pub mod random;
pub mod report;
pub mod run;
pub mod task;
pub mod train;
pub mod tune;
