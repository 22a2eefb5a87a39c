//! One file for each command: its table of contents, no detail.

mod doctor;
mod evaluate;
mod export;
mod predict;
mod simulate;
mod train;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ArgMatches;

use crate::cli::{Cli, Command};
use crate::model::{Network, weights};
use crate::progress::Progress;
use crate::run::{METRICS_JSON, Provenance, RunFolder, WEIGHTS};

/// Runs what was typed.
pub fn run(cli: Cli, matches: &ArgMatches) -> Result<()> {
    let progress = Progress::choose(cli.quiet);
    match cli.command {
        Command::Train(command) => {
            let flags = matches.subcommand_matches("train").context("the command is train")?;
            train::run(&command, flags, progress)
        }
        Command::Evaluate(command) => evaluate::run(&command, progress),
        Command::Predict(command) => predict::run(&command, progress),
        Command::Export(command) => export::run(&command, progress),
        Command::Simulate(command) => simulate::run(&command, progress),
        Command::Doctor => doctor::run(),
    }
}

/// A finished run: its folder, where it came from and its network with the best weights.
fn open_run(path: &Path, device: tch::Device) -> Result<(RunFolder, Provenance, Network)> {
    let (run, provenance) = RunFolder::open(path)?;
    if provenance.outcome.is_none() {
        bail!("{}: the run did not finish, so its weights are not to be trusted; train again", path.display());
    }
    let mut network = Network::new(&provenance.config.model, provenance.length, device, 0)?;
    weights::load(&mut network, &run.file(WEIGHTS))?;
    Ok((run, provenance, network))
}

/// The threshold that a run chose on validation.
fn threshold(run: &RunFolder) -> Result<f64> {
    let path = run.file(METRICS_JSON);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: cannot be read, so the run did not finish; train again", path.display()))?;
    let metrics: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: is damaged; train again or restore the file", path.display()))?;
    match metrics["valid"]["threshold"].as_f64() {
        Some(threshold) if threshold.is_finite() => Ok(threshold),
        _ => bail!("{}: holds no valid.threshold, expected a number; train again or restore the file", path.display()),
    }
}

/// Writes results to standard output; a reader that went away is an error and no panic.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(closed_output)
}

fn closed_output(error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        anyhow::anyhow!("standard output was closed before all results were written; read to the end or use --out")
    } else {
        anyhow::anyhow!("standard output cannot be written ({error})")
    }
}
