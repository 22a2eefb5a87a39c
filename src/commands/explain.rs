//! `explain`: what a run's network has learned, one file for each thing that is explained.

mod footprints;
mod motifs;
mod sequences;
mod untrained;
mod variants;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::cli::explain::{Explain, What};
use crate::commands::{FinishedRun, data_at};
use strandnet_core::dataset;
use strandnet_core::dataset::LoadRequest;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::dataset::split::Split;
use strandnet_core::progress::Progress;
use strandnet_core::run::{DataFiles, FORMAT_VERSION, RunFolder, WEIGHTS, sha256};

pub fn run(command: &Explain, progress: Progress) -> Result<()> {
    match &command.what {
        What::Footprints(command) => footprints::run(command, progress),
        What::Motifs(command) => motifs::run(command, progress),
        What::Sequences(command) => sequences::run(command, progress),
        What::Variants(command) => variants::run(command, progress),
    }
}

/// What an explanation's own file holds: where it comes from, and more.
fn origin<const N: usize>(run: &FinishedRun, more: [(&str, Value); N]) -> Result<Map<String, Value>> {
    let command: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let from = [
        ("format_version", FORMAT_VERSION.into()),
        ("run", json!(std::path::absolute(&run.folder.path)?)),
        ("weights_sha256", sha256(&run.folder.file(WEIGHTS))?.into()),
        ("command", command.into()),
    ];
    Ok(from.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect())
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

/// The folder in the run for the explanation of a file.
fn default_folder(run: &RunFolder, what: &str, file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".bgz")).unwrap_or(&name);
    let stem = match Path::new(name).file_stem() {
        Some(stem) if name != "-" => stem.to_string_lossy().into_owned(),
        _ => "stdin".into(),
    };
    run.file("explain").join(format!("{what}-{stem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_what_they_hold() {
        let run = RunFolder { path: "run".into() };
        let folder = |file: &str| default_folder(&run, "sequences", Path::new(file)).display().to_string();
        assert_eq!(folder("x/peaks.fa.gz"), "run/explain/sequences-peaks");
        assert_eq!(folder("a.b.fasta"), "run/explain/sequences-a.b");
        assert_eq!(folder("-"), "run/explain/sequences-stdin");
    }
}
