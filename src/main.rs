//! Parse, dispatch, and turn an error into one line and an exit code.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};
use strandnet::cli::{self, Cli};
use strandnet::interrupt::Interrupted;
use strandnet::{commands, config};

fn main() -> ExitCode {
    let matches = Cli::command().get_matches_from(cli::with_lr_alone(std::env::args_os())); // prints help, version and usage errors itself, the last with exit code 2
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let run = || commands::run(Cli::from_arg_matches(&matches)?, &matches);
    let result: Result<()> =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(commands::error_of_panic(panic.as_ref())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                let _ = writeln!(std::io::stderr(), "{interrupted}");
                return ExitCode::from(interrupted.exit_code());
            }
            let line = format!("{error:#}").replace(['\n', '\r'], " ");
            let _ = writeln!(std::io::stderr(), "error: {line}");
            let usage = error.is::<config::Faults>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
