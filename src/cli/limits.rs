//! Flags that `train` and `cv` share: when checkpoints are written, when training stops, and what `--resume` allows beside it.

use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use strandnet_core::config::Config;
use strandnet_core::interrupt::TimeLimit;

/// A year.
const MOST_MINUTES: f64 = 525_600.0;

/// Times of training.
#[derive(Args, Debug)]
pub struct Limits {
    /// Minutes between checkpoints within an epoch (0: after every step); one is written after every epoch anyway
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    pub checkpoint_minutes: f64,
    /// Minutes after which training stops with a checkpoint and exit code 75, to be resumed with --resume [default: no limit]
    #[arg(long, value_name = "MINUTES")]
    pub max_minutes: Option<f64>,
}

impl Limits {
    /// Time between checkpoints, and until training stops; what is wrong with them goes to `faults`.
    pub fn times(&self, faults: &mut Vec<String>) -> (Duration, Option<TimeLimit>) {
        let limit = time_limit(self.max_minutes).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let minutes = self.checkpoint_minutes;
        if !(0.0..=MOST_MINUTES).contains(&minutes) {
            faults.push(format!("--checkpoint-minutes is {minutes:?}, expected 0 to {MOST_MINUTES}"));
            return (Duration::ZERO, limit);
        }
        (Duration::from_secs_f64(minutes * 60.0), limit)
    }
}

/// When `--max-minutes` is over, counted from now.
///
/// # Errors
/// It is no time.
pub fn time_limit(minutes: Option<f64>) -> Result<Option<TimeLimit>, String> {
    match minutes {
        None => Ok(None),
        Some(minutes) if minutes > 0.0 && minutes <= MOST_MINUTES => {
            Ok(TimeLimit::after(Duration::from_secs_f64(minutes * 60.0)))
        }
        Some(minutes) => Err(format!("--max-minutes is {minutes:?}, expected more than 0 and at most {MOST_MINUTES}")),
    }
}

/// What is wrong with settings that are typed beside `--resume`, which takes `whose` settings, but for those that are allowed.
pub fn typed_beside_resume(flags: &ArgMatches, allowed: &[&str], whose: &str) -> Vec<String> {
    let settings = Config::augment_args(clap::Command::new("settings"));
    settings
        .get_arguments()
        .filter(|setting| !allowed.contains(&setting.get_id().as_str()))
        .filter(|setting| flags.value_source(setting.get_id().as_str()) == Some(ValueSource::CommandLine))
        .filter_map(|setting| setting.get_long())
        .map(|flag| format!("--{flag} is given with --resume, which takes {whose}; remove it"))
        .collect()
}
