//! Weights as safetensors. The input is such a file, or its header alone, then its values: a header's length is seldom
//! right once it has changed. What is taken holds numbers only, and what is refused changes nothing.
#![no_main]

use std::cell::RefCell;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strandnet::model::{Network, weights};
use strandnet_core::config::{Architecture, ModelConfig, Strands};
use strandnet_fuzz::{explained, put, tensor_file};

/// A small network, with as many outputs as asked for.
fn network(outputs: usize, seed: u64) -> Network {
    let config =
        ModelConfig { arch: Architecture::Shallow, filters: Some(2), width: Some(8), ..ModelConfig::default() };
    Network::new(&config, 64, outputs, Strands::Single, tch::Device::Cpu, seed).expect("64 bp are enough")
}

fn values(networks: &[Network]) -> Vec<f32> {
    let mut all = Vec::new();
    for network in networks {
        let mut variables: Vec<_> = network.store.variables().into_iter().collect();
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, variable) in variables {
            all.extend(Vec::<f32>::try_from(variable.flatten(0, -1)).expect("weights are f32"));
        }
    }
    assert!(all.iter().all(|value| value.is_finite()));
    all
}

struct Networks {
    one: [Network; 1],
    two: [Network; 2],
    other: [Network; 1],
}

thread_local! {
    static NETWORKS: RefCell<Networks> = RefCell::new(Networks {
        one: [network(1, 1)],
        two: [network(1, 2), network(1, 3)],
        other: [network(3, 4)],
    });
}

fn start(networks: &mut [Network; 1], member: usize, path: &Path, same_question: bool) {
    let before = values(networks);
    let started = explained(weights::start_from(&mut networks[0], member, path, same_question));
    let after = values(networks);
    assert!(started.is_some() || after == before, "a refused start changes nothing");
}

fuzz_target!(|input: &[u8]| {
    let file = tensor_file(input);
    let path = put("best.safetensors", Some(&file));
    NETWORKS.with_borrow_mut(|Networks { one, two, other }| {
        if explained(weights::load(one, &path)).is_some() {
            let taken = values(one);
            // The same, written and read.
            weights::save(&[&one[0]], &[1], &path).unwrap();
            assert_eq!(weights::load(one, &path).unwrap(), [1]);
            assert_eq!(values(one), taken);
            put("best.safetensors", Some(&file));
        }
        if explained(weights::load(two, &path)).is_some() {
            values(two);
        }
        for (member, same_question) in [(0, true), (1, false)] {
            start(one, member, &path, same_question);
        }
        start(other, 5, &path, true);
    });
});
