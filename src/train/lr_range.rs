//! The steps of a learning-rate range test: a batch at each rate. What the losses mean is decided in core's `tune::range`.

use anyhow::Result;
use strandnet_core::progress::Bar;
use strandnet_core::training::schedule::Rates;
use strandnet_core::tune::range::Curve;

use super::gradient::BatchGradient;
use super::learner::{self, Learner};
use super::loader;
use super::totals::{BatchNumbers, EpochTotals};
use super::{Setup, starting_network};
use strandnet_core::random::{self, Purpose};

/// Trains a network from its start, one batch at each rate, until the curve has seen enough.
///
/// # Errors
/// The network does not fit the data, or training sequences cannot be read.
pub fn test(setup: Setup, rates: &[f64], curve: &mut Curve, bar: &Bar) -> Result<()> {
    let Setup { config, task, data, device, .. } = setup;
    let (training, examples) = (&config.training, &data.train);
    let (network, _) = starting_network(config, task, data, device, training.seed, 0)?;
    let mut learner = Learner::new(network, training, task, examples.len())?;
    let mut rates = rates.iter().copied();
    for epoch in 1.. {
        let order = learner::order(training, training.seed, epoch);
        let ended = std::thread::scope(|scope| {
            for (number, batch) in loader::batches_of(scope, examples, None, order, device).enumerate() {
                let Some(lr) = rates.next() else { return Ok(true) };
                let batch = batch?;
                let n = batch.n();
                let seed = random::seed_for_libtorch(order.seed, Purpose::Dropout, epoch as u64, number as u64);
                let BatchGradient { gradient, loss, hits } = learner.gradient(batch, seed)?;
                let mut totals = EpochTotals::default();
                totals.add(BatchNumbers::new(&loss, hits.as_ref(), None), n, None)?;
                totals.read()?;
                learner.step(gradient, Rates { lr, momentum: None });
                bar.advance(training.batch_size.fragments() as u64);
                if !curve.push(lr, totals.mean_loss()) {
                    return Ok(true);
                }
            }
            Ok::<_, anyhow::Error>(examples.is_empty())
        })?;
        if ended {
            break;
        }
    }
    Ok(())
}
