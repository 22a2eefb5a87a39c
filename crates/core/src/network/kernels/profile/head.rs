//! The head: a wide convolution that gives the profile of each track, and log counts from the means over all positions.

use pulp::Simd;

use crate::network::kernels::tile::{Tile, add_rows, by_groups, registers, starts};
use crate::network::kernels::{LANES, Row};

/// Number of positions of a profile computed at once.
const POSITIONS: usize = 8;

/// Shape of the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Number of groups of 16 channels.
    pub groups: usize,
    pub tracks: usize,
    /// Number of log counts.
    pub counts: usize,
    /// Width of a filter, in positions.
    pub width: usize,
    /// Number of positions of the input.
    pub entering: usize,
    /// Number of positions of a profile.
    pub length: usize,
}

impl Shape {
    /// Number of positions that are read: the input with zeros at both ends.
    pub fn read(&self) -> usize {
        self.length + self.width - 1
    }

    /// Number of zeros before the input.
    pub fn before(&self) -> usize {
        (self.read() - self.entering) / 2
    }

    /// Number of outputs for one sequence.
    pub fn outputs(&self) -> usize {
        self.tracks * self.length + self.counts
    }

    /// Number of weights of a filter, with padding to whole tiles.
    fn summed(&self) -> usize {
        self.width.next_multiple_of(LANES)
    }

    /// Rows of a group and track among those of all.
    fn place(&self, track: usize, group: usize) -> usize {
        (track * self.groups + group) * self.summed()
    }

    /// Length of a profile's gradient with zeros at both ends, as many as a filter with its padding reaches over.
    fn padded(&self) -> usize {
        self.read() + self.summed()
    }
}

/// Weights, or gradients of weights, as rows of channels.
#[derive(Debug, Default)]
pub struct Weights {
    /// `[tracks, groups, summed]`, from the last tap of a filter to the first.
    profile: Vec<Row>,
    profile_bias: Vec<f32>,
    /// `[counts, groups]`
    counts: Vec<Row>,
    counts_bias: Vec<f32>,
}

impl Weights {
    pub fn clear(&mut self, shape: &Shape) {
        self.profile.clear();
        self.profile.resize(shape.tracks * shape.groups * shape.summed(), Row::ZERO);
        self.counts.clear();
        self.counts.resize(shape.counts * shape.groups, Row::ZERO);
        self.profile_bias.clear();
        self.profile_bias.resize(shape.tracks, 0.0);
        self.counts_bias.clear();
        self.counts_bias.resize(shape.counts, 0.0);
    }

    /// Converts weights `[tracks, channels, width]` and biases `[tracks]` of the profile, and `[counts, channels]` and
    /// `[counts]` where there are counts.
    pub fn fill(&mut self, shape: &Shape, values: &[&[f32]]) {
        self.clear(shape);
        let [weight, bias, of_counts @ ..] = values else { return };
        self.profile_bias.copy_from_slice(bias);
        self.each(shape, weight.len(), |own, i| *own = weight[i]);
        let [weight, bias] = of_counts else { return };
        self.counts_bias.copy_from_slice(bias);
        self.each_of_counts(shape, weight.len(), |own, i| *own = weight[i]);
    }

    /// Adds its numbers to parameters in the same order.
    pub fn add_to(&mut self, shape: &Shape, values: &mut [Vec<f32>]) {
        let [weight, bias, of_counts @ ..] = values else { return };
        bias.iter_mut().zip(&self.profile_bias).for_each(|(sum, own)| *sum += own);
        self.each(shape, weight.len(), |own, i| weight[i] += *own);
        let [weight, bias] = of_counts else { return };
        bias.iter_mut().zip(&self.counts_bias).for_each(|(sum, own)| *sum += own);
        self.each_of_counts(shape, weight.len(), |own, i| weight[i] += *own);
    }

    /// Every weight of the profile with its index in `[tracks, channels, width]`.
    fn each(&mut self, shape: &Shape, count: usize, mut of: impl FnMut(&mut f32, usize)) {
        let channels = count / shape.tracks / shape.width;
        for i in 0..count {
            let (track, channel, tap) = (i / shape.width / channels, i / shape.width % channels, i % shape.width);
            let place = shape.place(track, channel / LANES) + shape.width - 1 - tap;
            of(&mut self.profile[place].0[channel % LANES], i);
        }
    }

    /// Every weight of the counts with its index in `[counts, channels]`.
    fn each_of_counts(&mut self, shape: &Shape, count: usize, mut of: impl FnMut(&mut f32, usize)) {
        let channels = count / shape.counts;
        for i in 0..count {
            let (output, channel) = (i / channels, i % channels);
            of(&mut self.counts[output * shape.groups + channel / LANES].0[channel % LANES], i);
        }
    }
}

/// Computes the outputs of one sequence from `inputs`, `[groups, read]`.
#[inline(always)]
pub fn forward<S: Simd, const V: usize>(
    simd: S,
    shape: &Shape,
    weights: &Weights,
    inputs: &[Row],
    outputs: &mut [f32],
) {
    let (profiles, counts) = outputs.split_at_mut(shape.tracks * shape.length);
    for (track, profile) in profiles.chunks_exact_mut(shape.length).enumerate() {
        if shape.length < POSITIONS {
            forward_track::<S, 1, V>(simd, shape, weights, inputs, track, profile);
        } else {
            forward_track::<S, POSITIONS, V>(simd, shape, weights, inputs, track, profile);
        }
    }
    for (i, count) in counts.iter_mut().enumerate() {
        *count = weights.counts_bias[i];
        for (group, row) in weights.counts[i * shape.groups..][..shape.groups].iter().enumerate() {
            let mean = mean::<S, V>(simd, shape, inputs, group);
            *count += row.0.iter().zip(&mean.0).map(|(weight, mean)| weight * mean).sum::<f32>();
        }
    }
}

#[inline(always)]
fn forward_track<S: Simd, const R: usize, const V: usize>(
    simd: S,
    shape: &Shape,
    weights: &Weights,
    inputs: &[Row],
    track: usize,
    profile: &mut [f32],
) {
    for at in starts::<R>(shape.length) {
        let mut totals = [simd.splat_f32s(0.0); R];
        for (group, inputs) in inputs.chunks_exact(shape.read()).enumerate() {
            let own = &weights.profile[shape.place(track, group)..][..shape.width];
            for (row, inputs) in own.iter().rev().zip(inputs[at..].windows(R)) {
                let row = registers::<S, V>(row);
                for (sum, input) in totals.iter_mut().zip(inputs) {
                    let input = registers::<S, V>(input);
                    for v in 0..V {
                        *sum = simd.mul_add_e_f32s(input[v], row[v], *sum);
                    }
                }
            }
        }
        for (out, sum) in profile[at..].iter_mut().zip(totals) {
            *out = weights.profile_bias[track] + simd.reduce_sum_f32s(sum);
        }
    }
}

/// Means of a group's channels over all positions.
#[inline(always)]
fn mean<S: Simd, const V: usize>(simd: S, shape: &Shape, inputs: &[Row], group: usize) -> Row {
    let mut sum = Tile::<S, 1, 1, V>::splat([&Row::ZERO]);
    let inputs = &inputs[group * shape.read() + shape.before()..][..shape.entering];
    inputs.iter().for_each(|row| sum.add(simd, 0, [row]));
    let mut mean = [Row::ZERO];
    sum.store(0, &mut mean);
    Row(mean[0].0.map(|sum| sum / shape.entering as f32))
}

/// Buffers of the backward pass.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Gradients of profiles with zeros at both ends, `[tracks, padded]`.
    padded: Vec<f32>,
    /// Gradients of a position that come from the means, `[groups]`.
    shares: Vec<Row>,
}

/// Adds the gradients of weights to `gradients` and computes those of the inputs, `[groups, entering]`, from those of the
/// outputs.
#[inline(always)]
pub fn backward<S: Simd, const R: usize, const C: usize, const G: usize, const V: usize>(
    simd: S,
    shape: &Shape,
    weights: &Weights,
    inputs: &[Row],
    outputs: &[f32],
    (next, Buffers { padded, shares }): (&mut Vec<Row>, &mut Buffers),
    gradients: &mut Weights,
) {
    let (profiles, counts) = outputs.split_at(shape.tracks * shape.length);
    padded.clear();
    for (profile, bias) in profiles.chunks_exact(shape.length).zip(&mut gradients.profile_bias) {
        *bias += profile.iter().sum::<f32>();
        padded.resize(padded.len() + shape.width - 1, 0.0);
        padded.extend_from_slice(profile);
        padded.resize(padded.len().next_multiple_of(shape.padded()), 0.0);
    }
    // What the means give to each of their positions.
    shares.clear();
    shares.resize(shape.groups, Row::ZERO);
    for (group, share) in shares.iter_mut().enumerate() {
        let mean = mean::<S, V>(simd, shape, inputs, group);
        for (i, count) in counts.iter().enumerate() {
            let place = i * shape.groups + group;
            for lane in 0..LANES {
                share.0[lane] += weights.counts[place].0[lane] * count / shape.entering as f32;
                gradients.counts[place].0[lane] += mean.0[lane] * count;
            }
        }
    }
    gradients.counts_bias.iter_mut().zip(counts).for_each(|(bias, count)| *bias += count);
    let own = &mut gradients.profile;
    by_groups!(S, C, G, V, shape.groups, C, weight_gradients(simd, shape, inputs, padded, own));
    next.resize(shape.groups * shape.entering, Row::ZERO);
    by_groups!(S, R, G, V, shape.groups, shape.entering, input_gradients(simd, shape, weights, padded, shares, next));
}

#[inline(always)]
fn input_gradients<S: Simd, const R: usize, const G: usize, const V: usize>(
    group: usize,
    simd: S,
    shape: &Shape,
    weights: &Weights,
    padded: &[f32],
    shares: &[Row],
    next: &mut [Row],
) {
    for at in starts::<R>(shape.entering) {
        let place = |g: usize| (group + g) * shape.entering;
        let mut tile = Tile::<S, R, G, V>::splat(std::array::from_fn(|g| &shares[group + g]));
        for (track, padded) in padded.chunks_exact(shape.padded()).enumerate() {
            let rows: [&[Row]; G] =
                std::array::from_fn(|g| &weights.profile[shape.place(track, group + g)..][..shape.width]);
            let numbers = padded[shape.before() + at..].windows(R).take(shape.width);
            for (i, numbers) in numbers.enumerate() {
                let Some(numbers) = numbers.first_chunk::<R>() else { return };
                tile.add_products(simd, numbers, rows.map(|rows| &rows[i]));
            }
        }
        for g in 0..G {
            let Some(next) = next[place(g) + at..].first_chunk_mut::<R>() else { return };
            tile.store(g, next);
        }
    }
}

#[inline(always)]
fn weight_gradients<S: Simd, const C: usize, const G: usize, const V: usize>(
    group: usize,
    simd: S,
    shape: &Shape,
    inputs: &[Row],
    padded: &[f32],
    own: &mut [Row],
) {
    let of_group = |g: usize| &inputs[(group + g) * shape.read() + shape.before()..][..shape.entering];
    let inputs: [&[Row]; G] = std::array::from_fn(of_group);
    for (track, padded) in padded.chunks_exact(shape.padded()).enumerate() {
        let place = |g: usize| shape.place(track, group + g);
        for start in (0..shape.summed()).step_by(C) {
            let mut tile = Tile::<S, C, G, V>::splat([&Row::ZERO; G]);
            let numbers = padded[shape.before() + start..].windows(C).take(shape.entering);
            for (i, numbers) in numbers.enumerate() {
                let Some(numbers) = numbers.first_chunk::<C>() else { return };
                tile.add_products(simd, numbers, std::array::from_fn(|g| &inputs[g][i]));
            }
            let mut totals = [Row::ZERO; C];
            for g in 0..G {
                tile.store(g, &mut totals);
                add_rows::<S, V>(simd, &mut own[place(g) + start..][..C], &totals);
            }
        }
    }
}
