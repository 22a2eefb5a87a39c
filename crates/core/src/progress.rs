//! Messages to the user on standard error: progress bars on a terminal, plain lines elsewhere, nothing with `--quiet`.
//! Results go to standard output and never through here.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::format::printable;

/// How messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing, as of a process that does the same as one that speaks.
    Silent,
    /// Nothing but warnings.
    Quiet,
    /// Plain lines, for logs.
    Lines,
    /// Lines and progress bars.
    Terminal,
}

impl Progress {
    /// Bars if standard error is a terminal, lines if it is not, nothing if `quiet`.
    pub fn choose(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Terminal,
            (false, false) => Self::Lines,
        }
    }

    /// Shows nothing but warnings, as with `--quiet`.
    pub fn quiet() -> Self {
        Self::Quiet
    }

    /// Shows a line. A closed standard error is ignored.
    pub fn say(self, message: &str) {
        if !matches!(self, Self::Silent | Self::Quiet) {
            let _ = writeln!(std::io::stderr(), "{}", printable(message));
        }
    }

    /// Shows a warning, even with `--quiet`.
    pub fn warn(self, message: &str) {
        if self != Self::Silent {
            let _ = writeln!(std::io::stderr(), "warning: {}", printable(message));
        }
    }

    /// A progress bar over the fragments of all epochs, with throughput and remaining time.
    pub fn bar(self, fragments: u64) -> Bar {
        if self != Self::Terminal {
            return Bar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(fragments), ProgressDrawTarget::stderr());
        // Means since the start: indicatif's own estimates take a quarter of a minute to stabilise, as long as many
        // runs.
        let rate = |state: &ProgressState| state.pos() as f64 / state.elapsed().as_secs_f64().max(1e-3);
        let style = ProgressStyle::with_template("{msg:28} {bar:28} {percent:>3} %  {rate} fragments/s, {left} left")
            .expect("the template is well-formed")
            .with_key("rate", move |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{:.0}", rate(state));
            })
            .with_key("left", move |state: &ProgressState, out: &mut dyn Write| {
                if state.pos() == 0 {
                    let _ = write!(out, "?");
                    return;
                }
                let left = state.len().unwrap_or(0).saturating_sub(state.pos());
                let seconds = left as f64 / rate(state).max(1.0);
                let _ = write!(out, "{}", HumanDuration(Duration::from_secs_f64(seconds)));
            });
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }
}

/// Shows a warning that needs no more than a file to be about, once, even with `--quiet`.
pub fn warn_once(message: &str) {
    static SHOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SHOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_owned()) {
        Progress::Quiet.warn(message);
    }
}

/// A progress bar, hidden if standard error is not a terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar that is never shown.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Whether the bar is not drawn, so that building messages for it is wasted work.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Advances the bar by a number of fragments.
    pub fn advance(&self, fragments: u64) {
        self.0.inc(fragments);
    }

    /// Sets the text shown in front of the bar.
    pub fn set_message(&self, message: String) {
        self.0.set_message(printable(&message).into_owned());
    }

    /// Removes the bar from the terminal.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
