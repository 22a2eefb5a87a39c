//! Help, version, wrong usage, and the README's word on them.

use std::path::Path;

use crate::fixtures::{fail, run, strandnet, succeed};

#[test]
fn every_flag_says_its_default() {
    use clap::CommandFactory;
    check(&strandnet::cli::Cli::command());

    fn check(commands: &clap::Command) {
        for command in commands.get_subcommands() {
            for flag in command.get_arguments().filter(|flag| !flag.is_positional() && flag.get_id() != "help") {
                let name = format!("{} --{}", command.get_name(), flag.get_id());
                let help = flag.get_help().unwrap_or_else(|| panic!("{name} has no help")).to_string();
                let says = help.contains("default") || help.contains("none: ") || !flag.get_default_values().is_empty();
                assert!(says, "{name} does not say its default: {help}");
            }
            check(command);
        }
    }
}

#[test]
fn the_version_names_libtorch() {
    assert!(succeed(&["--version"]).contains("libtorch 2.11.0"));
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in
        [&[][..], &["frobnicate"], &["train", "--no-such-flag"], &["train", "--device", "tpu"], &["predict", "run"]]
    {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let error = fail(2, &["train", "--arch", "shallow", "--length", "46", "--epochs", "0"]);
    assert!(error.contains("--length is 46 bp, expected 47") && error.contains("--epochs is 0"), "{error}");
}

#[test]
fn the_readme_shows_the_usage_as_it_is() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let output = strandnet().arg("--help").env("COLUMNS", "100").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(readme.contains(help.trim()), "README.md does not hold the output of `strandnet --help`:\n{help}");
}
