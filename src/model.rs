//! Networks: a `SequentialT` from one-hot `[batch, 4, length]` to logits `[batch, outputs]`. An architecture is a plan, one file
//! each; what is made of it here knows its strands, the precision it trains in, and which blocks stay as they are.

mod basset;
mod custom;
mod danq;
pub mod ensemble;
mod gated;
mod layers;
mod lstm;
pub mod plan;
mod pooling;
mod residual;
mod seed;
mod strands;
pub mod tensor_file;
pub mod weights;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Result, bail};
use tch::nn::{ModuleT, SequentialT, VarStore};
use tch::{Device, Kind, Tensor};

use self::layers::Demands;
use self::plan::Plan;
use crate::config::{ModelConfig, Precision, Strands};
use crate::device;
use crate::random::{self, Purpose};

/// A network, its weights and the fragment length it is made for.
#[derive(Debug)]
pub struct Network {
    pub store: VarStore,
    /// Boxed, because it is large and a network is moved about.
    pub plan: Box<Plan>,
    /// As many as the plan has steps.
    layers: SequentialT,
    demands: Arc<Demands>,
    pub length: usize,
    strands: Strands,
}

impl Network {
    /// Builds a network with `outputs` logits and fresh weights drawn from `seed`, the same on every device. `strands`
    /// says which strands it reads, and whether its filters are tied between them.
    ///
    /// # Errors
    /// The architecture does not fit fragments of `length` bp, or its filters cannot be tied.
    pub fn new(
        config: &ModelConfig,
        length: usize,
        outputs: usize,
        strands: Strands,
        device: Device,
        seed: u64,
    ) -> Result<Self> {
        let plan = Box::new(Plan::new(config, length, outputs, strands)?);
        let mut random = random::generator(seed, Purpose::Weights, 0, 0);
        let mut store = VarStore::new(Device::Cpu);
        let demands = Arc::new(Demands::default());
        let layers = layers::sequence(&plan, &demands, &store.root(), &mut random);
        store.set_device(device);
        Ok(Self { store, plan, layers, demands, length, strands })
    }

    /// The same network, training in the precision given; scoring is always in f32.
    pub fn with_precision(self, precision: Precision) -> Self {
        let half = device::settled(precision, self.device()) == Precision::Bf16;
        self.demands.half.store(half, Relaxed);
        self
    }

    /// Leaves the first `count` blocks as they are: their parameters are no longer among the store's trainable variables,
    /// and they run as in scoring, without dropout and with the statistics that batch norm has gathered before.
    ///
    /// # Errors
    /// There are not that many blocks before the last, which has to learn.
    pub fn freeze_blocks(&mut self, count: usize) -> Result<()> {
        let names = &self.plan.blocks;
        if count >= names.len() {
            bail!(
                "--freeze-blocks is {count}, and the network has {} blocks ({}), the last of which has to learn; expected at most {}",
                names.len(),
                names.join(", "),
                names.len() - 1
            );
        }
        self.demands.frozen_blocks.store(count, Relaxed);
        let frozen: Vec<String> = self.plan.parameter_paths(count).into_iter().map(|path| path + ".").collect();
        let variables = self.store.variables();
        let kept: Vec<_> = variables
            .into_iter()
            .filter(|(name, _)| frozen.iter().any(|path| name.starts_with(path.as_str())))
            .map(|(_, variable)| variable.set_requires_grad(false).data_ptr())
            .collect();
        let mut variables = self.store.variables_.lock().expect("no thread panics while it holds the variables");
        variables.trainable_variables.retain(|variable| !kept.contains(&variable.tensor.data_ptr()));
        Ok(())
    }

    /// Logits `[batch, outputs]` of a batch of codes, u8 `[batch, length]` on the network's device.
    pub fn logits(&self, codes: &Tensor, train: bool) -> Tensor {
        self.logits_of_one_hot(&one_hot(codes), train)
    }

    /// Logits f32 `[batch, outputs]` of one-hot sequences, f32 `[batch, 4, length]`.
    pub fn logits_of_one_hot(&self, one_hot: &Tensor, train: bool) -> Tensor {
        let forward = |one_hot: &Tensor| self.layers.forward_t(one_hot, train);
        let logits = match (self.strands, train) {
            // One batch, so that batch norm treats the strands alike.
            (Strands::Equivariant, _) | (Strands::Shared, true) => strands::mean(&forward(&strands::both(one_hot))),
            (Strands::Average | Strands::Shared, false) => {
                (forward(one_hot) + forward(&strands::reverse_complement(one_hot))) * 0.5
            }
            (Strands::Single | Strands::Augment, _) | (Strands::Average, true) => forward(one_hot),
        };
        logits.to_kind(Kind::Float)
    }

    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// Numbers that training adjusts.
    pub fn parameter_count(&self) -> usize {
        self.store.trainable_variables().iter().map(Tensor::numel).sum()
    }
}

/// One-hot f32 `[batch, 4, length]` from codes u8 `[batch, length]`, on the codes' device. Code 4 is the zero column.
pub fn one_hot(codes: &Tensor) -> Tensor {
    let bases = Tensor::arange(4, (Kind::Uint8, codes.device())).view([1, 4, 1]);
    codes.unsqueeze(1).eq_tensor(&bases).to_kind(Kind::Float)
}

/// Codes as a tensor u8 `[n, length]` on a device.
pub fn codes_tensor(codes: &[u8], length: usize, device: Device) -> Tensor {
    Tensor::from_slice(codes).view([-1, length as i64]).to_device(device)
}

#[cfg(test)]
mod tests;
