//! A look at data before training: every copy is found, and what is wrong is said.

use std::path::Path;

use serde_json::Value;

use crate::fixtures::{
    Folder, bases, bases_of_gc, borrowed, examples, fail, fasta, json, reverse_complement, run, text, train,
};

/// Length of the sequences, in bp.
const LENGTH: usize = 100;

/// Rows of a table.
type Rows = Vec<(String, &'static str)>;

fn table(rows: &[(String, &str)]) -> String {
    let rows: String = rows.iter().map(|(bases, label)| format!("{bases},{label}\n")).collect();
    format!("sequence,label\n{rows}")
}

/// `n` sequences, half of each of two classes.
fn random(seed: u64, n: u64) -> Rows {
    (0..n).map(|i| (bases_of_gc(seed + i, LENGTH, 0.5), ["yes", "no"][i as usize % 2])).collect()
}

/// Another base at some places, the same for the same sequence.
fn substituted(bases: &str, changes: usize) -> String {
    let mut bytes = bases.as_bytes().to_vec();
    for change in 0..changes {
        let place = (change * 37 + 11) % bytes.len();
        bytes[place] = if bytes[place] == b'A' { b'C' } else { b'A' };
    }
    String::from_utf8(bytes).unwrap()
}

/// `inspect`; expects success and returns standard output and standard error.
fn inspect(flags: &[&str]) -> (String, String) {
    let output = run(&[&["inspect"], flags].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{flags:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

fn found(out: &Path) -> Value {
    json(&out.join("inspection.json"))
}

/// A row of the table of copies: identical, reverse complement, near.
fn copies(stdout: &str, row: &str) -> Vec<String> {
    let line = stdout.lines().find(|line| line.trim_start().starts_with(row)).unwrap_or_else(|| panic!("{stdout}"));
    let numbers: Vec<String> = line.split_whitespace().rev().take(3).map(str::to_owned).collect();
    numbers.into_iter().rev().collect()
}

#[test]
fn copies_of_training_sequences_in_the_test_are_counted_exactly_on_either_strand() {
    let folder = Folder::new();
    let learned = random(0, 600);
    let mut test: Rows = Vec::new();
    for (i, (bases, label)) in learned.iter().enumerate() {
        match i {
            0..100 => test.push((reverse_complement(bases), label)),
            100..143 => test.push((if i % 2 == 0 { bases.to_lowercase() } else { bases.clone() }, label)),
            200..207 => test.push((substituted(bases, 2), label)),
            207..212 => test.push((reverse_complement(&substituted(bases, 2)), label)),
            _ => {}
        }
    }
    test.extend(random(10_000, 45));
    let mut valid = random(20_000, 60);
    valid.extend(learned[300..309].iter().cloned());
    valid.push(test[199].clone()); // stands in the test, and not in training
    let [learned, valid, test] = [("train.csv", learned), ("valid.csv", valid), ("test.csv", test)]
        .map(|(name, rows)| folder.write(name, table(&rows)));
    let out = folder.path("inspection");
    let tables = ["--train", &learned, "--valid", &valid, "--test", &test];
    let (stdout, stderr) = inspect(&[&tables[..], &["--out", text(&out)]].concat());
    let of = |name: &str| found(&out)["copies"][name].clone();
    let counts = |identical: usize, reverse_complement: usize, near: usize| serde_json::json!({"identical": identical, "reverse_complement": reverse_complement, "near": near});
    assert_eq!(of("test_in_train"), counts(43, 100, 12));
    assert_eq!(of("valid_in_train"), counts(9, 0, 0));
    assert_eq!(of("test_in_valid"), counts(1, 0, 0));
    assert_eq!(of("other_label"), counts(0, 0, 0));
    assert_eq!(of("repeats"), counts(0, 0, 0));
    assert_eq!(copies(&stdout, "test sequences in training"), ["43", "100", "12"]);
    assert_eq!(copies(&stdout, "validation sequences in training"), ["9", "0", "0"]);
    for words in [
        "143 of 200 test sequences are also in training, 100 of them as their reverse complement",
        "12 test sequences are nearly the same as one in training",
        "9 of 70 valid sequences are also in training, 0 of them",
    ] {
        assert!(stderr.contains(&format!("warning: {words}")), "'{words}' is missing from: {stderr}");
    }
    let named = of("examples");
    assert_eq!(named[0]["kind"], "identical");
    assert!(named.as_array().unwrap().len() >= 10);
    let splits = &found(&out)["splits"];
    let n = |i: usize| (splits[i]["split"].clone(), splits[i]["n"].as_u64().unwrap());
    assert_eq!([n(0), n(1), n(2)], [("train".into(), 600), ("valid".into(), 70), ("test".into(), 200)]);

    // `train` says so too.
    let run = folder.path("run");
    let (_, stderr) = train(&run, &tables);
    assert!(stderr.contains("warning: 143 of 200 test sequences are also in training, 100 of them"), "{stderr}");
    assert!(stderr.contains("warning: 12 test sequences are nearly the same as one in training"), "{stderr}");
    assert_eq!(examples(&run).len(), 870);
}

#[test]
fn sequences_under_two_labels_and_repeats_are_counted() {
    let folder = Folder::new();
    let mut rows = random(0, 400);
    let other = |label: &str| if label == "yes" { "no" } else { "yes" };
    for i in 0..12 {
        let (bases, label) = rows[i].clone();
        let bases = if i < 7 { bases } else { reverse_complement(&bases) };
        rows.push((bases, other(label)));
    }
    for i in 20..23 {
        let (bases, label) = rows[i].clone();
        rows.push((substituted(&bases, 2), other(label)));
    }
    // Thirty repeats under their own label, a third of them on the other strand.
    for i in 30..60 {
        let (bases, label) = rows[i].clone();
        rows.push((if i % 3 == 0 { reverse_complement(&bases) } else { bases }, label));
    }
    let learned = folder.write("train.csv", table(&rows));
    let [valid, test] =
        [("valid.csv", 5000), ("test.csv", 6000)].map(|(name, seed)| folder.write(name, table(&random(seed, 40))));
    let out = folder.path("inspection");
    let (stdout, stderr) = inspect(&["--train", &learned, "--valid", &valid, "--test", &test, "--out", text(&out)]);
    let of = |name: &str, kind: &str| found(&out)["copies"][name][kind].as_u64().unwrap();
    let kinds = ["identical", "reverse_complement", "near"];
    assert_eq!(kinds.map(|kind| of("other_label", kind)), [7, 5, 3]);
    assert_eq!(kinds.map(|kind| of("repeats", kind)), [20, 10, 0]);
    assert_eq!(copies(&stdout, "under another label"), ["7", "5", "3"]);
    assert!(
        stderr.contains("warning: 12 sequences also have another label, which no network can get right"),
        "{stderr}"
    );
    assert!(stderr.contains("warning: 3 sequences are nearly the same as one under another label"), "{stderr}");
    assert!(stderr.contains("warning: 30 sequences repeat an earlier one"), "{stderr}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let folder = Folder::new();
    let records = |seed: u64, n: u64, length: u64, gc: f64| -> Vec<(String, String)> {
        (0..n).map(|i| (format!("r{seed}_{i}"), bases_of_gc(seed + i, (length + i % 3) as usize, gc))).collect()
    };
    let file = |name: &str, records: &[(String, String)]| {
        format!("{name}={}", folder.write(&format!("{name}.fa"), fasta(&borrowed(records))))
    };
    let common = file("common", &records(0, 400, 100, 0.5));
    let rich = file("rich", &records(1000, 380, 100, 0.6));
    let rare = file("rare", &records(2000, 40, 100, 0.5));
    let long = file("long", &records(3000, 390, 150, 0.5));
    let mut gaps = records(4000, 390, 100, 0.5);
    gaps.iter_mut().for_each(|(_, bases)| bases.replace_range(10..40, &"N".repeat(30)));
    let gaps = file("gaps", &gaps);
    let warnings_with = |other: &str, fit: &str| -> Vec<String> {
        let (_, stderr) = inspect(&["--class", &common, "--class", other, "--fit", fit]);
        stderr.lines().filter_map(|line| line.strip_prefix("warning: ").map(str::to_owned)).collect()
    };
    let warnings = |other: &str| warnings_with(other, "center-crop");
    for (other, words) in [
        (&rich, &["GC content alone tells the classes apart", "AUROC of 0.9", "--baselines"][..]),
        (&rare, &["class 'rare' has ", " training examples", "--class-weights auto"]),
        (&gaps, &["30.0 % of the bases of 'gaps' are unknown"]),
    ] {
        let warnings = warnings(other);
        assert_eq!(warnings.len(), 1, "{other}: {warnings:?}");
        assert!(words.iter().all(|word| warnings[0].contains(word)), "{words:?}: {warnings:?}");
    }
    // What is cropped to one length cannot be told by it; what is padded can.
    assert!(warnings(&long).is_empty(), "{:?}", warnings(&long));
    let padded = warnings_with(&long, "pad");
    let words = ["differ in length", "101 to 151 bp", "--fit center-crop"];
    assert!(padded.iter().any(|warning| words.iter().all(|word| warning.contains(word))), "{padded:?}");
    // Nothing is wrong with two classes alike.
    let like = file("like", &records(5000, 390, 100, 0.5));
    assert!(warnings(&like).is_empty(), "{:?}", warnings(&like));
    let (_, stderr) = inspect(&["--class", &common, "--class", &like, "--fit", "center-crop"]);
    assert!(stderr.contains("no warnings"), "{stderr}");
}

#[test]
fn compositions_are_those_of_the_sequences() {
    let folder = Folder::new();
    let mut all = Vec::new();
    let mut flags = Vec::new();
    for (class, name) in ["a", "b"].into_iter().enumerate() {
        let records: Vec<(String, String)> = (0..150)
            .map(|i| {
                let mut bases = bases_of_gc(i + 1000 * class as u64, 80 + i as usize % 5, 0.3 + 0.2 * class as f64);
                bases[..10 * (1 + class)].make_ascii_lowercase();
                (format!("{name}{i}"), bases)
            })
            .collect();
        flags.push("--class".to_owned());
        flags.push(format!("{name}={}", folder.write(&format!("{name}.fa"), fasta(&borrowed(&records)))));
        all.push(records);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let out = folder.path("out");
    inspect(&[&flags[..], &["--fit", "pad", "--out", text(&out)]].concat());
    for (records, class) in all.iter().zip(found(&out)["classes"].as_array().unwrap()) {
        let mean = |of: &dyn Fn(&str) -> f64| records.iter().map(|(_, bases)| of(bases)).sum::<f64>() / 150.0;
        let close = |name: &str, expected: f64| {
            let value = class[name]["mean"].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-6, "{name}: {value} {expected}");
        };
        assert_eq!(class["n"], 150);
        close("length", 82.0);
        assert_eq!((class["length"]["lowest"].as_f64(), class["length"]["highest"].as_f64()), (Some(80.0), Some(84.0)));
        close("gc", mean(&|bases| crate::fixtures::gc(bases)));
        close("unknown", mean(&|bases| 1.0 - bases.len() as f64 / 84.0));
        close(
            "masked",
            mean(&|bases| bases.bytes().filter(u8::is_ascii_lowercase).count() as f64 / bases.len() as f64),
        );
    }
}

#[test]
fn inspecting_trains_nothing_and_leaves_what_was_asked_for() {
    let folder = Folder::new();
    folder.write("t.csv", table(&random(0, 200)));
    // Paths in a configuration are relative to it, and settings of training do not matter.
    let config = folder.write(
        "experiment.toml",
        "[data]\ntrain = \"t.csv\"\nvalid_fraction = 0.2\n[training]\nepochs = 100000\nseed = 3\n",
    );
    let before = folder.names();
    let inside = |flags: &[&str]| {
        let output = crate::fixtures::strandnet().args(flags).current_dir(folder.path("")).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let stdout = inside(&["inspect", &config]);
    assert_eq!(folder.names(), before, "nothing is left");
    assert!(stdout.contains("examples of 100 bp") && stdout.contains("copies on either strand"), "{stdout}");
    let n = |stdout: &str, split: &str| -> usize {
        let line = stdout.lines().find(|line| line.trim_start().starts_with(split)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(n(&stdout, "train") + n(&stdout, "valid") + n(&stdout, "test"), 200);
    assert!(n(&stdout, "valid") > n(&stdout, "test"), "the configuration's share holds: {stdout}");
    // A flag wins over the file.
    let other = inside(&["inspect", &config, "--valid-fraction", "0.05", "--test-fraction", "0.4"]);
    assert!(n(&other, "valid") < n(&other, "test"), "{other}");

    let with_out = inside(&["inspect", &config, "--out", "looked/at"]);
    assert_eq!(with_out, format!("{stdout}looked/at\n"));
    let mut names: Vec<String> = std::fs::read_dir(folder.path("looked/at"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["gc.png", "gc.svg", "inspection.json", "lengths.png", "lengths.svg", "unknown.png", "unknown.svg"]
    );
    for name in ["gc.png", "lengths.png", "unknown.png"] {
        let bytes = std::fs::read(folder.path("looked/at").join(name)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert!(pixels.iter().any(|&value| value < 100), "{name}: something is drawn");
    }
    let out = folder.path("looked/at");
    let error = fail(1, &["inspect", &config, "--out", text(&out)]);
    assert!(error.contains("not empty") && error.contains("--force"), "{error}");
    inside(&["inspect", &config, "--out", "looked/at", "--force"]);

    // Wrong data leave no folder.
    let bad = folder.write("bad.csv", format!("sequence,label\n{},a\n{},b\n", bases(1, 50), bases(2, 51)));
    let never = folder.path("never");
    let error = fail(1, &["inspect", "--train", &bad, "--out", text(&never)]);
    assert!(error.contains("bad.csv: line 3") && error.contains("51"), "{error}");
    assert_eq!(fail(2, &["inspect", "--class", "a=x", "--out", text(&never)]).matches("1 class").count(), 1);
    assert!(!never.exists());
}
