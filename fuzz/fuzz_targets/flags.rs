//! Values of flags, and whole command lines (with libtorch; else only the settings among them). The input is the value of
//! one flag, then words of a command line, one a line. A value that is shown must be read back as itself.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use clap::Error;
use libfuzzer_sys::fuzz_target;
use strandnet_core::config::{self, ClassWeights, DeviceChoice, NamedPath, Negatives};
use strandnet_fuzz::sections;
#[cfg(not(feature = "libtorch"))]
use {clap::Args, clap::Command, clap::FromArgMatches};
#[cfg(feature = "libtorch")]
use {clap::CommandFactory, clap::FromArgMatches, strandnet::cli::Cli};

fn shown<T: FromStr<Err = String> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(&value)),
        Err(fault) => assert!(!fault.is_empty()),
    }
}

/// The program's command line.
#[cfg(feature = "libtorch")]
fn parse<'a>(line: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let matches = Cli::command().try_get_matches_from(line)?;
    Cli::from_arg_matches(&matches).expect("clap has checked the words");
    Ok(())
}

/// The settings of `train`, which are the part of the command line that core holds.
#[cfg(not(feature = "libtorch"))]
fn parse<'a>(line: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let command = config::Config::augment_args(Command::new("strandnet"));
    let matches = command.try_get_matches_from(line.filter(|word| *word != "train"))?;
    config::Config::from_arg_matches(&matches).expect("clap has checked the words");
    Ok(())
}

fuzz_target!(|input: &str| {
    let sections = sections(input.as_bytes());
    let text = |i: usize| sections.get(i).and_then(|part| std::str::from_utf8(part).ok());
    let value = text(0).unwrap_or_default();
    shown::<NamedPath>(value);
    shown::<Negatives>(value);
    shown::<ClassWeights>(value);
    shown::<DeviceChoice>(value);
    if let Ok(count) = config::count(value) {
        assert!(count <= 1_000_000_000);
    }
    if let Ok(name) = config::trimmed(value) {
        assert_eq!(config::trimmed(&name), Ok(name.clone()));
    }
    if let Some(words) = text(1) {
        let line = ["strandnet"].into_iter().chain(words.lines());
        if let Err(error) = parse(line) {
            assert!(!error.to_string().is_empty());
        }
    }
});
