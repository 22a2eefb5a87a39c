//! Flags of `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, ScoreFormat};
use crate::predict::Short;

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
