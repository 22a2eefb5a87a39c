//! Epochs for TensorBoard: event files below `tensorboard/` in the run folder, a folder for each member of an ensemble.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::files;
use crate::formats::tensorboard::EventFile;
use crate::run::{RunFolder, TENSORBOARD};
use crate::training::history::Epoch;

/// The event files of a run in training.
pub struct Events {
    folder: PathBuf,
    members: usize,
    /// Number of the member in training, counted from 1.
    open: Option<(usize, EventFile)>,
}

impl Events {
    /// Starts from scratch: files of an earlier start of the run are removed.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub fn create(run: &RunFolder, members: usize) -> Result<Self> {
        let folder = run.file(TENSORBOARD);
        remove_if_there(&folder)?;
        Ok(Self { folder, members, open: None })
    }

    /// Removes the files of a member.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub fn forget(&mut self, member: usize) -> Result<()> {
        self.open.take_if(|(open, ..)| *open == member);
        remove_if_there(&self.folder_of(member))
    }

    /// Appends an epoch that ended `seconds_ago`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&mut self, epoch: &Epoch, metric: &str, seconds_ago: f64) -> Result<()> {
        let wall_time = jiff::Timestamp::now().as_duration().as_secs_f64() - seconds_ago;
        if self.open.as_ref().is_none_or(|(member, _)| *member != epoch.member) {
            self.open = Some((epoch.member, EventFile::create(&self.folder_of(epoch.member), wall_time)?));
        }
        match &mut self.open {
            Some((_, file)) => file.write(wall_time, epoch.epoch as i64, &scalars(epoch, metric)),
            None => Ok(()),
        }
    }

    fn folder_of(&self, member: usize) -> PathBuf {
        if self.members > 1 { self.folder.join(format!("member-{member}")) } else { self.folder.clone() }
    }
}

/// Scalars of an epoch by tag; TensorBoard groups tags by the part before the slash.
fn scalars(epoch: &Epoch, metric: &str) -> Vec<(String, f64)> {
    let score = (!matches!(metric, "loss" | "accuracy")).then_some(epoch.valid_score);
    let all = [
        ("loss/train".to_owned(), Some(epoch.train_loss)),
        ("loss/valid".to_owned(), Some(epoch.valid_loss)),
        ("accuracy/train".to_owned(), epoch.train_accuracy),
        ("accuracy/valid".to_owned(), epoch.valid_accuracy),
        (format!("{metric}/valid"), score),
        ("learning_rate".to_owned(), Some(epoch.learning_rate)),
        ("fragments_per_second".to_owned(), Some(epoch.fragments_per_second)),
    ];
    all.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
}

fn remove_if_there(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(files::cannot_write(folder, &error)),
        _ => Ok(()),
    }
}
