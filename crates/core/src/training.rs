//! The parts of training that need no tensors: schedules, early stopping, history, memory estimates and advice.

pub mod advice;
pub mod early_stopping;
mod events;
pub mod extension;
pub mod history;
pub mod memory;
pub(crate) mod number;
pub mod schedule;

use history::Epoch;

/// Result of training: every epoch of every member of an ensemble, often of one.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// All epochs, by member and then by epoch.
    pub history: Vec<Epoch>,
    /// Best epoch of each member, counted from 1.
    pub best_epochs: Vec<usize>,
    /// Number of starts given up because all scores became equal.
    pub restarts: u64,
    /// Wall-clock time in seconds, over all programs that took part.
    pub seconds: f64,
}

impl Summary {
    /// The best epoch of a member; members are counted from 0.
    pub fn best(&self, member: usize) -> Option<&Epoch> {
        let best = *self.best_epochs.get(member)?;
        self.history.iter().find(|epoch| epoch.member == member + 1 && epoch.epoch == best)
    }
}
