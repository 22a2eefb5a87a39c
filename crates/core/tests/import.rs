//! Networks that were trained elsewhere, as run folders.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use strandnet_core::commands::WithBias;
use strandnet_core::commands::backend::open_ensemble;
use strandnet_core::import::{Tensors, write};
use strandnet_core::run::tensor_file::Tensor;
use strandnet_core::scorer::Scorer;

/// A network of profiles with a bias model of its own sizes, and tensors of both.
fn profiles() -> (Value, [Tensors; 2]) {
    let model = |depth: usize, counts: usize| json!({"arch": "bpnet", "filters": 4, "width": 5, "depth": depth, "counts_positions": counts, "pre_activation": depth == 2});
    let description = json!({
        "source": "ChromBPNet", "alphabet": "ACGT", "task": "profile", "classes": ["signal"], "length": 130,
        "model": model(2, 104), "profile": {"tracks": [1], "length": 30},
        "bias": {"source": "ChromBPNet", "model": model(1, 120)},
    });
    (description, [2, 1].map(tensors_of_bpnet))
}

fn tensors_of_bpnet(depth: usize) -> Tensors {
    let mut tensors = Tensors::new();
    let mut add = |name: &str, shape: &[usize]| {
        let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7).sin() * 0.1).collect();
        tensors.insert(format!("{name}.weight"), Tensor::f32(shape, values));
        tensors.insert(format!("{name}.bias"), Tensor::f32([shape[0]], vec![0.1; shape[0]]));
    };
    add("iconv", &[4, 4, 5]);
    (0..depth).for_each(|i| add(&format!("rconvs.{i}"), &[4, 4, 3]));
    add("head.fconv", &[1, 4, 75]);
    add("head.linear", &[1, 4]);
    tensors
}

fn written(description: &Value, [weights, of_bias]: &[Tensors; 2], out: &Path) -> Result<()> {
    write(&serde_json::from_value(description.clone())?, weights, of_bias, out, false)
}

#[test]
fn a_network_with_a_bias_model_is_a_run_that_scores_and_has_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (description, tensors) = profiles();
    written(&description, &tensors, &out).unwrap();
    let open = |bias| open_ensemble(&out, bias).unwrap();
    let (_, provenance, with_bias) = open(WithBias::Yes);
    let codes: Vec<u8> = (0..130).map(|i| (i * 7 % 5) as u8).collect();
    let [without, with] =
        [open(WithBias::No).2, with_bias].map(|ensemble| ensemble.score(&codes).unwrap().into_logits());
    assert_eq!(without.len(), 31);
    assert!(without[30] < with[30] && without[..30] != with[..30]);
    assert_eq!(provenance.imported.as_ref().unwrap().source, "ChromBPNet");
    let error = provenance.check_trained_here(&out, "name data").unwrap_err().to_string();
    assert!(
        error.contains("run: was imported from ChromBPNet, so its training data are not known; name data"),
        "{error}"
    );
    let html = strandnet_core::html::run::report(&strandnet_core::html::RunFiles::open(&out).unwrap()).unwrap();
    assert!(html.contains("imported from ChromBPNet") && !html.contains("Largest errors"));
}

#[test]
fn what_does_not_fit_is_a_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (description, tensors) = profiles();
    for (change, part) in [
        (
            (|value, _| value["classes"] = json!(["a", "a"])) as fn(&mut Value, &mut [Tensors; 2]),
            "class 'a' is named twice",
        ),
        (|value, _| value["classes"] = json!(["\u{1b}[1m"]), "expected printed letters"),
        (|value, _| value["classes"] = json!(["a=b"]), "class 'a=b' has a comma or an equals sign"),
        (|value, _| value["classes"] = json!([]), "there are 0 classes"),
        (|value, _| value["alphabet"] = json!("ACGG"), "alphabet is 'ACGG'"),
        (|value, _| value["profile"]["tracks"] = json!([3]), "the profile does not fit"),
        (|value, _| value["task"] = json!("regression"), "goes with the task profile alone"),
        (|value, _| value["length"] = json!(0), "fragments have 0 bp"),
        (|value, _| value["model"]["counts_positions"] = json!(0), "counts_positions is 0"),
        (|value, _| value["model"]["arch"] = json!("branched"), "go with --arch bpnet or bias"),
        (|value, _| value["model"]["filters"] = json!(5), "is F32 [1, 4, 75], expected F32 [1, 5, 75]"),
        (|_, tensors| drop(tensors[0].remove("iconv.bias")), "tensor 'iconv.bias' is missing"),
        (|_, tensors| drop(tensors[1].remove("iconv.bias")), "the bias model does not fit"),
        (|_, tensors| drop(tensors[0].insert("more".into(), Tensor::f32([1], vec![1.0]))), "there is a tensor 'more'"),
        (
            |_, tensors| drop(tensors[0].insert("iconv.bias".into(), Tensor::f32([4], vec![f32::NAN; 4]))),
            "tensor 'iconv.bias' holds values that are not finite",
        ),
        (
            |_, tensors| drop(tensors[0].insert("iconv.bias".into(), Tensor::f32([2, 2], vec![0.0; 4]))),
            "tensor 'iconv.bias' is F32 [2, 2], expected F32 [4]",
        ),
    ] {
        let (mut changed, mut tensors) = (description.clone(), tensors.clone());
        change(&mut changed, &mut tensors);
        let error = format!("{:#}", written(&changed, &tensors, &out).unwrap_err());
        assert!(error.contains(part), "'{part}' is missing from: {error}");
        assert!(!out.exists(), "{error}");
    }
}
