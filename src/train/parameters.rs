//! All parameters of a network as one row of numbers, and a gradient of the same form: on the CPU plain numbers, which this
//! program's own loops run over once; on a GPU a tensor.

use std::ops::Range;

use rayon::prelude::*;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use crate::model::Forward;
use crate::no_grad::no_grad;

/// Numbers that a thread takes at a time: fewer are done sooner than handed over.
pub const CHUNK: usize = 1 << 15;

/// All trainable parameters of a store.
#[derive(Debug)]
pub struct FlatParameters {
    /// `[parameters]`; the store's tensors are views of it.
    pub buffer: Tensor,
    views: Vec<Tensor>,
    ranges: Vec<Range<usize>>,
    /// On the CPU, what the optimizer works on; `write_back` puts it into the buffer.
    pub host: Option<Vec<f32>>,
}

impl FlatParameters {
    /// Moves the parameters into one buffer; the store's tensors become views of it.
    pub fn new(store: &VarStore) -> Self {
        let mut views = store.trainable_variables();
        let buffer = no_grad(|| Tensor::cat(&views.iter().map(|view| view.flatten(0, -1)).collect::<Vec<_>>(), 0));
        let mut ranges = Vec::with_capacity(views.len());
        for view in &mut views {
            let start = ranges.last().map_or(0, |range: &Range<usize>| range.end);
            ranges.push(start..start + view.numel());
            view.set_data(&buffer.narrow(0, start as i64, view.numel() as i64).view(view.size().as_slice()));
        }
        let host = (buffer.device() == Device::Cpu).then(|| vec![0.0; buffer.numel()]);
        let mut parameters = Self { buffer, views, ranges, host };
        parameters.reload();
        parameters
    }

    /// Takes the parameters as they stand in the network.
    pub fn reload(&mut self) {
        if let Some(host) = &mut self.host {
            self.buffer.copy_data(host, self.buffer.numel());
        }
    }

    /// Puts the parameters, as training left them, into the network.
    pub fn write_back(&mut self) {
        if let Some(host) = &self.host {
            no_grad(|| self.buffer.copy_(&Tensor::from_slice(host)));
        }
    }

    /// Where the numbers of tensors of the store stand; nothing if one is not trained.
    pub fn ranges_of(&self, tensors: &[Tensor]) -> Option<Vec<Range<usize>>> {
        let of = |tensor: &Tensor| self.views.iter().position(|view| view.data_ptr() == tensor.data_ptr());
        tensors.iter().map(|tensor| of(tensor).map(|view| self.ranges[view].clone())).collect()
    }

    /// Where weights stand, which are parameters of two dimensions or more, and where the others do, biases and norms: the ranges
    /// for which `wanted` says so, neighbours as one.
    pub fn ranges_that(&self, wanted: impl Fn(bool) -> bool) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for (view, range) in self.views.iter().zip(&self.ranges) {
            match found.last_mut() {
                _ if !wanted(view.dim() > 1) => {}
                Some(last) if last.end == range.start => last.end = range.end,
                _ => found.push(range.clone()),
            }
        }
        found
    }

    /// 1 for weights and 0 for the others, `[parameters]`.
    pub fn decay_mask(&self) -> Vec<f32> {
        let mut mask = vec![0.0; self.buffer.numel()];
        self.ranges_that(|is_weight| is_weight).into_iter().for_each(|range| mask[range].fill(1.0));
        mask
    }

    /// The gradient of a scalar loss of a batch with respect to every parameter.
    pub fn gradient(&self, forward: Forward, loss: &Tensor) -> Gradient {
        let gradients = forward.gradients(loss, &self.views);
        if self.host.is_none() {
            return Gradient::Device(Tensor::cat(&gradients, 0));
        }
        let mut numbers = vec![0.0; self.buffer.numel()];
        for (gradient, range) in gradients.iter().zip(&self.ranges) {
            gradient.to_kind(Kind::Float).contiguous().copy_data(&mut numbers[range.clone()], range.len());
        }
        Gradient::Host(numbers)
    }
}

/// A gradient with respect to every parameter, `[parameters]`.
#[derive(Debug)]
pub enum Gradient {
    /// On the CPU.
    Host(Vec<f32>),
    /// On a GPU.
    Device(Tensor),
}

impl Gradient {
    /// Multiplied by a number.
    pub fn scaled(mut self, by: f64) -> Self {
        match &mut self {
            Self::Host(numbers) => scale_numbers(numbers, by),
            Self::Device(tensor) => {
                let _ = tensor.g_mul_scalar_(by);
            }
        }
        self
    }

    /// Added to another.
    pub fn plus(mut self, other: &Self) -> Self {
        match (&mut self, other) {
            (Self::Host(numbers), Self::Host(others)) => {
                numbers.iter_mut().zip(others).for_each(|(number, other)| *number += other);
            }
            (Self::Device(tensor), Self::Device(other)) => {
                let _ = tensor.g_add_(other);
            }
            _ => {}
        }
        self
    }

    /// Scales each of its parts down to a norm of at most `most`.
    pub fn clip(self, most: f64, parts: &[Range<usize>]) -> Self {
        // PyTorch's guard against division by zero.
        const GUARD: f64 = 1e-6;
        match self {
            Self::Host(mut numbers) => {
                // Chunk by chunk, so that it is the same for any number of threads.
                let squares = |chunk: &[f32]| chunk.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>();
                for part in parts {
                    let numbers = &mut numbers[part.clone()];
                    let totals: Vec<f64> = numbers.par_chunks(CHUNK).map(squares).collect();
                    let scale = most / (totals.iter().sum::<f64>().sqrt() + GUARD);
                    if scale < 1.0 {
                        scale_numbers(numbers, scale);
                    }
                }
                Self::Host(numbers)
            }
            // The norm stays on the device.
            Self::Device(tensor) => {
                for part in parts {
                    let mut part = tensor.narrow(0, part.start as i64, part.len() as i64);
                    let scale = (part.norm() + GUARD).reciprocal() * most;
                    let _ = part.g_mul_(&scale.clamp_max(1.0));
                }
                Self::Device(tensor)
            }
        }
    }
}

fn scale_numbers(numbers: &mut [f32], by: f64) {
    let by = by as f32;
    numbers.par_chunks_mut(CHUNK).for_each(|chunk| chunk.iter_mut().for_each(|number| *number *= by));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_gradient_is_clipped_by_its_own_norm() {
        let numbers = [3.0f32, 4.0, 0.3, 0.4, 30.0, 40.0];
        let expected = [0.6f32, 0.8, 0.3, 0.4, 0.6, 0.8];
        // The first is empty, as where there is but one branch.
        let parts = [0..0, 0..2, 2..4, 4..6];
        for gradient in [Gradient::Host(numbers.to_vec()), Gradient::Device(Tensor::from_slice(&numbers))] {
            let clipped = match gradient.clip(1.0, &parts) {
                Gradient::Host(numbers) => numbers,
                Gradient::Device(tensor) => Vec::try_from(tensor).unwrap(),
            };
            clipped.iter().zip(&expected).for_each(|(found, expected)| assert!((found - expected).abs() < 1e-6));
        }
    }
}
