//! Rectified dilated convolutions, added to the middle of their input.

use pulp::Simd;

use crate::network::kernels::tile::{Tile, add_rows, by_groups, put, registers, starts};
use crate::network::kernels::{LANES, Row};

/// Number of positions whose products are added to the gradients of weights at a time; few enough for the first-level
/// cache.
const NEARBY: usize = 64;

/// Shape of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Number of groups of 16 channels.
    pub groups: usize,
    /// Number of taps of a filter, and their distance.
    pub width: usize,
    pub dilation: usize,
    /// Number of positions of the input and of the output.
    pub entering: usize,
    pub positions: usize,
}

impl Shape {
    /// Distance of the last tap from the first.
    fn reach(&self) -> usize {
        (self.width - 1) * self.dilation
    }

    /// Number of positions that are read: the input with zeros at both ends.
    pub fn read(&self) -> usize {
        self.positions + self.reach()
    }

    /// Number of zeros before the input.
    pub fn before(&self) -> usize {
        (self.read() - self.entering) / 2
    }

    /// Place in the input of the first position of the output.
    fn middle(&self) -> usize {
        (self.entering - self.positions) / 2
    }

    /// Number of positions of the output's gradient with zeros at both ends, as many as taps reach over.
    fn padded(&self) -> usize {
        self.positions + 2 * self.reach()
    }

    /// Number of blocks of weights, 16 inputs by 16 outputs.
    fn blocks(&self) -> usize {
        self.groups * self.width * self.groups
    }

    /// For each filter, input and tap the block of its weight, `[groups of outputs, taps, groups of inputs]`.
    fn block(&self, output: usize, tap: usize, input: usize) -> usize {
        (output / LANES * self.width + tap) * self.groups + input / LANES
    }
}

/// Rows of 16 channels, `[groups, stride]`, and the place of the first position.
#[derive(Clone, Copy)]
pub struct Rows<T> {
    pub rows: T,
    pub stride: usize,
    pub first: usize,
}

/// Weights in the layout of the passes.
#[derive(Debug, Default)]
pub struct Weights {
    /// A row of outputs for each input, `[groups of outputs, taps, groups of inputs]`.
    forward: Vec<[Row; LANES]>,
    /// A row of inputs for each output, `[groups of inputs, taps from the last, groups of outputs]`.
    backward: Vec<[Row; LANES]>,
    /// `[groups]`
    bias: Vec<Row>,
}

impl Weights {
    /// Converts weights `[filters, filters, width]` and biases `[filters]`.
    pub fn fill(&mut self, shape: &Shape, weight: &[f32], bias: &[f32]) {
        let (filters, width) = (bias.len(), shape.width);
        self.forward.resize(shape.blocks(), [Row::ZERO; LANES]);
        self.backward.resize(shape.blocks(), [Row::ZERO; LANES]);
        self.bias.resize(shape.groups, Row::ZERO);
        self.bias
            .as_mut_slice()
            .iter_mut()
            .zip(bias.chunks(LANES))
            .for_each(|(row, bias)| row.0[..bias.len()].copy_from_slice(bias));
        for (output, weight) in weight.chunks_exact(filters * width).enumerate() {
            for (input, weight) in weight.chunks_exact(width).enumerate() {
                for (tap, &weight) in weight.iter().enumerate() {
                    let (to, from) = (output % LANES, input % LANES);
                    self.forward[shape.block(output, tap, input)][from].0[to] = weight;
                    self.backward[shape.block(input, width - 1 - tap, output)][to].0[from] = weight;
                }
            }
        }
    }
}

/// Gradients in the layout of the weights.
#[derive(Debug, Default)]
pub struct Gradients {
    /// As `Weights::forward`.
    weight: Vec<[Row; LANES]>,
    /// `[groups]`
    bias: Vec<Row>,
}

impl Gradients {
    pub fn clear(&mut self, shape: &Shape) {
        self.weight.clear();
        self.weight.resize(shape.blocks(), [Row::ZERO; LANES]);
        self.bias.clear();
        self.bias.resize(shape.groups, Row::ZERO);
    }

    /// Adds the gradients to those of weights, `[filters, filters, width]`, and biases, `[filters]`.
    pub fn add_to(&self, shape: &Shape, weight: &mut [f32], bias: &mut [f32]) {
        let (filters, width) = (bias.len(), shape.width);
        bias.iter_mut().enumerate().for_each(|(i, sum)| *sum += self.bias[i / LANES].0[i % LANES]);
        for (output, weight) in weight.chunks_exact_mut(filters * width).enumerate() {
            for (input, weight) in weight.chunks_exact_mut(width).enumerate() {
                for (tap, sum) in weight.iter_mut().enumerate() {
                    *sum += self.weight[shape.block(output, tap, input)][input % LANES].0[output % LANES];
                }
            }
        }
    }
}

/// Computes `outputs` from `inputs`, `[groups, read]`.
#[inline(always)]
pub fn forward<S: Simd, const R: usize, const G: usize, const V: usize>(
    simd: S,
    shape: &Shape,
    weights: &Weights,
    inputs: &[Row],
    outputs: &mut Rows<&mut [Row]>,
) {
    by_groups!(S, R, G, V, shape.groups, shape.positions, forward_groups(simd, shape, weights, inputs, outputs));
}

#[inline(always)]
fn forward_groups<S: Simd, const R: usize, const G: usize, const V: usize>(
    group: usize,
    simd: S,
    shape: &Shape,
    weights: &Weights,
    inputs: &[Row],
    outputs: &mut Rows<&mut [Row]>,
) {
    let (read, size) = (shape.read(), shape.width * shape.groups);
    let own: [&[[Row; LANES]]; G] = std::array::from_fn(|g| &weights.forward[(group + g) * size..][..size]);
    let bias: [&Row; G] = std::array::from_fn(|g| &weights.bias[group + g]);
    let middle = shape.before() + shape.middle();
    for at in starts::<R>(shape.positions) {
        let mut tile = Tile::<S, R, G, V>::splat(bias);
        tile.convolve(simd, own, (inputs, read), at, (0..shape.width, shape.dilation));
        let mut tile = tile.rectified(simd);
        for r in 0..R {
            tile.add(simd, r, std::array::from_fn(|g| &inputs[(group + g) * read + middle + at + r]));
        }
        for g in 0..G {
            let place = (group + g) * outputs.stride + outputs.first + at;
            let Some(outputs) = outputs.rows[place..].first_chunk_mut::<R>() else { return };
            tile.store(g, outputs);
        }
    }
}

/// Buffers of the backward pass.
#[derive(Debug, Default)]
pub struct GradientBuffers {
    /// Gradient of a layer's output, `[groups, positions]`, and then of its input, `[groups, entering]`.
    pub gradient: Vec<Row>,
    /// That of the next layer.
    next: Vec<Row>,
    /// The gradient where ReLU let something pass and 0 elsewhere, `[groups, padded]`.
    pub masked: Vec<Row>,
}

/// Adds the gradients of weights to `gradients`, and turns the gradient of `outputs` into that of `inputs`; both are as
/// `forward` had them.
#[inline(always)]
pub fn backward<S: Simd, const R: usize, const C: usize, const G: usize, const V: usize>(
    simd: S,
    shape: &Shape,
    weights: &Weights,
    inputs: &[Row],
    outputs: &Rows<&[Row]>,
    buffers: &mut GradientBuffers,
    gradients: &mut Gradients,
) {
    let GradientBuffers { gradient, next, masked } = buffers;
    let (padded, reach) = (shape.padded(), shape.reach());
    masked.resize(shape.groups * padded, Row::ZERO);
    for (group, gradient) in gradient.chunks_exact(shape.positions).enumerate() {
        let masked = &mut masked[group * padded..][..padded];
        let (zeros, rest) = masked.split_at_mut(reach);
        let (masked, more_zeros) = rest.split_at_mut(shape.positions);
        zeros.fill(Row::ZERO);
        more_zeros.fill(Row::ZERO);
        let before = &inputs[group * shape.read() + shape.before() + shape.middle()..];
        let after = &outputs.rows[group * outputs.stride + outputs.first..];
        let all = masked.iter_mut().zip(gradient).zip(before.iter().zip(after));
        mask::<S, V>(simd, all, &mut gradients.bias[group]);
    }
    for at in (0..shape.positions).step_by(NEARBY) {
        let nearby = (at, NEARBY.min(shape.positions - at));
        let weight = &mut gradients.weight;
        by_groups!(S, C, G, V, shape.groups, C, weight_gradients(simd, shape, inputs, masked, nearby, weight));
    }
    next.resize(shape.groups * shape.entering, Row::ZERO);
    by_groups!(S, R, G, V, shape.groups, shape.entering, input_gradients(simd, shape, weights, masked, next));
    for (next, gradient) in next.chunks_exact_mut(shape.entering).zip(gradient.chunks_exact(shape.positions)) {
        add_rows::<S, V>(simd, &mut next[shape.middle()..], gradient);
    }
    std::mem::swap(gradient, next);
}

/// Takes over the gradient where ReLU let something pass, so that there is more after the layer than before it, and adds
/// it to that of the bias.
#[inline(always)]
pub fn mask<'a, S: Simd, const V: usize>(
    simd: S,
    all: impl Iterator<Item = ((&'a mut Row, &'a Row), (&'a Row, &'a Row))>,
    bias: &mut Row,
) {
    let mut totals = registers::<S, V>(bias);
    for ((masked, gradient), (before, after)) in all {
        let [gradient, before, after] = [gradient, before, after].map(registers::<S, V>);
        let kept = std::array::from_fn(|v| {
            simd.select_f32s(simd.less_than_f32s(before[v], after[v]), gradient[v], simd.splat_f32s(0.0))
        });
        put::<S, V>(masked, &kept);
        totals = std::array::from_fn(|v| simd.add_f32s(totals[v], kept[v]));
    }
    put::<S, V>(bias, &totals);
}

/// A convolution with reversed taps.
#[inline(always)]
fn input_gradients<S: Simd, const R: usize, const G: usize, const V: usize>(
    group: usize,
    simd: S,
    shape: &Shape,
    weights: &Weights,
    masked: &[Row],
    next: &mut [Row],
) {
    let size = shape.width * shape.groups;
    let own: [&[[Row; LANES]]; G] = std::array::from_fn(|g| &weights.backward[(group + g) * size..][..size]);
    for at in starts::<R>(shape.entering) {
        let start = shape.before() + at;
        // Taps that only meet the zeros at an end are left out.
        let is_met = |tap: &usize| {
            let place = start + tap * shape.dilation;
            place + R > shape.reach() && place < shape.reach() + shape.positions
        };
        let first = (0..shape.width).find(is_met).unwrap_or(0);
        let end = (0..shape.width).rfind(is_met).map_or(0, |last| last + 1);
        let mut tile = Tile::<S, R, G, V>::splat([&Row::ZERO; G]);
        tile.convolve(simd, own, (masked, shape.padded()), start, (first..end, shape.dilation));
        for g in 0..G {
            let Some(next) = next[(group + g) * shape.entering + at..].first_chunk_mut::<R>() else { return };
            tile.store(g, next);
        }
    }
}

/// Adds the products of some positions to the gradients of weights.
#[inline(always)]
fn weight_gradients<S: Simd, const C: usize, const G: usize, const V: usize>(
    group: usize,
    simd: S,
    shape: &Shape,
    inputs: &[Row],
    masked: &[Row],
    (at, count): (usize, usize),
    weight: &mut [[Row; LANES]],
) {
    let of_group = |g: usize| &masked[(group + g) * shape.padded() + shape.reach() + at..][..count];
    let masked: [&[Row]; G] = std::array::from_fn(of_group);
    for tap in 0..shape.width {
        for from in 0..shape.groups {
            let inputs = &inputs[from * shape.read() + at + tap * shape.dilation..][..count];
            let block = |g: usize| shape.block((group + g) * LANES, tap, from * LANES);
            for part in 0..LANES / C {
                let totals = std::array::from_fn(|g| &weight[block(g)].as_chunks::<C>().0[part]);
                let mut tile = Tile::<S, C, G, V>::load(totals);
                for (i, input) in inputs.iter().enumerate() {
                    let numbers = &input.0.as_chunks::<C>().0[part];
                    tile.add_products(simd, numbers, std::array::from_fn(|g| &masked[g][i]));
                }
                for g in 0..G {
                    tile.store(g, &mut weight[block(g)].as_chunks_mut::<C>().0[part]);
                }
            }
        }
    }
}
