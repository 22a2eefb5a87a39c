//! `explain` and its subcommands: one struct for each.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::{Compute, OnDevice};
use strandnet_core::cli::{Sequences, Variants};
use strandnet_core::config;
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
    Sequences(OnDevice<Sequences>),
    /// Footprints: the mean profile around motifs set into shuffled sequences, with and without the bias model
    Footprints(Footprints),
    /// Variant effects: both alleles of each variant of a VCF file, scored in context
    Variants(OnDevice<Variants>),
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
    /// Shuffled sequences to set motifs in
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = config::count)]
    pub backgrounds: usize,
    /// Sequences to shuffle, FASTA or FASTQ: the middle of each [default: test examples of the run]
    #[arg(long, value_name = "FILE")]
    pub sequences: Option<PathBuf>,
    /// Folder for tables and figures [default: RUN/explain/footprints]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the footprints that the folder holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Folder in which to find the run's data files, by checksum, where they were moved [default: beside the run]
    #[arg(long, value_name = "DIR", conflicts_with = "sequences")]
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

fn split(name: &str) -> Result<Split, String> {
    Split::named(name).ok_or_else(|| "expected train, valid or test".into())
}
