//! What training decides without a tensor: schedules, early stopping, the history, what memory it takes, advice at its end.

pub mod advice;
pub mod early_stopping;
mod events;
pub mod history;
pub mod memory;
pub(crate) mod number;
pub mod schedule;

use history::Epoch;

/// What training came to: every epoch of every member of an ensemble, often of one.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// All epochs, by member and then by epoch.
    pub history: Vec<Epoch>,
    /// Of each member, counted from 1.
    pub best_epochs: Vec<usize>,
    /// Starts that were given up because all scores became equal.
    pub restarts: u64,
    /// Wall-clock time, of all programs that had a part in it.
    pub seconds: f64,
}

impl Summary {
    /// The best epoch of a member, counted from 0.
    pub fn best(&self, member: usize) -> Option<&Epoch> {
        let best = *self.best_epochs.get(member)?;
        self.history.iter().find(|epoch| epoch.member == member + 1 && epoch.epoch == best)
    }
}
