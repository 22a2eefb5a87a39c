//! Linear baselines held against scikit-learn. Made by `python tests/golden/baselines.py`, which names its versions.

use std::path::Path;

use strandnet_core::baselines::{Features, Link, Sequences, fit};
use strandnet_core::sequence::alphabet::encode;

use crate::support::{column, json};

#[test]
fn baselines_agree_with_scikit_learn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = folder.join("baselines.csv");
    let (splits, bases) = (column(&table, b',', "split"), column(&table, b',', "sequence"));
    let rows = |split: &str| (0..splits.len()).filter(|&i| splits[i] == split).collect::<Vec<_>>();
    let codes = |split: &str| {
        let mut codes = Vec::new();
        rows(split).into_iter().for_each(|i| encode(bases[i].as_bytes(), &mut codes).unwrap());
        codes
    };
    let targets = |split: &str, names: &[&str]| -> Vec<f32> {
        let columns: Vec<_> = names.iter().map(|name| column(&table, b',', name)).collect();
        rows(split).into_iter().flat_map(|i| columns.iter().map(move |values| values[i].parse().unwrap())).collect()
    };
    let length = bases[0].len();
    let (train, valid) = (codes("train"), codes("valid"));
    let (train, valid) = (Sequences { codes: &train, length }, Sequences { codes: &valid, length });
    let golden = json(&folder.join("baselines.json"));
    let models = golden["models"].as_array().unwrap();
    for model in models {
        let features = model["features"].as_u64().map_or(Features::Gc, |k| Features::Kmers(k as usize));
        let (link, names) = match model["link"].as_str().unwrap() {
            "logistic" => (Link::Logistic, &["label"][..]),
            "softmax" => (Link::Softmax, &["class_0", "class_1", "class_2"][..]),
            "identity" => (Link::Identity, &["value", "other_value"][..]),
            "log" => (Link::Log, &["count"][..]),
            other => panic!("{other}"),
        };
        let (of_train, of_valid) = (targets("train", names), targets("valid", names));
        let fitted = fit(features, link, names.len(), (train, &of_train), (valid, &of_valid)).unwrap();
        assert_eq!(fitted.penalty, model["penalty"].as_f64().unwrap(), "{features:?} {link:?}");
        let expected: Vec<f64> = model["predictions"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
        let predicted = fitted.predict(&valid);
        assert_eq!(predicted.len(), expected.len());
        // Probabilities lie between 0 and 1; the rest is in units of its own.
        let relative = |i: usize| if matches!(link, Link::Logistic | Link::Softmax) { 1.0 } else { expected[i].abs() };
        for i in 0..expected.len() {
            let difference = (predicted[i] - expected[i]).abs() / relative(i);
            assert!(difference < 1e-4, "{features:?} {link:?}: {} and {}", predicted[i], expected[i]);
        }
    }
    assert_eq!(models.len(), 3 * 4);
}
