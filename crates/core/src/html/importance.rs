//! The attributions that `explain sequences` wrote into a run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::format::counted;
use crate::html::files::RunFiles;
use crate::html::picture::Picture;
use crate::html::question::command_line;
use crate::run::{IMPORTANCE_JSON, WEIGHTS, sha256};

/// Largest number of figures shown of each file; the folder has them all.
const MOST: usize = 12;

/// The attributions of one file.
pub struct Importance {
    /// Name of the folder.
    pub title: String,
    pub command: String,
    /// Whether they belong to other weights than the run has now; then none are shown.
    pub is_outdated: bool,
    pub text: String,
    pub pictures: Vec<Picture>,
}

/// The fields of `importance.json` that the report needs.
#[derive(Deserialize)]
struct About {
    weights_sha256: String,
    command: Vec<String>,
    methods: Vec<String>,
    explained: String,
    sequences: usize,
    #[serde(default)]
    pictures: Vec<String>,
}

const ADVICE: &str = "run explain sequences again with --force";

/// Reads the attributions in a finished run's folder; empty if there are none.
///
/// # Errors
/// The files are damaged.
pub fn read(run: &RunFiles) -> Result<Vec<Importance>> {
    let mut all = Vec::new();
    for (folder, about) in explanations::<About>(run, IMPORTANCE_JSON, ADVICE)? {
        let title = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let command = command_line(&about.command);
        let is_outdated = about.weights_sha256 != sha256(&run.folder.file(WEIGHTS))?;
        let (mut text, mut pictures) = (String::new(), Vec::new());
        if !is_outdated {
            for name in about.pictures.iter().take(MOST) {
                pictures.push(picture(&folder, name)?);
            }
            let shown = match about.pictures.len() {
                0 => "none of them drawn".to_owned(),
                n if n > pictures.len() => format!("the first {} of {n} that are drawn", pictures.len()),
                n => format!("{n} of them drawn"),
            };
            let sequences = counted(about.sequences as u64, "sequence");
            text = format!("The {}, by {}, of {sequences}, {shown}.", about.explained, about.methods.join(", "));
        }
        all.push(Importance { title, command, is_outdated, text, pictures });
    }
    Ok(all)
}

fn picture(folder: &Path, name: &str) -> Result<Picture> {
    if Path::new(name).file_name().is_none_or(|file| file != name) {
        let shown = folder.join(IMPORTANCE_JSON);
        bail!("{}: names the picture '{name}', expected a name without folders; {ADVICE}", shown.display());
    }
    let title = name.trim_end_matches(".png");
    Picture::read(&folder.join("pictures").join(name), format!("Importance of the bases of {title}"), ADVICE)
}

/// The folders of explanations in a finished run that hold a file of the given name, with what it says, in the order of
/// their names.
pub(super) fn explanations<T: DeserializeOwned>(run: &RunFiles, name: &str, advice: &str) -> Result<Vec<(PathBuf, T)>> {
    let Ok(entries) = std::fs::read_dir(run.folder.file("explain")) else { return Ok(Vec::new()) };
    let folders = entries.flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join(name).is_file()).collect();
    folders.sort();
    if !run.is_finished {
        folders.clear();
    }
    let about = |folder: PathBuf| {
        let path = folder.join(name);
        let shown = path.display();
        let bytes = std::fs::read(&path).with_context(|| format!("{shown}: cannot be read; {advice}"))?;
        let about =
            serde_json::from_slice(&bytes).map_err(|error| anyhow!("{shown}: is damaged ({error}); {advice}"))?;
        Ok((folder, about))
    };
    folders.into_iter().map(about).collect()
}
