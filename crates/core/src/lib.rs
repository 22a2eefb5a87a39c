//! The part of strandnet that works without tensors: sequence files, datasets and
//! splits, architectures as data, CPU kernels, metrics, attribution, motifs, figures and reports. It builds without
//! libtorch, C++ and Python; the package `strandnet` adds networks on libtorch, training, export and the program.
//!
//! # Modules
//!
//! Each module depends on its own row and on those above it only, which `tests/conventions.rs` checks.
//!
//! | layer | modules |
//! | --- | --- |
//! | foundations | [`mod@format`]: numbers as text; [`files`]: atomic writes and checksums; [`progress`]: messages and bars; [`random`]: keyed random numbers; [`interrupt`]: signals |
//! | settings and plain arithmetic | [`classes`]: names of classes, labels and columns; [`config`]: the configuration; [`machine`]: memory and processor; [`sequence`]: bases as codes, and bins and profiles along them; [`metrics`]: metrics of classes, values and profiles |
//! | files | [`formats`]: FASTA, FASTQ, BED, BAM, bigWig, VCF, delimited text, motif files and others; [`genome`]: windows of a reference genome, and signal along it |
//! | data | [`dataset`]: labelled examples, their splits and batches |
//! | networks | [`network`]: architectures and CPU kernels; [`task`]: classes, loss and activation; [`scorer`]: the trait that a network implements; [`run`]: the run folder |
//! | methods | [`training`]: schedules, early stopping and memory estimates; [`evaluate`]; [`predict`]; [`attribute`]; [`motif`]; [`baselines`]: linear models to compare with; [`inspect`]: checks of a dataset; [`reads`]: tracks of counts from aligned reads; [`tune`]: hyperparameter search; [`export`]: networks for PyTorch and ONNX; [`import`]: networks that were trained elsewhere |
//! | presentation | [`figures`]: plots and text tables; [`html`]: reports |
//! | commands | [`cli`]: flags; [`commands`]: what they do, with networks of either package |
//!
//! # Conventions
//!
//! A base is one byte, its *code*: 0 to 3 for A, C, G and T, and 4 for an unknown base ([`sequence::alphabet`]). Arrays are
//! row-major slices whose shape is in their documentation, such as `[n, length]`. Positions are in bp, 0-based and
//! half-open.
//!
//! # Without files
//!
//! The feature `files`, on by default, has all that reads, writes, draws or asks the machine. Without it there remains what scores and
//! explains sequences from the bytes of weights, which also compiles for `wasm32-unknown-unknown`: [`attribute`] in part, [`classes`],
//! [`config`], [`export::embedded`], [`mod@format`], [`network`], [`random`], [`scorer`], [`sequence`] and [`task`].
//!
//! # Examples
//!
//! Metrics of scores, without a network:
//!
//! ```
//! use strandnet_core::metrics::Ranking;
//!
//! let is_positive = [true, true, false, true, false, false];
//! let scores = [0.9, 0.8, 0.7, 0.6, 0.2, 0.1];
//! let ranking = Ranking::new(&is_positive, &scores);
//! // Eight of the nine pairs of a positive and a negative are in the right order.
//! assert_eq!(ranking.auroc(), Some(8.0 / 9.0));
//! ```
//!
//! Windows of a FASTA file, as codes:
//!
//! ```
//! use strandnet_core::genome::Genome;
//! use strandnet_core::sequence::alphabet;
//!
//! # fn main() -> anyhow::Result<()> {
//! let folder = tempfile::tempdir()?;
//! let fasta = folder.path().join("genome.fa");
//! std::fs::write(&fasta, ">chr1 a comment\nACGTNNAA\nCC\n")?;
//!
//! // Up to 1 MiB of bases are held in memory; a larger genome is read from disk on demand.
//! let genome = Genome::open(&fasta, 1 << 20, &|_| true)?;
//! assert_eq!((genome.chromosomes[0].name.as_str(), genome.chromosomes[0].length), ("chr1", 10));
//!
//! let mut codes = Vec::new();
//! genome.read_strand(0, 6..10, true, &mut codes)?;
//! assert_eq!(alphabet::decode(&codes), "GGTT");
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

pub mod attribute;
#[cfg(feature = "files")]
pub mod baselines;
pub mod classes;
#[cfg(feature = "files")]
pub mod cli;
#[cfg(feature = "files")]
pub mod commands;
pub mod config;
#[cfg(feature = "files")]
pub mod dataset;
#[cfg(feature = "files")]
pub mod evaluate;
pub mod export;
#[cfg(feature = "files")]
pub mod figures;
#[cfg(feature = "files")]
pub mod files;
pub mod format;
#[cfg(feature = "files")]
pub mod formats;
#[cfg(feature = "files")]
pub mod genome;
#[cfg(feature = "files")]
pub mod html;
#[cfg(feature = "files")]
pub mod import;
#[cfg(feature = "files")]
pub mod inspect;
#[cfg(feature = "files")]
pub mod interrupt;
#[cfg(feature = "files")]
pub mod machine;
#[cfg(feature = "files")]
pub mod metrics;
#[cfg(feature = "files")]
pub mod motif;
pub mod network;
#[cfg(feature = "files")]
pub mod predict;
#[cfg(feature = "files")]
pub mod progress;
pub mod random;
#[cfg(feature = "files")]
pub mod reads;
#[cfg(feature = "files")]
pub mod run;
pub mod scorer;
pub mod sequence;
pub mod task;
#[cfg(feature = "files")]
pub mod training;
#[cfg(feature = "files")]
pub mod tune;
