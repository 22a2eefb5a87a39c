//! Networks of one's own: a `[[layer]]` list as `train` reads it. The input is a TOML file, then the length of fragments,
//! the outputs and the strands: `128 1 single`. With libtorch, a small plan is built and must compute what the plan says.
#![no_main]

use clap::ValueEnum;
use libfuzzer_sys::fuzz_target;
use strandnet_core::config::layers::read_list;
use strandnet_core::config::{Architecture, ModelConfig, Strands};
use strandnet_core::figures::layers::table;
use strandnet_core::network::plan::{Plan, Step};
use strandnet_fuzz::{explained, put, resolve, sections};

fn check(step: &Step, length: usize) {
    assert!(step.output.channels > 0 && step.output.positions.is_none_or(|n| (1..=length).contains(&n)));
    assert!((1..=length).contains(&step.receptive_bp));
    step.inner.iter().for_each(|step| check(step, length));
}

/// Larger plans are not built. A network of a few layers takes a millisecond.
#[cfg(feature = "libtorch")]
fn build(config: &ModelConfig, plan: &Plan, length: usize, outputs: usize, strands: Strands) {
    use strandnet::model::{Network, codes_tensor};

    const MOST_PARAMETERS: usize = 2000;
    const MOST_MULTIPLY_ADDS: usize = 100_000;
    const MOST_STEPS: usize = 20;
    const LONGEST: usize = 100;

    let steps: usize = plan.steps.iter().map(|step| 1 + step.within().len()).sum();
    if plan.parameters() > MOST_PARAMETERS
        || plan.multiply_adds() > MOST_MULTIPLY_ADDS
        || steps > MOST_STEPS
        || length > LONGEST
    {
        return;
    }
    let network = Network::new(config, length, outputs, strands, tch::Device::Cpu, 1).unwrap();
    assert_eq!(network.parameter_count(), plan.parameters());
    let codes: Vec<u8> = (0..2 * length).map(|i| (i * i % 5) as u8).collect();
    let codes = codes_tensor(&codes, length, tch::Device::Cpu);
    assert_eq!(network.logits(&codes, false).size(), [2, outputs as i64]);
}

fuzz_target!(|input: &[u8]| {
    let sections = sections(input);
    let line = sections.get(1).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let mut words = line.split_whitespace();
    let length = words.next().and_then(|word| word.parse().ok()).unwrap_or(128);
    let outputs = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let strands = words.next().and_then(|word| Strands::from_str(word, true).ok()).unwrap_or(Strands::Single);

    // As a file of settings, with all checks ...
    let path = put("experiment.toml", Some(sections[0]));
    if let Some(Ok(config)) = resolve(Some(&path), b"") {
        explained(Plan::new(&config.model, config.data.length.unwrap_or(128), 1, config.training.strands));
    }
    // ... and as it may stand in run.json, with none.
    let Ok(text) = std::str::from_utf8(sections[0]) else { return };
    let Ok(file) = text.parse::<toml::Table>() else { return };
    let Some(list) = file.get("layer") else { return };
    let layer = match read_list(list) {
        Ok(layers) => layers,
        Err(faults) => return assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.contains('\n'))),
    };
    let config = ModelConfig { arch: Architecture::Custom, layer, ..ModelConfig::default() };
    let Some(plan) = explained(Plan::new(&config, length, outputs, strands)) else { return };
    assert!(!table(&plan, strands).is_empty());
    plan.steps.iter().for_each(|step| check(step, length));
    #[cfg(feature = "libtorch")]
    build(&config, &plan, length, outputs, strands);
});
