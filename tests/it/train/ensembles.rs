//! Ensembles of networks, and the two strands of a sequence.

use std::path::Path;

use tch::{CModule, Tensor};

use crate::fixtures::{
    SMALL_RESIDUAL, Tensors, Trained, apart, contents, fasta, json, numbers, reverse_complement, succeed, tables,
    tensors, text, trained, trained_on, weights,
};

const THREE: [&str; 6] = ["--ensemble", "3", "--lr", "0.01", "--calibration", "none"];

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Scores that `predict` gives sequences.
fn predicted(run: &Path, sequences: &[&str], column: &str) -> Vec<f64> {
    let names: Vec<String> = (0..sequences.len()).map(|i| format!("s{i}")).collect();
    let records: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(sequences.iter().copied()).collect();
    let (input, out) = (tables().new_path(), tables().new_path());
    std::fs::write(&input, fasta(&records)).unwrap();
    succeed(&["predict", text(run), text(&input), "--out", text(&out), "--quiet", "--threads", "1"]);
    numbers(&out, b'\t', column)
}

/// Outputs of an exported model, row by row.
fn exported(model: &Path, sequences: &[&str]) -> Vec<f64> {
    tch::set_num_threads(1);
    let mut codes = Vec::new();
    sequences
        .iter()
        .for_each(|bases| strandnet_core::sequence::alphabet::encode(bases.as_bytes(), &mut codes).unwrap());
    let codes = Tensor::from_slice(&codes).view([sequences.len() as i64, -1]);
    let outputs = CModule::load(model).unwrap().forward_ts(&[strandnet::model::one_hot(&codes)]).unwrap();
    Vec::try_from(outputs.to_kind(tch::Kind::Double).flatten(0, -1)).unwrap()
}

/// The tensors of a member, counted from 0.
fn member(all: &Tensors, member: usize) -> Tensors {
    let prefix = format!("members.{member}.");
    let own = all.iter().filter_map(|(name, values)| Some((name.strip_prefix(&prefix)?.to_owned(), values.clone())));
    own.collect()
}

/// A run of one network with the weights of a member of another run.
fn alone(single: &Trained, ensemble: &Trained, member: usize) -> Trained {
    let path = tables().new_path();
    std::fs::create_dir(&path).unwrap();
    for (file, bytes) in contents(&single.path) {
        std::fs::write(path.join(file.file_name().unwrap()), bytes).unwrap();
    }
    let bytes = weights(&ensemble.path);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let prefix = format!("members.{member}.");
    let own = all.iter().filter_map(|(name, view)| Some((name.strip_prefix(&prefix)?.to_owned(), view)));
    let mut metadata = header.metadata().clone().unwrap();
    metadata.insert("strandnet".into(), r#"{"format_version":3,"epochs":[1]}"#.into());
    std::fs::write(path.join("best.safetensors"), safetensors::serialize(own, Some(metadata)).unwrap()).unwrap();
    Trained { path, stdout: String::new(), stderr: String::new() }
}

#[test]
fn an_ensemble_says_the_mean_of_what_its_members_say() {
    let (ensemble, single) = (trained(&THREE), trained(&THREE[2..]));
    let all = ensemble.tensors();
    assert_eq!(all.len(), 3 * single.tensors().len());
    assert!(member(&all, 0) == single.tensors(), "the first is the network that the seed gives alone");
    let members: Vec<Trained> = (0..3).map(|i| alone(&single, &ensemble, i)).collect();
    for (i, other) in [(0, 1), (0, 2), (1, 2)] {
        assert!(crate::fixtures::weights_apart(&member(&all, i), &member(&all, other)) > 0.01, "{i} {other}");
    }

    let examples = ensemble.test_examples();
    let sequences: Vec<&str> = examples.iter().map(|row| row.sequence.as_str()).collect();
    let of_members: Vec<Vec<f64>> = members.iter().map(|run| predicted(&run.path, &sequences, "score")).collect();
    assert!(apart(&of_members[0], &single.test_scores()) < 1e-6);
    let mean = |i: usize| of_members.iter().map(|scores| logit(scores[i])).sum::<f64>() / 3.0;
    let expected: Vec<f64> = (0..sequences.len()).map(|i| 1.0 / (1.0 + (-mean(i)).exp())).collect();
    assert!(apart(&ensemble.test_scores(), &expected) < 1e-5);
    assert!(apart(&predicted(&ensemble.path, &sequences, "score"), &expected) < 1e-5);
    assert!(apart(&exported(&ensemble.file("model.pt"), &sequences), &expected) < 1e-5);
    assert!(apart(&of_members[0], &expected) > 0.01, "which is not what one says");

    // The metrics of the members are those of each alone.
    let of_members = &ensemble.json("metrics.json")["test"]["members"];
    assert_eq!(of_members["n"], 3);
    let evaluated: Vec<serde_json::Value> = members.iter().map(|run| evaluated(run)["test"].clone()).collect();
    for metric in ["auroc", "average_precision", "brier_score", "log_loss"] {
        let values: Vec<f64> = evaluated.iter().map(|test| test[metric]["value"].as_f64().unwrap()).collect();
        let mean = values.iter().sum::<f64>() / 3.0;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let found = ["mean", "standard_deviation"].map(|key| of_members[metric][key].as_f64().unwrap());
        assert!(apart(&found, &[mean, deviation]) < 1e-6, "{metric}: {found:?} {mean} {deviation}");
        assert!(deviation > 0.0, "{metric}");
    }
    let auroc = format!("{:.4}", of_members["auroc"]["mean"].as_f64().unwrap());
    assert!(ensemble.stdout.contains("mean (sd) of 3") && ensemble.stdout.contains(&auroc), "{}", ensemble.stdout);
}

/// The metrics that `evaluate` gives a run's own test.
fn evaluated(run: &Trained) -> serde_json::Value {
    let out = tables().new_path();
    succeed(&["evaluate", text(&run.path), "--out", text(&out), "--quiet", "--threads", "1"]);
    json(&out.join("metrics.json"))
}

#[test]
fn an_ensemble_is_a_run_as_any_other() {
    let flags = ["--ensemble", "2", "--lr", "0.01"];
    let run = trained(&flags);
    assert!(weights(&run.path) == weights(&trained(&flags).path), "the same seed gives the same weights");
    assert_eq!(run.history("member"), [1.0, 1.0, 2.0, 2.0]);
    assert_eq!(run.history("epoch"), [1.0, 2.0, 1.0, 2.0]);
    assert_eq!(run.best_epochs().len(), 2);
    let history = run.history("valid_auroc");
    for (i, best) in run.best_epochs().into_iter().enumerate() {
        let own = &history[2 * i..2 * i + 2];
        assert_eq!(own[best - 1], own[0].max(own[1]));
        assert!(run.stdout.contains(&format!("member {}: best epoch {best} of 2", i + 1)), "{}", run.stdout);
    }
    assert!(run.stderr.contains("member 2 of 2"), "{}", run.stderr);
    let card = run.json("model.json");
    assert_eq!(card["members"], 2);

    let mut own = run.json("metrics.json")["test"].clone();
    // What members come to needs the validation set.
    assert!(own.as_object_mut().unwrap().remove("members").is_some());
    assert_eq!(evaluated(&run)["test"], own);
    let model = tables().new_path().with_extension("pt");
    succeed(&["export", text(&run.path), "--out", text(&model)]);
    assert_eq!(json(&model.with_extension("json"))["members"], 2);
    let examples = run.test_examples();
    let sequences: Vec<&str> = examples.iter().map(|row| row.sequence.as_str()).collect();
    assert!(apart(&exported(&model, &sequences), &run.test_scores()) < 1e-5);

    let single = trained(&flags[2..]);
    assert!(!std::fs::read_to_string(single.file("history.csv")).unwrap().contains("member"));
    assert_eq!(single.json("model.json")["members"], 1);
    assert!(single.json("metrics.json")["test"]["members"].is_null());
}

#[test]
fn ensembles_answer_every_question() {
    for (question, data, _) in tables().questions() {
        let run = trained_on(&data, &["--ensemble", "2", "--epochs", "1", "--lr", "0.01"]);
        let members = &run.json("metrics.json")["test"]["members"];
        let metric = match question {
            "binary" => "auroc",
            "regression" => "r2",
            _ => "macro_auroc",
        };
        assert!(members[metric]["mean"].is_number(), "{question}: {members}");
        let examples = run.test_examples();
        let sequences: Vec<&str> = examples.iter().map(|row| row.sequence.as_str()).collect();
        let outputs = exported(&run.file("model.pt"), &sequences);
        let names: Vec<String> = serde_json::from_value(run.json("model.json")["classes"].clone()).unwrap();
        let columns = outputs.len() / sequences.len();
        for (column, name) in names.iter().take(columns).enumerate() {
            let name = if columns == 1 { "score".to_owned() } else { format!("score_{name}") };
            let own: Vec<f64> = outputs.iter().skip(column).step_by(columns).copied().collect();
            let found = predicted(&run.path, &sequences, &name);
            assert!(apart(&own, &found) < 1e-5, "{question} {name}");
        }
    }
}

#[test]
fn strands_are_called_the_same_where_the_network_reads_both() {
    for (strands, agree) in
        [("single", false), ("augment", false), ("average", true), ("shared", true), ("equivariant", true)]
    {
        for arch in [&["--arch", "shallow"][..], &SMALL_RESIDUAL] {
            let run = trained(&[&["--strands", strands, "--epochs", "1", "--lr", "0.01"], arch].concat());
            let what = format!("{strands} {arch:?}");
            let test = &run.json("metrics.json")["test"];
            let [flips, apart] =
                ["strand_flip_rate", "strand_mean_difference"].map(|key| test[key].as_f64().expect(key));
            // What predict says of either strand.
            let examples = run.test_examples();
            let forward: Vec<&str> = examples.iter().map(|row| row.sequence.as_str()).collect();
            let reverse: Vec<String> = forward.iter().map(|bases| reverse_complement(bases)).collect();
            let reverse: Vec<&str> = reverse.iter().map(String::as_str).collect();
            let both = predicted(&run.path, &[&forward[..], &reverse].concat(), "score");
            let (one, other) = both.split_at(forward.len());
            let threshold = test["threshold"].as_f64().unwrap();
            let n = one.len() as f64;
            let pairs = || one.iter().zip(other);
            let expected = pairs().filter(|(a, b)| (**a >= threshold) != (**b >= threshold)).count() as f64 / n;
            assert!((flips - expected).abs() < 1e-12, "{what}: {flips} {expected}");
            let expected = pairs().map(|(a, b)| (a - b).abs()).sum::<f64>() / n;
            assert!((apart - expected).abs() < 1e-6, "{what}: {apart} {expected}");
            assert_eq!(apart == 0.0, agree, "{what}: {apart}");
            assert_eq!(flips == 0.0, agree, "{what}: {flips}");
            let line =
                format!("both strands of each: {:.2} % called differently, mean difference {apart:.4}", flips * 100.0);
            assert!(run.stdout.contains(&line), "{line}: {}", run.stdout);
            let card = if strands == "augment" { "single" } else { strands };
            assert_eq!(run.json("model.json")["strands"], card);
            let outputs = exported(&run.file("model.pt"), &reverse);
            assert!(
                crate::fixtures::apart(&outputs, other) < 1e-5,
                "{what}: the exported model reads strands as the run"
            );
        }
    }
}

#[test]
fn strands_are_compared_for_every_question() {
    for (question, data, has_probabilities) in tables().questions() {
        for (strands, agree) in [("single", false), ("average", true)] {
            let run = trained_on(&data, &["--strands", strands, "--epochs", "1"]);
            let test = &run.json("metrics.json")["test"];
            assert_eq!(test["strand_mean_difference"] == 0.0, agree, "{question} {strands}");
            assert_eq!(test["strand_flip_rate"].is_number(), has_probabilities, "{question} {strands}");
            assert!(run.stdout.contains("both strands of each: "), "{}", run.stdout);
        }
    }
}

#[test]
fn tied_filters_are_half_as_many_numbers_to_learn() {
    let of = |strands: &str| {
        let run = trained(&[&SMALL_RESIDUAL[..], &["--strands", strands, "--epochs", "1"]].concat());
        (run.json("run.json")["parameter_count"].as_u64().unwrap(), tensors(&run.file("best.safetensors")))
    };
    let ((tied, weights), (free, _)) = (of("equivariant"), of("single"));
    assert!(tied < free, "{tied} {free}");
    assert_eq!(weights["stem_conv.weight"].len(), 8 * 4 * 15);
}
