//! A stem, dilated residual blocks, and pooling both over the whole sequence and place by place: small enough for a CPU,
//! and able to see motifs, their combinations and where they stand. Layers are named as in the `state_dict` of the same
//! network in PyTorch.

use tch::Tensor;
use tch::nn::{self, ModuleT, Path, SequentialT};

use super::blocks;
use crate::config::ModelConfig;
use crate::random::Generator;

const CHANNELS: i64 = 64;
/// A transcription factor's motif and a little around it.
const STEM_WIDTH: i64 = 15;
const STEM_POOL: i64 = 2;
const BLOCK_WIDTH: i64 = 7;
const DILATIONS: [i64; 4] = [1, 2, 4, 8];
/// Channels, and places along the sequence, of the pooling that keeps where things are. Global pooling alone cannot learn
/// what only a position says, as in splice sites.
const PLACE_CHANNELS: i64 = 16;
const PLACES: i64 = 20;
const HIDDEN: i64 = 64;

/// `x + conv(relu(norm(x)))`, `[batch, channels, length]` in and out.
#[derive(Debug)]
struct Block {
    norm: nn::BatchNorm,
    conv: nn::Conv1D,
}

impl ModuleT for Block {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        xs + xs.apply_t(&self.norm, train).relu().apply(&self.conv)
    }
}

/// Maxima and means over the sequence, and maxima in each of `PLACES` parts of it: `[batch, channels, length]` to
/// `[batch, 2 * channels + PLACE_CHANNELS * PLACES]`.
#[derive(Debug)]
struct Pooling {
    place: nn::Conv1D,
}

impl ModuleT for Pooling {
    fn forward_t(&self, xs: &Tensor, _train: bool) -> Tensor {
        let (places, _) = xs.apply(&self.place).adaptive_max_pool1d(PLACES);
        let mean = xs.mean_dim(2, false, None::<tch::Kind>);
        Tensor::cat(&[xs.amax(2, false), mean, places.flatten(1, -1)], 1)
    }
}

pub fn layers(root: &Path, config: &ModelConfig, outputs: i64, random: &mut Generator) -> SequentialT {
    let rate = config.dropout;
    let dropout = move |xs: &Tensor, train: bool| {
        if train && rate > 0.0 { xs.dropout(rate, true) } else { xs.shallow_clone() }
    };
    let mut layers = nn::seq_t()
        .add(blocks::same_convolution(root / "stem_conv", 4, CHANNELS, STEM_WIDTH, 1, random))
        .add(blocks::batch_norm(root / "stem_norm", CHANNELS))
        .add_fn(|xs| xs.relu().max_pool1d(STEM_POOL, STEM_POOL, 0, 1, false));
    for (i, dilation) in DILATIONS.into_iter().enumerate() {
        let path = root / "blocks" / i;
        let norm = blocks::batch_norm(&path / "norm", CHANNELS);
        let conv = blocks::same_convolution(&path / "conv", CHANNELS, CHANNELS, BLOCK_WIDTH, dilation, random);
        layers = layers.add(Block { norm, conv });
    }
    let pooled = 2 * CHANNELS + PLACE_CHANNELS * PLACES;
    layers
        .add(blocks::batch_norm(root / "final_norm", CHANNELS))
        .add_fn(|xs| xs.relu())
        .add(Pooling { place: blocks::convolution(root / "place", CHANNELS, PLACE_CHANNELS, 1, random) })
        .add_fn_t(dropout)
        .add(blocks::dense(root / "hidden", pooled, HIDDEN, random))
        .add_fn(|xs| xs.relu())
        .add_fn_t(dropout)
        .add(blocks::dense(root / "output", HIDDEN, outputs, random))
}

#[cfg(test)]
mod tests {
    use crate::config::{Architecture, ModelConfig};
    use crate::model::Network;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn it_takes_any_length_and_has_the_parameters_it_should() {
        let config = ModelConfig { arch: Architecture::Residual, ..ModelConfig::default() };
        for (length, outputs) in [(16usize, 1usize), (70, 3), (401, 1)] {
            let network = Network::new(&config, length, outputs, Device::Cpu, 1).unwrap();
            let stem = 64 * 4 * 15 + 64 + 128;
            let blocks = 4 * (128 + 64 * 64 * 7 + 64);
            let head = 128 + (16 * 64 + 16) + (448 * 64 + 64) + (64 * outputs + outputs);
            assert_eq!(network.parameter_count(), stem + blocks + head);
            let input = Tensor::randint(5, [3, length as i64], (Kind::Uint8, Device::Cpu));
            for train in [false, true] {
                assert_eq!(network.logits(&input, train).size(), [3, outputs as i64]);
            }
        }
        assert!(Network::new(&config, 15, 1, Device::Cpu, 1).is_err());
    }
}
