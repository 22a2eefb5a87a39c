//! The commands that need no libtorch, one file for each: its table of contents, no detail. Networks come from a [`Backend`].

pub mod backend;
pub mod evaluate;
pub mod explain;
pub mod predict;
pub mod report;

use std::io::Write;

use anyhow::{Result, anyhow};

use crate::config::Faults;
use crate::format::printable;
use crate::interrupt::Interrupted;

pub use backend::{Backend, FinishedRun, FoldNetworks, Networks, WithBias};

/// Writes results to standard output, safe for a terminal; a reader that went away is an error and no panic.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(printable(text).as_bytes()).and_then(|()| out.flush()).map_err(closed_output)
}

/// Writes one JSON document to standard output. Control characters are escaped as JSON has it, the newlines between its
/// lines apart.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let mut text = String::new();
    for letter in serde_json::to_string_pretty(value)?.chars() {
        match letter {
            letter if letter.is_control() && letter != '\n' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => text.push(letter),
        }
    }
    text.push('\n');
    print(&text)
}

/// Exit code of a program that SIGPIPE ended: whoever read its output wanted no more.
pub const CLOSED_PIPE: i32 = 141;

/// Says what a command came to on standard error, in one line; returns the exit code.
pub fn answer_error(error: &anyhow::Error) -> i32 {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        let _ = writeln!(std::io::stderr(), "{interrupted}");
        return interrupted.exit_code().into();
    }
    if error.is::<ClosedPipe>() {
        return CLOSED_PIPE;
    }
    let line = format!("{error:#}").replace(['\n', '\r'], " ");
    let _ = writeln!(std::io::stderr(), "error: {}", printable(&line));
    if error.is::<Faults>() { 2 } else { 1 }
}

/// Whoever read standard output wanted no more, as `head` does.
#[derive(Debug)]
pub struct ClosedPipe;

impl std::fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("standard output was closed before all results were written")
    }
}

impl std::error::Error for ClosedPipe {}

/// What a failed write to standard output means.
pub fn closed_output(error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        ClosedPipe.into()
    } else {
        anyhow!("standard output cannot be written ({error})")
    }
}

/// Faults of reading come with their file; what is left is a fault of writing, and `say` knows to where.
fn written(error: anyhow::Error, say: impl FnOnce(std::io::Error) -> anyhow::Error) -> anyhow::Error {
    match error.downcast::<std::io::Error>() {
        Ok(error) => say(error),
        Err(error) => error,
    }
}
