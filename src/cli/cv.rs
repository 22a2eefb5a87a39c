//! `cv`: every fold of an experiment.

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use crate::cli::{MOST_MINUTES, time_limit};
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
    /// Minutes between checkpoints within an epoch (0: after every step); one is written after every epoch anyway
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    pub checkpoint_minutes: f64,
    /// Minutes after which training stops with a checkpoint and exit code 75, to be resumed with --resume [default: no limit]
    #[arg(long, value_name = "MINUTES")]
    pub max_minutes: Option<f64>,
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
        let limit = time_limit(self.max_minutes).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let minutes = self.checkpoint_minutes;
        let fits = (0.0..=MOST_MINUTES).contains(&minutes);
        if !fits {
            faults.push(format!("--checkpoint-minutes is {minutes:?}, expected 0 to {MOST_MINUTES}"));
        }
        if self.resume.is_some() {
            let settings = Config::augment_args(clap::Command::new("settings"));
            let typed = settings
                .get_arguments()
                .filter(|setting| !WITH_RESUME.contains(&setting.get_id().as_str()))
                .filter(|setting| flags.value_source(setting.get_id().as_str()) == Some(ValueSource::CommandLine));
            faults.extend(typed.filter_map(|setting| setting.get_long()).map(|flag| {
                format!("--{flag} is given with --resume, which takes the settings it was begun with; remove it")
            }));
        }
        let every = if fits { Duration::from_secs_f64(minutes * 60.0) } else { Duration::ZERO };
        if faults.is_empty() { Ok((every, limit)) } else { Err(Faults(faults)) }
    }
}
