//! Experiments as TOML files: read, made relative to where they stand, and put over the defaults one setting at a time.

use std::path::Path;

use clap::{Args, ValueEnum};

use crate::config::search::SEARCH;
use crate::config::{
    Architecture, Config, ControlTrack, DataConfig, ModelConfig, NamedPath, Negatives, SignalTrack, TrainingConfig,
    layers, nearest,
};

/// Keys that hold paths, which a file gives relative to itself.
pub const PATH_KEYS: [&str; 17] = [
    "fold_file",
    "genome",
    "class",
    "valid_class",
    "test_class",
    "reference",
    "regions",
    "signal",
    "control",
    "negatives",
    "exclude",
    "train",
    "valid",
    "test",
    "examples",
    "init_from",
    "bias",
];

/// Those that hold NAME=PATH.
const NAMED_PATH_KEYS: [&str; 5] = ["genome", "class", "valid_class", "test_class", "regions"];

/// Settings of the data that still mean something where `--examples` lists every example.
const KEYS_BESIDE_EXAMPLES: [&str; 8] =
    ["classes", "task", "label_columns", "missing", "bin", "length", "fit", "memory"];

/// Drops where a file's data come from and how they are split: `--examples` says both.
pub fn forget_sources(settings: &mut toml::Table) {
    if let Some(toml::Value::Table(data)) = settings.get_mut("data") {
        data.retain(|key, _| KEYS_BESIDE_EXAMPLES.contains(&key));
    }
}

/// A section of the settings, made where there is none.
pub fn section_mut<'a>(settings: &'a mut toml::Table, section: &str) -> &'a mut toml::Table {
    settings
        .entry(section)
        .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        .as_table_mut()
        .expect("a section is a table")
}

/// Reads a file as TOML; what is wrong is a sentence with the line.
///
/// # Errors
/// The file is missing, cannot be read or is not TOML.
pub fn read(path: &Path) -> Result<toml::Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{}: no such file, expected a TOML configuration; check the path", path.display())
        }
        _ => format!("{}: cannot be read ({error})", path.display()),
    })?;
    text.parse::<toml::Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("{}: line {line}: is not TOML ({}); fix the line", path.display(), error.message().replace('\n', " "))
    })
}

/// The architecture that a file names, if it names one that there is.
pub fn architecture(settings: &toml::Table) -> Option<Architecture> {
    let name = settings.get("model")?.get("arch")?.as_str()?;
    Architecture::from_str(name, false).ok()
}

/// Puts the file's settings over `settings`, one by one, so that every wrong one is reported and not only the first.
pub fn overlay(settings: &mut toml::Table, file: &toml::Table, path: &Path, faults: &mut Vec<String>) {
    let folder = path.parent().unwrap_or(Path::new(""));
    for (section, values) in file.iter().filter(|(section, _)| *section != SEARCH) {
        if section == "layer" {
            put_layers(settings, values, path, faults);
            continue;
        }
        let Some(values) = values.as_table() else {
            let place = match section_that_has(section) {
                Some(other) => format!("stands outside of a section; put it into [{other}]"),
                None => "is not a section, expected [data], [model] and [training]".into(),
            };
            faults.push(format!("{}: '{section}' {place}", path.display()));
            continue;
        };
        if !SECTIONS.contains(&section.as_str()) {
            let meant = nearest::nearest(section, SECTIONS.into_iter().chain([SEARCH, "layer"]));
            let hint = meant.map_or_else(String::new, |meant| format!(", did you mean [{meant}]?"));
            faults.push(format!(
                "{}: unknown section [{section}]{hint}; expected [data], [model], [training] or [{SEARCH}]",
                path.display()
            ));
            continue;
        }
        for (key, value) in values {
            if section == "model" && key == "layer" {
                put_layers(settings, value, path, faults);
                continue;
            }
            let value = if PATH_KEYS.contains(&key.as_str()) { rebase(key, value, folder) } else { value.clone() };
            let mut alone = toml::Table::new();
            section_mut(&mut alone, section).insert(key.clone(), value.clone());
            match toml::Value::Table(alone).try_into::<Config>() {
                Ok(_) => {
                    section_mut(settings, section).insert(key.clone(), value);
                }
                Err(error) => {
                    let reason = unknown_key(section, key)
                        .unwrap_or_else(|| format!("{}; correct the value", nearest::with_suggestion(error.message())));
                    faults.push(format!("{}: {section}.{key}: {reason}", path.display()));
                }
            }
        }
    }
}

/// The sections of settings.
const SECTIONS: [&str; 3] = ["data", "model", "training"];

/// The keys of a section; none where there is no such section.
fn keys_of(section: &str) -> Vec<String> {
    let command = clap::Command::new("keys");
    let command = match section {
        "data" => DataConfig::augment_args(command),
        "model" => ModelConfig::augment_args(command),
        "training" => TrainingConfig::augment_args(command),
        _ => command,
    };
    command.get_arguments().map(|argument| argument.get_id().to_string()).collect()
}

/// The section that has a setting of this name.
fn section_that_has(key: &str) -> Option<&'static str> {
    SECTIONS.into_iter().find(|section| keys_of(section).iter().any(|known| known == key))
}

/// The setting, and its section, that a misspelt key is most likely meant to be. Those of `section` come first.
pub fn meant_by(key: &str, section: Option<&str>) -> Option<(&'static str, String)> {
    let own = SECTIONS.into_iter().filter(|other| Some(*other) == section);
    let others = SECTIONS.into_iter().filter(|other| Some(*other) != section);
    own.chain(others).find_map(|section| {
        let keys = keys_of(section);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        nearest::nearest_key(key, &keys).map(|key| (section, key.to_owned()))
    })
}

/// What is wrong with a key that a section does not have; nothing where it has it.
fn unknown_key(section: &str, key: &str) -> Option<String> {
    let keys = keys_of(section);
    if keys.iter().any(|known| known == key) {
        return None;
    }
    if let Some(other) = section_that_has(key) {
        return Some(format!("'{key}' is a setting of [{other}]; move the line there"));
    }
    Some(match meant_by(key, Some(section)) {
        Some((other, meant)) if other == section => format!("unknown key '{key}', did you mean '{meant}'?"),
        Some((other, meant)) => format!("unknown key '{key}', did you mean '{meant}' of [{other}]?"),
        None => format!("unknown key '{key}', expected one of {}; correct or remove it", keys.join(", ")),
    })
}

/// The layers of a custom network: `[[layer]]` as people write them, `[[model.layer]]` as runs save them.
fn put_layers(settings: &mut toml::Table, list: &toml::Value, path: &Path, faults: &mut Vec<String>) {
    match layers::read_list(list) {
        Ok(_) if section_mut(settings, "model").contains_key("layer") => faults
            .push(format!("{}: holds [[layer]] and [[model.layer]], expected one of them; remove one", path.display())),
        Ok(_) => {
            section_mut(settings, "model").insert("layer".into(), list.clone());
        }
        Err(wrong) => faults.extend(wrong.into_iter().map(|fault| format!("{}: {fault}", path.display()))),
    }
}

/// Paths in a file are relative to it.
fn rebase(key: &str, value: &toml::Value, folder: &Path) -> toml::Value {
    match value {
        toml::Value::Array(values) => {
            toml::Value::Array(values.iter().map(|value| rebase(key, value, folder)).collect())
        }
        toml::Value::String(text) => toml::Value::String(match key {
            "negatives" if !matches!(text.parse(), Ok(Negatives::Bed(_))) => text.clone(),
            "control" => ControlTrack::within(folder, text).map_or_else(|_| text.clone(), |track| track.to_string()),
            "signal" => SignalTrack::within(folder, text).map_or_else(|_| text.clone(), |track| track.to_string()),
            key if NAMED_PATH_KEYS.contains(&key) => {
                let named = text.parse::<NamedPath>().map(|named| named.within(folder));
                named.map_or_else(|_| text.clone(), |named| named.to_string())
            }
            _ => folder.join(text).display().to_string(),
        }),
        other => other.clone(),
    }
}
