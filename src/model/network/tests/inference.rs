//! Core's scoring without libtorch against libtorch's.

use super::*;
use crate::model::ensemble::Ensemble;
use strandnet_core::network::inference;
use strandnet_core::scorer::{Differentiable, Scorer};

fn without_libtorch(network: &Network, arch: Architecture, strands: Strands) -> inference::Network {
    let (length, outputs) = (network.length, network.plan.outputs.clone());
    inference::Network::new(&config(arch), length, outputs, strands, &network.parameters().unwrap()).unwrap()
}

fn codes_of(tensor: &Tensor) -> Vec<u8> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The weighted sum of the logits, so that each of them matters differently.
fn derivatives(logits: &[f32]) -> Vec<f32> {
    (0..logits.len()).map(|i| (i % 7) as f32 - 2.5).collect()
}

#[test]
fn scores_and_gradients_are_those_of_libtorch_for_every_architecture() {
    each(|name, arch, length, strands| {
        let network = network(arch, length, strands);
        let [codes, _] = sequences(7, length);
        warm(&network, &codes);
        let own = without_libtorch(&network, arch, strands);
        let expected: Vec<f32> = Vec::try_from(network.logits(&codes, false).flatten(0, -1)).unwrap();
        let codes = codes_of(&codes);
        let found = own.score(&codes).unwrap().into_logits();
        assert!(largest_difference(&found, &expected) < 1e-5, "{name}: {found:?} {expected:?}");
        // Any batch, to the last bit.
        let alone: Vec<f32> = codes.chunks(length).flat_map(|codes| own.score(codes).unwrap().into_logits()).collect();
        assert_eq!(alone, found, "{name}");

        // Between two sequences, so that inputs are not one-hot.
        let one_hot = strandnet_core::scorer::one_hot(&codes, length);
        let (first, second) = one_hot.split_at(3 * 4 * length);
        let inputs: Vec<f32> = first.iter().zip(second).map(|(a, b)| 0.7 * a + 0.3 * b).collect();
        let expected = network.score_inputs(&inputs).unwrap().into_logits();
        let found = own.score_inputs(&inputs).unwrap().into_logits();
        assert!(largest_difference(&found, &expected) < 1e-5, "{name}");
        let expected = network.gradients(&inputs, &derivatives).unwrap();
        let found = own.gradients(&inputs, &derivatives).unwrap();
        let largest = expected.iter().fold(1.0f32, |most, part| most.max(part.abs()));
        assert!(largest_difference(&found, &expected) < 2e-5 * largest, "{name}");
    });
}

#[test]
fn networks_of_their_default_sizes_and_lengths_score_as_in_libtorch() {
    for (arch, length) in [
        (Architecture::Residual, 101),
        (Architecture::Residual, 1000),
        (Architecture::Basset, 600),
        (Architecture::Danq, 500),
        (Architecture::Gated, 200),
        (Architecture::Shallow, 128),
        (Architecture::Bpnet, 2114),
    ] {
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let profile = arch.predicts_profiles().then(|| ProfileShape {
            tracks: vec![1, 2],
            length: 1000,
            ..ProfileShape::default()
        });
        let outputs = Outputs { columns: 2, bins: None, profile };
        let network = Network::new(&config, length, outputs.clone(), Strands::Average, Device::Cpu, 3).unwrap();
        let [codes, _] = sequences(9, length);
        warm(&network, &codes);
        let parameters = network.parameters().unwrap();
        let own = inference::Network::new(&config, length, outputs, Strands::Average, &parameters).unwrap();
        let expected: Vec<f32> = Vec::try_from(network.logits(&codes, false).flatten(0, -1)).unwrap();
        let found = own.score(&codes_of(&codes)).unwrap().into_logits();
        let difference = largest_difference(&found, &expected);
        assert!(difference < 1e-5, "{arch:?} {length}: {difference}");
    }
}

#[test]
fn bins_an_ensemble_a_bias_model_and_a_control_score_as_in_libtorch() {
    let bins = Outputs { columns: 3, bins: Some(Bins { count: 5, bp: 8 }), profile: None };
    for arch in [Architecture::Residual, Architecture::Gated] {
        for strands in STRANDS {
            let make = |seed| Network::new(&config(arch), 96, bins.clone(), strands, Device::Cpu, seed).unwrap();
            let networks = [make(1), make(2)];
            let [codes, _] = sequences(5, 96);
            networks.iter().for_each(|network| warm(network, &codes));
            let own: Vec<_> = networks
                .iter()
                .map(|network| {
                    let parameters = network.parameters().unwrap();
                    inference::Network::new(&config(arch), 96, bins.clone(), strands, &parameters).unwrap()
                })
                .collect();
            let (ensemble, own) = (Ensemble::new(networks.into()), inference::Ensemble::new(own));
            check_scorers(&ensemble, &own, &codes_of(&codes), &format!("{arch:?} {strands:?}"));
        }
    }
}

/// Scores, windows and gradients of two scorers.
fn check_scorers(expected: &dyn Scorer, found: &dyn Scorer, codes: &[u8], name: &str) {
    let logits = |scorer: &dyn Scorer| scorer.score(codes).unwrap().into_logits();
    assert!(largest_difference(&logits(found), &logits(expected)) < 1e-5, "{name}");
    let windows = |scorer: &dyn Scorer| {
        let last = codes.len() - scorer.length();
        let starts: Vec<usize> = (0..last).step_by(13).collect();
        scorer.submit_windows(codes, &starts).unwrap().wait().unwrap().into_logits()
    };
    assert!(largest_difference(&windows(found), &windows(expected)) < 1e-5, "{name}");
    let inputs = strandnet_core::scorer::one_hot(codes, expected.length());
    let gradients = |scorer: &dyn Scorer| scorer.differentiable().unwrap().gradients(&inputs, &derivatives).unwrap();
    let (found, expected) = (gradients(found), gradients(expected));
    let largest = expected.iter().fold(1.0f32, |most, part| most.max(part.abs()));
    assert!(largest_difference(&found, &expected) < 2e-5 * largest, "{name}");
}

#[test]
fn networks_as_they_are_imported_score_as_in_libtorch() {
    let zeros = |width, count| Layer::Convolution {
        filters: 6,
        width,
        stride: 2,
        dilation: 2,
        groups: 1,
        padding: Padding::Zeros(count),
    };
    let profile = Some(ProfileShape { tracks: vec![2], length: 40, ..ProfileShape::default() });
    let of_profiles = Outputs { columns: 1, bins: None, profile };
    let bpnet = |counts_positions, pre_activation| ModelConfig {
        arch: Architecture::Bpnet,
        filters: Some(6),
        width: Some(9),
        depth: Some(3),
        counts_positions,
        pre_activation,
        ..ModelConfig::default()
    };
    let custom = |layer| ModelConfig { arch: Architecture::Custom, layer, ..ModelConfig::default() };
    let mut cases: Vec<(ModelConfig, Outputs)> = [(4, 1), (5, 9), (1, 3), (8, 7)]
        .map(|(width, count)| (custom(vec![zeros(width, count), Layer::Relu {}, Layer::Flatten {}]), 2.into()))
        .into();
    let pooled = vec![
        Layer::Convolution { filters: 6, width: 8, stride: 1, dilation: 1, groups: 1, padding: Padding::Zeros(9) },
        Layer::MaxPool { width: 3, stride: None },
        Layer::Exp { at_most: 0.1 },
        Layer::Flatten {},
    ];
    cases.push((custom(pooled), 2.into()));
    for counted in [None, Some(1), Some(60), Some(150), Some(999)] {
        for pre_activation in [false, true] {
            cases.push((bpnet(counted, pre_activation), of_profiles.clone()));
        }
    }
    for (config, outputs) in cases {
        for length in [100, 160] {
            let name = format!("{config:?} {length}");
            let network =
                Network::new(&config, length, outputs.clone(), Strands::Average, Device::Cpu, 1).expect(&name);
            let [codes, _] = sequences(7, length);
            let parameters = network.parameters().unwrap();
            let own = inference::Network::new(&config, length, outputs.clone(), Strands::Average, &parameters).unwrap();
            check_scorers(&network, &own, &codes_of(&codes), &name);
        }
    }
}

#[test]
fn a_control_of_which_only_the_profile_is_counted_adds_what_it_does_in_libtorch() {
    let shape = ProfileShape { tracks: vec![2], length: 30, control: 2, control_counts: ControlCounts::Profile };
    let outputs = Outputs { columns: 1, bins: None, profile: Some(shape.clone()) };
    let config = config(Architecture::Bpnet);
    let network = Network::new(&config, 130, outputs.clone(), Strands::Average, Device::Cpu, 1).unwrap();
    no_grad(|| {
        let variables = network.store.variables();
        for name in ["control.profile.weight", "control.counts.weight"] {
            variables[name].shallow_clone().copy_(&(Tensor::rand_like(&variables[name]) - 0.5));
        }
    });
    let own = inference::Network::new(&config, 130, outputs, Strands::Average, &network.parameters().unwrap()).unwrap();
    let counts: Vec<f32> = (0..3 * shape.control_values()).map(|i| (i * i % 7) as f32).collect();
    let added = |scorer: &dyn Scorer| {
        let mut logits = vec![0.0; 3 * shape.outputs()];
        scorer.add_control(&counts, &mut logits).unwrap();
        logits
    };
    assert!(largest_difference(&added(&own), &added(&network)) < 1e-4);
}
