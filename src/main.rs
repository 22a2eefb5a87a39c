//! Parse, dispatch, and turn an error into one line and an exit code.

mod waiting;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};
use strandnet::cli::{self, Cli};
use strandnet::commands;
use strandnet::distributed::processes::Ended;
use strandnet_core::cli::answer_usage;
use strandnet_core::commands::answer_error;
use strandnet_core::interrupt;

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
        Err(help) => return answer_usage(&help),
    };
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let run = || commands::run(Cli::from_arg_matches(&matches)?, &matches);
    let result: Result<()> =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(commands::error_of_panic(panic.as_ref())));
    match result {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref() {
            Some(Ended(code)) => *code,
            None => answer_error(&error),
        },
    }
}
