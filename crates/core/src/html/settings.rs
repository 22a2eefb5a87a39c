//! The settings, data and versions in which runs differ.

use crate::format::thousands;
use crate::html::files::RunFiles;
use crate::html::table::{Cell, Table};

/// Table of the settings that differ between runs; `None` if there are none.
pub fn differing(runs: &[RunFiles], names: &[String]) -> Option<Table> {
    let settings: Vec<Vec<(String, String)>> = runs.iter().map(settings_of).collect();
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in settings.iter().flatten() {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let mut table = Table::new("What is not the same in all runs", &[("setting", false)]);
    names.iter().for_each(|name| table.column(name.clone(), false));
    for key in keys {
        let of =
            |own: &Vec<(String, String)>| own.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone());
        let values: Vec<Option<String>> = settings.iter().map(of).collect();
        if values.iter().any(|value| *value != values[0]) {
            let cells = values.into_iter().map(|value| Cell::from(value.unwrap_or_else(|| "not set".into())));
            table.row([Cell::from(key)].into_iter().chain(cells));
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// All properties that may differ, by name; settings are named like their flags.
fn settings_of(run: &RunFiles) -> Vec<(String, String)> {
    let provenance = &run.provenance;
    let mut found = vec![
        ("classes".to_owned(), run.classes.names.join(", ")),
        ("positive class".into(), provenance.positive.clone().unwrap_or_default()),
        ("sequence length".into(), format!("{} bp", thousands(provenance.length))),
        ("parameters".into(), thousands(provenance.parameter_count)),
        ("training examples".into(), thousands(provenance.examples.train)),
        ("test examples".into(), thousands(provenance.examples.test)),
    ];
    // The configuration comes from TOML, so it is a table of tables.
    let config: toml::Table = provenance.config.to_toml().parse().unwrap_or_default();
    for (_, section) in config {
        let toml::Value::Table(section) = section else { continue };
        for (key, value) in section {
            let name = if key == "layer" { "[[layer]]".into() } else { format!("--{}", key.replace('_', "-")) };
            found.push((name, in_words(&value)));
        }
    }
    let checksums: Vec<String> =
        provenance.data_files.iter().map(|file| file.sha256.chars().take(12).collect()).collect();
    found.extend([
        ("data files (SHA-256)".to_owned(), checksums.join(", ")),
        ("strandnet".into(), provenance.version.clone()),
        ("revision".into(), provenance.git_revision.clone()),
        ("libtorch".into(), provenance.libtorch.clone()),
        ("device".into(), provenance.device.clone()),
        ("threads used".into(), provenance.threads.to_string()),
        ("processes".into(), provenance.processes.to_string()),
    ]);
    found
}

fn in_words(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(in_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
