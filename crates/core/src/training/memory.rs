//! Memory that training needs, estimated before its first step from the network's plan and the settings, with
//! arithmetic alone. If it does not fit, the error names a batch size that does.
//!
//! The estimate excludes the program and its data. Tests compare it with measurements.

mod activations;
mod exhausted;

pub use exhausted::OUT_OF_MEMORY;

use anyhow::{Result, bail};

use crate::config::{Config, OptimizerKind, Precision, Strands};
use crate::dataset::Dataset;
use crate::dataset::batches::AHEAD;
use crate::evaluate;
use crate::format::{self, thousands};
use crate::machine::{self, DeviceKind};
use crate::network::Outputs;
use crate::network::plan::Plan;
use crate::training::memory::activations::{Pass, Peak, peak};

/// Bytes of a parameter.
const PARAMETER: u128 = 4;

/// Memory of libtorch itself in use: threads and compiled kernels.
const OWN: u128 = 16 << 20;

/// Room that oneDNN keeps for its convolutions, in multiples of what goes in and out of the largest: by measurement none for
/// seed, half of one for basset, and two and a half for residual and gated, so about the middle. Where the largest is above
/// 256 MiB it computes in another way, which takes none.
const CONVOLUTION: f64 = 1.5;
const LARGEST_CONVOLUTION: u128 = 256 << 20;

/// Overhead per byte of tensors: freed tensors of other sizes leave gaps.
const GAPS: f64 = 1.1;

/// Share of the free memory that a suggested batch size fills, so that it still fits if slightly less is free.
const FILLED: f64 = 0.9;

/// Number of sequences that an exported model is traced with.
pub const TRACE_BATCH: usize = 2;

/// Number of sequences that the model is then checked with: an operator that froze the first number would fail. For
/// long sequences no more than scoring takes at a time, so that memory that sufficed for training suffices here.
pub fn check_batch(length: usize) -> usize {
    match evaluate::batch_size(length) {
        TRACE_BATCH => TRACE_BATCH + 1,
        scored => scored.min(67),
    }
}

/// Memory that training needs, in bytes, by batch size.
#[derive(Clone, Debug)]
pub struct Memory {
    batch_size: usize,
    accumulate: usize,
    ensemble: usize,
    /// Number of training examples; no batch is larger.
    examples: usize,
    /// Bytes of all parameters, once.
    parameters: u128,
    /// Copies of them that stay while a network trains, and more that a step takes, and that saving and exporting take.
    persistent: u128,
    step: u128,
    saving: u128,
    exporting: u128,
    /// Of each sequence of a training batch.
    sequence: Peak,
    /// Of batches that are scored, and of those that the exported model is checked with.
    scoring: u128,
    checking: u128,
}

impl Peak {
    /// Bytes for a number of sequences.
    fn of(self, sequences: u128) -> u128 {
        let convolution = (sequences * self.convolution).min(LARGEST_CONVOLUTION);
        sequences * self.tensors + (CONVOLUTION * convolution as f64) as u128
    }
}

impl Memory {
    /// Estimates training on `examples` sequences on a device of this kind, with others to score.
    pub fn new(plan: &Plan, config: &Config, device: DeviceKind, examples: usize, scored: usize) -> Self {
        let training = &config.training;
        let is_cpu = device == DeviceKind::Cpu;
        let half = machine::resolve_precision(training.precision, device) == Precision::Bf16;
        let (length, members) = (plan.length, training.ensemble as u128);
        let states = if training.optimizer == OptimizerKind::Sgd { 1 } else { 2 };
        let average = u128::from(training.ema.is_some());
        let decays = u128::from(training.weight_decay > 0.0);
        // Weights, state, average, the best so far, and members that are done; on the CPU also the network that training
        // was announced with.
        let persistent = 2 + states + average + decays + (members - 1) + u128::from(is_cpu);

        let tied = training.strands == Strands::Equivariant;
        let both = tied || training.strands == Strands::Shared;
        let learning = peak(plan, Pass { trains: true, half, frozen_blocks: training.freeze_blocks });
        let scoring = peak(plan, Pass { trains: false, half: false, frozen_blocks: 0 });
        // Codes: batches ahead, one waiting, one in hand and its tensor. One-hot: as yes or no, and for both strands apart.
        let codes = (AHEAD as u128 + 3) * length as u128;
        let one_hot = (4 + if both { 32 } else { 0 }) * length as u128;
        let sequence = |both: bool, peak: Peak| {
            let strands = if both { 2 } else { 1 };
            Peak { tensors: codes + one_hot + strands * peak.tensors, convolution: strands * peak.convolution }
        };
        let scored_at_once = |n: usize| sequence(tied, scoring).of(n as u128);
        Self {
            batch_size: training.batch_size.fragments(),
            accumulate: training.accumulate,
            ensemble: training.ensemble,
            examples,
            parameters: plan.parameters() as u128 * PARAMETER,
            persistent,
            // The gradient of each layer and of all, what is gathered, and three of the optimizer's own.
            step: 5 + u128::from(training.accumulate > 1),
            // Everything as bytes and as the bytes of a file; the best weights before are still there.
            saving: if is_cpu { 2 * (1 + states + average).max(members) + 1 } else { 0 },
            // Members read again, their file's bytes, their trace, its bytes and its copy.
            exporting: if is_cpu { 5 * members } else { 0 },
            sequence: sequence(both, learning),
            scoring: scored_at_once(evaluate::batch_size(length).min(scored)),
            checking: if is_cpu { scored_at_once(check_batch(length)) } else { 0 },
        }
    }

    /// Upper bound in bytes for training with batches of this size.
    pub fn needed(&self, batch_size: usize) -> u128 {
        let batch = batch_size.min(self.examples) as u128;
        let copies = |count: u128| count * self.parameters;
        let backward = self.sequence.of(batch) + copies(1);
        let training =
            copies(self.persistent) + backward.max(copies(self.step)).max(copies(self.saving)).max(self.scoring);
        let exporting = copies(self.exporting + self.ensemble as u128) + self.checking;
        OWN + (GAPS * training.max(exporting) as f64) as u128
    }

    /// Fragments of a batch, at most the number of examples.
    fn batch(&self) -> usize {
        self.batch_size.min(self.examples)
    }

    /// The largest power of two below the batch size that fits in so many bytes.
    pub fn largest_batch(&self, free: u128) -> Option<usize> {
        let sizes = (0..usize::BITS).map(|power| 1 << power).take_while(|&size| size < self.batch());
        sizes.filter(|&size| self.needed(size) <= free).last()
    }

    /// Why training cannot start with so many bytes free, and what to do; `None` if it can.
    pub fn refusal(&self, free: u128) -> Option<String> {
        let needed = self.needed(self.batch_size);
        (needed > free).then(|| {
            format!(
                "training in batches of {} fragments needs about {} of memory, and {} are free; {}",
                thousands(self.batch()),
                format::bytes(needed),
                format::bytes(free),
                self.advice(self.largest_batch((free as f64 * FILLED) as u128))
            )
        })
    }

    /// The remedy: a batch size that fits or, if none does, a smaller network.
    fn advice(&self, batch: Option<usize>) -> String {
        match batch {
            Some(batch) => {
                let step = self.batch_size.saturating_mul(self.accumulate).min(self.examples);
                format!("use --batch-size {batch}, with --accumulate {} for steps as large", step.div_ceil(batch))
            }
            None => {
                let members = if self.ensemble > 1 { ", a smaller --ensemble" } else { "" };
                format!("not even --batch-size 1 would fit, so use a shorter --length{members} or fewer --filters")
            }
        }
    }
}

/// Checks that the machine has the memory to train an experiment. Free memory on a GPU is not known before it runs out.
///
/// # Errors
/// There is not enough memory, or the network does not fit the data.
pub fn check(config: &Config, outputs: impl Into<Outputs>, data: &Dataset, device: DeviceKind) -> Result<Memory> {
    let plan = Plan::new(&config.model, data.train.length, outputs, config.training.strands)?;
    let scored = data.valid.len().max(data.test.len());
    let memory = Memory::new(&plan, config, device, data.train.len(), scored);
    if device == DeviceKind::Cpu
        && let Some((_, free)) = machine::memory()
        && let Some(refusal) = memory.refusal(free.into())
    {
        bail!(refusal);
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, BatchSize};

    /// Peaks of persistent memory in MiB, less the 150 of the program itself, by architecture, length, batch size and other
    /// settings, with as many training fragments as a batch has, so that an epoch is a step. On a CPU with AVX-512 and bf16,
    /// two threads, 24 GiB, libtorch 2.11.0; without --no-native, `shallow` takes a fraction:
    /// `/usr/bin/time -v strandnet train --train t.csv --valid v.csv --test s.csv --arch A --epochs 2 --batch-size N --lr 1e-4
    /// --warmup 0`, with 16 sequences to validate on and 8 to test on.
    const MEASURED: &[(&str, usize, usize, &str, u64)] = &[
        ("shallow", 128, 1024, "--no-native", 45),
        ("shallow", 500, 256, "--no-native", 49),
        ("shallow", 500, 1024, "--no-native", 247),
        ("shallow", 2000, 64, "--no-native", 55),
        ("shallow", 2000, 256, "--no-native", 206),
        ("shallow", 2000, 1024, "--no-native", 568),
        ("residual", 128, 64, "", 61),
        ("residual", 128, 256, "", 234),
        ("residual", 128, 1024, "", 854),
        ("residual", 500, 64, "", 259),
        ("residual", 500, 256, "", 747),
        ("residual", 500, 1024, "", 3234),
        ("residual", 2000, 64, "", 940),
        ("residual", 2000, 256, "", 3092),
        ("gated", 128, 64, "", 86),
        ("gated", 128, 256, "", 229),
        ("gated", 500, 64, "", 250),
        ("gated", 500, 256, "", 766),
        ("gated", 2000, 64, "", 989),
        ("basset", 128, 64, "", 188),
        ("basset", 128, 256, "", 381),
        ("basset", 128, 1024, "", 1142),
        ("basset", 500, 256, "", 1108),
        ("basset", 500, 1024, "", 2991),
        ("basset", 2000, 64, "", 1310),
        ("danq", 128, 64, "", 513),
        ("danq", 128, 256, "", 535),
        ("danq", 128, 1024, "", 713),
        ("danq", 500, 256, "", 1578),
        ("danq", 2000, 64, "", 5570),
        ("residual", 128, 256, "--precision bf16", 156),
        ("residual", 500, 256, "--strands shared", 1414),
        ("residual", 500, 256, "--strands equivariant", 1225),
        ("basset", 128, 64, "--ensemble 3", 257),
        ("basset", 500, 64, "--ema 0.99", 475),
        ("basset", 500, 64, "--optimizer sgd --weight-decay 0", 412),
        ("danq", 128, 256, "--strands equivariant", 368),
        ("danq", 500, 64, "--strands shared", 1545),
    ];

    fn config(arch: &str, batch_size: usize, settings: &str) -> Config {
        let mut config = Config::default();
        config.model.arch = Architecture::ALL.into_iter().find(|known| known.name() == arch).unwrap();
        let training = &mut config.training;
        training.batch_size = BatchSize::Of(batch_size);
        let words: Vec<&str> = settings.split_whitespace().collect();
        for pair in words.chunks(2) {
            match pair {
                ["--no-native"] => training.no_native = true,
                ["--strands", "shared"] => training.strands = Strands::Shared,
                ["--strands", "equivariant"] => training.strands = Strands::Equivariant,
                ["--precision", "bf16"] => training.precision = Precision::Bf16,
                ["--ema", _] => training.ema = Some(0.99),
                ["--optimizer", "sgd"] => training.optimizer = OptimizerKind::Sgd,
                ["--weight-decay", "0"] => training.weight_decay = 0.0,
                ["--ensemble", members] => training.ensemble = members.parse().unwrap(),
                other => panic!("{other:?}"),
            }
        }
        config
    }

    fn memory_of(config: &Config, length: usize, examples: usize) -> Memory {
        let plan = Plan::new(&config.model, length, 1, config.training.strands).unwrap();
        Memory::new(&plan, config, DeviceKind::Cpu, examples, 16)
    }

    /// Of the default network.
    fn memory(batch_size: usize, length: usize, settings: &str) -> Memory {
        memory_of(&config("residual", batch_size, settings), length, 1_000_000)
    }

    #[test]
    fn the_check_differs_from_the_trace_and_takes_no_more_than_scoring() {
        for (length, expected) in
            [(1, 67), (128, 67), (2000, 65), (50_000, 3), (65_536, 3), (131_072, 1), (1_000_000, 1)]
        {
            assert_eq!(check_batch(length), expected, "{length}");
        }
    }

    #[test]
    fn the_estimate_is_near_what_was_measured() {
        for &(arch, length, batch, settings, measured) in MEASURED {
            let needed = memory_of(&config(arch, batch, settings), length, batch).needed(batch) >> 20;
            let ratio = needed as f64 / measured as f64;
            eprintln!("{arch} {length} {batch} {settings}: {measured} {needed} {ratio:.2}");
            // Little things of the program's own show only where a network takes next to nothing.
            assert!(ratio > 0.75 && (ratio < 1.6 || needed < 100), "{arch} {length} {batch} {settings}: {ratio:.2}");
        }
    }

    #[test]
    fn it_grows_with_batch_length_and_all_that_is_kept() {
        for arch in ["shallow", "residual", "basset", "danq", "gated"] {
            let needed = |batch: usize, length: usize, settings: &str| {
                memory_of(&config(arch, batch, settings), length, usize::MAX).needed(batch)
            };
            let batches: Vec<u128> = [1, 64, 100, 256, 4096].map(|batch| needed(batch, 128, "")).into();
            assert!(batches.windows(2).all(|pair| pair[0] <= pair[1]) && batches[2] < batches[4], "{arch} {batches:?}");
            let lengths: Vec<u128> = [64, 65, 128, 500, 2000].map(|length| needed(256, length, "")).into();
            assert!(lengths.windows(2).all(|pair| pair[0] < pair[1]), "{arch} {lengths:?}");
            for more in ["--ema 0.99", "--ensemble 2", "--strands shared"] {
                assert!(needed(1024, 128, more) > needed(1024, 128, ""), "{arch} {more}");
            }
            for less in ["--optimizer sgd", "--weight-decay 0"] {
                assert!(needed(1024, 128, less) < needed(1024, 128, ""), "{arch} {less}");
            }
            assert!(needed(4096, 500, "--precision bf16") < needed(4096, 500, ""), "{arch}");
        }
    }

    #[test]
    fn both_strands_take_twice_as_much() {
        let sequence = |settings: &str| memory(256, 500, settings).needed(10_000) as f64;
        let [single, shared, tied] = ["", "--strands shared", "--strands equivariant"].map(sequence);
        assert!((1.9..2.1).contains(&(shared / single)), "{}", shared / single);
        // Filters are half as many for each strand, and read copies.
        assert!((1.0..2.0).contains(&(tied / single)), "{}", tied / single);
    }

    #[test]
    fn frozen_blocks_leave_nothing_for_a_backward_pass() {
        let mut config = config("residual", 1024, "");
        let all = memory_of(&config, 500, 1024).needed(1024);
        config.training.freeze_blocks = 1;
        assert!(memory_of(&config, 500, 1024).needed(1024) < all * 9 / 10);
    }

    #[test]
    fn a_batch_is_never_larger_than_the_training_set() {
        let few = memory_of(&config("residual", 1_000_000_000, ""), 500, 300);
        assert_eq!(few.needed(1_000_000_000), few.needed(300));
        let needed = few.needed(300);
        assert_eq!(few.refusal(needed), None);
        let refusal = few.refusal(needed - 1).unwrap();
        assert!(refusal.contains("batches of 300 fragments") && refusal.contains("--batch-size 256"), "{refusal}");
        assert!(refusal.contains("--accumulate 2 "), "{refusal}");
    }

    #[test]
    fn a_refusal_says_what_would_fit_and_that_is_not_refused() {
        for (batch, length, settings) in
            [(4096, 500, ""), (100_000, 2000, "--strands shared"), (3000, 200, "--ensemble 5"), (256, 20_000, "")]
        {
            for free in [300u128 << 20, 1 << 30, 2 << 30, 8 << 30] {
                let memory = memory(batch, length, settings);
                let Some(refusal) = memory.refusal(free) else { continue };
                assert!(
                    refusal.contains("needs about ") && refusal.contains(&format!("{} are free", format::bytes(free))),
                    "{refusal}"
                );
                let Some((_, rest)) = refusal.split_once("use --batch-size ") else {
                    assert!(refusal.ends_with("fewer --filters") && memory.needed(1) > free * 8 / 10, "{refusal}");
                    continue;
                };
                let (smaller, rest) = rest.split_once(", with --accumulate ").unwrap();
                let (smaller, accumulate): (usize, usize) =
                    (smaller.parse().unwrap(), rest.split_once(' ').unwrap().0.parse().unwrap());
                assert!(smaller < batch && smaller * accumulate >= batch && smaller * (accumulate - 1) < batch);
                let taken = Memory { batch_size: smaller, accumulate, ..memory.clone() };
                assert_eq!(taken.refusal(free), None, "{refusal}");
                assert!(memory.needed(2 * smaller) > free * 8 / 10 || 2 * smaller >= batch, "{refusal}");
            }
        }
        let memory = memory(256, 20_000, "");
        assert_eq!(
            memory.refusal(4 << 30).unwrap(),
            format!(
                "training in batches of 256 fragments needs about {} of memory, and 4.0 GiB are free; use --batch-size 32, with --accumulate 8 for steps as large",
                format::bytes(memory.needed(256))
            )
        );
    }

    #[test]
    fn where_no_batch_fits_a_smaller_network_is_asked_for() {
        let refusal = memory(1, 500, "").refusal(1 << 20).unwrap();
        assert!(refusal.contains("not even --batch-size 1 would fit, so use a shorter --length or fewer --filters"));
        let refusal = memory(64, 500, "--ensemble 3").refusal(1 << 20).unwrap();
        assert!(refusal.contains("a shorter --length, a smaller --ensemble or fewer --filters"), "{refusal}");
    }

    #[test]
    fn absurd_numbers_are_refused_without_overflow() {
        let mut config = config("residual", usize::MAX, "--strands shared");
        config.model.filters = Some(1024);
        config.training.accumulate = usize::MAX;
        let refusal = memory_of(&config, 1_000_000, usize::MAX).refusal(u128::from(u64::MAX)).unwrap();
        assert!(refusal.contains("TiB"), "{refusal}");
    }
}
