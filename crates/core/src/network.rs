//! Architectures as data: layers with their shapes, parameters and receptive fields, one file for each architecture,
//! and CPU kernels that need no libtorch.

mod basset;
mod custom;
mod danq;
mod gated;
pub mod kernels;
pub mod plan;
mod residual;
mod shallow;

use std::collections::HashMap;

use crate::sequence::bins::Bins;

/// What comes out of a network for each sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// Classes, labels or values.
    pub columns: usize,
    /// Bins along the middle of the sequence, for each of which a network has all columns.
    pub bins: Option<Bins>,
}

impl Outputs {
    /// Numbers for each sequence, `[columns, bins]`.
    pub fn numbers(self) -> usize {
        self.columns * self.bins.map_or(1, |bins| bins.count)
    }
}

impl From<usize> for Outputs {
    /// One number for each column.
    fn from(columns: usize) -> Self {
        Self { columns, bins: None }
    }
}

/// Values of each parameter of a network, by its name in the `state_dict` of the same network in PyTorch.
pub type Parameters = HashMap<String, Vec<f32>>;
