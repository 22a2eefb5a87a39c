//! Flags of `explain sequences` and `explain variants`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{self, AttributionBaseline, AttributionMethod, VariantFormat};

/// Flags of `explain sequences`.
#[derive(Args, Debug)]
pub struct Sequences {
    /// Run folder made by train
    pub run: PathBuf,
    /// FASTA or FASTQ file of sequences of the network's length, plain, gzip or BGZF; - for standard input
    #[arg(required_unless_present = "regions", conflicts_with = "regions")]
    pub sequences: Option<PathBuf>,
    /// Genome that --regions lie in, plain, gzip or BGZF [default: none]
    #[arg(long, value_name = "FASTA", requires = "regions")]
    pub reference: Option<PathBuf>,
    /// Regions of --reference to explain, BED or narrowPeak, one window centred on each [default: none]
    #[arg(long, value_name = "BED", requires = "reference")]
    pub regions: Option<PathBuf>,
    /// What windows of --regions are centred on: the summit in column 10, as in narrowPeak, or the middle [default: the run's, or the summit where column 10 fits as one in the whole file]
    #[arg(long, value_enum, requires = "regions")]
    pub center: Option<config::Center>,
    /// Attribution methods, one or several: ism, saliency, ig
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',', default_value = "ism")]
    pub method: Vec<AttributionMethod>,
    /// Class, label or column to explain; of --task profile the counts of a group, or NAME:profile [default: the positive class]
    #[arg(long, alias = "of", value_name = "NAME")]
    pub score_of: Option<String>,
    /// Folder for tables, arrays and figures [default: RUN/explain/sequences-FILE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the attributions that the folder, and the files of --attributions-out, hold [default: no]
    #[arg(long)]
    pub force: bool,
    /// Maximum number of sequences, from the first of the file on [default: all]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub limit: Option<usize>,
    /// Name of a sequence to draw; may be repeated [default: the first of the file]
    #[arg(long, value_name = "NAME", conflicts_with = "pictures")]
    pub picture: Vec<String>,
    /// Number of sequences to draw, from the first of the file on [default: 4, and 100 with --regions]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1000))]
    pub pictures: Option<u16>,
    /// Prefix of one-hot sequences and hypothetical contributions for motif discovery, PREFIX.ohe.npz and PREFIX.hyp.npz, with their windows as PREFIX.bed; needs ism among --method [default: none]
    #[arg(long, value_name = "PREFIX")]
    pub attributions_out: Option<PathBuf>,
    /// Unknown bases (N) allowed in a sequence, in bases; others are left out [default: what the run was trained under]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub max_n: Option<usize>,
    /// Pad sequences shorter than the network's length with N at both ends, instead of stopping [default: no]
    #[arg(long)]
    pub pad_short: bool,
    /// Crop sequences longer than the network's length to their middle, instead of stopping [default: no]
    #[arg(long)]
    pub crop_long: bool,
    /// Baseline of integrated gradients
    #[arg(long, value_enum, default_value_t = AttributionBaseline::Zeros)]
    pub baseline: AttributionBaseline,
    /// Steps of integrated gradients, doubled for a sequence until completeness holds within 1 %
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub steps: u32,
    /// Seed of the shuffled copies
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: u64,
    /// Add the bias model that the run was trained with, of a run of --task profile [default: no, the part without bias]
    #[arg(long)]
    pub with_bias: bool,
    /// Of a cross-validation, explain each sequence with the networks that did not see its chromosome [default: no, with all networks]
    #[arg(long)]
    pub out_of_fold: bool,
}

impl Sequences {
    /// The file whose sequences are explained: of records or of regions.
    pub fn file(&self) -> &Path {
        self.regions.as_deref().or(self.sequences.as_deref()).unwrap_or(Path::new("-"))
    }

    /// Number of sequences to draw where none is named.
    pub fn most_pictures(&self) -> usize {
        self.pictures.map_or(if self.regions.is_some() { 100 } else { 4 }, usize::from)
    }

    /// The methods, each once, in the order given.
    pub fn methods(&self) -> Vec<AttributionMethod> {
        let mut methods = Vec::new();
        for method in &self.method {
            if !methods.contains(method) {
                methods.push(*method);
            }
        }
        methods
    }
}

/// Flags of `explain variants`.
#[derive(Args, Debug)]
pub struct Variants {
    /// Run folder made by train
    pub run: PathBuf,
    /// Variants, VCF, plain, gzip or BGZF; - for standard input [no default: required]
    #[arg(long, value_name = "VCF")]
    pub vcf: PathBuf,
    /// Reference genome of the variants, plain, gzip or BGZF [no default: required]
    #[arg(long, value_name = "FASTA")]
    pub reference: PathBuf,
    /// Unknown bases (N) allowed in a window, in bases; alleles in others have no score [default: what the run was trained under]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub max_n: Option<usize>,
    /// Class, label or column to score; of --task profile a group, or NAME:profile for the largest effects on its profile [default: the positive class, or every group]
    #[arg(long, alias = "of", value_name = "NAME")]
    pub score_of: Option<String>,
    /// File for the scores [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Output format [default: by the extension of --out, otherwise vcf]
    #[arg(long, value_enum)]
    pub format: Option<VariantFormat>,
    /// Replace the file that --out names [default: no]
    #[arg(long)]
    pub force: bool,
    /// Add the bias model that the run was trained with, of a run of --task profile [default: no, the part without bias]
    #[arg(long)]
    pub with_bias: bool,
    /// Of a cross-validation, score each variant with the networks that did not see its chromosome [default: no, with all networks]
    #[arg(long)]
    pub out_of_fold: bool,
}

impl Variants {
    /// How scores are written.
    pub fn format(&self) -> VariantFormat {
        let name = self.out.as_ref().map_or_else(String::new, |path| path.to_string_lossy().into_owned());
        let is_table = name.strip_suffix(".gz").unwrap_or(&name).ends_with(".tsv");
        let by_name = if is_table { VariantFormat::Tsv } else { VariantFormat::Vcf };
        self.format.unwrap_or(by_name)
    }
}
