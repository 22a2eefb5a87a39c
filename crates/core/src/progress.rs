//! What a person sees while a command works, on standard error: bars on a terminal, plain lines elsewhere, nothing with
//! `--quiet`. Results never pass through here; they go to standard output.

use std::fmt::Write;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing but warnings.
    Quiet,
    /// Plain lines, for logs.
    Lines,
    /// Lines and progress bars.
    Terminal,
}

impl Progress {
    /// Bars where standard error is a terminal, lines where it is not, nothing if `quiet`.
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

    /// One line for the user. A closed standard error is no reason to stop.
    pub fn say(self, message: &str) {
        if self != Self::Quiet {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    /// A warning, said even with `--quiet`.
    pub fn warn(self, message: &str) {
        let _ = writeln!(std::io::stderr(), "warning: {message}");
    }

    /// A bar over the fragments of all epochs: epoch, loss, fragments a second, time left.
    pub fn bar(self, fragments: u64) -> Bar {
        if self != Self::Terminal {
            return Bar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(fragments), ProgressDrawTarget::stderr());
        // Means since the start: indicatif's own estimates need a quarter of a minute to settle, which is a whole job here.
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

/// A progress bar, hidden where standard error is no terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// One that is never seen.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Whether the bar is not drawn, so that building messages for it is wasted work.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Moves on by so many fragments.
    pub fn advance(&self, fragments: u64) {
        self.0.inc(fragments);
    }

    /// Sets the text shown in front of the bar.
    pub fn set_message(&self, message: String) {
        self.0.set_message(message);
    }

    /// Takes the bar off the terminal.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
