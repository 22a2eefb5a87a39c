//! Every question that can be put to a network, what a run says of it, and that it can be asked again.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::inputs::{Folder, bases_of_gc, borrowed, examples, gc, train, weights};
use crate::support::{column, fail, fasta, genomes, json, run, succeed, text};

/// A table with sequences of many GC contents; `label` makes the other columns of a row.
fn table(n: u64, header: &str, label: impl Fn(u64, f64) -> String) -> String {
    let rows: String = (0..n)
        .map(|i| {
            let bases = bases_of_gc(i, 60, 0.15 + 0.7 * (i as f64 * 0.618).fract());
            format!("{bases},{}\n", label(i, gc(&bases)))
        })
        .collect();
    format!("sequence,{header}\n{rows}")
}

/// A table of classes by GC content.
fn classes(n: u64, names: &[&str]) -> String {
    table(n, "label", |_, gc| names[((gc * names.len() as f64) as usize).min(names.len() - 1)].into())
}

/// Flags under which such a table is learned in a second.
const EASY: [&str; 6] = ["--epochs", "6", "--lr", "0.01", "--dropout", "0"];

fn metrics(run: &Path) -> Value {
    json(&run.join("metrics.json"))
}

fn value(of: &Value, name: &str) -> f64 {
    of[name]["value"].as_f64().unwrap_or_else(|| panic!("{name}: {}", of[name]))
}

fn numbers(table: &Path, name: &str) -> Vec<f64> {
    column(table, b',', name).iter().map(|text| text.parse().unwrap()).collect()
}

fn header(table: &Path) -> String {
    std::fs::read_to_string(table).unwrap().lines().next().unwrap().to_owned()
}

/// A picture of this name is there and something is drawn in it.
fn is_drawn(run: &Path, name: &str) {
    let bytes = std::fs::read(run.join(name)).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert!(pixels.iter().any(|&value| value < 100) && pixels.contains(&255), "{name}");
}

/// `evaluate` gives the run's own test metrics and predictions again.
fn repeats_its_own_test(run: &Path) {
    let out = run.with_extension("evaluation");
    succeed(&["evaluate", text(run), "--out", text(&out), "--quiet", "--threads", "1"]);
    assert_eq!(metrics(&out)["test"], metrics(run)["test"], "{}", run.display());
    let of_test = |folder: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(folder.join("predictions.csv")).unwrap();
        text.lines().filter(|line| line.contains(",test,")).map(str::to_owned).collect()
    };
    assert!(!of_test(run).is_empty());
    assert_eq!(of_test(&out), of_test(run));
}

#[test]
fn several_classes_have_probabilities_that_sum_to_one_and_a_confusion_matrix() {
    let folder = Folder::new();
    let path = folder.write("three.csv", classes(600, &["poor", "middling", "rich"]));
    let out = folder.path("run");
    let (stdout, _) =
        train(&out, &[&["--train", &path, "--classes", "poor,middling,rich", "--baselines"][..], &EASY].concat());

    let table = out.join("predictions.csv");
    assert_eq!(header(&table), "name,chrom,start,end,strand,split,label,score_poor,score_middling,score_rich");
    let names = ["poor", "middling", "rich"];
    let scores = names.map(|name| numbers(&table, &format!("score_{name}")));
    let (labels, splits) = (column(&table, b',', "label"), column(&table, b',', "split"));
    let mut confusion = vec![vec![0u64; 3]; 3];
    for i in 0..labels.len() {
        let row = scores.each_ref().map(|scores| scores[i]);
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-6 && row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
        if splits[i] == "test" {
            let label = names.iter().position(|name| *name == labels[i]).unwrap();
            let called = (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            confusion[label][called] += 1;
        }
    }
    let test = &metrics(&out)["test"];
    let n = test["n"].as_u64().unwrap();
    assert_eq!(n as usize, splits.iter().filter(|split| *split == "test").count());
    assert_eq!(test["confusion"], serde_json::json!(confusion));
    assert_eq!(confusion.iter().flatten().sum::<u64>(), n);
    let right = (0..3).map(|i| confusion[i][i]).sum::<u64>() as f64 / n as f64;
    assert!((value(test, "accuracy") - right).abs() < 1e-12);
    assert!(value(test, "macro_auroc") > 0.8, "an easy signal: {}", value(test, "macro_auroc"));
    let of_class = |name: &str, metric: &str| value(&test["classes"][name], metric);
    for metric in ["auroc", "average_precision"] {
        let mean = names.iter().map(|name| of_class(name, metric)).sum::<f64>() / 3.0;
        assert!((mean - value(test, &format!("macro_{metric}"))).abs() < 1e-12, "{metric}");
    }
    for (name, row) in names.iter().zip(&confusion) {
        assert_eq!(test["classes"][*name]["n"], row.iter().sum::<u64>(), "{name}");
    }
    let written: Vec<String> =
        std::fs::read_to_string(out.join("confusion.csv")).unwrap().lines().map(str::to_owned).collect();
    let expected = names.iter().zip(&confusion).map(|(name, row)| format!("{name},{},{},{}", row[0], row[1], row[2]));
    assert_eq!(written[0], "true_class,poor,middling,rich");
    assert_eq!(written[1..], expected.collect::<Vec<_>>());
    ["confusion.png", "roc.png", "pr.png", "breakdown.png"].iter().for_each(|name| is_drawn(&out, name));

    let card = json(&out.join("model.json"));
    assert_eq!((&card["task"], &card["classes"]), (&"multiclass".into(), &serde_json::json!(names)));
    assert!(card["output"].as_str().unwrap().contains("[N, classes]"), "{card}");
    assert!(card["positive"].is_null() && card["threshold"].is_null(), "{card}");

    let baselines = &metrics(&out)["baselines"];
    for name in ["GC", "6-mers"] {
        assert!(value(&baselines[name]["test"], "macro_auroc") > 0.7, "{name}: {baselines}");
        assert_eq!(baselines[name]["test"]["n"], n);
    }
    beside_the_network(
        &stdout,
        "macro auroc",
        &[
            value(test, "macro_auroc"),
            value(&baselines["6-mers"]["test"], "macro_auroc"),
            value(&baselines["GC"]["test"], "macro_auroc"),
        ],
    );
    repeats_its_own_test(&out);
}

/// The table has a column for each baseline, and the row of a metric holds these values.
fn beside_the_network(stdout: &str, metric: &str, values: &[f64]) {
    let line = |word: &str| stdout.lines().find(|line| line.trim_start().starts_with(word)).unwrap();
    let header: Vec<&str> = line("network").split_whitespace().collect();
    assert_eq!(header, ["network", "6-mers", "GC"], "{stdout}");
    let row: Vec<&str> = line(metric).split_whitespace().collect();
    let [network, rest @ ..] = values else { panic!("values") };
    assert!(row.contains(&format!("{network:.4}").as_str()), "{row:?} {values:?}");
    let last: Vec<String> = rest.iter().map(|value| format!("{value:.4}")).collect();
    assert_eq!(row[row.len() - rest.len()..], last, "{row:?}");
}

#[test]
fn several_labels_have_a_column_each() {
    let folder = Folder::new();
    let path = folder.write(
        "labels.csv",
        table(600, "rich,named A,noise", |i, gc| {
            format!("{},{},{}", u8::from(gc > 0.5), u8::from(gc < 0.4), (i * 7 + i / 5) % 2)
        }),
    );
    let out = folder.path("run");
    train(&out, &[&["--train", &path, "--task", "multilabel", "--baselines"][..], &EASY].concat());
    let table = out.join("predictions.csv");
    assert_eq!(
        header(&table),
        "name,chrom,start,end,strand,split,label_rich,label_named A,label_noise,score_rich,score_named A,score_noise"
    );
    let (rich, score) = (numbers(&table, "label_rich"), numbers(&table, "score_rich"));
    assert!(rich.iter().all(|label| [0.0, 1.0].contains(label)) && rich.contains(&1.0));
    assert!(score.iter().all(|score| (0.0..=1.0).contains(score)));
    let test = &metrics(&out)["test"];
    assert!(value(&test["classes"]["rich"], "auroc") > 0.85, "{test}");
    assert!(value(&test["classes"]["named A"], "auroc") > 0.85, "{test}");
    let mean =
        ["rich", "named A", "noise"].iter().map(|name| value(&test["classes"][*name], "auroc")).sum::<f64>() / 3.0;
    assert!((mean - value(test, "macro_auroc")).abs() < 1e-12);
    let splits = column(&table, b',', "split");
    let positives = (0..rich.len()).filter(|&i| splits[i] == "test" && rich[i] == 1.0).count();
    assert_eq!(test["classes"]["rich"]["n"], positives);
    assert!(value(&metrics(&out)["baselines"]["GC"]["test"]["classes"]["rich"], "auroc") > 0.95);
    let card = json(&out.join("model.json"));
    assert_eq!(
        (&card["task"], &card["classes"]),
        (&"multilabel".into(), &serde_json::json!(["rich", "named A", "noise"]))
    );
    ["roc.png", "pr.png"].iter().for_each(|name| is_drawn(&out, name));
    repeats_its_own_test(&out);

    // Some of the columns, by name, and what is wrong with them.
    let two = folder.path("two");
    train(&two, &["--train", &path, "--task", "multilabel", "--label-columns", "named A,rich"]);
    assert_eq!(json(&two.join("run.json"))["classes"], serde_json::json!(["named A", "rich"]));
    let never = folder.path("never");
    let bad = folder.write("bad.csv", "sequence,a,b\nACGT,1,0\nACGG,0.5,1\n");
    let error = fail(1, &["train", "--out", text(&never), "--train", &bad, "--task", "multilabel"]);
    assert!(["bad.csv: line 3", "0.5", "0 or 1", "--task regression"].iter().all(|w| error.contains(w)), "{error}");
    let error = fail(
        1,
        &["train", "--out", text(&never), "--train", &path, "--task", "multilabel", "--label-columns", "rich,absent"],
    );
    assert!(error.contains("line 1") && error.contains("'absent'"), "{error}");
    assert!(!never.exists());
}

#[test]
fn values_come_out_in_their_own_unit() {
    let folder = Folder::new();
    // Around 1000 and around -0.002: the network need not learn the unit.
    let path = folder.write(
        "values.csv",
        table(600, "large,small", |i, gc| {
            let noise = (i as f64 * 0.377).fract() - 0.5;
            format!("{},{}", 1000.0 + 200.0 * (gc - 0.5) + 10.0 * noise, -0.002 - 0.001 * gc)
        }),
    );
    let out = folder.path("run");
    let (stdout, _) = train(&out, &[&["--train", &path, "--task", "regression", "--baselines"][..], &EASY].concat());
    let table = out.join("predictions.csv");
    assert!(header(&table).ends_with("split,label_large,label_small,score_large,score_small"), "{}", header(&table));
    let test = &metrics(&out)["test"];
    for (name, low, high) in [("large", 900.0, 1100.0), ("small", -0.0035, -0.0015)] {
        assert!(value(&test["classes"][name], "pearson") > 0.6, "{name}: {test}");
        let scores = numbers(&table, &format!("score_{name}"));
        assert!(scores.iter().all(|score| (low..high).contains(score)), "{name}: {scores:?}");
        for metric in ["pearson", "spearman", "r2"] {
            let of = &test["classes"][name][metric];
            let [value, low, high] = ["value", "low", "high"].map(|key| of[key].as_f64().unwrap());
            assert!(low <= value && value <= high && low < high, "{name} {metric}: {of}");
        }
    }
    // R2 as it is defined, from the file.
    let splits = column(&table, b',', "split");
    let of_test = |name: &str| -> Vec<f64> {
        numbers(&table, name).into_iter().zip(&splits).filter(|(_, split)| *split == "test").map(|(v, _)| v).collect()
    };
    let (labels, scores) = (of_test("label_large"), of_test("score_large"));
    let mean = labels.iter().sum::<f64>() / labels.len() as f64;
    let residual: f64 = labels.iter().zip(&scores).map(|(label, score)| (label - score).powi(2)).sum();
    let total: f64 = labels.iter().map(|label| (label - mean).powi(2)).sum();
    assert!((value(&test["classes"]["large"], "r2") - (1.0 - residual / total)).abs() < 1e-6);
    let baselines = &metrics(&out)["baselines"];
    assert!(value(&baselines["GC"]["test"]["classes"]["large"], "pearson") > 0.95, "GC is what was planted");
    assert!(stdout.contains("6-mers") && stdout.contains("GC"), "{stdout}");
    is_drawn(&out, "scatter.png");
    is_drawn(&out, "score.png");
    assert_eq!(json(&out.join("model.json"))["task"], "regression");
    repeats_its_own_test(&out);
}

#[test]
fn counts_are_learned_with_poisson_and_come_out_as_counts() {
    let folder = Folder::new();
    let path = folder.write(
        "counts.csv",
        table(600, "reads", |i, gc| {
            ((4.0 * gc + 3.0 + 0.3 * (i as f64 * 0.377).fract()).exp().round() as u64).to_string()
        }),
    );
    let out = folder.path("run");
    let flags = ["--train", &path, "--task", "regression", "--loss", "poisson", "--baselines"];
    train(&out, &[&flags[..], &EASY].concat());
    let table = out.join("predictions.csv");
    assert!(header(&table).ends_with("split,label,score"));
    let (labels, scores) = (numbers(&table, "label"), numbers(&table, "score"));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(scores.iter().all(|score| *score > 0.0));
    assert!((mean(&scores) / mean(&labels) - 1.0).abs() < 0.3, "{} {}", mean(&scores), mean(&labels));
    let test = &metrics(&out)["test"];
    assert!(value(test, "pearson") > 0.6, "{test}");
    assert!(value(&metrics(&out)["baselines"]["GC"]["test"], "pearson") > 0.9);
    repeats_its_own_test(&out);
    let never = folder.path("never");
    let bad = folder.write("bad.csv", self::table(100, "reads", |i, _| (i as i64 - 3).to_string()));
    let error =
        fail(1, &["train", "--out", text(&never), "--train", &bad, "--task", "regression", "--loss", "poisson"]);
    assert!(["'reads'", "-", "--loss mse"].iter().all(|word| error.contains(word)), "{error}");
    assert!(!never.exists());
}

#[test]
fn class_weights_change_what_is_learned() {
    let folder = Folder::new();
    let path = folder.write("rare.csv", table(400, "label", |i, _| if i % 8 == 0 { "rare" } else { "common" }.into()));
    let run = |name: &str, flags: &[&str]| {
        let out = folder.path(name);
        // A temperature fitted on validation, where all classes weigh the same, would pull the scores back.
        train(
            &out,
            &[&["--train", &path, "--epochs", "4", "--lr", "0.01", "--calibration", "none"][..], flags].concat(),
        );
        out
    };
    let none = run("none", &[]);
    let auto = run("auto", &["--class-weights", "auto"]);
    let given = run("given", &["--class-weights", "rare=7.5"]);
    let all = [&none, &auto, &given].map(|run| weights(run));
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    let saved = |run: &PathBuf| json(&run.join("run.json"));
    assert!(saved(&none)["task"]["weights"].is_null());
    assert_eq!(saved(&given)["classes"], serde_json::json!(["rare", "common"]));
    assert_eq!(saved(&given)["task"]["weights"], serde_json::json!([7.5, 1.0]));
    // Such that both classes weigh the same in all.
    let rows = examples(&auto);
    let found = &saved(&auto)["task"]["weights"];
    for (i, class) in ["rare", "common"].iter().enumerate() {
        let of_class =
            |class: &str| rows.iter().filter(|row| row.split == "train" && row.label == class).count() as f64;
        let expected = (of_class("rare") + of_class("common")) / (2.0 * of_class(class));
        assert!((found[i].as_f64().unwrap() - expected).abs() < 1e-12, "{found}");
    }
    // A network that is told to care for the rare class calls it more often.
    let mean = |run: &PathBuf| {
        let scores = numbers(&run.join("predictions.csv"), "score");
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    assert!(mean(&auto) > mean(&none) + 0.1, "{} {}", mean(&auto), mean(&none));
    repeats_its_own_test(&auto);
}

/// Two classes of records, half of them soft-masked.
fn class_files(folder: &Folder) -> Vec<String> {
    let mut flags = Vec::new();
    for (class, name) in ["alpha", "beta"].into_iter().enumerate() {
        let records: Vec<(String, String)> = (0..200)
            .map(|i| {
                let mut bases =
                    bases_of_gc(i + 5000 * class as u64, 60, 0.2 + 0.2 * class as f64 + 0.4 * (i as f64 / 200.0));
                // None, a tenth, most or all of it is a repeat.
                bases[..[0, 6, 48, 60][i as usize % 4]].make_ascii_lowercase();
                (format!("{name}{i}"), bases)
            })
            .collect();
        flags.push("--class".to_owned());
        flags.push(format!("{name}={}", folder.write(&format!("{name}.fa"), fasta(&borrowed(&records)))));
    }
    flags
}

#[test]
fn metrics_are_broken_down_by_gc_by_repeats_and_by_class() {
    let folder = Folder::new();
    let flags = class_files(&folder);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let out = folder.path("run");
    let shares = ["--test-fraction", "0.4", "--baselines"];
    let (stdout, _) = train(&out, &[&flags[..], &shares, &EASY].concat());
    let test = &metrics(&out)["test"];
    let n = test["n"].as_u64().unwrap();

    let table = out.join("predictions.csv");
    let of = |name: &str| column(&table, b',', name);
    let (splits, names, labels, scores) = (of("split"), of("name"), of("label"), numbers(&table, "score"));
    let sequences: std::collections::HashMap<String, String> =
        examples(&out).into_iter().map(|row| (row.name, row.sequence)).collect();
    let tested: Vec<usize> = (0..splits.len()).filter(|&i| splits[i] == "test").collect();
    assert_eq!(tested.len() as u64, n);
    let threshold = test["threshold"].as_f64().unwrap();
    let accuracy = |chosen: &[usize]| {
        let right = chosen.iter().filter(|&&i| (scores[i] >= threshold) == (labels[i] == "alpha")).count();
        right as f64 / chosen.len() as f64
    };
    let agrees = |group: &Value, chosen: &[usize]| {
        assert_eq!(group["n"], chosen.len(), "{group}");
        assert!((value(group, "accuracy") - accuracy(chosen)).abs() < 1e-12, "{group}");
    };
    let by_gc = test["by_gc"].as_array().unwrap();
    assert!(by_gc.len() >= 4, "{by_gc:?}");
    assert_eq!(by_gc.iter().map(|group| group["n"].as_u64().unwrap()).sum::<u64>(), n);
    for group in by_gc {
        let (low, high) = (group["low"].as_f64().unwrap(), group["high"].as_f64().unwrap());
        let holds = |i: &&usize| {
            let share = gc(&sequences[&names[**i]]);
            share >= low && (share < high || high == 1.0)
        };
        agrees(group, &tested.iter().filter(holds).copied().collect::<Vec<_>>());
    }
    // Shares of 0, 0.1, 0.8 and 1, as the names count.
    let by_repeats = test["by_repeats"].as_array().unwrap();
    assert_eq!(by_repeats.len(), 4, "{by_repeats:?}");
    for (place, group) in by_repeats.iter().enumerate() {
        let number = |name: &str| name.trim_start_matches(char::is_alphabetic).parse::<usize>().unwrap();
        agrees(group, &tested.iter().filter(|&&i| number(&names[i]) % 4 == place).copied().collect::<Vec<_>>());
    }
    let by_class = test["by_class"].as_object().unwrap();
    assert_eq!(by_class.keys().collect::<Vec<_>>(), ["alpha", "beta"]);
    for (class, group) in by_class {
        agrees(group, &tested.iter().filter(|&&i| labels[i] == *class).copied().collect::<Vec<_>>());
    }
    is_drawn(&out, "breakdown.png");
    let of_baseline = |name: &str| value(&metrics(&out)["baselines"][name]["test"], "auroc");
    beside_the_network(&stdout, "auroc", &[value(test, "auroc"), of_baseline("6-mers"), of_baseline("GC")]);
    assert!(of_baseline("GC") > 0.7, "{}", of_baseline("GC"));
    repeats_its_own_test(&out);
}

/// Kinds of source and the data flags of each.
type Sources = Vec<(&'static str, Vec<String>)>;

fn sources(folder: &Folder) -> Sources {
    let own = |flags: &[&str]| -> Vec<String> { flags.iter().map(|flag| (*flag).to_owned()).collect() };
    let table = folder.write("table.csv", classes(300, &["0", "1"]).replace(",0", ",no").replace(",1", ",yes"));
    let chromosomes: Vec<(String, String)> =
        (1..=3).map(|n| (format!("chr{n}"), bases_of_gc(n * 77, 30_000, 0.5))).collect();
    let reference = folder.write("reference.fa", fasta(&borrowed(&chromosomes)));
    let bed: String = (1..=3)
        .flat_map(|n| {
            (1..70).map(move |i| format!("chr{n}\t{}\t{}\t.\t0\t{}\n", i * 400, i * 400 + 80, ["+", "-"][i % 2]))
        })
        .collect();
    let regions = format!("peak={}", folder.write("peaks.bed", bed));
    let chroms = ["--train-chroms", "1", "--valid-chroms", "2", "--test-chroms", "3"];
    vec![
        ("tables", own(&["--train", &table])),
        ("classes", class_files(folder)),
        (
            "regions",
            [
                own(&["--reference", &reference, "--regions", &regions, "--negatives", "shuffle", "--length", "100"]),
                own(&chroms),
            ]
            .concat(),
        ),
    ]
}

/// Runs of every source that several tests compare others with.
fn originals() -> &'static (Folder, Sources) {
    static ORIGINALS: OnceLock<(Folder, Sources)> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let folder = Folder::new();
        let sources = sources(&folder);
        for (name, flags) in &sources {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            train(&folder.path(name), &flags);
        }
        (folder, sources)
    })
}

/// What `examples.tsv` and `config.toml` of a run give.
fn again(run: &Path, out: &Path) {
    let (config, listing) = (run.join("config.toml"), run.join("examples.tsv"));
    succeed(&["train", text(&config), "--examples", text(&listing), "--out", text(out), "--quiet"]);
}

#[test]
fn the_listed_examples_repeat_a_run_bit_for_bit() {
    let (folder, sources) = originals();
    let genomes = genomes();
    let of_genomes = folder.path("genomes");
    crate::support::train(&genomes, &of_genomes, &["--train-chroms", "1,2", "--test-chroms", "X", "--threads", "1"]);
    for name in sources.iter().map(|(name, _)| *name).chain(["genomes"]) {
        let (run, out) = (folder.path(name), folder.path(&format!("{name} again")));
        again(&run, &out);
        assert!(weights(&run) == weights(&out), "{name}: other weights");
        assert_eq!(
            std::fs::read_to_string(run.join("predictions.csv")).unwrap(),
            std::fs::read_to_string(out.join("predictions.csv")).unwrap(),
            "{name}"
        );
        let (rows, listed) = (examples(&run), examples(&out));
        assert!(!rows.is_empty());
        assert_eq!(rows, listed, "{name}: and it lists the same");
        for key in ["classes", "positive", "length", "task", "examples"] {
            assert_eq!(json(&run.join("run.json"))[key], json(&out.join("run.json"))[key], "{name} {key}");
        }
    }
}

#[test]
fn the_listed_examples_repeat_the_metrics_of_a_run() {
    let (folder, _) = originals();
    let (run, out) = (folder.path("classes"), folder.path("classes for metrics"));
    again(&run, &out);
    let (before, after) = (metrics(&run), metrics(&out));
    let keys = |of: &Value| -> Vec<String> { of["test"].as_object().unwrap().keys().cloned().collect() };
    assert!(keys(&before).contains(&"by_repeats".to_owned()));
    assert_eq!(keys(&after), keys(&before));
    assert!(after == before, "the same names, other numbers");
}

#[test]
fn sequences_beyond_memory_give_the_same_run() {
    let (folder, sources) = originals();
    for (name, flags) in sources {
        let (run, out) = (folder.path(name), folder.path(&format!("{name} in little memory")));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (_, stderr) = train(&out, &[&flags[..], &["--memory", "10KB"]].concat());
        assert!(stderr.contains("training sequences are beyond --memory"), "{name}: {stderr}");
        assert!(crate::inputs::outcome(&run) == crate::inputs::outcome(&out), "{name}");
        assert_eq!(metrics(&run), metrics(&out), "{name}");
    }
}

#[test]
fn runs_of_every_source_are_evaluated_to_their_own_metrics() {
    let (folder, sources) = originals();
    for (name, _) in sources {
        repeats_its_own_test(&folder.path(name));
    }
}

#[test]
fn windows_drawn_anew_every_epoch_repeat_with_the_seed_and_are_not_listed() {
    let genomes = genomes();
    let run = |name: &str, flags: &[&str]| {
        let out = genomes.path(name);
        let common =
            ["--train-chroms", "1,2", "--test-chroms", "X", "--epochs", "3", "--lr", "0.003", "--threads", "1"];
        crate::support::train(&genomes, &out, &[&common[..], flags].concat());
        out
    };
    let (once, anew, again) = (run("once", &[]), run("anew", &["--resample"]), run("again", &["--resample"]));
    assert!(weights(&anew) == weights(&again));
    let losses = |run: &Path| column(&run.join("history.csv"), b',', "train_loss");
    assert_eq!(losses(&once)[0], losses(&anew)[0], "the first epoch is the same");
    assert!(losses(&once)[1] != losses(&anew)[1] && losses(&once)[2] != losses(&anew)[2]);
    assert!(weights(&once) != weights(&anew));
    assert_eq!(examples(&once).iter().filter(|row| row.split == "train").count(), 400);
    let listed = examples(&anew);
    assert!(listed.iter().all(|row| row.split != "train"));
    assert_eq!(listed.iter().filter(|row| row.split == "test").count(), 200);
    let of_test = |run: &Path| -> Vec<_> { examples(run).into_iter().filter(|row| row.split != "train").collect() };
    assert_eq!(of_test(&once), of_test(&anew), "what is judged on stays");
    // The configuration is enough to repeat it.
    let out = genomes.path("from file");
    succeed(&["train", text(&anew.join("config.toml")), "--out", text(&out), "--quiet"]);
    assert!(weights(&anew) == weights(&out));
    repeats_its_own_test(&anew);
}

/// The most memory that a command took at once, in MB, as the system counts it.
#[cfg(target_os = "linux")]
fn peak_memory_mb(arguments: &[&str]) -> f64 {
    let mut child = crate::support::strandnet()
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0f64;
    let exit = loop {
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = peak.max(line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0);
        }
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(exit.success(), "{arguments:?}");
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn a_genome_larger_than_memory_is_never_held_in_it() {
    use std::io::Write;
    const MB: usize = 60;
    let folder = Folder::new();
    let mut flags = vec!["train".to_owned()];
    for (class, name) in ["human", "mouse"].into_iter().enumerate() {
        // Lines of a few thousand bases, over and over: content does not matter here.
        let lines: Vec<String> =
            (0..50).map(|i| bases_of_gc(i + class as u64 * 99, 1000, 0.4 + 0.1 * class as f64)).collect();
        let path = folder.path(&format!("{name}.fa"));
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        for chromosome in 1..=4 {
            writeln!(file, ">chr{chromosome}").unwrap();
            for line in 0..MB * 1000 / 4 {
                writeln!(file, "{}", lines[(line * 7 + line / 50) % 50]).unwrap();
            }
        }
        file.flush().unwrap();
        flags.extend(["--genome".to_owned(), format!("{name}={}", path.display())]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let common = [
        "--train-chroms",
        "1,2",
        "--valid-chroms",
        "3",
        "--test-chroms",
        "4",
        "--arch",
        "seed",
        "--epochs",
        "1",
        "--threads",
        "2",
        "--quiet",
    ];
    let few = ["--fragments", "200", "--test-fragments", "100", "--resample"];
    let run = |name: &str, memory: &[&str]| {
        let out = folder.path(name);
        let peak = peak_memory_mb(&[&flags[..], &common, &few, memory, &["--out", text(&out)]].concat());
        (peak, crate::inputs::outcome(&out))
    };
    let (held, expected) = run("held", &[]);
    let (streamed, found) = run("streamed", &["--memory", "8MB"]);
    assert!(found == expected, "the same run");
    // What the program takes by itself, with libtorch.
    let small = genomes();
    let flags = [vec!["train".to_owned(), "--arch".to_owned(), "seed".to_owned()], small.flags()].concat();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let chromosomes =
        ["--train-chroms", "1,2", "--valid-chroms", "3", "--test-chroms", "X", "--epochs", "1", "--threads", "2"];
    let alone = peak_memory_mb(&[&flags[..], &chromosomes, &few, &["--out", text(&small.path("run"))]].concat());
    // Holding the genomes takes 120 MB more than that; streaming takes a few.
    assert!(held - alone > 90.0, "held {held} MB, alone {alone} MB");
    assert!(streamed - alone < 30.0, "streamed {streamed} MB, alone {alone} MB");
}

#[test]
fn a_task_that_the_data_cannot_answer_is_refused() {
    let folder = Folder::new();
    let three = folder.write("three.csv", classes(120, &["a", "b", "c"]));
    let numbers = folder.write("numbers.csv", table(1200, "label", |i, gc| format!("{}", gc + i as f64)));
    let constant = folder.write("constant.csv", table(120, "a,b", |i, _| format!("{i},7")));
    let out = folder.path("never");
    for (flags, words) in [
        (&["--train", &three, "--task", "binary"][..], &["three.csv", "3 classes", "--task binary"][..]),
        (&["--train", &three, "--task", "regression"], &["three.csv: line 2", "'", "a number"]),
        (&["--train", &numbers], &["numbers.csv", "1200 classes", "--task regression"]),
        (&["--train", &constant, "--task", "regression"], &["constant.csv", "'b'", "same value"]),
        (&["--train", &constant, "--task", "regression", "--loss", "cross-entropy"], &["constant.csv"]),
    ] {
        let error = fail(1, &[&["train", "--out", text(&out)][..], flags].concat());
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(!out.exists());
    }
    // A question of two classes may be put as one of several.
    let two = folder.write("two.csv", classes(200, &["a", "b"]));
    let out = folder.path("as several");
    train(&out, &["--train", &two, "--task", "multiclass"]);
    assert!(header(&out.join("predictions.csv")).ends_with("score_a,score_b"));
    let output = run(&["evaluate", text(&out), "--test", &three, "--quiet"]);
    assert_eq!(output.status.code(), Some(1), "a class that the run does not know");
}
