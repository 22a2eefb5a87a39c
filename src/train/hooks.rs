//! What happens between steps and epochs besides learning. A hook is told where training stands and returns a decision; the
//! loop carries it out.

use std::time::{Duration, Instant};

use anyhow::Result;
use strandnet_core::interrupt::{Cause, Interrupt, TimeLimit};
use strandnet_core::training::history::Epoch;

/// What training does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Continue,
    /// Write a checkpoint.
    Checkpoint,
    /// Tell the user something.
    Warn(String),
    /// End training of this network with the best weights so far, as early stopping does; within an epoch, after validating
    /// what it has come to.
    Stop,
    /// Write a checkpoint and end the program, because of a signal or a limit.
    Interrupt(Cause),
}

/// Decides what happens between steps and epochs.
pub trait Hook {
    /// After a step of epoch `epoch`, counted from 1, with `batch` batches of it done.
    ///
    /// # Errors
    /// Training ends with the error.
    fn after_step(&mut self, epoch: usize, batch: usize) -> Result<Decision> {
        let _ = (epoch, batch);
        Ok(Decision::Continue)
    }

    /// After an epoch and its validation.
    ///
    /// # Errors
    /// Training ends with the error.
    fn after_epoch(&mut self, epoch: &Epoch) -> Result<Decision> {
        let _ = epoch;
        Ok(Decision::Continue)
    }
}

/// Asks for a checkpoint after every epoch, and within one after every so many minutes.
#[derive(Debug)]
pub struct Checkpoints {
    every: Duration,
    saved: Instant,
}

impl Checkpoints {
    /// Within an epoch, one in each `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, saved: Instant::now() }
    }
}

impl Hook for Checkpoints {
    fn after_step(&mut self, _: usize, _: usize) -> Result<Decision> {
        if self.saved.elapsed() < self.every {
            return Ok(Decision::Continue);
        }
        self.saved = Instant::now();
        Ok(Decision::Checkpoint)
    }

    fn after_epoch(&mut self, _: &Epoch) -> Result<Decision> {
        self.saved = Instant::now();
        Ok(Decision::Checkpoint)
    }
}

/// Ends training when a signal asks for it.
#[derive(Debug)]
pub struct OnSignal(pub Interrupt);

impl OnSignal {
    fn decide(&self) -> Result<Decision> {
        Ok(self.0.signal().map_or(Decision::Continue, |signal| Decision::Interrupt(Cause::Signal(signal))))
    }
}

impl Hook for OnSignal {
    fn after_step(&mut self, _: usize, _: usize) -> Result<Decision> {
        self.decide()
    }

    fn after_epoch(&mut self, _: &Epoch) -> Result<Decision> {
        self.decide()
    }
}

/// Ends training when its time is over, after one step at the earliest, so that each try gets further.
#[derive(Debug)]
pub struct OnTimeLimit(pub TimeLimit);

impl OnTimeLimit {
    fn decide(&self) -> Result<Decision> {
        Ok(if self.0.is_over() { Decision::Interrupt(Cause::TimeLimit) } else { Decision::Continue })
    }
}

impl Hook for OnTimeLimit {
    fn after_step(&mut self, _: usize, _: usize) -> Result<Decision> {
        self.decide()
    }

    fn after_epoch(&mut self, _: &Epoch) -> Result<Decision> {
        self.decide()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_after_its_time_and_after_every_epoch() {
        let mut always = Checkpoints::new(Duration::ZERO);
        assert_eq!(always.after_step(1, 1).unwrap(), Decision::Checkpoint);
        let mut never = Checkpoints::new(Duration::MAX);
        assert_eq!(never.after_step(1, 1).unwrap(), Decision::Continue);
        assert_eq!(OnSignal(Interrupt::default()).after_step(1, 1).unwrap(), Decision::Continue);
    }
}
