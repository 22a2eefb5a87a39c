//! The command line. Settings of an experiment are declared in core's `config`; here are the commands and their own flags.

pub mod cv;
pub mod explain;
mod limits;
pub mod report;
pub mod signal;
pub mod train;
pub mod tune;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use strandnet_core::config::{
    self, DataConfig, DeviceChoice, Faults, ModelConfig, Negatives, ScoreFormat, SourceKind, Strands,
};
use strandnet_core::dataset::Classes;
use strandnet_core::dataset::manifest::Learned;
use strandnet_core::dataset::split::Assignment;
use strandnet_core::predict::Short;
use strandnet_core::run::{MODEL_ONNX, MODEL_PT, MODEL_PY};

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
    Evaluate(Box<Evaluate>),
    /// Verify a run's checksums, and reproduce its results
    Verify(Verify),
    /// Score sequences, regions or genomes with a run, or sort reads by class
    Predict(Predict),
    /// Explain a network: motifs, base attributions, variant effects
    Explain(explain::Explain),
    /// Write a run, or a comparison of several, as one HTML file
    Report(report::Report),
    /// Write a run's network as TorchScript, as a PyTorch module or as ONNX
    Export(Export),
    /// Show a network's layers without training it: shapes, parameters, receptive fields
    Model(Model),
    /// Write demo genomes with a known best possible AUROC
    Simulate(Simulate),
    /// Show versions and devices, and how to fix what is wrong
    Doctor(Doctor),
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

/// Flags of `evaluate`.
#[derive(Args, Debug)]
pub struct Evaluate {
    /// Run folder made by train
    pub run: PathBuf,
    /// Folder for metrics, predictions and figures; the run itself is never changed [default: print metrics only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the evaluation that --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Folder in which to find the run's own data files, by checksum, where they were moved [default: beside the run]
    #[arg(long, value_name = "DIR")]
    pub data_root: Vec<PathBuf>,
    /// Length of the blocks of dependent examples that intervals allow for, in bp, where examples have coordinates [default: the run's]
    #[arg(long, value_name = "BP", value_parser = clap::value_parser!(u64).range(1..))]
    pub block_length: Option<u64>,
    /// Of a run of --task profile, table of bpnet-lite's metrics over the peaks, TSV [default: none]
    #[arg(long, value_name = "FILE")]
    pub performance: Option<PathBuf>,
    /// Of a cross-validation, score each example with the networks that did not see its chromosome [default: no, with all networks]
    #[arg(long)]
    pub out_of_fold: bool,
    /// Print the metrics as one JSON document [default: no]
    #[arg(long)]
    pub json: bool,
    /// Data, if not the run's own.
    #[command(flatten)]
    pub data: EvaluationData,
    /// Where to compute.
    #[command(flatten)]
    pub compute: Compute,
}

/// Data to evaluate on, if not the run's own test split.
#[derive(Args, Debug)]
#[command(next_help_heading = "Data (default: the run's own test split)")]
pub struct EvaluationData {
    /// Genome of one class, with the class names of the run; once for each class or more [default: the run's]
    #[arg(long, value_name = "NAME=PATH", group = "source")]
    pub genome: Vec<config::NamedPath>,
    /// Sequences of one class, FASTA or FASTQ, with the class names of the run [default: the run's]
    #[arg(long, value_name = "NAME=PATH", group = "source")]
    pub class: Vec<config::NamedPath>,
    /// Regions of one class, BED or narrowPeak, in --reference; for a signal just PATH [default: the run's]
    #[arg(long, value_name = "NAME=PATH", group = "source")]
    pub regions: Vec<config::NamedPath>,
    /// Signal in windows around --regions, bigWig, for a run that learned one, whose names it has [default: the run's]
    #[arg(long, value_name = "NAME=FILE.bw[,MINUS.bw]", requires = "regions")]
    pub signal: Vec<config::SignalTrack>,
    /// Control of other --regions, for a run of profiles that had one [default: the run's]
    #[arg(long, value_name = "FILE.bw[,MINUS.bw]", requires = "regions")]
    pub control: Option<config::ControlTrack>,
    /// Genome that --regions lie in [default: the run's]
    #[arg(long, value_name = "FASTA", requires = "regions")]
    pub reference: Option<PathBuf>,
    /// What windows of --regions are centred on [default: the run's]
    #[arg(long, value_enum, requires = "regions")]
    pub center: Option<config::Center>,
    /// Negatives for a single --regions: shuffle, gc-matched, random or a BED file [default: the run's]
    #[arg(long, value_name = "KIND|BED", requires = "regions")]
    pub negatives: Option<config::Negatives>,
    /// Negatives for each region, where they are made [default: the run's]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub negatives_per_positive: Option<usize>,
    /// Regions that negatives must not overlap, BED [default: the run's, in its own reference]
    #[arg(long, value_name = "BED", requires = "regions")]
    pub exclude: Vec<PathBuf>,
    /// Table with the columns sequence and label [default: the run's]
    #[arg(long, value_name = "TABLE", group = "source")]
    pub test: Option<PathBuf>,
    /// examples.tsv of another run, for its test split [default: the run's]
    #[arg(long, value_name = "TSV", group = "source")]
    pub examples: Option<PathBuf>,
    /// What to do with sequences of another length [default: the run's]
    #[arg(long, value_enum)]
    pub fit: Option<config::Fit>,
    /// Chromosomes to evaluate on [default: the run's; for other genomes all that it was not trained on]
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
    /// Memory limit for genomes, such as 8GB [default: half of what is free]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<bytesize::ByteSize>,
    /// Seed of the windows drawn, and of the demo genomes [default: the run's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: Option<u64>,
}

impl EvaluationData {
    /// Whether other data than the run's are named.
    pub fn names_other_files(&self) -> bool {
        !(self.genome.is_empty() && self.class.is_empty() && self.regions.is_empty())
            || self.test.is_some()
            || self.examples.is_some()
    }

    /// The run's own data settings with these over them.
    ///
    /// # Errors
    /// They do not go with the kind of data, or name classes that the run does not have.
    pub fn over(&self, own: &DataConfig, classes: &Classes) -> Result<DataConfig, Faults> {
        let mut data = own.clone();
        if self.names_other_files() {
            // Places in the run's own reference mean nothing in another.
            let reference = self.reference.clone().or_else(|| own.reference.clone());
            let same = self.reference.is_none() || self.reference == own.reference;
            let negatives = own.negatives.clone().filter(|negatives| same || !matches!(negatives, Negatives::Bed(_)));
            // Where the run learned a signal, regions are given theirs.
            let signal = match self.signal.as_slice() {
                [] if same && !self.regions.is_empty() => own.signal.clone(),
                given => given.to_vec(),
            };
            data = DataConfig {
                genome: self.genome.clone(),
                class: self.class.clone(),
                regions: self.regions.clone(),
                reference: reference.filter(|_| !self.regions.is_empty()),
                center: self.center.or(own.center).filter(|_| !self.regions.is_empty()),
                negatives: self.negatives.clone().or(negatives),
                negatives_per_positive: own.negatives_per_positive,
                exclude: match self.exclude.as_slice() {
                    [] if same => own.exclude.clone(),
                    given => given.to_vec(),
                },
                test: self.test.clone(),
                examples: self.examples.clone(),
                task: own.task,
                // Labels and values are named by their columns.
                classes: if self.regions.len() == 1 || !signal.is_empty() { Vec::new() } else { classes.names.clone() },
                signal,
                control: self
                    .control
                    .clone()
                    .or_else(|| own.control.clone().filter(|_| same && !self.regions.is_empty())),
                aggregate: own.aggregate,
                log1p: own.log1p,
                output_length: own.output_length,
                outlier_quantile: own.outlier_quantile,
                merge_distance: own.merge_distance,
                bin: own.bin,
                missing: own.missing,
                fit: own.fit,
                test_fragments: own.test_fragments,
                max_n: own.max_n,
                match_gc: own.match_gc,
                memory: own.memory,
                ..DataConfig::default()
            };
        }
        let mut faults = Vec::new();
        if own.signal.is_empty() && !self.signal.is_empty() {
            faults.push("--signal is given, and the run did not learn a signal of regions; remove it".to_owned());
        }
        if own.control.is_none() && self.control.is_some() {
            faults.push("--control is given, and the run learned without one; remove it".to_owned());
        }
        if own.control.is_some() && !self.regions.is_empty() && data.control.is_none() {
            faults.push("--regions is given in another --reference without --control, expected the control there too; add --control".to_owned());
        }
        if !own.signal.is_empty() && !self.regions.is_empty() && data.signal.is_empty() {
            faults.push("--regions is given in another --reference without --signal, expected the signal there too; add --signal".to_owned());
        }
        let drawn = matches!(data.source(), SourceKind::Genomes | SourceKind::Demo);
        let about_windows = self.test_fragments.is_some() || self.match_gc.is_some();
        if !drawn && about_windows {
            faults.push(
                "--test-fragments and --match-gc go with --genome, and the data here are taken whole; remove them"
                    .to_owned(),
            );
        }
        let counts_classes = matches!(data.source(), SourceKind::Classes | SourceKind::Regions);
        for name in data.flag_classes() {
            if counts_classes && !classes.names.iter().any(|class| class == name) {
                faults.push(format!(
                    "the data are named '{name}', expected the classes of the run: {}; name them alike",
                    classes.names.join(", ")
                ));
            }
        }
        data.test_fragments = self.test_fragments.unwrap_or(data.test_fragments);
        data.max_n = self.max_n.unwrap_or(data.max_n);
        data.match_gc = self.match_gc.unwrap_or(data.match_gc);
        data.fit = self.fit.or(data.fit);
        if let Some(each) = self.negatives_per_positive {
            data.negatives_per_positive = each;
            faults.extend(data.negatives_per_positive_fault());
        }
        faults.extend(data.negatives.as_ref().and_then(Negatives::unknown));
        data.memory = self.memory.or(data.memory);
        if drawn {
            faults.extend(data.evaluation_faults());
        } else {
            faults.extend(data.unnamed_faults());
            if data.source() == SourceKind::Regions {
                faults.extend(data.signal_faults());
            }
        }
        if faults.is_empty() { Ok(data) } else { Err(Faults(faults)) }
    }

    /// Which chromosomes to evaluate on, given what the run was made from and which it was trained on.
    pub fn assignment(&self, own: &DataConfig, learned: &Learned) -> Assignment {
        if !self.test_chroms.is_empty() {
            Assignment::TestOn(self.test_chroms.clone())
        } else if !self.names_other_files() {
            Assignment::of(own)
        } else if matches!(own.source(), SourceKind::Genomes | SourceKind::Demo | SourceKind::Regions)
            && !learned.by_blocks()
        {
            Assignment::TestOnUnseenBy(own.into())
        } else {
            learned.unseen()
        }
    }
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

/// Flags of `predict`.
#[derive(Args, Debug)]
pub struct Predict {
    /// Run folder made by train
    pub run: PathBuf,
    /// FASTA or FASTQ file, plain, gzip or BGZF; - for standard input [default: --reference]
    #[arg(required_unless_present = "reference", conflicts_with = "reference")]
    pub sequences: Option<PathBuf>,
    /// Genome to score: its --regions, or whole chromosomes in windows [no default]
    #[arg(long, value_name = "FASTA")]
    pub reference: Option<PathBuf>,
    /// Regions of --reference to score, BED or narrowPeak, one window centred on each [default: whole chromosomes]
    #[arg(long, value_name = "BED", requires = "reference")]
    pub regions: Option<PathBuf>,
    /// What windows of --regions are centred on: the summit in column 10, as in narrowPeak, or the middle [default: the run's, or the summit where column 10 fits as one in the whole file]
    #[arg(long, value_enum, requires = "regions")]
    pub center: Option<config::Center>,
    /// Chromosomes of --reference to score; 1 and chr1 are the same [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = config::trimmed, requires = "reference", conflicts_with = "regions")]
    pub chroms: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = ScoreFormat::Tsv)]
    pub format: ScoreFormat,
    /// Class, label, column or track whose score BED, bedGraph and bigWig hold [default: the positive class; of several tracks bigWig has a file each]
    #[arg(long, alias = "of", value_name = "NAME")]
    pub score_of: Option<String>,
    /// File for the scores [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the files that --out or --sort-reads names [default: no]
    #[arg(long)]
    pub force: bool,
    /// Distance between windows of sequences longer than the network's length, in bp [default: the network's length, or what its bins cover]
    #[arg(long, value_name = "BP", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub stride: Option<u64>,
    /// Skip sequences shorter than the network's length, and count them, instead of stopping [default: no]
    #[arg(long)]
    pub skip_short: bool,
    /// Pad sequences shorter than the network's length with N at both ends, instead of stopping [default: no]
    #[arg(long, conflicts_with = "skip_short")]
    pub pad_short: bool,
    /// Unknown bases (N) allowed in a window, in bases; others have no score [default: what the run was trained under]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub max_n: Option<usize>,
    /// Add the bias model that the run was trained with, of a run of --task profile [default: no, the part without bias]
    #[arg(long)]
    pub with_bias: bool,
    /// Of a cross-validation, score each window with the networks that did not see its chromosome [default: no, with all networks]
    #[arg(long, conflicts_with = "sort_reads")]
    pub out_of_fold: bool,
    /// Counts of the control, bigWig as for train, which a run with --control adds its part of [default: none, the sequence alone]
    #[arg(long, value_name = "FILE.bw[,MINUS.bw]", requires = "reference")]
    pub control: Option<config::ControlTrack>,
    /// Prevalence in this sample, to which scores are moved from the one that the run calibrated them to: the share of the positive class, NAME=SHARE,... or a share for each class or label in order [default: the run's]
    #[arg(long, value_name = "SHARES")]
    pub prior: Option<config::ClassShares>,
    /// Sort the reads of a FASTQ file into PREFIX.CLASS.fastq and PREFIX.ambiguous.fastq, and print counts [default: no]
    #[arg(long, value_name = "PREFIX")]
    pub sort_reads: Option<PathBuf>,
    /// Minimum probability to assign a read to a class, from 0.5 to 1 [default: 0.9]
    #[arg(long, value_name = "SHARE", requires = "sort_reads")]
    pub min_confidence: Option<f64>,
    /// Where to compute.
    #[command(flatten)]
    pub compute: Compute,
}

impl Predict {
    /// What does not go together.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |ok: bool, fault: &str| {
            if !ok {
                faults.push(fault.to_owned());
            }
        };
        let sorts = self.sort_reads.is_some();
        check(
            !(sorts && (self.reference.is_some() || self.out.is_some() || self.format != ScoreFormat::Tsv)),
            "--sort-reads writes reads and no scores, expected no --reference, --out or --format; remove them",
        );
        check(
            self.stride.is_none() || self.regions.is_none(),
            "--stride is given with --regions, and each region is one window; remove one",
        );
        check(
            self.reference.is_none() || !(self.skip_short || self.pad_short),
            "--skip-short and --pad-short go with sequences, and chromosomes too short are always skipped; remove them",
        );
        let is_track = self.format == ScoreFormat::Bigwig;
        check(
            !is_track || self.reference.is_some(),
            "--format bigwig holds the lengths of chromosomes, expected --reference; name the genome, or use bedgraph",
        );
        check(
            !is_track || self.out.is_some(),
            "--format bigwig is no text for a terminal or a pipe, expected --out; add it",
        );
        if let Some(share) = self.min_confidence.filter(|share| !(0.5..=1.0).contains(share)) {
            faults.push(format!("--min-confidence is {share}, expected 0.5 to 1"));
        }
        faults
    }

    /// Distance between windows, in bp.
    pub fn stride(&self, length: usize) -> usize {
        self.stride.map_or(length, |stride| stride as usize)
    }

    /// What happens to sequences that are too short; reads to be sorted never stop the program.
    pub fn short(&self) -> Short {
        match (self.pad_short, self.skip_short || self.sort_reads.is_some()) {
            (true, _) => Short::Pad,
            (false, true) => Short::Skip,
            (false, false) => Short::Stop,
        }
    }
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
}

impl ExportFormat {
    /// Name of the file in a run folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Torchscript => MODEL_PT,
            Self::Python => MODEL_PY,
            Self::Onnx => MODEL_ONNX,
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
