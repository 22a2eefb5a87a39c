//! Convolutions, and dense layers, which are convolutions that reach over all positions.

use std::sync::OnceLock;

use super::features::{Channels, Features, Rows};
use super::pointwise::Pointwise;
use super::product::{Matrix, Put, Reads};
use super::strands;
use crate::network::kernels::Row;

/// A convolution with what is done to its input and output.
#[derive(Debug)]
pub struct Convolution {
    /// Applied to what it reads.
    pub before: Option<Pointwise>,
    /// Whether the other strand is read too, reversed and behind the own one.
    pub reads_both: bool,
    /// Channels of the input, of one strand.
    pub inputs: Channels,
    pub outputs: Channels,
    /// `[outputs, read inputs, taps]`
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
    pub is_rectified: bool,
    pub reach: Reach,
    forward: OnceLock<Matrix>,
    backward: OnceLock<Matrix>,
}

/// Which positions are read for which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    pub taps: usize,
    pub dilation: usize,
    pub stride: usize,
    /// The first tap reads so many positions before the first; of a negative number, after it.
    pub before: isize,
    /// Positions that go in and come out.
    pub positions: usize,
    pub outputs: usize,
}

impl Reach {
    /// Position that a tap reads for the first output.
    fn first(&self, tap: usize) -> isize {
        (tap * self.dilation) as isize - self.before
    }

    /// Whether a tap reads a position of the input at all.
    fn reads_any(&self, tap: usize) -> bool {
        let first = self.first(tap);
        first < self.positions as isize && first + ((self.outputs - 1) * self.stride) as isize >= 0
    }

    /// Taps that read a position of the input, and the reach of these alone.
    fn trimmed(self) -> (std::ops::Range<usize>, Self) {
        let first = (0..self.taps).find(|&tap| self.reads_any(tap)).unwrap_or(0);
        let last = (first..self.taps).rev().find(|&tap| self.reads_any(tap)).unwrap_or(first);
        let before = self.before - (first * self.dilation) as isize;
        (first..last + 1, Self { taps: last + 1 - first, before, ..self })
    }
}

/// A stretch of positions with zeros around them.
struct Padded {
    /// `[groups, n, length]`; nothing where they are those of the input.
    rows: Option<Rows>,
    length: usize,
}

impl Convolution {
    /// With weights `[outputs, inputs / groups, taps]` and biases `[outputs]`; of inputs, those of both strands where both are read.
    pub fn new(
        (inputs, outputs): (Channels, Channels),
        groups: usize,
        reads_both: bool,
        reach: Reach,
        (weight, bias): (&[f32], Vec<f32>),
    ) -> Self {
        let (taps, reach) = reach.trimmed();
        let read = inputs.count() * if reads_both { 2 } else { 1 };
        let (of_group, width) = (read / groups, weight.len() / outputs.count() / (read / groups));
        let outputs_of_group = outputs.count() / groups;
        let mut all = vec![0.0; outputs.count() * read * taps.len()];
        for (output, weight) in weight.chunks_exact(of_group * width).enumerate() {
            let first = output / outputs_of_group * of_group;
            for (input, weight) in weight.chunks_exact(width).enumerate() {
                let at = (output * read + first + input) * taps.len();
                all[at..at + taps.len()].copy_from_slice(&weight[taps.clone()]);
            }
        }
        Self {
            before: None,
            reads_both,
            inputs,
            outputs,
            weight: all,
            bias,
            is_rectified: false,
            reach,
            forward: OnceLock::new(),
            backward: OnceLock::new(),
        }
    }

    /// Folds a scale and a shift of each output into the weights.
    pub fn scale(&mut self, scale: impl Fn(usize) -> (f32, f32)) {
        let of_output = self.weight.len() / self.bias.len();
        for (output, (weight, bias)) in self.weight.chunks_exact_mut(of_output).zip(&mut self.bias).enumerate() {
            let (scale, shift) = scale(output);
            weight.iter_mut().for_each(|weight| *weight *= scale);
            *bias = *bias * scale + shift;
        }
    }

    /// Channels that are read, those of both strands where both are.
    fn read_channels(&self) -> Channels {
        if self.reads_both { Channels::beside(&[&self.inputs, &self.inputs]) } else { self.inputs.clone() }
    }

    fn weight_at(&self, output: usize, input: usize, tap: usize) -> f32 {
        let read = self.inputs.count() * if self.reads_both { 2 } else { 1 };
        self.weight[(output * read + input) * self.reach.taps + tap]
    }

    /// `[channels, n, positions]` of the input to those of the output.
    pub fn forward(&self, xs: &Features) -> Features {
        let mut out = Features::any(self.outputs.clone(), xs.n, self.reach.outputs);
        self.multiply(xs, if self.is_rectified { Put::Relu } else { Put::Set }, &mut out.rows);
        out
    }

    fn multiply(&self, xs: &Features, put: Put, out: &mut [Row]) {
        let Reach { taps, dilation, stride, before, outputs, .. } = self.reach;
        let matrix = self.forward.get_or_init(|| {
            let weight = |output, input, tap| self.weight_at(output, input, tap);
            Matrix::new(&self.read_channels(), &self.outputs, taps, Some(&self.bias), weight)
        });
        let last = ((outputs - 1) * stride + (taps - 1) * dilation) as isize - before;
        let after = (last + 1 - xs.positions as isize).max(0) as usize;
        let zeros = before.max(0) as usize;
        let read = self.padded(xs, zeros, after);
        let start = (zeros as isize - before) as usize;
        let firsts: Vec<usize> =
            (0..xs.n).flat_map(|i| (0..outputs).map(move |at| i * read.length + start + at * stride)).collect();
        let reads = Reads {
            rows: read.rows.as_deref().unwrap_or(&xs.rows),
            stride: xs.n * read.length,
            firsts: &firsts,
            dilation,
        };
        matrix.multiply(reads, put, out);
    }

    /// What is read: the input, with what is done to it before, the other strand behind it where that is read, and zeros around.
    fn padded(&self, xs: &Features, before: usize, after: usize) -> Padded {
        if before == 0 && after == 0 && self.before.is_none() && !self.reads_both {
            return Padded { rows: None, length: xs.positions };
        }
        let length = before + xs.positions + after;
        let groups = xs.channels.groups();
        let mut rows = Rows::any(if self.reads_both { 2 } else { 1 } * groups * xs.n * length);
        let (own, other) = rows.split_at_mut(groups * xs.n * length);
        for (i, (from, to)) in xs.sequences().zip(own.chunks_exact_mut(length)).enumerate() {
            to[..before].fill(Row::ZERO);
            to[before + xs.positions..].fill(Row::ZERO);
            let to = &mut to[before..before + xs.positions];
            to.copy_from_slice(from);
            if let Some(pointwise) = &self.before {
                pointwise.apply(i / xs.n, to);
            }
        }
        for (i, to) in other.chunks_exact_mut(length).enumerate() {
            let from = &own[strands::other(i) * length..][before..before + xs.positions];
            to[..before].fill(Row::ZERO);
            to[before + xs.positions..].fill(Row::ZERO);
            to[before..before + xs.positions].iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
        }
        Padded { rows: Some(rows), length }
    }

    /// The gradient of the input from that of the output.
    pub fn backward(&self, mut gradient: Features, input: &Features, output: &Features) -> Features {
        let Reach { taps, dilation, stride, before, positions, .. } = self.reach;
        if self.is_rectified {
            gradient = Pointwise::of_function(super::pointwise::Function::Relu).backward(gradient, output);
        }
        let matrix = self.backward.get_or_init(|| {
            let weight = |input, output, tap: usize| self.weight_at(output, input, taps - 1 - tap);
            Matrix::new(&self.outputs, &self.read_channels(), taps, None, weight)
        });
        // Output `p` reads position `p * stride + tap * dilation - before`; so position `q` has a part from each tap, counted from the
        // last, at `q + before - (taps - 1) * dilation + tap * dilation` of the gradient with zeros between its numbers.
        let spread = (gradient.positions - 1) * stride + 1;
        let zeros = ((taps - 1) * dilation) as isize - before;
        let zeros_before = zeros.max(0) as usize;
        let start = (zeros_before as isize - zeros) as usize;
        let length = (start + positions - 1 + (taps - 1) * dilation + 1).max(zeros_before + spread);
        let mut rows = Rows::zeros(self.outputs.groups() * gradient.n * length);
        for (from, to) in gradient.sequences().zip(rows.chunks_exact_mut(length)) {
            to[zeros_before..].iter_mut().step_by(stride).zip(from).for_each(|(to, from)| *to = *from);
        }
        let firsts: Vec<usize> =
            (0..gradient.n).flat_map(|i| (0..positions).map(move |at| i * length + start + at)).collect();
        let mut read = Features::any(self.read_channels(), gradient.n, positions);
        let reads = Reads { rows: &rows, stride: gradient.n * length, firsts: &firsts, dilation };
        matrix.multiply(reads, Put::Set, &mut read.rows);
        let own = if self.reads_both { strands::backward(read, &self.inputs) } else { read };
        match &self.before {
            Some(pointwise) => pointwise.backward(own, input),
            None => own,
        }
    }
}
