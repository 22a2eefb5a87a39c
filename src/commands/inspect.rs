//! `inspect`: a look at the data that `train` would learn from, without training.

use anyhow::Result;
use clap::ArgMatches;
use serde_json::{Map, Value, json};

use crate::cli::Inspect;
use crate::commands::{data_of, print, print_json};
use crate::device;
use strandnet_core::config::{Config, TaskKind};
use strandnet_core::figures::composition;
use strandnet_core::inspect::{self, NearCopies};
use strandnet_core::progress::Progress;
use strandnet_core::run::{Contents, FORMAT_VERSION, INSPECTION_JSON, OutputFolder};

pub fn run(command: &Inspect, flags: &ArgMatches, progress: Progress) -> Result<()> {
    device::set_threads(command.threads.map(usize::from));
    let settings = Config { data: command.data.clone(), ..Config::default() };
    let mut config = Config::resolve(command.config.as_deref(), &settings, flags)?;
    if let Some(seed) = command.seed {
        config.training.seed = seed;
    }
    let out =
        command.out.as_ref().map(|path| OutputFolder::create(path, Contents::Inspection, command.force)).transpose()?;
    let data = data_of(&config, &progress)?;
    if data.kind == TaskKind::Binary {
        let (name, why) = (data.classes.positive_name(), data.classes.why_positive(&config.data));
        progress.say(&format!("positive class {name}{why}"));
    }
    let found = inspect::inspect(&data, &config.data, NearCopies::Always)?;
    let mut text = composition::table(&found, &data);
    let mut object: Map<String, Value> = Map::new();
    object.insert("format_version".into(), json!(FORMAT_VERSION));
    if let Value::Object(values) = serde_json::to_value(&found)? {
        object.extend(values);
    }
    if let Some(folder) = out {
        let (out, replaced) = folder.keep()?;
        out.write_json(INSPECTION_JSON, &object)?; // first: by it --force knows the folder
        composition::draw(&found, &out)?;
        replaced.discard();
        text.push_str(&format!("{}\n", out.path.display()));
    }
    if found.warnings.is_empty() {
        progress.say("no warnings");
    }
    found.report(progress);
    if command.json { print_json(&object) } else { print(&text) }
}
