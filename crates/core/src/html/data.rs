//! Number of examples of a run by split and class.

use std::collections::HashMap;

use anyhow::Result;

use crate::config::TaskKind;
use crate::dataset::manifest;
use crate::dataset::split::Split;
use crate::figures::MOST_PARTS;
use crate::format::{self, thousands};
use crate::html::files::RunFiles;
use crate::html::table::{Cell, Table};
use crate::run::EXAMPLES_TSV;

/// Number of examples of a class, label or column in a split.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Examples of a class, or with a label.
    count: usize,
    sum: f64,
    squares: f64,
    range: Option<(f64, f64)>,
}

impl Tally {
    fn add_value(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
        let (low, high) = self.range.unwrap_or((value, value));
        self.range = Some((low.min(value), high.max(value)));
    }

    fn of_values(&self) -> String {
        let Some((low, high)) = self.range else { return "–".into() };
        let n = self.count as f64;
        let mean = self.sum / n;
        let deviation = (self.squares / n - mean * mean).max(0.0).sqrt();
        format!(
            "{} ± {}, {} to {}",
            format::metric(mean),
            format::metric(deviation),
            format::metric(low),
            format::metric(high)
        )
    }
}

/// How the examples are spread over splits and classes.
pub struct Balance {
    /// Counts by split and class.
    pub table: Table,
    /// Number of classes, labels or columns left out of the table.
    pub more: usize,
}

/// Counts the examples that a run lists.
///
/// # Errors
/// The listing of examples has changed or cannot be read.
pub fn balance(run: &RunFiles) -> Result<Balance> {
    let (kind, names) = (run.task().kind, &run.classes.names);
    let mut tallies = vec![[Tally::default(); Split::ALL.len()]; names.len()];
    let index: HashMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut listed = [0; Split::ALL.len()];
    if let Some(path) = run.file(EXAMPLES_TSV)? {
        manifest::labels(&path, |split, label| {
            let place = split as usize;
            listed[place] += 1;
            match kind {
                TaskKind::Binary | TaskKind::Multiclass => {
                    if let Some(&class) = index.get(label) {
                        tallies[class][place].count += 1;
                    }
                }
                TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
                    for (name, value) in manifest::pairs(label).unwrap_or_default() {
                        let Some(&column) = index.get(name).filter(|_| !value.is_nan()) else { continue };
                        match kind {
                            TaskKind::Regression | TaskKind::Profile => {
                                tallies[column][place].add_value(f64::from(value))
                            }
                            _ => tallies[column][place].count += usize::from(value == 1.0),
                        }
                    }
                }
            }
        })?;
    }
    let counts = run.provenance.examples;
    let all = [counts.train, counts.valid, counts.test];
    let (what, of) = match kind {
        TaskKind::Binary | TaskKind::Multiclass => ("class", "Examples of each class, and their share of the split"),
        TaskKind::Multilabel => ("label", "Examples with each label, and their share of the split"),
        TaskKind::Regression | TaskKind::Profile => {
            ("value", "Mean and standard deviation of the values, and their range")
        }
    };
    let mut table = Table::new(of, &[(what, false), ("training", true), ("validation", true), ("test", true)]);
    for (name, tallies) in names.iter().zip(&tallies).take(MOST_PARTS) {
        let cells = tallies.iter().zip(listed).map(|(tally, n)| match kind {
            _ if n == 0 => Cell::from("–"),
            TaskKind::Regression | TaskKind::Profile => tally.of_values().into(),
            _ => Cell::noted(thousands(tally.count), format!("{:.1} %", 100.0 * tally.count as f64 / n as f64)),
        });
        table.row(std::iter::once(Cell::from(name.clone())).chain(cells));
    }
    table.row(std::iter::once(Cell::from("all examples")).chain(all.map(|n| thousands(n).into())));
    Ok(Balance { table, more: names.len().saturating_sub(MOST_PARTS) })
}

/// Paths of the data files; empty for simulated data.
pub fn files(run: &RunFiles) -> Option<Table> {
    let files = &run.provenance.data_files;
    let mut table = Table::new("Data files", &[("file", false), ("bytes", true), ("SHA-256", false)]);
    for file in files {
        let bytes = thousands(usize::try_from(file.bytes).unwrap_or(usize::MAX));
        let moved = run.provenance.resolved.iter().flat_map(|resolved| &resolved.moved_files);
        let path = file.path.display().to_string();
        let path = match moved.into_iter().find(|moved| moved.found == file.path) {
            Some(moved) => Cell::noted(path, format!("found by its checksum; was {}", moved.recorded.display())),
            None => path.into(),
        };
        table.row([path, bytes.into(), file.sha256.clone().into()]);
    }
    (!files.is_empty()).then_some(table)
}
