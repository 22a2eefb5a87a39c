//! Finds the batch size that trains fast on a machine, by trying.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::device;
use crate::train::device_examples::DeviceExamples;
use crate::train::learner::{self, Learner};
use crate::train::loader;
use crate::train::starting_network;
use crate::train::totals::EpochTotals;
use strandnet_core::config::{BatchSize, Config};
use strandnet_core::dataset::Dataset;
use strandnet_core::task::Task;
use strandnet_core::training::memory;

/// The smallest batch tried.
const SMALLEST: usize = 32;
/// Steps that an epoch has at least: with fewer, a run of a few epochs takes too few to learn.
const STEPS: usize = 50;
/// Steps before the clock starts: the first ones allocate and choose kernels.
const WARM_UP: usize = 3;
const TIME: Duration = Duration::from_millis(300);
/// Share of the highest speed that is fast enough: larger batches mean fewer steps for the same work.
const ENOUGH: f64 = 0.9;

/// A batch size and how fast training is in such batches.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// Examples per batch.
    pub size: usize,
    /// Speed of training.
    pub fragments_per_second: f64,
}

/// Trains a little in batches of each power of two that leaves an epoch enough steps and fits in memory, until a larger one is
/// no faster. Nothing is left of that training.
///
/// # Errors
/// Not even the smallest batch can be trained.
pub fn try_sizes(config: &Config, task: &Task, data: &Dataset, device: tch::Device) -> Result<Vec<Tried>> {
    let largest = (data.train.len() / STEPS).max(SMALLEST);
    let on_device = DeviceExamples::on(device, &data.train)?;
    let mut tried: Vec<Tried> = Vec::new();
    for size in std::iter::successors(Some(SMALLEST), |size| size.checked_mul(2)).take_while(|&size| size <= largest) {
        let mut config = config.clone();
        config.training.batch_size = BatchSize::Of(size);
        let speed = memory::check(&config, task.network_outputs(), data, device::kind(device))
            .and_then(|memory| memory.explaining(|| speed(&config, task, data, device, on_device.as_ref())));
        match speed {
            Ok(fragments_per_second) => tried.push(Tried { size, fragments_per_second }),
            Err(error) if tried.is_empty() => return Err(error),
            Err(_) => break,
        }
        // One that is slower may be a matter of chance, two are not.
        if tried.len() > fastest(&tried) + 2 {
            break;
        }
    }
    Ok(tried)
}

/// The smallest size that is nearly as fast as any.
pub fn choose(tried: &[Tried]) -> Option<usize> {
    let best = tried.get(fastest(tried))?.fragments_per_second;
    tried.iter().find(|tried| tried.fragments_per_second >= ENOUGH * best).map(|tried| tried.size)
}

/// Which of them is the fastest.
fn fastest(tried: &[Tried]) -> usize {
    let speed = |&i: &usize| tried[i].fragments_per_second;
    (0..tried.len()).max_by(|a, b| speed(a).total_cmp(&speed(b))).unwrap_or(0)
}

/// Fragments a second in training.
fn speed(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    on_device: Option<&DeviceExamples>,
) -> Result<f64> {
    let (training, examples) = (&config.training, &data.train);
    let (network, _) = starting_network(config, task, data, device, training.seed, 0)?;
    if network.all_native().is_some() {
        device::leave_to_native();
    }
    let mut learner = Learner::new(network, training, task, examples.len())?;
    let (mut steps, mut began) = (0, Instant::now());
    for epoch in 1.. {
        let order = learner::order(training, training.seed, epoch);
        let mut totals = EpochTotals::default();
        let seconds = std::thread::scope(|scope| {
            for (number, batch) in loader::batches_of(scope, examples, on_device, order, device).enumerate() {
                if !learner.learn(batch?, order, number, &mut totals)? {
                    continue;
                }
                steps += 1;
                let is_due = steps > WARM_UP && began.elapsed() >= TIME;
                if steps == WARM_UP || is_due {
                    totals.read()?; // which waits for the device
                }
                if steps == WARM_UP {
                    began = Instant::now();
                }
                if is_due {
                    return Ok(Some(began.elapsed().as_secs_f64()));
                }
            }
            Ok::<_, anyhow::Error>(None)
        })?;
        if let Some(seconds) = seconds {
            let size = training.batch_size.fragments().min(examples.len());
            return Ok(((steps - WARM_UP) * training.accumulate * size) as f64 / seconds);
        }
    }
    Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(speeds: &[f64]) -> Option<usize> {
        let sizes = std::iter::successors(Some(32), |size| Some(size * 2));
        let tried: Vec<Tried> =
            sizes.zip(speeds).map(|(size, &fragments_per_second)| Tried { size, fragments_per_second }).collect();
        choose(&tried)
    }

    #[test]
    fn the_smallest_that_is_nearly_as_fast_is_chosen() {
        assert_eq!(chosen(&[10.0]), Some(32));
        assert_eq!(chosen(&[10.0, 20.0, 38.0, 40.0, 41.0]), Some(128));
        assert_eq!(chosen(&[40.0, 41.0, 20.0]), Some(32));
        assert_eq!(chosen(&[]), None);
    }
}
