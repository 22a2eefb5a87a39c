//! Dense layers, ReLU and dropout after the first block, if they are so small that calling libtorch would take longer
//! than computing them.

use pulp::{Simd, WithSimd};

use crate::config::layers::Layer;
use crate::network::kernels::LANES;
use crate::network::kernels::dropout;
use crate::network::kernels::dropout::{Key, Rate};
use crate::network::plan::Step;

/// Multiply-adds per sequence above which libtorch's matrix products are faster.
const MOST_MULTIPLY_ADDS: usize = 16_384;
/// Number of units, and of fragments, computed at once.
const UNITS: usize = 8;
const ROWS: usize = 4;

/// A layer that maps `[fragments, inputs]` to `[fragments, outputs]`.
#[derive(Clone, Copy, Debug)]
pub enum Small {
    Dense { inputs: usize, units: usize },
    Relu,
    Dropout(Rate),
}

/// The layers of the steps, if all are supported and together they are small.
pub fn of(steps: &[Step]) -> Option<Vec<Small>> {
    if steps.iter().map(|step| step.multiply_adds).sum::<usize>() > MOST_MULTIPLY_ADDS {
        return None;
    }
    let small = |step: &Step| match step.layer {
        Layer::Flatten {} => Some(None),
        Layer::Dense { units } => Some(Some(Small::Dense { inputs: step.input.channels, units })),
        Layer::Relu {} => Some(Some(Small::Relu)),
        Layer::Dropout { rate } => Some(Some(Small::Dropout(Rate::new(rate.unwrap_or(0.0))))),
        _ => None,
    };
    steps.iter().map(small).collect::<Option<Vec<_>>>().map(|layers| layers.into_iter().flatten().collect())
}

/// Weights of a dense layer in the layout of the passes.
#[derive(Debug, Default)]
pub struct Weights {
    /// `[units, inputs]`
    weight: Vec<f32>,
    /// Rows of eight units each, `[inputs]`.
    transposed: Vec<Vec<[f32; UNITS]>>,
    bias: Vec<[f32; UNITS]>,
}

impl Weights {
    /// Converts weights `[units, inputs]` and biases `[units]`.
    pub fn fill(&mut self, weight: &[f32], bias: &[f32]) {
        let (units, inputs) = (bias.len(), weight.len() / bias.len());
        self.weight.clear();
        self.weight.extend_from_slice(weight);
        let groups = units.div_ceil(UNITS);
        self.transposed.resize_with(groups, Vec::new);
        self.bias.resize(groups, [0.0; UNITS]);
        for (group, (transposed, own_bias)) in self.transposed.iter_mut().zip(&mut self.bias).enumerate() {
            transposed.resize(inputs, [0.0; UNITS]);
            for (lane, unit) in (group * UNITS..units.min((group + 1) * UNITS)).enumerate() {
                own_bias[lane] = bias[unit];
                for (transposed, weight) in transposed.iter_mut().zip(&weight[unit * inputs..][..inputs]) {
                    transposed[lane] = *weight;
                }
            }
        }
    }
}

/// Outputs of every layer for some fragments, and their gradients. Buffers are reused.
#[derive(Debug, Default)]
pub struct Pass {
    /// Outputs of every layer, `[fragments, outputs]`.
    outputs: Vec<Vec<f32>>,
    /// Dropout mask of every layer; empty for other layers.
    kept: Vec<Vec<[u32; LANES]>>,
    /// Gradients of every layer's weights, `[units, inputs]`, and biases; empty for layers without.
    gradients: Vec<(Vec<f32>, Vec<f32>)>,
    /// Gradients of the layer's outputs and inputs, in turn.
    to: Vec<f32>,
    from: Vec<f32>,
}

impl Pass {
    /// Runs the layers on `[fragments, inputs]` and returns the last outputs; `key` is that of these fragments, in
    /// training.
    pub fn forward(&mut self, layers: &[Small], weights: &[Weights], inputs: &[f32], key: Option<Key>) -> &[f32] {
        self.outputs.resize_with(layers.len(), Vec::new);
        self.kept.resize_with(layers.len(), Vec::new);
        pulp::Arch::new().dispatch(Forward { pass: self, layers, weights, inputs, key });
        self.outputs.last().map_or(&[], Vec::as_slice)
    }

    /// Accumulates the gradients of weights after `forward` in training. Takes the gradients of the last outputs and
    /// returns those of the inputs.
    pub fn backward(&mut self, layers: &[Small], weights: &[Weights], inputs: &[f32], gradient: &[f32]) -> &[f32] {
        self.gradients.resize_with(layers.len(), Default::default);
        self.to.clear();
        self.to.extend_from_slice(gradient);
        pulp::Arch::new().dispatch(Backward { pass: self, layers, weights, inputs });
        &self.to
    }

    /// Gradients of weights and biases, dense layer by dense layer.
    pub fn gradients(&self) -> impl Iterator<Item = [&[f32]; 2]> {
        self.gradients.iter().filter(|(weight, _)| !weight.is_empty()).map(|(weight, bias)| [&weight[..], &bias[..]])
    }
}

struct Forward<'a> {
    pass: &'a mut Pass,
    layers: &'a [Small],
    weights: &'a [Weights],
    inputs: &'a [f32],
    key: Option<Key>,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { pass, layers, weights, inputs, key } = self;
        let mut weights = weights.iter();
        for (at, layer) in layers.iter().enumerate() {
            let (before, after) = pass.outputs.split_at_mut(at);
            let inputs: &[f32] = before.last().map_or(inputs, |outputs| outputs);
            let Some(outputs) = after.first_mut() else { return };
            match (*layer, key) {
                (Small::Dense { inputs: width, units }, _) => {
                    let Some(weights) = weights.next() else { return };
                    outputs.resize(inputs.len() / width * units, 0.0);
                    dense(weights, width, units, inputs, outputs);
                }
                (Small::Relu, _) => {
                    outputs.clear();
                    outputs.extend(inputs.iter().map(|&number| if number > 0.0 { number } else { 0.0 }));
                }
                (Small::Dropout(rate), Some(key)) if !rate.is_zero() => {
                    // An even number of rows, because a draw covers two values.
                    let kept = &mut pass.kept[at];
                    kept.resize(inputs.len().div_ceil(2 * LANES) * 2, [u32::MAX; LANES]);
                    dropout::draw(kept, key.of(0, at), rate);
                    let scale = rate.scale();
                    outputs.clear();
                    let kept = kept.as_flattened().iter();
                    outputs.extend(inputs.iter().zip(kept).map(|(x, keep)| f32::from_bits(x.to_bits() & keep) * scale));
                }
                (Small::Dropout(_), _) => {
                    outputs.clear();
                    outputs.extend_from_slice(inputs);
                }
            }
        }
    }
}

/// `outputs = inputs * weights + bias`, four fragments at a time.
#[inline(always)]
fn dense(weights: &Weights, width: usize, units: usize, inputs: &[f32], outputs: &mut [f32]) {
    for (group, (rows, bias)) in weights.transposed.iter().zip(&weights.bias).enumerate() {
        let of_group = group * UNITS..units.min((group + 1) * UNITS);
        for (inputs, outputs) in inputs.chunks(ROWS * width).zip(outputs.chunks_mut(ROWS * units)) {
            let count = inputs.len() / width;
            // The last one is repeated if there are fewer.
            let input = |i: usize| &inputs[i.min(count - 1) * width..][..width];
            let (mut a, mut b, mut c, mut d) = (*bias, *bias, *bias, *bias);
            let all = input(0).iter().zip(input(1)).zip(input(2)).zip(input(3));
            for (row, (((&of_a, &of_b), &of_c), &of_d)) in rows.iter().zip(all) {
                for k in 0..UNITS {
                    a[k] += of_a * row[k];
                    b[k] += of_b * row[k];
                    c[k] += of_c * row[k];
                    d[k] += of_d * row[k];
                }
            }
            for (unit_sums, outputs) in [a, b, c, d].iter().zip(outputs.chunks_exact_mut(units)) {
                outputs[of_group.clone()].copy_from_slice(&unit_sums[..of_group.len()]);
            }
        }
    }
}

struct Backward<'a> {
    pass: &'a mut Pass,
    layers: &'a [Small],
    weights: &'a [Weights],
    inputs: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { pass, layers, weights, inputs } = self;
        let Pass { outputs, kept, gradients, to, from } = pass;
        let mut weights = weights.iter().rev();
        for (at, layer) in layers.iter().enumerate().rev() {
            let inputs: &[f32] = if at == 0 { inputs } else { &outputs[at - 1] };
            match *layer {
                Small::Dense { inputs: width, units } => {
                    let Some(weights) = weights.next() else { return };
                    let (weight, bias) = &mut gradients[at];
                    weight.clear();
                    weight.resize(units * width, 0.0);
                    bias.clear();
                    bias.resize(units, 0.0);
                    from.clear();
                    from.resize(inputs.len(), 0.0);
                    let rows = inputs.chunks_exact(width).zip(from.chunks_exact_mut(width));
                    for ((inputs, from), to) in rows.zip(to.chunks_exact(units)) {
                        let of_unit = weights.weight.chunks_exact(width).zip(weight.chunks_exact_mut(width));
                        for (((own, weight), bias), &to) in of_unit.zip(bias.iter_mut()).zip(to) {
                            // Values that ReLU or dropout set to zero have no gradient.
                            if to == 0.0 {
                                continue;
                            }
                            *bias += to;
                            for k in 0..width {
                                from[k] += to * own[k];
                                weight[k] += to * inputs[k];
                            }
                        }
                    }
                    std::mem::swap(to, from);
                }
                Small::Relu => {
                    for (to, &input) in to.iter_mut().zip(inputs) {
                        *to = if input > 0.0 { *to } else { 0.0 };
                    }
                }
                Small::Dropout(rate) if !rate.is_zero() => {
                    let scale = rate.scale();
                    for (to, keep) in to.iter_mut().zip(kept[at].as_flattened()) {
                        *to = f32::from_bits(to.to_bits() & keep) * scale;
                    }
                }
                Small::Dropout(_) => {}
            }
        }
    }
}
