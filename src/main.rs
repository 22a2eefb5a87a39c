//! Parse, dispatch, and turn an error into one line and an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use strandnet::cli::Cli;
use strandnet::{commands, config};

fn main() -> ExitCode {
    let matches = Cli::command().get_matches(); // prints help, version and usage errors itself, the last with exit code 2
    let result =
        Cli::from_arg_matches(&matches).map_err(anyhow::Error::from).and_then(|cli| commands::run(cli, &matches));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{error:#}").replace(['\n', '\r'], " ");
            let _ = writeln!(std::io::stderr(), "error: {line}");
            let usage = error.is::<config::Faults>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
