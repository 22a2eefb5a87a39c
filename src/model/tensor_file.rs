//! Tensors of libtorch in the safetensors files of a run: core's [`tensor_file`] reads and writes the numbers.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strandnet_core::run::tensor_file::{self, Values};
use tch::{Kind, Tensor};

pub use strandnet_core::run::tensor_file::Fault;

/// The tensors of a file and what is said of them.
#[derive(Debug)]
pub struct TensorFile<About> {
    /// On the CPU, f32 or f64.
    pub tensors: BTreeMap<String, Tensor>,
    /// The metadata.
    pub about: About,
}

impl<About> From<tensor_file::TensorFile<About>> for TensorFile<About> {
    fn from(file: tensor_file::TensorFile<About>) -> Self {
        let tensors = file.tensors.into_iter().map(|(name, tensor)| (name, tensor_of(&tensor)));
        Self { tensors: tensors.collect(), about: file.about }
    }
}

/// Writes tensors, f64 as they are and all others as f32, whole or not at all. Where `previous` is given, what the file held
/// before is kept under that name.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    tensors: Vec<(String, Tensor)>,
    about: &impl Serialize,
    path: &Path,
    previous: Option<&Path>,
) -> Result<()> {
    let tensors = tensors.into_iter().map(|(name, tensor)| Ok((name, numbers_of(&tensor)?)));
    tensor_file::write(&tensors.collect::<Result<_>>()?, about, path, previous)
}

/// Reads a file that `write` wrote.
///
/// # Errors
/// The file cannot be read, is damaged or of another version: one sentence that ends with `advice`.
pub fn read<About: DeserializeOwned>(path: &Path, advice: &str) -> Result<TensorFile<About>> {
    tensor_file::read(path, advice).map(TensorFile::from)
}

/// The same of the bytes of a file.
///
/// # Errors
/// The bytes are damaged or of another version.
pub fn parse<About: DeserializeOwned>(bytes: &[u8]) -> Result<TensorFile<About>, Fault> {
    tensor_file::parse(bytes).map(TensorFile::from)
}

fn numbers_of(tensor: &Tensor) -> Result<tensor_file::Tensor> {
    let shape = tensor.size().iter().map(|&size| size as usize).collect();
    let flat = tensor.to_device(tch::Device::Cpu).flatten(0, -1);
    let values = match flat.kind() {
        Kind::Double => Values::F64(Vec::try_from(flat)?),
        _ => Values::F32(Vec::try_from(flat.to_kind(Kind::Float))?),
    };
    Ok(tensor_file::Tensor { shape, values })
}

fn tensor_of(tensor: &tensor_file::Tensor) -> Tensor {
    let flat = match &tensor.values {
        Values::F32(values) => Tensor::from_slice(values),
        Values::F64(values) => Tensor::from_slice(values),
    };
    flat.view(tensor.shape.iter().map(|&size| size as i64).collect::<Vec<_>>().as_slice())
}

/// That all numbers of a file are finite.
///
/// # Errors
/// A tensor holds values that are not finite.
pub fn check_finite<'a>(tensors: impl IntoIterator<Item = (&'a String, &'a Tensor)>, path: &Path) -> Result<()> {
    for (name, tensor) in tensors {
        if tensor.isfinite().all().int64_value(&[]) == 0 {
            bail!(
                "{}: tensor '{name}' holds values that are not finite; train again or restore the file",
                path.display()
            );
        }
    }
    Ok(())
}
