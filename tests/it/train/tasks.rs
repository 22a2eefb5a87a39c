//! Every task that a network can be trained for, its metrics, and data that do not fit the task.

use std::path::{Path, PathBuf};

use serde_json::Value;
use strandnet_core::metrics::paired::delong;
use strandnet_core::metrics::{Blocks, Ranking};

use crate::fixtures::{
    Folder, class_files, column, examples, fail, gc, gc_classes, gc_table, header, json, metrics, numbers,
    repeats_its_own_test, run, text, train, value, weights,
};

/// Flags under which such a table is learned in a second.
const EASY: [&str; 6] = ["--epochs", "6", "--lr", "0.01", "--dropout", "0"];

/// A picture of this name is there and something is drawn in it.
fn is_drawn(run: &Path, name: &str) {
    let bytes = std::fs::read(run.join(name)).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert!(pixels.iter().any(|&value| value < 100) && pixels.contains(&255), "{name}");
}

#[test]
fn several_classes_have_probabilities_that_sum_to_one_and_a_confusion_matrix() {
    let folder = Folder::new();
    let path = folder.write("three.csv", gc_classes(600, &["poor", "middling", "rich"]));
    let out = folder.path("run");
    let (stdout, _) =
        train(&out, &[&["--train", &path, "--classes", "poor,middling,rich", "--baselines"][..], &EASY].concat());

    let table = out.join("predictions.csv");
    let own = "name,chrom,start,end,strand,split,label,score_poor,score_middling,score_rich";
    let of_baselines = ["6-mers", "gapped_6-mers", "GC"]
        .map(|name| ["poor", "middling", "rich"].map(|class| format!("baseline_{name}_{class}")).join(","));
    assert_eq!(header(&table), format!("{own},{}", of_baselines.join(",")));
    let names = ["poor", "middling", "rich"];
    let scores = names.map(|name| numbers(&table, b',', &format!("score_{name}")));
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
    for name in ["GC", "6-mers", "gapped 6-mers"] {
        assert!(value(&baselines[name]["test"], "macro_auroc") > 0.7, "{name}: {baselines}");
        assert_eq!(baselines[name]["test"]["n"], n);
    }
    beside_the_network(
        &stdout,
        "macro auroc",
        &[
            value(test, "macro_auroc"),
            value(&baselines["6-mers"]["test"], "macro_auroc"),
            value(&baselines["gapped 6-mers"]["test"], "macro_auroc"),
            value(&baselines["GC"]["test"], "macro_auroc"),
        ],
    );
    repeats_its_own_test(&out);
}

#[test]
fn the_difference_from_a_baseline_comes_from_the_scores_of_predictions_csv() {
    let folder = Folder::new();
    let path = folder.write("two.csv", gc_classes(400, &["rich", "poor"]));
    for (strands, words) in [("average", "on either strand"), ("single", "on the given strand")] {
        let out = folder.path(strands);
        let flags = ["--train", &path, "--baselines", "--strands", strands];
        let (stdout, _) = train(&out, &[&flags[..], &EASY].concat());
        let table = out.join("predictions.csv");
        let splits = column(&table, b',', "split");
        let of_test = |name: &str| -> Vec<f64> {
            let all = numbers(&table, b',', name);
            (0..all.len()).filter(|&i| splits[i] == "test").map(|i| all[i]).collect()
        };
        let labels = column(&table, b',', "label");
        let class = json(&out.join("run.json"))["positive"].as_str().unwrap().to_owned();
        let positive: Vec<bool> =
            (0..labels.len()).filter(|&i| splits[i] == "test").map(|i| labels[i] == class).collect();
        let baselines = &metrics(&out)["baselines"];
        for (name, column) in
            [("6-mers", "baseline_6-mers"), ("gapped 6-mers", "baseline_gapped_6-mers"), ("GC", "baseline_GC")]
        {
            let scores = of_test(column);
            let auroc = Ranking::new(&positive, &scores).auroc().unwrap();
            assert!((auroc - value(&baselines[name]["test"], "auroc")).abs() < 1e-12, "{name}");
            let found = &baselines[name]["difference"];
            let alone = Blocks::each(positive.len());
            let expected = delong(&positive, &scores, &of_test("score"), &alone);
            match expected {
                Some(expected) => {
                    assert_eq!(found["metric"], "auroc");
                    assert!((found["value"].as_f64().unwrap() - expected.difference).abs() < 1e-12, "{found}");
                    assert!(
                        found["low"].as_f64() <= found["value"].as_f64() && found["p_value"].is_number(),
                        "{found}"
                    );
                    assert!(stdout.contains(&format!("network minus {name}: AUROC ")), "{stdout}");
                }
                None => assert!(found["value"].is_null() && found["reason"].is_string(), "{found}"),
            }
            assert_eq!(baselines[name]["what"].as_str().unwrap().contains(words), name != "GC", "{baselines}");
        }
    }
}

#[test]
fn test_examples_with_copies_in_training_are_left_out_of_a_row() {
    let folder = Folder::new();
    let table = gc_classes(400, &["rich", "poor"]);
    let rows: Vec<&str> = table.lines().skip(1).collect();
    let header = table.lines().next().unwrap();
    let file = |name: &str, rows: &[&str]| folder.write(name, format!("{header}\n{}\n", rows.join("\n")));
    let (train_file, valid) = (file("train.csv", &rows[..250]), file("valid.csv", &rows[250..320]));
    // Ten of the ninety are copies.
    let test = file("test.csv", &[&rows[320..], &rows[..10]].concat());
    let out = folder.path("run");
    let flags = ["--train", &train_file, "--valid", &valid, "--test", &test];
    let (stdout, _) = train(&out, &[&flags[..], &EASY].concat());
    let found = &metrics(&out)["test"];
    assert_eq!((&found["n"], &found["without_near_copies"]["n"]), (&90.into(), &80.into()), "{found}");
    let scores = numbers(&out.join("predictions.csv"), b',', "score");
    let splits = column(&out.join("predictions.csv"), b',', "split");
    let labels = column(&out.join("predictions.csv"), b',', "label");
    let tested: Vec<usize> = (0..splits.len()).filter(|&i| splits[i] == "test").take(80).collect();
    let class = json(&out.join("run.json"))["positive"].as_str().unwrap().to_owned();
    let positive: Vec<bool> = tested.iter().map(|&i| labels[i] == class).collect();
    let scores: Vec<f64> = tested.iter().map(|&i| scores[i]).collect();
    let expected = Ranking::new(&positive, &scores).auroc().unwrap();
    assert!((value(&found["without_near_copies"], "auroc") - expected).abs() < 1e-12, "{found}");
    assert!(found["without_repeats"].is_null(), "case tells nothing");
    assert!(stdout.contains("without near copies in training, 80 of 90: AUROC"), "{stdout}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("80 test examples without near copies in training"), "the summary");
}

/// The table has a column for each baseline, and the row of a metric holds these values.
fn beside_the_network(stdout: &str, metric: &str, values: &[f64]) {
    let line = |word: &str| stdout.lines().find(|line| line.trim_start().starts_with(word)).unwrap();
    let header: Vec<&str> = line("network").split_whitespace().collect();
    assert_eq!(header, ["network", "6-mers", "gapped", "6-mers", "GC"], "{stdout}");
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
        gc_table(600, "rich,named A,noise", |i, gc| {
            format!("{},{},{}", u8::from(gc > 0.5), u8::from(gc < 0.4), (i * 7 + i / 5) % 2)
        }),
    );
    let out = folder.path("run");
    train(&out, &[&["--train", &path, "--task", "multilabel", "--baselines"][..], &EASY].concat());
    let table = out.join("predictions.csv");
    let own =
        "name,chrom,start,end,strand,split,label_rich,label_named A,label_noise,score_rich,score_named A,score_noise";
    assert!(header(&table).starts_with(&format!("{own},baseline_6-mers_rich,baseline_6-mers_named A,")));
    let (rich, score) = (numbers(&table, b',', "label_rich"), numbers(&table, b',', "score_rich"));
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
        gc_table(600, "large,small", |i, gc| {
            let noise = (i as f64 * 0.377).fract() - 0.5;
            format!("{},{}", 1000.0 + 200.0 * (gc - 0.5) + 10.0 * noise, -0.002 - 0.001 * gc)
        }),
    );
    let out = folder.path("run");
    let (stdout, _) = train(&out, &[&["--train", &path, "--task", "regression", "--baselines"][..], &EASY].concat());
    let table = out.join("predictions.csv");
    let own = "split,label_large,label_small,score_large,score_small,baseline_6-mers_large,";
    assert!(header(&table).contains(own), "{}", header(&table));
    let test = &metrics(&out)["test"];
    for (name, low, high) in [("large", 900.0, 1100.0), ("small", -0.0035, -0.0015)] {
        assert!(value(&test["classes"][name], "pearson") > 0.6, "{name}: {test}");
        let scores = numbers(&table, b',', &format!("score_{name}"));
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
        numbers(&table, b',', name)
            .into_iter()
            .zip(&splits)
            .filter(|(_, split)| *split == "test")
            .map(|(v, _)| v)
            .collect()
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
        gc_table(600, "reads", |i, gc| {
            ((4.0 * gc + 3.0 + 0.3 * (i as f64 * 0.377).fract()).exp().round() as u64).to_string()
        }),
    );
    let out = folder.path("run");
    let flags = ["--train", &path, "--task", "regression", "--loss", "poisson", "--baselines"];
    train(&out, &[&flags[..], &EASY].concat());
    let table = out.join("predictions.csv");
    assert!(header(&table).ends_with("split,label,score,baseline_6-mers,baseline_gapped_6-mers,baseline_GC"));
    let (labels, scores) = (numbers(&table, b',', "label"), numbers(&table, b',', "score"));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(scores.iter().all(|score| *score > 0.0));
    assert!((mean(&scores) / mean(&labels) - 1.0).abs() < 0.3, "{} {}", mean(&scores), mean(&labels));
    let test = &metrics(&out)["test"];
    assert!(value(test, "pearson") > 0.6, "{test}");
    assert!(value(&metrics(&out)["baselines"]["GC"]["test"], "pearson") > 0.9);
    repeats_its_own_test(&out);
    let never = folder.path("never");
    let bad = folder.write("bad.csv", gc_table(100, "reads", |i, _| (i as i64 - 3).to_string()));
    let error =
        fail(1, &["train", "--out", text(&never), "--train", &bad, "--task", "regression", "--loss", "poisson"]);
    assert!(["'reads'", "-", "--loss mse"].iter().all(|word| error.contains(word)), "{error}");
    assert!(!never.exists());
}

#[test]
fn class_weights_change_what_is_learned() {
    let folder = Folder::new();
    let path =
        folder.write("rare.csv", gc_table(400, "label", |i, _| if i % 8 == 0 { "rare" } else { "common" }.into()));
    let run = |name: &str, flags: &[&str]| {
        let out = folder.path(name);
        // Calibration to the training prevalence would pull the scores back.
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
        let scores = numbers(&run.join("predictions.csv"), b',', "score");
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    assert!(mean(&auto) > mean(&none) + 0.1, "{} {}", mean(&auto), mean(&none));
    repeats_its_own_test(&auto);
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
    let (splits, names, labels, scores) = (of("split"), of("name"), of("label"), numbers(&table, b',', "score"));
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
    let baselines = ["6-mers", "gapped 6-mers", "GC"].map(of_baseline);
    beside_the_network(&stdout, "auroc", &[&[value(test, "auroc")][..], &baselines].concat());
    assert!(of_baseline("GC") > 0.7, "{}", of_baseline("GC"));
    repeats_its_own_test(&out);
}

#[test]
fn a_task_that_the_data_cannot_answer_is_refused() {
    let folder = Folder::new();
    let three = folder.write("three.csv", gc_classes(120, &["a", "b", "c"]));
    let numbers = folder.write("numbers.csv", gc_table(1200, "label", |i, gc| format!("{}", gc + i as f64)));
    let constant = folder.write("constant.csv", gc_table(120, "a,b", |i, _| format!("{i},7")));
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
    let two = folder.write("two.csv", gc_classes(200, &["a", "b"]));
    let out = folder.path("as several");
    train(&out, &["--train", &two, "--task", "multiclass"]);
    assert!(header(&out.join("predictions.csv")).ends_with("score_a,score_b"));
    let output = run(&["evaluate", text(&out), "--test", &three, "--quiet"]);
    assert_eq!(output.status.code(), Some(1), "a class that the run does not know");
}
