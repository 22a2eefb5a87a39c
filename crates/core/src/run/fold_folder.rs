//! The folder of a cross-validation: `folds.json`, written before the first run, and a run folder `fold-K/seed-S` for each fold and
//! seed. Several processes may fill it at once, each run locked by whoever trains it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::config::{Config, DeviceChoice};
use crate::dataset::folds::FoldPlan;
use crate::run::{
    Build, CV_JSON, Contents, ENSEMBLE, FOLDS_JSON, FORMAT_VERSION, Lock, METRICS_JSON, RunFolder, cannot_write,
    check_format_version, lock,
};

/// The contents of `folds.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoldFolder {
    /// Version of the format of the folder.
    pub format_version: u32,
    /// Version of strandnet.
    pub version: String,
    /// Git revision of the program.
    pub git_revision: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The command line of the process that began it, word by word.
    pub command: Vec<String>,
    /// The folds.
    pub plan: FoldPlan,
    /// Seeds that each fold is trained with.
    pub seeds: Vec<u64>,
    /// The experiment, without a fold.
    pub config: Config,
}

/// How long a process waits for another that is about to write the first file.
const PATIENCE: Duration = Duration::from_secs(60);

impl FoldFolder {
    /// The folds of an experiment, with each of these seeds.
    pub fn new(config: &Config, plan: FoldPlan, seeds: Vec<u64>, build: Build) -> Self {
        let mut config = config.with_absolute_paths();
        config.data.fold = None;
        Self {
            format_version: FORMAT_VERSION,
            version: build.version.into(),
            git_revision: build.git_revision.into(),
            libtorch: build.libtorch.into(),
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            plan,
            seeds,
            config,
        }
    }

    /// Reads the folder of a cross-validation that was begun.
    ///
    /// # Errors
    /// It is no such folder, or its file is damaged or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path.join(FOLDS_JSON)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                anyhow!("{shown}: holds no {FOLDS_JSON}, expected the folder of a cross-validation; check the path")
            }
            _ => anyhow!("{shown}/{FOLDS_JSON}: cannot be read ({error})"),
        })?;
        let damaged = |error| anyhow!("{shown}/{FOLDS_JSON}: is damaged ({error}); restore the file or begin again");
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        check_format_version(&value).map_err(|what| anyhow!("{shown}/{FOLDS_JSON}: {what}"))?;
        let found: Self = serde_json::from_value(value).map_err(damaged)?;
        if let Some(fault) = found.config.faults().into_iter().next() {
            bail!("{shown}/{FOLDS_JSON}: holds settings that no run has ({fault}); restore the file or begin again");
        }
        if found.plan.folds.is_empty() || found.seeds.is_empty() {
            bail!("{shown}/{FOLDS_JSON}: holds no folds or no seeds; restore the file or begin again");
        }
        Ok(found)
    }

    /// Whether a folder is that of a cross-validation.
    pub fn is_at(path: &Path) -> bool {
        path.join(FOLDS_JSON).is_file()
    }

    /// Joins the processes that fill a folder: the first makes it, others must be about the same folds. With `force` what it
    /// holds of another cross-validation is removed.
    ///
    /// # Errors
    /// The folder holds something else or another cross-validation, or cannot be written.
    pub fn join(&self, path: &Path, force: bool) -> Result<RunFolder> {
        std::fs::create_dir_all(path).map_err(|error| cannot_write(path, &error))?;
        let _lock = lock_in_time(path)?;
        let folder = RunFolder { path: path.into() };
        let shown = path.display();
        if Self::is_at(path) && !force {
            self.check_same(&Self::open(path)?, path)?;
            return Ok(folder);
        }
        let was_cleared = Self::is_at(path);
        if was_cleared {
            clear(path)?;
        }
        if holds_files(path).map_err(|error| cannot_write(path, &error))? && !was_cleared {
            bail!(
                "{shown}: the output folder exists and holds no cross-validation, expected a new one; choose another --out"
            );
        }
        crate::files::remove_partial_files(path);
        folder.write_json(FOLDS_JSON, self)?;
        Ok(folder)
    }

    fn check_same(&self, begun: &Self, path: &Path) -> Result<()> {
        // Where it is computed may differ from process to process.
        let same = |config: &Config| {
            let mut config = config.clone();
            (config.training.device, config.training.threads) = (DeviceChoice::Auto, None);
            config
        };
        let differs = match () {
            () if self.seeds != begun.seeds => "seeds",
            () if self.plan != begun.plan => "folds or data",
            () if same(&self.config) != same(&begun.config) => "settings",
            () => return Ok(()),
        };
        bail!(
            "{}: is a cross-validation with other {differs}, expected the same; resume it with cv --resume, choose another --out or add --force",
            path.display()
        )
    }

    /// The folder of one run, below that of the cross-validation.
    pub fn run_path(path: &Path, fold: usize, seed: u64) -> PathBuf {
        path.join(format!("fold-{fold}")).join(format!("seed-{seed}"))
    }

    /// The folders of the runs of one fold.
    pub fn runs_of(&self, path: &Path, fold: usize) -> Vec<PathBuf> {
        self.seeds.iter().map(|&seed| Self::run_path(path, fold, seed)).collect()
    }

    /// Runs that are finished, and all there are to be.
    pub fn progress(&self, path: &Path) -> (usize, usize) {
        let runs: Vec<PathBuf> = (0..self.plan.folds.len()).flat_map(|fold| self.runs_of(path, fold)).collect();
        (runs.iter().filter(|run| run.join(METRICS_JSON).is_file()).count(), runs.len())
    }

    /// The configuration of one run.
    pub fn config_of(&self, fold: usize, seed: u64) -> Config {
        let mut config = self.config.clone();
        config.data = self.plan.config_of(fold, &self.config.data);
        // Runs of one fold differ in their networks and not in what is drawn of the data.
        if seed != self.config.training.seed && config.data.data_seed.is_none() {
            config.data.data_seed = Some(self.config.training.seed);
        }
        config.training.seed = seed;
        config
    }

    /// The configuration of the ensemble of all networks, from that of a run: it has learned from all but a test set that was kept.
    pub fn config_of_ensemble(&self, run: &Config, members: usize) -> Config {
        let mut config = run.clone();
        let (data, own) = (&mut config.data, &self.config.data);
        (data.folds, data.fold, data.fold_column, data.keep_test, data.split_by) = (None, None, None, false, None);
        data.data_seed = own.data_seed;
        data.fold_file.clear();
        [&mut data.train_chroms, &mut data.valid_chroms, &mut data.test_chroms].into_iter().for_each(Vec::clear);
        if !own.deals_examples() && self.has_no_own_test() {
            for name in self.plan.folds.iter().flat_map(|fold| fold.lists()).flat_map(|(_, names)| names) {
                if !data.train_chroms.contains(name) {
                    data.train_chroms.push(name.clone());
                }
            }
        }
        (config.training.ensemble, config.training.seed) = (members, self.config.training.seed);
        config
    }

    /// Whether the data have no test set of their own that could be kept.
    fn has_no_own_test(&self) -> bool {
        use crate::config::SourceKind::{Demo, Genomes, Regions};
        matches!(self.config.data.source(), Demo | Genomes | Regions)
    }
}

/// Removes what a cross-validation left in a folder.
fn clear(path: &Path) -> Result<()> {
    let remove = |path: &Path| match std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot_write(path, &error)),
        _ => Ok(()),
    };
    // The file by which the folder is known goes last.
    for entry in std::fs::read_dir(path).map_err(|error| cannot_write(path, &error))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_fold = name.strip_prefix("fold-").is_some_and(|number| number.parse::<usize>().is_ok());
        if is_fold || (Contents::Folds.files().contains(&name.as_str()) && name != FOLDS_JSON) {
            remove(&entry.path())?;
        }
    }
    remove(&path.join(FOLDS_JSON))
}

/// The lock of a folder that others hold for moments only.
fn lock_in_time(path: &Path) -> Result<Lock> {
    let started = Instant::now();
    loop {
        match lock(path) {
            Err(_) if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            found => return found,
        }
    }
}

/// The folder of the networks that a path names: that of a run, or the ensemble of a cross-validation.
///
/// # Errors
/// The cross-validation is not finished.
pub fn ensemble_of(path: &Path) -> Result<PathBuf> {
    if !FoldFolder::is_at(path) {
        return Ok(path.into());
    }
    if !path.join(CV_JSON).is_file() {
        let shown = path.display();
        bail!("{shown}: the cross-validation did not finish; resume with: strandnet cv --resume {shown}");
    }
    Ok(path.join(ENSEMBLE))
}

/// Whether a folder holds any file that is not partial; folders without files may have been made for what is to come, as Snakemake does.
fn holds_files(path: &Path) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let is_file = !entry.file_type()?.is_dir();
        if if is_file { !crate::files::is_partial(&entry.file_name()) } else { holds_files(&entry.path())? } {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::folds::FoldLists;

    fn folds() -> FoldFolder {
        let plan = FoldPlan { split_by: "hash".into(), folds: vec![FoldLists::default(); 3], ..FoldPlan::default() };
        let build = Build { version: "0", git_revision: "", libtorch: "" };
        let mut config = Config::default();
        config.data.train = Some("x.csv".into());
        FoldFolder::new(&config, plan, vec![1, 2], build)
    }

    #[test]
    fn processes_join_one_folder_and_others_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("cv");
        let own = folds();
        std::fs::create_dir_all(FoldFolder::run_path(&path, 0, 1)).unwrap(); // as Snakemake does before a job
        own.join(&path, false).unwrap();
        own.join(&path, false).unwrap();
        let mut other = folds();
        other.config.training.threads = Some(7);
        other.join(&path, false).unwrap();
        let error = |other: &FoldFolder| other.join(&path, false).unwrap_err().to_string();
        other.config.training.epochs += 1;
        assert!(error(&other).contains("with other settings"));
        other.seeds = vec![1];
        assert!(error(&other).contains("with other seeds"));
        let run = FoldFolder::run_path(&path, 2, 1);
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join(METRICS_JSON), "{}").unwrap();
        assert_eq!(own.progress(&path), (1, 6));
        other.join(&path, true).unwrap();
        assert!(!run.exists());
        std::fs::write(top.path().join("notes"), "mine").unwrap();
        assert!(own.join(top.path(), false).unwrap_err().to_string().contains("holds no cross-validation"));
        assert!(ensemble_of(&path).unwrap_err().to_string().contains("cv --resume"));
        assert_eq!(ensemble_of(top.path()).unwrap(), top.path());
    }

    #[test]
    fn runs_of_a_fold_share_what_is_drawn_of_the_data() {
        let own = folds();
        let [first, second] = [1, 2].map(|seed| own.config_of(1, seed));
        assert_eq!((first.training.seed, first.data.data_seed), (1, None));
        assert_eq!((second.training.seed, second.data.data_seed), (2, Some(1)));
        assert_eq!((second.data.fold, second.data.folds.map(|folds| folds.to_string())), (Some(1), Some("5".into())));
    }
}
