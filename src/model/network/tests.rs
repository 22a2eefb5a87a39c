//! What every architecture must do, in every way of reading the strands.

mod inference;

use tch::nn::{self, OptimizerConfig};
use tch::{CModule, Device, Kind, Tensor};

use super::*;
use crate::model::weights;
use crate::no_grad::no_grad;
use crate::train::loss::Criterion;
use strandnet_core::config::layers::{self, Padding};
use strandnet_core::config::{Architecture, Layer};
use strandnet_core::network::kernels::Key;
use strandnet_core::sequence::bins::Bins;
use strandnet_core::sequence::profile::{ControlCounts, ProfileShape};

const STRANDS: [Strands; 5] =
    [Strands::Single, Strands::Augment, Strands::Average, Strands::Shared, Strands::Equivariant];

/// A list with a layer of every kind.
fn custom() -> Vec<Layer> {
    let text = r#"
        [[layer]]
        kind = "convolution"
        filters = 12
        width = 8
        [[layer]]
        kind = "exp"
        [[layer]]
        kind = "batch-norm"
        [[layer]]
        kind = "convolution"
        filters = 8
        width = 4
        stride = 2
        groups = 4
        padding = "none"
        [[layer]]
        kind = "mean-pool"
        width = 2
        stride = 1
        [[layer]]
        kind = "residual"
        layers = [{ kind = "convolution", filters = 8, width = 3, dilation = 2 }, { kind = "gelu" }, { kind = "residual", layers = [{ kind = "silu" }, { kind = "lstm", units = 4 }] }]
        [[layer]]
        kind = "gated"
        width = 4
        [[layer]]
        kind = "max-pool"
        width = 2
        [[layer]]
        kind = "dropout"
        [[layer]]
        kind = "places-pool"
        filters = 2
        places = 3
        [[layer]]
        kind = "dense"
        units = 5
        [[layer]]
        kind = "tanh"
        [[layer]]
        kind = "residual"
        layers = [{ kind = "dense", units = 5 }, { kind = "relu" }, { kind = "dropout", rate = 0.1 }]
    "#;
    layers::read_list(&text.parse::<toml::Table>().unwrap()["layer"]).unwrap()
}

/// A small network of each architecture.
fn config(arch: Architecture) -> ModelConfig {
    let small = |count| (arch != Architecture::Custom).then_some(count);
    let layer = if arch == Architecture::Custom { custom() } else { Vec::new() };
    ModelConfig { arch, filters: small(8), width: small(11), dropout: 0.2, layer, ..ModelConfig::default() }
}

/// So many columns; where an architecture predicts profiles, two groups of tracks, one of them a pair of strands.
fn outputs(arch: Architecture, columns: usize, length: usize) -> Outputs {
    let tracks = [1, 2].into_iter().cycle().take(columns).collect();
    let profile =
        arch.predicts_profiles().then(|| ProfileShape { tracks, length: length % 2 + 8, ..ProfileShape::default() });
    Outputs { columns, bins: None, profile }
}

fn network(arch: Architecture, length: usize, strands: Strands) -> Network {
    Network::new(&config(arch), length, outputs(arch, 2, length), strands, Device::Cpu, 1).unwrap()
}

/// The ways of reading the strands that go with an architecture.
fn ways(arch: Architecture) -> impl Iterator<Item = Strands> {
    STRANDS.into_iter().filter(move |strands| !(arch.predicts_profiles() && *strands == Strands::Equivariant))
}

/// Each architecture, at an odd length and a round one, with each way of reading the strands.
fn each(mut check: impl FnMut(&str, Architecture, usize, Strands)) {
    for arch in Architecture::ALL {
        for strands in ways(arch) {
            for length in [71, 128] {
                check(&format!("{arch:?} {strands:?} {length}"), arch, length, strands);
            }
        }
    }
}

/// Codes `[n, length]`, some of them unknown, and their reverse complements.
fn sequences(n: usize, length: usize) -> [Tensor; 2] {
    let mut codes: Vec<u8> = (0..n * length).map(|i| (random::hash(&i.to_le_bytes()) % 41 / 10) as u8).collect();
    let given = codes_tensor(&codes, length, Device::Cpu);
    codes.chunks_mut(length).for_each(strandnet_core::sequence::alphabet::reverse_complement);
    [given, codes_tensor(&codes, length, Device::Cpu)]
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_device(Device::Cpu) - b.to_device(Device::Cpu)).abs().max().double_value(&[])
}

/// Gives batch norms statistics that are not those they start with.
fn warm(network: &Network, codes: &Tensor) {
    crate::libtorch::seed(1, Device::Cpu);
    no_grad(|| (0..3).for_each(|_| drop(network.logits(codes, true))));
}

#[test]
fn one_hot_is_acgt_and_unknown_is_zero() {
    let one_hot = one_hot(&codes_tensor(&[0, 1, 2, 3, 4], 5, Device::Cpu));
    assert_eq!(one_hot.size(), [1, 4, 5]);
    let values: Vec<f32> = Vec::try_from(one_hot.view(-1)).unwrap();
    #[rustfmt::skip]
    assert_eq!(values, [
        1., 0., 0., 0., 0.,
        0., 1., 0., 0., 0.,
        0., 0., 1., 0., 0.,
        0., 0., 0., 1., 0.,
    ]);
}

/// The hash was taken at revision ebdad9a, before layers were planned.
#[test]
fn the_weights_of_a_seed_are_those_of_earlier_versions() {
    for (arch, expected) in [(Architecture::Shallow, 0xd07af572abfe44e0)] {
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let network = Network::new(&config, 128, 2, Strands::Single, Device::Cpu, 5).unwrap();
        let mut variables: Vec<(String, Tensor)> = network.store.variables().into_iter().collect();
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut bytes = Vec::new();
        for (name, tensor) in variables {
            bytes.extend(name.bytes());
            let values: Vec<f32> = Vec::try_from(tensor.flatten(0, -1)).unwrap();
            bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
        }
        assert_eq!(random::hash(&bytes), expected, "{arch:?}");
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let config = ModelConfig::default();
    let weight = |seed| {
        let network = Network::new(&config, 128, 1, Strands::Single, Device::Cpu, seed).unwrap();
        network.store.variables()["hidden.weight"].shallow_clone()
    };
    assert_eq!(weight(1), weight(1));
    assert_ne!(weight(1), weight(2));
}

#[test]
fn shapes_and_parameters_are_those_of_the_plan_and_gradients_reach_every_parameter() {
    each(|name, arch, length, strands| {
        let network = network(arch, length, strands);
        assert_eq!(network.parameter_count(), network.plan.parameters(), "{name}");
        let numbers = network.plan.outputs.numbers() as i64;
        for batch in [1, 5] {
            let [codes, _] = sequences(batch, length);
            assert_eq!(network.logits(&codes, false).size(), [batch as i64, numbers], "{name}");
        }
        let [codes, _] = sequences(32, length);
        let logits = network.logits(&codes, true);
        assert_eq!(logits.size(), [32, numbers], "{name}");
        let weights = Tensor::from_slice(&[1.0f32, -2.0]).repeat([(numbers + 1) / 2]).narrow(0, 0, numbers);
        (logits * weights).square().sum(Kind::Float).backward();
        for (path, variable) in network.store.variables() {
            if variable.requires_grad() {
                let gradient = variable.grad();
                assert!(gradient.defined(), "{name}: {path}");
                assert!(
                    is_taken_out_by_batch_norm(arch, &path) || gradient.abs().max().double_value(&[]) > 0.0,
                    "{name}: {path}"
                );
            }
        }
    });
}

/// Whether a batch norm takes this bias of a convolution out again, so that nothing but rounding reaches it, which may be
/// nothing at all. What is added to the stream of residuals is taken out too: all that reads it begins with a batch norm.
fn is_taken_out_by_batch_norm(arch: Architecture, path: &str) -> bool {
    let convolutions: &[&str] = match arch {
        Architecture::Basset => &["conv"],
        Architecture::Residual | Architecture::Branched => &["stem_conv", "stem_narrow", "conv1", "conv2"],
        Architecture::Gated => &["stem_conv", "stem_narrow"],
        _ => &[],
    };
    convolutions.iter().any(|name| path.split('.').any(|part| part == *name)) && path.ends_with(".bias")
}

#[test]
fn scoring_is_repeatable_and_a_sequence_scores_alike_among_others() {
    each(|name, arch, length, strands| {
        let network = network(arch, length, strands);
        let [codes, _] = sequences(9, length);
        warm(&network, &codes);
        let together = network.logits(&codes, false);
        assert_eq!(together, network.logits(&codes, false), "{name}");
        let apart = Tensor::cat(&(0..9).map(|i| network.logits(&codes.narrow(0, i, 1), false)).collect::<Vec<_>>(), 0);
        assert!(difference(&together, &apart) < 1e-4, "{name}");
    });
}

#[test]
fn a_sequence_and_its_reverse_complement_score_the_same_where_both_strands_are_read() {
    each(|name, arch, length, strands| {
        let network = network(arch, length, strands);
        for n in [1, 9, 64] {
            let [given, flipped] = sequences(n, length);
            warm(&network, &given);
            let other = network.flipped(network.logits(&flipped, false));
            let difference = difference(&network.logits(&given, false), &other);
            if matches!(strands, Strands::Single | Strands::Augment) {
                assert!(difference > 1e-4, "{name}: {difference}");
            } else {
                assert_eq!(difference, 0.0, "{name}, {n} sequences");
            }
        }
    });
}

#[test]
fn the_trace_computes_the_same_at_other_batch_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traced.pt");
    each(|name, arch, length, strands| {
        let mut network = network(arch, length, strands);
        let [codes, _] = sequences(67, length);
        warm(&network, &codes);
        network.store.freeze();
        let example = one_hot(&codes.narrow(0, 0, 2));
        let mut forward = |input: &[Tensor]| vec![network.logits_of_one_hot(&input[0], false)];
        CModule::create_by_tracing("network", "forward", &[example], &mut forward).unwrap().save(&path).unwrap();
        let module = CModule::load(&path).unwrap();
        for batch in [1, 67] {
            let input = one_hot(&codes.narrow(0, 0, batch));
            let (traced, own) = (module.forward_ts(&[&input]).unwrap(), network.logits_of_one_hot(&input, false));
            assert!(difference(&traced, &own) < 1e-5, "{name}, {batch} sequences");
        }
    });
}

#[test]
fn saved_weights_score_the_same_when_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    each(|name, arch, length, strands| {
        let network = network(arch, length, strands);
        let [codes, _] = sequences(5, length);
        warm(&network, &codes);
        weights::save(&[&network], &[1], &path).unwrap();
        let mut loaded =
            Network::new(&config(arch), length, outputs(arch, 2, length), strands, Device::Cpu, 2).unwrap();
        weights::load(std::slice::from_mut(&mut loaded), &path).unwrap();
        assert_eq!(network.logits(&codes, false), loaded.logits(&codes, false), "{name}");
    });
}

#[test]
fn sixteen_examples_can_be_learned_by_heart() {
    for arch in Architecture::ALL {
        for strands in ways(arch).filter(|strands| !matches!(strands, Strands::Augment | Strands::Average)) {
            let config = ModelConfig { dropout: 0.0, ..config(arch) };
            let network = Network::new(&config, 71, outputs(arch, 1, 71), strands, Device::Cpu, 3).unwrap();
            let last = network.plan.outputs.numbers() as i64 - 1;
            let [codes, _] = sequences(16, 71);
            let labels = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0]).repeat([4]).unsqueeze(1);
            crate::libtorch::seed(1, Device::Cpu);
            let mut adam = nn::Adam::default().build(&network.store, 3e-3).unwrap();
            let mut loss = f64::MAX;
            for _ in 0..300 {
                let found = network.logits(&codes, true).narrow(1, last, 1).binary_cross_entropy_with_logits::<Tensor>(
                    &labels,
                    None,
                    None,
                    tch::Reduction::Mean,
                );
                adam.backward_step(&found);
                loss = found.double_value(&[]);
                if loss < 0.1 {
                    break;
                }
            }
            assert!(loss < 0.1, "{arch:?} {strands:?}: {loss}");
        }
    }
}

/// Without dropout, so that both can be compared.
fn with_and_without_native(arch: Architecture, length: usize, strands: Strands) -> [Network; 2] {
    let config = ModelConfig { dropout: 0.0, layer: without_dropout(config(arch).layer), ..config(arch) };
    [false, true].map(|no_native| {
        let outputs = outputs(arch, 2, length);
        Network::new(&config, length, outputs, strands, Device::Cpu, 1).unwrap().without_native(no_native)
    })
}

#[test]
fn without_libtorch_the_same_is_computed() {
    let mut natives = 0;
    each(|name, arch, length, strands| {
        let [own, by_libtorch] = with_and_without_native(arch, length, strands);
        natives += usize::from(own.native.is_some());
        assert!(by_libtorch.native.is_none());
        let [tensor, _] = sequences(70, length);
        let mut codes = vec![0; tensor.numel()];
        tensor.copy_data(&mut codes, tensor.numel());
        warm(&own, &tensor);
        warm(&by_libtorch, &tensor);
        assert!(difference(&own.score(&codes), &by_libtorch.score(&codes)) < 1e-5, "{name}");
        assert!(difference(&own.score(&codes), &own.logits(&tensor, false)) < 1e-5, "{name}");
        let gradients = [&own, &by_libtorch].map(|network| {
            let forward = network.train(&codes, 1);
            let loss = forward.logits.square().mean(Kind::Float);
            forward.gradients(&loss, &network.store.trainable_variables())
        });
        let largest = gradients[1].iter().map(|gradient| gradient.abs().max().double_value(&[])).fold(0.0, f64::max);
        for (own, other) in gradients[0].iter().zip(&gradients[1]) {
            assert!(difference(own, other) < 1e-4 * largest, "{name}");
        }
    });
    // Seed, danq, residual and gated, and the three that predict profiles, untied.
    assert_eq!(natives, 7 * 4 * 2);
}

/// Steps of the shallow network as training takes them, and the same by way of libtorch's loss.
#[test]
fn a_fused_step_gives_the_gradient_that_libtorch_gives_with_any_number_of_threads() {
    let classes = strandnet_core::dataset::Classes::named(vec!["a".into(), "b".into()]);
    let labels: Vec<f32> = (0..100).map(|i| (i % 2) as f32).collect();
    let examples = strandnet_core::dataset::examples::Examples::from_codes(&[0; 200], 2, &labels);
    let kind = strandnet_core::config::TaskKind::Binary;
    let task =
        strandnet_core::task::Task::new(kind, &classes, None, &strandnet_core::config::ClassWeights::None, &examples)
            .unwrap();
    let network = Network::new(&config(Architecture::Shallow), 71, 1, Strands::Single, Device::Cpu, 1).unwrap();
    let [tensor, _] = sequences(100, 71);
    let mut codes = vec![0; tensor.numel()];
    tensor.copy_data(&mut codes, tensor.numel());
    let native = network.all_native().unwrap();
    let mut places = Vec::new();
    let mut parameters: Vec<f32> = Vec::new();
    for parameter in native.parameters() {
        let start = parameters.len();
        parameters.extend(Vec::<f32>::try_from(parameter.flatten(0, -1)).unwrap());
        places.push(start..parameters.len());
    }
    let of = |threads| {
        let step = native.fused_step(places.clone(), task.binary_loss().unwrap(), 100, threads).unwrap();
        step.gradient(&parameters, codes.clone(), labels.clone(), Key(7))
    };
    let (gradient, loss, hits) = of(1);
    for threads in [2, 5] {
        assert_eq!(of(threads), (gradient.clone(), loss, hits));
    }
    let forward = network.train(&codes, 7);
    let of_labels = Tensor::from_slice(&labels).view([-1, 1]);
    let expected = Criterion::new(&task, Device::Cpu).loss(&forward.logits, &of_labels);
    assert!((expected.double_value(&[]) - loss).abs() < 1e-6);
    assert_eq!(
        Criterion::new(&task, Device::Cpu).hits(&forward.logits, &of_labels).unwrap().double_value(&[]),
        hits as f64
    );
    let expected = forward.gradients(&expected, native.parameters());
    for (expected, place) in expected.iter().zip(places) {
        assert!(difference(expected, &Tensor::from_slice(&gradient[place])) < 1e-6);
    }
}

#[test]
fn frozen_blocks_stay_as_they_are_and_run_as_in_scoring() {
    // The branches of that one are a single block.
    for arch in Architecture::ALL.into_iter().filter(|arch| *arch != Architecture::Branched) {
        let mut network = network(arch, 71, Strands::Average);
        let [codes, _] = sequences(16, 71);
        let blocks = network.plan.blocks.len();
        let error = network.freeze_blocks(blocks).unwrap_err().to_string();
        assert!(
            error.contains(&format!("has {blocks} blocks")) && error.contains(&format!("at most {}", blocks - 1)),
            "{error}"
        );
        network.freeze_blocks(blocks - 1).unwrap();
        // Only the output layer is left to learn, and nothing before it depends on chance or on the batch.
        let left = network.store.trainable_variables();
        let expected = if arch.predicts_profiles() { vec![3, 3, 2, 2] } else { vec![2, 2] };
        let mut found: Vec<i64> = left.iter().map(|variable| variable.size()[0]).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(found, expected, "{arch:?}");
        let before: Vec<(String, Tensor)> =
            network.store.variables().into_iter().map(|(name, variable)| (name, variable.copy())).collect();
        let logits = network.logits(&codes, true);
        assert!(
            difference(&logits, &network.rest.forward_t(&network.first.forward_t(&one_hot(&codes), false), false))
                < 1e-6,
            "{arch:?}"
        );
        logits.sum(Kind::Float).backward();
        for (name, before) in before {
            assert_eq!(before, network.store.variables()[&name], "{arch:?} {name}");
        }
        assert!(left.iter().all(|variable| variable.grad().defined()));
    }
}

#[test]
fn bf16_trains_near_f32_with_gradients_in_f32() {
    for arch in Architecture::ALL {
        for strands in ways(arch).filter(|strands| matches!(strands, Strands::Single | Strands::Equivariant)) {
            let logits_and_gradient = |precision| {
                let config = ModelConfig { dropout: 0.0, layer: without_dropout(config(arch).layer), ..config(arch) };
                let outputs = outputs(arch, 2, 71);
                let network =
                    Network::new(&config, 71, outputs, strands, Device::Cpu, 1).unwrap().with_precision(precision);
                let [codes, _] = sequences(16, 71);
                let logits = network.logits(&codes, true);
                logits.square().sum(Kind::Float).backward();
                let gradients: Vec<Tensor> =
                    network.store.trainable_variables().iter().map(|variable| variable.grad().flatten(0, -1)).collect();
                assert_eq!(logits.kind(), Kind::Float);
                assert_eq!(network.logits(&codes, false).kind(), Kind::Float);
                (logits.detach(), Tensor::cat(&gradients, 0))
            };
            let (exact, gradient) = logits_and_gradient(Precision::F32);
            let (rounded, other) = logits_and_gradient(Precision::Bf16);
            assert_eq!(other.kind(), Kind::Float);
            let far = difference(&exact, &rounded);
            assert!(far > 0.0 && far < 0.1, "{arch:?} {strands:?}: {far}");
            let cosine = Tensor::cosine_similarity(&gradient, &other, 0, 1e-9).double_value(&[]);
            assert!(cosine > 0.95, "{arch:?} {strands:?}: {cosine}");
        }
    }
}

/// The list with rates of 0: other numbers are drawn for other kinds.
fn without_dropout(layers: Vec<Layer>) -> Vec<Layer> {
    layers
        .into_iter()
        .map(|layer| match layer {
            Layer::Dropout { .. } => Layer::Dropout { rate: None },
            Layer::Residual { layers } => Layer::Residual { layers: without_dropout(layers) },
            layer => layer,
        })
        .collect()
}

#[test]
fn cpu_and_cuda_agree() {
    let Some((_one_at_a_time, device)) = crate::cuda::gpu_of_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    each(|name, arch, length, strands| {
        let [codes, _] = sequences(16, length);
        let mut cpu = network(arch, length, strands);
        warm(&cpu, &codes);
        let mut gpu = Network::new(&config(arch), length, outputs(arch, 2, length), strands, device, 1).unwrap();
        gpu.store.copy(&cpu.store).unwrap();
        let near = |what: &str, a: &Tensor, b: &Tensor| {
            let far = difference(a, b) / b.abs().max().double_value(&[]).max(1.0);
            assert!(far < 1e-4, "{what} of {name}: {far}");
        };
        // Scores, and their gradients with respect to the sequences, as attributions take them.
        let [on_cpu, on_gpu] = [&cpu, &gpu].map(|network| {
            let input = one_hot(&codes.to_device(network.device())).set_requires_grad(true);
            let logits = network.logits_of_one_hot(&input, false);
            let gradient = Tensor::run_backward(&[&logits.sum(Kind::Float)], &[&input], false, false).remove(0);
            [logits, gradient]
        });
        near("logits", &on_gpu[0], &on_cpu[0]);
        near("the gradient", &on_gpu[1], &on_cpu[1]);
        // What is exported on the CPU runs on the GPU.
        cpu.store.freeze();
        gpu.store.freeze();
        let mut forward = |input: &[Tensor]| vec![cpu.logits_of_one_hot(&input[0], false)];
        let example = one_hot(&codes.narrow(0, 0, 2));
        CModule::create_by_tracing("network", "forward", &[example], &mut forward).unwrap().save(&path).unwrap();
        let module = CModule::load_on_device(&path, device).unwrap();
        let exported = module.forward_ts(&[one_hot(&codes.to_device(device))]).unwrap();
        near("the export", &exported, &on_cpu[0]);
    });
}

#[test]
fn fragments_and_filters_that_do_not_fit_are_refused() {
    for arch in Architecture::ALL.into_iter().filter(|arch| !arch.predicts_profiles()) {
        let config = config(arch);
        let build = |length, strands| Network::new(&config, length, 1, strands, Device::Cpu, 1);
        let shortest = config.shortest_bp();
        assert_eq!(build(shortest, Strands::Single).unwrap().logits(&sequences(2, shortest)[0], false).size(), [2, 1]);
        let error = build(shortest - 1, Strands::Single).unwrap_err().to_string();
        assert!(error.contains(&format!("{} bp", shortest - 1)), "{error}");
    }
    let config = ModelConfig { filters: Some(7), ..ModelConfig::default() };
    let error = Network::new(&config, 71, 1, Strands::Equivariant, Device::Cpu, 1).unwrap_err().to_string();
    assert!(error.contains("--filters is 7, expected an even number"), "{error}");
}

#[test]
fn bins_turn_with_the_sequence_and_the_two_strands_agree() {
    let outputs = Outputs { columns: 2, bins: Some(Bins { count: 6, bp: 8 }), profile: None };
    let [given, reversed] = sequences(3, 128);
    for arch in Architecture::ALL.into_iter().filter(|arch| !arch.predicts_profiles()) {
        for strands in STRANDS {
            let built = Network::new(&config(arch), 128, outputs.clone(), strands, Device::Cpu, 1);
            if !arch.has_positions() {
                assert!(built.unwrap_err().to_string().contains("expected --arch residual or gated"));
                continue;
            }
            let network = built.unwrap();
            warm(&network, &given);
            let score = |codes| no_grad(|| network.logits(codes, false));
            let (one, other) = (score(&given), score(&reversed));
            assert_eq!(one.size(), [3, 12]);
            let flipped = other.view([3, 2, 6]).flip([2]).flatten(1, -1);
            let apart = difference(&one, &flipped);
            let reads_both = matches!(strands, Strands::Average | Strands::Shared | Strands::Equivariant);
            assert_eq!(apart < 1e-5, reads_both, "{arch:?} {strands:?} {apart}");
            let native = Vec::<u8>::try_from(given.flatten(0, -1)).unwrap();
            assert!(difference(&no_grad(|| network.score(&native)), &one) < 1e-5, "{arch:?} {strands:?}");
            assert_eq!(no_grad(|| network.logits(&given, true)).size(), [3, 12]);
        }
    }
    let build = |bins| {
        Network::new(
            &config(Architecture::Residual),
            128,
            Outputs { columns: 1, bins: Some(bins), profile: None },
            Strands::Single,
            Device::Cpu,
            1,
        )
    };
    for bins in [Bins { count: 3, bp: 6 }, Bins { count: 17, bp: 8 }, Bins { count: 3, bp: 4 }] {
        assert!(build(bins).unwrap_err().to_string().contains("do not fall on the network's positions"), "{bins:?}");
    }
}

#[test]
fn strides_far_beyond_the_sequence_do_not_overflow() {
    let pool = "[[layer]]\nkind = \"max-pool\"\nwidth = 1\nstride = 1000000\n";
    let text = pool.repeat(5) + "[[layer]]\nkind = \"global-pool\"\nof = \"max\"\n";
    let layer = layers::read_list(&text.parse::<toml::Table>().unwrap()["layer"]).unwrap();
    let config = ModelConfig { arch: Architecture::Custom, layer, ..ModelConfig::default() };
    let network = Network::new(&config, 71, 1, Strands::Single, Device::Cpu, 1).unwrap();
    assert_eq!(network.plan.steps[4].receptive_bp, 1);
    assert_eq!(network.logits(&sequences(2, 71)[0], false).size(), [2, 1]);
}

#[test]
fn tied_filters_cost_about_as_much_and_take_about_half_the_parameters_of_convolutions() {
    for arch in [Architecture::Residual, Architecture::Basset, Architecture::Gated] {
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let plan = |strands| Plan::new(&config, 128, 1, strands).unwrap();
        let (plain, tied) = (plan(Strands::Single), plan(Strands::Equivariant));
        let ratio = |of: fn(&Plan) -> usize| of(&tied) as f64 / of(&plain) as f64;
        assert!((0.9..1.2).contains(&ratio(Plan::multiply_adds)), "{arch:?}: {}", ratio(Plan::multiply_adds));
        assert!((0.45..0.8).contains(&ratio(Plan::parameters)), "{arch:?}: {}", ratio(Plan::parameters));
    }
}

#[test]
fn profiles_need_an_architecture_of_their_own_and_strands_that_are_not_tied() {
    let build = |arch, outputs: Outputs, strands| {
        Network::new(&config(arch), 128, outputs, strands, Device::Cpu, 1).unwrap_err().to_string()
    };
    let profile = outputs(Architecture::Bpnet, 2, 128);
    for arch in Architecture::ALL {
        let other = if arch.predicts_profiles() { Outputs::from(2) } else { profile.clone() };
        let error = build(arch, other, Strands::Single);
        assert!(error.contains("--task profile") && error.contains("--arch branched, bpnet or bias"), "{error}");
    }
    let error = build(Architecture::Bpnet, profile, Strands::Equivariant);
    assert!(error.contains("--strands is equivariant"), "{error}");
}

/// Not a test but a measurement: `cargo test --release --lib -- --ignored --nocapture speed_of_training`. Steps of 256
/// sequences of 128 bp, forward and backward, in both precisions by turns; the best of each is shown.
#[test]
#[ignore = "takes a minute"]
fn speed_of_training() {
    let device = crate::device::auto();
    let codes = Tensor::randint(4, [256, 128], (Kind::Uint8, device));
    let strands = match std::env::var("STRANDS").as_deref() {
        Ok("equivariant") => Strands::Equivariant,
        _ => Strands::Average,
    };
    for arch in
        [Architecture::Shallow, Architecture::Residual, Architecture::Gated, Architecture::Basset, Architecture::Danq]
    {
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let [exact, half] = [Precision::F32, Precision::Bf16]
            .map(|precision| Network::new(&config, 128, 1, strands, device, 1).unwrap().with_precision(precision));
        let step = |network: &Network| {
            let started = std::time::Instant::now();
            let parameters = network.store.trainable_variables();
            let gradients = Tensor::run_backward(
                &[network.logits(&codes, true).square().mean(Kind::Float)],
                &parameters,
                false,
                false,
            );
            std::hint::black_box(gradients[0].flatten(0, -1).double_value(&[0]));
            started.elapsed().as_secs_f64() * 1e3
        };
        let mut best = [f64::MAX; 2];
        for _ in 0..12 {
            for (best, network) in best.iter_mut().zip([&exact, &half]) {
                *best = best.min(step(network));
            }
        }
        println!("{arch:?}: f32 {:.1} ms, bf16 {:.1} ms, {:.2} times", best[0], best[1], best[0] / best[1]);
    }
}

#[test]
fn the_published_network_has_the_published_shapes_for_any_length_from_47() {
    let config = ModelConfig { arch: Architecture::Shallow, ..ModelConfig::default() };
    let network = |length| Network::new(&config, length, 3, Strands::Single, Device::Cpu, 1);
    for length in [47usize, 63, 128, 500] {
        let network = network(length).unwrap();
        let pooled = (length - 31) / 16;
        let mut shapes: Vec<(String, Vec<i64>)> =
            network.store.variables().into_iter().map(|(name, v)| (name, v.size())).collect();
        shapes.sort();
        let expected = [
            ("0.bias", vec![16]),
            ("0.weight", vec![16, 4, 32]),
            ("5.bias", vec![8]),
            ("5.weight", vec![8, 16 * pooled as i64]),
            ("8.bias", vec![3]),
            ("8.weight", vec![3, 8]),
        ];
        assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape)));
        let input = Tensor::zeros([3, length as i64], (Kind::Uint8, Device::Cpu));
        assert_eq!(network.logits(&input, false).size(), [3, 3]);
    }
    let error = network(46).unwrap_err().to_string();
    assert!(error.contains("--arch shallow needs 47"), "{error}");
}

#[test]
fn the_residual_network_takes_any_length_and_has_the_parameters_it_should() {
    let config = ModelConfig::default();
    let network = |length, outputs| Network::new(&config, length, outputs, Strands::Single, Device::Cpu, 1);
    for (length, outputs) in [(16usize, 1usize), (70, 3), (401, 1)] {
        let network = network(length, outputs).unwrap();
        let stem = (256 * 4 * 15 + 256) + 512 + (96 * 256 + 96);
        let blocks = 3 * (192 + (96 * 96 * 5 + 96) + 192 + (96 * 96 + 96));
        let head = 192 + (16 * 96 + 16) + (512 * 64 + 64) + (64 * outputs + outputs);
        assert_eq!(network.parameter_count(), stem + blocks + head);
        let input = Tensor::randint(5, [3, length as i64], (Kind::Uint8, Device::Cpu));
        for train in [false, true] {
            assert_eq!(network.logits(&input, train).size(), [3, outputs as i64]);
        }
    }
    assert!(network(15, 1).is_err());
}

/// `tests/golden/bpnet.py` says what gives the golden numbers.
#[test]
fn bpnet_gives_what_bpnet_lite_gives_with_the_same_weights() {
    let (length, n, filters) = (180, 3, 6);
    let shape = ProfileShape { tracks: vec![2], length: 60, control: 1, ..ProfileShape::default() };
    let config = ModelConfig { arch: Architecture::Bpnet, filters: Some(6), depth: Some(3), ..ModelConfig::default() };
    let outputs = Outputs { columns: 1, bins: None, profile: Some(shape.clone()) };
    let network = Network::new(&config, length, outputs, Strands::Single, Device::Cpu, 1).unwrap();
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../../tests/golden/bpnet.json")).unwrap();
    let variables = network.store.variables();
    let set = |name: &str, values: Tensor| no_grad(|| variables[name].shallow_clone().copy_(&values));
    for (place, name) in golden["names"].as_array().unwrap().iter().enumerate() {
        let name = name.as_str().unwrap();
        let filled = |sizes: &[i64]| {
            let value = |i: i64| 0.2 * (1.3 * (i * i) as f64 + place as f64).sin();
            let values: Vec<f32> = (0..sizes.iter().product()).map(|i| value(i) as f32).collect();
            Tensor::from_slice(&values).view(sizes)
        };
        match name {
            // Features and control have weights of their own here.
            "fconv.weight" => {
                let parts = filled(&[2, filters + 1, 75]).split_with_sizes([filters, 1].as_slice(), 1);
                set("head.fconv.weight", parts[0].shallow_clone());
                set("control.profile.weight", parts[1].shallow_clone());
            }
            "linear.weight" => {
                let parts = filled(&[1, filters + 1]).split_with_sizes([filters, 1].as_slice(), 1);
                set("head.linear.weight", parts[0].shallow_clone());
                set("control.counts.weight", parts[1].flatten(0, -1));
            }
            "fconv.bias" | "linear.bias" => {
                let own = format!("head.{name}");
                set(&own, filled(&variables[&own].size()));
            }
            _ => set(name, filled(&variables[name].size())),
        }
    }
    let at = |step: f64, i: usize, n: usize, below: f64| (below * (step * (i * i) as f64 + n as f64).sin().abs()) as u8;
    let codes: Vec<u8> = (0..n).flat_map(|n| (0..length).map(move |i| at(0.7, i, n, 5.0))).collect();
    // Its control has the length of the sequence, of which it reads what ours is.
    let before = (length - shape.control_length()) / 2;
    let seen = before..before + shape.control_length();
    let counts: Vec<f32> = (0..n).flat_map(|n| seen.clone().map(move |i| f32::from(at(0.3, i, n, 4.0)))).collect();
    let counts = Tensor::from_slice(&counts).view([n as i64, 1, shape.control_length() as i64]);
    let found = no_grad(|| network.score(&codes) + network.control_logits(&counts, false));
    let numbers = |key: &str| -> Vec<Vec<f32>> { serde_json::from_value(golden[key].clone()).unwrap() };
    let expected: Vec<f32> =
        numbers("profile").into_iter().zip(numbers("log_counts")).flat_map(|(a, b)| [a, b].concat()).collect();
    let expected = Tensor::from_slice(&expected).view([n as i64, 121]);
    assert!(difference(&found, &expected) < 1e-5, "{}", difference(&found, &expected));
}
