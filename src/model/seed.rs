//! The published experiment's network: one short convolution and a small dense layer. Layers are named by their place,
//! as those of PyTorch's `nn.Sequential` are, so weights carry over.

use tch::nn::{self, Path, SequentialT};

use super::blocks;
use crate::config::{DropoutPlace, ModelConfig};
use crate::random::Generator;

const FILTERS: i64 = 16;
const WIDTH: i64 = 32;
const POOL: i64 = 16;
const DENSE: i64 = 8;

pub fn layers(root: &Path, config: &ModelConfig, length: i64, outputs: i64, random: &mut Generator) -> SequentialT {
    let dropout = |here: bool| {
        let rate = if here { config.dropout } else { 0.0 };
        move |xs: &tch::Tensor, train: bool| {
            if train && rate > 0.0 { xs.dropout(rate, true) } else { xs.shallow_clone() }
        }
    };
    let after_convolution = matches!(config.dropout_after, DropoutPlace::Both | DropoutPlace::Convolution);
    let after_dense = matches!(config.dropout_after, DropoutPlace::Both | DropoutPlace::Dense);
    let pooled = (length - WIDTH + 1) / POOL;
    nn::seq_t()
        .add(blocks::convolution(root / 0, 4, FILTERS, WIDTH, random))
        .add_fn(|xs| xs.relu())
        .add_fn_t(dropout(after_convolution))
        .add_fn(|xs| xs.max_pool1d(POOL, POOL, 0, 1, false))
        .add_fn(|xs| xs.flatten(1, -1))
        .add(blocks::dense(root / 5, FILTERS * pooled, DENSE, random))
        .add_fn(|xs| xs.relu())
        .add_fn_t(dropout(after_dense))
        .add(blocks::dense(root / 8, DENSE, outputs, random))
}

#[cfg(test)]
mod tests {
    use crate::config::ModelConfig;
    use crate::model::Network;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn it_has_the_published_shapes_for_any_length_from_47() {
        for length in [47usize, 63, 128, 500] {
            let network = Network::new(&ModelConfig::default(), length, 3, Device::Cpu, 1).unwrap();
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
        assert!(Network::new(&ModelConfig::default(), 46, 1, Device::Cpu, 1).is_err());
    }
}
