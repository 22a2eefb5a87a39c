//! `model.onnx`: networks with their weights as an ONNX graph, from one-hot sequences to predictions. Both strands, all members of an
//! ensemble and the calibration are in it, and what it takes and gives is in its metadata.

mod graph;
mod layers;

use std::path::Path;

use anyhow::{Result, bail};
use prost::Message;

use crate::config::{Loss, TaskKind};
use crate::export::Network;
use crate::export::card::ModelCard;
use crate::export::onnx::graph::{Builder, of_member};
use crate::formats::onnx::{self, Entry, Graph, OperatorSet, ValueInfo};
use crate::network::plan::Step;
use crate::run::tensor_file::TensorFile;
use crate::run::weights::About;
use crate::sequence::profile::{HEAD_WIDTH, ProfileShape};
use crate::task::Scale;

/// The input: one-hot sequences.
const SEQUENCES: &str = "sequences";
/// The second input of profiles that have one: counts of a control.
const CONTROL: &str = "control";
/// The output, but for profiles.
const PREDICTIONS: &str = "predictions";
/// The outputs of profiles.
const PROFILE_OUTPUTS: [&str; 2] = ["profile_logits", "log_counts"];

/// The bytes of a model with the weights of a file, which is at `path`.
///
/// # Errors
/// The weights do not fit the network, or are more than a file of ONNX holds.
pub fn bytes(network: &Network, weights: &TensorFile<About>, path: &Path) -> Result<Vec<u8>> {
    let card = &network.card;
    if weights.about.epochs.len() != card.members {
        let found = weights.about.epochs.len();
        bail!("{}: holds {found} networks, expected {}; is it from another run?", path.display(), card.members);
    }
    let mut graph = Builder::new(weights, path, network.plan.tied);
    let logits = logits(network, &mut graph)?;
    let outputs = predictions(network, &mut graph, logits);
    let mut input = vec![ValueInfo::batch(SEQUENCES, &[4, card.length])];
    if let Some(shape) = network.control() {
        input.push(ValueInfo::batch(CONTROL, &[shape.control, shape.control_length()]));
    }
    let Builder { nodes, initializers, .. } = graph;
    let model = onnx::Model {
        ir_version: onnx::IR_VERSION,
        producer_name: "strandnet".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(Graph { node: nodes, name: "strandnet".into(), initializer: initializers, input, output: outputs }),
        opset_import: vec![OperatorSet { domain: String::new(), version: onnx::OPSET }],
        metadata_props: metadata(card)?,
    };
    if model.encoded_len() > onnx::MOST_BYTES {
        bail!(
            "{}: the network takes {} bytes, and ONNX holds at most {}; use --format torchscript",
            path.display(),
            model.encoded_len(),
            onnx::MOST_BYTES
        );
    }
    Ok(model.encode_to_vec())
}

/// What `model.json` says, each value as JSON but for text, which is as it is.
fn metadata(card: &ModelCard) -> Result<Vec<Entry>> {
    let value = serde_json::to_value(card)?;
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entries = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "sha256");
    Ok(entries.map(|(key, value)| Entry { key: key.clone(), value: text(value) }).collect())
}

/// Logits `[N, numbers]`: means over members and strands.
fn logits(network: &Network, graph: &mut Builder) -> Result<String> {
    let card = &network.card;
    let both = network.strands.scores_both();
    let mut strands = vec![SEQUENCES.to_owned()];
    let mut controls = vec![CONTROL.to_owned()];
    if both {
        strands.push(graph.reversed(SEQUENCES, &[1, 2]));
        if network.control().is_some() {
            controls.push(graph.reversed(CONTROL, &[1, 2]));
        }
    }
    let mut found = Vec::new();
    for member in 0..card.members {
        graph.prefix = of_member(card.members, member);
        let mut of_strands = match network.plan.branches() {
            Some((first, second)) => {
                let one = run(graph, first, strands.clone())?;
                let other = run(graph, second, strands.clone())?;
                one.iter().zip(&other).map(|(one, other)| graph.concatenated(&[one, other], 1)).collect()
            }
            None => run(graph, &network.plan.steps, strands.clone())?,
        };
        if let Some(shape) = network.control() {
            for (logits, counts) in of_strands.iter_mut().zip(&controls) {
                let added = control(graph, shape, counts)?;
                *logits = graph.op("Add", &[logits, &added], vec![]);
            }
        }
        if let [one, other] = &of_strands[..] {
            let flipped = mirrored(network, graph, other);
            found.push(graph.op("Add", &[one, &flipped], vec![]));
        } else {
            found.append(&mut of_strands);
        }
    }
    let count = card.members * if both { 2 } else { 1 };
    let sum = found.into_iter().reduce(|sum, logits| graph.op("Add", &[&sum, &logits], vec![]));
    let sum = sum.unwrap_or_default();
    Ok(if count == 1 { sum } else { graph.scaled(&sum, 1.0 / count as f32) })
}

fn run(graph: &mut Builder, steps: &[Step], mut strands: Vec<String>) -> Result<Vec<String>> {
    for step in steps {
        strands = layers::apply(graph, step, &strands)?;
    }
    Ok(strands)
}

/// What a control adds to logits.
fn control(graph: &mut Builder, shape: &ProfileShape, counts: &str) -> Result<String> {
    let profile = graph.weight("control.profile.weight", &[shape.all_tracks(), shape.control, HEAD_WIDTH])?;
    let weight = graph.weight("control.counts.weight", &[shape.groups()])?;
    let profile = graph.op("Conv", &[counts, &profile], vec![]);
    let profile = graph.flattened(&profile);
    let axes = graph.integers(&[1, 2]);
    let (counted, all) = (shape.control_counted(), shape.control_length());
    let seen = if counted.len() < all { graph.gathered(counts, 2, counted) } else { counts.to_owned() };
    let sum = graph.op("ReduceSum", &[&seen, &axes], vec![onnx::Attribute::int("keepdims", 0)]);
    let axis = graph.integers(&[1]);
    let sum = graph.op("Unsqueeze", &[&sum, &axis], vec![]);
    let sum = graph.scaled(&sum, 1.0 / shape.control_counts.unit());
    let sum = graph.plus(&sum, 1.0);
    let log = graph.op("Log", &[&sum], vec![]);
    let counts = graph.op("Mul", &[&log, &weight], vec![]);
    Ok(graph.concatenated(&[&profile, &counts], 1))
}

/// Logits of the other strand in the direction of this one.
fn mirrored(network: &Network, graph: &mut Builder, logits: &str) -> String {
    let stretches = network.plan.outputs.mirrored();
    let Some(&first) = stretches.first() else { return logits.to_owned() };
    let (covered, numbers) = (stretches.iter().sum::<usize>(), network.plan.outputs.numbers());
    let mut parts = Vec::new();
    if stretches.iter().all(|&length| length == first) {
        let part = graph.slice(logits, 1, 0, covered);
        let part = graph.reshaped(&part, &[0, stretches.len() as i64, first as i64]);
        let part = graph.gathered(&part, 2, (0..first).rev());
        parts.push(graph.flattened(&part));
    } else {
        let mut start = 0;
        for length in stretches {
            let part = graph.slice(logits, 1, start, start + length);
            parts.push(graph.gathered(&part, 1, (0..length).rev()));
            start += length;
        }
    }
    if covered < numbers {
        parts.push(graph.slice(logits, 1, covered, numbers));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    graph.concatenated(&parts, 1)
}

/// What comes out, of logits `[N, numbers]`.
fn predictions(network: &Network, graph: &mut Builder, logits: String) -> Vec<ValueInfo> {
    let (task, outputs) = (network.task, network.task.outputs());
    let single = |shape: &[usize]| vec![ValueInfo::batch(PREDICTIONS, shape)];
    match task.kind {
        TaskKind::Profile => {
            let Some(shape) = network.profile() else { return Vec::new() };
            let (tracks, groups, values) = (shape.all_tracks(), shape.groups(), shape.values());
            let profile = graph.slice(&logits, 1, 0, values);
            let sizes = graph.integers(&[0, tracks as i64, shape.length as i64]);
            graph.op_to("Reshape", &[&profile, &sizes], vec![], PROFILE_OUTPUTS[0]);
            let counts = graph.slice(&logits, 1, values, values + groups);
            graph.op_to("Identity", &[&counts], vec![], PROFILE_OUTPUTS[1]);
            vec![
                ValueInfo::batch(PROFILE_OUTPUTS[0], &[tracks, shape.length]),
                ValueInfo::batch(PROFILE_OUTPUTS[1], &[groups]),
            ]
        }
        TaskKind::Regression => {
            let bins = task.bins.map(|bins| bins.count);
            let shape: Vec<usize> = std::iter::once(outputs).chain(bins).collect();
            let logits = match bins {
                Some(bins) => graph.reshaped(&logits, &[0, outputs as i64, bins as i64]),
                None => logits,
            };
            // Of each column, for all of its bins.
            let sizes: Vec<usize> = std::iter::once(outputs).chain(bins.map(|_| 1)).collect();
            let each = |of: fn(&Scale) -> f64| task.scales.iter().map(|scale| of(scale) as f32).collect::<Vec<_>>();
            let mean = graph.floats(&sizes, &each(|scale| scale.mean));
            if task.loss == Loss::Poisson {
                let rate = graph.op("Exp", &[&logits], vec![]);
                graph.op_to("Mul", &[&rate, &mean], vec![], PREDICTIONS);
            } else {
                let deviation = graph.floats(&sizes, &each(|scale| scale.deviation));
                let scaled = graph.op("Mul", &[&logits, &deviation], vec![]);
                graph.op_to("Add", &[&scaled, &mean], vec![], PREDICTIONS);
            }
            single(&shape)
        }
        TaskKind::Binary | TaskKind::Multilabel | TaskKind::Multiclass => {
            let calibration = &task.calibration;
            let mut logits = logits;
            if !calibration.is_identity() {
                let each = |of: &dyn Fn(usize) -> f64| (0..outputs).map(|i| of(i) as f32).collect::<Vec<_>>();
                let scale = graph.floats(&[outputs], &each(&|output| calibration.scale(output)));
                let bias = graph.floats(&[outputs], &each(&|output| calibration.bias(output)));
                logits = graph.op("Mul", &[&logits, &scale], vec![]);
                logits = graph.op("Add", &[&logits, &bias], vec![]);
            }
            match task.kind {
                TaskKind::Multiclass => {
                    graph.op_to("Softmax", &[&logits], vec![onnx::Attribute::int("axis", 1)], PREDICTIONS);
                    single(&[outputs])
                }
                TaskKind::Multilabel => {
                    graph.op_to("Sigmoid", &[&logits], vec![], PREDICTIONS);
                    single(&[outputs])
                }
                _ => {
                    let probabilities = graph.op("Sigmoid", &[&logits], vec![]);
                    let axis = graph.integers(&[1]);
                    graph.op_to("Squeeze", &[&probabilities, &axis], vec![], PREDICTIONS);
                    single(&[])
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::config::{Architecture, Config, ModelConfig, Strands, TrainingConfig};
    use crate::dataset::Classes;
    use crate::run::tensor_file::Tensor;

    /// Weights of the shallow network, of so many members.
    fn weights(members: usize) -> TensorFile<About> {
        let mut tensors = BTreeMap::new();
        for member in 0..members {
            for (name, shape) in [
                ("0.weight", vec![16, 4, 32]),
                ("0.bias", vec![16]),
                ("5.weight", vec![8, 96]),
                ("5.bias", vec![8]),
                ("8.weight", vec![1, 8]),
                ("8.bias", vec![1]),
            ] {
                let values = vec![0.5; shape.iter().product()];
                tensors.insert(format!("{}{name}", of_member(members, member)), Tensor::f32(shape, values));
            }
        }
        TensorFile { tensors, about: About { epochs: vec![1; members] } }
    }

    fn model(strands: Strands, ensemble: usize, weights: &TensorFile<About>) -> Result<onnx::Model> {
        let config = Config {
            model: ModelConfig { arch: Architecture::Shallow, ..ModelConfig::default() },
            training: TrainingConfig { strands, ensemble, ..TrainingConfig::default() },
            ..Config::default()
        };
        let classes = Classes { names: vec!["a".into(), "b".into()], positive: 0 };
        let task = serde_json::json!({"kind": "binary", "loss": "cross-entropy", "positive": 0, "count": 2});
        let task = serde_json::from_value(task)?;
        let network = Network::new(&config, &task, &classes, 128, Some(0.25))?;
        Ok(onnx::Model::decode(&bytes(&network, weights, Path::new("best.safetensors"))?[..])?)
    }

    #[test]
    fn whatever_an_operation_reads_is_there_and_weights_are_there_once() {
        for (strands, members) in [(Strands::Single, 1), (Strands::Average, 3), (Strands::Equivariant, 1)] {
            let weights = match strands {
                Strands::Equivariant => {
                    let mut weights = weights(1);
                    weights.tensors.insert("0.weight".into(), Tensor::f32(vec![8, 4, 32], vec![0.5; 8 * 4 * 32]));
                    weights.tensors.insert("0.bias".into(), Tensor::f32(vec![8], vec![0.5; 8]));
                    weights.tensors.insert("5.weight".into(), Tensor::f32(vec![8, 48], vec![0.5; 8 * 48]));
                    weights
                }
                _ => weights(members),
            };
            let graph = model(strands, members, &weights).unwrap().graph.unwrap();
            let mut known: BTreeSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
            for tensor in &graph.initializer {
                assert!(known.insert(&tensor.name), "{} twice", tensor.name);
            }
            for node in &graph.node {
                assert!(node.input.iter().all(|input| known.contains(input.as_str())), "{node:?}");
                assert!(node.output.iter().all(|output| known.insert(output)), "{node:?}");
            }
            assert!(weights.tensors.keys().all(|name| known.contains(name.as_str())));
            assert!(graph.output.iter().all(|output| known.contains(output.name.as_str())));
        }
    }

    #[test]
    fn metadata_say_what_goes_in_and_what_comes_out() {
        let metadata = model(Strands::Average, 1, &weights(1)).unwrap().metadata_props;
        let of = |key: &str| metadata.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        for (key, value) in [
            ("classes", r#"["a","b"]"#),
            ("positive", "a"),
            ("alphabet", "ACGT"),
            ("length", "128"),
            ("threshold", "0.25"),
            ("task", "binary"),
            ("strands", "average"),
            ("format_version", "4"),
        ] {
            assert_eq!(of(key), Some(value), "{key}");
        }
        assert!(of("calibration").is_some() && of("sha256").is_none());
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let mut other = weights(1);
        other.tensors.remove("5.bias");
        let error = model(Strands::Single, 1, &other).unwrap_err().to_string();
        assert!(error.contains("lacks tensor '5.bias'"), "{error}");
        let error = model(Strands::Equivariant, 1, &weights(1)).unwrap_err().to_string();
        assert!(error.contains("tensor '0.weight' is F32 [16, 4, 32], expected F32 [8, 4, 32]"), "{error}");
        let error = model(Strands::Single, 3, &weights(1)).unwrap_err().to_string();
        assert!(error.contains("holds 1 networks, expected 3"), "{error}");
    }
}
