//! `train`: a network, or the rest of one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args};

use crate::cli::limits::{Limits, typed_beside_resume};
use strandnet_core::config::{Config, Faults};
use strandnet_core::interrupt::TimeLimit;

/// Flags of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// TOML file of settings; flags override it [default: none]
    pub config: Option<PathBuf>,
    /// Folder for the run [default: runs/NAME-TIME, the name from the TOML file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the run that --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Resume an interrupted run, with its own settings; with --epochs N train it, finished or not, to N epochs in all; with --device on another device [default: no]
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "out", "force"])]
    pub resume: Option<PathBuf>,
    /// When checkpoints are written and training stops.
    #[command(flatten)]
    pub limits: Limits,
    /// Folder in which to find, by checksum, data files that a run's config.toml or --resume names and that were moved [default: beside the run]
    #[arg(long, value_name = "DIR")]
    pub data_root: Vec<PathBuf>,
    /// Processes that train together on this machine, each on its part of every batch, with its own CPU threads or GPU [default: 1; those that torchrun, srun or mpirun starts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub processes: Option<u16>,
    /// Seconds that processes wait for each other before they give up
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    pub timeout: u64,
    /// Settings of the experiment.
    #[command(flatten)]
    pub settings: Config,
}

/// A day.
const MOST_SECONDS: u64 = 86_400;

/// Settings that may be given beside --resume.
const WITH_RESUME: [&str; 3] = ["epochs", "device", "cuda_graph"];

impl Train {
    /// Time between checkpoints, and until training stops.
    ///
    /// # Errors
    /// They are none, or settings are given beside --resume, which has its own.
    pub fn times(&self, flags: &ArgMatches) -> Result<(Duration, Option<TimeLimit>), Faults> {
        let mut faults = Vec::new();
        let times = self.limits.times(&mut faults);
        if self.resume.is_none() && self.config.is_none() && !self.data_root.is_empty() {
            faults.push(
                "--data-root is given without a run, whose record says what the files hold; name its config.toml, or --resume"
                    .into(),
            );
        }
        if self.resume.is_some() {
            faults.extend(typed_beside_resume(flags, &WITH_RESUME, "the run's own settings"));
        }
        if faults.is_empty() { Ok(times) } else { Err(Faults(faults)) }
    }
}
