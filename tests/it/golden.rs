//! Metrics held against scikit-learn and SciPy. Made by `python tests/golden/metrics.py` and `delong.py`, which name their versions.

use std::path::Path;

use serde_json::Value;
use strandnet_core::metrics::{Estimate, Ranking, Report, classes, labels, paired, regression};

use crate::support::{column, json};

#[test]
fn metrics_agree_with_scikit_learn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = folder.join("metrics.csv");
    let (sets, labels, scores) =
        (column(&table, b',', "set"), column(&table, b',', "label"), column(&table, b',', "score"));
    let golden = json(&folder.join("metrics.json"));
    let mut compared = 0;
    for (set, expected) in golden["sets"].as_object().unwrap() {
        let rows = || sets.iter().enumerate().filter(|(_, name)| *name == set).map(|(i, _)| i);
        let positive: Vec<bool> = rows().map(|i| labels[i] == "1").collect();
        let scores: Vec<f64> = rows().map(|i| scores[i].parse().unwrap()).collect();
        let report = Ranking::new(&positive, &scores).report(expected["threshold"].as_f64().unwrap(), 1);
        for (name, value) in expected["metrics"].as_object().unwrap() {
            let (found, expected) = (report.get(name).unwrap().value, value.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-9, "{set} {name}: {found} and {expected}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * 13);
}

#[test]
fn metrics_of_classes_labels_and_values_agree_with_scikit_learn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = folder.join("many.csv");
    let (sets, truth, scores) =
        (column(&table, b',', "set"), column(&table, b',', "truth"), column(&table, b',', "scores"));
    let golden = json(&folder.join("many.json"));
    let mut compared = 0;
    let mut compare = |place: String, found: Option<Estimate>, expected: &Value| {
        match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => {
                assert!((found.value - expected).abs() < 1e-9, "{place}: {found:?} and {expected}");
                assert!(found.low <= found.value && found.value <= found.high, "{place}: {found:?}");
            }
            (found, expected) => assert!(found.is_none() && expected.is_none(), "{place}: {found:?} and {expected:?}"),
        }
        compared += 1;
    };
    for (set, expected) in golden["sets"].as_object().unwrap() {
        let parts = expected["parts"].as_object().unwrap();
        let names: Vec<String> = parts.keys().cloned().collect();
        let numbers = |column: &[String]| -> Vec<f64> {
            let rows = sets.iter().zip(column).filter(|(name, _)| *name == set);
            rows.flat_map(|(_, row)| row.split(' ').map(|number| number.parse().unwrap())).collect()
        };
        let (truth, scores) = (numbers(&truth), numbers(&scores));
        let report: Report = match set.as_str() {
            "classes" => {
                classes::report(&truth.iter().map(|&class| class as usize).collect::<Vec<_>>(), &scores, &names, 1)
            }
            "labels" => labels::report(&truth.iter().map(|&label| label > 0.5).collect::<Vec<_>>(), &scores, &names, 1),
            _ => regression::report(&truth, &scores, &names, 1),
        };
        for (name, expected) in expected["metrics"].as_object().unwrap() {
            compare(format!("{set} {name}"), report.get(name), expected);
        }
        for (part, metrics) in report.parts.iter().zip(parts.values()) {
            for (name, expected) in metrics.as_object().unwrap() {
                compare(format!("{set} {} {name}", part.name), part.get(name), expected);
            }
        }
        assert_eq!(serde_json::json!(report.confusion), expected["confusion"], "{set}");
    }
    assert_eq!(compared, (7 + 3 * 5) + (5 + 4 * 5) + (5 + 2 * 5));
}

#[test]
fn delong_agrees_with_all_pairs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = folder.join("delong.csv");
    let [sets, labels, first, second] = ["set", "label", "first", "second"].map(|name| column(&table, b',', name));
    let golden = json(&folder.join("delong.json"));
    let golden = golden["sets"].as_object().unwrap();
    for (set, expected) in golden {
        let rows = || sets.iter().enumerate().filter(|(_, name)| *name == set).map(|(i, _)| i);
        let numbers = |column: &[String]| rows().map(|i| column[i].parse().unwrap()).collect::<Vec<f64>>();
        let positives: Vec<bool> = rows().map(|i| labels[i] == "1").collect();
        let found = paired::delong(&positives, &numbers(&first), &numbers(&second)).unwrap();
        for (name, found) in
            [("difference", found.difference), ("low", found.low), ("high", found.high), ("p_value", found.p_value)]
        {
            let expected = expected[name].as_f64().unwrap();
            assert!(
                (found - expected).abs() <= 1e-9 * expected.abs().max(1e-6),
                "{set} {name}: {found} and {expected}"
            );
        }
    }
    assert_eq!(golden.len(), 4);
}
