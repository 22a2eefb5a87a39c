//! How often 95 % intervals hold the truth, on simulated scores: the tables of docs/statistics.md. `scripts/coverage` runs it.
//!
//! Independent examples: scores from two normal distributions whose means are as far apart as the AUROC wants, and calls that
//! are right with a given probability. Dependent ones: 5 to 39 windows a block that share a part of their noise, in blocks of
//! one class and of both.

use rand::RngExt;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};
use strandnet_core::metrics::blocks::BlockKind;
use strandnet_core::metrics::{Blocks, Ranking, Resampling};
use strandnet_core::random::{Generator, Purpose, generator};

const AUROCS: [f64; 5] = [0.6, 0.7, 0.8, 0.9, 0.95];
const SHARES: [f64; 5] = [0.2, 0.35, 0.5, 0.65, 0.8];

/// Share of the noise that windows of a block have in common.
const SHARED: f64 = 0.3;

fn main() {
    let rounds: u64 = std::env::args().nth(1).map_or(2000, |text| text.parse().expect("a number of rounds"));
    println!("| examples | of them positive | metric | {} | mean |", list(&AUROCS));
    println!("| ---: | ---: | --- |{} ---: |", " ---: |".repeat(AUROCS.len()));
    for (n, positives) in [(25, 10), (25, 12), (100, 10), (100, 50), (1000, 10), (1000, 100), (1000, 500)] {
        row(&format!("{n} | {positives} | AUROC"), &AUROCS.map(|area| independent(n, positives, area, 0.5, rounds).0));
    }
    println!("\n| examples | metric | {} | mean |", list(&SHARES));
    println!("| ---: | --- |{} ---: |", " ---: |".repeat(SHARES.len()));
    for n in [25, 100, 1000] {
        row(&format!("{n} | accuracy"), &SHARES.map(|share| independent(n, n * 2 / 5, 0.8, share, rounds).1));
    }
    // Resampling takes longer.
    let rounds = rounds.div_ceil(4);
    println!("\n| blocks | classes of a block | metric | {} | mean |", list(&AUROCS));
    println!("| ---: | --- | --- |{} ---: |", " ---: |".repeat(AUROCS.len()));
    for (blocks, one_class) in [(30, false), (30, true), (60, false), (60, true)] {
        let found: Vec<(f64, f64)> =
            AUROCS.iter().zip(SHARES).map(|(&area, share)| dependent(blocks, one_class, area, share, rounds)).collect();
        let classes = if one_class { "one" } else { "both" };
        row(&format!("{blocks} | {classes} | AUROC"), &found.iter().map(|found| found.0).collect::<Vec<_>>());
        row(
            &format!("{blocks} | {classes} | accuracy of {}", SHARES.map(|share| share.to_string()).join(", ")),
            &found.iter().map(|found| found.1).collect::<Vec<_>>(),
        );
    }
}

fn list(truths: &[f64]) -> String {
    truths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

fn row(name: &str, coverage: &[f64]) {
    let mean = coverage.iter().sum::<f64>() / coverage.len() as f64;
    let cells: Vec<String> = coverage.iter().chain([&mean]).map(|share| format!("{:.1} %", share * 100.0)).collect();
    println!("| {name} | {} |", cells.join(" | "));
}

/// Shares of rounds in which the intervals of the AUROC and of the accuracy hold the truth.
fn covered(
    rounds: u64,
    area: f64,
    share: f64,
    round: impl Fn(&mut Generator, u64) -> [(f64, f64); 2] + Sync,
) -> (f64, f64) {
    let held: Vec<[bool; 2]> = (0..rounds)
        .into_par_iter()
        .map(|i| {
            let [of_area, of_share] = round(&mut generator(20, Purpose::Simulate, i, area.to_bits()), i);
            [(of_area, area), (of_share, share)].map(|((low, high), truth)| low <= truth && truth <= high)
        })
        .collect();
    let of = |metric: usize| held.iter().filter(|held| held[metric]).count() as f64 / rounds as f64;
    (of(0), of(1))
}

fn independent(n: usize, positives: usize, area: f64, share: f64, rounds: u64) -> (f64, f64) {
    let apart = apart(area);
    covered(rounds, area, share, |random, seed| {
        let labels: Vec<bool> = (0..n).map(|i| i < positives).collect();
        let scores: Vec<f64> = labels.iter().map(|&label| normal(random) + if label { apart } else { 0.0 }).collect();
        let calls: Vec<f64> =
            labels.iter().map(|&label| f64::from(u8::from((random.random::<f64>() < share) == label))).collect();
        intervals(&labels, &scores, &calls, &Blocks::each(n), seed)
    })
}

fn dependent(blocks: usize, one_class: bool, area: f64, share: f64, rounds: u64) -> (f64, f64) {
    let (apart, limit) = (apart(area), Normal::standard().inverse_cdf(share));
    covered(rounds, area, share, |random, seed| {
        let (mut keys, mut labels, mut scores, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for block in 0..blocks {
            let (of_scores, of_calls) = (normal(random), normal(random));
            for _ in 0..random.random_range(5..40) {
                let label = if one_class { block % 2 == 0 } else { random.random() };
                let mut noise = |shared: f64| SHARED.sqrt() * shared + (1.0 - SHARED).sqrt() * normal(random);
                let (score, is_right) = (noise(of_scores) + if label { apart } else { 0.0 }, noise(of_calls) < limit);
                keys.push(Some(block));
                labels.push(label);
                scores.push(score);
                calls.push(f64::from(u8::from(is_right == label)));
            }
        }
        let blocks = Blocks::of_keys(keys, BlockKind::Coordinates { length: 100_000 });
        intervals(&labels, &scores, &calls, &blocks, seed)
    })
}

/// The intervals of the AUROC of scores and of the accuracy of calls.
fn intervals(labels: &[bool], scores: &[f64], calls: &[f64], blocks: &Blocks, seed: u64) -> [(f64, f64); 2] {
    let resampling = Resampling { blocks, seed };
    [(scores, "auroc"), (calls, "accuracy")].map(|(scores, metric)| {
        let estimate = Ranking::new(labels, scores).report(0.5, &resampling).get(metric).expect("both classes");
        assert!(estimate.interval.is_ok(), "{estimate:?}");
        estimate.ends()
    })
}

/// Distance of two normal distributions with this AUROC, in standard deviations.
fn apart(area: f64) -> f64 {
    Normal::standard().inverse_cdf(area) * std::f64::consts::SQRT_2
}

fn normal(random: &mut Generator) -> f64 {
    Normal::standard().inverse_cdf(random.random::<f64>().clamp(1e-12, 1.0 - 1e-12))
}
