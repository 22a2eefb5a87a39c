//! `tune.json`: the plan of a search, which is compared when a search is resumed.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::config::search::Search;
use crate::format;
use crate::run::{self, Build, DataFile};

/// The version of `tune.json` and `trials.csv`.
const FORMAT_VERSION: u32 = 1;

/// Largest number of differences that an error names.
const MOST_NAMED: usize = 4;

/// The settings of a search.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Version of the format.
    pub format_version: u32,
    /// Version of strandnet.
    pub version: String,
    /// Git revision that strandnet was built from; empty outside a checkout.
    pub git_revision: String,
    /// The seed.
    pub seed: u64,
    /// Number of trials.
    pub trials: usize,
    /// Number of rungs.
    pub rungs: usize,
    /// One in this many trials is promoted at each rung.
    pub eta: usize,
    /// The hyperparameters and their ranges.
    pub search: Search,
    /// Data files with size and checksum.
    pub data_files: Vec<DataFile>,
    /// The configuration that trials vary.
    pub config: Config,
}

impl Plan {
    /// # Errors
    /// A file of the data cannot be read.
    pub fn new(
        config: &Config,
        search: &Search,
        (trials, rungs, eta): (usize, usize, usize),
        build: Build,
    ) -> Result<Self> {
        let data_files = config.data.paths().into_iter().map(run::describe_file).collect::<Result<_>>()?;
        Ok(Self {
            format_version: FORMAT_VERSION,
            version: build.version.into(),
            git_revision: build.git_revision.into(),
            seed: config.training.seed,
            trials,
            rungs,
            eta,
            search: search.clone(),
            data_files,
            config: config.with_absolute_paths(),
        })
    }

    /// Checks that the search in a folder has this plan. The machine may be another.
    ///
    /// # Errors
    /// The file is damaged, or its plan differs; the error names the differences.
    pub fn check_same(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| anyhow!("{shown}: cannot be read ({error})"))?;
        let found: Value = serde_json::from_str(&text)
            .map_err(|error| anyhow!("{shown}: is damaged ({error}); restore the file, or start over with --force"))?;
        if found["format_version"] != FORMAT_VERSION {
            bail!(
                "{shown}: has format version {}, expected {FORMAT_VERSION}; use the version of strandnet that wrote it, or start over with --force",
                found["format_version"]
            );
        }
        let mut different = Vec::new();
        differences("", &found, &serde_json::to_value(self)?, &mut different);
        let machine =
            ["version", "git_revision", "config.training.threads", "config.training.device", "config.data.memory"];
        different.retain(|(place, _)| !machine.contains(&place.as_str()));
        if different.is_empty() {
            return Ok(());
        }
        let more = if different.len() > MOST_NAMED { ", and more" } else { "" };
        let named: Vec<String> =
            different.into_iter().take(MOST_NAMED).map(|(place, what)| format!("{place} {what}")).collect();
        bail!(
            "{shown}: is of another search ({}{more}), expected the same to go on with; choose another --out, or start over with --force",
            named.join(", ")
        )
    }
}

/// Lists the differences between two values.
fn differences(place: &str, then: &Value, now: &Value, found: &mut Vec<(String, String)>) {
    let inside = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    match (then, now) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                differences(&inside(key), &then[key], &now[key], found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&inside(&i.to_string()), a, b, found);
            }
        }
        _ if then == now => {}
        _ => found.push((place.to_owned(), format!("was {}, is {}", brief(then), brief(now)))),
    }
}

/// Shortens a value for an error.
fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => "not set".to_owned(),
        other => other.to_string(),
    };
    format::shortened(&text, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: Build = Build { version: "1.0.0", git_revision: "", libtorch: "" };

    #[test]
    fn the_same_search_is_known_and_another_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tune.json");
        let config = Config::default();
        let plan = Plan::new(&config, &Search::usual(), (9, 3, 3), BUILD).unwrap();
        std::fs::write(&path, serde_json::to_string(&plan).unwrap()).unwrap();
        plan.check_same(&path).unwrap();

        let mut other = config.clone();
        other.training.threads = Some(1);
        Plan::new(&other, &Search::usual(), (9, 3, 3), BUILD).unwrap().check_same(&path).unwrap();
        other.training.lr = 0.5;
        let mut search = Search::usual();
        search.hyperparameters.pop();
        let error = Plan::new(&other, &search, (10, 3, 3), BUILD).unwrap().check_same(&path).unwrap_err().to_string();
        for part in ["trials was 9, is 10", "search.knobs was", "config.training.lr was 0.01, is 0.5", "--force"] {
            assert!(error.contains(part), "{error}");
        }
        for (text, part) in [("{\"form", "is damaged"), ("{}", "format version null"), ("3", "format version null")] {
            std::fs::write(&path, text).unwrap();
            let error = plan.check_same(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
