//! Parse, dispatch, and turn an error into one line and an exit code.

mod waiting;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};
use strandnet::cli::{self, Cli};
use strandnet::commands;
use strandnet::distributed::processes::Ended;
use strandnet_core::config;
use strandnet_core::format::printable;
use strandnet_core::interrupt::{self, Interrupted};

/// Exit code of a program that SIGPIPE ended: whoever read its output wanted no more.
const CLOSED_PIPE: i32 = 141;

fn main() {
    // Where the system refuses, such a write ends the program without a word, as it would any other.
    let _ = interrupt::files_that_grow_too_large_are_errors();
    let code = run();
    let _ = std::io::stdout().flush();
    // At once: libtorch would take its tables apart first, for which nobody has a use.
    signal_hook::low_level::exit(code)
}

/// Runs what was typed, and says what went wrong; returns the exit code.
fn run() -> i32 {
    let matches = match Cli::command().try_get_matches_from(cli::with_lr_alone(std::env::args_os())) {
        Ok(matches) => matches,
        Err(help) => {
            // Or the version, or what is wrong with the usage.
            return match help.print() {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => CLOSED_PIPE,
                _ => help.exit_code(),
            };
        }
    };
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let run = || commands::run(Cli::from_arg_matches(&matches)?, &matches);
    let result: Result<()> =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(commands::error_of_panic(panic.as_ref())));
    match result {
        Ok(()) => 0,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                let _ = writeln!(std::io::stderr(), "{interrupted}");
                return interrupted.exit_code().into();
            }
            if let Some(Ended(code)) = error.downcast_ref() {
                return *code;
            }
            if error.is::<commands::ClosedPipe>() {
                return CLOSED_PIPE;
            }
            let line = format!("{error:#}").replace(['\n', '\r'], " ");
            let _ = writeln!(std::io::stderr(), "error: {}", printable(&line));
            let usage = error.is::<config::Faults>();
            if usage { 2 } else { 1 }
        }
    }
}
