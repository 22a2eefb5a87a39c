//! `completions` and `man`: what shells complete, and a manual for every command.

use std::collections::BTreeSet;
use std::process::Command;

use crate::fixtures::{Folder, has_bash, skipped, succeed, text};

/// What bash completes the last word of a line with.
fn completed_by_bash(words: &[&str]) -> Vec<String> {
    const COMPLETE: &str = r#"source <("$1" completions bash)
        function_name=$(complete -p strandnet | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "$function_name" strandnet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let arguments = ["-c", COMPLETE, "bash", env!("CARGO_BIN_EXE_strandnet"), "strandnet"];
    let output = Command::new("bash").args(arguments).args(words).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !has_bash() {
        return;
    }
    assert_eq!(completed_by_bash(&["tra"]), ["train"]);
    assert_eq!(completed_by_bash(&["train", "--ensem"]), ["--ensemble"]);
    assert_eq!(completed_by_bash(&["train", "--strands", "eq"]), ["equivariant"]);
    assert_eq!(completed_by_bash(&["explain", "vari"]), ["variants"]);
    let commands = completed_by_bash(&[""]);
    for command in ["cv", "predict", "doctor", "schema"] {
        assert!(commands.iter().any(|known| known == command), "{command}: {commands:?}");
    }
}

#[test]
fn zsh_and_fish_accept_their_scripts() {
    let folder = Folder::new();
    for shell in ["zsh", "fish"] {
        let script = folder.write(&format!("strandnet.{shell}"), succeed(&["completions", shell]));
        match Command::new(shell).args(["-n", &script]).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && said.is_empty(), "{shell}: {said}");
            }
            Err(_) => skipped(shell, &format!("`apt-get install {shell}`")),
        }
    }
}

/// Names of a command and of all commands within it, as their manuals are called.
fn names_of(command: &clap::Command, above: &str) -> Vec<String> {
    let name = format!("{above}{}", command.get_name());
    let within = command.get_subcommands().flat_map(|command| names_of(command, &format!("{name}-")));
    std::iter::once(name.clone()).chain(within).collect()
}

#[test]
fn every_command_has_a_manual() {
    use clap::CommandFactory;
    let folder = Folder::new();
    let out = folder.path("man1");
    succeed(&["man", text(&out)]);
    succeed(&["man", text(&out)]); // again, as after an update
    let found: BTreeSet<String> =
        std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<String> =
        names_of(&strandnet::cli::Cli::command(), "").into_iter().map(|name| format!("{name}.1")).collect();
    assert_eq!(found, expected);
    assert!(found.contains("strandnet-explain-motifs.1"));
    let manual = std::fs::read_to_string(out.join("strandnet-train.1")).unwrap();
    assert!(manual.starts_with(".ie ") && manual.contains(".TH strandnet-train 1"), "{}", &manual[..300]);
    assert!(manual.contains("\\-\\-ensemble") && manual.contains("Learning rate"));
    if let Ok(output) = Command::new("man")
        .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", text(&out.join("strandnet-train.1"))])
        .output()
    {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
