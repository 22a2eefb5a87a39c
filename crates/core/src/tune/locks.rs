//! Which trials of a search are in training, each by one of the processes that share the search's folder: who trains one holds the lock
//! of a file. The system gives a lock back when a process ends, however it ends, so the trials of one that died are free at once.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use tempfile::NamedTempFile;

use crate::files::cannot_write;
use crate::run::RunFolder;
use crate::tune::TrialRun;

/// The folder of the locks, within that of the search.
const FOLDER: &str = ".trials";

/// The locks of the trials of a search.
pub struct TrialLocks(PathBuf);

/// A trial that no other process trains while this lives.
pub struct TrialLock {
    /// The trial.
    pub run: TrialRun,
    /// A folder for what its training writes, which may not be there.
    pub workshop: RunFolder,
    path: PathBuf,
    folder: PathBuf,
    _held: File,
}

/// A process that takes part in a search, whether or not it has a trial at the moment.
pub struct Presence {
    file: Option<NamedTempFile>,
    folder: PathBuf,
}

impl TrialLocks {
    /// Of the search in a folder.
    pub fn of(search: &Path) -> Self {
        Self(search.join(FOLDER))
    }

    /// Takes part in the search, which others see until what is returned is dropped.
    ///
    /// # Errors
    /// As [`TrialLocks::take`].
    pub fn enter(&self) -> Result<Presence> {
        let Self(folder) = self;
        let file = loop {
            std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
            match tempfile::Builder::new().prefix("process-").suffix(".lock").tempfile_in(folder) {
                // Another process has just left, and the folder with it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                file => break file.map_err(|error| cannot_write(folder, &error))?,
            }
        };
        try_lock(file.as_file(), file.path())?;
        Ok(Presence { file: Some(file), folder: folder.clone() })
    }

    /// Locks a trial; `None` if another process has it. Only afterwards is it certain that no other has just finished it.
    ///
    /// # Errors
    /// The folder cannot be written, or its file system has no locks.
    pub fn take(&self, run: TrialRun) -> Result<Option<TrialLock>> {
        let Self(folder) = self;
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        let name = format!("{}-{}", run.rung, run.trial);
        let (path, workshop) = (folder.join(format!("{name}.lock")), RunFolder { path: folder.join(name) });
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            // Whoever had the last one has just removed the folder with it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| cannot_write(&path, &error))?,
        };
        Ok(try_lock(&file, &path)?.then(|| TrialLock { run, workshop, path, folder: folder.clone(), _held: file }))
    }

    /// Whether a process takes part.
    pub fn any_held(&self) -> bool {
        self.locks().iter().any(|lock| {
            File::options().write(true).open(lock).is_ok_and(|file| try_lock(&file, lock).is_ok_and(|free| !free))
        })
    }

    /// Removes what processes left that died.
    pub fn remove_abandoned(&self) {
        for lock in self.locks() {
            let file = File::options().write(true).open(&lock);
            if let Ok(file) = file
                && try_lock(&file, &lock).is_ok_and(|free| free)
            {
                let _ = std::fs::remove_dir_all(lock.with_extension(""));
                let _ = std::fs::remove_file(&lock);
            }
        }
        let _ = std::fs::remove_dir(&self.0); // if nothing is in it
    }

    fn locks(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "lock")).collect()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        drop(self.file.take());
        let _ = std::fs::remove_dir(&self.folder); // if nothing is in it
    }
}

impl Drop for TrialLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.workshop.path);
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_dir(&self.folder); // if nothing is in it
    }
}

/// Waits until no other process changes the files of a search, and keeps others from it until what is returned is dropped.
///
/// # Errors
/// `marker`, a file of the search that stays, cannot be locked.
pub fn exclusively(marker: &Path) -> Result<File> {
    let file = File::options().append(true).open(marker).map_err(|error| cannot_write(marker, &error))?;
    match file.lock() {
        Ok(()) => Ok(file),
        Err(error) => Err(no_locks(marker, &error)),
    }
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(no_locks(path, &error)),
    }
}

fn no_locks(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!("{}: cannot be locked ({error}), expected a file system with locks; choose another --out", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_locked_once_and_free_again_when_its_lock_ends() {
        let folder = tempfile::tempdir().unwrap();
        let locks = TrialLocks::of(folder.path());
        let run = |trial| TrialRun { trial, rung: 1, epochs: 2 };
        assert!(!locks.any_held());
        let first = locks.take(run(1)).unwrap().unwrap();
        assert!(locks.take(run(1)).unwrap().is_none() && locks.any_held());
        std::fs::create_dir(&first.workshop.path).unwrap();
        let second = locks.take(run(2)).unwrap().unwrap();
        drop(first);
        assert!(locks.take(run(1)).unwrap().is_some());
        drop(second);
        let process = locks.enter().unwrap();
        locks.remove_abandoned();
        assert!(locks.any_held());
        drop(process);
        assert!(!locks.any_held() && !folder.path().join(FOLDER).exists());
        // As a process that is killed leaves it.
        std::fs::create_dir_all(folder.path().join(FOLDER).join("1-7")).unwrap();
        std::fs::write(folder.path().join(FOLDER).join("1-7.lock"), "").unwrap();
        assert!(!locks.any_held());
        locks.remove_abandoned();
        assert!(!folder.path().join(FOLDER).exists());
    }
}
