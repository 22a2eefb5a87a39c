//! `tune`: a search for settings, or for a learning rate.

use std::path::PathBuf;

use clap::Args;

use crate::cli::limits::time_limit;
use strandnet_core::config::{Config, Faults};
use strandnet_core::interrupt::TimeLimit;

/// Flags of `tune`.
#[derive(Args, Debug)]
pub struct Tune {
    /// TOML file of settings, with a table `search` of those to vary; flags override it [default: none]
    pub config: Option<PathBuf>,
    /// Folder for the search; one that is there already is resumed [default: runs/tune-NAME-TIME; with --find-lr print only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start over, replacing what --out holds [default: no]
    #[arg(long)]
    pub force: bool,
    /// Wait until another process has begun the search in --out, and take part in it [default: no, begin it where there is none]
    #[arg(long, requires = "out", conflicts_with_all = ["force", "find_lr"])]
    pub worker: bool,
    /// Combinations of settings to try
    #[arg(long, value_name = "N", default_value_t = 27, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub trials: u32,
    /// Rounds of successive halving; the last trains all epochs, earlier ones fewer
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rungs: u32,
    /// Keep one in N trials for the next round, with N times the epochs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub eta: u32,
    /// Learning-rate range test instead: raise the rate at every step until training diverges [default: no]
    #[arg(long, conflicts_with_all = ["trials", "rungs", "eta"])]
    pub find_lr: bool,
    /// First rate of --find-lr [default: 1e-7]
    #[arg(long, value_name = "RATE", requires = "find_lr")]
    pub from: Option<f64>,
    /// Last rate of --find-lr [default: 10]
    #[arg(long, value_name = "RATE", requires = "find_lr")]
    pub to: Option<f64>,
    /// Steps of --find-lr [default: 200]
    #[arg(long, value_name = "N", requires = "find_lr", value_parser = clap::value_parser!(u32).range(50..=1_000_000))]
    pub steps: Option<u32>,
    /// Minutes after which no other trial is begun and the exit code is 75; the same command goes on [default: no limit]
    #[arg(long, value_name = "MINUTES", conflicts_with = "find_lr")]
    pub max_minutes: Option<f64>,
    /// Settings of the experiment.
    #[command(flatten)]
    pub settings: Config,
}

impl Tune {
    /// When no other trial is begun.
    ///
    /// # Errors
    /// `--max-minutes` is no time.
    pub fn limit(&self) -> Result<Option<TimeLimit>, Faults> {
        time_limit(self.max_minutes).map_err(|fault| Faults(vec![fault]))
    }

    /// The first and the last rate of `--find-lr`.
    ///
    /// # Errors
    /// They are no range.
    pub fn rates(&self) -> Result<(f64, f64), Faults> {
        let (from, to) = (self.from.unwrap_or(1e-7), self.to.unwrap_or(10.0));
        if from > 0.0 && from < to && to.is_finite() {
            return Ok((from, to));
        }
        Err(Faults(vec![format!("--from is {from} and --to is {to}, expected two rates above 0, the lower first")]))
    }
}
