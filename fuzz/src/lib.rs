//! What the fuzz targets share: a folder in memory for the parsers that take a path, inputs that hold several files, and
//! settings from flags.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use strandnet_core::config::{Config, Faults};
use strandnet_core::dataset::examples::Examples;

/// Divides the files of one input, on a line of its own.
const DIVIDER: &[u8] = b"%%\n";

/// The parts of an input.
pub fn sections(data: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut start, mut line) = (Vec::new(), 0, 0);
    while line < data.len() {
        if data[line..].starts_with(DIVIDER) {
            parts.push(&data[start..line]);
            start = line + DIVIDER.len();
            line = start;
        } else {
            line += data[line..].iter().position(|&byte| byte == b'\n').map_or(data.len() - line, |end| end + 1);
        }
    }
    parts.push(&data[start..]);
    parts
}

/// A safetensors file: the input as it is, or where it begins with a header, that and its values, each with what makes it a
/// file. A header's length is seldom right once it has changed.
pub fn tensor_file(input: &[u8]) -> Vec<u8> {
    if !input.starts_with(b"{") {
        return input.to_vec();
    }
    let sections = sections(input);
    let header = sections[0].trim_ascii_end();
    let length = (header.len() as u64).to_le_bytes();
    [&length, header, sections.get(1).copied().unwrap_or_default()].concat()
}

/// The current folder of a target, so that files may name each other by relative paths. It lies in TMPDIR, which
/// scripts/fuzz sets to a folder in memory and removes.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("TMPDIR can be written").keep();
        std::env::set_current_dir(&folder).expect("a folder just made can be entered");
        folder
    })
}

/// Writes a file of the current folder, or removes it where there is nothing to write.
pub fn put(name: &str, bytes: Option<&[u8]>) -> PathBuf {
    let path = folder().join(name);
    match bytes {
        Some(bytes) => fs::write(&path, bytes).expect("there is room in TMPDIR"),
        None => drop(fs::remove_file(&path)),
    }
    path
}

/// Makes the message of an error, as `main` would, and nothing of a success.
pub fn explained<T>(result: anyhow::Result<T>) -> Option<T> {
    result.inspect_err(|error| assert!(!format!("{error:#}").is_empty(), "an error says what is wrong")).ok()
}

/// Settings as `train` takes them, from one flag a line and a TOML file; nothing where clap turns the flags down.
pub fn resolve(file: Option<&Path>, flags: &[u8]) -> Option<Result<Config, Faults>> {
    let matches = matches_of(flags)?;
    let parsed = Config::from_arg_matches(&matches).expect("clap has looked at the flags");
    Some(Config::resolve(file, &parsed, &matches))
}

fn matches_of(flags: &[u8]) -> Option<ArgMatches> {
    let flags = std::str::from_utf8(flags).ok()?;
    let command = Config::augment_args(Command::new("train").no_binary_name(true)).args_override_self(true);
    command.try_get_matches_from(flags.lines()).ok()
}

/// Checks what everything after the parsers takes for granted of examples.
pub fn check(examples: &Examples) {
    let Examples { length, width, labels, .. } = examples;
    assert_eq!(labels.len(), examples.len() * width);
    let codes = examples.all_codes().expect("what was written can be read");
    assert_eq!(codes.len(), examples.len() * length);
    assert!(codes.iter().all(|&code| code <= 4), "codes are bare of case");
    assert!(labels.iter().all(|label| label.is_finite()));
}
