//! What ends training early: signals and time limits. The first signal lets the current step end and a checkpoint be
//! written, the second stops at once. Before and after training the first signal stops at once, since there is nothing to lose.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

/// Makes a write beyond the largest size of a file (`ulimit -f`) fail as one on a full disk does; the signal of the system
/// would end the program without a word.
///
/// # Errors
/// The system does not let a signal handler be installed.
pub fn files_that_grow_too_large_are_errors() -> std::io::Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Offset that shells add to a signal's number for the exit code of a process it ended.
const EXIT_CODE: i32 = 128;

/// Exit code of a program that a limit ended and that can be run again to go on: EX_TEMPFAIL of `sysexits.h`.
const RESUMABLE: u8 = 75;

/// Whether the user, or a batch system, asked the program to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// Number of the signal; 0 if there was none.
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Installs the handlers of SIGINT, SIGTERM, SIGUSR1 and SIGHUP. SIGHUP stays ignored where it was when the program
    /// began, as under `nohup`.
    ///
    /// # Errors
    /// The system does not let signal handlers be installed.
    pub fn on_signals() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM, SIGUSR1, SIGHUP] {
            if signal == SIGHUP && is_ignored(signal) {
                continue;
            }
            // The order matters: the second signal must find the flag that the first one set.
            flag::register_conditional_shutdown(signal, EXIT_CODE + signal, interrupt.at_once.clone())
                .and_then(|_| flag::register(signal, interrupt.at_once.clone()))
                .and_then(|_| flag::register_usize(signal, interrupt.signal.clone(), signal as usize))
                .context("the system does not let signals be watched")?;
        }
        Ok(interrupt)
    }

    /// The signal received, if any.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(SeqCst) {
            0 => None,
            signal => Some(signal as i32),
        }
    }

    /// Makes the next signal stop the program at once. Returns the one received before, if any.
    pub fn end(&self) -> Option<i32> {
        self.at_once.store(true, SeqCst);
        self.signal()
    }
}

/// Whether this process ignores a signal, according to Linux; elsewhere it counts as not ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// A time at which the program is to end.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit(Instant);

impl TimeLimit {
    /// So long from now; none where that is further than the clock goes.
    pub fn after(time: Duration) -> Option<Self> {
        Instant::now().checked_add(time).map(Self)
    }

    /// Whether it has come.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// What ends a program before its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A signal, by its number, such as 2 for SIGINT.
    Signal(i32),
    /// The time that it was given is over.
    TimeLimit,
}

/// The error of a program that ends before its work is done.
#[derive(Debug)]
pub struct Interrupted {
    /// What ended it.
    pub cause: Cause,
    /// How far the program got, and how to continue.
    pub message: String,
}

impl Interrupted {
    /// Exit code that shells report for a process ended by the signal, or 75, which asks for another try.
    pub fn exit_code(&self) -> u8 {
        match self.cause {
            Cause::Signal(signal) => u8::try_from(EXIT_CODE + signal).unwrap_or(1),
            Cause::TimeLimit => RESUMABLE,
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Interrupted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_shells_and_batch_systems_know() {
        let code = |cause| Interrupted { cause, message: String::new() }.exit_code();
        assert_eq!([SIGHUP, SIGINT, SIGUSR1, SIGTERM].map(|signal| code(Cause::Signal(signal))), [129, 130, 138, 143]);
        assert_eq!(code(Cause::TimeLimit), 75);
    }
}
