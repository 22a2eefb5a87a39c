//! Golden numbers: metrics held against scikit-learn and SciPy, profiles against SciPy, intervals against statsmodels, SciPy and
//! all pairs, linear baselines against scikit-learn. `metrics.py`, `profile.py`, `intervals.py`, `delong.py`, `difference.py` and
//! `baselines.py` in tests/golden made them and name their versions.

use std::path::Path;

use serde_json::Value;
use strandnet_core::baselines::{Features, Link, Sequences, fit};
use strandnet_core::metrics::blocks::BlockKind;
use strandnet_core::metrics::profile::{ProfileMetrics, log_softmax};
use strandnet_core::metrics::{
    Blocks, Estimate, Interval, Method, Ranking, Report, Resampling, classes, difference, labels, paired, regression,
};
use strandnet_core::sequence::alphabet::encode;

use crate::fixtures::{column, json};

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
        let blocks = Blocks::each(positive.len());
        let resampling = Resampling { blocks: &blocks, seed: 1 };
        let report = Ranking::new(&positive, &scores).report(expected["threshold"].as_f64().unwrap(), &resampling);
        for (name, value) in expected["metrics"].as_object().unwrap() {
            let (found, expected) = (report.get(name).unwrap().value, value.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-9, "{set} {name}: {found} and {expected}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * 13);
}

#[test]
fn profiles_agree_with_scipy() {
    let golden = json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/profile.json"));
    let stretch = golden["stretch"].as_u64().unwrap() as usize;
    let loci = golden["loci"].as_array().unwrap();
    assert_eq!(loci.len(), 6);
    for locus in loci {
        let numbers = |key: &str| -> Vec<f64> {
            locus[key].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let logits = numbers("logits");
        let found = ProfileMetrics::new(&numbers("counts"), &log_softmax(&logits), stretch).unwrap();
        for (name, found) in [
            ("multinomial_nll", Some(found.multinomial_nll)),
            ("gain", Some(found.gain)),
            ("jensen_shannon_distance", Some(found.jensen_shannon_distance)),
            ("pearson", found.pearson),
            ("spearman", found.spearman),
            ("pearson_binned", found.pearson_binned),
            ("spearman_binned", found.spearman_binned),
        ] {
            let (found, expected) = (found.unwrap(), locus[name].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{name}: {found} and {expected}");
        }
    }
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
                let (low, high) = found.ends();
                assert!(low <= found.value && found.value <= high, "{place}: {found:?}");
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
        let n = if set == "classes" { truth.len() } else { truth.len() / names.len() };
        let blocks = Blocks::each(n);
        let resampling = &Resampling { blocks: &blocks, seed: 1 };
        let report: Report = match set.as_str() {
            "classes" => {
                let classes: Vec<usize> = truth.iter().map(|&class| class as usize).collect();
                classes::report(&classes, &scores, &names, resampling)
            }
            "labels" => {
                let labels: Vec<bool> = truth.iter().map(|&label| label > 0.5).collect();
                labels::report(&labels, &scores, &names, resampling)
            }
            _ => regression::report(&truth, &scores, &names, resampling),
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
        let alone = Blocks::each(positives.len());
        let found = paired::delong(&positives, &numbers(&first), &numbers(&second), &alone).unwrap();
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

#[test]
fn intervals_agree_with_statsmodels_and_scipy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = folder.join("intervals.csv");
    let [sets, labels, first, second, blocks] =
        ["set", "label", "first", "second", "block"].map(|name| column(&table, b',', name));
    let golden = json(&folder.join("intervals.json"));
    let golden = golden["sets"].as_object().unwrap();
    let mut methods = Vec::new();
    for (set, expected) in golden {
        let rows = || sets.iter().enumerate().filter(|(_, name)| *name == set).map(|(i, _)| i);
        let numbers = |column: &[String]| rows().map(|i| column[i].parse().unwrap()).collect::<Vec<f64>>();
        let positives: Vec<bool> = rows().map(|i| labels[i] == "1").collect();
        let (first, second) = (numbers(&first), numbers(&second));
        let close = |what: &str, found: f64, expected: &Value| {
            let expected = expected.as_f64().unwrap();
            // Student's t, of the set with a rare class, is a series.
            let tolerance = if what == "logit_delong" && set == "rare_and_tied" { 1e-5 } else { 1e-9 };
            assert!((found - expected).abs() <= tolerance, "{set} {what}: {found} and {expected}");
        };
        let alone = Blocks::each(positives.len());
        let report = Ranking::new(&positives, &first).report(0.5, &Resampling { blocks: &alone, seed: 1 });
        for (name, value) in [("auroc", "auroc"), ("accuracy", "accuracy")] {
            close(name, report.get(name).unwrap().value, &expected[value]);
        }
        let intervals = ["auroc", "accuracy"].map(|name| report.get(name).unwrap().interval.unwrap());
        for Interval { low, high, method } in intervals {
            let key = match method {
                Method::LogitDelong => "logit_delong",
                Method::Newcombe => "newcombe",
                Method::Wilson => "wilson",
                other => panic!("{other:?}"),
            };
            close(key, low, &expected[key][0]);
            close(key, high, &expected[key][1]);
            methods.push(key);
        }
        let in_blocks = Blocks::of_keys(rows().map(|i| Some(&blocks[i])), BlockKind::Coordinates { length: 1 });
        let error = paired::standard_error(&positives, &first, &in_blocks).unwrap();
        close("block_standard_error", error, &expected["block_standard_error"]);
        let found = paired::delong(&positives, &first, &second, &in_blocks).unwrap();
        close("block_difference", found.difference, &expected["block_difference"]);
        close("block_p_value", found.p_value, &expected["block_p_value"]);
    }
    methods.sort_unstable();
    assert_eq!(
        methods,
        ["logit_delong", "logit_delong", "logit_delong", "newcombe", "wilson", "wilson", "wilson", "wilson"]
    );
}

#[test]
fn paired_differences_agree_with_ten_times_as_many_resamples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = folder.join("difference.csv");
    let sets = column(&table, b',', "set");
    let golden = json(&folder.join("difference.json"));
    let golden = golden["sets"].as_object().unwrap();
    for (set, expected) in golden {
        let numbers = |name: &str| -> Vec<f64> {
            let values = column(&table, b',', name);
            (0..sets.len()).filter(|&i| sets[i] == *set).map(|i| values[i].parse().unwrap()).collect()
        };
        let (labels, k) = (numbers("label"), if expected["metric"] == "pearson" { 1 } else { 3 });
        let rows = |which: &str| -> Vec<f64> {
            let columns: Vec<Vec<f64>> = (0..k).map(|i| numbers(&format!("{which}_{i}"))).collect();
            (0..labels.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
        };
        let (first, second) = (rows("first"), rows("second"));
        let clusters = numbers("cluster").into_iter().map(|cluster| Some(cluster as usize));
        let blocks = if set.ends_with("clusters") {
            Blocks::of_keys(clusters, BlockKind::NearCopies)
        } else {
            Blocks::each(labels.len())
        };
        let resampling = Resampling { blocks: &blocks, seed: 1 };
        let found = if k == 1 {
            difference::mean_pearson(&labels, [&first, &second], k, &resampling)
        } else {
            let classes: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
            difference::macro_auroc_of_classes(&classes, [&first, &second], k, &resampling)
        };
        let found = found.unwrap();
        let number = |name: &str| expected[name].as_f64().unwrap();
        let width = number("high") - number("low");
        assert!((found.difference - number("difference")).abs() < 1e-12, "{set}: {found:?} {expected}");
        for (found, end) in [(found.low, "low"), (found.high, "high")] {
            assert!((found - number(end)).abs() < 0.08 * width, "{set} {end}: {found} {expected}");
        }
        assert_eq!(found.p_value < 0.05, number("low") > 0.0 || number("high") < 0.0, "{set}: {found:?}");
    }
    assert_eq!(golden.len(), 4);
}

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
        let both_strands = model["strands"] != "given";
        let features = match (model["features"].as_u64(), model["informative"].as_u64()) {
            (None, _) => Features::Gc,
            (Some(k), None) => Features::Kmers { k: k as usize, both_strands },
            (Some(length), Some(informative)) => {
                Features::Gapped { length: length as usize, informative: informative as usize, both_strands }
            }
        };
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
    assert_eq!(models.len(), 7 * 4);
}
