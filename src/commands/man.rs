//! `man`: a manual of every command, made of what `--help` says.

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::cli::{Cli, Man};
use crate::commands::print;
use strandnet_core::run;

pub fn run(command: &Man) -> Result<()> {
    let out = &command.out;
    std::fs::create_dir_all(out)
        .with_context(|| format!("{}: cannot be made a folder for manuals; choose another", out.display()))?;
    let mut command_line = Cli::command().disable_help_subcommand(true);
    command_line.build(); // names of commands within commands
    for (name, manual) in manuals_of(&command_line)? {
        run::write_atomically(&out.join(name), &manual)?;
    }
    print(&format!("{}\n", out.display()))
}

/// File names and manuals of a command and of all commands within it.
fn manuals_of(command: &clap::Command) -> Result<Vec<(String, Vec<u8>)>> {
    let manual = clap_mangen::Man::new(command.clone()).source(concat!("strandnet ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    manual.render(&mut text)?;
    let mut manuals = vec![(manual.get_filename(), text)];
    for command in command.get_subcommands() {
        manuals.extend(manuals_of(command)?);
    }
    Ok(manuals)
}
