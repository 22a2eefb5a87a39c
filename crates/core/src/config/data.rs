//! Settings of the data: where examples come from, how they are split, and which settings go with which kind of source.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::folds::{FoldCount, SplitBy};
use crate::config::inputs::{Aggregate, ControlTrack, NamedPath, Negatives, SignalTrack};
use crate::config::{LONGEST_BP, MOST_COUNT, count, schema, too_many, trimmed};

/// The task that a network is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Two classes
    Binary,
    /// Several classes
    Multiclass,
    /// Several yes/no labels per sequence
    Multilabel,
    /// One or more real values per sequence
    Regression,
    /// Counts of signal tracks, and where they lie base by base
    Profile,
}

impl TaskKind {
    /// Whether it predicts numbers, not classes or labels: of a profile, log counts.
    pub fn predicts_values(self) -> bool {
        matches!(self, Self::Regression | Self::Profile)
    }
}

/// What to do with sequences that are longer or shorter than the network's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Crop longer sequences at both ends; to the shortest one unless --length is given
    CenterCrop,
    /// Pad shorter sequences with N at both ends; to the longest one unless --length is given
    Pad,
    /// Crop longer and pad shorter ones; requires --length
    CropOrPad,
}

/// What windows around regions are centred on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Center {
    /// The summit, an offset in column 10 as in narrowPeak
    Summit,
    /// The middle of the region
    Middle,
}

/// What to do with missing labels and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Leave them out of loss and metrics, and count them
    #[default]
    Mask,
    /// Stop and name the first
    Error,
}

/// Where examples come from and how they are split.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Data")]
pub struct DataConfig {
    /// Genome of one class, FASTA, to draw windows from; twice or more, the first class is the positive one [none: simulated demo genomes]
    #[arg(long, value_name = "NAME=PATH")]
    pub genome: Vec<NamedPath>,
    /// Sequences of one class, FASTA or FASTQ, each record an example; twice or more [default: none]
    #[arg(long, value_name = "NAME=PATH")]
    pub class: Vec<NamedPath>,
    /// Sequences of one class for validation [default: a share of --class]
    #[arg(long, value_name = "NAME=PATH")]
    pub valid_class: Vec<NamedPath>,
    /// Sequences of one class for the test [default: a share of --class]
    #[arg(long, value_name = "NAME=PATH")]
    pub test_class: Vec<NamedPath>,
    /// Genome that --regions lie in, FASTA [no default]
    #[arg(long, value_name = "FASTA")]
    pub reference: Option<PathBuf>,
    /// Regions of one class, BED or narrowPeak, in --reference; windows are centred on the summit or the middle; with --signal just PATH [default: none]
    #[arg(long, value_name = "NAME=PATH")]
    pub regions: Vec<NamedPath>,
    /// Signal to predict in windows around --regions, bigWig, or plus and minus strand, or aligned reads, whose insertions train counts first; a value each, and --task regression [default: none]
    #[arg(long, value_name = "NAME=FILE.bw[,MINUS.bw]")]
    pub signal: Vec<SignalTrack>,
    /// With --task profile, counts of a control experiment, bigWig, or plus and minus strand, which a network is given beside the sequence [default: none]
    #[arg(long, value_name = "FILE.bw[,MINUS.bw]")]
    pub control: Option<ControlTrack>,
    /// How the --signal of a window becomes one value [default: sum]
    #[arg(long, value_enum)]
    pub aggregate: Option<Aggregate>,
    /// Predict log(1 + value) of --signal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub log1p: bool,
    /// Length of the middle of each window whose --signal is taken, in bp [default: the window]
    #[arg(long, value_name = "BP", value_parser = count)]
    #[schemars(range(min = 1))]
    pub output_length: Option<usize>,
    /// Predict the --signal of bins of this length along that middle, in bp, instead of one value; the default loss is then poisson [default: none]
    #[arg(long, value_name = "BP", value_parser = count)]
    #[schemars(range(min = 1))]
    pub bin: Option<usize>,
    /// With --task profile, move training windows of peaks by up to this many bp each epoch
    #[arg(long, value_name = "BP", value_parser = count, default_value_t = 0)]
    pub jitter: usize,
    /// With --task profile, leave out peaks with counts above 1.2 times this quantile; 1 leaves them all in
    #[arg(long, value_name = "SHARE", default_value_t = 0.99)]
    #[schemars(range(min = 0.5, max = 1))]
    pub outlier_quantile: f64,
    /// With --task profile, of peaks whose centres are nearer than this keep the one with the most counts, in bp [default: half of --output-length]
    #[arg(long, value_name = "BP", value_parser = count)]
    pub merge_distance: Option<usize>,
    /// What windows of --regions are centred on: the summit in column 10, as in narrowPeak, or the middle [default: the summit where column 10 fits as one in the whole file]
    #[arg(long, value_enum)]
    pub center: Option<Center>,
    /// Negatives for a single --regions: shuffle (dinucleotide shuffles of the regions), gc-matched or random (windows of the genome away from regions), or a BED file [default: gc-matched; with --signal none]
    #[arg(long, value_name = "KIND|BED")]
    pub negatives: Option<Negatives>,
    /// Negatives for each region
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 1)]
    #[schemars(range(min = 1, max = MOST_NEGATIVES))]
    pub negatives_per_positive: usize,
    /// Regions that negatives must not overlap, BED, such as a blacklist [default: none]
    #[arg(long, value_name = "BED")]
    pub exclude: Vec<PathBuf>,
    /// Training table: CSV or TSV with the columns sequence and label, and split where it holds all [no default]
    #[arg(long, value_name = "TABLE")]
    pub train: Option<PathBuf>,
    /// Validation table [default: a share of the training table]
    #[arg(long, value_name = "TABLE")]
    pub valid: Option<PathBuf>,
    /// Test table [default: a share of the training table]
    #[arg(long, value_name = "TABLE")]
    pub test: Option<PathBuf>,
    /// examples.tsv of another run, to repeat it exactly; replaces the data of a TOML file [default: none]
    #[arg(long, value_name = "TSV")]
    pub examples: Option<PathBuf>,
    /// Task [default: binary with two classes, multiclass with more]
    #[arg(long, value_enum)]
    pub task: Option<TaskKind>,
    /// Columns of a table that hold labels or values, for multilabel and regression [default: all numbers but indices, coordinates, folds, ids and weights]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', value_parser = trimmed)]
    pub label_columns: Vec<String>,
    /// Missing labels and values of a table (empty, NA, nan, ...), for multilabel and regression
    #[arg(long, value_enum, default_value_t = Missing::Mask)]
    pub missing: Missing,
    /// Order of the classes, the positive one first [default: order of the flags, else whole numbers ascending (of 0 and 1, 1 is positive), else true before false and the like, else first appearance]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', value_parser = trimmed)]
    pub classes: Vec<String>,
    /// Length of a sequence, in bp [default: 128 for --genome, 200 for --regions (with --signal their own, if they have one), else the length of the sequences]
    #[arg(long, value_name = "BP", value_parser = count)]
    #[schemars(range(min = 1, max = LONGEST_BP))]
    pub length: Option<usize>,
    /// How to fit sequences of another length [default: stop and name the first]
    #[arg(long, value_enum)]
    pub fit: Option<Fit>,
    /// Training fragments of genomes, split evenly between the classes
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 30_000)]
    #[schemars(range(min = 2, max = MOST_COUNT))]
    pub fragments: usize,
    /// Validation fragments, in addition to the training ones [default: a sixth of --fragments]
    #[arg(long, value_name = "N", value_parser = count)]
    #[schemars(range(min = 2, max = MOST_COUNT))]
    pub valid_fragments: Option<usize>,
    /// Test fragments
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 10_000)]
    #[schemars(range(min = 2, max = MOST_COUNT))]
    pub test_fragments: usize,
    /// Draw new training windows from the genomes every epoch
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub resample: bool,
    /// Chromosomes to train on; 1 and chr1 are the same [default: those not named for testing; if none are, dealt by a hash of the name]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = trimmed)]
    pub train_chroms: Vec<String>,
    /// Chromosomes to validate on [default: 100 kb blocks of the training chromosomes; with none named at all, dealt by a hash of the name]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = trimmed)]
    pub valid_chroms: Vec<String>,
    /// Chromosomes to test on [default: those not named for training; if none are, dealt by a hash of the name]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = trimmed)]
    pub test_chroms: Vec<String>,
    /// Share for validation, from 0 to 1: of sequences without coordinates, by a hash of the sequence, and of blocks of the chromosomes [default: 0.1, or by chromosome]
    #[arg(long, value_name = "SHARE")]
    #[schemars(extend("minimum" = 0.001, "exclusiveMaximum" = 1))]
    pub valid_fraction: Option<f64>,
    /// Share for testing, from 0 to 1: of sequences without coordinates, by a hash of the sequence, and of blocks of the chromosomes [default: 0.1, or by chromosome]
    #[arg(long, value_name = "SHARE")]
    #[schemars(extend("minimum" = 0.001, "exclusiveMaximum" = 1))]
    pub test_fraction: Option<f64>,
    /// What stays together when examples are split, and in folds [default: chromosome where examples have coordinates, else hash]
    #[arg(long, value_enum)]
    pub split_by: Option<SplitBy>,
    /// With --split-by similar, the share of 12-mers in common from which sequences stay together, more than 0 and at most 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub similarity: f64,
    /// Parts of like size and like classes to deal examples to, 3 or more, or chromosomes to leave out one at a time; fold K tests on part K and validates on the next [default: 5 for cv, else none]
    #[arg(long, value_name = "N|chromosomes")]
    pub folds: Option<FoldCount>,
    /// The fold to train, counted from 0 [default: all for cv, else none]
    #[arg(long, value_name = "K", value_parser = count)]
    pub fold: Option<usize>,
    /// Chromosomes of a fold, JSON {"train": [...], "valid": [...], "test": [...]} as ChromBPNet has it; once for each fold [default: none]
    #[arg(long, value_name = "JSON")]
    pub fold_file: Vec<PathBuf>,
    /// Column of --train that names the part of each row, as many folds as there are parts [default: none]
    #[arg(long, value_name = "NAME", value_parser = trimmed)]
    pub fold_column: Option<String>,
    /// Keep the test set that the data have of their own out of every fold; without, all are pooled
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub keep_test: bool,
    /// Seed of what is drawn of the data: windows, negatives and shuffles [default: --seed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=crate::config::MAX_SEED))]
    pub data_seed: Option<u64>,
    /// Unknown bases (N) allowed in a window of a genome, in bases
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 0)]
    #[schemars(range(max = MOST_COUNT))]
    pub max_n: usize,
    /// Give windows of all --genome classes the same GC content, in bins of two percentage points
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub match_gc: bool,
    /// Memory limit for genomes and sequences, such as 8GB; larger data are read from disk as needed [default: half of what is free]
    #[arg(long, value_name = "SIZE")]
    #[schemars(schema_with = "schema::size")]
    pub memory: Option<ByteSize>,
}

/// Where examples come from. Exactly one kind at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Windows of simulated genomes, where no data are named.
    Demo,
    /// Windows of one or more genomes per class: `--genome`.
    Genomes,
    /// Records of one or more FASTA or FASTQ files per class: `--class`.
    Classes,
    /// Windows centred on regions of a reference genome: `--regions`.
    Regions,
    /// Rows of CSV or TSV tables: `--train`, `--valid` and `--test`.
    Tables,
    /// The `examples.tsv` of an earlier run: `--examples`.
    Examples,
}

impl SourceKind {
    /// The flag that names it.
    fn flag(self) -> &'static str {
        match self {
            Self::Demo => "no data",
            Self::Genomes => "--genome",
            Self::Classes => "--class",
            Self::Regions => "--regions",
            Self::Tables => "--train",
            Self::Examples => "--examples",
        }
    }
}

/// Default lengths of a window whose profile is predicted and of the profile, in bp (Avsec and others, 2021).
const PROFILE_LENGTHS: (usize, usize) = (2114, 1000);

impl DataConfig {
    /// Validation fragments: given, or a sixth of the training ones, made even.
    pub fn valid_fragments(&self) -> usize {
        let classes = self.genome_classes().len().max(2);
        self.valid_fragments.unwrap_or((self.fragments / 6 / classes * classes).max(classes))
    }

    /// Whether no data are named, so that the simulated demo genomes are used.
    pub fn is_demo(&self) -> bool {
        self.source() == SourceKind::Demo
    }

    /// Every file that the settings name.
    pub fn paths(&self) -> Vec<&Path> {
        let named = [&self.genome, &self.class, &self.valid_class, &self.test_class, &self.regions];
        let single = [&self.reference, &self.train, &self.valid, &self.test, &self.examples];
        let negatives = match &self.negatives {
            Some(Negatives::Bed(path)) => Some(path),
            _ => None,
        };
        let named = named.into_iter().flatten().map(|named| &named.path);
        let tracks = self.signal.iter().flat_map(SignalTrack::paths);
        let tracks = tracks.chain(self.control.iter().flat_map(ControlTrack::paths));
        let others =
            single.into_iter().flatten().chain(negatives).chain(&self.exclude).chain(&self.fold_file).chain(tracks);
        named.chain(others).map(PathBuf::as_path).collect()
    }

    /// Every file that the settings name, with a file name that says what for.
    pub fn named_paths_mut(&mut self) -> Vec<(String, &mut PathBuf)> {
        let mut paths = Vec::new();
        let named = [
            ("genome", &mut self.genome),
            ("class", &mut self.class),
            ("valid-class", &mut self.valid_class),
            ("test-class", &mut self.test_class),
            ("regions", &mut self.regions),
        ];
        for (flag, files) in named {
            paths.extend(files.iter_mut().enumerate().map(|(i, file)| (format!("{flag}-{}", i + 1), &mut file.path)));
        }
        let single = [
            ("reference", &mut self.reference),
            ("train", &mut self.train),
            ("valid", &mut self.valid),
            ("test", &mut self.test),
            ("examples", &mut self.examples),
        ];
        paths.extend(single.into_iter().filter_map(|(flag, file)| Some((flag.to_owned(), file.as_mut()?))));
        if let Some(Negatives::Bed(path)) = &mut self.negatives {
            paths.push(("negatives".into(), path));
        }
        let tracks = self.signal.iter_mut().flat_map(SignalTrack::paths_mut);
        let control = self.control.iter_mut().flat_map(ControlTrack::paths_mut);
        for (flag, files) in [
            ("exclude", self.exclude.iter_mut().collect::<Vec<_>>()),
            ("fold-file", self.fold_file.iter_mut().collect()),
            ("signal", tracks.collect()),
            ("control", control.collect()),
        ] {
            paths.extend(files.into_iter().enumerate().map(|(i, path)| (format!("{flag}-{}", i + 1), path)));
        }
        paths
    }

    /// The kinds of source that are named.
    fn sources(&self) -> Vec<SourceKind> {
        let tables = self.train.is_some() || self.valid.is_some() || self.test.is_some();
        let classes = !(self.class.is_empty() && self.valid_class.is_empty() && self.test_class.is_empty());
        [
            (SourceKind::Examples, self.examples.is_some()),
            (SourceKind::Genomes, !self.genome.is_empty()),
            (SourceKind::Classes, classes),
            (SourceKind::Regions, !self.regions.is_empty()),
            (SourceKind::Tables, tables),
        ]
        .into_iter()
        .filter(|(_, named)| *named)
        .map(|(kind, _)| kind)
        .collect()
    }

    /// The kind of source that the settings name; the first in order of precedence where they wrongly name several.
    pub fn source(&self) -> SourceKind {
        self.sources().first().copied().unwrap_or(SourceKind::Demo)
    }

    /// The class names of `--genome`, in order.
    pub fn genome_classes(&self) -> Vec<&str> {
        distinct(&self.genome)
    }

    /// Class names of `--class`, `--valid-class` and `--test-class`, in order of first appearance.
    pub fn class_names(&self) -> Vec<&str> {
        let all: Vec<&NamedPath> = self.class.iter().chain(&self.valid_class).chain(&self.test_class).collect();
        distinct(all)
    }

    /// The class names of `--regions`, in order; none where a signal is predicted.
    pub fn region_classes(&self) -> Vec<&str> {
        if self.signal.is_empty() { distinct(&self.regions) } else { Vec::new() }
    }

    /// Whether `--regions` are a single class, which is told from negatives.
    pub fn is_one_class_of_regions(&self) -> bool {
        self.source() == SourceKind::Regions && self.region_classes().len() == 1
    }

    /// The negatives of `--regions`, with the default resolved; none where several classes are told from each other.
    pub fn negatives_of_regions(&self) -> Option<&Negatives> {
        match self.signal.is_empty() {
            true => self.is_one_class_of_regions().then(|| self.negatives.as_ref().unwrap_or(&Negatives::GcMatched)),
            false if self.task == Some(TaskKind::Profile) => {
                Some(self.negatives.as_ref().unwrap_or(&Negatives::GcMatched))
            }
            false => self.negatives.as_ref(),
        }
    }

    /// The kind of task that the settings ask for, if they do.
    pub fn task_kind(&self) -> Option<TaskKind> {
        self.task.or((!self.signal.is_empty()).then_some(TaskKind::Regression))
    }

    /// Lengths of a window and of its middle whose profile is predicted, in bp: as given, or those of BPNet.
    pub fn profile_lengths(&self) -> (usize, usize) {
        let length = self.length.unwrap_or(PROFILE_LENGTHS.0);
        // Either strand has the same middle.
        let own = PROFILE_LENGTHS.1.min(length);
        (length, self.output_length.unwrap_or(own - (length - own) % 2))
    }

    /// Whether the user named chromosomes for any split.
    pub fn names_chromosomes(&self) -> bool {
        ![&self.train_chroms, &self.valid_chroms, &self.test_chroms].iter().all(|names| names.is_empty())
    }

    /// Faults of the settings for training.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let sources = self.sources();
        if let [first, second, ..] = sources[..] {
            faults.push(format!(
                "both {} and {} are given, expected one kind of data; remove one",
                first.flag(),
                second.flag()
            ));
        } else {
            faults.extend(self.stray_settings());
        }
        let mut check = |ok: bool, fault: &str| {
            if !ok {
                faults.push(fault.to_owned());
            }
        };
        let source = self.source();
        check(
            source != SourceKind::Tables || self.train.is_some(),
            "--valid or --test is given without --train, expected a training table too",
        );
        check(
            source != SourceKind::Classes || !self.class.is_empty(),
            "--valid-class or --test-class is given without --class, expected sequences to train on too",
        );
        check(
            !self.is_demo() || self.classes.is_empty(),
            "--classes is given without data, and the demo's classes are human and mouse; remove it or name data",
        );
        let values = matches!(self.task_kind(), Some(TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile));
        check(
            !values
                || matches!(source, SourceKind::Tables | SourceKind::Examples)
                || !self.signal.is_empty()
                || self.task == Some(TaskKind::Profile), // whose faults name what it needs
            "--task multilabel and regression need labels or values for each sequence, expected --train, or --regions with --signal; name one",
        );
        check(
            values || self.label_columns.is_empty(),
            "--label-columns goes with --task multilabel or regression; add one of them or remove it",
        );
        check(
            values || self.missing == Missing::Mask,
            "--missing goes with --task multilabel or regression, and a class is never missing; remove it",
        );
        check(
            !values || self.classes.is_empty(),
            "--classes goes with classes, and labels or values are named by their columns; use --label-columns",
        );
        faults.extend(self.signal_faults());
        if let (Some(TaskKind::Binary), names) = (self.task, self.flag_classes())
            && names.len() > 2
        {
            faults.push(format!(
                "--task binary is given with {} classes ({}), expected two; remove it",
                names.len(),
                names.join(", ")
            ));
        }
        faults.extend(self.class_faults());
        if matches!(source, SourceKind::Genomes | SourceKind::Demo) {
            let classes = self.flag_classes().len().max(2);
            faults.extend(count_fault("--fragments", self.fragments, classes));
            faults.extend(count_fault("--valid-fragments", self.valid_fragments(), classes));
        }
        faults.extend(too_many([
            ("--fragments", self.fragments),
            ("--valid-fragments", self.valid_fragments.unwrap_or(0)),
            ("--max-n", self.max_n),
        ]));
        if !(1..=MOST_NEGATIVES).contains(&self.negatives_per_positive) {
            faults.push(self.negatives_out_of_range());
        }
        for (flag, share) in [("--valid-fraction", self.valid_fraction), ("--test-fraction", self.test_fraction)] {
            if let Some(share) = share.filter(|share| !(0.001..1.0).contains(share)) {
                faults.push(format!("{flag} is {share}, expected 0.001 or more and less than 1"));
            }
        }
        if self.valid_fraction.unwrap_or(0.1) + self.test_fraction.unwrap_or(0.1) >= 0.999 {
            faults.push(
                "--valid-fraction and --test-fraction leave nothing to train on, expected less than 1 together; lower one"
                    .into(),
            );
        }
        if self.fit == Some(Fit::CropOrPad) && self.length.is_none() {
            faults
                .push("--fit crop-or-pad is given without --length, expected the length to reach; add --length".into());
        }
        faults.extend(self.test_faults());
        faults.extend(self.fold_faults());
        faults
    }

    /// Settings that do not go with the kind of data named.
    fn stray_settings(&self) -> Vec<String> {
        use SourceKind::{Classes, Demo, Examples, Genomes, Regions, Tables};
        let default = Self::default();
        let set: [(&str, bool, &[SourceKind]); 25] = [
            ("--fragments", self.fragments != default.fragments, &[Genomes, Demo]),
            ("--valid-fragments", self.valid_fragments.is_some(), &[Genomes, Demo]),
            ("--test-fragments", self.test_fragments != default.test_fragments, &[Genomes, Demo]),
            ("--resample", self.resample, &[Genomes, Demo]),
            ("--match-gc", self.match_gc, &[Genomes, Demo]),
            ("--max-n", self.max_n != default.max_n, &[Genomes, Demo, Regions]),
            ("--train-chroms", !self.train_chroms.is_empty(), &[Genomes, Demo, Classes, Regions, Tables]),
            ("--valid-chroms", !self.valid_chroms.is_empty(), &[Genomes, Demo, Classes, Regions, Tables]),
            ("--test-chroms", !self.test_chroms.is_empty(), &[Genomes, Demo, Classes, Regions, Tables]),
            ("--valid-fraction", self.valid_fraction.is_some(), &[Genomes, Classes, Regions, Tables]),
            ("--test-fraction", self.test_fraction.is_some(), &[Genomes, Classes, Regions, Tables]),
            ("--reference", self.reference.is_some(), &[Regions]),
            ("--center", self.center.is_some(), &[Regions]),
            ("--signal", !self.signal.is_empty(), &[Regions]),
            ("--control", self.control.is_some(), &[Regions]),
            ("--aggregate", self.aggregate.is_some(), &[Regions]),
            ("--log1p", self.log1p, &[Regions]),
            ("--output-length", self.output_length.is_some(), &[Regions]),
            ("--bin", self.bin.is_some(), &[Regions, Examples]),
            ("--negatives", self.negatives.is_some(), &[Regions]),
            ("--negatives-per-positive", self.negatives_per_positive != default.negatives_per_positive, &[Regions]),
            ("--exclude", !self.exclude.is_empty(), &[Regions]),
            ("--fit", self.fit.is_some(), &[Classes, Tables, Examples]),
            ("--label-columns", !self.label_columns.is_empty(), &[Tables, Examples]),
            ("--missing", self.missing != default.missing, &[Tables, Examples]),
        ];
        let source = self.source();
        let mut faults: Vec<String> = set
            .into_iter()
            .filter(|(flag, is_set, with)| {
                let is_of_fold = self.fold.is_some() && source == Examples && flag.ends_with("-chroms");
                *is_set && !with.contains(&source) && !is_of_fold
            })
            .map(|(flag, _, with)| {
                let with: Vec<_> = with.iter().filter(|kind| **kind != Demo).map(|kind| kind.flag()).collect();
                format!("{flag} goes with {}, and the data here are {}; remove it", with.join(" or "), source.flag())
            })
            .collect();
        for (name, is_given, chromosomes, share) in [
            ("valid", !self.valid_class.is_empty() || self.valid.is_some(), &self.valid_chroms, self.valid_fraction),
            ("test", !self.test_class.is_empty() || self.test.is_some(), &self.test_chroms, self.test_fraction),
        ] {
            // Chromosomes of a fold are of all examples, whatever the files say.
            let is_of_fold = self.fold.is_some() && share.is_none();
            if is_given && (!chromosomes.is_empty() || share.is_some()) && !is_of_fold {
                let file = if source == Tables { format!("--{name}") } else { format!("--{name}-class") };
                let other = if share.is_some() { "fraction" } else { "chroms" };
                faults
                    .push(format!("both {file} and --{name}-{other} are given, expected one way to split; remove one"));
            }
        }
        let chosen = self.names_chromosomes() && (self.valid_fraction.is_some() || self.test_fraction.is_some());
        if chosen {
            faults.push("both chromosomes and --valid-fraction or --test-fraction are given, expected one way to split; remove one".into());
        }
        if source == Regions {
            if self.reference.is_none() {
                faults.push(
                    "--regions is given without --reference, expected the genome they lie in; add --reference".into(),
                );
            }
            let several = self.region_classes().len() > 1;
            let beside_negatives = self.negatives_per_positive != 1 || !self.exclude.is_empty();
            let about_negatives = self.negatives.is_some() || beside_negatives;
            if several && about_negatives {
                faults.push("--negatives, --negatives-per-positive and --exclude go with a single --regions, and several are told from each other; remove them".into());
            }
            if !self.signal.is_empty() && self.negatives_of_regions().is_none() && beside_negatives {
                faults.push("--negatives-per-positive and --exclude go with --negatives, which --signal has none of by itself; add --negatives gc-matched or remove them".into());
            }
            let random = matches!(self.negatives, None | Some(Negatives::GcMatched | Negatives::Random));
            let only_negatives = self.task != Some(TaskKind::Profile);
            if !several && !random && only_negatives && !self.exclude.is_empty() {
                faults.push(
                    "--exclude goes with --negatives gc-matched or random, which take windows of the genome; remove it"
                        .into(),
                );
            }
            if matches!(self.negatives, Some(Negatives::Bed(_))) && self.negatives_per_positive != 1 {
                faults.push("--negatives-per-positive goes with negatives that are made, and --negatives names a file; remove it".into());
            }
        }
        faults
    }

    fn negatives_out_of_range(&self) -> String {
        format!("--negatives-per-positive is {}, expected 1 to {MOST_NEGATIVES}", self.negatives_per_positive)
    }

    /// What is wrong with the number of negatives that `evaluate` is given for each region.
    pub fn negatives_per_positive_fault(&self) -> Option<String> {
        let made = self.negatives_of_regions().is_some_and(|negatives| !matches!(negatives, Negatives::Bed(_)));
        if self.source() != SourceKind::Regions || !made {
            return Some(
                "--negatives-per-positive goes with a single --regions whose negatives are made, and the data here are others; remove it"
                    .into(),
            );
        }
        let fits = (1..=MOST_NEGATIVES).contains(&self.negatives_per_positive);
        (!fits).then(|| self.negatives_out_of_range())
    }

    /// What is wrong with the settings that evaluating a finished run takes.
    pub fn evaluation_faults(&self) -> Vec<String> {
        self.class_faults().into_iter().chain(self.test_faults()).collect()
    }

    /// The classes that flags name, in order; none for tables and the demo.
    pub fn flag_classes(&self) -> Vec<&str> {
        match self.source() {
            SourceKind::Genomes => self.genome_classes(),
            SourceKind::Classes => self.class_names(),
            SourceKind::Regions if self.is_one_class_of_regions() => [self.region_classes(), vec![NEGATIVE]].concat(),
            SourceKind::Regions => self.region_classes(),
            SourceKind::Demo | SourceKind::Tables | SourceKind::Examples => Vec::new(),
        }
    }

    /// Files of classes without the name that they need.
    pub fn unnamed_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let unnamed = [
            ("--genome", &self.genome),
            ("--class", &self.class),
            ("--valid-class", &self.valid_class),
            ("--test-class", &self.test_class),
            ("--regions", &self.regions),
        ];
        for (flag, named) in unnamed {
            let needs_name = flag != "--regions" || self.signal.is_empty();
            if let Some(NamedPath { path, .. }) = named.iter().find(|named| needs_name && named.name.is_empty()) {
                faults.push(format!("{flag} is {}, expected NAME=PATH, such as human=hg38.fa.gz", path.display()));
            }
        }
        faults
    }

    fn class_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        for (flag, named) in [("--genome", &self.genome), ("--class", &self.class), ("--regions", &self.regions)] {
            for (i, one) in named.iter().enumerate() {
                if named[..i].iter().any(|other| real(&other.path) == real(&one.path)) {
                    let path = one.path.display();
                    faults.push(format!("{flag} names {path} twice, expected each file once; remove one"));
                }
            }
        }
        faults.extend(self.unnamed_faults());
        let (names, flag) = (self.flag_classes(), self.source().flag());
        if names.len() == 1 {
            faults.push(format!(
                "{flag} names 1 class ({}), expected two or more; name another, and repeat a name only to give a class more files",
                names[0]
            ));
        }
        if names.len() > MAX_CLASSES {
            faults.push(format!("{flag} names {} classes, expected at most {MAX_CLASSES}", names.len()));
        }
        if names.iter().filter(|name| **name == NEGATIVE).count() > 1 {
            faults.push(format!(
                "--regions is named '{NEGATIVE}', which is what its negatives are called; choose another name"
            ));
        }
        if !self.classes.is_empty() {
            let classes = self.classes.join(", ");
            let repeated = self.classes.iter().enumerate().any(|(i, name)| self.classes[..i].contains(name));
            if self.classes.len() < 2 || repeated {
                faults.push(format!("--classes names {classes}, expected two or more different names"));
            }
            let known = |name: &&str| self.classes.iter().any(|class| class == name);
            let same = names.iter().all(known) && names.len() == self.classes.len();
            if !names.is_empty() && !same {
                faults.push(format!(
                    "{flag} names the classes {}, expected {classes}; name them alike",
                    names.join(", ")
                ));
            }
        }
        faults
    }

    fn test_faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = too_many([("--test-fragments", self.test_fragments)]).collect();
        if matches!(self.source(), SourceKind::Genomes | SourceKind::Demo) {
            faults.extend(count_fault("--test-fragments", self.test_fragments, self.flag_classes().len().max(2)));
        }
        if self.memory.is_some_and(|memory| memory.as_u64() == 0) {
            faults.push("--memory is 0, expected a size such as 8GB".into());
        }
        faults
    }
}

/// What the examples against a single `--regions` are called.
pub const NEGATIVE: &str = "negative";

/// The most negatives for each region.
const MOST_NEGATIVES: usize = 1000;

/// The most classes a network tells apart here: more names than this are numbers taken for names.
pub const MAX_CLASSES: usize = 1000;

/// Names in the order they come, each once.
fn distinct<'a>(named: impl IntoIterator<Item = &'a NamedPath>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for NamedPath { name, .. } in named {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

fn count_fault(flag: &str, fragments: usize, classes: usize) -> Option<String> {
    let right = fragments >= classes && fragments.is_multiple_of(classes);
    (!right).then(|| {
        let number = if classes == 2 {
            "an even number of 2 or more, half".into()
        } else {
            format!("a multiple of {classes}, as many")
        };
        format!("{flag} is {fragments}, expected {number} from each class")
    })
}
