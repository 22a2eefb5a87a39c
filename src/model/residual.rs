//! A stem, dilated residual blocks, and pooling both over the whole sequence and place by place: small enough for a CPU,
//! and able to see motifs, their combinations and where they stand. Layers are named as in the `state_dict` of the same
//! network in PyTorch.

use anyhow::Result;

use super::plan::Plan;
use crate::config::ModelConfig;
use crate::config::layers::Layer;

const STEM_POOL: usize = 2;
const BLOCK_WIDTH: usize = 7;
/// Dilations double from block to block up to 2 to this power, then begin again.
const DOUBLINGS: usize = 7;
/// Channels, and places along the sequence, of the pooling that keeps where things are. Global pooling alone cannot learn
/// what only a position says, as in splice sites.
const PLACE_CHANNELS: usize = 16;
const PLACES: usize = 20;
const HIDDEN: usize = 64;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    stem(plan, config)?;
    for i in 0..config.depth() {
        plan.block(format!("blocks.{i}"));
        plan.add_residual("", |inner| {
            inner.add(&format!("blocks.{i}.norm"), Layer::BatchNorm {})?;
            inner.then([Layer::Relu {}])?;
            let convolution = Layer::same_convolution(config.filters(), BLOCK_WIDTH, dilation(i));
            inner.add(&format!("blocks.{i}.conv"), convolution)
        })?;
    }
    head(plan, config, outputs)
}

/// The dilation of a block.
pub(super) fn dilation(block: usize) -> usize {
    1 << (block % (DOUBLINGS + 1))
}

/// A wide convolution, normalised and pooled.
pub(super) fn stem(plan: &mut Plan, config: &ModelConfig) -> Result<()> {
    plan.block("stem");
    plan.add("stem_conv", Layer::same_convolution(config.filters(), config.width(), 1))?;
    plan.add("stem_norm", Layer::BatchNorm {})?;
    plan.then([Layer::Relu {}, Layer::MaxPool { width: STEM_POOL, stride: None }])
}

/// Pooling over all and by place, a dense layer, and the output.
pub(super) fn head(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    let dropout = || Layer::Dropout { rate: Some(config.dropout) };
    plan.block("head");
    plan.add("final_norm", Layer::BatchNorm {})?;
    plan.then([Layer::Relu {}])?;
    plan.add("place", Layer::PlacesPool { filters: PLACE_CHANNELS, places: PLACES })?;
    plan.then([dropout()])?;
    plan.add("hidden", Layer::Dense { units: HIDDEN })?;
    plan.then([Layer::Relu {}, dropout()])?;
    plan.block("output");
    plan.add("output", Layer::Dense { units: outputs })
}

#[cfg(test)]
mod tests {
    use crate::config::{ModelConfig, Strands};
    use crate::model::Network;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn it_takes_any_length_and_has_the_parameters_it_should() {
        let config = ModelConfig::default();
        let network = |length, outputs| Network::new(&config, length, outputs, Strands::Single, Device::Cpu, 1);
        for (length, outputs) in [(16usize, 1usize), (70, 3), (401, 1)] {
            let network = network(length, outputs).unwrap();
            let stem = 64 * 4 * 15 + 64 + 128;
            let blocks = 4 * (128 + 64 * 64 * 7 + 64);
            let head = 128 + (16 * 64 + 16) + (448 * 64 + 64) + (64 * outputs + outputs);
            assert_eq!(network.parameter_count(), stem + blocks + head);
            let input = Tensor::randint(5, [3, length as i64], (Kind::Uint8, Device::Cpu));
            for train in [false, true] {
                assert_eq!(network.logits(&input, train).size(), [3, outputs as i64]);
            }
        }
        assert!(network(15, 1).is_err());
    }
}
