//! `explain` and its subcommands: one struct for each.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::Compute;
use strandnet_core::config::{self, AttributionBaseline, AttributionMethod, VariantFormat};
use strandnet_core::dataset::split::Split;

/// Flags of `explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// What to explain.
    #[command(subcommand)]
    pub what: What,
}

/// What is explained.
#[derive(Subcommand, Debug)]
pub enum What {
    /// Motifs of the first layer: logos, MEME matrices, enrichment, matches to known motifs
    Motifs(Motifs),
    /// Base attributions of sequences: in-silico mutagenesis, saliency, integrated gradients, figures
    Sequences(Sequences),
    /// Footprints: the mean profile around motifs set into shuffled sequences, with and without the bias model
    Footprints(Footprints),
    /// Variant effects: both alleles of each variant of a VCF file, scored in context
    Variants(Variants),
}

/// Flags of `explain motifs`.
#[derive(Args, Debug)]
pub struct Motifs {
    /// Run folder made by train
    pub run: PathBuf,
    /// Folder for matrices, tables and logos [default: RUN/explain/motifs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the motifs that the folder holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Known motifs to compare with: MEME, JASPAR, TRANSFAC, HOMER or HOCOMOCO, told apart by content [default: none]
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Sequences to scan for sites, FASTA or FASTQ [default: examples of the run]
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    pub sequences: Option<PathBuf>,
    /// Split of the run's examples to scan for sites: train, valid or test [default: test]
    #[arg(long, value_name = "SPLIT", value_parser = split)]
    pub split: Option<Split>,
    /// Folder in which to find the run's data files, by checksum, where they were moved [default: beside the run]
    #[arg(long, value_name = "DIR", conflicts_with = "sequences")]
    pub data_root: Vec<PathBuf>,
    /// Maximum number of sequences: examples spread evenly, or the first of --sequences [default: all]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub limit: Option<usize>,
    /// Ensemble member, counted from 1 [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub member: Option<u64>,
    /// Sequences in which motifs are discovered from attributions; 0 skips discovery
    #[arg(long, value_name = "N", value_parser = config::count, default_value_t = 1000)]
    pub discover: usize,
    /// Class, label or column to explain [default: the positive class, or each of several]
    #[arg(long, alias = "of", value_name = "NAME")]
    pub score_of: Option<String>,
    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Flags of `explain footprints`.
#[derive(Args, Debug)]
pub struct Footprints {
    /// Run folder made by train --task profile
    pub run: PathBuf,
    /// Motif of A, C, G and T, where N leaves the background; may be repeated [no default]
    #[arg(long, value_name = "NAME=WORD", required = true)]
    pub motif: Vec<Word>,
    /// Word to set in for comparison [default: none, the backgrounds as they are]
    #[arg(long, value_name = "WORD")]
    pub control: Option<String>,
    /// Shuffled test sequences to set motifs in
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = config::count)]
    pub backgrounds: usize,
    /// Folder for tables and figures [default: RUN/explain/footprints]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the footprints that the folder holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Folder in which to find the run's data files, by checksum, where they were moved [default: beside the run]
    #[arg(long, value_name = "DIR")]
    pub data_root: Vec<PathBuf>,
    /// Seed of the shuffles
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=config::MAX_SEED))]
    pub seed: u64,
    /// Where to compute.
    #[command(flatten)]
    pub compute: Compute,
}

/// A motif with its name.
#[derive(Clone, Debug)]
pub struct Word {
    /// What figures call it.
    pub name: String,
    /// A, C, G, T and N.
    pub word: String,
}

impl std::str::FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, word)) if !name.trim().is_empty() && !word.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), word: word.trim().to_owned() })
            }
            _ => Err(format!("found '{text}', expected NAME=WORD, such as ap1=TGACTCA")),
        }
    }
}

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
    /// Where to compute.
    #[command(flatten)]
    pub compute: Compute,
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
    /// Where to compute.
    #[command(flatten)]
    pub compute: Compute,
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

fn split(name: &str) -> Result<Split, String> {
    Split::named(name).ok_or_else(|| "expected train, valid or test".into())
}
