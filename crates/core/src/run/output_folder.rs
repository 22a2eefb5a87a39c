//! Output folders: locked while a command writes them, never overwritten without `--force`, and restored if it fails.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::files;
use anyhow::{Result, anyhow, bail};

use super::*;

/// What a command fills a folder with. `--force` replaces a folder of the same kind and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A trained run, by `train`
    Run,
    /// Metrics on other data, by `evaluate`
    Evaluation,
    /// Simulated genomes, by `simulate`
    Simulation,
    /// Figures of a dataset, by `inspect`
    Inspection,
    /// Motifs of filters, by `explain motifs`
    Motifs,
    /// Footprints, by `explain footprints`
    Footprints,
    /// Attributions, by `explain sequences`
    Importance,
    /// A hyperparameter search, by `tune`
    Tuning,
    /// A learning-rate range test, by `tune --find-lr`
    RateRange,
    /// A report of reads, by `signal`
    Reads,
    /// A cross-validation, by `cv`
    Folds,
}

impl Contents {
    /// The kind of what a folder holds, by the file that only this kind has.
    fn of(folder: &Path) -> Option<Self> {
        [
            (RUN_JSON, Self::Run),
            (SIMULATION_JSON, Self::Simulation),
            (EVALUATION_JSON, Self::Evaluation),
            (INSPECTION_JSON, Self::Inspection),
            (MOTIFS_JSON, Self::Motifs),
            (FOOTPRINTS_JSON, Self::Footprints),
            (IMPORTANCE_JSON, Self::Importance),
            (TUNE_JSON, Self::Tuning),
            (RATES_CSV, Self::RateRange),
            (READS_JSON, Self::Reads),
            (FOLDS_JSON, Self::Folds),
        ]
        .into_iter()
        .find(|(name, _)| folder.join(name).is_file())
        .map(|(_, kind)| kind)
    }

    /// The files, and folders, that go when it is replaced.
    pub fn files(self) -> Vec<&'static str> {
        match self {
            Self::Run => [
                RUN_JSON,
                CONFIG_TOML,
                EXAMPLES_TSV,
                HISTORY_CSV,
                WEIGHTS,
                LAST_WEIGHTS,
                PREVIOUS_WEIGHTS,
                METRICS_JSON,
                PREDICTIONS_CSV,
                CONFUSION_CSV,
            ]
            .into_iter()
            .chain([
                BIAS_JSON,
                BIAS_WEIGHTS,
                BINS_NPZ,
                PROFILES_NPZ,
                PROFILE_BASELINES_JSON,
                MODEL_PT,
                MODEL_JSON,
                MODEL_PY,
                MODEL_ONNX,
                CHECKSUMS,
                REPORT_HTML,
                TENSORBOARD,
                INPUTS,
            ])
            .chain(TRAINING_PICTURES)
            .chain(TEST_PICTURES)
            .collect(),
            Self::Evaluation => [EVALUATION_JSON, METRICS_JSON, PREDICTIONS_CSV, BINS_NPZ, PROFILES_NPZ, CONFUSION_CSV]
                .into_iter()
                .chain(TEST_PICTURES)
                .collect(),
            Self::Inspection => [INSPECTION_JSON].into_iter().chain(INSPECTION_PICTURES).collect(),
            Self::Motifs => [MOTIFS_JSON, "motifs.meme", "motifs.tsv", "motifs.png", "motifs.svg", "logos"]
                .into_iter()
                .chain(["positions.tsv", "enrichment.tsv", "matches.tsv", "discovered.tsv", "discovered.png"])
                .chain(["discovered.svg"])
                .chain(["discovered_positions.tsv", "discovered_enrichment.tsv", "discovered_matches.tsv"])
                .collect(),
            Self::Footprints => vec![FOOTPRINTS_JSON, "footprints.csv", "pictures"],
            Self::Importance => [IMPORTANCE_JSON, "importance.npz", "pictures"]
                .into_iter()
                .chain(["ism.tsv", "saliency.tsv", "ig.tsv", "ism.bedgraph", "saliency.bedgraph", "ig.bedgraph"])
                .chain(["ism.bw", "saliency.bw", "ig.bw"])
                .collect(),
            Self::Tuning => vec![TUNE_JSON, TRIALS_CSV, BEST_TOML, SETTINGS_PNG, SETTINGS_SVG],
            Self::RateRange => vec![RATES_CSV, RATES_PNG, RATES_SVG],
            Self::Folds => [
                FOLDS_JSON,
                CV_JSON,
                PREDICTIONS_CSV,
                CONFUSION_CSV,
                PROFILES_NPZ,
                BINS_NPZ,
                REPORT_HTML,
                ENSEMBLE,
                INPUTS,
            ]
            .into_iter()
            .chain(TEST_PICTURES)
            .chain(FOLD_PICTURES)
            .collect(),
            Self::Reads => [READS_JSON, GROUPS_TSV].into_iter().chain(READS_PICTURES).collect(),
            Self::Simulation => {
                let genomes = [
                    "human.fa",
                    "human.words.bed",
                    "human.repeats.bed",
                    "mouse.fa",
                    "mouse.words.bed",
                    "mouse.repeats.bed",
                ];
                let signal = ["genome.fa", "peaks.narrowPeak", "sites.bed", "reads.bw", "expected.bw", "unbiased.bw"];
                let reads = ["fragments.bed.gz", "reads.bam"];
                [SIMULATION_JSON].into_iter().chain(genomes).chain(signal).chain(reads).collect()
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Evaluation => "an evaluation",
            Self::Simulation => "simulated genomes",
            Self::Inspection => "an inspection",
            Self::Motifs => "motifs",
            Self::Footprints => "footprints",
            Self::Importance => "importance of bases",
            Self::Tuning => "a search",
            Self::RateRange => "a learning-rate range test",
            Self::Reads => "a report of reads",
            Self::Folds => "a cross-validation",
        }
    }
}

/// The lock of an output folder, released when dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read")] File);

/// The error of a folder that another process uses.
#[derive(Debug)]
pub struct InUse(pub PathBuf);

impl std::fmt::Display for InUse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let path = self.0.display();
        write!(
            formatter,
            "{path}: another strandnet process is using this folder, expected none; wait for it or choose another --out"
        )
    }
}

impl std::error::Error for InUse {}

/// Takes the lock of a folder. It is of the folder itself, whose files are replaced by new ones. The system gives it back
/// when a program ends, however it ends.
///
/// # Errors
/// Another program holds it, or the folder cannot be read.
pub fn lock(folder: &Path) -> Result<Lock> {
    let shown = folder.display();
    let file = File::open(folder).map_err(|error| anyhow!("{shown}: cannot be read ({error}); check the path"))?;
    if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
        return Err(InUse(folder.into()).into());
    }
    Ok(Lock(file)) // file systems without locks go without
}

/// A locked folder that a command is about to fill. Dropped without `keep`, it is removed if this program made it and it
/// is empty.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    made: Vec<PathBuf>,
    replaces: Option<Contents>,
    lock: Option<Lock>,
}

impl OutputFolder {
    /// Creates or takes over `path`, so that a folder that cannot be written is reported before any work is done.
    ///
    /// # Errors
    /// The folder holds something and `force` is not set, holds something of another kind, or cannot be made or written.
    pub fn create(path: &Path, contents: Contents, force: bool) -> Result<Self> {
        let shown = path.display();
        let mut folder = Self { path: path.into(), made: Vec::new(), replaces: None, lock: None };
        match std::fs::read_dir(path) {
            Ok(entries) => {
                folder.lock = Some(lock(path)?);
                // A program that was killed as it began leaves no more than a file it was writing.
                if entries.flatten().all(|entry| files::is_partial(&entry.file_name())) {
                    files::remove_partial_files(path);
                } else {
                    if !force {
                        bail!(
                            "{shown}: the output folder exists and is not empty, expected a new one; choose another --out or add --force"
                        );
                    }
                    if Contents::of(path).is_none() {
                        // A replacement was cut off before it began; what it had set aside comes back.
                        drop(SetAside::left_in(path, contents, None));
                    }
                    if Contents::of(path) != Some(contents) {
                        bail!(
                            "{shown}: does not hold {}, which is all that --force replaces here; choose another folder",
                            contents.name()
                        );
                    }
                    folder.replaces = Some(contents);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                folder.made = path
                    .ancestors()
                    .filter(|p| !p.as_os_str().is_empty())
                    .take_while(|p| !p.exists())
                    .map(Path::to_path_buf)
                    .collect();
                std::fs::create_dir_all(path).map_err(|error| cannot_write(path, &error))?;
            }
            Err(error) => return Err(cannot_write(path, &error)),
        }
        if folder.lock.is_none() {
            // Whoever was faster has the folder.
            folder.lock = Some(lock(path).inspect_err(|_| folder.made.clear())?);
        }
        tempfile::tempfile_in(path).map_err(|error| cannot_write(path, &error))?;
        Ok(folder)
    }

    /// Creates a folder `runs/NAME-TIME` for a run.
    ///
    /// # Errors
    /// As [`OutputFolder::create`], and if a hundred folders have the name.
    pub fn create_named(name: &str) -> Result<Self> {
        Self::create_named_for(name, Contents::Run)
    }

    /// Creates a folder `runs/NAME-TIME` for other contents.
    ///
    /// # Errors
    /// As [`OutputFolder::create_named`].
    pub fn create_named_for(name: &str, contents: Contents) -> Result<Self> {
        let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        for number in 1..100 {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let path = Path::new("runs").join(format!("{name}-{time}{suffix}"));
            if !path.exists() {
                return Self::create(&path, contents, false);
            }
        }
        bail!("runs/{name}-{time}: a hundred runs have this name; choose one with --out")
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder. What `--force` replaces is set aside until the new contents are complete; other files stay. Where
    /// something is set aside already, what is being replaced was never complete, and is removed.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub fn keep(mut self) -> Result<(RunFolder, SetAside)> {
        let (made, lock) = (std::mem::take(&mut self.made), self.lock.take());
        let mut old = SetAside { path: self.path.clone(), aside: None, names: Vec::new(), made, lock, is_whole: false };
        if let Some(contents) = self.replaces {
            old.names = contents.files();
            old.aside = folders_set_aside(&self.path).into_iter().next();
            if old.aside.is_some() {
                old.names.iter().for_each(|name| remove(&self.path.join(name)));
            } else {
                let aside = tempfile::Builder::new().prefix(SET_ASIDE).tempdir_in(&self.path);
                let aside = aside.map_err(|error| cannot_write(&self.path, &error))?.keep();
                old.aside = Some(aside.clone());
                for name in &old.names {
                    let path = self.path.join(name);
                    match std::fs::rename(&path, aside.join(name)) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(cannot_write(&path, &error));
                        }
                        _ => {}
                    }
                }
            }
        }
        old.is_whole = true;
        Ok((RunFolder { path: self.path.clone() }, old))
    }
}

/// What the names of folders begin with that hold what `--force` replaces.
const SET_ASIDE: &str = ".replaced-";

/// Those folders in an output folder: one, unless somebody put others there.
fn folders_set_aside(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let aside = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(SET_ASIDE));
    let mut folders: Vec<PathBuf> = aside.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// What `--force` replaces, in a folder of its own within the output folder, and the lock of the output folder. It comes back
/// if this is dropped before the new contents are complete, as when training fails; but not over a run that can be gone on
/// with: then both stay.
#[must_use = "dropped at once, it undoes what comes after"]
#[derive(Debug)]
pub struct SetAside {
    path: PathBuf,
    aside: Option<PathBuf>,
    /// The first is the file by which the kind of contents is known.
    names: Vec<&'static str>,
    /// Folders that this program made, the innermost first.
    made: Vec<PathBuf>,
    lock: Option<Lock>,
    /// All of it is set aside, so that files in the output folder are of the new contents.
    is_whole: bool,
}

impl SetAside {
    /// What a program that was cut off had set aside in a folder, if anything.
    pub fn left_in(path: &Path, contents: Contents, lock: Option<Lock>) -> Self {
        let names = contents.files();
        // It is moved first and written first.
        let is_whole = path.join(names[0]).exists();
        Self {
            path: path.into(),
            aside: folders_set_aside(path).into_iter().next(),
            names,
            made: Vec::new(),
            lock,
            is_whole,
        }
    }

    /// The new contents are complete: what was set aside goes. The lock is left.
    pub fn discard(mut self) -> Option<Lock> {
        if self.aside.take().is_some() {
            folders_set_aside(&self.path).iter().for_each(|aside| drop(std::fs::remove_dir_all(aside)));
        }
        self.made.clear();
        self.lock.take()
    }

    /// Where what was set aside stays, if the new contents can be completed another time.
    pub fn stays_in(&self) -> Option<&Path> {
        let can_go_on = [LAST_WEIGHTS, PREVIOUS_WEIGHTS].iter().any(|name| self.path.join(name).is_file());
        self.aside.as_deref().filter(|_| self.is_whole && can_go_on)
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        remove_if_empty(&self.made);
        if self.stays_in().is_some() {
            return;
        }
        let Some(aside) = &self.aside else { return };
        // The file by which the folder is known goes first and comes back last, so that it never stands for a mixture.
        for name in self.names.iter().filter(|_| self.is_whole) {
            remove(&self.path.join(name));
        }
        for name in self.names.iter().rev() {
            let _ = std::fs::rename(aside.join(name), self.path.join(name));
        }
        let _ = std::fs::remove_dir(aside); // what cannot be moved back stays
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        remove_if_empty(&self.made);
    }
}

/// Removes a file, or a folder with all that is in it, if it is there.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path));
}

/// Removes folders, the innermost first.
fn remove_if_empty(folders: &[PathBuf]) {
    for path in folders {
        let _ = std::fs::remove_dir(path); // fails, as it should, where something is in it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_folder_is_refused_and_an_unused_folder_leaves_nothing() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a/b");
        drop(OutputFolder::create(&path, Contents::Run, false).unwrap());
        assert!(!top.path().join("a").exists());

        let (run, nothing) = OutputFolder::create(&path, Contents::Run, false).unwrap().keep().unwrap();
        nothing.discard();
        run.write("notes.txt", b"mine").unwrap();
        run.write(METRICS_JSON, b"{}").unwrap();
        let error = |contents, force| OutputFolder::create(&path, contents, force).unwrap_err().to_string();
        assert!(error(Contents::Run, false).contains("--force"));
        assert!(error(Contents::Run, true).contains("does not hold a run"));
        run.write(RUN_JSON, b"{}").unwrap();
        assert!(error(Contents::Evaluation, true).contains("does not hold an evaluation"));
        // A replacement that fails gives back what was there.
        let (run, old) = OutputFolder::create(&path, Contents::Run, true).unwrap().keep().unwrap();
        assert!(!path.join(METRICS_JSON).exists() && path.join("notes.txt").exists());
        run.write(RUN_JSON, b"new").unwrap();
        run.write(MODEL_PT, b"new").unwrap();
        drop(old);
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"{}");
        assert!(path.join(METRICS_JSON).exists() && !path.join(MODEL_PT).exists());
        let (run, old) = OutputFolder::create(&path, Contents::Run, true).unwrap().keep().unwrap();
        run.write(RUN_JSON, b"new").unwrap();
        old.discard();
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "run.json and the notes");
    }

    #[test]
    fn a_folder_is_one_programs_at_a_time() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a");
        let folder = OutputFolder::create(&path, Contents::Run, false).unwrap();
        assert!(
            OutputFolder::create(&path, Contents::Run, false).unwrap_err().to_string().contains("is using this folder")
        );
        let (_, old) = folder.keep().unwrap();
        assert!(lock(&path).unwrap_err().to_string().contains("is using this folder"));
        let held = old.discard();
        assert!(lock(&path).is_err());
        drop(held);
        lock(&path).unwrap();
    }

    /// The system gives back the lock of a program that is killed; nothing else happens.
    fn killed(mut old: SetAside) {
        old.lock = None;
        std::mem::forget(old);
    }

    #[test]
    fn what_a_killed_program_had_set_aside_comes_back() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a");
        let (run, nothing) = OutputFolder::create(&path, Contents::Run, false).unwrap().keep().unwrap();
        run.write(RUN_JSON, b"old").unwrap();
        nothing.discard();
        let replace = || OutputFolder::create(&path, Contents::Run, true).unwrap().keep().unwrap();
        // Killed as it wrote the first file of a new folder.
        let fresh = top.path().join("b");
        let (run, nothing) = OutputFolder::create(&fresh, Contents::Run, false).unwrap().keep().unwrap();
        run.write(".x.partial", b"half").unwrap();
        nothing.discard();
        drop(OutputFolder::create(&fresh, Contents::Run, false).unwrap());
        assert_eq!(std::fs::read_dir(&fresh).unwrap().count(), 0);
        // Killed between setting aside and the first file of the new run; then while it trained; then it failed.
        killed(replace().1);
        assert!(!path.join(RUN_JSON).exists());
        let (run, old) = replace();
        run.write(RUN_JSON, b"new").unwrap();
        killed(old);
        drop(SetAside::left_in(&path, Contents::Run, None));
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);

        // Killed while it set aside: what it had not come to is still in its place, and stays.
        run.write(METRICS_JSON, b"old").unwrap();
        let aside = path.join(format!("{SET_ASIDE}x"));
        std::fs::create_dir(&aside).unwrap();
        std::fs::rename(path.join(RUN_JSON), aside.join(RUN_JSON)).unwrap();
        let folder = OutputFolder::create(&path, Contents::Run, true).unwrap();
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"old");
        assert_eq!(std::fs::read(path.join(METRICS_JSON)).unwrap(), b"old");

        // A run that can be gone on with stays beside what it replaces; replaced itself, it goes, and the complete one stays.
        let (run, old) = folder.keep().unwrap();
        run.write(RUN_JSON, b"new").unwrap();
        run.write(LAST_WEIGHTS, b"new").unwrap();
        drop(old);
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"new");
        let (run, old) = replace();
        assert!(!path.join(LAST_WEIGHTS).exists());
        run.write(RUN_JSON, b"newer").unwrap();
        drop(old);
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
    }
}
