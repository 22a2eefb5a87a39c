//! The published experiment's network: one short convolution and a small dense layer. Layers are named by their place,
//! as those of PyTorch's `nn.Sequential` are, so weights carry over.

use anyhow::Result;

use super::plan::Plan;
use crate::config::layers::{Layer, Padding};
use crate::config::{DropoutPlace, ModelConfig};

const POOL: usize = 16;
const DENSE: usize = 8;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    let dropout = |here: &[DropoutPlace]| {
        let here = here.contains(&config.dropout_after);
        Layer::Dropout { rate: Some(if here { config.dropout } else { 0.0 }) }
    };
    let (filters, width) = (config.filters(), config.width());
    plan.block("convolution");
    let padding = Padding::None;
    plan.add("0", Layer::Convolution { filters, width, stride: 1, dilation: 1, groups: 1, padding })?;
    let after_convolution = dropout(&[DropoutPlace::Both, DropoutPlace::Convolution]);
    plan.then([Layer::Relu {}, after_convolution, Layer::MaxPool { width: POOL, stride: None }, Layer::Flatten {}])?;
    plan.block("dense");
    plan.add("5", Layer::Dense { units: DENSE })?;
    plan.then([Layer::Relu {}, dropout(&[DropoutPlace::Both, DropoutPlace::Dense])])?;
    plan.block("output");
    plan.add("8", Layer::Dense { units: outputs })
}

#[cfg(test)]
mod tests {
    use crate::config::{Architecture, ModelConfig, Strands};
    use crate::model::Network;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn it_has_the_published_shapes_for_any_length_from_47() {
        let config = ModelConfig { arch: Architecture::Seed, ..ModelConfig::default() };
        let network = |length| Network::new(&config, length, 3, Strands::Single, Device::Cpu, 1);
        for length in [47usize, 63, 128, 500] {
            let network = network(length).unwrap();
            let pooled = (length - 31) / 16;
            let mut shapes: Vec<(String, Vec<i64>)> =
                network.store.variables().into_iter().map(|(name, v)| (name, v.size())).collect();
            shapes.sort();
            let expected = [
                ("0.bias", vec![16]),
                ("0.weight", vec![16, 4, 32]),
                ("5.bias", vec![8]),
                ("5.weight", vec![8, 16 * pooled as i64]),
                ("8.bias", vec![3]),
                ("8.weight", vec![3, 8]),
            ];
            assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape)));
            let input = Tensor::zeros([3, length as i64], (Kind::Uint8, Device::Cpu));
            assert_eq!(network.logits(&input, false).size(), [3, 3]);
        }
        let error = network(46).unwrap_err().to_string();
        assert!(error.contains("--arch seed needs 47"), "{error}");
    }
}
