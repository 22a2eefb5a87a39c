//! The examples run as their first lines say.

use std::process::Command;

#[test]
fn read_windows_counts_the_windows_of_a_genome() {
    // Cargo builds examples beside the tests: target/PROFILE/deps/this and target/PROFILE/examples/that.
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().with_file_name("examples").join("read_windows");
    let folder = tempfile::tempdir().unwrap();
    let genome = folder.path().join("g.fa");
    std::fs::write(&genome, format!(">one\n{}\n>two\n{}\n", "ACGT".repeat(96), "gggg".repeat(40))).unwrap();
    let output = Command::new(example).arg(&genome).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Three of 128 bp and half of them GC; one of 128 bp, all GC.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "4 windows in 1 batches, 62.5 % GC\n");
}
