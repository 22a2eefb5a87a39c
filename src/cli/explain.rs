//! `explain` and its subcommands: one struct for each.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config;
use crate::data::split::Split;

#[derive(Args, Debug)]
pub struct Explain {
    #[command(subcommand)]
    pub what: What,
}

/// What is explained.
#[derive(Subcommand, Debug)]
pub enum What {
    /// The motifs of the first layer: logos, matrices in MEME format, enrichment, known motifs they resemble
    Motifs(Motifs),
}

#[derive(Args, Debug)]
pub struct Motifs {
    /// Run folder that train made
    pub run: PathBuf,
    /// Folder for matrices, tables and logos [default: RUN/explain/motifs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the motifs that the folder holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Known motifs to compare with, MEME format, plain or compressed, as JASPAR offers them [default: none]
    #[arg(long, value_name = "MEME")]
    pub database: Option<PathBuf>,
    /// Sequences to look for sites in, FASTA or FASTQ [default: examples of the run]
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    pub sequences: Option<PathBuf>,
    /// Which of the run's examples to look for sites in: train, valid or test [default: test]
    #[arg(long, value_name = "SPLIT", value_parser = split)]
    pub split: Option<Split>,
    /// Most sequences to look at: examples spread evenly, or the first of --sequences [default: all]
    #[arg(long, value_name = "N", value_parser = config::count)]
    pub limit: Option<usize>,
    /// Network of an ensemble to look into, counted from 1 [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub member: Option<u64>,
    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

fn split(name: &str) -> Result<Split, String> {
    Split::named(name).ok_or_else(|| "expected train, valid or test".into())
}
