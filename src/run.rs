//! The run folder: what its files are called, writing them whole or not at all, and reading them back.

use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Config, MAX_CLASSES, Precision, TaskKind};
use crate::data::Classes;
use crate::task::Task;

pub const RUN_JSON: &str = "run.json";
pub const CONFIG_TOML: &str = "config.toml";
pub const HISTORY_CSV: &str = "history.csv";
pub const WEIGHTS: &str = "best.safetensors";
pub const LAST_WEIGHTS: &str = "last.safetensors";
pub const METRICS_JSON: &str = "metrics.json";
pub const PREDICTIONS_CSV: &str = "predictions.csv";
pub const MODEL_PT: &str = "model.pt";
pub const MODEL_JSON: &str = "model.json";
pub const EXAMPLES_TSV: &str = "examples.tsv";
pub const TRAINING_PICTURES: [&str; 3] = ["loss.png", "accuracy.png", "score.png"];
pub const TEST_PICTURES: [&str; 7] =
    ["roc.png", "pr.png", "calibration.png", "scores.png", "confusion.png", "scatter.png", "breakdown.png"];
pub const CONFUSION_CSV: &str = "confusion.csv";

pub const INSPECTION_JSON: &str = "inspection.json";
pub const INSPECTION_PICTURES: [&str; 3] = ["gc.png", "lengths.png", "unknown.png"];
pub const EVALUATION_JSON: &str = "evaluation.json";
pub const SIMULATION_JSON: &str = "simulation.json";
pub const TUNE_JSON: &str = "tune.json";
pub const TRIALS_CSV: &str = "trials.csv";
pub const BEST_TOML: &str = "best.toml";
pub const KNOBS_PNG: &str = "knobs.png";
pub const RATES_CSV: &str = "lr.csv";
pub const RATES_PNG: &str = "lr.png";

/// The version of the files this program writes.
pub const FORMAT_VERSION: u32 = 3;

/// Far more than calibration looks at, and few enough that logits divided by them stay numbers.
const TEMPERATURES: RangeInclusive<f64> = 1e-3..=1e3;

/// A folder that holds one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    pub path: PathBuf,
}

/// Where a run came from: `run.json`, written before the first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    pub format_version: u32,
    /// Version of strandnet, and the git revision it was built from.
    pub version: String,
    pub git_revision: String,
    pub libtorch: String,
    pub device: String,
    pub threads: usize,
    /// What it trained in.
    pub precision: Precision,
    pub seed: u64,
    /// The command line, word by word.
    pub command: Vec<String>,
    pub data_files: Vec<DataFile>,
    pub task: Task,
    /// Classes, labels or columns.
    pub classes: Vec<String>,
    /// Of two classes.
    pub positive: Option<String>,
    /// Length of a fragment in bp.
    pub length: usize,
    pub parameter_count: usize,
    pub examples: ExampleCounts,
    pub config: Config,
    /// What training came to; absent until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What training came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of each member, counted from 1.
    pub best_epochs: Vec<usize>,
    /// Starts given up because all scores became equal.
    pub restarts: u64,
    /// Wall-clock time of training, in seconds.
    pub seconds: f64,
}

impl Provenance {
    /// Checks that the files a run was made from are still what they were.
    ///
    /// # Errors
    /// A file is gone or has changed, so what would be drawn from it is not the run's own test.
    pub fn check_data_files(&self) -> Result<()> {
        for file in &self.data_files {
            let path = file.path.display();
            match describe_file(&file.path) {
                Ok(found) if found == *file => {}
                Ok(found) => bail!(
                    "{path}: has changed since the run was made ({} bytes, expected {} and the checksum in {RUN_JSON}); restore it, or name data with --genome or --test",
                    found.bytes,
                    file.bytes
                ),
                Err(_) => {
                    bail!("{path}: the run's own data cannot be read; restore it, or name data with --genome or --test")
                }
            }
        }
        Ok(())
    }
}

/// A file that a run learned from or was judged on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleCounts {
    pub train: usize,
    pub valid: usize,
    pub test: usize,
}

impl Provenance {
    /// The classes in their order, and which is positive.
    ///
    /// # Errors
    /// `run.json` was edited so that they disagree.
    pub fn classes(&self) -> Result<Classes> {
        let damaged = |what: &str| anyhow!("{RUN_JSON}: {what}; restore the file or train again");
        if self.classes.len() != self.task.count || self.classes.len() < usize::from(self.positive.is_some()) + 1 {
            return Err(damaged("the classes do not fit the task"));
        }
        let positive = match &self.positive {
            None => 0,
            Some(name) => self
                .classes
                .iter()
                .position(|class| class == name)
                .filter(|&positive| positive == self.task.positive)
                .ok_or_else(|| damaged(&format!("positive is '{name}', expected one of the classes")))?,
        };
        Ok(Classes { names: self.classes.clone(), positive })
    }

    /// Of the question that the run's network answers.
    ///
    /// # Errors
    /// As `classes`, and where the task itself is not one that this version could have written.
    pub fn task(&self) -> Result<&Task> {
        let Task { kind, count, positive, weights, scales, .. } = &self.task;
        let binary = *kind == TaskKind::Binary;
        let regression = *kind == TaskKind::Regression;
        let fits = (1..=MAX_CLASSES).contains(count)
            && (!binary || (*count == 2 && *positive < 2 && self.positive.is_some()))
            && (weights.is_empty() || weights.len() == *count)
            && scales.len() == if regression { *count } else { 0 }
            // As f32, which predictions are, all of these are numbers still.
            && scales.iter().all(|scale| {
                let largest = f64::from(f32::MAX);
                scale.mean.abs() <= largest && scale.deviation > 0.0 && scale.deviation <= largest
            })
            && TEMPERATURES.contains(&self.task.temperature);
        if !fits {
            bail!("{RUN_JSON}: the task does not fit together; restore the file or train again");
        }
        self.classes().map(|_| &self.task)
    }
}

/// What a command fills a folder with. `--force` replaces a folder of the same kind and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    Run,
    Evaluation,
    Simulation,
    Inspection,
    Tuning,
    RateRange,
}

impl Contents {
    /// The kind of what a folder holds, by the file that only this kind has.
    fn of(folder: &Path) -> Option<Self> {
        [
            (RUN_JSON, Self::Run),
            (SIMULATION_JSON, Self::Simulation),
            (EVALUATION_JSON, Self::Evaluation),
            (INSPECTION_JSON, Self::Inspection),
            (TUNE_JSON, Self::Tuning),
            (RATES_CSV, Self::RateRange),
        ]
        .into_iter()
        .find(|(name, _)| folder.join(name).is_file())
        .map(|(_, kind)| kind)
    }

    /// The files that go when it is replaced.
    fn files(self) -> Vec<&'static str> {
        match self {
            Self::Run => [
                RUN_JSON,
                CONFIG_TOML,
                EXAMPLES_TSV,
                HISTORY_CSV,
                WEIGHTS,
                LAST_WEIGHTS,
                METRICS_JSON,
                PREDICTIONS_CSV,
                CONFUSION_CSV,
            ]
            .into_iter()
            .chain([MODEL_PT, MODEL_JSON])
            .chain(TRAINING_PICTURES)
            .chain(TEST_PICTURES)
            .collect(),
            Self::Evaluation => [EVALUATION_JSON, METRICS_JSON, PREDICTIONS_CSV, CONFUSION_CSV]
                .into_iter()
                .chain(TEST_PICTURES)
                .collect(),
            Self::Inspection => [INSPECTION_JSON].into_iter().chain(INSPECTION_PICTURES).collect(),
            Self::Tuning => vec![TUNE_JSON, TRIALS_CSV, BEST_TOML, KNOBS_PNG],
            Self::RateRange => vec![RATES_CSV, RATES_PNG],
            Self::Simulation => {
                let genomes = [
                    "human.fa",
                    "human.words.bed",
                    "human.repeats.bed",
                    "mouse.fa",
                    "mouse.words.bed",
                    "mouse.repeats.bed",
                ];
                [SIMULATION_JSON].into_iter().chain(genomes).collect()
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Evaluation => "an evaluation",
            Self::Simulation => "simulated genomes",
            Self::Inspection => "an inspection",
            Self::Tuning => "a search",
            Self::RateRange => "a learning-rate range test",
        }
    }
}

/// A folder under construction. Dropped without `keep`, it is removed again if this program made it and put nothing in.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    made: Vec<PathBuf>,
    replaces: Option<Contents>,
}

impl NewFolder {
    /// Claims `path` for output, so that a folder that cannot be written is known before any work is done.
    ///
    /// # Errors
    /// The folder holds something and `force` is not set, holds something of another kind, or cannot be made or written.
    pub fn claim(path: &Path, contents: Contents, force: bool) -> Result<Self> {
        let shown = path.display();
        let (mut made, mut replaces) = (Vec::new(), None);
        match std::fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    if !force {
                        bail!(
                            "{shown}: the output folder exists and is not empty, expected a new one; choose another --out or add --force"
                        );
                    }
                    if Contents::of(path) != Some(contents) {
                        bail!(
                            "{shown}: does not hold {}, which is all that --force replaces here; choose another folder",
                            contents.name()
                        );
                    }
                    replaces = Some(contents);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                made = path
                    .ancestors()
                    .filter(|p| !p.as_os_str().is_empty())
                    .take_while(|p| !p.exists())
                    .map(Path::to_path_buf)
                    .collect();
                std::fs::create_dir_all(path).map_err(|error| cannot_write(path, &error))?;
            }
            Err(error) => return Err(cannot_write(path, &error)),
        }
        let folder = Self { path: path.into(), made, replaces };
        tempfile::tempfile_in(path).map_err(|error| cannot_write(path, &error))?;
        Ok(folder)
    }

    /// Claims a new folder `runs/NAME-TIME`.
    pub fn claim_named(name: &str) -> Result<Self> {
        Self::claim_named_for(name, Contents::Run)
    }

    /// The same for other contents.
    pub fn claim_named_for(name: &str, contents: Contents) -> Result<Self> {
        let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        for number in 1..100 {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let path = Path::new("runs").join(format!("{name}-{time}{suffix}"));
            if !path.exists() {
                return Self::claim(&path, contents, false);
            }
        }
        bail!("runs/{name}-{time}: a hundred runs have this name; choose one with --out")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder. What `--force` replaces is set aside until the new contents are complete; other files stay.
    pub fn keep(mut self) -> Result<(RunFolder, SetAside)> {
        let mut old = SetAside { path: self.path.clone(), aside: None, names: Vec::new() };
        if let Some(contents) = self.replaces {
            let aside = tempfile::Builder::new()
                .prefix(".replaced-")
                .tempdir_in(&self.path)
                .map_err(|error| cannot_write(&self.path, &error))?;
            old.names = contents.files();
            for name in &old.names {
                let path = self.path.join(name);
                match std::fs::rename(&path, aside.path().join(name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(cannot_write(&path, &error));
                    }
                    _ => {}
                }
            }
            old.aside = Some(aside);
        }
        self.made.clear();
        Ok((RunFolder { path: self.path.clone() }, old))
    }
}

/// What `--force` replaces, in a folder of its own within the output folder. It comes back if this is dropped before
/// the new contents are complete, as when training fails.
#[must_use = "dropped at once, it undoes what comes after"]
#[derive(Debug)]
pub struct SetAside {
    path: PathBuf,
    aside: Option<tempfile::TempDir>,
    names: Vec<&'static str>,
}

impl SetAside {
    /// The new contents are complete: what was set aside goes.
    pub fn discard(mut self) {
        self.aside = None;
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        let Some(aside) = &self.aside else { return };
        for name in &self.names {
            let _ = std::fs::remove_file(self.path.join(name));
            let _ = std::fs::rename(aside.path().join(name), self.path.join(name));
        }
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        for path in &self.made {
            // The innermost first.
            let _ = std::fs::remove_dir(path); // fails, as it should, where something is in it
        }
    }
}

impl RunFolder {
    /// Opens a run.
    ///
    /// # Errors
    /// The folder is missing, is no run folder, was written by a newer version, or holds settings that no run has.
    pub fn open(path: &Path) -> Result<(Self, Provenance)> {
        let shown = path.display();
        if !path.is_dir() {
            bail!("{shown}: no such folder, expected a run folder that train made; check the path");
        }
        let text = std::fs::read_to_string(path.join(RUN_JSON)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                anyhow!("{shown}: holds no {RUN_JSON}, expected a run folder that train made; check the path")
            }
            _ => anyhow!("{shown}/{RUN_JSON}: cannot be read ({error})"),
        })?;
        let damaged = |error| anyhow!("{shown}/{RUN_JSON}: is damaged ({error}); restore the file or train again");
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        match value["format_version"].as_u64() {
            Some(version) if version == u64::from(FORMAT_VERSION) => {}
            found => bail!(
                "{shown}/{RUN_JSON}: has format version {}, expected {FORMAT_VERSION}; use the version of strandnet that wrote it",
                found.map_or("none".into(), |version| version.to_string())
            ),
        }
        let provenance: Provenance = serde_json::from_value(value).map_err(damaged)?;
        if let Some(fault) = provenance.config.faults().into_iter().next() {
            bail!("{shown}/{RUN_JSON}: holds settings that no run has ({fault}); restore the file or train again");
        }
        Ok((Self { path: path.into() }, provenance))
    }

    /// Opens a run whose training has ended.
    ///
    /// # Errors
    /// As `open`, and where it has not, or not for each member.
    pub fn open_finished(path: &Path) -> Result<(Self, Provenance)> {
        let (folder, provenance) = Self::open(path)?;
        let Some(outcome) = &provenance.outcome else {
            bail!("{}: the run did not finish, so its weights are not to be trusted; train again", path.display());
        };
        let (found, members) = (outcome.best_epochs.len(), provenance.config.training.ensemble);
        if found != members {
            bail!(
                "{}/{RUN_JSON}: holds best epochs of {found} members, expected {members}; restore the file or train again",
                path.display()
            );
        }
        Ok((folder, provenance))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomically(&self.file(name), bytes)
    }

    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }
}

/// Writes a file beside its final name and renames it, so that it is there whole or not at all.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_through(path, |file| file.write_all(bytes).map_err(|error| cannot_write(path, &error)))
}

/// Like `write_atomically`, for what is written piece by piece. On an error nothing is left.
pub fn write_through(path: &Path, write: impl FnOnce(&mut std::fs::File) -> Result<()>) -> Result<()> {
    let mut file = temporary_beside(path)?;
    write(file.as_file_mut())?;
    persist(file, path)
}

/// A temporary file in the folder of `path`, removed again unless it is persisted.
pub fn temporary_beside(path: &Path) -> Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the user's umask, as any new file
    }
    builder.prefix(".").suffix(".partial").tempfile_in(folder).map_err(|error| cannot_write(path, &error))
}

/// Whether `path`, which need not exist yet, is `folder` or lies in it, by whatever name.
pub fn lies_in(path: &Path, folder: &Path) -> bool {
    let Ok(absolute) = std::path::absolute(path) else { return false };
    let existing = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    existing.zip(folder.canonicalize().ok()).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// Checks, before any work, that an output file may be written: it is new, or a regular file and `force` is set.
pub fn check_output_file(path: &Path, force: bool) -> Result<()> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(file) if !file.is_file() => {
            bail!("{shown}: is not a regular file, expected a new file; choose another --out")
        }
        Ok(_) if !force => bail!("{shown}: exists, expected a new file; choose another name or add --force"),
        _ => Ok(()),
    }
}

/// Gives a temporary file its final name.
pub fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(|error| cannot_write(path, &error))?;
    file.persist(path).map_err(|error| cannot_write(path, &error.error))?;
    Ok(())
}

pub fn cannot_write(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!("{}: cannot be written ({error}); choose another place", path.display())
}

/// Size and checksum of a data file, with its absolute path.
pub fn describe_file(path: &Path) -> Result<DataFile> {
    let bytes = std::fs::metadata(path).with_context(|| format!("{}: cannot be read", path.display()))?.len();
    Ok(DataFile { path: std::path::absolute(path)?, bytes, sha256: sha256(path)? })
}

/// The SHA-256 checksum of a file, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let cannot_read = |error| anyhow!("{}: cannot be read ({error})", path.display());
    let mut file = std::fs::File::open(path).map_err(cannot_read)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(cannot_read)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_an_unused_claim_leaves_nothing() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a/b");
        drop(NewFolder::claim(&path, Contents::Run, false).unwrap());
        assert!(!top.path().join("a").exists());

        let (run, nothing) = NewFolder::claim(&path, Contents::Run, false).unwrap().keep().unwrap();
        nothing.discard();
        run.write("notes.txt", b"mine").unwrap();
        run.write(METRICS_JSON, b"{}").unwrap();
        let error = |contents, force| NewFolder::claim(&path, contents, force).unwrap_err().to_string();
        assert!(error(Contents::Run, false).contains("--force"));
        assert!(error(Contents::Run, true).contains("does not hold a run"));
        run.write(RUN_JSON, b"{}").unwrap();
        assert!(error(Contents::Evaluation, true).contains("does not hold an evaluation"));
        // A replacement that fails gives back what was there.
        let (run, old) = NewFolder::claim(&path, Contents::Run, true).unwrap().keep().unwrap();
        assert!(!path.join(METRICS_JSON).exists() && path.join("notes.txt").exists());
        run.write(RUN_JSON, b"new").unwrap();
        run.write(MODEL_PT, b"new").unwrap();
        drop(old);
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"{}");
        assert!(path.join(METRICS_JSON).exists() && !path.join(MODEL_PT).exists());
        let (run, old) = NewFolder::claim(&path, Contents::Run, true).unwrap().keep().unwrap();
        run.write(RUN_JSON, b"new").unwrap();
        old.discard();
        assert_eq!(std::fs::read(path.join(RUN_JSON)).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "run.json and the notes");
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write_atomically(&path, b"old").unwrap();
        write_through(&path, |file| {
            file.write_all(b"half").unwrap();
            bail!("full disk")
        })
        .unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_run_with_settings_that_no_run_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = |change: fn(&mut serde_json::Value)| {
            let mut run = serde_json::json!({
                "format_version": FORMAT_VERSION, "version": "", "git_revision": "", "libtorch": "", "device": "Cpu",
                "threads": 1, "precision": "f32", "seed": 1, "command": [], "data_files": [],
                "task": {"kind": "binary", "loss": "cross-entropy", "positive": 0, "count": 2},
                "classes": ["human", "mouse"], "positive": "human", "length": 128, "parameter_count": 1,
                "examples": {"train": 1, "valid": 1, "test": 1},
                "config": Config::default(),
                "outcome": {"best_epochs": [1], "restarts": 0, "seconds": 1.0},
            });
            change(&mut run);
            std::fs::write(folder.path().join(RUN_JSON), run.to_string()).unwrap();
            let opened = RunFolder::open_finished(folder.path());
            opened.and_then(|(_, run)| run.task().map(drop)).map_err(|error| error.to_string())
        };
        open(|_| {}).unwrap();
        for (change, part) in [
            (
                (|run| run["config"]["training"]["ensemble"] = 0.into()) as fn(&mut serde_json::Value),
                "--ensemble is 0, expected 1 to 100",
            ),
            (|run| run["config"]["training"]["ensemble"] = 1_000_000_000.into(), "expected 1 to 100"),
            (|run| run["config"]["training"]["ensemble"] = 3.into(), "best epochs of 1 members, expected 3"),
            (|run| run["config"]["model"]["filters"] = u64::MAX.into(), "--filters is"),
            (|run| run["config"]["data"]["negatives_per_positive"] = 7.into(), "--negatives-per-positive goes with"),
            (|run| run["task"]["temperature"] = 1e-300.into(), "the task does not fit together"),
            (|run| run["outcome"] = serde_json::Value::Null, "did not finish"),
        ] {
            let error = open(change).unwrap_err();
            assert!(error.contains(part), "'{part}' is missing from: {error}");
        }
    }

    #[test]
    fn checksums_are_sha256() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), b"abc").unwrap();
        // NIST FIPS 180-2, appendix B.1
        assert_eq!(
            sha256(&folder.path().join("x")).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
