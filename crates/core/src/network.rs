//! Architectures as data: layers with their shapes, parameters and receptive fields, one file for each architecture,
//! and CPU kernels that need no libtorch.

mod basset;
mod bpnet;
mod custom;
mod danq;
mod gated;
pub mod inference;
pub mod kernels;
pub mod plan;
mod residual;
mod shallow;
pub mod tensor_file;
pub mod tensors;
pub mod weights;

use std::collections::HashMap;

use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileShape;

/// What comes out of a network for each sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// Classes, labels or values; of a profile, the log counts of its groups.
    pub columns: usize,
    /// Bins along the middle of the sequence, for each of which a network has all columns.
    pub bins: Option<Bins>,
    /// The profile, whose logits come before its log counts.
    pub profile: Option<ProfileShape>,
}

impl Outputs {
    /// Numbers for each sequence: `[columns]`, `[columns, bins]`, or the logits of a profile and its log counts.
    pub fn numbers(&self) -> usize {
        match &self.profile {
            Some(profile) => profile.outputs(),
            None => self.columns * self.bins.map_or(1, |bins| bins.count),
        }
    }

    /// Lengths of the stretches at the beginning of the numbers that run the other way on the other strand.
    pub fn mirrored(&self) -> Vec<usize> {
        match (&self.profile, self.bins) {
            (Some(profile), _) => profile.stretches(),
            (None, Some(bins)) => vec![bins.count; self.columns],
            (None, None) => Vec::new(),
        }
    }
}

impl From<usize> for Outputs {
    /// One number for each column.
    fn from(columns: usize) -> Self {
        Self { columns, bins: None, profile: None }
    }
}

/// Values of each parameter of a network, by its name in the `state_dict` of the same network in PyTorch.
pub type Parameters = HashMap<String, Vec<f32>>;
