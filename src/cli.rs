//! What can be typed. Settings of an experiment are declared in `config`; here are the commands and what is theirs alone.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, DataConfig, DeviceChoice, Faults};
use crate::data::Classes;
use crate::data::split::Assignment;

/// Trains, judges and ships convolutional networks on DNA, straight from FASTA
#[derive(Parser, Debug)]
#[command(name = "strandnet", version = long_version(), max_term_width = 100, args_override_self = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Print results only, no progress [default: no]
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train a network, judge it and export it, into a new run folder
    Train(Box<Train>),
    /// Judge a run on its own test data or on other data
    Evaluate(Box<Evaluate>),
    /// Score sequences with a run, as a table on standard output
    Predict(Predict),
    /// Write a run's network as TorchScript
    Export(Export),
    /// Write demo genomes whose best possible score is known
    Simulate(Simulate),
    /// Show versions and devices, and what to do about what is wrong
    Doctor,
}

#[derive(Args, Debug)]
pub struct Train {
    /// TOML file of settings; flags win over it [default: none]
    pub config: Option<PathBuf>,
    /// Folder for the run [default: runs/NAME-TIME, the name from the TOML file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the run that --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub settings: Config,
}

#[derive(Args, Debug)]
pub struct Evaluate {
    /// Run folder that train made
    pub run: PathBuf,
    /// Folder for metrics, predictions and pictures; the run itself is never changed [default: print metrics only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the evaluation that --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub data: EvaluationData,
    #[command(flatten)]
    pub compute: Compute,
}

/// Data to judge on, if not the run's own test split.
#[derive(Args, Debug)]
#[command(next_help_heading = "Data (default: the run's own test split)")]
pub struct EvaluationData {
    /// FASTA file of one class, with the class names of the run; twice or more [default: the run's]
    #[arg(long, value_name = "NAME=PATH", conflicts_with = "test")]
    pub genome: Vec<config::NamedPath>,
    /// Table with the columns sequence and label [default: the run's]
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["test_chroms", "test_fragments", "max_n", "match_gc", "memory", "seed"])]
    pub test: Option<PathBuf>,
    /// Chromosomes to judge on [default: the run's; for other genomes all that the run did not learn from]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = config::trimmed)]
    pub test_chroms: Vec<String>,
    /// Fragments, half from each class [default: the run's]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub test_fragments: Option<usize>,
    /// Unknown bases (N) allowed in a fragment, in bases [default: the run's]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub max_n: Option<usize>,
    /// Give both classes the same GC content, in bins of two percentage points [default: the run's]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub match_gc: Option<bool>,
    /// Memory that genomes may take, such as 8GB [default: half of what is free]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<bytesize::ByteSize>,
    /// Seed of the windows drawn, and of the demo's genomes, a whole number [default: the run's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: Option<u64>,
}

impl EvaluationData {
    /// Whether other genomes or tables than the run's are named.
    pub fn names_other_files(&self) -> bool {
        !self.genome.is_empty() || self.test.is_some()
    }

    /// The run's own data settings with these over them.
    pub fn over(&self, own: &DataConfig, classes: &Classes) -> Result<DataConfig, Faults> {
        let mut data = own.clone();
        if self.names_other_files() {
            let names = classes.names.clone();
            data = DataConfig {
                genome: self.genome.clone(),
                test: self.test.clone(),
                train: None,
                classes: names,
                ..data
            };
        }
        let about_genomes = !self.test_chroms.is_empty()
            || self.test_fragments.is_some()
            || self.max_n.is_some()
            || self.match_gc.is_some()
            || self.memory.is_some()
            || self.seed.is_some();
        if data.train.is_some() && about_genomes {
            let fault = "--test-chroms, --test-fragments, --max-n, --match-gc, --memory and --seed go with --genome, and the run learned from tables; remove them";
            return Err(Faults(vec![fault.into()]));
        }
        data.test_fragments = self.test_fragments.unwrap_or(data.test_fragments);
        data.max_n = self.max_n.unwrap_or(data.max_n);
        data.match_gc = self.match_gc.unwrap_or(data.match_gc);
        data.memory = self.memory.or(data.memory);
        match data.evaluation_faults() {
            faults if faults.is_empty() => Ok(data),
            faults => Err(Faults(faults)),
        }
    }

    /// Which chromosomes to judge on, given what the run itself was made from.
    pub fn assignment(&self, own: &DataConfig) -> Assignment {
        if !self.test_chroms.is_empty() {
            Assignment::TestOn(self.test_chroms.clone())
        } else if self.genome.is_empty() {
            Assignment::Choice(own.into())
        } else if own.train.is_some() {
            Assignment::TestOnAll
        } else {
            Assignment::TestOnUnseenBy(own.into())
        }
    }
}

/// Where to compute.
#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub struct Compute {
    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
}

#[derive(Args, Debug)]
pub struct Predict {
    /// Run folder that train made
    pub run: PathBuf,
    /// FASTA file, plain, gzip or BGZF; - is standard input, not compressed
    pub sequences: PathBuf,
    /// File for the table [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file that --out names [default: no]
    #[arg(long)]
    pub force: bool,
    /// Distance between windows of sequences longer than the network's length, in bp [default: the network's length]
    #[arg(long, value_name = "BP", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub stride: Option<u64>,
    /// Leave out sequences shorter than the network's length and count them, instead of stopping [default: no]
    #[arg(long)]
    pub skip_short: bool,
    #[command(flatten)]
    pub compute: Compute,
}

#[derive(Args, Debug)]
pub struct Export {
    /// Run folder that train made
    pub run: PathBuf,
    /// File for the TorchScript model; its description goes beside it as .json [default: model.pt in the current folder]
    #[arg(long, value_name = "FILE", default_value = "model.pt", hide_default_value = true)]
    pub out: PathBuf,
    /// Replace the file that --out names [default: no]
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct Simulate {
    /// Folder for the genomes
    pub out: PathBuf,
    /// Replace the genomes that the folder holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Seed of the genomes, a whole number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: u64,
    /// Length of the windows that the best possible score is computed for, in bp
    #[arg(long, value_name = "BP", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub length: u64,
    /// Windows of each species that the best possible score is computed from
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub windows: u64,
}

/// Version, revision and libtorch.
fn long_version() -> String {
    let revision = match env!("STRANDNET_GIT_REVISION") {
        "" => String::new(),
        revision => format!(" ({revision})"),
    };
    format!("{}{revision}, libtorch {}", env!("CARGO_PKG_VERSION"), env!("STRANDNET_LIBTORCH_VERSION"))
}
