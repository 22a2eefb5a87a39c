//! A long short-term memory that reads positions in both directions, named and started as PyTorch's `nn.LSTM` is.

use tch::Tensor;
use tch::nn::{Init, Path};

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

impl Module for Lstm {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let weights: Vec<Tensor> = self.weights.iter().map(|weight| mode.cast(weight)).collect();
        self.reading.apply(&mode.cast(xs), mode.training, |xs| {
            // Zeros made from the input, so that a trace holds at any batch size.
            let state = xs.select(1, 0).select(1, 0).zeros_like().unsqueeze(0).unsqueeze(2);
            let state = state.expand([2, -1, self.units], false).contiguous();
            let steps = xs.transpose(1, 2).contiguous();
            let (seen, _, _) = steps.lstm(
                &[&state, &state],
                &weights.iter().collect::<Vec<_>>(),
                true,
                1,
                0.0,
                mode.training,
                true,
                true,
            );
            seen.transpose(1, 2).contiguous()
        })
    }
}
