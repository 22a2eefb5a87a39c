//! Layers that start as PyTorch's do: weights and biases uniform within one over the square root of the fan-in (tch's own
//! defaults differ), drawn from our own generator so that they depend on nothing but the seed.

use rand::RngExt;
use tch::Tensor;
use tch::nn::{self, Init, Path};

use crate::random::Generator;

/// A convolution without padding: `[batch, inputs, length]` to `[batch, outputs, length - width + 1]`.
pub fn convolution(path: Path, inputs: i64, outputs: i64, width: i64, random: &mut Generator) -> nn::Conv1D {
    let zero = Init::Const(0.0);
    let config = nn::ConvConfig { ws_init: zero, bs_init: zero, ..nn::ConvConfig::default() };
    let mut layer = nn::conv1d(path, inputs, outputs, width, config);
    start([Some(&mut layer.ws), layer.bs.as_mut()], inputs * width, random);
    layer
}

/// A dilated convolution padded to keep the length: `[batch, inputs, length]` to `[batch, outputs, length]`. `width` is
/// odd.
pub fn same_convolution(
    path: Path,
    inputs: i64,
    outputs: i64,
    width: i64,
    dilation: i64,
    random: &mut Generator,
) -> nn::Conv1D {
    let zero = Init::Const(0.0);
    let padding = width / 2 * dilation;
    let config = nn::ConvConfig { ws_init: zero, bs_init: zero, padding, dilation, ..nn::ConvConfig::default() };
    let mut layer = nn::conv1d(path, inputs, outputs, width, config);
    start([Some(&mut layer.ws), layer.bs.as_mut()], inputs * width, random);
    layer
}

/// Batch normalisation over `[batch, channels, length]`; the scale starts at 1 and the shift at 0.
pub fn batch_norm(path: Path, channels: i64) -> nn::BatchNorm {
    let (ws_init, bs_init) = (Init::Const(1.0), Init::Const(0.0));
    nn::batch_norm1d(path, channels, nn::BatchNormConfig { ws_init, bs_init, ..nn::BatchNormConfig::default() })
}

/// A dense layer: `[batch, inputs]` to `[batch, outputs]`.
pub fn dense(path: Path, inputs: i64, outputs: i64, random: &mut Generator) -> nn::Linear {
    let zero = Init::Const(0.0);
    let mut layer =
        nn::linear(path, inputs, outputs, nn::LinearConfig { ws_init: zero, bs_init: Some(zero), bias: true });
    start([Some(&mut layer.ws), layer.bs.as_mut()], inputs, random);
    layer
}

fn start(parameters: [Option<&mut Tensor>; 2], fan_in: i64, random: &mut Generator) {
    let bound = 1.0 / (fan_in as f32).sqrt();
    for parameter in parameters.into_iter().flatten() {
        let values: Vec<f32> = (0..parameter.numel()).map(|_| random.random_range(-bound..=bound)).collect();
        tch::no_grad(|| parameter.copy_(&Tensor::from_slice(&values).view(parameter.size().as_slice())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, Purpose};
    use tch::{Device, nn::VarStore};

    #[test]
    fn weights_start_within_pytorchs_bound_and_fill_it() {
        let store = VarStore::new(Device::Cpu);
        let mut random = random::generator(1, Purpose::Weights, 0, 0);
        convolution(store.root() / "c", 4, 640, 25, &mut random);
        dense(store.root() / "d", 100, 640, &mut random);
        for variable in store.trainable_variables() {
            let most = variable.abs().max().double_value(&[]);
            assert!(most <= 0.1 && most > 0.095, "{most}");
            assert!(variable.mean(tch::Kind::Float).double_value(&[]).abs() < 0.01);
        }
    }
}
