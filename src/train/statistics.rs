//! Running statistics of batch norm, which are kept apart where several batches make a step, by one process or by several: they are
//! then the same to the last bit, whoever had which batch.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::model::Network;
use crate::model::layers::STATISTICS_MOMENTUM;
use crate::no_grad::no_grad;

/// Those of all batch norms of a network.
#[derive(Debug)]
pub struct Statistics {
    /// `[statistics]`; the store's tensors are views of it, and after a forward pass hold the statistics of that batch alone.
    pub buffer: Tensor,
    /// What they are in training.
    running: Tensor,
    /// Where each tensor's are.
    ranges: Vec<Range<usize>>,
}

impl Statistics {
    /// Of a network, whose tensors become views of one.
    pub fn new(network: &Network) -> Self {
        network.leave_statistics_of_batch();
        let store = &network.store;
        let is_running = |name: &str| name.ends_with("running_mean") || name.ends_with("running_var");
        let mut tensors: Vec<(String, Tensor)> =
            store.variables().into_iter().filter(|(name, _)| is_running(name)).collect();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let device = store.device();
        let buffer = no_grad(|| {
            let none = Tensor::zeros([0], (Kind::Float, device));
            Tensor::cat(&std::iter::once(&none).chain(tensors.iter().map(|(_, tensor)| tensor)).collect::<Vec<_>>(), 0)
        });
        let mut ranges: Vec<Range<usize>> = Vec::with_capacity(tensors.len());
        for (_, tensor) in &mut tensors {
            let first = ranges.last().map_or(0, |range| range.end);
            ranges.push(first..first + tensor.numel());
            tensor.set_data(&buffer.narrow(0, first as i64, tensor.numel() as i64));
        }
        let running = buffer.copy();
        Self { buffer, running, ranges }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.buffer.numel()
    }

    /// Takes the running statistics as they stand in the network.
    pub fn reload(&mut self) {
        self.running = self.buffer.copy();
    }

    /// The statistics of the batch that has just passed, `[statistics]`, and the running ones in their place again. Those of batch norms
    /// that took none, being frozen or given a single value, are no numbers.
    pub fn take(&mut self) -> Tensor {
        no_grad(|| {
            let taken = if self.buffer.device() == Device::Cpu {
                let taken = self.buffer.copy();
                for range in &self.ranges {
                    let own = |tensor: &Tensor| tensor.narrow(0, range.start as i64, range.len() as i64);
                    if own(&taken) == own(&self.running) {
                        let _ = own(&taken).fill_(f64::NAN);
                    }
                }
                taken
            } else {
                // Without waiting for the GPU.
                self.buffer.masked_fill(&self.buffer.eq_tensor(&self.running), f64::NAN)
            };
            self.buffer.copy_(&self.running);
            taken
        })
    }

    /// Moves the running statistics towards those of a batch, as libtorch does it but for the rounding.
    pub fn update(&mut self, of_batch: &Tensor) {
        no_grad(|| {
            let [old, new] = [&self.running, of_batch].map(|tensor| tensor.to_kind(Kind::Double));
            let moved = (new * STATISTICS_MOMENTUM + old * (1.0 - STATISTICS_MOMENTUM)).to_kind(Kind::Float);
            self.running = self.running.where_self(&of_batch.isnan(), &moved);
            self.buffer.copy_(&self.running);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_a_network_that_had_the_batches_one_after_another() {
        use strandnet_core::config::{Architecture, ModelConfig, Strands};
        let config = ModelConfig { arch: Architecture::Residual, filters: Some(8), ..ModelConfig::default() };
        let network = || Network::new(&config, 60, 1, Strands::Single, Device::Cpu, 3).unwrap();
        let (plain, shared) = (network(), network());
        let mut statistics = Statistics::new(&shared);
        for batch in 0..20 {
            let codes: Vec<u8> = (0..60 * 7).map(|i: usize| ((i * i + batch * 31 + i / 60) % 23 % 4) as u8).collect();
            plain.train(&codes, 1);
            shared.train(&codes, 1);
            let taken = statistics.take();
            statistics.update(&taken);
        }
        let found = shared.store.variables();
        for (name, tensor) in plain.store.variables() {
            let difference = (&tensor - &found[&name]).abs().max().double_value(&[]);
            assert!(difference <= 1e-6 * tensor.abs().max().double_value(&[]), "{name}: {difference}");
        }
        // None is taken where blocks are frozen, or of one value.
        let before = statistics.running.copy();
        let untouched = statistics.take();
        assert!(untouched.isnan().all().int64_value(&[]) == 1);
        statistics.update(&untouched);
        assert_eq!(statistics.running, before);
    }
}
