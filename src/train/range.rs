//! Training at a rate that changes at every step, for the range test: loss by rate. What the losses mean is `tune::range`'s.

use anyhow::Result;

use crate::train::learner::{Learner, augmentation, dropout_seed};
use crate::train::resident::Gathered;
use crate::train::starting_network;
use crate::train::sums::Sums;
use strandnet_core::config::Config;
use strandnet_core::dataset::Dataset;
use strandnet_core::dataset::batches;
use strandnet_core::dataset::batches::Order;
use strandnet_core::task::Task;
use strandnet_core::training::schedule::Rates;

/// Trains a network from its start, one batch at each rate, for as long as `go_on(rate, loss of the step's batch)` says.
///
/// # Errors
/// The network does not fit the data, or training sequences cannot be read.
pub fn loss_by_rate(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    rates: &[f64],
    mut go_on: impl FnMut(f64, f64) -> bool,
) -> Result<()> {
    let (training, examples) = (&config.training, &data.train);
    let (network, _) = starting_network(config, task, data, device, training.seed, 0)?;
    let mut learner = Learner::new(network, training, task, examples.len())?;
    let mut rates = rates.iter().copied();
    for epoch in 1.. {
        let (augmentation, seed) = (augmentation(training), training.seed);
        let order = Order { batch_size: training.batch_size.fragments(), augmentation, seed, epoch };
        let ended = std::thread::scope(|scope| {
            for (number, batch) in batches::shuffled(scope, examples, order).enumerate() {
                let Some(lr) = rates.next() else { return Ok(true) };
                let batch = batch?;
                let mut sums = Sums::new(device);
                let gradient = learner.gradient(Gathered::Host(batch), dropout_seed(order, number), &mut sums)?;
                learner.step_at(gradient, Rates { lr, momentum: None }, true);
                if !go_on(lr, sums.mean_loss()) {
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
