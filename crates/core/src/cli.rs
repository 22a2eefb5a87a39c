//! Flags of the commands that need no libtorch.

mod evaluate;
mod explain;
mod predict;
mod report;

pub use evaluate::{Evaluate, EvaluationData};
pub use explain::{Sequences, Variants};
pub use predict::Predict;
pub use report::Report;

/// Says what is wrong with what was typed, or the help or version that was asked for; returns the exit code.
pub fn answer_usage(help: &clap::Error) -> i32 {
    match help.print() {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => crate::commands::CLOSED_PIPE,
        _ => help.exit_code(),
    }
}
