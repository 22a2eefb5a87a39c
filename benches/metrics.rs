//! Metrics with their intervals: `cargo bench --bench metrics`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strandnet_core::metrics::{Blocks, Ranking, Resampling};

/// Scores that tell something of the labels, without order.
fn scores(n: usize) -> (Vec<bool>, Vec<f64>) {
    let noise = |i: usize| (i as f64 * 12.9898).sin() * 43758.5453 % 1.0;
    let positive: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
    let scores = positive.iter().enumerate().map(|(i, &is)| f64::from(u8::from(is)) * 0.3 + noise(i).abs()).collect();
    (positive, scores)
}

fn ranking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics of two classes");
    group.sample_size(10);
    for n in [1_000, 10_000, 100_000] {
        let (positive, scores) = scores(n);
        let alone = Blocks::each(n);
        let resampling = Resampling { blocks: &alone, seed: 1 };
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("AUROC", n), |bencher| {
            bencher.iter(|| Ranking::new(&positive, &scores).auroc());
        });
        group.bench_function(BenchmarkId::new("all with 1,000 resamples", n), |bencher| {
            bencher.iter(|| Ranking::new(&positive, &scores).report(0.5, &resampling));
        });
    }
    group.finish();
}

criterion_group!(benches, ranking);
criterion_main!(benches);
