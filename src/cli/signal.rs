//! `signal`: tracks of counts from aligned reads.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use strandnet_core::config::{self, Counted, Faults, ShiftChoice};
use strandnet_core::reads::left_out::MIN_MAPPING_QUALITY;

/// Flags of `signal`.
#[derive(Args, Debug)]
pub struct Signal {
    /// Aligned reads: BAM, SAM, 10x fragment files, BED of fragments, BEDPE or tagAlign, told by content, plain or compressed; several are counted together; - for standard input
    #[arg(required = true, value_name = "READS")]
    pub reads: Vec<PathBuf>,
    /// Genome that the reads were aligned to, FASTA; or a .fai or chrom.sizes file of the lengths of its chromosomes, where no shift is measured [no default]
    #[arg(long, value_name = "FASTA")]
    pub reference: PathBuf,
    /// bigWig file to write; groups and strands are named before its ending. One that is there is replaced [no default]
    #[arg(long, value_name = "FILE.bw")]
    pub out: PathBuf,
    /// What is counted
    #[arg(long, value_enum, default_value_t = Counted::Insertions)]
    pub what: Counted,
    /// How first bases of reads are moved: auto, PLUS,MINUS in bp such as +4,-4, or none [default: auto for insertions, otherwise none]
    #[arg(long, value_name = "SHIFT", allow_hyphen_values = true)]
    pub shift: Option<ShiftChoice>,
    /// Of paired reads, the mate whose first base counts with --what five-prime [default: 1]
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub mate: Option<u8>,
    /// Write plus and minus reads to files of their own [default: no]
    #[arg(long)]
    pub stranded: bool,
    /// Write plus reads as minus and minus reads as plus, for libraries whose reads are of the other strand [default: no]
    #[arg(long, requires = "stranded")]
    pub flip_strands: bool,
    /// Write the mean of bins of this length, in bp, for browsing; training needs every base
    #[arg(long, value_name = "BP", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub bin: u32,
    /// Write counts per million counted, for browsing; training needs counts [default: counts]
    #[arg(long, value_enum)]
    pub normalize: Option<Normalization>,
    /// Report as JSON with pictures, a folder [default: --out with .report for its ending]
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Print the report as one JSON document [default: no]
    #[arg(long)]
    pub json: bool,
    /// Which reads are counted.
    #[command(flatten)]
    pub filters: FilterFlags,
    /// Memory limit for the genome and for counts, such as 8GB; more is kept in temporary files [default: half of what is free]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<bytesize::ByteSize>,
    /// CPU threads [default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else one per core that the system allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Which reads are counted.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which reads")]
pub struct FilterFlags {
    /// Lowest mapping quality; BAM and SAM have one
    #[arg(long, value_name = "N", default_value_t = MIN_MAPPING_QUALITY)]
    pub min_mapq: u8,
    /// Count reads that are marked as duplicates; equal places alone are never duplicates [default: no]
    #[arg(long)]
    pub keep_duplicates: bool,
    /// Shortest fragment, in bp [default: any]
    #[arg(long, value_name = "BP", value_parser = config::count)]
    pub min_fragment: Option<usize>,
    /// Longest fragment, in bp [default: any]
    #[arg(long, value_name = "BP", value_parser = config::count)]
    pub max_fragment: Option<usize>,
    /// Leave out reads and fragments that touch these regions, BED [default: none]
    #[arg(long, value_name = "BED")]
    pub exclude: Vec<PathBuf>,
    /// Chromosomes; 1 and chr1 are the same [default: all; for insertions without the mitochondrion]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = config::trimmed)]
    pub chroms: Vec<String>,
    /// Count the cells of this table: barcode, group in a second column, file in a third where files share barcodes; a bigWig for each group [default: all reads]
    #[arg(long, value_name = "FILE")]
    pub barcodes: Option<PathBuf>,
    /// Peaks, BED or narrowPeak, of which the share of counts in them is reported [default: none]
    #[arg(long, value_name = "BED")]
    pub regions: Option<PathBuf>,
}

/// What counts are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Normalization {
    /// Millions counted
    Cpm,
}

impl Signal {
    /// The shift, if not measured, and measured by default only where a transposase cut.
    pub fn shift(&self) -> ShiftChoice {
        let default = match self.what {
            Counted::Insertions => ShiftChoice::Auto,
            Counted::FivePrime | Counted::Coverage => ShiftChoice::Given(config::Shift::default()),
        };
        self.shift.unwrap_or(default)
    }

    /// What does not go together.
    ///
    /// # Errors
    /// Something does not.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut check = |ok: bool, fault: String| {
            if !ok {
                faults.push(fault);
            }
        };
        for (i, path) in self.reads.iter().enumerate() {
            let fault = format!("{} is named twice, and its reads would count twice; remove one", path.display());
            check(!self.reads[..i].contains(path), fault);
        }
        let is_coverage = self.what == Counted::Coverage;
        let none = ShiftChoice::Given(config::Shift::default());
        check(
            !is_coverage || self.shift() == none,
            "--shift moves ends of reads, and --what coverage counts all their bases; remove one".into(),
        );
        check(
            !(is_coverage && self.stranded),
            "--stranded goes with --what insertions and five-prime; remove one".into(),
        );
        check(
            self.mate.is_none() || self.what == Counted::FivePrime,
            "--mate goes with --what five-prime, as both mates count otherwise; remove one".into(),
        );
        if let (Some(least), Some(most)) = (self.filters.min_fragment, self.filters.max_fragment) {
            let fault = format!("--min-fragment is {least} and --max-fragment {most}, expected the shorter first");
            check(least <= most, fault);
        }
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }
}
