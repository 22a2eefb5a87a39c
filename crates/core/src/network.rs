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

/// Values of each parameter of a network, by its name in the `state_dict` of the same network in PyTorch.
pub type Parameters = HashMap<String, Vec<f32>>;
