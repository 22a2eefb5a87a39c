//! `export`: the model is written again, and gives the same scores in PyTorch.

pub mod formats;
mod html;

use std::path::Path;
use std::process::Command;

use crate::fixtures::{bases, column, fail, fasta, finished, json, python_with, succeed, text};

#[test]
fn export_writes_the_model_again() {
    let finished = finished();
    let out = finished.genomes.path("exported.pt");
    let stdout = succeed(&["export", text(&finished.run), "--out", text(&out)]);
    assert!(stdout.contains("largest difference"), "{stdout}");
    let (card, original) = (json(&out.with_extension("json")), json(&finished.run.join("model.json")));
    for key in ["length", "alphabet", "classes", "positive", "threshold", "strands", "output"] {
        assert_eq!(card[key], original[key], "{key}");
    }
    assert_eq!((card["length"].as_u64(), card["alphabet"].as_str()), (Some(128), Some("ACGT")));
    assert!(fail(1, &["export", text(&finished.run), "--out", text(&out)]).contains("--force"));
    assert!(
        fail(1, &["export", text(&finished.run), "--out", text(&out.with_extension("json"))])
            .contains("another ending")
    );
}

#[test]
fn pytorch_gives_the_same_scores_as_predict() {
    let Some(python) = python_with("torch") else { return };
    let finished = finished();
    agree(&python, &finished.run, "score");
    // Three classes have a column each.
    let table = finished.genomes.path("three.csv");
    let rows: String = (0..300).map(|i| format!("{},{}\n", bases(i, 128), ["a", "b", "c"][i as usize % 3])).collect();
    std::fs::write(&table, format!("sequence,label\n{rows}")).unwrap();
    let three = finished.genomes.path("three");
    let flags = ["--arch", "residual", "--strands", "average", "--epochs", "1", "--quiet"];
    succeed(&[&["train", "--train", text(&table), "--out", text(&three)][..], &flags].concat());
    agree(&python, &three, "score_b");
}

/// Holds the scores of a run's exported model in PyTorch against those that `predict` gives.
fn agree(python: &str, run: &Path, score: &str) {
    let finished = finished();
    let sequences = finished.genomes.path("for pytorch.fa");
    let odd = format!("{}nnnRYKM{}u", bases(3, 200), bases(4, 200).to_lowercase());
    std::fs::write(
        &sequences,
        fasta(&[("one", &bases(1, 128)), ("long", &bases(2, 1000)), ("odd", &odd), ("short", "ACGT")]),
    )
    .unwrap();
    let ours = finished.genomes.path(&format!("ours {score}.tsv"));
    succeed(&[
        "predict",
        text(run),
        text(&sequences),
        "--stride",
        "50",
        "--skip-short",
        "--max-n", // score.py has no such limit
        "128",
        "--out",
        text(&ours),
        "--quiet",
    ]);
    let output = Command::new(python)
        .args(["scripts/score.py", text(&run.join("model.pt")), text(&sequences), "--stride", "50"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = finished.genomes.path(&format!("theirs {score}.tsv"));
    std::fs::write(&theirs, output.stdout).unwrap();
    for name in ["name", "start", "end", "strand"] {
        assert_eq!(column(&ours, b'\t', name), column(&theirs, b'\t', name), "{name}");
    }
    let (ours, theirs) = (column(&ours, b'\t', score), column(&theirs, b'\t', score));
    assert!(ours.len() > 20);
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()).abs() < 1e-5, "{a} {b}");
    }
}
