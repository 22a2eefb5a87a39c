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
    /// Settings of the experiment.
    #[command(flatten)]
    pub settings: Config,
}

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
