//! Data files that were moved or renamed since the run, found again by what they hold.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixtures::{
    Folder, bases_of_gc, borrowed, fail, fasta, gc_classes, json, metrics, outcome, run, succeed, text, train,
};

/// A run on a table and one on regions of a genome, in a folder beside their data.
fn runs() -> (Folder, PathBuf, PathBuf) {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("data")).unwrap();
    let table = folder.write("data/table.csv", gc_classes(300, &["0", "1"]));
    let chromosomes: Vec<(String, String)> =
        (1..=3).map(|n| (format!("chr{n}"), bases_of_gc(n * 77, 20_000, 0.5))).collect();
    let reference = folder.write("data/reference.fa", fasta(&borrowed(&chromosomes)));
    let bed: String =
        (1..=3).flat_map(|n| (0..40).map(move |i| format!("chr{n}\t{}\t{}\n", i * 450 + 50, i * 450 + 100))).collect();
    let bed = folder.write("data/peaks.bed", bed);
    let (tables, regions) = (folder.path("tables"), folder.path("regions"));
    train(&tables, &["--train", &table]);
    let chromosomes = ["--train-chroms", "1", "--valid-chroms", "2", "--test-chroms", "3", "--length", "60"];
    let peaks = format!("peak={bed}");
    train(&regions, &[&["--reference", &reference, "--regions", &peaks][..], &chromosomes].concat());
    (folder, tables, regions)
}

fn succeed_saying(arguments: &[&str]) -> (String, String) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn moved_and_renamed_data_are_found_by_their_checksums() {
    let (folder, tables, regions) = runs();
    std::fs::create_dir_all(folder.path("elsewhere/deep/er")).unwrap();
    let to = |from: &str, to: &str| std::fs::rename(folder.path(from), folder.path(to)).unwrap();
    to("data/table.csv", "elsewhere/deep/er/table.csv");
    to("data/reference.fa", "elsewhere/hg.fasta");
    to("data/peaks.bed", "elsewhere/deep/calls.bed");
    // As long as the wanted ones and under their names.
    for (name, other) in [("peaks.bed", "deep/calls.bed"), ("table.csv", "deep/er/table.csv")] {
        let bytes = std::fs::read(folder.path("elsewhere").join(other)).unwrap().len();
        std::fs::write(folder.path("elsewhere").join(name), "x".repeat(bytes)).unwrap();
    }
    let root = folder.path("elsewhere");
    for (path, count) in [(&tables, 1), (&regions, 2)] {
        let (checks, _) = succeed_saying(&["verify", text(path), "--data-root", text(&root), "--quiet"]);
        assert_eq!(checks.matches("found by its checksum as").count(), count, "{checks}");
        assert!(checks.contains("metrics reproduced within"), "{checks}");

        let (printed, said) = succeed_saying(&["evaluate", text(path), "--data-root", text(&root), "--json"]);
        assert_eq!(said.matches("found by its checksum as").count(), count, "{said}");
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed["test"], metrics(path)["test"]);
        assert_eq!(printed["moved_files"].as_array().unwrap().len(), count);

        let explain = ["explain", "motifs", text(path), "--split", "train", "--data-root", text(&root), "--force"];
        let (_, said) = succeed_saying(&explain);
        assert_eq!(said.matches("found by its checksum as").count(), count, "{said}");

        let again = path.with_extension("again");
        let config = path.join("config.toml");
        let arguments = ["train", text(&config), "--data-root", text(&root), "--out", text(&again)];
        let (_, said) = succeed_saying(&arguments);
        assert_eq!(said.matches("found by its checksum as").count(), count, "{said}");
        assert!(outcome(&again).0 == outcome(path).0, "the same weights");
        let about = json(&again.join("run.json"));
        assert_eq!(about["resolved"]["moved_files"].as_array().unwrap().len(), count, "{about}");
        let page = std::fs::read_to_string(again.join("report.html")).unwrap();
        assert_eq!(page.matches("found by its checksum; was ").count(), count);
        succeed(&["verify", text(&again), "--quiet"]);
    }
}

#[test]
fn data_beside_the_run_are_found_without_being_asked_for() {
    let (folder, tables, regions) = runs();
    let other = folder.path("other-machine");
    std::fs::create_dir(&other).unwrap();
    for name in ["data", "tables", "regions"] {
        std::fs::rename(folder.path(name), other.join(name)).unwrap();
    }
    for path in [tables, regions] {
        let path = other.join(path.file_name().unwrap());
        succeed(&["verify", text(&path), "--quiet"]);
        succeed(&["evaluate", text(&path), "--quiet"]);
        let again = path.with_extension("again");
        succeed(&["train", text(&path.join("config.toml")), "--out", text(&again), "--quiet"]);
        assert!(outcome(&again) == outcome(&path));
    }
}

#[test]
fn a_listing_names_a_genome_that_was_moved() {
    let (folder, _, regions) = runs();
    let listed = folder.path("listed");
    let listing = regions.join("examples.tsv");
    train(&listed, &["--examples", text(&listing)]);
    std::fs::create_dir(folder.path("new")).unwrap();
    std::fs::rename(folder.path("data/reference.fa"), folder.path("new/reference.fa")).unwrap();
    succeed(&["verify", text(&listed), "--quiet"]);
}

#[test]
fn a_listing_that_holds_its_sequences_needs_no_other_file() {
    let (folder, tables, _) = runs();
    std::fs::remove_file(folder.path("data/table.csv")).unwrap();
    let again = folder.path("again");
    let (config, listing) = (tables.join("config.toml"), tables.join("examples.tsv"));
    succeed(&["train", text(&config), "--examples", text(&listing), "--out", text(&again), "--quiet"]);
    assert!(outcome(&again).0 == outcome(&tables).0);
}

#[test]
fn data_that_are_nowhere_are_named_with_their_size_and_checksum() {
    let (folder, tables, _) = runs();
    let about = json(&tables.join("run.json"));
    let sum = about["data_files"][0]["sha256"].as_str().unwrap().to_owned();
    std::fs::remove_file(folder.path("data/table.csv")).unwrap();
    let root = folder.path("data");
    let config = tables.join("config.toml");
    let evaluate = ["evaluate", text(&tables), "--data-root", text(&root)];
    let never = folder.path("never");
    let train = ["train", text(&config), "--out", text(&never), "--data-root", text(&root)];
    for arguments in [&evaluate[..], &train] {
        let error = fail(1, arguments);
        for part in ["table.csv", &sum, " bytes", text(&root), "--data-root"] {
            assert!(error.contains(part), "'{part}' is missing from: {error}");
        }
    }
    assert!(!never.exists());
    let output = run(&["verify", text(&tables), "--data-root", text(&root)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains(&sum));
    let nowhere = folder.path("nowhere");
    let error = fail(1, &["evaluate", text(&tables), "--data-root", text(&nowhere)]);
    assert!(error.contains("no such folder") && error.contains("--data-root"), "{error}");
    let plain = folder.write("plain.toml", "[training]\nepochs = 1\n");
    for arguments in [&["train", &plain][..], &["train", "--epochs", "1"]] {
        let error = fail(2, &[arguments, &["--data-root", text(Path::new("."))]].concat());
        assert!(error.contains("--data-root is given"), "{error}");
    }
}
