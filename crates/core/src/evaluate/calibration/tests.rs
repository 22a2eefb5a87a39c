//! Tests of calibration: against scikit-learn and SciPy, on simulated networks, and on every kind of validation split that
//! cannot be fitted.

use rand::RngExt;

use super::*;
use crate::config::{ClassShares, ClassWeights};
use crate::random::{self, Purpose};

const TABLE: &str = include_str!("../../../../../tests/golden/probabilities.csv");
const GOLDEN: &str = include_str!("../../../../../tests/golden/probabilities.json");

/// Labels and logits of a set of the golden table.
fn golden(set: &str) -> (Vec<usize>, Vec<f64>) {
    let rows = TABLE.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0] == set).then(|| {
            let logits: Vec<f64> = fields[2].split(' ').map(|logit| f64::from(logit.parse::<f32>().unwrap())).collect();
            (fields[1].parse::<usize>().unwrap(), logits)
        })
    });
    let (labels, logits): (Vec<usize>, Vec<Vec<f64>>) = rows.unzip();
    (labels, logits.concat())
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn platt_scaling_is_that_of_scikit_learn() {
    let expected: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    let sets = expected["two"].as_object().unwrap();
    assert_eq!(sets.len(), 6);
    for (set, expected) in sets {
        let (labels, logits) = golden(set);
        let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        let scores =
            || binary::Scores { logits: &logits, positive: &positive, prior: expected["prior"].as_f64().unwrap() };
        let line = scores().platt().unwrap();
        let platt = numbers(&expected["platt"]);
        assert!((line.slope - platt[0]).abs() < 1e-6 && (line.intercept - platt[1]).abs() < 1e-6, "{set}: {line:?}");
        let temperature = 1.0 / binary::common_slope(&[scores()]).unwrap().slope;
        assert!((temperature / expected["temperature"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{set}: {temperature}");
    }
}

#[test]
fn vector_scaling_is_the_minimum_that_scipy_finds() {
    let expected: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    let sets = expected["several"].as_object().unwrap();
    assert_eq!(sets.len(), 3);
    for (set, expected) in sets {
        let ((classes, logits), prior) = (golden(set), numbers(&expected["prior"]));
        let scores = classes::Scores { logits: &logits, classes: &classes, prior: &prior };
        let found = scores.vectors(&scores.common_scale_with_biases().unwrap()).unwrap();
        for (found, expected) in [(&found.scales, &expected["scales"]), (&found.biases, &expected["biases"])] {
            let expected = numbers(expected);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-5), "{set}: {found:?} {expected:?}");
        }
        let temperature = 1.0 / scores.common_scale().unwrap().slope;
        assert!((temperature / expected["temperature"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{set}: {temperature}");
    }
}

/// Examples of 2 bp without regard to their sequence.
fn examples(labels: &[f32], width: usize) -> Examples {
    if labels.is_empty() {
        return Examples::default();
    }
    Examples::from_codes(&vec![0; labels.len() / width * 2], 2, labels)
}

fn names(n: usize) -> Classes {
    Classes { names: (0..n).map(|i| format!("c{i}")).collect(), positive: 0 }
}

fn training(flags: &str) -> TrainingConfig {
    let mut config = TrainingConfig::default();
    for (flag, value) in flags.split_whitespace().filter_map(|flag| flag.split_once('=')) {
        match flag {
            "calibration" => {
                config.calibration = Some(match value {
                    "platt" => CalibrationMethod::Platt,
                    "vector" => CalibrationMethod::Vector,
                    "temperature" => CalibrationMethod::Temperature,
                    _ => CalibrationMethod::None,
                });
            }
            _ => config.target_prior = Some(value.parse::<ClassShares>().unwrap()),
        }
    }
    config
}

/// Classes drawn at these shares, with what each sequence says of them: log-likelihoods up to a common term.
fn drawn(n: usize, shares: &[f64], seed: u64) -> (Vec<f32>, Vec<f64>) {
    let mut random = random::generator(seed, Purpose::Simulate, 0, 0);
    let (mut labels, mut evidence) = (Vec::new(), Vec::new());
    for i in 0..n {
        // Exact shares, so that prevalences are those asked for.
        let place = (i as f64 + 0.5) / n as f64;
        let class = shares
            .iter()
            .scan(0.0, |sum, share| {
                *sum += share;
                Some(*sum)
            })
            .position(|sum| place < sum)
            .unwrap();
        labels.push(class as f32);
        for k in 0..shares.len() {
            // Unit-variance normal features whose mean is 1.5 in the own class: log-likelihood ratio 1.5 x - 1.125.
            let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            let x = normal + if k == class { 1.5 } else { 0.0 };
            evidence.push(1.5 * x - 1.125);
        }
    }
    (labels, evidence)
}

/// Logits of a network that learned the evidence exactly at these shares, stretched as an over-confident one's are.
fn logits_of(evidence: &[f64], shares: &[f64], stretch: f64) -> Vec<f32> {
    let k = shares.len();
    let all = |i: usize, class: usize| stretch * (evidence[i * k + class] + shares[class].ln());
    let n = evidence.len() / k;
    match k {
        2 => (0..n).map(|i| (all(i, 0) - all(i, 1)) as f32).collect(),
        _ => (0..n).flat_map(|i| (0..k).map(move |class| all(i, class) as f32)).collect(),
    }
}

fn mean_of(predictions: &[f64], outputs: usize, output: usize) -> f64 {
    let values: Vec<f64> = predictions.iter().skip(output).step_by(outputs).copied().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// With balancing class weights a network's scores are those of classes that are equally common; calibrated, their mean is
/// the prevalence, of the training or of the target, whatever shares validation has.
#[test]
fn the_mean_probability_comes_out_at_the_prevalence_whatever_weights_and_validation_are() {
    for (shares, of_valid, of_test, flags) in [
        (&[0.045, 0.955][..], &[0.045, 0.955][..], &[0.045, 0.955][..], ""),
        (&[0.045, 0.955], &[0.5, 0.5], &[0.045, 0.955], ""),
        (&[0.955, 0.045], &[0.2, 0.8], &[0.955, 0.045], ""),
        (&[0.5, 0.5], &[0.5, 0.5], &[0.01, 0.99], "target=0.01"),
        (&[0.5, 0.5], &[0.05, 0.95], &[0.8, 0.2], "target=0.8"),
        (&[0.045, 0.955], &[0.045, 0.955], &[0.3, 0.7], "target=c1=0.7"),
        (&[0.7, 0.2, 0.1], &[0.7, 0.2, 0.1], &[0.7, 0.2, 0.1], ""),
        (&[0.9, 0.07, 0.03], &[0.34, 0.33, 0.33], &[0.9, 0.07, 0.03], ""),
        (&[0.4, 0.3, 0.3], &[0.4, 0.3, 0.3], &[0.1, 0.1, 0.8], "target=0.1,0.1,0.8"),
    ] {
        let k = shares.len();
        let (kind, outputs) = if k == 2 { (TaskKind::Binary, 1) } else { (TaskKind::Multiclass, k) };
        let (classes, train) = (names(k), examples(&drawn(2000, shares, 1).0, 1));
        let task = Task::new(kind, &classes, None, &ClassWeights::Auto, &train).unwrap();
        let balanced = vec![1.0 / k as f64; k];
        let ((valid, of_valid), (_, of_test_examples)) = (drawn(3000, of_valid, 2), drawn(10_000, of_test, 3));
        let valid = examples(&valid, 1);
        let calibrator = Calibrator::new(&task, &training(flags), &classes, &train, &valid).unwrap();
        for (share, found) in balanced.iter().zip(&calibrator.trained) {
            assert!((share - found).abs() < 1e-9, "balancing weights make all classes equally common");
        }
        for stretch in [0.5, 1.0, 8.0] {
            let (calibration, warnings) = calibrator.fit(&logits_of(&of_valid, &balanced, stretch));
            assert!(warnings.is_empty(), "{warnings:?}");
            assert_eq!(calibration.prior.len(), outputs);
            let calibrated = Task { calibration, ..task.clone() };
            let logits = logits_of(&of_test_examples, &balanced, stretch);
            let (before, after) = (task.activate(&logits).unwrap(), calibrated.activate(&logits).unwrap());
            for (output, &prevalence) in of_test.iter().take(outputs).enumerate() {
                let found = mean_of(&after, outputs, output);
                let apart = (found - prevalence).abs() / prevalence.min(1.0 - prevalence);
                assert!(apart < 0.1, "{shares:?} {flags} {stretch}, {output}: {found} for {prevalence}");
                let was = mean_of(&before, outputs, output);
                assert!(
                    (was - prevalence).abs() > (found - prevalence).abs(),
                    "{shares:?}: {was} {found} {prevalence}"
                );
            }
        }
    }
}

#[test]
fn every_label_is_brought_to_its_own_prevalence() {
    let n = 3000;
    let mut random = random::generator(5, Purpose::Simulate, 0, 0);
    let shares = [0.02, 0.3, 0.9];
    let mut draw = |shares: [f64; 3]| -> (Vec<f32>, Vec<f32>) {
        let rows =
            (0..n).flat_map(|_| shares.map(|share| (random.random::<f64>() < share, random.random_range(-2.0..2.0))));
        rows.map(|(label, noise)| (f32::from(u8::from(label)), if label { 2.0 + noise } else { noise } as f32)).unzip()
    };
    let (train, _) = draw(shares);
    let (mut valid, logits) = draw([0.4, 0.4, 0.4]);
    valid[1] = f32::NAN; // a missing label counts for nothing
    let (classes, train, valid) = (names(3), examples(&train, 3), examples(&valid, 3));
    let task = Task::new(TaskKind::Multilabel, &classes, None, &ClassWeights::Auto, &train).unwrap();
    let calibrator = Calibrator::new(&task, &training(""), &classes, &train, &valid).unwrap();
    let (calibration, warnings) = calibrator.fit(&logits);
    assert!(warnings.is_empty() && calibration.scales.len() == 3, "{warnings:?}");
    let calibrated = Task { calibration, ..task };
    let test = draw(shares).1;
    let predictions = calibrated.activate(&test).unwrap();
    for (label, share) in shares.iter().enumerate() {
        let found = mean_of(&predictions, 3, label);
        assert!((found - share).abs() < 0.15 * share.min(1.0 - share) + 0.005, "{label}: {found}");
    }
}

/// What cannot be fitted says so, once and loudly, and leaves probabilities as they are or as near as can be.
#[test]
fn what_cannot_be_fitted_is_said_and_recorded() {
    use CalibrationMethod::{None as Nothing, Platt, Temperature, Vector};
    use TaskKind::{Binary, Multiclass, Multilabel};
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for (kind, flags, labels, logits, method, words) in [
        (Binary, "", &[0.0, 1.0, 0.0, 1.0][..], &[2.0, -2.0, 1.0, -1.0][..], Platt, ""),
        (Binary, "", &[0.0; 4], &[2.0, -2.0, 1.0, -1.0], Nothing, "all validation examples are of one class"),
        (Binary, "", &[1.0; 4], &[2.0, -2.0, 1.0, -1.0], Nothing, "all validation examples are of one class"),
        (Binary, "", &[], &[], Nothing, "there are no validation examples"),
        (Binary, "", &[0.0, 1.0, 0.0, 1.0], &[-2.0, 2.0, -1.0, 1.0], Nothing, "the slope would be negative"),
        (Binary, "", &[0.0, 1.0, 0.0, 1.0], &[0.5; 4], Nothing, "all validation scores are equal"),
        (Binary, "", &[0.0, 1.0, 0.0, 1.0], &[nan, 2.0, -1.0, 1.0], Nothing, "not a finite number"),
        (Binary, "", &[0.0, 1.0, 0.0, 1.0], &[inf, 2.0, -1.0, 1.0], Nothing, "not a finite number"),
        (Binary, "", &[0.0, 1.0, 0.0, 1.0], &[1e9, -1e9, 1e9, -1e9], Platt, "the end of its range"),
        (Binary, "", &[0.0, 1.0, 0.0, 1.0], &[1e-9, -1e-9, 1e-9, -1e-9], Platt, "the end of its range"),
        (
            Binary,
            "calibration=temperature",
            &[0.0, 1.0, 0.0, 1.0],
            &[-2.0, 2.0, -1.0, 1.0],
            Nothing,
            "would be negative",
        ),
        (Binary, "calibration=temperature", &[0.0, 1.0, 0.0, 1.0], &[900.0, -900.0, 800.0, -800.0], Temperature, ""),
        (Binary, "calibration=none", &[0.0; 4], &[2.0; 4], Nothing, ""),
        (Multiclass, "", &[0.0, 1.0, 2.0], &[2.0, 0.1, 0.0, 0.0, 1.0, 0.2, 0.1, 0.0, 3.0], Vector, ""),
        (Multiclass, "", &[0.0, 1.0, 1.0], &[2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 3.0, 1.0], Temperature, "is of 'c2'"),
        (Multiclass, "", &[1.0, 1.0, 1.0], &[2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 3.0, 1.0], Nothing, "of one class"),
        (Multiclass, "", &[0.0, 1.0, 2.0], &[0.5; 9], Nothing, "equal"),
        (Multiclass, "", &[0.0, 1.0, 2.0], &[nan; 9], Nothing, "not a finite number"),
        (
            Multiclass,
            "",
            &[0.0, 1.0, 2.0],
            &[0.0, 2.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 0.0],
            Nothing,
            "would be negative",
        ),
        (Multilabel, "", &[0.0, 1.0, 1.0, 0.0, 0.0, 0.0], &[-1.0, 2.0, 0.5, 1.0, -2.0, 0.5], Platt, ""),
        (
            Multilabel,
            "",
            &[0.0, 1.0, 1.0, 1.0, 0.0, 1.0],
            &[-1.0, 2.0, 0.5, 1.0, -2.0, 0.5],
            Platt,
            "'c1' not, for want",
        ),
        (Multilabel, "", &[0.0, 1.0, 0.0, 1.0], &[-1.0, 2.0, 0.5, 1.0], Nothing, "no negatives of any label"),
        (Multilabel, "", &[0.0, nan, 0.0, nan], &[-1.0, 2.0, 0.5, 1.0], Nothing, "no negatives of any label"),
    ] {
        let (count, width) = match kind {
            Binary => (2, 1),
            Multiclass => (3, 1),
            _ => (2, 2),
        };
        let of_train: Vec<f32> =
            (0..24 * width).map(|i| (i / width % if kind == Multiclass { 3 } else { 2 }) as f32).collect();
        let (classes, train, valid) = (names(count), examples(&of_train, width), examples(labels, width));
        let task = Task::new(kind, &classes, None, &ClassWeights::None, &train).unwrap();
        let calibrator = Calibrator::new(&task, &training(flags), &classes, &train, &valid).unwrap();
        let (found, warnings) = calibrator.fit(logits);
        let case = format!("{kind:?} {flags} {labels:?} {logits:?}: {found:?} {warnings:?}");
        assert_eq!(found.method, method, "{case}");
        assert_eq!(warnings.is_empty(), words.is_empty(), "{case}");
        assert!(warnings.concat().contains(words), "{case}");
        assert!(found.fits(kind, task.outputs()) && !found.prior.is_empty(), "{case}");
        let is_recorded = found.reason.is_some();
        assert_eq!(is_recorded, (method == Nothing || kind == Multilabel) && !words.is_empty(), "{case}");
        if method == Nothing && !words.is_empty() {
            assert!(
                found.is_identity()
                    && sentence(&Task { calibration: found, ..task }, None, None)
                        .unwrap()
                        .starts_with("not calibrated: ")
            );
        }
    }
}

#[test]
fn a_method_that_does_not_go_with_the_task_is_answered_with_those_that_do() {
    use TaskKind::{Binary, Multiclass, Multilabel, Regression};
    for (kind, flags, words) in [
        (Binary, "calibration=vector", "--calibration is vector, expected platt, temperature or none for two classes"),
        (Multilabel, "calibration=vector", "expected platt, temperature or none for several labels"),
        (
            Multiclass,
            "calibration=platt",
            "--calibration is platt, expected vector, temperature or none for several classes",
        ),
        (Regression, "calibration=platt", "--task regression has neither"),
        (Regression, "calibration=vector", "--task regression has neither"),
        (Regression, "target=0.5", "values have no prevalence"),
        (Multiclass, "target=0.5", "expected 3, one for each class"),
        (Binary, "target=c9=0.5", "names 'c9'"),
        (Binary, "calibration=temperature", ""),
        (Multiclass, "calibration=temperature", ""),
        (Multilabel, "calibration=none", ""),
        (Regression, "calibration=temperature", ""),
        (Regression, "calibration=none", ""),
        (Regression, "", ""),
    ] {
        let width = if matches!(kind, Binary | Multiclass) { 1 } else { 3 };
        let classes = names(if kind == Binary { 2 } else { 3 });
        let data = examples(&[0.0, 1.0, 1.0].repeat(width), width);
        let task = Task::new(kind, &classes, None, &ClassWeights::None, &data).unwrap();
        match Calibrator::new(&task, &training(flags), &classes, &data, &data) {
            Ok(_) => assert!(words.is_empty(), "{kind:?} {flags}"),
            Err(error) => assert!(!words.is_empty() && error.to_string().contains(words), "{kind:?} {flags}: {error}"),
        }
    }
}

#[test]
fn the_sentence_says_what_was_done_and_whether_the_error_rose() {
    let (classes, data) = (names(2), examples(&[0.0, 1.0], 1));
    let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &data).unwrap();
    let calibration = Calibration {
        method: CalibrationMethod::Platt,
        scales: vec![0.83],
        biases: vec![-0.41],
        prior: vec![0.045],
        examples: 1234,
        ..Calibration::default()
    };
    let task = Task { calibration, ..task };
    let done = "calibrated by Platt scaling, slope 0.830, intercept -0.410, on 1,234 validation examples reweighted to the training prevalence 0.0450";
    assert_eq!(sentence(&task, None, None).unwrap(), done);
    let with = |errors, of_test| sentence(&task, Some(errors), of_test).unwrap();
    assert_eq!(
        with((0.06, 0.02), Some(0.044)),
        format!("{done}; calibration error on test 0.0600 before and 0.0200 after")
    );
    assert!(with((0.01, 0.02), Some(0.044)).ends_with("0.0100 before and 0.0200 after, so it rose"));
    assert!(
        with((0.01, 0.4), Some(0.5))
            .ends_with("rose, at a prevalence of 0.500 in the test, which is not the one calibrated to")
    );
}
