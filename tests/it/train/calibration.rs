//! Calibrated probabilities: what they are fitted to, where they stand, and what is said where they cannot be had.

use crate::fixtures::{
    Folder, Trained, apart, bases_of_gc, examples, fail, gc_table, json, metrics, numbers, succeed, tables, text,
    trained_on,
};

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn calibration_changes_probabilities_everywhere_and_no_weights() {
    for (question, data, has_probabilities) in tables().questions() {
        for method in [None, Some("temperature")] {
            let flags = ["--lr", "0.01"];
            let own = method.map_or(vec![], |method| vec!["--calibration", method]);
            let with = trained_on(&data, &[&flags[..], &own].concat());
            let without = trained_on(&data, &[&flags[..], &["--calibration", "none"]].concat());
            assert!(with.tensors() == without.tensors(), "{question}: it comes after training");
            for run in [&with, &without] {
                assert_eq!(run.file("calibration.png").exists(), has_probabilities, "{question}");
            }
            assert_eq!(without.json("model.json")["calibration"]["method"], "none", "{question}");
            assert!(without.json("metrics.json")["test"]["uncalibrated_expected_calibration_error"].is_null());
            assert!(!without.stdout.contains("calibrated"), "{}", without.stdout);
            let (card, saved) = (with.json("model.json"), with.json("run.json"));
            if !has_probabilities {
                assert_eq!((&card["calibration"]["method"], &card["prior"]), (&"none".into(), &serde_json::json!([])));
                assert!(with.json("metrics.json") == without.json("metrics.json"));
                continue;
            }
            let default = if question == "multiclass" { "vector" } else { "platt" };
            assert_eq!(card["calibration"]["method"], method.unwrap_or(default), "{question}");
            assert_eq!(card["calibration"]["scales"], saved["task"]["calibration"]["scales"], "{question}");
            assert_eq!(card["prior"], saved["task"]["calibration"]["prior"], "{question}");
            let outputs = if question == "binary" { 1 } else { card["classes"].as_array().unwrap().len() };
            assert_eq!(card["prior"].as_array().unwrap().len(), outputs);

            let [with_it, as_they_were] = [&with, &without].map(|run| run.json("metrics.json")["test"].clone());
            let [before, after] = ["uncalibrated", "calibrated"]
                .map(|when| with_it[format!("{when}_expected_calibration_error")].as_f64().unwrap());
            let said = format!("calibration error on test {before:.4} before and {after:.4} after");
            assert!(before != after && with.stdout.contains(&said), "{said}: {}", with.stdout);
            assert!(
                with.stdout.contains("validation examples reweighted to the training prevalence"),
                "{}",
                with.stdout
            );
            let page = std::fs::read_to_string(with.file("report.html")).unwrap();
            assert!(page.contains("Calibrated by") && page.contains(&said), "the report says it, too");
            if question == "binary" {
                assert_eq!(as_they_were["expected_calibration_error"]["value"], before);
                assert_eq!(with_it["expected_calibration_error"]["value"], after);
                let number = |key: &str| card["calibration"][key][0].as_f64().unwrap_or(0.0);
                let (slope, intercept) = (number("scales"), number("biases"));
                let expected: Vec<f64> = without.scores().into_iter().map(|p| slope * logit(p) + intercept).collect();
                let found: Vec<f64> = with.scores().into_iter().map(logit).collect();
                assert!(apart(&expected, &found) < 1e-4, "{slope} {intercept}");
            }
            // Rounding can make two scores equal. Of several classes, examples may pass one another.
            let unchanged: &[&str] = match question {
                "binary" => &["auroc", "average_precision"],
                "multilabel" => &["macro_auroc", "macro_average_precision"],
                _ => &[],
            };
            for name in unchanged {
                assert!((with.metric("test", name) - without.metric("test", name)).abs() < 1e-3, "{question} {name}");
            }
            let again = with.path.with_extension("evaluation");
            succeed(&["evaluate", text(&with.path), "--out", text(&again), "--quiet", "--threads", "1"]);
            assert_eq!(json(&again.join("metrics.json"))["test"], with.json("metrics.json")["test"], "{question}");
            if method.is_none() && question != "multilabel" {
                let verified = succeed(&["verify", text(&with.path), "--quiet"]);
                assert!(verified.contains("model       ok"), "{verified}");
            }
        }
    }
}

/// A rare class, with balancing class weights, and what the run says and does.
#[test]
fn with_class_weights_the_mean_probability_is_the_prevalence_and_can_be_moved_to_another() {
    let folder = Folder::new();
    // GC content says something of the class, not all.
    let table = gc_table(1500, "label", |i, gc| {
        let chance = (i as f64 * 0.377 + 0.1).fract();
        if chance < 0.09 * (gc - 0.1) / 0.45 { "rare" } else { "common" }.into()
    });
    let path = folder.write("rare.csv", table);
    let flags = ["--class-weights", "auto", "--classes", "rare,common", "--lr", "0.01", "--test-fraction", "0.3"];
    let data = ["--train", &path, "--valid-fraction", "0.3"];
    let run = trained_on(&data, &flags);
    let none = trained_on(&data, &[&flags[..], &["--calibration", "none"]].concat());
    let rows = examples(&run.path);
    let share = |split: &str| {
        let of_split: Vec<_> = rows.iter().filter(|row| row.split == split).collect();
        of_split.iter().filter(|row| row.label == "rare").count() as f64 / of_split.len() as f64
    };
    let prevalence = share("train");
    assert!((0.02..0.15).contains(&prevalence), "{prevalence}");
    let prior = |run: &Trained| run.json("model.json")["prior"][0].as_f64().unwrap();
    assert!((prior(&run) - prevalence).abs() < 1e-12);
    assert!((prior(&none) - 0.5).abs() < 1e-12, "as trained, scores are made for equally common classes");
    let (with, without) = (mean(&run.test_scores()), mean(&none.test_scores()));
    assert!((with / prevalence - 1.0).abs() < 0.35 && without > 3.0 * prevalence, "{with} {without} {prevalence}");
    assert!(run.stdout.contains("calibrated by Platt scaling, slope "), "{}", run.stdout);

    // predict --prior, of the sample at hand.
    let sequences = (0..20).map(|i| format!(">s{i}\n{}\n", bases_of_gc(i, 60, 0.2 + 0.03 * i as f64)));
    let fasta = folder.write("x.fa", sequences.collect::<String>());
    let scores = |flags: &[&str]| -> Vec<f64> {
        let out = folder.path("scores.tsv");
        succeed(
            &[&["predict", text(&run.path), &fasta, "--out", text(&out), "--force", "--quiet"][..], flags].concat(),
        );
        numbers(&out, b'\t', "score")
    };
    let own = scores(&[]);
    for (given, to) in [("0.3", 0.3), ("rare=0.01", 0.01), ("common=0.2", 0.8), ("0.6,0.4", 0.6)] {
        let expected: Vec<f64> = own.iter().map(|&p| logit(p) - logit(prevalence) + logit(to)).collect();
        let found: Vec<f64> = scores(&["--prior", given]).into_iter().map(logit).collect();
        assert!(apart(&expected, &found) < 1e-3, "{given}");
    }
    assert!(apart(&scores(&["--prior", &prevalence.to_string()]), &own) < 1e-6, "its own prior leaves them");
    for (given, words) in
        [("0.3,0.3", "add up to 0.6"), ("mouse=0.1", "names 'mouse', expected names among rare, common")]
    {
        let error = fail(1, &["predict", text(&run.path), &fasta, "--prior", given]);
        assert!(error.contains("--prior") && error.contains(words), "{error}");
    }

    // A target of its own, which the test does not have.
    let target = trained_on(&data, &[&flags[..], &["--target-prior", "rare=0.4"]].concat());
    assert!(target.tensors() == run.tensors());
    assert_eq!(prior(&target), 0.4);
    assert!(mean(&target.test_scores()) > 3.0 * with, "{}", mean(&target.test_scores()));
    assert!(target.stdout.contains("reweighted to the target prevalence 0.400"), "{}", target.stdout);
    assert!(target.stdout.contains("in the test, which is not the one calibrated to"), "{}", target.stdout);
}

/// A network that learns nothing gives scores that fall with one of two classes and rise with the other.
#[test]
fn what_cannot_be_calibrated_is_said_recorded_and_shown() {
    let data = &tables().questions()[0].1;
    let runs = ["rich,poor", "poor,rich"].map(|classes| trained_on(data, &["--classes", classes, "--lr", "1e-12"]));
    let calibrated: Vec<bool> =
        runs.iter().map(|run| run.json("run.json")["task"]["calibration"]["method"] == "platt").collect();
    assert!(calibrated[0] != calibrated[1], "{calibrated:?}");
    let run = &runs[usize::from(calibrated[0])];
    let said = "not calibrated: higher scores do not go with more positives on validation";
    assert!(run.stderr.contains(&format!("warning: probabilities are {said}")), "{}", run.stderr);
    assert!(run.stdout.contains(said), "{}", run.stdout);
    let saved = run.json("run.json");
    let warnings = saved["outcome"]["remarks"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| warning.as_str().unwrap().contains(said)), "{saved}");
    let calibration = &saved["task"]["calibration"];
    assert!(calibration["reason"].as_str().unwrap().contains("the slope would be negative"), "{calibration}");
    assert!(calibration["prior"][0].as_f64().is_some_and(|prior| prior > 0.0), "{calibration}");
    assert_eq!(run.json("model.json")["calibration"]["method"], "none");
    let page = std::fs::read_to_string(run.file("report.html")).unwrap();
    assert!(page.contains(&format!("probabilities are {said}")) && page.contains("Not calibrated: "));
    let again = succeed(&["evaluate", text(&run.path), "--quiet"]);
    assert!(again.contains(said), "{again}");
}

/// Runs of earlier versions hold a temperature, and no prior; what their scores were made for is in their list of examples.
#[test]
fn a_temperature_of_an_earlier_version_is_applied_and_its_scores_can_be_moved() {
    let run = trained_on(&tables().questions()[0].1, &["--calibration", "none", "--lr", "0.01"]);
    let folder = Folder::new();
    let fasta = folder.write("x.fa", format!(">s\n{}\n", bases_of_gc(1, 60, 0.6)));
    let old = crate::fixtures::copied(&run.path);
    std::fs::remove_file(old.join("checksums.sha256")).unwrap();
    let mut saved = run.json("run.json");
    saved["format_version"] = 3.into();
    saved["task"].as_object_mut().unwrap().remove("calibration");
    saved["task"]["temperature"] = 2.0.into();
    saved["config"]["training"]["calibration"] = "temperature".into();
    saved["config"]["training"].as_object_mut().unwrap().remove("target_prior");
    std::fs::write(old.join("run.json"), saved.to_string()).unwrap();
    let score = |run: &std::path::Path, flags: &[&str]| -> f64 {
        let out = succeed(&[&["predict", text(run), &fasta, "--quiet"][..], flags].concat());
        out.lines().nth(1).unwrap().split('\t').nth(4).unwrap().parse().unwrap()
    };
    let (own, divided) = (score(&run.path, &[]), score(&old, &[]));
    assert!((logit(own) / 2.0 - logit(divided)).abs() < 1e-5, "{own} {divided}");
    let rows = examples(&run.path);
    let count = |label: &str| rows.iter().filter(|row| row.split == "train" && row.label == label).count() as f64;
    let positive = saved["positive"].as_str().unwrap();
    let share = count(positive) / (count("rich") + count("poor"));
    let moved = score(&old, &["--prior", "0.01"]);
    assert!((logit(moved) - (logit(divided) - logit(share) + logit(0.01))).abs() < 1e-4, "{moved}");
    std::fs::remove_file(old.join("examples.tsv")).unwrap();
    let error = fail(1, &["predict", text(&old), &fasta, "--prior", "0.01"]);
    assert!(error.contains("neither the prior of its scores nor its training examples"), "{error}");
    let values = trained_on(&tables().questions()[3].1, &[]);
    let error = fail(1, &["predict", text(&values.path), &fasta, "--prior", "0.01"]);
    assert!(error.contains("--prior goes with classes and labels"), "{error}");
    assert!(metrics(&values.path)["test"]["uncalibrated_expected_calibration_error"].is_null());
}
