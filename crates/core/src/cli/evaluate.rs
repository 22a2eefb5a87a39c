//! Flags of `evaluate`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, DataConfig, Faults, Negatives, SourceKind};
use crate::dataset::Classes;
use crate::dataset::manifest::Learned;
use crate::dataset::split::Assignment;

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
