//! Metrics held against scikit-learn. Made by `python tests/golden/metrics.py`, which names its versions.

use std::path::Path;

use strandnet::metrics::Ranking;

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
