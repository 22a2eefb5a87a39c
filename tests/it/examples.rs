//! The examples run as their first lines say.

use std::path::Path;
use std::process::Command;

use crate::fixtures::{column, finished, text};

/// Runs an example, which cargo builds beside the program, and expects success; returns standard output.
fn output_of(name: &str, arguments: &[&str]) -> String {
    let example = Path::new(env!("CARGO_BIN_EXE_strandnet")).with_file_name("examples").join(name);
    let output = Command::new(&example).args(arguments).output().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn predict_scores_as_the_program_does() {
    let run = &finished().run;
    let sequence = "ACGTTGCAACGTAGGC".repeat(8);
    let folder = crate::fixtures::Folder::new();
    let fasta = folder.write("one.fa", format!(">one\n{sequence}\n"));
    let scores = folder.path("scores.tsv");
    crate::fixtures::succeed(&["predict", text(run), &fasta, "--out", text(&scores)]);
    let expected: f64 = column(&scores, b'\t', "score")[0].parse().unwrap();
    let printed = output_of("predict", &[text(run), &sequence]);
    let found: f64 = printed.lines().nth(1).unwrap().split('\t').nth(1).unwrap().parse().unwrap();
    assert!((found - expected).abs() < 1e-4, "{printed} {expected}");
    assert!(printed.contains("positive from "), "{printed}");
}

#[test]
fn explain_names_the_bases_that_a_score_rests_on() {
    let printed = output_of("explain", &[text(&finished().run)]);
    assert!(printed.starts_with("score 0."), "{printed}");
    assert_eq!(printed.lines().count(), 12, "{printed}");
}

#[test]
fn a_loop_and_a_loss_of_ones_own_learn() {
    let printed = output_of("custom_loop", &[]);
    let auroc = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    let (first, last) = (printed.lines().next().unwrap(), printed.lines().last().unwrap());
    assert!(auroc(last) > 0.7 && auroc(last) > auroc(first), "{printed}");
}

#[test]
fn without_a_run_an_example_says_what_it_expects() {
    let example = Path::new(env!("CARGO_BIN_EXE_strandnet")).with_file_name("examples").join("predict");
    let output = Command::new(example).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected the path of a finished run"));
}
