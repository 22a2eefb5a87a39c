//! Scoring by core alone beside scoring by libtorch, in turns: `cargo bench --bench scoring [-- ROUNDS]`. Prints JSON: of each
//! architecture and length the sequences a second of each round, and multiply-adds of one sequence.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use strandnet::model::Network;
use strandnet_core::config::{Architecture, ModelConfig, Strands};
use strandnet_core::evaluate;
use strandnet_core::network::inference;
use strandnet_core::network::{Outputs, Parameters};
use strandnet_core::scorer::Scorer;
use strandnet_core::sequence::profile::ProfileShape;
use tch::Device;

const NETWORKS: [(Architecture, usize); 12] = [
    (Architecture::Shallow, 128),
    (Architecture::Residual, 128),
    (Architecture::Residual, 1000),
    (Architecture::Basset, 128),
    (Architecture::Basset, 600),
    (Architecture::Danq, 128),
    (Architecture::Danq, 1000),
    (Architecture::Gated, 128),
    (Architecture::Gated, 1000),
    (Architecture::Bpnet, 2114),
    (Architecture::Branched, 2114),
    (Architecture::Bias, 2114),
];

/// Time that a way of scoring has in a round.
const TIME: Duration = Duration::from_millis(700);

/// Bases without order.
fn codes(n: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..n).map(|_| (next() % 4) as u8).collect()
}

/// Sequences a second.
fn speed(scorer: &dyn Scorer, codes: &[u8]) -> Result<f64> {
    let (n, began) = (codes.len() / scorer.length(), Instant::now());
    let mut scored = 0;
    while scored == 0 || began.elapsed() < TIME {
        scorer.score(codes)?;
        scored += n;
    }
    Ok(scored as f64 / began.elapsed().as_secs_f64())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rounds: usize = words.first().and_then(|word| word.parse().ok()).unwrap_or(5);
    let only = words.get(1);
    let threads = rayon::current_num_threads();
    tch::set_num_threads(threads as i32);
    let mut rows = Vec::new();
    for (arch, length) in NETWORKS.into_iter().filter(|(arch, _)| only.is_none_or(|only| only == arch.name())) {
        let config = ModelConfig { arch, ..ModelConfig::default() };
        let profile =
            arch.predicts_profiles().then(|| ProfileShape { tracks: vec![1], length: 1000, ..ProfileShape::default() });
        let outputs = Outputs { columns: 1, bins: None, profile };
        let network = Network::new(&config, length, outputs.clone(), Strands::Single, Device::Cpu, 1)?;
        let (multiply_adds, parameters): (usize, Parameters) = (network.plan.multiply_adds(), network.parameters()?);
        let core = inference::Network::new(&config, length, outputs, Strands::Single, &parameters)?;
        let codes = codes(evaluate::batch_size(length) * length);
        let (a, b) = (core.score(&codes)?.into_logits(), Scorer::score(&network, &codes)?.into_logits());
        let difference = a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        if words.iter().any(|word| word == "profile") {
            eprintln!("{} {length} {:.0}/s", arch.name(), speed(&core, &codes)?);
            continue;
        }
        let (mut of_core, mut of_program) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            of_core.push(speed(&core, &codes)?);
            of_program.push(speed(&network, &codes)?);
        }
        let network = network.without_native(true);
        let of_libtorch = (0..rounds).map(|_| speed(&network, &codes)).collect::<Result<Vec<_>>>()?;
        rows.push(json!({
            "arch": arch.name(),
            "length": length,
            "multiply_adds": multiply_adds,
            "difference": difference,
            "core": of_core,
            "program": of_program,
            "libtorch": of_libtorch,
        }));
        let median = |speeds: &[f64]| {
            let mut speeds = speeds.to_vec();
            speeds.sort_by(f64::total_cmp);
            speeds[speeds.len() / 2]
        };
        let [core, program, libtorch] = [&of_core, &of_program, &of_libtorch].map(|speeds| median(speeds));
        eprintln!(
            "{:<10}{length:>6} core {core:>9.0}/s ({:.1} GFLOP/s)  program {program:>9.0}  libtorch {libtorch:>9.0}  ratio {:.2}  off {difference:.1e}",
            arch.name(),
            core * 2e-9 * multiply_adds as f64,
            core / libtorch,
        );
    }
    println!("{}", serde_json::to_string_pretty(&json!({"threads": threads, "rounds": rounds, "rows": rows}))?);
    Ok(())
}
