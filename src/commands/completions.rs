//! `completions`: a script by which a shell completes commands, flags and their values.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::aot;

use crate::cli::{Cli, Completions, Shell};
use crate::commands::print;

pub fn run(command: &Completions) -> Result<()> {
    let mut command_line = Cli::command();
    let name = command_line.get_name().to_owned();
    let mut script = Vec::new();
    let shell = match command.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    aot::generate(shell, &mut command_line, name, &mut script);
    print(&String::from_utf8(script)?)
}
