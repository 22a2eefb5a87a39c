//! `cv`: every fold of an experiment.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args};

use crate::cli::limits::{Limits, typed_beside_resume};
use strandnet_core::config::{Config, Faults};
use strandnet_core::interrupt::TimeLimit;

/// Flags of `cv`.
#[derive(Args, Debug)]
pub struct Cv {
    /// TOML file of settings; flags override it [default: none]
    pub config: Option<PathBuf>,
    /// Folder for all folds, DIR/fold-K/seed-S; several processes, each with its --fold, may fill one [default: runs/cv-NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the cross-validation that --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Resume a cross-validation, with its own settings; with --fold K that fold alone [default: no]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "out", "force", "write_folds", "seeds"])]
    pub resume: Option<PathBuf>,
    /// Runs of each fold, with seeds from --seed on; their logits are averaged
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub seeds: u16,
    /// Write the chromosomes of each fold as DIR/fold_K.json, and train only if --out is given too [default: no]
    #[arg(long, value_name = "DIR")]
    pub write_folds: Option<PathBuf>,
    /// When checkpoints are written and training stops.
    #[command(flatten)]
    pub limits: Limits,
    /// Settings of the experiment.
    #[command(flatten)]
    pub settings: Config,
}

/// Settings that may be given beside --resume.
const WITH_RESUME: [&str; 2] = ["fold", "threads"];

impl Cv {
    /// Time between checkpoints, and until training stops.
    ///
    /// # Errors
    /// They are none, or settings are given beside --resume, which has its own.
    pub fn times(&self, flags: &ArgMatches) -> Result<(Duration, Option<TimeLimit>), Faults> {
        let mut faults = Vec::new();
        let times = self.limits.times(&mut faults);
        if self.resume.is_some() {
            faults.extend(typed_beside_resume(flags, &WITH_RESUME, "the settings it was begun with"));
        }
        if faults.is_empty() { Ok(times) } else { Err(Faults(faults)) }
    }
}
