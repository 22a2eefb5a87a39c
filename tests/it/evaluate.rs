//! `evaluate`: a run on its own test data, on other data, and on data that changed.

use crate::fixtures::{bases, contents, fail, finished, json, run, succeed, text};

#[test]
fn evaluate_repeats_the_runs_own_test_and_never_changes_it() {
    let finished = finished();
    let before = contents(&finished.run);
    let out = finished.genomes.path("evaluation");
    let stdout = succeed(&["evaluate", text(&finished.run), "--out", text(&out)]);
    assert!(stdout.contains("auroc"), "{stdout}");
    assert_eq!(json(&out.join("metrics.json"))["test"], json(&finished.run.join("metrics.json"))["test"]);
    for name in ["evaluation.json", "predictions.csv", "roc.png", "pr.png", "calibration.png", "scores.png"] {
        assert!(out.join(name).exists(), "{name}");
    }
    assert!(fail(1, &["evaluate", text(&finished.run), "--out", text(&out)]).contains("--force"));
    succeed(&["evaluate", text(&finished.run), "--out", text(&out), "--force"]);
    assert!(before == contents(&finished.run), "the run is as it was");
    let inside = finished.run.join("evaluation");
    for out in [&finished.run, &inside, &finished.run.join("a/b")] {
        let error = fail(1, &["evaluate", text(&finished.run), "--out", text(out), "--force"]);
        assert!(error.contains("never changes"), "{error}");
    }
    assert!(!inside.exists() && before == contents(&finished.run));
}

#[test]
fn evaluate_refuses_data_that_changed_since_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t.csv");
    let rows: String = (0..300).map(|i| format!("{},{}\n", bases(i, 60), i % 2)).collect();
    std::fs::write(&table, format!("sequence,label\n{rows}")).unwrap();
    let out = folder.path().join("out");
    succeed(&["train", "--arch", "shallow", "--train", text(&table), "--out", text(&out), "--epochs", "1", "--quiet"]);
    succeed(&["evaluate", text(&out)]);
    let output = run(&["evaluate", text(&out), "--test", text(&table)]);
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("of 300 test sequences are also in the training examples of the run")
    );
    std::fs::write(&table, format!("sequence,label\n{}", rows.replacen('A', "C", 1))).unwrap();
    let error = fail(1, &["evaluate", text(&out)]);
    assert!(error.contains("t.csv") && error.contains("has changed"), "{error}");
}

#[test]
fn evaluate_takes_other_genomes_and_tables() {
    let finished = finished();
    let flags = finished.genomes.flags();
    let mut arguments = vec!["evaluate", text(&finished.run), "--test-fragments", "100", "--match-gc"];
    arguments.extend(flags.iter().map(String::as_str));
    // chr1 and chr2 were learned from, so chr3 and chrX remain.
    let output = run(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("test chr3, chrX"), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("100 fragments"));

    // Asked for by name, any chromosome will do; the classes may come in another order, but not under other names.
    let [human, mouse] = [&flags[1], &flags[3]];
    let stdout = succeed(&[
        "evaluate",
        text(&finished.run),
        "--genome",
        mouse,
        "--genome",
        human,
        "--test-chroms",
        "1",
        "--test-fragments",
        "60",
    ]);
    assert!(stdout.contains("60 fragments, 30 positive"), "{stdout}");
    let cat = mouse.replace("mouse=", "cat=");
    let error = fail(2, &["evaluate", text(&finished.run), "--genome", human, "--genome", &cat]);
    assert!(error.contains("human, cat") && error.contains("expected human, mouse"), "{error}");
    let error = fail(2, &["evaluate", text(&finished.run), "--test-fragments", "3"]);
    assert!(error.contains("--test-fragments is 3"), "{error}");

    let output = run(&["evaluate", text(&finished.run), "--test-chroms", "2", "--test-fragments", "20"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the run was trained on 2"));

    let table = finished.genomes.path("other.tsv");
    let rows: String = (0..40).map(|i| format!("{}\t{}\n", ["human", "mouse"][i % 2], bases(i as u64, 128))).collect();
    std::fs::write(&table, format!("label\tsequence\n{rows}")).unwrap();
    let stdout = succeed(&["evaluate", text(&finished.run), "--test", text(&table)]);
    assert!(stdout.contains("40 fragments, 20 positive"), "{stdout}");
    std::fs::write(&table, format!("label\tsequence\nrat\t{}\n", bases(1, 128))).unwrap();
    let error = fail(1, &["evaluate", text(&finished.run), "--test", text(&table)]);
    assert!(error.contains("line 2") && error.contains("'rat'") && error.contains("human or mouse"), "{error}");
}

#[test]
fn intervals_allow_for_neighbours_and_a_small_class_has_none() {
    let finished = finished();
    let test = |more: &[&str]| -> serde_json::Value {
        let printed = succeed(&[&["evaluate", text(&finished.run), "--json", "--quiet"], more].concat());
        serde_json::from_str::<serde_json::Value>(&printed).unwrap()["test"].clone()
    };
    let (long, short) = (test(&["--block-length", "1000"]), test(&["--block-length", "200"]));
    for (found, length) in [(&long, 1000), (&short, 200)] {
        assert_eq!((&found["blocks"]["kind"], &found["blocks"]["length"]), (&"coordinates".into(), &length.into()));
        assert_eq!(found["auroc"]["method"], "bca-block-bootstrap", "{}", found["auroc"]);
        assert_eq!(found["auroc"]["value"], long["auroc"]["value"]);
    }
    assert!(short["blocks"]["count"].as_u64() > long["blocks"]["count"].as_u64());

    let folder = tempfile::tempdir().unwrap();
    let classes = json(&finished.run.join("run.json"))["classes"].as_array().unwrap().clone();
    let [first, second] = [0, 1].map(|i| classes[i].as_str().unwrap());
    let length = json(&finished.run.join("run.json"))["length"].as_u64().unwrap() as usize;
    let rows: String =
        (0..60).map(|i| format!("{},{}\n", bases(i + 5000, length), if i < 7 { first } else { second })).collect();
    let table = folder.path().join("few.csv");
    std::fs::write(&table, format!("sequence,label\n{rows}")).unwrap();
    let few = test(&["--test", text(&table)]);
    let auroc = &few["auroc"];
    assert!(auroc["value"].is_number() && auroc["low"].is_null() && auroc["high"].is_null(), "{auroc}");
    let reason = auroc["interval_reason"].as_str().unwrap();
    assert_eq!(reason, "a class has 7 examples, and an interval needs 10 or more");
}
