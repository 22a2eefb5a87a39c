//! Training that starts where another run ended.

use std::sync::OnceLock;

use crate::fixtures::{
    SMALL_RESIDUAL, Tensors, Trained, apart, column, fail, numbers, run, tables, text, trained, trained_on,
    weights_apart, with_defaults,
};

/// One epoch at so small a rate that weights stay as they are.
const STILL: [&str; 4] = ["--lr", "1e-12", "--epochs", "1"];

/// A run of two classes that others start from.
fn source() -> &'static Trained {
    static SOURCE: OnceLock<Trained> = OnceLock::new();
    SOURCE.get_or_init(|| trained(&["--epochs", "3", "--lr", "0.01"]))
}

fn residual_source() -> &'static Trained {
    static SOURCE: OnceLock<Trained> = OnceLock::new();
    SOURCE.get_or_init(|| trained(&[&SMALL_RESIDUAL[..], &["--epochs", "3"]].concat()))
}

/// Flags that start from a run.
fn from(source: &Trained) -> [&str; 2] {
    ["--init-from", text(&source.path)]
}

/// What training adjusts: not the statistics that batch norm gathers.
fn adjusted(tensors: Tensors) -> Tensors {
    tensors.into_iter().filter(|(name, _)| !name.contains("running_")).collect()
}

/// `train` that cannot start; returns the error.
fn refused(data: &[&str], flags: &[&str]) -> String {
    let out = tables().new_path();
    let error = fail(1, &[&["train", "--out", text(&out)][..], data, &with_defaults(flags)].concat());
    assert!(!out.exists(), "nothing is left behind: {error}");
    error
}

#[test]
fn training_starts_where_the_other_run_ended() {
    let still = trained(&[&from(source())[..], &STILL, &["--seed", "7"]].concat());
    assert!(weights_apart(&still.tensors(), &source().tensors()) < 1e-6);
    assert!(apart(&by_name(&still), &by_name(source())) < 1e-5);
    assert!(!still.stderr.contains("start from new weights"), "{}", still.stderr);
    let fresh = trained(&STILL);
    assert!(weights_apart(&fresh.tensors(), &source().tensors()) > 0.01);
    assert!(apart(&by_name(&fresh), &by_name(source())) > 0.01);

    let flags = [&SMALL_RESIDUAL[..], &from(residual_source()), &STILL].concat();
    let still = trained(&flags);
    let [found, expected] = [&still, residual_source()].map(|run| adjusted(run.tensors()));
    assert!(weights_apart(&found, &expected) < 1e-6);
    // Batch norm goes on gathering statistics, unless its block is frozen: then nothing moves at all.
    assert!(weights_apart(&still.tensors(), &residual_source().tensors()) > 1e-4);
    let frozen = trained(&[&flags[..], &["--freeze-blocks", "3"]].concat());
    assert!(apart(&by_name(&frozen), &by_name(residual_source())) < 1e-5);
}

/// Scores in the order of the names of what is scored, whatever the seed.
fn by_name(run: &Trained) -> Vec<f64> {
    let table = run.file("predictions.csv");
    let splits = column(&table, b',', "split");
    let rows = column(&table, b',', "name").into_iter().zip(numbers(&table, b',', "score")).zip(splits);
    let mut rows: Vec<(String, f64)> = rows.filter(|(_, split)| split == "test").map(|(row, _)| row).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.into_iter().map(|(_, score)| score).collect()
}

#[test]
fn another_number_of_classes_starts_the_output_layer_afresh() {
    let data = ["--train", tables().several.as_str()];
    let run = trained_on(&data, &[&from(source())[..], &STILL].concat());
    assert!(run.stderr.contains("8.bias, 8.weight start from new weights"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("start from new weights").count(), 1);
    let (found, before) = (run.tensors(), source().tensors());
    for name in ["0.weight", "0.bias", "5.weight", "5.bias"] {
        assert!(apart(&found[name], &before[name]) < 1e-6, "{name}");
    }
    assert_eq!(found["8.weight"].len(), 3 * before["8.weight"].len());
    let fresh = trained_on(&data, &STILL);
    assert!(apart(&found["8.weight"], &fresh.tensors()["8.weight"]) < 1e-6, "as the seed gives them");
}

#[test]
fn another_loss_of_values_starts_the_output_layer_afresh() {
    let counts = tables().counts();
    let data = ["--train", counts.as_str(), "--task", "regression"];
    let source = trained_on(&data, &[]);
    let again = trained_on(&data, &[&from(&source)[..], &STILL].concat());
    assert!(!again.stderr.contains("start from new weights"), "{}", again.stderr);
    let poisson = trained_on(&data, &[&from(&source)[..], &STILL, &["--loss", "poisson"]].concat());
    assert!(poisson.stderr.contains("8.bias, 8.weight start from new weights"), "{}", poisson.stderr);
}

/// Other weights cannot be tried: they are the other run's.
#[test]
fn a_rate_that_kills_what_another_run_gave_is_an_error_at_once() {
    let died = ["30", "100", "300"].into_iter().find_map(|lr| {
        let data = ["--train", tables().binary.as_str(), "--out", text(&tables().new_path())].map(str::to_owned);
        let flags = with_defaults(&[&from(source())[..], &["--lr", lr]].concat()).into_iter().map(str::to_owned);
        let words: Vec<String> = std::iter::once("train".to_owned()).chain(data).chain(flags).collect();
        let output = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("starting again"), "{stderr}");
        (output.status.code() == Some(1)).then_some(stderr)
    });
    assert!(died.as_ref().is_some_and(|error| error.contains("what --init-from gave is lost")), "{died:?}");
}

#[test]
fn a_run_with_another_network_is_refused_in_a_sentence() {
    let longer = tables().longer();
    let other = ["--train", longer.as_str()];
    let binary = ["--train", tables().binary.as_str()];
    for (data, flags, words) in [
        (&binary, &SMALL_RESIDUAL[..], "which this network lacks; use the run's --arch"),
        (&binary, &["--filters", "8"], "tensor '0."),
        (&binary, &["--strands", "equivariant"], "--strands"),
        (&other, &[], "tensor '5.weight' is F32 [8, 16], expected F32 [8, 64]"),
    ] {
        let error = refused(data, &[&from(source())[..], flags].concat());
        assert!(error.contains(words) && error.contains(text(&source().path)), "{flags:?}: {error}");
    }
    let absent = tables().new_path();
    assert!(refused(&binary, &["--init-from", text(&absent)]).contains("no such folder"));
    let empty = tables().new_path();
    std::fs::create_dir(&empty).unwrap();
    assert!(refused(&binary, &["--init-from", text(&empty)]).contains("holds no run.json"));
}

#[test]
fn frozen_blocks_stay_as_they_are_to_the_last_bit_and_others_learn() {
    let freeze = |source: &Trained, flags: &[&str], count: &str| {
        let flags =
            [flags, &from(source), &["--lr", "0.01", "--weight-decay", "0.1", "--freeze-blocks", count]].concat();
        (trained(&flags).tensors(), source.tensors())
    };
    for (count, frozen) in [("1", &["0."][..]), ("2", &["0.", "5."])] {
        let (after, before) = freeze(source(), &[], count);
        for (name, values) in &before {
            let is_frozen = frozen.iter().any(|prefix| name.starts_with(prefix));
            assert_eq!(after[name] == *values, is_frozen, "{count} {name}");
        }
    }
    // With the statistics of batch norm, under an average of the weights too.
    for (flags, count, frozen) in [
        (&[][..], "1", &["stem"][..]),
        (&["--ema", "0.5"], "2", &["stem", "blocks."]),
        (&["--strands", "shared", "--precision", "bf16"], "1", &["stem"]),
    ] {
        let (after, before) = freeze(residual_source(), &[&SMALL_RESIDUAL[..], flags].concat(), count);
        for (name, values) in before.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
            let is_frozen = frozen.iter().any(|prefix| name.starts_with(prefix));
            assert_eq!(after[name] == *values, is_frozen, "{flags:?} {count} {name}");
        }
    }
}

#[test]
fn more_blocks_than_there_are_before_the_output_cannot_be_frozen() {
    let binary = ["--train", tables().binary.as_str()];
    for count in ["3", "1000000"] {
        let error = refused(&binary, &[&from(source())[..], &["--freeze-blocks", count]].concat());
        let words = format!("--freeze-blocks is {count}, and the network has 3 blocks (convolution, dense, output)");
        assert!(error.contains(&words) && error.contains("expected at most 2"), "{error}");
    }
    let error = fail(2, &["train", "--freeze-blocks", "1"]);
    assert!(error.contains("--freeze-blocks is given without --init-from"), "{error}");
}

#[test]
fn ensembles_start_from_ensembles_member_by_member() {
    let two = trained(&["--ensemble", "2", "--lr", "0.01"]);
    let member = |tensors: &Tensors, member: usize| -> Tensors {
        let prefix = format!("members.{member}.");
        tensors.iter().filter_map(|(name, v)| Some((name.strip_prefix(&prefix)?.to_owned(), v.clone()))).collect()
    };
    let three = trained(&[&from(&two)[..], &STILL, &["--ensemble", "3"]].concat()).tensors();
    for (i, source) in [(0, 0), (1, 1), (2, 0)] {
        assert!(weights_apart(&member(&three, i), &member(&two.tensors(), source)) < 1e-6, "{i}");
    }
    let one = trained(&[&from(&two)[..], &STILL].concat()).tensors();
    assert!(weights_apart(&one, &member(&two.tensors(), 0)) < 1e-6);
    // From one network, members part ways.
    let both = trained(&[&from(source())[..], &["--ensemble", "2", "--lr", "0.001"]].concat()).tensors();
    let [first, second] = [0, 1].map(|i| member(&both, i));
    assert!(weights_apart(&first, &source().tensors()) < 0.1);
    assert!(weights_apart(&first, &second) > 1e-4);
}

#[test]
fn a_run_is_repeated_from_its_configuration_though_it_started_from_another() {
    let run = trained(&[&from(source())[..], &["--freeze-blocks", "1"]].concat());
    let again = tables().new_path();
    crate::fixtures::succeed(&["train", text(&run.file("config.toml")), "--out", text(&again), "--quiet"]);
    assert!(crate::fixtures::tensors(&again.join("best.safetensors")) == run.tensors());
}
