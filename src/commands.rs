//! One file for each command: its table of contents, no detail.

mod completions;
mod cv;
mod doctor;
mod evaluate;
mod explain;
mod export;
mod inspect;
mod man;
mod model;
mod predict;
mod report;
mod schema;
mod signal;
mod simulate;
mod train;
mod tune;
mod verify;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use clap::ArgMatches;

use crate::cli::{Cli, Command};
use crate::cuda;
use crate::device;
use crate::model::Network;
use crate::model::bias::Bias;
use crate::model::ensemble::{self, Ensemble};
use strandnet_core::config::Config;
use strandnet_core::dataset;
use strandnet_core::dataset::folds::{self, FoldPlan};
use strandnet_core::dataset::{Classes, Dataset, LoadRequest};
use strandnet_core::format::printable;
use strandnet_core::predict::out_of_fold::{self, OutOfFold};
use strandnet_core::progress::Progress;
use strandnet_core::run::{DataFiles, FoldFolder, Provenance, RUN_JSON, RunFolder, WEIGHTS, ensemble_of};
use strandnet_core::scorer::Scorer;
use strandnet_core::training::memory::OUT_OF_MEMORY;

/// Runs what was typed.
///
/// # Errors
/// The command fails; the error is one sentence.
pub fn run(cli: Cli, matches: &ArgMatches) -> Result<()> {
    let progress = Progress::choose(cli.quiet);
    match cli.command {
        Command::Train(command) => {
            let flags = matches.subcommand_matches("train").context("the command is train")?;
            train::run(&command, flags, progress)
        }
        Command::Cv(command) => {
            let flags = matches.subcommand_matches("cv").context("the command is cv")?;
            cv::run(&command, flags, progress)
        }
        Command::Tune(command) => {
            let flags = matches.subcommand_matches("tune").context("the command is tune")?;
            tune::run(&command, flags, progress)
        }
        Command::Inspect(command) => {
            let flags = matches.subcommand_matches("inspect").context("the command is inspect")?;
            inspect::run(&command, flags, progress)
        }
        Command::Signal(command) => signal::run(&command, progress),
        Command::Evaluate(command) => evaluate::run(&command, progress),
        Command::Verify(command) => verify::run(&command, progress),
        Command::Predict(command) => predict::run(&command, progress),
        Command::Explain(command) => explain::run(&command, progress),
        Command::Report(command) => report::run(&command),
        Command::Export(command) => export::run(&command, progress),
        Command::Model(command) => {
            let flags = matches.subcommand_matches("model").context("the command is model")?;
            model::run(&command, flags)
        }
        Command::Simulate(command) => simulate::run(&command, progress),
        Command::Doctor(command) => doctor::run(&command),
        Command::Schema => schema::run(),
        Command::Completions(command) => completions::run(&command),
        Command::Man(command) => man::run(&command),
    }
}

/// An error from what a panic left behind. libtorch's exceptions arrive as panics of the binding. What input can cause is
/// checked before; what is left is the machine running out of memory, or a fault of ours.
pub fn error_of_panic(panic: &(dyn std::any::Any + Send)) -> anyhow::Error {
    let first = cuda::message_of_panic(panic);
    const GPU_FAILED: [&str; 4] = ["CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "CUDA driver"];
    let says = |words: &[&str]| words.iter().any(|words| first.contains(words));
    if says(&OUT_OF_MEMORY) {
        anyhow!(
            "the device ran out of memory ({first}); train with a smaller --batch-size or shorter fragments, or free memory on the device"
        )
    } else if says(&GPU_FAILED) {
        anyhow!("the GPU or its driver failed ({first}); look at nvidia-smi, or use --device cpu")
    } else {
        anyhow!("internal fault: {first}; run again with RUST_BACKTRACE=1 and report this")
    }
}

/// The data of an experiment. Beside a listing of examples, the run that wrote it says what the question is.
fn data_of(config: &Config, progress: &Progress) -> Result<Dataset> {
    let data = folds::resolve(&config.data, config.training.seed, progress)?;
    data_at(&Config { data, ..config.clone() }, &DataFiles::default(), progress)
}

/// The same, with the genomes that a listing names where they are now.
fn data_at(config: &Config, files: &DataFiles, progress: &Progress) -> Result<Dataset> {
    let run = config.data.examples.as_ref().and_then(|path| path.parent()).filter(|path| path.join(RUN_JSON).is_file());
    let task = match run {
        Some(run) => {
            let (_, provenance) = RunFolder::open(run)?;
            Some((provenance.task()?.kind, provenance.classes()?))
        }
        None => None,
    };
    let task = task.as_ref().map(|(kind, classes)| (*kind, classes));
    dataset::load(&LoadRequest {
        task,
        moved: Some(files.paths()),
        ..LoadRequest::new(&config.data, config.training.seed, progress)
    })
}

/// A finished run with its networks, one or an ensemble, and their best weights.
pub struct FinishedRun {
    /// The folder itself.
    pub folder: RunFolder,
    /// What `run.json` says.
    pub provenance: Provenance,
    /// Classes, labels or columns.
    pub classes: Classes,
    /// The networks.
    pub ensemble: Ensemble,
}

impl FinishedRun {
    /// The same with the bias model added that the run has, as it was trained and is judged.
    ///
    /// # Errors
    /// The files of the bias model are damaged.
    pub fn with_bias(self, device: tch::Device) -> Result<Self> {
        let Self { folder, provenance, classes, ensemble } = self;
        let bias = Bias::of_run(&folder, provenance.task()?, provenance.length, device)?;
        let networks = ensemble.into_members().into_iter().map(|network| network.with_bias(bias.clone()));
        Ok(Self { ensemble: Ensemble::new(networks.collect()), folder, provenance, classes })
    }
}

/// Opens a finished run with its networks on a device, computing all of them with libtorch if `no_native` or the run says so.
///
/// # Errors
/// Its files are missing or damaged, or do not fit together.
pub fn open_run(path: &Path, device: tch::Device, no_native: bool) -> Result<FinishedRun> {
    let (folder, provenance) = RunFolder::open_finished(&ensemble_of(path)?)?;
    let outputs = provenance.task()?.network_outputs();
    let classes = provenance.classes()?;
    let networks = ensemble::load(&provenance.config, provenance.length, outputs, device, &folder.file(WEIGHTS))?;
    let ensemble: Vec<Network> = networks.into_iter().map(|network| network.without_native(no_native)).collect();
    if ensemble.iter().all(|network| network.all_native().is_some()) {
        device::leave_to_native();
    }
    Ok(FinishedRun { folder, provenance, classes, ensemble: Ensemble::new(ensemble) })
}

/// The networks of each fold of a cross-validation.
pub struct FoldNetworks {
    /// The folds.
    pub plan: FoldPlan,
    /// The networks of each.
    pub networks: Vec<Ensemble>,
}

impl FoldNetworks {
    /// Networks that go by the chromosome of what they score.
    ///
    /// # Errors
    /// The folds are not of chromosomes.
    fn by_chromosome(&self) -> Result<OutOfFold<'_>> {
        OutOfFold::new(&self.plan, self.networks.iter().map(|networks| networks as &dyn Scorer).collect())
    }

    /// Tells the networks of a finished cross-validation apart.
    ///
    /// # Errors
    /// It is none, or its folds are not of chromosomes.
    pub fn of(path: &Path, run: FinishedRun) -> Result<Self> {
        if !FoldFolder::is_at(path) {
            bail!("{}: is no cross-validation, expected the folder of strandnet cv for --out-of-fold", path.display());
        }
        let folds = FoldFolder::open(path)?;
        out_of_fold::check(&folds.plan)?;
        let (count, members) = (folds.plan.folds.len(), run.ensemble.len());
        if members % count != 0 {
            bail!("{}: holds {members} networks, expected as many for each of {count} folds", path.display());
        }
        let mut left = run.ensemble.into_members().into_iter();
        let of_fold = |fold| {
            let networks = Ensemble::new(left.by_ref().take(members / count).collect());
            match networks.iter().any(|network| network.bias().is_some()) {
                true => with_bias_of_fold(networks, &run.folder, path, &folds, fold),
                false => Ok(networks),
            }
        };
        let networks = (0..count).map(of_fold).collect::<Result<_>>()?;
        Ok(Self { plan: folds.plan, networks })
    }
}

/// Networks of a fold with the bias model of their ensemble, fitted as it was to the background of that fold; as they are where there is
/// none.
fn with_bias_of_fold(
    networks: Ensemble,
    ensemble: &RunFolder,
    path: &Path,
    folds: &FoldFolder,
    fold: usize,
) -> Result<Ensemble> {
    let first = folds.runs_of(path, fold).into_iter().next();
    let (_, own) = RunFolder::open_finished(&first.context("a fold has a run")?)?;
    let bias = Bias::of_run(ensemble, &own.task, own.length, networks.device())?;
    Ok(if bias.is_some() { networks.with_bias(bias.as_ref()) } else { networks })
}

/// The same, and with the bias model of the run added where `with_bias` says so.
///
/// # Errors
/// As [`open_run`], or the run has no bias model.
fn open_run_with(path: &Path, device: tch::Device, no_native: bool, with_bias: bool) -> Result<FinishedRun> {
    let run = open_run(path, device, no_native)?;
    if !with_bias {
        return Ok(run);
    }
    let task = run.provenance.task()?;
    if task.profile.as_ref().is_none_or(|profile| profile.bias_shift.is_none()) {
        bail!(
            "{}: has no bias model, expected a run of --task profile trained with --bias; remove --with-bias",
            path.display()
        );
    }
    run.with_bias(device)
}

/// Writes results to standard output, safe for a terminal; a reader that went away is an error and no panic.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(printable(text).as_bytes()).and_then(|()| out.flush()).map_err(closed_output)
}

/// Writes one JSON document to standard output. Control characters are escaped as JSON has it, the newlines between its
/// lines apart.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let mut text = String::new();
    for letter in serde_json::to_string_pretty(value)?.chars() {
        match letter {
            letter if letter.is_control() && letter != '\n' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => text.push(letter),
        }
    }
    text.push('\n');
    print(&text)
}

/// Whoever read standard output wanted no more, as `head` does.
#[derive(Debug)]
pub struct ClosedPipe;

impl std::fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("standard output was closed before all results were written")
    }
}

impl std::error::Error for ClosedPipe {}

fn closed_output(error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        ClosedPipe.into()
    } else {
        anyhow!("standard output cannot be written ({error})")
    }
}

/// Faults of reading come with their file; what is left is a fault of writing, and `say` knows to where.
fn written(error: anyhow::Error, say: impl FnOnce(std::io::Error) -> anyhow::Error) -> anyhow::Error {
    match error.downcast::<std::io::Error>() {
        Ok(error) => say(error),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_libtorch_is_a_sentence_that_says_whose_fault_it_is() {
        for (panic, expected) in [
            ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has", "the device ran out of memory"),
            (
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
                "the device ran out of memory",
            ),
            (
                "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors",
                "the GPU or its driver failed",
            ),
            ("CUDA error: uncorrectable ECC error encountered", "the GPU or its driver failed"),
            ("CUDA error: no kernel image is available for execution on the device", "the GPU or its driver failed"),
            ("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED", "the GPU or its driver failed"),
            ("index out of bounds", "internal fault"),
        ] {
            let error = error_of_panic(&panic.to_owned()).to_string();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        }
    }
}
