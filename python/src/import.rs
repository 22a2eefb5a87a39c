//! Networks that were trained elsewhere, as run folders. What their layers are is found in Python.

use std::path::PathBuf;

use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use strandnet_core::import::{self, Description, Tensors};
use strandnet_core::run::tensor_file::Tensor;

use crate::errors::{raised, refused};

/// write_imported(description, tensors, bias_tensors, out, force)
/// --
///
/// Writes a run folder from a description in JSON and from f32 arrays by the names of parameters.
#[pyfunction]
pub fn write_imported(
    py: Python,
    description: &str,
    tensors: &Bound<PyDict>,
    bias_tensors: Option<&Bound<PyDict>>,
    out: PathBuf,
    force: bool,
) -> PyResult<()> {
    let description: Description = serde_json::from_str(description)
        .map_err(|error| refused(format!("the network cannot be described ({error})")))?;
    let (tensors, of_bias) = (read(tensors)?, bias_tensors.map(read).transpose()?.unwrap_or_default());
    py.detach(|| import::write(&description, &tensors, &of_bias, &out, force)).map_err(raised)
}

fn read(arrays: &Bound<PyDict>) -> PyResult<Tensors> {
    let tensor = |(name, array): (Bound<PyAny>, Bound<PyAny>)| {
        let (name, array): (String, PyReadonlyArrayDyn<f32>) = (name.extract()?, array.extract()?);
        Ok((name, Tensor::f32(array.shape(), array.as_array().iter().copied().collect())))
    };
    arrays.iter().map(tensor).collect()
}
