//! What a run folder holds, and what of it the seed and the settings change.

use crate::fixtures::{SHORT, bases, column, contents, finished, genomes, json, run, succeed, text, train_on_genomes};

#[test]
fn a_run_folder_holds_everything_the_design_promises() {
    let finished = finished();
    let mut names: Vec<String> = contents(&finished.run)
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let expected = [
        "accuracy.png",
        "accuracy.svg",
        "best.safetensors",
        "breakdown.png",
        "breakdown.svg",
        "calibration.png",
        "calibration.svg",
        "checksums.sha256",
        "config.toml",
        "examples.tsv",
        "history.csv",
        "last.safetensors",
        "loss.png",
        "loss.svg",
        "metrics.json",
        "model.json",
        "model.pt",
        "model.py",
        "pr.png",
        "pr.svg",
        "predictions.csv",
        "report.html",
        "roc.png",
        "roc.svg",
        "run.json",
        "scores.png",
        "scores.svg",
    ];
    assert_eq!(names, expected);
    assert_eq!(finished.stdout.lines().last().unwrap(), text(&finished.run));

    let provenance = json(&finished.run.join("run.json"));
    assert_eq!(provenance["classes"], serde_json::json!(["human", "mouse"]));
    assert_eq!(provenance["positive"], "human");
    assert_eq!(provenance["outcome"]["restarts"], 0);
    assert_eq!(provenance["data_files"][0]["sha256"].as_str().unwrap().len(), 64);
    // 16 filters of 4 x 32 and bias, 96 x 8 and bias, 8 and bias
    assert_eq!(provenance["parameter_count"], 16 * 4 * 32 + 16 + 96 * 8 + 8 + 8 + 1);

    let history = finished.run.join("history.csv");
    assert_eq!(column(&history, b',', "epoch"), ["1", "2", "3", "4"]);
    for (_, bytes) in contents(&finished.run).iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "png")) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let dots = reader.info().pixel_dims.unwrap();
        assert_eq!((dots.xppu, dots.unit, reader.info().width), (11_811, png::Unit::Meter, 1004), "85 mm at 300 dpi");
        assert!(pixels.contains(&0), "something is drawn");
    }
    let mut vectors = 0;
    for (path, bytes) in contents(&finished.run).iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "svg"))
    {
        let document = roxmltree::Document::parse(std::str::from_utf8(bytes).unwrap()).unwrap();
        assert_eq!(document.root_element().attribute("width"), Some("85.02mm"), "{}", path.display());
        assert!(bytes.len() < 100_000, "{}", path.display());
        vectors += 1;
    }
    assert_eq!(vectors, 7, "as many as there are bitmaps");
}

#[test]
fn metrics_are_those_of_the_predictions_and_the_best_epoch_is_the_one_reported() {
    let run = &finished().run;
    let metrics = json(&run.join("metrics.json"));
    assert_eq!(metrics.as_object().unwrap().keys().collect::<Vec<_>>(), ["valid", "test"]);
    let table = run.join("predictions.csv");
    let columns = ["split", "label", "score"].map(|name| column(&table, b',', name));
    for split in ["valid", "test"] {
        let rows: Vec<(bool, f64)> = (0..columns[0].len())
            .filter(|&i| columns[0][i] == split)
            .map(|i| (columns[1][i] == "human", columns[2][i].parse().unwrap()))
            .collect();
        let (positive, scores): (Vec<bool>, Vec<f64>) = rows.into_iter().unzip();
        let ranking = strandnet_core::metrics::Ranking::new(&positive, &scores);
        let found = &metrics[split];
        assert_eq!(found["n"], positive.len());
        assert!((found["auroc"]["value"].as_f64().unwrap() - ranking.auroc().unwrap()).abs() < 1e-12);
        let threshold = found["threshold"].as_f64().unwrap();
        let right = positive.iter().zip(&scores).filter(|(p, s)| (**s >= threshold) == **p).count();
        assert!((found["accuracy"]["value"].as_f64().unwrap() - right as f64 / positive.len() as f64).abs() < 1e-12);
        for (name, metric) in found.as_object().unwrap().iter().filter(|(_, metric)| metric["value"].is_number()) {
            let [value, low, high] = ["value", "low", "high"].map(|key| metric[key].as_f64());
            match (value, low, high) {
                (Some(value), Some(low), Some(high)) => {
                    assert!(low <= value && value <= high && metric["method"].is_string(), "{split} {name}: {metric}");
                }
                _ => assert!(
                    metric["low"].is_null() && metric["high"].is_null() && metric["interval_reason"].is_string(),
                    "{split} {name}: {metric}"
                ),
            }
        }
    }
    let best = column(&run.join("history.csv"), b',', "valid_auroc")
        .iter()
        .map(|auroc| auroc.parse::<f64>().unwrap())
        .fold(0.0, f64::max);
    // Calibrating logits moves none past another, but rounding can make two scores equal.
    assert!((metrics["valid"]["auroc"]["value"].as_f64().unwrap() - best).abs() < 1e-3);
    assert_eq!(metrics["valid"]["threshold"], metrics["test"]["threshold"]);
}

#[test]
fn the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others() {
    let genomes = genomes();
    let weights = |name: &str, flags: &[&str]| {
        let out = genomes.path(name);
        train_on_genomes(&genomes, &out, &[&["--train-chroms", "1,2", "--test-chroms", "3"][..], flags].concat());
        std::fs::read(out.join("best.safetensors")).unwrap()
    };
    let first = weights("first", &[]);
    assert!(first == weights("again", &[]));
    assert!(first != weights("other", &["--seed", "2"]));
    // The saved configuration is the same experiment.
    let again = genomes.path("from file");
    succeed(&["train", text(&genomes.path("first").join("config.toml")), "--out", text(&again), "--quiet"]);
    assert!(first == std::fs::read(again.join("best.safetensors")).unwrap());
}

#[test]
fn settings_change_what_is_trained() {
    let genomes = genomes();
    let base = genomes.path("base");
    let chromosomes = ["--train-chroms", "1,2", "--test-chroms", "3"];
    train_on_genomes(&genomes, &base, &chromosomes);
    let weights = std::fs::read(base.join("best.safetensors")).unwrap();
    for (i, flags) in [
        &["--loss", "mse"][..],
        &["--optimizer", "sgd", "--lr", "0.05"],
        &["--dropout-after", "none"],
        &["--dropout-after", "convolution"],
        &["--dropout-after", "dense"],
        &["--strands", "single"],
        &["--batch-size", "32"],
        &["--length", "200"],
    ]
    .into_iter()
    .enumerate()
    {
        let out = genomes.path(&format!("run{i}"));
        train_on_genomes(&genomes, &out, &[&chromosomes[..], flags].concat());
        assert!(weights != std::fs::read(out.join("best.safetensors")).unwrap(), "{flags:?}");
    }
}

#[test]
fn a_dead_start_is_noticed_and_other_weights_are_tried() {
    let genomes = genomes();
    let out = genomes.path("dead");
    let flags = genomes.flags();
    let mut arguments = vec!["train", "--out", text(&out), "--train-chroms", "1,2", "--test-chroms", "3", "--lr", "30"];
    arguments.extend(SHORT);
    arguments.extend(flags.iter().map(String::as_str));
    let output = run(&arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let restarts = stderr.matches("starting again").count();
    assert!(restarts >= 1, "such a rate kills nearly every start: {stderr}");
    if output.status.success() {
        assert_eq!(json(&out.join("run.json"))["outcome"]["restarts"], restarts);
        let scores = column(&out.join("predictions.csv"), b',', "score");
        assert!(scores.iter().any(|score| *score != scores[0]));
    } else {
        assert!(stderr.contains("6 starts") && !out.join("metrics.json").exists(), "{stderr}");
    }
}

#[test]
fn scores_that_stay_equal_are_an_error_after_a_bounded_number_of_starts() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("same.csv");
    let rows: String = (0..40).map(|i| format!("{},{}\n", bases(1, 60), i % 2)).collect();
    std::fs::write(&table, format!("sequence,label\n{rows}")).unwrap();
    let (table, out) = (text(&table), folder.path().join("out"));
    let arguments = [
        "train",
        "--arch",
        "shallow",
        "--train",
        table,
        "--valid",
        table,
        "--test",
        table,
        "--out",
        text(&out),
        "--epochs",
        "1",
    ];
    let output = run(&arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("40 of 40 valid sequences are also in training"), "{stderr}");
    assert_eq!(stderr.matches("starting again").count(), 5, "{stderr}");
    assert!(stderr.contains("error: all validation scores became equal in 6 starts"), "{stderr}");
    assert!(!out.join("metrics.json").exists());
}

#[test]
fn quiet_is_quiet_and_lines_say_how_training_goes() {
    let genomes = genomes();
    let out = genomes.path("quiet");
    let flags = genomes.flags();
    let mut arguments = vec!["train", "--out", text(&out), "--train-chroms", "1,2", "--test-chroms", "3"];
    arguments.extend(SHORT);
    arguments.extend(flags.iter().map(String::as_str));
    let output = run(&[&arguments[..], &["--quiet", "--match-gc"]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    // Two epochs may leave something to warn of.
    assert!(output.status.success() && stderr.lines().all(|line| line.starts_with("warning: ")), "{stderr}");
    let stderr = String::from_utf8(run(&[&arguments[..], &["--force"]].concat()).stderr).unwrap();
    assert!(stderr.contains("device: CPU") || stderr.contains("device: CUDA"), "{stderr}");
    assert!(stderr.contains("epoch  2/2  train loss") && stderr.contains("fragments/s"), "{stderr}");
}
