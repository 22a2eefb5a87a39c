//! The command line. Settings of an experiment are declared in core's `config`; here are the commands and their own flags.

pub mod cv;
pub mod explain;
mod limits;
pub mod signal;
pub mod train;
pub mod tune;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use strandnet_core::cli::{Evaluate, Predict, Report};
use strandnet_core::config::{self, DataConfig, DeviceChoice, ModelConfig, Strands};
use strandnet_core::run::{MODEL_HTML, MODEL_ONNX, MODEL_PT, MODEL_PY};

/// Trains, evaluates and ships convolutional networks on DNA, straight from FASTA
#[derive(Parser, Debug)]
#[command(name = "strandnet", version = long_version(), max_term_width = 100, args_override_self = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print results only, no progress [default: no]
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train a network, evaluate it and export it, into a new run folder
    Train(Box<train::Train>),
    /// Train and evaluate on every fold: cross-validation
    Cv(Box<cv::Cv>),
    /// Search hyperparameters, or find a learning rate
    Tune(Box<tune::Tune>),
    /// Check data before training: counts, lengths, GC content, duplicates
    Inspect(Box<Inspect>),
    /// Count aligned reads along a genome: bigWig tracks to train on
    Signal(Box<signal::Signal>),
    /// Evaluate a run on its own test split or on other data
    Evaluate(Box<OnDevice<Evaluate>>),
    /// Verify a run's checksums, and reproduce its results
    Verify(Verify),
    /// Score sequences, regions or genomes with a run, or sort reads by class
    Predict(OnDevice<Predict>),
    /// Explain a network: motifs, base attributions, variant effects
    Explain(explain::Explain),
    /// Write a run, or a comparison of several, as one HTML file
    Report(Report),
    /// Write a run's network as TorchScript, a PyTorch module, ONNX or HTML that scores
    Export(Export),
    /// Show a network's layers without training it: shapes, parameters, receptive fields
    Model(Model),
    /// Write demo genomes with a known best possible AUROC
    Simulate(Simulate),
    /// Show versions and devices, and how to fix what is wrong
    Doctor(Doctor),
    /// Print the JSON schema of settings files, for editors
    Schema,
    /// Print completions for a shell
    Completions(Completions),
    /// Write manuals of all commands, for man
    Man(Man),
}

/// Flags of `inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// TOML file of settings; flags override it [default: none]
    pub config: Option<PathBuf>,
    /// Folder for tables as JSON and for figures [default: print tables only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the inspection that --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Seed of the windows drawn, and of the demo genomes [default: the TOML file's, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: Option<u64>,
    /// CPU threads [default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else one per core that the system allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print the results as one JSON document [default: no]
    #[arg(long)]
    pub json: bool,
    /// Data.
    #[command(flatten)]
    pub data: DataConfig,
}

/// A command of core, and where it computes.
#[derive(Args, Debug)]
pub struct OnDevice<T: Args> {
    /// Its own flags.
    #[command(flatten)]
    pub command: T,
    /// Where to compute.
    #[command(flatten)]
    pub compute: Compute,
}

/// Where to compute.
#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub struct Compute {
    /// CPU threads [default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else one per core that the system allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Compute everything with libtorch, without the faster CPU kernels [default: as in training]
    #[arg(long)]
    pub no_native: bool,
}

/// Flags of `export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Run folder made by train
    pub run: PathBuf,
    /// Format of the model [default: torchscript]
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    pub format: ExportFormat,
    /// File for the model; of TorchScript a .json file beside it describes it [default: model.pt, model.py or model.onnx in the current folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file that --out names [default: no]
    #[arg(long)]
    pub force: bool,
}

impl Export {
    /// The file that is written.
    pub fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.format.file_name().into())
    }
}

/// Formats of `export`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// For libtorch and PyTorch, with the weights in it
    #[default]
    Torchscript,
    /// A PyTorch module as source, which reads the weights of the run folder
    Python,
    /// For ONNX Runtime and others, with the weights in it
    Onnx,
    /// One HTML file that scores sequences in a browser, with the weights in it
    Html,
}

impl ExportFormat {
    /// Name of the file in a run folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Torchscript => MODEL_PT,
            Self::Python => MODEL_PY,
            Self::Onnx => MODEL_ONNX,
            Self::Html => MODEL_HTML,
        }
    }
}

/// Flags of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Run folder made by train
    pub run: PathBuf,
    /// Folder in which to find the run's data files, by checksum, where they were moved [default: beside the run]
    #[arg(long, value_name = "DIR")]
    pub data_root: Vec<PathBuf>,
}

/// Flags of `model`.
#[derive(Args, Debug)]
pub struct Model {
    /// TOML file of settings, with a list of layers for --arch custom; flags override it [default: none]
    pub config: Option<PathBuf>,
    /// Length of a sequence, in bp [default: the TOML file's, or 128]
    #[arg(long, value_name = "BP", value_parser = config::count)]
    pub length: Option<usize>,
    /// Outputs of the network: 1 for two classes or one value, otherwise one per class, label or column
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=config::MAX_CLASSES as u64))]
    pub outputs: u64,
    /// How both strands are used [default: the TOML file's, or average]
    #[arg(long, value_enum)]
    pub strands: Option<Strands>,
    /// Print the layers as one JSON document [default: no]
    #[arg(long)]
    pub json: bool,
    /// The network.
    #[command(flatten)]
    pub network: ModelConfig,
}

/// Flags of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print what was found as one JSON document [default: no]
    #[arg(long)]
    pub json: bool,
}

/// Flags of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// Shell to complete in, as by: source <(strandnet completions bash)
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Shells that complete commands, flags and their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash 4 or newer
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// Flags of `man`.
#[derive(Args, Debug)]
pub struct Man {
    /// Folder for the manuals, such as ~/.local/share/man/man1; those that it holds of strandnet are replaced
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
}

/// Flags of `simulate`.
#[derive(Args, Debug)]
pub struct Simulate {
    /// Folder for the genomes
    pub out: PathBuf,
    /// Write another genome instead, with peaks, reads as bigWig, fragments and BAM, and all that they come from: motifs, footprints, an enzyme's preference [default: no]
    #[arg(long, conflicts_with_all = ["length", "windows"])]
    pub signal: bool,
    /// Replace the genomes that the folder holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Seed of the genomes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: u64,
    /// Length of the windows that the best possible AUROC is computed for, in bp
    #[arg(long, value_name = "BP", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub length: u64,
    /// Windows of each species that the best possible AUROC is computed from
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub windows: u64,
}

/// Reads `tune --lr` without a rate as `tune --find-lr`; clap takes a flag with a value or without, not both.
pub fn with_lr_alone(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.collect();
    if words.iter().skip(1).any(|word| word == "tune") {
        for i in 0..words.len() {
            let is_rate = |word: &OsString| word.to_str().is_some_and(|word| word.parse::<f64>().is_ok());
            if words[i] == "--lr" && !words.get(i + 1).is_some_and(is_rate) {
                words[i] = "--find-lr".into();
            }
        }
    }
    words
}

/// Version, revision and libtorch.
fn long_version() -> String {
    let revision = match env!("STRANDNET_GIT_REVISION") {
        "" => String::new(),
        revision => format!(" ({revision})"),
    };
    format!("{}{revision}, libtorch {}", env!("CARGO_PKG_VERSION"), env!("STRANDNET_LIBTORCH_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lr_without_a_rate_looks_for_one_and_with_one_sets_it() {
        let read = |line: &str| {
            let words = with_lr_alone(line.split(' ').map(OsString::from));
            words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read("s tune --lr"), "s tune --find-lr");
        assert_eq!(read("s tune --lr x.toml --out o"), "s tune --find-lr x.toml --out o");
        assert_eq!(read("s tune x.toml --lr 1e-3"), "s tune x.toml --lr 1e-3");
        assert_eq!(read("s train --lr"), "s train --lr");
    }
}
