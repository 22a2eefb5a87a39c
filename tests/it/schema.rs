//! `schema`: it agrees with what the program accepts of settings files, and knows every setting.

use std::path::Path;

use clap::{Args, Command};
use serde_json::Value;
use strandnet_core::config::search::Search;
use strandnet_core::config::{Config, DataConfig, ModelConfig, TrainingConfig};

use crate::fixtures::{Folder, finished, succeed};

const SECTIONS: [&str; 3] = ["data", "model", "training"];

struct Schema {
    text: Value,
    validator: jsonschema::Validator,
}

impl Schema {
    fn printed() -> Self {
        let text: Value = serde_json::from_str(&succeed(&["schema"])).unwrap();
        Self { validator: jsonschema::validator_for(&text).unwrap(), text }
    }

    /// What it holds against a file.
    fn faults(&self, file: &str) -> String {
        let table: toml::Table = file.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let value = serde_json::to_value(table).unwrap();
        self.validator.iter_errors(&value).map(|error| format!("{}: {error}\n", error.instance_path())).collect()
    }

    /// The settings of a section, with what is said of each.
    fn settings(&self, section: &str) -> Vec<(&str, &Value)> {
        let settings = self.text["properties"][section]["properties"].as_object().unwrap();
        settings.iter().map(|(key, setting)| (key.as_str(), setting)).collect()
    }
}

/// The settings of a file as the program takes them, or everything that is wrong with them.
fn read(file: &str) -> Result<Config, String> {
    let folder = Folder::new();
    let path = folder.write("settings.toml", file);
    let matches = Config::augment_args(Command::new("train")).get_matches_from(["train"]);
    Search::read(Path::new(&path)).map_err(|faults| faults.to_string())?;
    Config::resolve(Some(Path::new(&path)), &Config::default(), &matches).map_err(|faults| faults.to_string())
}

#[test]
fn files_of_this_repository_and_those_that_runs_write_fit() {
    let schema = Schema::printed();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> =
        std::fs::read_dir(root.join("configs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5);
    files.push(finished().run.join("config.toml"));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(schema.faults(&text), "", "{}", file.display());
        // And as a run would save them.
        if let Ok(config) = read(&text) {
            assert_eq!(schema.faults(&config.to_toml()), "", "{}", file.display());
        }
    }
    assert_eq!(schema.faults(&Config::default().to_toml()), "");
}

#[test]
fn every_setting_is_in_it_and_no_other() {
    let schema = Schema::printed();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for section in SECTIONS {
        let command = match section {
            "data" => DataConfig::augment_args(Command::new("data")),
            "model" => ModelConfig::augment_args(Command::new("model")),
            _ => TrainingConfig::augment_args(Command::new("training")),
        };
        let mut flags: Vec<String> = command.get_arguments().map(|flag| flag.get_id().to_string()).collect();
        if section == "model" {
            flags.extend(["counts_positions", "layer", "pre_activation"].map(str::to_owned));
        }
        flags.sort();
        let settings = schema.settings(section);
        let mut keys: Vec<&str> = settings.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!(keys, flags, "[{section}]");
        for key in defaults[section].as_table().unwrap().keys() {
            assert!(keys.contains(&key.as_str()), "{section}.{key}");
        }
        for (key, setting) in settings {
            assert!(setting["description"].as_str().is_some_and(|text| text.len() > 3), "{section}.{key}: {setting}");
            let misspelt = format!("[{section}]\n{key}_ = 1\n");
            assert!(!schema.faults(&misspelt).is_empty() && read(&misspelt).is_err(), "{misspelt}");
        }
    }
    for wrong in ["[modle]\ndepth = 2\n", "epochs = 3\n", "[training]\ndropout = 0.5\n", "[search]\n"] {
        assert!(!schema.faults(wrong).is_empty() && read(wrong).is_err(), "{wrong}");
    }
}

/// Bounds that other settings move.
const MOVED: [&str; 2] = ["warmup", "length"];

/// Whether the program refuses a setting for its own value, and not for those beside it.
fn is_refused(section: &str, key: &str, value: &toml::Value) -> bool {
    let alone = toml::Table::from_iter([(key.to_owned(), value.clone())]);
    let file = toml::Table::from_iter([(section.to_owned(), toml::Value::Table(alone))]);
    if toml::Value::Table(file.clone()).try_into::<Config>().is_err() {
        return true;
    }
    let faults = read(&file.to_string()).err().unwrap_or_default();
    let flag = format!("--{} is ", key.replace('_', "-"));
    faults.contains(&flag) && !faults.contains(&format!("{flag}given")) && !MOVED.contains(&key)
}

#[test]
fn values_of_every_kind_are_taken_or_refused_by_both() {
    let schema = Schema::printed();
    let values =
        "values = [true, 16, -1, 0.6, 'word', 'auto', 'a=b', 'open=0.5', '', [], ['a=b'], [16], [[]], { a = 1 }]";
    let values = values.parse::<toml::Table>().unwrap()["values"].as_array().unwrap().clone();
    for section in SECTIONS {
        for (key, setting) in schema.settings(section) {
            if key == "layer" {
                continue;
            }
            for value in values.iter().chain(&beyond(setting)) {
                let file = format!("[{section}]\n{key} = {value}\n");
                let faults = schema.faults(&file);
                if faults.is_empty() {
                    // Whether a file is there, a schema cannot know.
                    let is_file = key == "negatives" && value.is_str();
                    assert!(is_file || !is_refused(section, key, value), "refused by the program alone: {file}");
                } else {
                    assert!(read(&file).is_err(), "refused by the schema alone: {file}{faults}");
                }
            }
        }
    }
}

/// Numbers at the bounds that a setting has, and just beyond them.
fn beyond(setting: &Value) -> Vec<toml::Value> {
    let mut values = Vec::new();
    for way in setting["anyOf"].as_array().map_or(vec![setting], |ways| ways.iter().collect()) {
        let is_whole = way["type"] == "integer";
        for (bound, step) in [("minimum", -1.0), ("maximum", 1.0), ("exclusiveMinimum", 0.0), ("exclusiveMaximum", 0.0)]
        {
            let Some(bound) = way[bound].as_f64() else { continue };
            for number in [bound, bound + if is_whole { step } else { step / 1024.0 }] {
                values.push(if is_whole { toml::Value::Integer(number as i64) } else { toml::Value::Float(number) });
            }
        }
    }
    values
}

#[test]
fn bounds_are_those_of_the_program() {
    let schema = Schema::printed();
    let of = |section: &str, key: &str| schema.text["properties"][section]["properties"][key].clone();
    assert_eq!(
        (of("training", "ensemble")["minimum"].as_u64(), of("training", "ensemble")["maximum"].as_u64()),
        (Some(1), Some(100))
    );
    assert_eq!(
        (of("model", "dropout")["minimum"].as_f64(), of("model", "dropout")["exclusiveMaximum"].as_f64()),
        (Some(0.0), Some(1.0))
    );
    assert_eq!(of("training", "epochs")["default"], 8);
    let choices: Vec<String> = of("model", "arch")["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["const"].as_str().unwrap().to_owned())
        .collect();
    assert!(choices.contains(&"residual".to_owned()) && choices.contains(&"custom".to_owned()), "{choices:?}");
    // What other times called them.
    for file in ["[model]\narch = \"seed\"\n", "[training]\nloss = \"bce\"\n"] {
        assert_eq!(schema.faults(file), "");
        read(file).unwrap();
    }
}

#[test]
fn layers_and_searches_are_checked_too() {
    let schema = Schema::printed();
    for right in [
        "[search]\nlr = { low = 1e-4, high = 1e-2, scale = \"log\" }\nbatch_size = { low = 32, high = 512 }\narch = [\"residual\", \"danq\"]\nlength = [128, 256]\n",
        "[search]\nema = [0.9, 0.99]\nnesterov = [true, false]\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = 3\n[[layer]]\nkind = \"exp\"\nat_most = 6.5\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = 0\n[[layer]]\nkind = \"exp\"\nat_most = 88\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = \"none\"\n[[layer]]\nkind = \"exp\"\nat_most = 6\n[[layer]]\nkind = \"flatten\"\n",
    ] {
        assert_eq!(schema.faults(right), "", "{right}");
        read(right).unwrap();
    }
    for wrong in [
        "[search]\nlr = []\n",
        "[search]\nlr = 3\n",
        "[search]\nlr = { low = 1 }\n",
        "[search]\nlr = { from = 1, high = 2 }\n",
        "[search]\nepochs = [1]\n",
        "[search]\nlearning_rate = [1]\n",
        "[search]\narch = [\"huge\"]\n",
        "[search]\nstrands = { low = 0, high = 1 }\n",
        "[search]\ngenome = [\"a=b\"]\n",
        "[search]\nshift = { low = 0.5, high = 3 }\n",
        "[search]\nbatch_size = [32, 32]\n",
        "[search]\noptimizer = [[\"sgd\"]]\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"pool\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"relu\"\nrate = 1\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"dense\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 0\nwidth = 5\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"dropout\"\nrate = 1\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"residual\"\nlayers = [{ kind = \"relu\", width = 2 }]\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"global-pool\"\nof = \"median\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = -1\n[[layer]]\nkind = \"exp\"\nat_most = 6\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = 1001\n[[layer]]\nkind = \"exp\"\nat_most = 6\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = \"full\"\n[[layer]]\nkind = \"exp\"\nat_most = 6\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = 3\n[[layer]]\nkind = \"exp\"\nat_most = 0\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = 3\n[[layer]]\nkind = \"exp\"\nat_most = 89.0\n[[layer]]\nkind = \"flatten\"\n",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 4\nwidth = 5\npadding = [3]\n[[layer]]\nkind = \"exp\"\nat_most = 6\n[[layer]]\nkind = \"flatten\"\n",
        "layer = 3\n[model]\narch = \"custom\"\n",
    ] {
        assert!(!schema.faults(wrong).is_empty(), "the schema takes {wrong}");
        assert!(read(wrong).is_err(), "the program takes {wrong}");
    }
}
