//! A long short-term memory that reads positions in both directions, named and started as PyTorch's `nn.LSTM` is.

use std::ops::Range;

use tch::nn::{Init, Path};
use tch::{Device, Tensor};

use crate::model::layers::{Mode, Module, drawn};
use crate::model::strands::Reading;
use strandnet_core::random::Generator;

/// `[batch, inputs, positions]` to `[batch, 2 * units, positions]`.
#[derive(Debug)]
pub struct Lstm {
    /// Of each direction: weights of the input and of the state, and a bias with each.
    weights: Vec<Tensor>,
    units: i64,
    reading: Reading,
}

impl Lstm {
    pub fn new(path: &Path, inputs: i64, units: i64, reading: Reading, random: &mut Generator) -> Self {
        let bound = 1.0 / (units as f32).sqrt();
        let mut weights = Vec::new();
        for direction in ["", "_reverse"] {
            for (name, shape) in [
                ("weight_ih_l0", &[4 * units, inputs][..]),
                ("weight_hh_l0", &[4 * units, units]),
                ("bias_ih_l0", &[4 * units]),
                ("bias_hh_l0", &[4 * units]),
            ] {
                let parameter = path.var(&format!("{name}{direction}"), shape, Init::Const(0.0));
                weights.push(drawn(parameter, bound, random));
            }
        }
        Self { weights, units, reading }
    }
}

impl Lstm {
    /// The weights as one row of numbers in the order of cuDNN, which would otherwise copy them there at every pass, tensor by
    /// tensor and with a warning: the matrices of both directions, then the biases. Each is a view of it.
    fn in_one_row(&self, mode: Mode) -> Vec<Tensor> {
        let [matrices, biases] = [0..2, 2..4].map(|of_direction: Range<usize>| {
            [0, 4].into_iter().flat_map(move |direction| of_direction.clone().map(move |i| direction + i))
        });
        let order: Vec<usize> = matrices.chain(biases).collect();
        let rows: Vec<Tensor> = order.iter().map(|&i| self.weights[i].flatten(0, -1)).collect();
        let sizes: Vec<i64> = rows.iter().map(|row| row.numel() as i64).collect();
        let row = mode.cast(&Tensor::cat(&rows, 0));
        // One operation, so that its gradient is one too.
        let parts = row.split_with_sizes(sizes, 0);
        let mut views: Vec<(usize, Tensor)> =
            order.into_iter().zip(parts).map(|(i, part)| (i, part.view(self.weights[i].size().as_slice()))).collect();
        views.sort_by_key(|(i, _)| *i);
        views.into_iter().map(|(_, view)| view).collect()
    }
}

impl Module for Lstm {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let weights: Vec<Tensor> = if xs.device() == Device::Cpu {
            self.weights.iter().map(|weight| mode.cast(weight)).collect()
        } else {
            self.in_one_row(mode)
        };
        // cuDNN goes backward only where it went forward as in training, which without dropout makes no difference.
        let goes_back = mode.training || xs.requires_grad();
        self.reading.apply(&mode.cast(xs), mode.training, |xs| {
            // Zeros made from the input, so that a trace holds at any batch size.
            let state = xs.select(1, 0).select(1, 0).zeros_like().unsqueeze(0).unsqueeze(2);
            let state = state.expand([2, -1, self.units], false).contiguous();
            let steps = xs.transpose(1, 2).contiguous();
            let (seen, _, _) =
                steps.lstm(&[&state, &state], &weights.iter().collect::<Vec<_>>(), true, 1, 0.0, goes_back, true, true);
            seen.transpose(1, 2).contiguous()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::random::{self, Purpose};
    use tch::nn::VarStore;
    use tch::{Kind, no_grad_guard};

    #[test]
    fn weights_in_one_row_are_the_same_and_stand_as_cudnn_has_them() {
        let store = VarStore::new(Device::Cpu);
        let mut random = random::generator(1, Purpose::Weights, 0, 0);
        let lstm = Lstm::new(&store.root(), 5, 3, Reading::Plain, &mut random);
        let mode = Mode { training: true, half: false, momentum: 0.0 };
        let row = lstm.in_one_row(mode);
        assert!(row.iter().zip(&lstm.weights).all(|(view, weight)| view == weight));
        // Places in memory: the matrices of one direction, of the other, then the biases.
        let start = row.iter().map(|view| view.data_ptr() as usize).min().unwrap();
        let places: Vec<usize> = row.iter().map(|view| (view.data_ptr() as usize - start) / size_of::<f32>()).collect();
        let (inputs, states, bias) = (4 * 3 * 5, 4 * 3 * 3, 4 * 3);
        let matrices = 2 * (inputs + states);
        let expected = [
            0,
            inputs,
            matrices,
            matrices + bias,
            inputs + states,
            2 * inputs + states,
            matrices + 2 * bias,
            matrices + 3 * bias,
        ];
        assert_eq!(places, expected);
        // Gradients reach the weights through it.
        let loss = row.iter().map(|view| view.square().sum(Kind::Float)).reduce(|a, b| a + b).unwrap();
        let gradients = Tensor::run_backward(&[&loss], &lstm.weights, false, false);
        let _guard = no_grad_guard();
        assert!(gradients.iter().zip(&lstm.weights).all(|(gradient, weight)| *gradient == weight * 2.0));
    }
}
