//! The run folder: names of its files, atomic writes, and reading it back.

pub mod bias;
pub mod fold_folder;
pub mod manifest;
pub mod moved;
pub mod origin;
pub mod output_folder;
pub mod resolved;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::config::{Config, DeviceChoice, MAX_CLASSES, Precision, TaskKind};
use crate::dataset::Classes;
pub use crate::files::{
    CannotWrite, DataFile, cannot_write, check_output_file, describe_file, lies_in, persist, sha256, sha256_of,
    sha256_of_written, temporary_beside, write_atomically, write_keeping_previous, write_through,
};
pub use crate::network::tensor_file::{FIRST_WITH_CHECKSUMS, FORMAT_VERSION, check_format_version};
pub use crate::network::{tensor_file, weights};
pub use crate::run::fold_folder::{FoldFolder, ensemble_of};
pub use crate::run::manifest::Manifest;
pub use crate::run::moved::DataFiles;
pub use crate::run::origin::Origin;
pub use crate::run::output_folder::{Contents, InUse, Lock, OutputFolder, SetAside, lock};
pub use crate::run::resolved::{MovedFile, Resolved};
use crate::task::Task;

/// Configuration and provenance.
pub const RUN_JSON: &str = "run.json";
/// The experiment as a file that `train` accepts.
pub const CONFIG_TOML: &str = "config.toml";
/// A row per epoch.
pub const HISTORY_CSV: &str = "history.csv";
/// Weights of the best epoch.
pub const WEIGHTS: &str = "best.safetensors";
/// The last checkpoint.
pub const LAST_WEIGHTS: &str = "last.safetensors";
/// The checkpoint before the last.
pub const PREVIOUS_WEIGHTS: &str = "previous.safetensors";
/// Metrics of each split.
pub const METRICS_JSON: &str = "metrics.json";
/// Scores of the validation and test examples.
pub const PREDICTIONS_CSV: &str = "predictions.csv";
/// The model as TorchScript.
pub const MODEL_PT: &str = "model.pt";
/// The network as a PyTorch module, which reads the weights.
pub const MODEL_PY: &str = "model.py";
/// The networks with their weights as ONNX.
pub const MODEL_ONNX: &str = "model.onnx";
/// The networks with their weights as a page that scores sequences in a browser.
pub const MODEL_HTML: &str = "model.html";
/// Observed and predicted values of the bins of the test examples.
pub const BINS_NPZ: &str = "bins.npz";
/// The `run.json` and the weights of the bias model that is added to the network.
pub const BIAS_JSON: &str = "bias.json";
/// See [`BIAS_JSON`].
pub const BIAS_WEIGHTS: &str = "bias.safetensors";
/// Observed counts and predicted logits of the profiles of the test loci.
pub const PROFILES_NPZ: &str = "profiles.npz";
/// What profiles are told by without the network: the mean of training peaks, and the enzyme.
pub const PROFILE_BASELINES_JSON: &str = "profile_baselines.json";
/// Inputs and outputs of the exported model.
pub const MODEL_JSON: &str = "model.json";
/// Folder of copies of the data that came from pipes or standard input.
pub const INPUTS: &str = "inputs";
/// Folder of TensorBoard event files.
pub const TENSORBOARD: &str = "tensorboard";
/// Checksums of all other files, in the format of `sha256sum --check`.
pub const CHECKSUMS: &str = "checksums.sha256";
/// The examples with their splits.
pub const EXAMPLES_TSV: &str = "examples.tsv";
/// Figures of training, each as PNG and as SVG.
pub const TRAINING_PICTURES: [&str; 6] =
    ["loss.png", "loss.svg", "accuracy.png", "accuracy.svg", "score.png", "score.svg"];
/// Figures of an evaluation.
pub const TEST_PICTURES: [&str; 18] = [
    "roc.png",
    "roc.svg",
    "pr.png",
    "pr.svg",
    "calibration.png",
    "calibration.svg",
    "scores.png",
    "scores.svg",
    "confusion.png",
    "confusion.svg",
    "scatter.png",
    "scatter.svg",
    "breakdown.png",
    "breakdown.svg",
    "profiles.png",
    "profiles.svg",
    "distances.png",
    "distances.svg",
];
/// The confusion matrix.
pub const CONFUSION_CSV: &str = "confusion.csv";
/// The HTML report. It can be written again from the other files at any time, so it has no checksum.
pub const REPORT_HTML: &str = "report.html";

/// The results of `inspect`.
pub const INSPECTION_JSON: &str = "inspection.json";
/// Figures of `inspect`.
pub const INSPECTION_PICTURES: [&str; 6] =
    ["gc.png", "gc.svg", "lengths.png", "lengths.svg", "unknown.png", "unknown.svg"];
/// What an evaluation folder was made from.
pub const EVALUATION_JSON: &str = "evaluation.json";
/// The results of `explain motifs`.
pub const MOTIFS_JSON: &str = "motifs.json";
/// Where footprints come from, and how far they are from the control.
pub const FOOTPRINTS_JSON: &str = "footprints.json";
/// The results of `explain sequences`.
pub const IMPORTANCE_JSON: &str = "importance.json";
/// Summary of `explain variants`.
pub const VARIANTS_JSON: &str = "variants.json";
/// What `signal` counted of which reads.
pub const READS_JSON: &str = "reads.json";
/// The groups of barcodes, with their files.
pub const GROUPS_TSV: &str = "groups.tsv";
/// Figures of `signal`.
pub const READS_PICTURES: [&str; 4] = ["fragments.png", "fragments.svg", "shift.png", "shift.svg"];
/// The parameters of simulated genomes.
pub const SIMULATION_JSON: &str = "simulation.json";
/// The folds of a cross-validation, and the experiment that is trained on each.
pub const FOLDS_JSON: &str = "folds.json";
/// What they came to.
pub const CV_JSON: &str = "cv.json";
/// Folder of the networks of all folds as one run, within that of a cross-validation.
pub const ENSEMBLE: &str = "ensemble";
/// Figures of folds.
pub const FOLD_PICTURES: [&str; 2] = ["folds.png", "folds.svg"];
/// The plan of a search.
pub const TUNE_JSON: &str = "tune.json";
/// A row per trial and rung of a search.
pub const TRIALS_CSV: &str = "trials.csv";
/// The configuration of the best trial.
pub const BEST_TOML: &str = "best.toml";
/// Scores by hyperparameter; the name is that of earlier versions.
pub const SETTINGS_PNG: &str = "knobs.png";
/// The same as SVG.
pub const SETTINGS_SVG: &str = "knobs.svg";
/// Losses of a learning-rate range test.
pub const RATES_CSV: &str = "lr.csv";
/// The figure of a learning-rate range test.
pub const RATES_PNG: &str = "lr.png";
/// The same as SVG.
pub const RATES_SVG: &str = "lr.svg";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// Path of the folder.
    pub path: PathBuf,
}

/// Provenance of a run: `run.json`, written before the first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the format of the folder.
    pub format_version: u32,
    /// Version of strandnet.
    pub version: String,
    /// Git revision of the program.
    pub git_revision: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The device, such as `Cpu` or `Cuda(0)`; the last one, of a run that was resumed on another.
    pub device: String,
    /// Number of threads, of each process.
    pub threads: usize,
    /// Number of processes that trained together, of the last start; 1 in runs of earlier versions.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    pub processes: usize,
    /// Precision of the computation.
    pub precision: Precision,
    /// The seed.
    pub seed: u64,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// Data files with size and checksum.
    pub data_files: Vec<DataFile>,
    /// The task.
    pub task: Task,
    /// Classes, labels or columns.
    pub classes: Vec<String>,
    /// Name of the positive class; binary tasks only.
    pub positive: Option<String>,
    /// Length of a fragment in bp.
    pub length: usize,
    /// Number of trained parameters of a member.
    pub parameter_count: usize,
    /// Examples of each split.
    pub examples: ExampleCounts,
    /// The largest number of unknown bases in one training example, padding aside; absent from runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_n: Option<usize>,
    /// The resolved configuration.
    pub config: Config,
    /// What the settings of the data came to; runs of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// Warnings about the data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_warnings: Vec<String>,
    /// File of the weights that training started from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub started_from: Vec<DataFile>,
    /// Programs that resumed the run after the one that started it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumed>,
    /// Where the network comes from, if it was trained elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Origin>,
    /// Outcome of training; absent until training has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

fn alone() -> usize {
    1
}

fn is_alone(processes: &usize) -> bool {
    *processes == alone()
}

/// The running program, as recorded in `run.json` and compared with later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Version of strandnet.
    pub version: &'static str,
    /// Git revision it was built from; empty outside a checkout.
    pub git_revision: &'static str,
    /// Version of libtorch; empty without libtorch.
    pub libtorch: &'static str,
}

/// A program that resumed a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Version of strandnet.
    pub version: String,
    /// Git revision it was built from; empty outside a checkout.
    pub git_revision: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Point at which it resumed, in words.
    pub place: String,
    /// Epochs to train from then on, where they were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Device it went on on, where that was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// Outcome of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Best epoch of each member, counted from 1.
    pub best_epochs: Vec<usize>,
    /// Starts given up because all scores became equal.
    pub restarts: u64,
    /// Wall-clock time of training, in seconds.
    pub seconds: f64,
    /// Warnings about how training went. The key is that of format version 3.
    #[serde(default, rename = "remarks", skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Provenance {
    /// Checks that the weights that training started from are unchanged.
    ///
    /// # Errors
    /// The file is missing or has changed; `advice` says what to do.
    pub fn check_started_from(&self, advice: &str) -> Result<()> {
        for file in &self.started_from {
            let path = file.path.display();
            match describe_file(&file.path) {
                Ok(found) if found == *file => {}
                Ok(found) => bail!(
                    "{path}: has changed since the run was made ({} bytes, expected {} and the checksum in {RUN_JSON}); {advice}",
                    found.bytes,
                    file.bytes
                ),
                Err(_) => bail!("{path}: cannot be read any more; {advice}"),
            }
        }
        Ok(())
    }

    /// The configuration with `auto` resolved as at the start of the run, so that the computation is the same.
    ///
    /// # Errors
    /// This version does not know the device.
    pub fn config_as_run(&self) -> Result<Config> {
        let mut config = self.config.clone();
        let device = match self.device.as_str() {
            "Cpu" => Some(DeviceChoice::Cpu),
            other => other
                .strip_prefix("Cuda(")
                .and_then(|rest| rest.strip_suffix(')')?.parse().ok())
                .map(DeviceChoice::Cuda),
        };
        config.training.device = device.ok_or_else(|| {
            anyhow!("{RUN_JSON}: device is '{}', expected Cpu or Cuda(N); restore the file or train again", self.device)
        })?;
        config.training.threads = Some(self.threads);
        config.training.precision = self.precision;
        Ok(config)
    }

    /// Differences between the run's build and this one, each as the beginning of a sentence.
    pub fn differences(&self, build: Build) -> Vec<String> {
        [
            ("strandnet", &self.version, build.version),
            ("revision", &self.git_revision, build.git_revision),
            ("libtorch", &self.libtorch, build.libtorch),
        ]
        .into_iter()
        .filter(|(_, then, now)| then.as_str() != *now)
        .map(|(what, then, now)| format!("the run was begun with {what} {then} and this is {now}"))
        .collect()
    }
}

/// Number of examples in each split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleCounts {
    /// Training examples.
    pub train: usize,
    /// Validation examples.
    pub valid: usize,
    /// Test examples.
    pub test: usize,
}

impl Provenance {
    /// Names of the classes in order, and the index of the positive class.
    ///
    /// # Errors
    /// `run.json` was edited and is inconsistent.
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

    /// The task of the run's network.
    ///
    /// # Errors
    /// As [`Provenance::classes`], or the task is not one that this version could have written.
    pub fn task(&self) -> Result<&Task> {
        let Task { kind, count, positive, weights, scales, .. } = &self.task;
        let binary = *kind == TaskKind::Binary;
        let regression = kind.predicts_values();
        let fits = (1..=MAX_CLASSES).contains(count)
            && (!binary || (*count == 2 && *positive < 2 && self.positive.is_some()))
            && (weights.is_empty() || weights.len() == *count)
            && scales.len() == if regression { *count } else { 0 }
            && self.task.profile.is_some() == (*kind == TaskKind::Profile)
            && self.task.profile.as_ref().is_none_or(|profile| profile.fits(*count))
            // All of these must be finite as f32, the type of predictions.
            && scales.iter().all(|scale| {
                let largest = f64::from(f32::MAX);
                scale.mean.abs() <= largest && scale.deviation > 0.0 && scale.deviation <= largest
            })
            && self.task.calibration.fits(*kind, self.task.outputs());
        if !fits {
            bail!("{RUN_JSON}: the task does not fit together; restore the file or train again");
        }
        self.classes().map(|_| &self.task)
    }
}

fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text.into_bytes())
}

impl RunFolder {
    /// Opens a run.
    ///
    /// # Errors
    /// The folder is missing, is not a run folder, was written by a newer version, or holds invalid settings.
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
        check_format_version(&value).map_err(|what| anyhow!("{shown}/{RUN_JSON}: {what}"))?;
        let provenance: Provenance = serde_json::from_value(value).map_err(damaged)?;
        if let Some(fault) = provenance.config.faults().into_iter().next() {
            bail!("{shown}/{RUN_JSON}: holds settings that no run has ({fault}); restore the file or train again");
        }
        Ok((Self { path: path.into() }, provenance))
    }

    /// Opens a run whose training has ended.
    ///
    /// # Errors
    /// As [`RunFolder::open`], or training has not ended for every member, or `run.json` or the metrics have changed
    /// since.
    pub fn open_finished(path: &Path) -> Result<(Self, Provenance)> {
        let (folder, provenance) = Self::open_unchecked(path)?;
        // Weights have their own checksum; in these two files a changed digit would go unnoticed.
        if let Some(manifest) = Manifest::read(&folder, provenance.format_version)? {
            [RUN_JSON, METRICS_JSON].into_iter().try_for_each(|name| manifest.check(&folder, name))?;
        }
        Ok((folder, provenance))
    }

    /// Like `open_finished`, without verifying checksums.
    ///
    /// # Errors
    /// As [`RunFolder::open`], or training has not ended for every member.
    pub fn open_unchecked(path: &Path) -> Result<(Self, Provenance)> {
        let (folder, provenance) = Self::open(path)?;
        // The outcome is written after training; the metrics come last.
        let Some(outcome) = provenance.outcome.as_ref().filter(|_| folder.file(METRICS_JSON).is_file()) else {
            let shown = path.display();
            bail!("{shown}: the run did not finish; resume with: strandnet train --resume {shown}");
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

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates a subfolder, unless it exists.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn make_folder(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        std::fs::create_dir_all(&path).map_err(|error| cannot_write(&path, &error))
    }

    /// Writes a file of the folder atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomically(&self.file(name), bytes)
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.write(name, &json_bytes(value)?)
    }

    /// Writes the last file of a run, which marks it as finished, after the checksums of all files.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn finish(&self, metrics: &impl Serialize) -> Result<()> {
        let _ = std::fs::remove_file(self.file(PREVIOUS_WEIGHTS));
        let metrics = json_bytes(metrics)?;
        let mut manifest = Manifest::of(self)?;
        manifest.add(METRICS_JSON, &metrics);
        manifest.write(self)?;
        self.write(METRICS_JSON, &metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            std::fs::write(folder.path().join(METRICS_JSON), "{}").unwrap();
            let opened = RunFolder::open_unchecked(folder.path());
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
            (
                |run| run["task"]["calibration"] = serde_json::json!({"scales": [-1.0]}),
                "the task does not fit together",
            ),
            (|run| run["task"]["calibration"] = serde_json::json!({"prior": [1.0]}), "the task does not fit together"),
            (|run| run["outcome"] = serde_json::Value::Null, "did not finish"),
        ] {
            let error = open(change).unwrap_err();
            assert!(error.contains(part), "'{part}' is missing from: {error}");
        }
    }
}
