//! Values of flags, and whole command lines. The input is the value of one flag, then words of a command line, one a
//! line. A value that is shown must be read back as itself.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use clap::{CommandFactory, FromArgMatches};
use libfuzzer_sys::fuzz_target;
use strandnet::cli::Cli;
use strandnet::config::{self, ClassWeights, DeviceChoice, NamedPath, Negatives};
use strandnet_fuzz::sections;

fn shown<T: FromStr<Err = String> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(&value)),
        Err(fault) => assert!(!fault.is_empty()),
    }
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
        match Cli::command().try_get_matches_from(line) {
            Ok(matches) => drop(Cli::from_arg_matches(&matches).expect("clap has looked at the words")),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
