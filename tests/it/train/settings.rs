//! How a network is trained: its steps, their rates, what is done against overfitting, when it stops, and wrong values.

use crate::fixtures::{
    SMALL_RESIDUAL, Trained, apart, fail, json, numbers, run, succeed, tables, tensors, text, trained, trained_on,
    weights_apart, weights_metadata, with_defaults,
};

/// So small a rate that weights stay as they are.
const STILL: [&str; 2] = ["--lr", "1e-12"];

#[test]
fn training_stops_when_validation_gets_no_better_and_the_best_epoch_is_kept() {
    let flags = ["--epochs", "30", "--lr", "0.03", "--calibration", "none"];
    let stopped = trained(&[&flags[..], &["--patience", "1"]].concat());
    let scores = stopped.history("valid_auroc");
    let n = scores.len();
    assert!((2..30).contains(&n), "{scores:?}");
    assert!(scores[..n - 1].windows(2).all(|pair| pair[1] > pair[0]) && scores[n - 1] <= scores[n - 2], "{scores:?}");
    assert_eq!(stopped.best_epochs(), [n - 1]);
    assert_eq!(weights_metadata(&stopped.file("best.safetensors"))["epochs"], serde_json::json!([n - 1]));
    assert_eq!(weights_metadata(&stopped.file("last.safetensors"))["history"].as_array().unwrap().len(), n);
    assert_eq!(stopped.metric("valid", "auroc"), scores[n - 2]);
    assert!(stopped.stdout.contains(&format!("best epoch {} of {n}, ", n - 1)), "{}", stopped.stdout);
    // Training for just as long gives the same weights: a constant rate knows nothing of how many epochs are to come.
    let best = (n - 1).to_string();
    let short = trained(&[&flags[2..], &["--epochs", &best]].concat());
    assert!(short.tensors() == stopped.tensors());
    assert_eq!(short.scores(), stopped.scores());
}

#[test]
fn the_best_epoch_is_the_one_that_the_monitored_metric_says() {
    let mut chosen = Vec::new();
    for (metric, column, sign) in [
        ("auroc", "valid_auroc", 1.0),
        ("average-precision", "valid_average_precision", 1.0),
        ("accuracy", "valid_accuracy", 1.0),
        ("mcc", "valid_mcc", 1.0),
        ("loss", "valid_loss", -1.0),
    ] {
        let run = trained(&["--monitor", metric, "--epochs", "12", "--lr", "0.05", "--calibration", "none"]);
        let scores = run.history(column);
        let best = (0..scores.len()).rev().max_by(|&a, &b| (sign * scores[a]).total_cmp(&(sign * scores[b]))).unwrap();
        assert_eq!(run.best_epochs(), [best + 1], "{metric}: {scores:?}");
        let words = format!("validation {} {:.4}", shown(metric), scores[best]);
        assert!(run.stdout.contains(&words), "{words}: {}", run.stdout);
        let reported = match metric {
            "accuracy" => run.metric("valid", "accuracy_at_half"),
            "loss" => run.metric("valid", "log_loss"),
            _ => run.metric("valid", &metric.replace('-', "_")),
        };
        assert!((reported - scores[best]).abs() < 1e-6, "{metric}: {reported} {}", scores[best]);
        chosen.push(best);
    }
    chosen.dedup();
    assert!(chosen.len() > 1, "metrics that all choose the same epoch tell nothing apart: {chosen:?}");
    for metric in ["r2", "loss"] {
        let run = trained_on(&tables().questions()[3].1, &["--monitor", metric, "--epochs", "3", "--lr", "0.01"]);
        assert_eq!(run.history(&format!("valid_{metric}")).len(), 3);
    }
}

/// A metric as people write it.
fn shown(metric: &str) -> String {
    metric.replace('-', " ").replace("auroc", "AUROC").replace("mcc", "MCC")
}

#[test]
fn what_does_not_go_with_the_question_is_refused_before_training() {
    let out = tables().new_path();
    for (question, flags, words) in [
        (0, ["--monitor", "r2"], "expected auroc, average-precision, accuracy, mcc, loss"),
        (1, ["--monitor", "mcc"], "expected auroc, accuracy, loss"),
        (2, ["--monitor", "average-precision"], "expected auroc, accuracy, loss"),
        (3, ["--monitor", "auroc"], "expected r2, pearson, loss"),
        (3, ["--label-smoothing", "0.1"], "--task regression has neither"),
        (0, ["--calibration", "vector"], "expected platt, temperature or none for two classes"),
        (1, ["--calibration", "platt"], "expected vector, temperature or none for several classes"),
        (2, ["--calibration", "vector"], "expected platt, temperature or none for several labels"),
        (3, ["--calibration", "platt"], "--task regression has neither"),
        (0, ["--target-prior", "other=0.1"], "names 'other', expected names among"),
        (1, ["--target-prior", "0.5,0.4,0.2"], "add up to 1.1"),
        (2, ["--target-prior", "0.5"], "expected 2, one for each label"),
        (3, ["--target-prior", "0.5"], "values have no prevalence"),
    ] {
        let (_, data, _) = &tables().questions()[question];
        let error = fail(1, &[&["train", "--out", text(&out)][..], data, &with_defaults(&flags)].concat());
        assert!(error.contains(flags[0]) && error.contains(words), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn every_setting_changes_the_weights_and_training_still_works() {
    let adam = trained(&[]);
    let sgd = trained(&["--optimizer", "sgd", "--lr", "0.05"]);
    let libtorch = trained(&["--no-native"]);
    for (base, flags) in [
        (&adam, &["--ema", "0.9"][..]),
        (&adam, &["--label-smoothing", "0.2"]),
        (&adam, &["--shift", "5"]),
        (&adam, &["--mutate", "0.1"]),
        (&adam, &["--warmup", "1"]),
        (&adam, &["--weight-decay", "0.1"]),
        (&adam, &["--accumulate", "2"]),
        (&libtorch, &["--no-native", "--precision", "bf16"]),
        (&adam, &["--no-native"]),
        (&sgd, &["--optimizer", "sgd", "--lr", "0.05", "--nesterov"]),
        (&sgd, &["--optimizer", "sgd", "--lr", "0.05", "--weight-decay", "0.1"]),
        (&sgd, &["--optimizer", "sgd", "--lr", "0.05", "--schedule", "one-cycle"]),
    ] {
        let run = trained(flags);
        assert!(weights_apart(&base.tensors(), &run.tensors()) > 1e-6, "{flags:?}");
        let scores = run.scores();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{flags:?}");
        assert!(scores.iter().any(|score| (score - scores[0]).abs() > 1e-6), "{flags:?}");
    }
    // And those that ask for nothing change nothing.
    for flags in
        [&["--ema", "0", "--clip-norm", "1e9", "--warmup", "0"][..], &["--schedule", "plateau", "--patience", "9"]]
    {
        assert!(trained(flags).tensors() == adam.tensors(), "{flags:?}");
    }
}

#[test]
fn augmentation_and_smoothing_are_for_training_alone() {
    let plain = trained(&STILL);
    for flags in [["--shift", "5"], ["--mutate", "0.3"], ["--label-smoothing", "0.5"]] {
        let run = trained(&[&STILL[..], &flags].concat());
        assert_eq!(run.history("valid_loss"), plain.history("valid_loss"), "{flags:?}");
        assert_eq!(run.scores(), plain.scores(), "{flags:?}");
        let (with, without) = (run.history("train_loss"), plain.history("train_loss"));
        assert!(apart(&with, &without) > 1e-6, "{flags:?}");
    }
}

/// How far weights went from where they began, as a vector.
fn distance(run: &Trained, start: &Trained) -> f64 {
    let (run, start) = (run.tensors(), start.tensors());
    let squares = run.iter().flat_map(|(name, values)| values.iter().zip(&start[name]));
    squares.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn a_clipped_gradient_moves_weights_no_farther_than_its_norm() {
    let flags = ["--optimizer", "sgd", "--momentum", "0", "--epochs", "1"];
    let start = trained(&[&flags[..], &STILL].concat());
    let free = trained(&[&flags[..], &["--lr", "0.1"]].concat());
    let clipped = trained(&[&flags[..], &["--lr", "0.1", "--clip-norm", "0.01"]].concat());
    let limit = 0.1 * 0.01 * start.steps() as f64;
    let moved = distance(&clipped, &start);
    assert!(moved > 0.2 * limit && moved <= limit * 1.001, "{moved}, at most {limit}");
    assert!(distance(&free, &start) > 2.0 * limit, "{}", distance(&free, &start));
}

#[test]
fn decay_shrinks_weights_and_leaves_biases_alone() {
    let flags = ["--optimizer", "adamw", "--lr", "1e-9", "--epochs", "1"];
    let start = trained(&[&flags[..], &["--weight-decay", "0"]].concat());
    let decayed = trained(&[&flags[..], &["--weight-decay", "1e8"]].concat());
    let left = 0.9f32.powi(start.steps() as i32);
    for (name, values) in decayed.tensors() {
        let factor = if name.ends_with("weight") { left } else { 1.0 };
        let expected: Vec<f32> = start.tensors()[&name].iter().map(|value| value * factor).collect();
        assert!(apart(&values, &expected) < 1e-5, "{name}");
    }
}

#[test]
fn gradients_of_small_batches_add_up_to_those_of_a_large_one() {
    let flags = ["--optimizer", "sgd", "--lr", "0.1", "--dropout", "0", "--strands", "single"];
    let large = trained(&[&flags[..], &["--batch-size", "64"]].concat());
    let small = trained(&[&flags[..], &["--batch-size", "32", "--accumulate", "2"]].concat());
    let apart = weights_apart(&large.tensors(), &small.tensors());
    assert!(apart < 1e-5, "{apart}");
    let start = trained(&STILL);
    assert!(distance(&large, &start) > 0.01, "they went somewhere");
    assert!(crate::fixtures::apart(&large.history("train_loss"), &small.history("train_loss")) < 1e-5);
}

#[test]
fn the_learning_rate_follows_its_schedule() {
    let rates = |flags: &[&str]| {
        let run = trained(&[&["--epochs", "6", "--lr", "1e-4"], flags].concat());
        (run.history("learning_rate"), run.steps() as f64)
    };
    let near = |found: &[f64], expected: &[f64]| {
        let all = found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-9);
        assert!(found.len() == expected.len() && all, "{found:?}, expected {expected:?}");
    };
    near(&rates(&["--schedule", "constant"]).0, &[1e-4; 6]);
    near(&rates(&["--schedule", "constant", "--warmup", "4"]).0, &[0.25e-4, 0.5e-4, 0.75e-4, 1e-4, 1e-4, 1e-4]);
    let (found, steps) = rates(&["--schedule", "cosine"]);
    let cosine = |epoch: f64| 0.5e-4 * (1.0 + (std::f64::consts::PI * (epoch - 1.0 / steps) / 6.0).cos());
    near(&found, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(cosine));
    let (found, _) = rates(&["--schedule", "one-cycle", "--warmup", "3"]);
    let top = (0..6).max_by(|&a, &b| found[a].total_cmp(&found[b])).unwrap();
    assert!(top == 1 && found[0] > 1e-4 / 25.0 && found[top] > 0.95e-4, "{found:?}");
    assert!(found[top..].windows(2).all(|pair| pair[1] < pair[0]), "{found:?}");
    near(&found[5..], &[1e-4 / 25.0 * 1e-4]);
    // Weights that stay as they are get no better.
    let still = trained(&[&STILL[..], &["--epochs", "9", "--schedule", "plateau"]].concat());
    near(&still.history("learning_rate"), &[1e-12, 1e-12, 1e-12, 1e-12, 1e-13, 1e-13, 1e-13, 1e-14, 1e-14]);
}

#[test]
fn half_precision_learns_as_much() {
    let learned = ["--epochs", "6", "--lr", "0.01"];
    for arch in [&["--arch", "shallow"][..], &SMALL_RESIDUAL] {
        let auroc = |precision: &str| {
            trained(&[&learned[..], arch, &["--precision", precision]].concat()).metric("test", "auroc")
        };
        let (full, half) = (auroc("f32"), auroc("bf16"));
        assert!(full > 0.75 && (full - half).abs() < 0.06, "{arch:?}: {full} {half}");
    }
}

#[test]
fn the_last_epochs_state_is_kept_with_what_the_optimizer_remembers() {
    let names = |flags: &[&str]| {
        let run = trained(flags);
        let last = run.file("last.safetensors");
        let metadata = weights_metadata(&last);
        // The next epoch would be the third.
        assert_eq!(metadata["place"], serde_json::json!({"member": 0, "restarts": 0, "epoch": 3, "batch": 0}));
        assert_eq!(metadata["step"], 2 * run.steps(), "{flags:?}");
        let (mut last, best) = (tensors(&last), run.tensors());
        for (name, values) in &best {
            assert_eq!(last.remove(&format!("best.{name}")).as_ref(), Some(values), "{name}");
        }
        let n: usize = best.values().map(Vec::len).sum();
        let (state, own): (Vec<_>, Vec<_>) = last.into_iter().partition(|(name, _)| name.contains("optimizer."));
        for (name, values) in &state {
            assert_eq!(values.len(), n, "{name}");
            assert!(values.iter().any(|value| *value != 0.0), "{name}");
        }
        let (average, own): (Vec<_>, Vec<_>) = own.into_iter().partition(|(name, _)| name.contains("average."));
        assert_eq!(own.iter().map(|(name, _)| name).collect::<Vec<_>>(), best.keys().collect::<Vec<_>>());
        if run.best_epochs() == [2] && average.is_empty() {
            assert!(own.iter().all(|(name, values)| best[name] == *values));
        }
        [state, average].concat().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["--lr", "0.01"]), ["optimizer.exp_avg", "optimizer.exp_avg_sq"]);
    assert_eq!(names(&["--optimizer", "sgd"]), ["optimizer.momentum_buffer"]);
    assert_eq!(names(&["--ema", "0.5", "--optimizer", "sgd"]), ["optimizer.momentum_buffer", "average.0"]);
}

#[test]
fn the_average_of_the_weights_is_what_is_validated_and_kept() {
    let run = trained(&["--ema", "0.99", "--epochs", "1", "--lr", "0.01", "--calibration", "none"]);
    let (last, best) = (tensors(&run.file("last.safetensors")), run.tensors());
    let own: crate::fixtures::Tensors =
        last.iter().filter(|(name, _)| best.contains_key(*name)).map(|(name, v)| (name.clone(), v.clone())).collect();
    assert!(weights_apart(&own, &best) > 1e-4, "training goes on from the weights themselves");
    // The average holds the same numbers as the tensors that were kept, in another order.
    let sorted = |mut values: Vec<f32>| {
        values.sort_by(f32::total_cmp);
        values
    };
    assert!(sorted(last["average.0"].clone()) == sorted(best.values().flatten().copied().collect()));
    assert_eq!(run.metric("valid", "auroc"), run.history("valid_auroc")[0]);
    assert_eq!(own, trained(&["--epochs", "1", "--lr", "0.01"]).tensors(), "which are those of a run without one");
}

#[test]
fn all_wrong_values_are_named_at_once_wherever_they_stand() {
    // The first come from a file.
    let path = tables().folder.write("wrong.toml", "[training]\nensemble = 0\nema = 1.0\nshift = 2000000000\n");
    let all = "--clip-norm 0 --patience 0 --label-smoothing 1 --mutate 1 --warmup 3 --epochs 2 --nesterov \
               --weight-decay=-1 --accumulate 0 --freeze-blocks 1 --arch shallow --strands equivariant --filters 7";
    let error = fail(2, &[&["train", &path][..], &all.split_whitespace().collect::<Vec<_>>()].concat());
    for words in [
        "--ensemble is 0, expected 1 to 100",
        "--ema is 1, expected 0 or more and less than 1",
        "--shift is 2000000000, expected",
        "--clip-norm is 0, expected a positive number",
        "--patience is 0, expected 1 or more",
        "--label-smoothing is 1, expected",
        "--mutate is 1, expected",
        "--warmup is 3 epochs, expected 0 to --epochs, 2",
        "--nesterov goes with --optimizer sgd",
        "--weight-decay is -1, expected 0 or more",
        "--accumulate is 0, expected 1 or more",
        "--freeze-blocks is given without --init-from",
        "--filters is 7, expected an even number with --strands equivariant",
    ] {
        assert!(error.contains(words), "'{words}' is missing from: {error}");
    }
    let others = "--ensemble 101 --ema=-0.1 --clip-norm inf --label-smoothing NaN --warmup=-1 --nesterov --optimizer sgd \
                  --momentum 0";
    let error = fail(2, &[&["train"][..], &others.split_whitespace().collect::<Vec<_>>()].concat());
    for words in [
        "--ensemble is 101",
        "--ema is -0.1",
        "--clip-norm is inf",
        "--label-smoothing is NaN",
        "--warmup is -1 epochs",
    ] {
        assert!(error.contains(words), "'{words}' is missing from: {error}");
    }
    assert!(error.contains("--nesterov goes with"), "{error}");
    let path = tables().folder.write("unknown.toml", "[training]\nschedule = \"step\"\n");
    assert!(fail(2, &["train", &path]).contains("step"));
}

#[test]
fn words_and_fractions_where_others_are_expected_are_usage_errors() {
    use clap::Parser;
    // What the binary does with each of them; starting it for each would take seconds.
    for [flag, value] in [
        ["--ensemble", "-1"],
        ["--strands", "both"],
        ["--calibration", "isotonic"],
        ["--target-prior", "1"],
        ["--target-prior", "a=0.5,a=0.5"],
        ["--patience", "1.5"],
        ["--monitor", "f1"],
        ["--ema", "much"],
        ["--shift", "2000000000"],
        ["--schedule", "step"],
        ["--precision", "f16"],
        ["--freeze-blocks", "all"],
        ["--batch-size", "automatic"],
    ] {
        let given = format!("{flag}={value}");
        let error = strandnet::cli::Cli::try_parse_from(["strandnet", "train", &given]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{given}");
        assert!(error.to_string().contains(flag) && error.to_string().contains(value), "{error}");
    }
    assert_eq!(run(&["train", "--ensemble"]).status.code(), Some(2));
    let error = fail(1, &["train", "--device", "cpu", "--cuda-graph"]);
    assert!(error.contains("--cuda-graph: training is on the CPU, as requested, expected a CUDA device"), "{error}");
}

#[test]
fn a_batch_size_found_by_trying_is_what_the_run_has_and_repeats() {
    let run = trained(&["--batch-size", "auto"]);
    let config = std::fs::read_to_string(run.file("config.toml")).unwrap();
    let size: usize = config
        .lines()
        .find_map(|line| line.strip_prefix("batch_size = "))
        .and_then(|size| size.parse().ok())
        .unwrap_or_else(|| panic!("{config}"));
    assert!(size.is_power_of_two() && size >= 32, "{size}");
    // Trying leaves no trace in what is learned.
    let size = size.to_string();
    assert!(trained(&["--batch-size", &size]).tensors() == run.tensors());
    assert!(fail(2, &["tune", "--batch-size", "auto"]).contains("--batch-size is auto, expected a number"));
    assert!(fail(2, &["tune", "--find-lr", "--batch-size", "auto"]).contains("expected a number for a range test"));
}

#[test]
fn settings_survive_in_the_saved_configuration() {
    let flags = [
        "--ensemble",
        "2",
        "--strands",
        "shared",
        "--ema",
        "0.5",
        "--clip-norm",
        "1",
        "--schedule",
        "one-cycle",
        "--patience",
        "2",
        "--monitor",
        "loss",
        "--accumulate",
        "2",
        "--shift",
        "2",
        "--mutate",
        "0.05",
        "--label-smoothing",
        "0.1",
        "--precision",
        "bf16",
        "--optimizer",
        "sgd",
        "--nesterov",
        "--lr",
        "0.05",
    ];
    let run = trained(&flags);
    let again = tables().new_path();
    succeed(&["train", text(&run.file("config.toml")), "--out", text(&again), "--quiet"]);
    assert!(tensors(&again.join("best.safetensors")) == run.tensors());
    assert_eq!(json(&again.join("metrics.json")), run.json("metrics.json"));
    assert_eq!(numbers(&again.join("history.csv"), b',', "train_loss"), run.history("train_loss"));
}
