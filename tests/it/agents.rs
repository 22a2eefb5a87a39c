//! docs/agents.md: what stands there runs, and JSON has the keys that it names.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::fixtures::{Folder, has_bash, json, text};

fn guide() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agents.md")).unwrap()
}

/// The blocks of commands, in order.
fn blocks(guide: &str) -> Vec<&str> {
    guide.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```\n").next().unwrap()).collect()
}

/// The keys that the table names for the JSON of a command.
fn keys<'a>(guide: &'a str, command: &str) -> Vec<&'a str> {
    let row = guide.lines().find(|line| line.starts_with(&format!("| {command} | `")));
    let row = row.unwrap_or_else(|| panic!("docs/agents.md has no row of keys of {command}"));
    row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_command_of_the_guide_for_programs_runs() {
    if !has_bash() {
        return;
    }
    let (guide, folder) = (guide(), Folder::new());
    let blocks = blocks(&guide);
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    let program = Path::new(env!("CARGO_BIN_EXE_strandnet")).parent().unwrap();
    let path = format!("{}:{}", text(program), std::env::var("PATH").unwrap());
    for block in blocks {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(folder.path(""))
            .env("PATH", &path)
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\nends with {}: {said}", output.status);
    }
    for (command, file) in [
        ("`doctor`", "doctor.json"),
        ("`inspect`", "inspection.json"),
        ("`model`", "layers.json"),
        ("`evaluate`", "evaluation.json"),
        ("`report`, several runs", "comparison.json"),
    ] {
        let found: Value = json(&folder.path(file));
        for key in keys(&guide, command) {
            assert!(found.get(key).is_some(), "{command}: '{key}' is missing from {found}");
        }
    }
    let metrics = json(&folder.path("run/metrics.json"));
    assert!(metrics["test"]["threshold"].is_number() && metrics["test"]["auroc"]["value"].is_number());
    assert!(json(&folder.path("folds/cv.json"))["metrics"].is_object());
    let header = std::fs::read_to_string(folder.path("regions.tsv")).unwrap();
    assert!(header.contains("region_start\tregion_end"), "{header}");
}

#[test]
fn the_guide_for_programs_names_every_command() {
    use clap::CommandFactory;
    let guide = guide();
    for command in strandnet::cli::Cli::command().get_subcommands() {
        let name = command.get_name();
        let about_installing = ["completions", "man"].contains(&name);
        let is_named = guide.contains(&format!("`{name}")) || guide.contains(&format!("strandnet {name}"));
        assert!(about_installing || is_named, "docs/agents.md does not name {name}");
    }
}
