//! The weights of a run: `best.safetensors`, under the names that the `state_dict` of the equivalent PyTorch module has. Those of
//! a single network stand under their own names, those of an ensemble under `members.0.` and so on, as in a `ModuleList`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::network::Parameters;
#[cfg(feature = "files")]
use crate::network::tensor_file;
use crate::network::tensor_file::{Tensor, TensorFile, Values};

/// What is said of the weights besides themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// Of each member, counted from 1.
    pub epochs: Vec<usize>,
}

/// What to do where weights are damaged.
#[cfg(feature = "files")]
const ADVICE: &str = "train again or restore the file";

#[cfg(feature = "files")]
/// Reads the tensors of a file of weights.
///
/// # Errors
/// It cannot be read, is damaged or of another version.
pub fn read(path: &Path) -> Result<TensorFile<About>> {
    tensor_file::read(path, ADVICE)
}

/// The name of a member's tensor in a file of `members` networks.
pub fn name_in_file(members: usize, member: usize, name: &str) -> String {
    if members == 1 { name.to_owned() } else { format!("members.{member}.{name}") }
}

/// Values of each parameter of a network with tensors of these names and shapes, as a file holds them.
///
/// # Errors
/// A tensor is missing, of another shape, or not finite.
pub fn parameters_of(
    file: &TensorFile<About>,
    shapes: &BTreeMap<String, Vec<usize>>,
    member: usize,
    path: &Path,
) -> Result<Parameters> {
    let members = file.about.epochs.len();
    let mut parameters = Parameters::new();
    for (name, shape) in shapes {
        let in_file = name_in_file(members, member, name);
        let Some(tensor) = file.tensors.get(&in_file) else {
            bail!("{}: lacks tensor '{in_file}', which this network has; is it from another run?", path.display());
        };
        let (Values::F32(values), true) = (&tensor.values, tensor.shape == *shape) else {
            let (found, expected) = (tensor.describe(), Tensor::f32(shape.clone(), Vec::new()).describe());
            bail!("{}: tensor '{in_file}' is {found}, expected {expected}; is it from another run?", path.display());
        };
        tensor.check_finite(&in_file, path)?;
        parameters.insert(name.clone(), values.clone());
    }
    Ok(parameters)
}
