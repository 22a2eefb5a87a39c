//! `explain`: what a run's network has learned, one file for each thing that is explained.

mod footprints;
mod motifs;
mod untrained;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::cli::OnDevice;
use crate::cli::explain::{Explain, What};
use crate::commands::{FinishedRun, LibTorch, data_at};
use strandnet_core::commands::explain::{sequences, variants};
use strandnet_core::dataset;
use strandnet_core::dataset::LoadRequest;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::dataset::split::Split;
use strandnet_core::progress::Progress;
use strandnet_core::run::DataFiles;

pub fn run(command: &Explain, progress: Progress) -> Result<()> {
    match &command.what {
        What::Footprints(command) => footprints::run(command, progress),
        What::Motifs(command) => motifs::run(command, progress),
        What::Sequences(OnDevice { command, compute }) => {
            sequences::run(command, &LibTorch::new(compute, progress)?, progress)
        }
        What::Variants(OnDevice { command, compute }) => {
            variants::run(command, &LibTorch::new(compute, progress)?, progress)
        }
    }
}

/// The examples of one split of a run, read again from its data files, which must be unchanged.
fn own_examples(run: &FinishedRun, split: Split, roots: &[PathBuf], progress: &Progress) -> Result<Examples> {
    let provenance = &run.provenance;
    let advice = "restore it, name its folder with --data-root, or name sequences with --sequences";
    let files = DataFiles::of_run(provenance, &run.folder.path, roots, advice)?;
    files.notices().for_each(|notice| progress.say(&notice));
    let (config, task) = (files.in_config(&provenance.config), provenance.task()?);
    let examples = if split == Split::Test {
        let request = LoadRequest {
            task: Some((task.kind, &run.classes)),
            length: Some(provenance.length),
            moved: Some(files.paths()),
            ..LoadRequest::new(&config.data, provenance.seed, progress)
        };
        dataset::load_test(&request)?.examples
    } else {
        let data = data_at(&config, &files, progress)?;
        if split == Split::Train { data.train } else { data.valid }
    };
    if examples.is_empty() {
        bail!("the run has no {} examples, expected some; choose another --split", split.name());
    }
    Ok(examples)
}
