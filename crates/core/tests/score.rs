//! The program `strandnet-score` as it is built for this system.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strandnet-score");

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn run(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).output().unwrap()
}

#[test]
fn it_needs_libc_libm_and_libgcc_only() {
    let listed = Command::new("ldd").arg(PROGRAM).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let allowed = ["linux-vdso", "libgcc_s.so", "libc.so", "libm.so", "ld-linux"];
    for line in listed.lines() {
        assert!(allowed.iter().any(|name| line.contains(name)), "{line}");
    }
}

/// The expected scores were written by `strandnet predict examples/run examples/sequences.fa`, which computes with libtorch.
#[test]
fn the_example_scores_as_with_libtorch_with_any_number_of_threads() {
    let (folder, sequences) = (example("run"), example("sequences.fa"));
    let score = |threads: &str| {
        let words = ["predict", folder.to_str().unwrap(), sequences.to_str().unwrap(), "--quiet", "--threads", threads];
        let output = run(&words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let found = score("1");
    assert_eq!(found, score("3"));
    let expected = std::fs::read_to_string(example("scores.tsv")).unwrap();
    assert_eq!(found.lines().count(), expected.lines().count());
    for (found, expected) in found.lines().zip(expected.lines()).skip(1) {
        let cells = |line: &str| -> Vec<String> { line.split('\t').map(str::to_owned).collect() };
        let (found, expected) = (cells(found), cells(expected));
        assert_eq!(found[..4], expected[..4]);
        let [a, b] = [&found[4], &expected[4]].map(|score| score.parse::<f64>().unwrap());
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn what_is_wrong_is_one_sentence_with_its_exit_code() {
    for (code, words, part) in [
        (1, &["predict", "/nowhere", "x.fa"][..], "/nowhere"),
        (2, &["train"], "unrecognized subcommand 'train'"),
        (2, &["predict", "/nowhere", "x.fa", "--format", "bigwig"], "--format bigwig"),
    ] {
        let output = run(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(part), "{said}");
    }
}
