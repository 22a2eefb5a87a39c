//! What each epoch came to: one row of `history.csv`, on disk as soon as the epoch ends.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use serde::Serialize;

use crate::run::{HISTORY_CSV, RunFolder};

/// One epoch. Losses are means over fragments; training accuracy is at 0.5 and with dropout on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    pub epoch: usize,
    pub train_loss: f64,
    pub train_accuracy: f64,
    pub valid_loss: f64,
    pub valid_accuracy: f64,
    pub valid_auroc: f64,
    pub learning_rate: f64,
    pub seconds: f64,
    pub fragments_per_second: f64,
}

impl Epoch {
    /// The epoch as a line for people.
    pub fn line(&self, epochs: usize) -> String {
        format!(
            "epoch {:>2}/{epochs}  train loss {:.4} accuracy {:.3}  valid loss {:.4} accuracy {:.3} AUROC {:.4}  {:.0} fragments/s",
            self.epoch,
            self.train_loss,
            self.train_accuracy,
            self.valid_loss,
            self.valid_accuracy,
            self.valid_auroc,
            self.fragments_per_second
        )
    }
}

/// The epochs so far, in memory and on disk.
pub struct History {
    path: PathBuf,
    writer: csv::Writer<File>,
    epochs: Vec<Epoch>,
}

impl History {
    /// Starts an empty `history.csv`; rows of a start that was given up go.
    pub fn create(run: &RunFolder) -> Result<Self> {
        let path = run.file(HISTORY_CSV);
        let writer = csv::Writer::from_path(&path)
            .map_err(|error| anyhow!("{}: cannot be written ({error})", path.display()))?;
        Ok(Self { path, writer, epochs: Vec::new() })
    }

    pub fn push(&mut self, epoch: Epoch) -> Result<()> {
        self.writer
            .serialize(epoch)
            .map_err(std::io::Error::from)
            .and_then(|()| self.writer.flush())
            .map_err(|error| anyhow!("{}: cannot be written ({error}); free some disk space", self.path.display()))?;
        self.epochs.push(epoch);
        Ok(())
    }

    pub fn into_epochs(self) -> Vec<Epoch> {
        self.epochs
    }
}
