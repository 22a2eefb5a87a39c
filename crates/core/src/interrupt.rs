//! Ctrl-C and SIGTERM: the first signal lets the current step end and a checkpoint be written, the second stops at
//! once. Before and after training the first signal stops at once, since there is nothing to lose.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
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

/// Whether the user, or a batch system, asked the program to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// Number of the signal; 0 if there was none.
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// The system does not let signal handlers be installed.
    pub fn on_signals() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
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

/// The error of a program that ends because of a signal.
#[derive(Debug)]
pub struct Interrupted {
    /// Number of the signal, such as 2 for SIGINT.
    pub signal: i32,
    /// How far the program got, and how to continue.
    pub message: String,
}

impl Interrupted {
    /// Exit code that shells report for a process ended by the signal.
    pub fn exit_code(&self) -> u8 {
        u8::try_from(EXIT_CODE + self.signal).unwrap_or(1)
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Interrupted {}
