//! One file for each command: its table of contents, no detail.

mod completions;
mod cv;
mod doctor;
mod explain;
mod export;
mod inspect;
mod libtorch;
mod man;
mod model;
mod schema;
mod signal;
mod simulate;
mod train;
mod tune;
mod verify;

use anyhow::{Context, Result, anyhow};
use clap::ArgMatches;

use crate::cli::{Cli, Command, OnDevice};
use crate::cuda;
pub use libtorch::{FinishedRun, LibTorch, open_run};
use strandnet_core::commands::{evaluate, predict, print, print_json, report};
use strandnet_core::config::Config;
use strandnet_core::dataset;
use strandnet_core::dataset::folds;
use strandnet_core::dataset::{Dataset, LoadRequest};
use strandnet_core::progress::Progress;
use strandnet_core::run::{DataFiles, RUN_JSON, RunFolder};
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
        Command::Evaluate(it) => {
            let OnDevice { command, compute } = &*it;
            evaluate::run(command, &LibTorch::new(compute, progress)?, progress)
        }
        Command::Verify(command) => verify::run(&command, progress),
        Command::Predict(OnDevice { command, compute }) => {
            predict::run(&command, &LibTorch::new(&compute, progress)?, progress)
        }
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
