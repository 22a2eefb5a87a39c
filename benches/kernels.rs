//! The first block and small networks without libtorch, beside the same by libtorch: `cargo bench --bench kernels`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strandnet::model::Network;
use strandnet_core::config::{Architecture, ClassWeights, ModelConfig, Strands, TaskKind};
use strandnet_core::dataset::Classes;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::network::kernels::Key;
use strandnet_core::task::Task;
use tch::{Device, Kind};

const LENGTH: usize = 128;
const BATCH: usize = 256;

/// Bases without order, with an N now and then.
fn codes(n: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..n).map(|_| if next() % 200 == 0 { 4 } else { (next() % 4) as u8 }).collect()
}

fn network(arch: Architecture) -> Network {
    let config = ModelConfig { arch, ..ModelConfig::default() };
    Network::new(&config, LENGTH, 1, Strands::Single, Device::Cpu, 1).expect("the length fits every architecture")
}

/// Forward and backward, by the kernels where they apply and by libtorch alone.
fn training(criterion: &mut Criterion) {
    let codes = codes(BATCH * LENGTH);
    let mut group = criterion.benchmark_group("forward and backward");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for arch in [Architecture::Shallow, Architecture::Residual] {
        for no_native in [false, true] {
            let network = network(arch).without_native(no_native);
            let parameters = network.store.trainable_variables();
            let by = if no_native { "libtorch" } else { "first block here" };
            group.bench_function(BenchmarkId::new(arch.name(), by), |bencher| {
                bencher.iter(|| {
                    let forward = network.train(&codes, 1);
                    let loss = forward.logits.square().mean(Kind::Float);
                    forward.gradients(&loss, &parameters)
                });
            });
        }
    }
    group.finish();
}

/// A step of the shallow network without libtorch but for the optimizer, by threads.
fn fused_step(criterion: &mut Criterion) {
    let network = network(Architecture::Shallow);
    let classes = Classes::named(vec!["a".into(), "b".into()]);
    let labels: Vec<f32> = (0..BATCH).map(|i| (i % 2) as f32).collect();
    let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &Examples::default())
        .expect("a question of two classes");
    let native = network.all_native().expect("the shallow network needs nothing of libtorch");
    let (mut places, mut parameters): (Vec<_>, Vec<f32>) = Default::default();
    for parameter in native.parameters() {
        let start = parameters.len();
        parameters.extend(Vec::<f32>::try_from(parameter.flatten(0, -1)).expect("parameters are numbers"));
        places.push(start..parameters.len());
    }
    let loss = task.binary_loss().expect("a task of two classes");
    let codes = codes(BATCH * LENGTH);
    let mut group = criterion.benchmark_group("fused step of the shallow network");
    group.throughput(Throughput::Elements(BATCH as u64));
    for threads in [1, 2] {
        let step = native.fused_step(places.clone(), loss, BATCH, threads).expect("all of it is native");
        group.bench_function(BenchmarkId::new("threads", threads), |bencher| {
            bencher.iter(|| step.gradient(&parameters, codes.clone(), labels.clone(), Key(7)));
        });
    }
    group.finish();
}

/// Scores of windows by how far apart they start.
fn scanning(criterion: &mut Criterion) {
    let network = network(Architecture::Shallow);
    let mut group = criterion.benchmark_group("scores of windows");
    for stride in [1, 16, 128] {
        let starts: Vec<usize> = (0..1024).map(|i| i * stride).collect();
        let codes = codes(1023 * stride + LENGTH);
        group.throughput(Throughput::Elements(1024));
        group.bench_function(BenchmarkId::new("stride", stride), |bencher| {
            let _guard = tch::no_grad_guard();
            bencher.iter(|| network.score_windows(&codes, &starts));
        });
    }
    group.finish();
}

criterion_group!(benches, training, fused_step, scanning);
criterion_main!(benches);
