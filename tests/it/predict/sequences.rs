//! `predict` on sequences in FASTA: windows, standard input, wrong records and damaged runs.

use std::io::Read;
use std::process::Stdio;

use crate::fixtures::{bases, column, fail, fasta, finished, strandnet, succeed, text};

#[test]
fn predict_scores_windows_as_predictions_csv_does() {
    let finished = finished();
    let table = finished.run.join("predictions.csv");
    let columns = ["split", "label", "chrom", "start", "strand", "score"].map(|name| column(&table, b',', name));
    let out = finished.genomes.path("all.tsv");
    succeed(&[
        "predict",
        text(&finished.run),
        text(&finished.genomes.human),
        "--stride",
        "1",
        "--out",
        text(&out),
        "--quiet",
    ]);
    let scores = column(&out, b'\t', "score");
    let places: Vec<String> = column(&out, b'\t', "name")
        .into_iter()
        .zip(column(&out, b'\t', "start"))
        .map(|(n, s)| format!("{n}:{s}"))
        .collect();
    assert_eq!(scores.len(), 4 * (30_000 - 127));
    let by_place: std::collections::HashMap<&str, &str> =
        places.iter().map(String::as_str).zip(scores.iter().map(String::as_str)).collect();
    let mut compared = 0;
    for i in (0..columns[0].len()).filter(|&i| columns[1][i] == "human" && columns[4][i] == "+") {
        let place = format!("{}:{}", columns[2][i], columns[3][i]);
        let (found, expected): (f64, f64) = (by_place[place.as_str()].parse().unwrap(), columns[5][i].parse().unwrap());
        assert!((found - expected).abs() < 1e-6, "{place}: {found} {expected}");
        compared += 1;
    }
    assert!(compared > 20);
    let error = fail(1, &["predict", text(&finished.run), text(&finished.genomes.human), "--out", text(&out)]);
    assert!(error.contains("--force"), "{error}");
}

#[test]
fn predict_reads_standard_input_and_ends_quietly_where_its_output_is_closed() {
    let finished = finished();
    let sequences = finished.genomes.path("many.fa");
    let records: Vec<(String, String)> = (0..3000).map(|i| (format!("read{i}"), bases(i, 128))).collect();
    let records: Vec<(&str, &str)> = records.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    std::fs::write(&sequences, fasta(&records)).unwrap();
    let from_file = succeed(&["predict", text(&finished.run), text(&sequences)]);
    let output = strandnet()
        .args(["predict", text(&finished.run), "-"])
        .stdin(std::fs::File::open(&sequences).unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), from_file);

    let mut child = strandnet()
        .args(["predict", text(&finished.run), text(&finished.genomes.human), "--stride", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 20];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap(); // and closes it
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(141), ""));
}

#[test]
fn predict_names_the_record_and_leaves_no_file() {
    let finished = finished();
    let path = finished.genomes.path("bad for predict.fa");
    let out = finished.genomes.path("never.tsv");
    let good = fasta(&[("good", &bases(1, 400))]);
    for (text_, words) in [
        (format!("{good}>short\nACGT\n"), &["'short' has 4 bases", "expected 128", "--skip-short"][..]),
        (format!("{good}>odd\n{}\nAC!T\n", bases(2, 60)), &["'odd'", "'!'", "base 63"]),
        ("ACGT\n".into(), &["starts with 'A'", "expected FASTA"]),
        (String::new(), &["empty"]),
    ] {
        std::fs::write(&path, text_).unwrap();
        let error = fail(1, &["predict", text(&finished.run), text(&path), "--out", text(&out)]);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!out.exists());
    }
    let left: Vec<_> =
        std::fs::read_dir(finished.genomes.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().ends_with(".partial")), "{left:?}");
}

#[test]
fn damaged_runs() {
    let finished = finished();
    let copy = finished.genomes.path("damaged run");
    let sequences = finished.genomes.path("fine.fa");
    std::fs::write(&sequences, fasta(&[("fine", &bases(1, 400))])).unwrap();
    for (name, damage) in [
        ("run.json", b"{\"format_version\": 99}".to_vec()),
        ("run.json", b"{\"format_version\": 2}".to_vec()),
        ("run.json", b"{\"format_version\": 1}".to_vec()),
        ("run.json", b"not json".to_vec()),
        ("did not finish", text_of(&finished.run.join("run.json")).replace("\"outcome\"", "\"other\"").into()),
        (
            "run.json",
            text_of(&finished.run.join("run.json")).replace("\"length\": 128", "\"length\": 1000000000000000").into(),
        ),
        ("best.safetensors", b"short".to_vec()),
        ("best.safetensors", vec![0xff; 4000]),
    ] {
        let _ = std::fs::remove_dir_all(&copy);
        std::fs::create_dir(&copy).unwrap();
        for (path, bytes) in crate::fixtures::contents(&finished.run) {
            std::fs::write(copy.join(path.file_name().unwrap()), bytes).unwrap();
        }
        std::fs::write(copy.join(if name == "did not finish" { "run.json" } else { name }), damage).unwrap();
        let error = fail(1, &["predict", text(&copy), text(&sequences)]);
        assert!(error.contains(name) || error.contains("at most 1000000"), "{error}");
    }
}

fn text_of(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
