//! `explain sequences` and `explain variants`: what a run's network has learned, one file for each.

pub mod sequences;
pub mod variants;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::run::{FORMAT_VERSION, RunFolder, WEIGHTS, sha256};

/// What an explanation's own file holds: where it comes from, and more.
///
/// # Errors
/// The weights cannot be read.
pub fn origin<const N: usize>(run: &RunFolder, more: [(&str, Value); N]) -> Result<Map<String, Value>> {
    let command: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let from = [
        ("format_version", FORMAT_VERSION.into()),
        ("run", json!(std::path::absolute(&run.path)?)),
        ("weights_sha256", sha256(&run.file(WEIGHTS))?.into()),
        ("command", command.into()),
    ];
    Ok(from.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The folder in the run for the explanation of a file.
pub fn default_folder(run: &RunFolder, what: &str, file: &Path) -> PathBuf {
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
