//! Networks: a plain `SequentialT` from one-hot `[batch, 4, length]` to logits `[batch, outputs]`, one file per architecture.

pub mod blocks;
pub mod ensemble;
mod residual;
mod seed;
pub mod weights;

use anyhow::{Result, bail};
use tch::nn::{ModuleT, SequentialT, VarStore};
use tch::{Device, Kind, Tensor};

use crate::config::{Architecture, LONGEST_BP, ModelConfig, Strands};
use crate::random::{self, Purpose};

/// A network, its weights and the fragment length it is made for.
#[derive(Debug)]
pub struct Network {
    pub store: VarStore,
    layers: SequentialT,
    pub length: usize,
    /// Whether scoring takes the mean of both strands.
    both_strands: bool,
}

impl Network {
    /// Builds a network with `outputs` logits and fresh weights drawn from `seed`, the same on every device.
    ///
    /// # Errors
    /// The architecture does not fit fragments as short as `length`.
    pub fn new(config: &ModelConfig, length: usize, outputs: usize, device: Device, seed: u64) -> Result<Self> {
        let shortest = config.arch.shortest_bp();
        if length < shortest {
            bail!(
                "fragments have {length} bp, and --arch {} needs {shortest} or more; use longer ones",
                config.arch.name()
            );
        }
        if length > LONGEST_BP {
            bail!("fragments have {length} bp, expected at most {LONGEST_BP}; use shorter ones");
        }
        let mut random = random::generator(seed, Purpose::Weights, 0, 0);
        let mut store = VarStore::new(Device::Cpu);
        let layers = match config.arch {
            Architecture::Seed => seed::layers(&store.root(), config, length as i64, outputs as i64, &mut random),
            Architecture::Residual => residual::layers(&store.root(), config, outputs as i64, &mut random),
        };
        store.set_device(device);
        Ok(Self { store, layers, length, both_strands: false })
    }

    /// The same network, scoring the strands that `strands` says.
    pub fn with_strands(self, strands: Strands) -> Self {
        Self { both_strands: strands == Strands::Average, ..self }
    }

    /// Logits `[batch, outputs]` of a batch of codes, u8 `[batch, length]` on the network's device.
    pub fn logits(&self, codes: &Tensor, train: bool) -> Tensor {
        self.logits_of_one_hot(&one_hot(codes), train)
    }

    /// Logits `[batch, outputs]` of one-hot sequences, f32 `[batch, 4, length]`.
    pub fn logits_of_one_hot(&self, one_hot: &Tensor, train: bool) -> Tensor {
        let logits = self.layers.forward_t(one_hot, train);
        if train || !self.both_strands {
            return logits;
        }
        // Turning both the rows A, C, G, T and the sequence round is the reverse complement.
        (logits + self.layers.forward_t(&one_hot.flip([1, 2]), train)) * 0.5
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
mod tests {
    use super::*;

    #[test]
    fn one_hot_is_acgt_and_unknown_is_zero() {
        let one_hot = one_hot(&codes_tensor(&[0, 1, 2, 3, 4], 5, Device::Cpu));
        assert_eq!(one_hot.size(), [1, 4, 5]);
        let values: Vec<f32> = Vec::try_from(one_hot.view(-1)).unwrap();
        #[rustfmt::skip]
        assert_eq!(values, [
            1., 0., 0., 0., 0.,
            0., 1., 0., 0., 0.,
            0., 0., 1., 0., 0.,
            0., 0., 0., 1., 0.,
        ]);
    }

    #[test]
    fn the_mean_of_both_strands_is_the_same_for_a_sequence_and_its_reverse_complement() {
        let codes: Vec<u8> = (0..128u32 * 4).map(|i| (i * i % 7 % 5) as u8).collect();
        let mut other = codes.clone();
        other.chunks_mut(128).for_each(crate::data::alphabet::reverse_complement);
        let [codes, other] = [codes, other].map(|codes| codes_tensor(&codes, 128, Device::Cpu));
        for arch in [Architecture::Seed, Architecture::Residual] {
            let config = ModelConfig { arch, ..ModelConfig::default() };
            let network = |strands| Network::new(&config, 128, 2, Device::Cpu, 1).unwrap().with_strands(strands);
            let difference =
                |network: Network| (network.logits(&codes, false) - network.logits(&other, false)).abs().max();
            assert_eq!(difference(network(Strands::Average)).double_value(&[]), 0.0, "{arch:?}");
            assert!(difference(network(Strands::Augment)).double_value(&[]) > 1e-4, "{arch:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
        let config = ModelConfig::default();
        let weights = |seed| {
            let network = Network::new(&config, 128, 1, Device::Cpu, seed).unwrap();
            Vec::<f32>::try_from(Tensor::cat(
                &network.store.trainable_variables().iter().map(|v| v.flatten(0, -1)).collect::<Vec<_>>(),
                0,
            ))
            .unwrap()
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }
}
