//! Writes and reads files of tensors.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FORMAT_VERSION, Fault, METADATA_KEY, Metadata, Tensor, TensorFile, Values, checksum, parse};
use crate::files;

/// Writes tensors whole or not at all. Where `previous` is given, what the file held before is kept under that name.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    tensors: &BTreeMap<String, Tensor>,
    about: &impl Serialize,
    path: &Path,
    previous: Option<&Path>,
) -> Result<()> {
    let bytes: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, tensor)| encoded(name, tensor)).collect();
    let views: Vec<(&str, TensorView)> = bytes
        .iter()
        .map(|(name, dtype, shape, data)| Ok((*name, TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<_>>()?;
    let about = serde_json::to_value(about)?;
    let sha256 = Some(checksum(&about, views.iter().map(|(name, view)| (*name, view))));
    let metadata = serde_json::to_string(&Metadata { format_version: FORMAT_VERSION, sha256, about })?;
    let file = safetensors::serialize(views, Some(HashMap::from([(METADATA_KEY.to_owned(), metadata)])))?;
    match previous {
        Some(previous) => files::write_keeping_previous(path, previous, &file),
        None => files::write_atomically(path, &file),
    }
}

/// A tensor's name, kind, shape and little-endian bytes.
fn encoded<'a>(name: &'a str, tensor: &Tensor) -> (&'a str, Dtype, Vec<usize>, Vec<u8>) {
    let (kind, bytes) = match &tensor.values {
        Values::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::F64(values) => (Dtype::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    };
    (name, kind, tensor.shape.clone(), bytes)
}

/// Reads a file that `write` wrote.
///
/// # Errors
/// The file cannot be read, is damaged or of another version: one sentence that ends with `advice`.
pub fn read<About: DeserializeOwned>(path: &Path, advice: &str) -> Result<TensorFile<About>> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("{}: cannot be read; is this a finished run folder?", path.display()))?;
    parse(&bytes).map_err(|fault| match fault {
        Fault::Damaged(what) => anyhow!("{}: the weights are damaged ({what}); {advice}", path.display()),
        Fault::OtherVersion(what) => anyhow!("{}: {what}", path.display()),
    })
}
