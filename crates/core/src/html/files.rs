//! The run folder as reports read it: the files of a finished run must be unaltered.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::dataset::Classes;
use crate::evaluate::predictions::{self, Prediction};
use crate::evaluate::results::RunMetrics;
use crate::html::picture::Picture;
use crate::run::{METRICS_JSON, Manifest, PREDICTIONS_CSV, Provenance, RunFolder};
use crate::task::Task;

/// A run, finished or about to finish.
pub struct RunFiles {
    /// The run folder.
    pub folder: RunFolder,
    /// The contents of `run.json`.
    pub provenance: Provenance,
    /// The classes.
    pub classes: Classes,
    /// The contents of `metrics.json`.
    pub metrics: RunMetrics,
    /// Whether the folder already holds its metrics.
    pub is_finished: bool,
    /// Checksums of a finished run, if its format version has them.
    manifest: Option<Manifest>,
}

const ADVICE: &str = "restore it or train again";

impl RunFiles {
    /// Opens a finished run.
    ///
    /// # Errors
    /// It is not finished, or its files are missing, damaged or altered.
    pub fn open(path: &Path) -> Result<Self> {
        let (folder, provenance) = RunFolder::open_finished(path)?;
        let manifest = Manifest::read(&folder, provenance.format_version)?;
        let metrics = RunMetrics::read(&folder.file(METRICS_JSON))?;
        Ok(Self { is_finished: true, manifest, ..Self::of(folder, provenance, metrics)? })
    }

    /// Opens a run that is complete except for its metrics, which are given.
    ///
    /// # Errors
    /// The provenance holds no valid task or classes.
    pub fn about_to_finish(folder: &RunFolder, provenance: &Provenance, metrics: &RunMetrics) -> Result<Self> {
        Self::of(folder.clone(), provenance.clone(), metrics.clone())
    }

    fn of(folder: RunFolder, provenance: Provenance, metrics: RunMetrics) -> Result<Self> {
        provenance.task()?;
        let classes = provenance.classes()?;
        Ok(Self { folder, provenance, classes, metrics, is_finished: false, manifest: None })
    }

    /// The task of the run.
    pub fn task(&self) -> &Task {
        &self.provenance.task
    }

    /// Name of the folder.
    pub fn name(&self) -> String {
        let path = self.folder.path.canonicalize().unwrap_or_else(|_| self.folder.path.clone());
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    /// Path of a file, if the run has it.
    ///
    /// # Errors
    /// The file has changed since the run ended, or is missing.
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.folder.file(name);
        match &self.manifest {
            Some(manifest) if manifest.has(name) => manifest.check(&self.folder, name)?,
            Some(_) => return Ok(None),
            None => {}
        }
        Ok(path.is_file().then_some(path))
    }

    /// A figure, if the run has it.
    ///
    /// # Errors
    /// The file has changed since the run ended, or is no PNG.
    pub fn picture(&self, name: &str, alt: impl Into<String>) -> Result<Option<Picture>> {
        self.file(name)?.map(|path| Picture::read(&path, alt, ADVICE)).transpose()
    }

    /// Passes every prediction for validation and test to `each`.
    ///
    /// # Errors
    /// The file is missing or damaged, or `each` fails.
    pub fn predictions(&self, each: impl FnMut(Prediction) -> Result<()>) -> Result<()> {
        let path = self.file(PREDICTIONS_CSV)?.unwrap_or_else(|| self.folder.file(PREDICTIONS_CSV));
        predictions::read(&path, self.task(), &self.classes, each)
    }
}
