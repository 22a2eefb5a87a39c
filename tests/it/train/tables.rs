//! What the cells of a table mean: quotes, targets by default, missing labels and values, the positive class, coordinates.

use std::path::Path;

use crate::fixtures::{
    Folder, bases, column, examples, fail, gc_classes, gc_table, gzip, header, json, metrics, numbers, outcome,
    repeats_its_own_test, run, succeed, text, train, value, weights,
};

/// The line of standard error that holds a word.
fn line_with(stderr: &str, word: &str) -> String {
    stderr.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("'{word}': {stderr}")).to_owned()
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_and_drops_no_rows() {
    let folder = Folder::new();
    let good = gc_classes(300, &["a", "b"]);
    let run = folder.path("run");
    train(&run, &["--train", &folder.write("good.csv", &good), "--quiet"]);
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    lines[100] = lines[100].replace(',', ",\"");
    let bad = lines.join("\n") + "\n";
    for (name, bytes) in [
        ("bad.csv", bad.clone().into_bytes()),
        ("bad.tsv", bad.replace(',', "\t").into_bytes()),
        ("bad.csv.gz", gzip(bad.as_bytes())),
    ] {
        let path = folder.write(name, bytes);
        for arguments in [
            &["train", "--train", &path][..],
            &["inspect", "--train", &path],
            &["evaluate", text(&run), "--test", &path],
        ] {
            let error = fail(1, arguments);
            assert!(error.contains("line 101: a quote is opened and never closed"), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn an_index_or_a_fold_is_no_target_unless_it_is_asked_for() {
    let folder = Folder::new();
    let activity = |gc: f64| format!("{:.3}", 10.0 * gc);
    let plain = folder.write("plain.csv", gc_table(400, "activity", |_, gc| activity(gc)));
    let table =
        gc_table(400, "activity,fold,chr,gene", |i, gc| format!("{},{},{},gene{i}", activity(gc), i % 5, i % 3));
    let indexed: String = table
        .lines()
        .enumerate()
        .map(|(i, line)| if i == 0 { format!(",{line}\n") } else { format!("{},{line}\n", i - 1) })
        .collect();
    let path = folder.write("pandas.csv", indexed);
    let [of_plain, of_pandas, asked] = ["plain", "pandas", "asked"].map(|name| folder.path(name));
    train(&of_plain, &["--train", &plain, "--task", "regression"]);
    let (_, stderr) = train(&of_pandas, &["--train", &path, "--task", "regression"]);
    let line = line_with(&stderr, "targets: ");
    assert!(
        line.starts_with("targets: activity; ") && line.contains("fold (") && line.contains("gene (text)"),
        "{line}"
    );
    assert_eq!(json(&of_pandas.join("run.json"))["classes"], serde_json::json!(["activity"]));
    assert_eq!(weights(&of_pandas), weights(&of_plain));
    assert_eq!(metrics(&of_pandas)["test"], metrics(&of_plain)["test"]);
    train(&asked, &["--train", &path, "--task", "regression", "--label-columns", "activity,fold"]);
    assert_eq!(json(&asked.join("run.json"))["classes"], serde_json::json!(["activity", "fold"]));
    let report = succeed(&["report", text(&of_pandas), "--out", text(&folder.path("report.html"))]);
    assert!(!report.is_empty());
    let html = std::fs::read_to_string(folder.path("report.html")).unwrap();
    assert!(html.contains("activity; all that can be, as --label-columns names none"), "the report names the targets");
}

#[test]
fn a_missing_label_of_a_class_is_an_error_and_equal_numbers_are_one_class() {
    let folder = Folder::new();
    let table = |of: &dyn Fn(u64, bool) -> String| gc_table(200, "label", |i, gc| of(i, gc > 0.5));
    let inspect = |text: &str, flags: &[&str]| -> (i32, String, String) {
        let path = folder.write("t.csv", text);
        let output = run(&[&["inspect", "--train", &path], flags].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let missing = table(&|i, rich| if i == 9 { "None".into() } else { u8::from(rich).to_string() });
    let (code, _, error) = inspect(&missing, &[]);
    assert!(code == 1 && error.contains("line 11: the label 'None' reads as missing"), "{error}");
    let kept = table(&|i, rich| if i % 3 == 0 { "None".into() } else { u8::from(rich).to_string() });
    assert_eq!(inspect(&kept, &["--classes", "1,0,None"]).0, 0);
    let mixed = table(&|i, rich| if i % 2 == 0 { format!("{}.0", u8::from(rich)) } else { u8::from(rich).to_string() });
    let (code, stdout, error) = inspect(&mixed, &[]);
    assert!(code == 0 && !stdout.contains("0.0  "), "{error} {stdout}");
    let case = table(&|i, rich| {
        (if !rich {
            "neg"
        } else if i % 2 == 0 {
            "Pos"
        } else {
            "pos"
        })
        .into()
    });
    let (code, _, error) = inspect(&case, &[]);
    assert!(code == 1 && error.contains("differs only in case from") && error.contains("'Pos'"), "{error}");
    assert_eq!(inspect(&case, &["--classes", "Pos,pos,neg"]).0, 0);
}

#[test]
fn the_order_of_the_rows_does_not_choose_the_positive_class() {
    let folder = Folder::new();
    let table = |yes: &str, no: &str, first: bool| {
        let text = gc_table(200, "label", |_, gc| (if gc > 0.5 { yes } else { no }).into());
        let mut rows: Vec<&str> = text.lines().skip(1).collect();
        rows.sort_by_key(|row| row.ends_with(&format!(",{yes}")) != first);
        format!("sequence,label\n{}\n", rows.join("\n"))
    };
    for (yes, no) in [("True", "False"), ("bound", "unbound"), ("CTCF", "not_CTCF")] {
        for first in [true, false] {
            let path = folder.write("t.csv", table(yes, no, first));
            let out = folder.path(&format!("{yes}{first}"));
            let (_, stderr) = train(&out, &["--train", &path]);
            let line = line_with(&stderr, "positive class");
            assert!(line.contains(&format!("positive class {yes} (of {yes} and {no};")), "{line}");
            assert_eq!(json(&out.join("run.json"))["classes"], serde_json::json!([yes, no]));
        }
    }
    let path = folder.write("t.csv", table("True", "False", true));
    let out = folder.path("listed");
    let (_, stderr) = train(&out, &["--train", &path, "--classes", "False,True"]);
    assert!(stderr.contains("positive class False (the first of --classes)"), "{stderr}");

    // R writes TRUE where pandas writes True.
    let other = folder.write("r.csv", table("TRUE", "FALSE", false));
    let output = run(&["evaluate", text(&out), "--test", &other]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.contains("'TRUE' as True"), "{stderr}");
    let error = fail(1, &["train", "--train", &path, "--test", &other]);
    assert!(error.contains("differs only in case"), "{error}");
}

/// A table of two columns of which every third value of the second is missing.
fn with_gaps(missing: &str, of: impl Fn(f64) -> String) -> String {
    gc_table(600, "whole,gaps", |i, gc| {
        let value = of(gc);
        if i % 3 == 0 { format!("{value},{missing}") } else { format!("{value},{value}") }
    })
}

fn is_finite_and_counted(out: &Path, stderr: &str) {
    let line = line_with(stderr, "missing");
    assert!(line.contains("200 of 1,200 values are missing") && line.contains("(gaps 200)"), "{line}");
    let table = out.join("predictions.csv");
    let labels = column(&table, b',', "label_gaps");
    assert!(labels.iter().any(String::is_empty) && labels.iter().any(|label| !label.is_empty()));
    assert!(numbers(&table, b',', "score_gaps").iter().all(|score| score.is_finite()));
    repeats_its_own_test(out);
}

#[test]
fn missing_values_are_masked_from_loss_and_metrics() {
    let folder = Folder::new();
    let easy = ["--epochs", "6", "--lr", "0.01", "--dropout", "0", "--baselines"];
    for (loss, name) in [(None, "mse"), (Some("poisson"), "poisson")] {
        let path = folder.write("values.csv", with_gaps("NA", |gc| format!("{:.3}", 100.0 * gc)));
        let out = folder.path(name);
        let loss: Vec<&str> = loss.map_or(Vec::new(), |loss| vec!["--loss", loss]);
        let (_, stderr) = train(&out, &[&["--train", &path, "--task", "regression"][..], &easy, &loss].concat());
        is_finite_and_counted(&out, &stderr);
        let test = &metrics(&out)["test"];
        for name in ["whole", "gaps"] {
            assert!(value(&test["classes"][name], "pearson") > 0.8, "{name}: {test}");
            assert!(value(&metrics(&out)["baselines"]["GC"]["test"]["classes"][name], "pearson") > 0.95);
        }
        // Pearson as it is defined, over the values that are there.
        let table = out.join("predictions.csv");
        let (labels, scores) = (column(&table, b',', "label_gaps"), numbers(&table, b',', "score_gaps"));
        let splits = column(&table, b',', "split");
        let known = (0..labels.len()).filter(|&i| splits[i] == "test" && !labels[i].is_empty());
        let errors: Vec<f64> = known.map(|i| (labels[i].parse::<f64>().unwrap() - scores[i]).abs()).collect();
        let mae = errors.iter().sum::<f64>() / errors.len() as f64;
        assert!((value(&test["classes"]["gaps"], "mae") / mae - 1.0).abs() < 1e-6);

        // The listed examples have the same gaps, plain or compressed.
        let listing = std::fs::read(out.join("examples.tsv")).unwrap();
        assert!(String::from_utf8_lossy(&listing).contains("gaps=NA"));
        let again = folder.path(&format!("{name}-again"));
        std::fs::write(out.join("examples.tsv.gz"), gzip(&listing)).unwrap();
        train(&again, &[&["--examples", text(&out.join("examples.tsv.gz"))][..], &easy, &loss].concat());
        assert_eq!(outcome(&again), outcome(&out));
        succeed(&["report", text(&again), "--out", text(&folder.path(&format!("{name}.html")))]);
    }
    let path = folder.write("values.csv", with_gaps("", |gc| format!("{:.3}", 100.0 * gc)));
    let error = fail(1, &["train", "--train", &path, "--task", "regression", "--missing", "error"]);
    assert!(error.contains("line 2") && error.contains("column 'gaps' has no value"), "{error}");
}

#[test]
fn missing_labels_are_masked_from_loss_and_metrics() {
    let folder = Folder::new();
    let easy = ["--epochs", "6", "--lr", "0.01", "--dropout", "0", "--baselines", "--class-weights", "auto"];
    let table = with_gaps("nan", |gc| u8::from(gc > 0.5).to_string());
    for (loss, name) in [("cross-entropy", "ce"), ("mse", "mse")] {
        let path = folder.write("labels.csv", &table);
        let out = folder.path(name);
        let flags = ["--train", &path, "--task", "multilabel", "--loss", loss, "--label-smoothing", "0.05"];
        let (_, stderr) = train(&out, &[&flags[..], &easy].concat());
        is_finite_and_counted(&out, &stderr);
        let test = &metrics(&out)["test"];
        for name in ["whole", "gaps"] {
            assert!(value(&test["classes"][name], "auroc") > 0.9, "{name}: {test}");
        }
        let predictions = out.join("predictions.csv");
        let (labels, splits) = (column(&predictions, b',', "label_gaps"), column(&predictions, b',', "split"));
        let positives = (0..labels.len()).filter(|&i| splits[i] == "test" && labels[i] == "1").count();
        assert_eq!(test["classes"]["gaps"]["n"], positives);
        let history = numbers(&out.join("history.csv"), b',', "train_accuracy");
        assert!(history.iter().all(|share| (0.0..=1.0).contains(share)), "{history:?}");
        succeed(&["explain", "motifs", text(&out), "--out", text(&folder.path(&format!("{name}-motifs")))]);
    }
    // A table of later measurements may lack others.
    let other = folder.write("other.csv", table.replace("nan", "").replacen(",1,1\n", ",,1\n", 5));
    let stdout = succeed(&["evaluate", text(&folder.path("ce")), "--test", &other]);
    assert!(stdout.contains("macro auroc"), "{stdout}");
}

#[test]
fn rows_and_columns_without_any_value_are_left_out_or_named() {
    let folder = Folder::new();
    let rows = |of: &dyn Fn(u64, f64) -> String| gc_table(300, "a,b", of);
    let path =
        folder.write("t.csv", rows(&|i, gc| if i % 10 == 0 { ",NA".into() } else { format!("{gc},{}", 1.0 - gc) }));
    let (_, stderr) = train(&folder.path("rows"), &["--train", &path, "--task", "regression"]);
    assert!(stderr.contains("30 of 300 examples have no value in any column and are left out"), "{stderr}");
    assert_eq!(examples(&folder.path("rows")).len(), 270);
    let path = folder.write("t.csv", rows(&|_, gc| format!("{gc},")));
    let error = fail(1, &["train", "--train", &path, "--task", "regression", "--label-columns", "a,b"]);
    assert!(error.contains("column 'b' has no value in all"), "{error}");
    let (_, stderr) = train(&folder.path("default"), &["--train", &path, "--task", "regression"]);
    assert!(line_with(&stderr, "targets: a;").contains("b (without a value)"), "{stderr}");
    assert!(header(&folder.path("default").join("predictions.csv")).ends_with("split,label,score"));
}

#[test]
fn tables_with_the_usual_names_of_coordinates_are_split_by_chromosome() {
    let folder = Folder::new();
    for (columns, from_1) in [("chr,start,stop", 0), ("#chrom,chromStart,chromEnd", 0), ("seqnames,start,end", 1)] {
        let rows: String = (0..400)
            .map(|i| {
                let start = 40 * (i / 4) + from_1;
                format!("chr{},{start},{},{},{}\n", i % 4 + 1, start + 60 - from_1, bases(i, 60), i / 4 % 2)
            })
            .collect();
        let path = folder.write("t.csv", format!("{columns},sequence,label\n{rows}"));
        let out = folder.path(&format!("run{from_1}{}", columns.len()));
        let (_, stderr) = train(&out, &["--train", &path, "--test-chroms", "chr3", "--valid-chroms", "2"]);
        assert!(!stderr.contains("warning: t.csv") && !stderr.contains("hash"), "{stderr}");
        for row in examples(&out) {
            assert_eq!(row.split == "test", row.chrom == "chr3", "{row:?}");
            assert_eq!((row.end - row.start, row.start % 20), (60, 0), "{row:?}");
        }
    }
    let rows: String =
        (0..400).map(|i| format!("chr{},{i}00,{i}90,{},{}\n", i % 4 + 1, bases(i, 60), i / 4 % 2)).collect();
    let path = folder.write("resized.csv", format!("chrom,start,end,sequence,label\n{rows}"));
    let output = run(&["inspect", "--train", &path, "--test-chroms", "chr3"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let warning = line_with(&stderr, "of another length");
    assert!(output.status.success() && warning.contains("400 of 400 rows") && warning.contains("line 2"), "{stderr}");
}
