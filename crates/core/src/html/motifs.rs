//! The motifs that `explain motifs` found for a run.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::format::thousands;
use crate::html::files::RunFiles;
use crate::html::picture::Picture;
use crate::html::question::command_line;
use crate::motif::known::SIGNIFICANT;
use crate::motif::motifs::{Matching, Origin};
use crate::run::{MOTIFS_JSON, WEIGHTS, sha256};

/// Largest number of motifs shown of each origin; the folder has them all.
const MOST: usize = 12;

/// The motifs of a run.
pub struct Motifs {
    pub command: String,
    /// Whether they belong to other weights than the run has now; then none are shown.
    pub are_outdated: bool,
    pub sets: Vec<Set>,
}

/// Motifs of one origin.
pub struct Set {
    pub title: &'static str,
    pub text: String,
    pub motifs: Vec<Motif>,
}

pub struct Motif {
    pub name: String,
    pub consensus: String,
    pub facts: Vec<String>,
    pub logo: Picture,
}

/// The fields of `motifs.json` that the report needs.
#[derive(Deserialize)]
struct About {
    weights_sha256: String,
    command: Vec<String>,
    sequences: usize,
    known_motifs: usize,
    #[serde(default)]
    sequences_for_discovery: usize,
    /// Absent from what earlier versions wrote.
    matching: Option<Matching>,
    matching_of_discovered: Option<Matching>,
}

/// A row of `motifs.tsv` or `discovered.tsv`. P-values are text, as some are too small for a number.
#[derive(Deserialize)]
struct Row {
    #[serde(alias = "filter", alias = "motif")]
    name: String,
    consensus: String,
    sites: usize,
    sequences: usize,
    enriched_in: String,
    share_of_class: Option<f64>,
    share_of_rest: Option<f64>,
    p_value: String,
    q_value: String,
    best_match: String,
    best_match_q_value: String,
    /// The motif that stands for it; absent from the tables of earlier versions.
    #[serde(default)]
    shown_as: String,
}

const ADVICE: &str = "run explain motifs again with --force";

/// Reads the motifs in a finished run's folder; empty if there are none.
///
/// # Errors
/// The files are damaged.
pub fn read(run: &RunFiles) -> Result<Option<Motifs>> {
    let folder = run.folder.file("explain").join("motifs");
    let path = folder.join(MOTIFS_JSON);
    if !run.is_finished || !path.is_file() {
        return Ok(None);
    }
    let shown = path.display();
    let bytes = std::fs::read(&path).with_context(|| format!("{shown}: cannot be read; {ADVICE}"))?;
    let about: About =
        serde_json::from_slice(&bytes).map_err(|error| anyhow!("{shown}: is damaged ({error}); {ADVICE}"))?;
    let command = command_line(&about.command);
    if about.weights_sha256 != sha256(&run.folder.file(WEIGHTS))? {
        return Ok(Some(Motifs { command, are_outdated: true, sets: Vec::new() }));
    }
    let known = |matching: &Option<Matching>, noun: &str| match (about.known_motifs, matching) {
        (0, _) => String::new(),
        (known, Some(matching)) => {
            format!(" They were held against {} known motifs: {}.", thousands(known), matching.summary(noun))
        }
        (known, None) => format!(
            " They were held against {} known motifs by an earlier version, whose q-values had no null; {ADVICE}.",
            thousands(known)
        ),
    };
    let mut sets = Vec::new();
    let of_discovered = known(&about.matching_of_discovered, "discovered motifs");
    let of_filters = known(&about.matching, "filters");
    for (file, origin, sequences, known) in [
        ("discovered.tsv", Origin::Importance, about.sequences_for_discovery, of_discovered),
        ("motifs.tsv", Origin::Filters, about.sequences, of_filters),
    ] {
        if !folder.join(file).is_file() {
            continue;
        }
        let (motifs, all) = of_table(&folder, file)?;
        let shown = if all > motifs.len() {
            format!("The {} of {} that tell most", motifs.len(), thousands(all))
        } else {
            format!("{} in all", thousands(all))
        };
        let in_sequences = format!("{shown}, in {} sequences.{known}", thousands(sequences));
        let (title, what) = match origin {
            Origin::Importance => {
                ("Motifs discovered from attributions", "Motifs of the stretches that predictions rest on.")
            }
            Origin::Filters => ("Filters of the first layer", "Motifs made of the places where a filter fires."),
        };
        sets.push(Set { title, text: format!("{what} {in_sequences}"), motifs });
    }
    Ok(Some(Motifs { command, are_outdated: false, sets }))
}

/// The most informative motifs of a table, and their total number.
fn of_table(folder: &Path, file: &str) -> Result<(Vec<Motif>, usize)> {
    let path = folder.join(file);
    let shown = path.display();
    let cannot_read = |error: csv::Error| anyhow!("{shown}: cannot be read ({error}); {ADVICE}");
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_path(&path).map_err(cannot_read)?;
    let mut rows: Vec<Row> = Vec::new();
    for row in reader.deserialize() {
        rows.push(row.map_err(cannot_read)?);
    }
    rows.retain(|row| row.sites > 0);
    // A row that names none of the others is shown itself.
    let names: BTreeSet<String> = rows.iter().map(|row| row.name.clone()).collect();
    let is_shown = |row: &Row| row.shown_as == row.name || !names.contains(&row.shown_as);
    let (mut rows, near): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_shown);
    rows.sort_by(|a, b| log_10(&a.p_value).total_cmp(&log_10(&b.p_value)).then(b.sites.cmp(&a.sites)));
    let all = rows.len();
    let motifs = rows.into_iter().take(MOST).map(|row| {
        if Path::new(&row.name).file_name().is_none_or(|name| name != row.name.as_str()) {
            bail!("{shown}: names the motif '{}', expected a name without folders; {ADVICE}", row.name);
        }
        let logo = folder.join("logos").join(format!("{}.png", row.name));
        let alt = format!("Logo of {}: {}", row.name, row.consensus);
        Ok(Motif {
            logo: Picture::read_svg_or_png(&logo, alt, ADVICE)?,
            facts: facts(&row, &near),
            name: row.name,
            consensus: row.consensus,
        })
    });
    Ok((motifs.collect::<Result<_>>()?, all))
}

/// What is said of a motif; `near` are those that are shown as others.
fn facts(row: &Row, near: &[Row]) -> Vec<String> {
    let mut facts = vec![format!("{} sites in {} sequences", thousands(row.sites), thousands(row.sequences))];
    if let (Some(there), Some(elsewhere)) = (row.share_of_class, row.share_of_rest) {
        let (class, q) = (&row.enriched_in, &row.q_value);
        facts.push(format!("in {:.1} % of {class}, {:.1} % of the rest (q {q})", there * 100.0, elsewhere * 100.0));
    }
    if !row.best_match.is_empty() {
        let (known, q) = (&row.best_match, &row.best_match_q_value);
        let is_match = log_10(q) < SIGNIFICANT.log10();
        facts.push(if is_match {
            format!("like {known} (q {q})")
        } else {
            format!("nearest to {known}, no match (q {q})")
        });
    }
    let near: Vec<&str> = near.iter().filter(|near| near.shown_as == row.name).map(|near| near.name.as_str()).collect();
    if !near.is_empty() {
        facts.push(format!("×{}, with the near-identical {}", near.len() + 1, near.join(", ")));
    }
    facts
}

/// Logarithm of a p-value given as text, however small; 0 if it is missing.
fn log_10(text: &str) -> f64 {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    match (digits.parse::<f64>(), exponent.parse::<f64>()) {
        (Ok(digits), Ok(exponent)) if digits > 0.0 => digits.log10() + exponent,
        (Ok(_), Ok(_)) => f64::NEG_INFINITY,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_beyond_numbers_have_an_order() {
        assert!(log_10("1.00e-1563") < log_10("5.90e-1563") && log_10("5.90e-1563") < log_10("0.012"));
        assert_eq!((log_10(""), log_10("1"), log_10("0")), (0.0, 0.0, f64::NEG_INFINITY));
    }
}
