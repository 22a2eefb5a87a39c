//! Attributions of real networks against what defines them.

use anyhow::Result;
use strandnet_core::attribute::gradients::{Path, TOLERANCE, importance, saliency_times_input};
use strandnet_core::attribute::mutagenesis;
use strandnet_core::attribute::target::{Explained, Explainer};
use strandnet_core::config::{Architecture, AttributionBaseline, ClassWeights, ModelConfig, Strands, TaskKind};
use strandnet_core::dataset::Classes;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::scorer::Scorer;
use strandnet_core::task::Task;
use tch::Device;

use crate::model::Network;
use crate::model::ensemble::Ensemble;

fn binary() -> Explained {
    let classes = Classes::named(vec!["a".into(), "b".into()]);
    let labels = Examples::from_codes(&[0; 4], 2, &[0.0, 1.0]);
    let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &labels).unwrap();
    Explained::new(&task, &classes, None).unwrap()
}

fn codes() -> Vec<u8> {
    (0..60u32).map(|i| if i == 7 { 4 } else { ((i * i + i / 7) % 4) as u8 }).collect()
}

fn each_network(check: impl Fn(&Explainer)) {
    let explained = binary();
    for arch in [Architecture::Shallow, Architecture::Residual, Architecture::Danq] {
        for strands in [Strands::Single, Strands::Average, Strands::Equivariant] {
            let config = ModelConfig { arch, ..ModelConfig::default() };
            let networks = [1, 2].map(|seed| Network::new(&config, 60, 1, strands, Device::Cpu, seed));
            let Ok(networks) = networks.into_iter().collect::<Result<Vec<_>>>() else { continue };
            check(&Explainer { scorer: &Ensemble::new(networks), explained: &explained });
        }
    }
}

#[test]
fn mutagenesis_is_what_each_mutant_scores_alone() {
    let codes = codes();
    each_network(|explainer| {
        let score = explainer.score(&codes).unwrap()[0];
        let changes = mutagenesis::changes(explainer, &codes, score).unwrap();
        for position in (0..60).step_by(7) {
            for base in 0..4u8 {
                let mut mutant = codes.clone();
                mutant[position] = base;
                let alone = explainer.score(&mutant).unwrap()[0] - score;
                let found = f64::from(changes[usize::from(base) * 60 + position]);
                assert!((alone - found).abs() < 1e-5, "{position} {base}: {alone} {found}");
            }
        }
        let importance = mutagenesis::importance(&codes, &changes);
        assert_eq!(importance[7], 0.0);
        let mean = (changes[3] + changes[63] + changes[123] + changes[183]) / 3.0;
        assert!((importance[3] + mean).abs() < 1e-6);
    });
}

#[test]
fn saliency_is_the_slope_towards_each_base() {
    let codes = codes();
    each_network(|explainer| {
        let saliency = saliency_times_input(explainer, &codes).unwrap();
        let input = explainer.input(&codes);
        for position in [3, 20, 41] {
            let nudged = |by: f64| {
                let mut nudged = input.clone();
                nudged[usize::from(codes[position]) * 60 + position] += by as f32;
                explainer.score_inputs(&nudged).unwrap()[0]
            };
            let slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2;
            let found = f64::from(importance(&saliency)[position]);
            assert!((slope - found).abs() < 0.02 * slope.abs().max(0.05), "{position}: {slope} {found}");
        }
        assert_eq!(importance(&saliency)[7], 0.0, "an unknown base has no part");
    });
}

#[test]
fn integrated_gradients_add_up_from_either_baseline() {
    let codes = codes();
    each_network(|explainer| {
        for baseline in [AttributionBaseline::Zeros, AttributionBaseline::Shuffles] {
            let path = Path { baseline, steps: 32, seed: 1 };
            let found = path.integrate(explainer, &codes, 0..60, 0).unwrap();
            assert!(found.error() <= TOLERANCE, "{baseline:?}: {} in {} steps", found.error(), found.steps);
            let again = path.integrate(explainer, &codes, 0..60, 0).unwrap();
            assert_eq!(again.attributions, found.attributions);
            let sum: f64 = importance(&found.attributions).iter().map(|&part| f64::from(part)).sum();
            assert!((sum - found.sum).abs() < 1e-4);
        }
    });
}

#[test]
fn windows_that_overlap_score_as_they_do_alone() {
    for (arch, strands) in [
        (Architecture::Residual, Strands::Single),
        (Architecture::Shallow, Strands::Single),
        (Architecture::Shallow, Strands::Average),
    ] {
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let network = Network::new(&config, 50, 1, strands, Device::Cpu, 1).unwrap();
        let codes: Vec<u8> = (0..333u32).map(|i| ((i * i + i / 7) % 5) as u8).collect();
        for stride in [1, 7, 50, 120] {
            let starts: Vec<usize> = (0..=333 - 50).step_by(stride).collect();
            let together = network.submit_windows(&codes, &starts).unwrap().wait().unwrap();
            assert_eq!(together.n, starts.len());
            for (&start, &logit) in starts.iter().zip(together.logits()) {
                let alone = Scorer::score(&network, &codes[start..start + 50]).unwrap().into_logits()[0];
                assert!((alone - logit).abs() < 1e-5, "{arch:?} {strands:?} {stride} {start}: {alone} {logit}");
            }
        }
    }
}
