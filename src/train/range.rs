//! Training at a rate that changes at every step, for the range test: loss by rate. What the losses mean is `tune::range`'s.

use anyhow::Result;
use tch::Tensor;

use super::optimizer::{FlatParameters, Optimizer};
use crate::config::{Config, Strands};
use crate::data::Dataset;
use crate::data::batches::{self, Order};
use crate::model::{self, Network};
use crate::random::{self, Purpose};
use crate::task::Task;

/// Trains a fresh network, one step at each rate, for as long as `go_on(rate, loss of the step's batch)` says.
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
    let network = Network::new(&config.model, examples.length, task.outputs(), device, training.seed)?
        .with_strands(training.strands);
    let mut parameters = FlatParameters::new(&network.store);
    let mut optimizer = Optimizer::new(training, &parameters);
    let mut rates = rates.iter().copied();
    for epoch in 1.. {
        let either_strand = training.strands != Strands::Single;
        let order = Order { batch_size: training.batch_size, either_strand, seed: training.seed, epoch };
        let ended = std::thread::scope(|scope| {
            for (step, batch) in batches::shuffled(scope, examples, order).enumerate() {
                let Some(rate) = rates.next() else { return Ok(true) };
                let batch = batch?;
                tch::manual_seed(random::seed_for_libtorch(order.seed, Purpose::Dropout, epoch as u64, step as u64));
                let codes = model::codes_tensor(&batch.codes, examples.length, device);
                let labels = Tensor::from_slice(&batch.labels).view([batch.n as i64, -1]).to_device(device);
                let loss = task.loss(&network.logits(&codes, true), &labels);
                let gradient = parameters.gradient(&loss);
                optimizer.set_learning_rate(rate);
                optimizer.step(&mut parameters, &gradient);
                if !go_on(rate, loss.double_value(&[])) {
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
