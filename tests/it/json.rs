//! `--json`: one document on standard output, whatever else is said on standard error.

use serde_json::Value;

use crate::fixtures::{Folder, finished, json, metrics, run, tables, text, trained, trained_on, value};

/// Runs with `--json` and parses all of standard output.
fn printed(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stdout)));
    assert!(found["format_version"].is_number(), "{found}");
    check_keys(&found);
    found
}

/// Keys are in snake case, but for those that are names of the user's.
fn check_keys(value: &Value) {
    const NAMES: [&str; 3] = ["classes", "by_class", "baselines"];
    if let Value::Object(object) = value {
        for (key, value) in object {
            assert!(key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{key}");
            if !NAMES.contains(&key.as_str()) {
                check_keys(value);
            }
        }
    }
}

#[test]
fn evaluate_prints_what_metrics_json_holds() {
    let folder = Folder::new();
    let out = folder.path("out");
    let run = &finished().run;
    let found = printed(&["evaluate", text(run), "--out", text(&out)]);
    assert_eq!(found["test"], metrics(run)["test"]);
    assert_eq!(found["test"], metrics(&out)["test"]);
    assert_eq!(found["out"], text(&out));
    let values = trained_on(&["--train", &tables().values, "--task", "regression"], &[]);
    assert!(value(&printed(&["evaluate", text(&values.path)])["test"], "pearson").is_finite());
}

#[test]
fn inspect_prints_what_inspection_json_holds() {
    let folder = Folder::new();
    let out = folder.path("out");
    let found = printed(&["inspect", "--train", &tables().binary, "--out", text(&out)]);
    assert_eq!(found, json(&out.join("inspection.json")));
}

#[test]
fn doctor_and_model_print_what_their_tables_say() {
    let found = printed(&["doctor"]);
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert!(found["libtorch"].as_str().unwrap().starts_with("2.11.0") && found["problems"].is_array());
    assert!(std::path::Path::new(found["libtorch_folder"].as_str().unwrap()).join("libtorch_cpu.so").is_file());
    let found = printed(&["model", "--arch", "shallow", "--strands", "single"]);
    assert_eq!((&found["parameters"], &found["multiply_adds"]), (&2849.into(), &199_432.into()));
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers[0]["output"], serde_json::json!([16, 97]));
    assert_eq!((&layers[0]["receptive_field"], &layers[0]["parameters"]), (&32.into(), &2064.into()));
    let nested = printed(&["model", "--arch", "residual"]);
    let has_inner = |layer: &Value| layer["layers"].as_array().is_some_and(|inner| !inner.is_empty());
    assert!(nested["layers"].as_array().unwrap().iter().any(has_inner));
}

#[test]
fn runs_side_by_side_have_their_differences_and_p_values_as_text_and_as_json() {
    let folder = Folder::new();
    let (first, longer) = (trained(&["--epochs", "1"]), trained(&["--epochs", "3", "--lr", "0.01"]));
    let out = folder.path("page.html");
    let own = ["report", text(&first.path), text(&longer.path), text(&finished().run), "--out", text(&out), "--force"];
    let found = printed(&own);
    assert_eq!(found["runs"].as_array().unwrap().len(), 3);
    assert_eq!(found["runs"][1]["test"], longer.json("metrics.json")["test"]);
    assert_eq!((&found["same_test"], &found["out"]), (&false.into(), &text(&out).into()));
    let expected = longer.metric("test", "auroc") - first.metric("test", "auroc");
    let difference = &found["differences"][0];
    assert!((difference["value"].as_f64().unwrap() - expected).abs() < 1e-9, "{difference}");
    let p = difference["p_value"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&p), "{difference}");
    assert!(found["differences"][1]["reason"].as_str().unwrap().contains("different examples"));

    let output = run(&own);
    let table = String::from_utf8(output.stdout).unwrap();
    for part in
        ["AUROC less that of ", "95 % interval", &format!("{expected:+.4}"), "Test examples", "different examples"]
    {
        assert!(table.contains(part), "'{part}' is missing from: {table}");
    }
    assert!(table.ends_with(&format!("{}\n", out.display())), "{table}");

    let one = printed(&["report", text(&first.path)]);
    assert_eq!(one["metrics"]["test"], first.json("metrics.json")["test"]);
    assert!(one["out"].as_str().unwrap().ends_with("report.html"));
}
