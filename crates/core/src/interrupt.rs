//! Ctrl-C and SIGTERM: the first lets the step end and a checkpoint be written, the second stops at once. Until training
//! begins, and after it, the first stops at once: there is nothing to be lost then.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What shells add to a signal's number in the exit code of a program that it ended.
const EXIT_CODE: i32 = 128;

/// Whether the user, or a batch system, wants the program to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// 0 for none.
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Notices signals from now on.
    ///
    /// # Errors
    /// The system does not let signal handlers be installed.
    pub fn on_signals() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag that the first one set.
            flag::register_conditional_shutdown(signal, EXIT_CODE + signal, interrupt.at_once.clone())
                .and_then(|_| flag::register(signal, interrupt.at_once.clone()))
                .and_then(|_| flag::register_usize(signal, interrupt.signal.clone(), signal as usize))
                .context("the system does not let signals be watched")?;
        }
        Ok(interrupt)
    }

    /// The signal that came, if any.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(SeqCst) {
            0 => None,
            signal => Some(signal as i32),
        }
    }

    /// From now on the first signal stops at once. Returns one that came before.
    pub fn end(&self) -> Option<i32> {
        self.at_once.store(true, SeqCst);
        self.signal()
    }
}

/// The program ends because a signal asked for it.
#[derive(Debug)]
pub struct Interrupted {
    /// Number of the signal, such as 2 for SIGINT.
    pub signal: i32,
    /// Where it stands and how to go on.
    pub message: String,
}

impl Interrupted {
    /// As shells report a program that the signal ended.
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
