//! The filters of a run's network before training, as the null of what its motifs resemble: the same architecture with the
//! weights that the seed gives.

use anyhow::Result;
use tch::Device;

use crate::commands::FinishedRun;
use crate::libtorch;
use crate::model::{Network, codes_tensor};
use crate::no_grad::no_grad;
use crate::train;
use strandnet_core::config::layers::Layer;
use strandnet_core::dataset::sequences;
use strandnet_core::motif::filters::Filters;
use strandnet_core::motif::sites::Set;
use strandnet_core::random::{self, Purpose};

/// Filters, at least: a network with fewer is drawn again from further seeds, for a distribution that has a tail.
const LEAST_FILTERS: usize = 256;

/// Sequences of a batch, and batches, from which batch norm takes its statistics: enough for its moving averages to forget
/// where they began.
const BATCH: usize = 64;
const BATCHES: usize = 32;

/// Untrained filters of the shape that `trained` has: of the chosen members, counted from 1, with the weights that they
/// began with, and where these are few of further networks. Batch norm has the statistics of the sequences, as it does after
/// training.
///
/// # Errors
/// The sequences cannot be read.
pub fn filters(run: &FinishedRun, members: &[usize], trained: &Filters, set: &Set) -> Result<Filters> {
    run.provenance.check_trained_here(
        &run.folder.path,
        "leave out --database, whose matches are held against those of untrained filters",
    )?;
    let (config, outputs) = (&run.provenance.config, run.provenance.task()?.network_outputs());
    let (seed, length) = (run.provenance.seed, run.provenance.length);
    let network =
        |seed| Network::new(&config.model, length, outputs.clone(), config.training.strands, Device::Cpu, seed);
    let mut networks = Vec::new();
    for draw in 0..LEAST_FILTERS.div_ceil(trained.len()) as u64 {
        for &member in members {
            let own = train::member_seed(seed, member as u64 - 1);
            networks.push(network(match draw {
                0 => own,
                _ => random::seed_for_libtorch(own, Purpose::MotifNull, draw, 0) as u64,
            })?);
        }
    }
    if networks[0].plan.steps.iter().any(|step| matches!(step.layer, Layer::BatchNorm {})) {
        let batches = batches(set, length)?;
        networks.iter().for_each(|network| gather_statistics(network, &batches));
    }
    let of_networks = networks.iter().map(|network| Ok((network.plan.as_ref(), network.parameters()?)));
    let of_networks = of_networks.collect::<Result<Vec<_>>>()?;
    Filters::of(&of_networks, None)
}

/// Batches of codes of the network's length, evenly spread over the set; each batch is, too, as classes may stand one after
/// another.
fn batches(set: &Set, length: usize) -> Result<Vec<Vec<u8>>> {
    let (mut kept, mut every): (Vec<Vec<u8>>, usize) = (Vec::new(), 1);
    set.for_each_batch(1, |first, batch| {
        for (index, sequence) in (first..).zip(batch) {
            if index % every == 0 {
                let mut codes = Vec::new();
                sequences::fit(sequence, length, &mut codes);
                kept.push(codes);
            }
            if kept.len() == 2 * BATCH * BATCHES {
                every *= 2;
                let mut index = 0;
                kept.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
            }
        }
    })?;
    let count = kept.len().div_ceil(BATCH).max(1);
    Ok((0..count).map(|batch| kept.iter().skip(batch).step_by(count).flatten().copied().collect()).collect())
}

/// Runs the network on batches as in training, but for the steps.
fn gather_statistics(network: &Network, batches: &[Vec<u8>]) {
    libtorch::seed(0, Device::Cpu); // of dropout, so that the result does not depend on what ran before
    no_grad(|| {
        for codes in
            batches.iter().filter(|codes| codes.len() > network.length).cycle().take(BATCHES.max(batches.len()))
        {
            let codes = codes_tensor(codes, network.length, Device::Cpu);
            let _ = network.logits(&codes, true);
        }
    });
}
