//! The history of a run: one row of `history.csv` per epoch, on disk as soon as the epoch ends.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::config::TrainingConfig;
use crate::run;
use crate::run::{HISTORY_CSV, RunFolder};
use crate::training::events::Events;
use crate::training::number;

/// Results of an epoch. Losses are means over fragments; training accuracy is at a threshold of 0.5 and with dropout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Member of the ensemble, counted from 1.
    pub member: usize,
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss over the training fragments.
    #[serde(with = "number")]
    pub train_loss: f64,
    /// Accuracy on the training fragments; `None` for regression.
    pub train_accuracy: Option<f64>,
    /// Mean loss over the validation examples.
    #[serde(with = "number")]
    pub valid_loss: f64,
    /// Accuracy on the validation examples; `None` for regression.
    pub valid_accuracy: Option<f64>,
    /// Validation score: the metric that chooses the best epoch.
    #[serde(with = "number")]
    pub valid_score: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Wall-clock time of the epoch in seconds, validation included.
    pub seconds: f64,
    /// Training throughput, in fragments per second.
    pub fragments_per_second: f64,
}

impl Epoch {
    /// The epoch as a line of text.
    pub fn line(&self, epochs: usize, metric: &str) -> String {
        let accuracy = |value: Option<f64>| value.map_or_else(String::new, |value| format!(" accuracy {value:.3}"));
        format!(
            "epoch {:>2}/{epochs}  train loss {:.4}{}  valid loss {:.4}{}{}  {:.0} fragments/s",
            self.epoch,
            self.train_loss,
            accuracy(self.train_accuracy),
            self.valid_loss,
            accuracy(self.valid_accuracy),
            // Loss and accuracy are in the line already.
            if matches!(metric, "loss" | "accuracy") {
                String::new()
            } else {
                format!(" {} {:.4}", metric_name(metric), self.valid_score)
            },
            self.fragments_per_second
        )
    }

    /// Columns of `history.csv` with their values, without those of accuracy if there is none.
    fn columns(&self, metric: &str, members: usize) -> Vec<(String, String)> {
        let columns = [
            ("member".to_owned(), (members > 1).then(|| self.member.to_string())),
            ("epoch".to_owned(), Some(self.epoch.to_string())),
            ("train_loss".to_owned(), Some(self.train_loss.to_string())),
            ("train_accuracy".to_owned(), self.train_accuracy.map(|value| value.to_string())),
            ("valid_loss".to_owned(), Some(self.valid_loss.to_string())),
            ("valid_accuracy".to_owned(), self.valid_accuracy.map(|value| value.to_string())),
            // Loss and accuracy have their columns already.
            (format!("valid_{metric}"), (!matches!(metric, "loss" | "accuracy")).then(|| self.valid_score.to_string())),
            ("learning_rate".to_owned(), Some(self.learning_rate.to_string())),
            ("seconds".to_owned(), Some(self.seconds.to_string())),
            ("fragments_per_second".to_owned(), Some(self.fragments_per_second.to_string())),
        ];
        columns.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A score for display: the loss without the negative sign it has as a score.
pub fn shown(metric: &str, score: f64) -> f64 {
    if metric == "loss" { -score } else { score }
}

/// Name of a metric for display.
pub fn metric_name(metric: &str) -> String {
    metric
        .replace(['_', '-'], " ")
        .replace("auroc", "AUROC")
        .replace("mcc", "MCC")
        .replace("r2", "R2")
        .replace("pearson", "Pearson correlation")
        .replace("spearman", "Spearman correlation")
        .replace("f1", "F1")
        .replace("rmse", "RMSE")
        .replace("mae", "MAE")
        .replace("mnll", "MNLL")
        .replace("jsd", "JSD")
        .replace("count mse", "count MSE")
}

/// The epochs so far, in memory, on disk and, if requested, for TensorBoard.
pub struct History {
    /// `history.csv`, if there is a run folder.
    file: Option<(PathBuf, csv::Writer<File>)>,
    metric: &'static str,
    members: usize,
    epochs: Vec<Epoch>,
    events: Option<Events>,
}

impl History {
    /// Starts a history with the given earlier epochs; written to `history.csv` if there is a run folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(
        run: Option<&RunFolder>,
        metric: &'static str,
        training: &TrainingConfig,
        epochs: Vec<Epoch>,
    ) -> Result<Self> {
        let members = training.ensemble;
        let file = run.map(|run| Self::open(run.file(HISTORY_CSV))).transpose()?;
        let events = run.filter(|_| training.tensorboard).map(|run| Events::create(run, members)).transpose()?;
        let mut history = Self { file, metric, members, epochs: Vec::new(), events };
        let mut seconds_ago: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
        for epoch in epochs {
            seconds_ago -= epoch.seconds;
            history.add(epoch, seconds_ago)?;
        }
        Ok(history)
    }

    /// The epochs recorded so far, restored ones included.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    fn open(path: PathBuf) -> Result<(PathBuf, csv::Writer<File>)> {
        let writer = csv::Writer::from_path(&path).map_err(|error| run::cannot_write(&path, &error.into()))?;
        Ok((path, writer))
    }

    /// Prepares for training a member, counted from 1; rows of an earlier start of it are removed.
    ///
    /// # Errors
    /// `history.csv` or the event files cannot be written.
    pub fn begin_member(&mut self, member: usize) -> Result<()> {
        if self.epochs.last().is_some_and(|epoch| epoch.member == member) {
            if let Some((path, _)) = self.file.take() {
                self.file = Some(Self::open(path)?);
            }
            let mut epochs = std::mem::take(&mut self.epochs);
            epochs.retain(|epoch| epoch.member != member);
            epochs.into_iter().try_for_each(|epoch| self.write(epoch))?;
            if let Some(events) = &mut self.events {
                events.forget(member)?;
            }
        }
        Ok(())
    }

    /// Appends the epoch that just ended.
    ///
    /// # Errors
    /// `history.csv` or the event files cannot be written.
    pub fn push(&mut self, epoch: Epoch) -> Result<()> {
        self.add(epoch, 0.0)
    }

    fn add(&mut self, epoch: Epoch, seconds_ago: f64) -> Result<()> {
        self.write(epoch)?;
        match &mut self.events {
            Some(events) => events.push(&epoch, self.metric, seconds_ago),
            None => Ok(()),
        }
    }

    fn write(&mut self, epoch: Epoch) -> Result<()> {
        let (names, values): (Vec<_>, Vec<_>) = epoch.columns(self.metric, self.members).into_iter().unzip();
        if let Some((path, writer)) = &mut self.file {
            let header = if self.epochs.is_empty() { writer.write_record(&names) } else { Ok(()) };
            header
                .and_then(|()| writer.write_record(&values))
                .map_err(std::io::Error::from)
                .and_then(|()| writer.flush())
                .map_err(|error| run::cannot_write(path, &error))?;
        }
        self.epochs.push(epoch);
        Ok(())
    }

    /// Syncs the file to disk and returns all epochs.
    ///
    /// # Errors
    /// `history.csv` cannot be written to disk.
    pub fn finish(self) -> Result<Vec<Epoch>> {
        if let Some((path, writer)) = &self.file {
            writer.get_ref().sync_all().map_err(|error| run::cannot_write(path, &error))?;
        }
        Ok(self.epochs)
    }
}
