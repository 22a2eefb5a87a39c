//! Tensors in a safetensors file, with what is said of them and a checksum of all. Damage is known before anything is used.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use strandnet_core::run;
use strandnet_core::run::{FIRST_WITH_CHECKSUMS, FORMAT_VERSION};

/// One key of the file's metadata, because the safetensors crate writes several in an order that differs from run to run.
const METADATA_KEY: &str = "strandnet";

/// Why a file is not what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was not written whole, or has changed since; a part of a sentence.
    Damaged(String),
    /// It is fine, and of another version; a part of a sentence.
    OtherVersion(String),
}

/// The metadata: what a file says of itself.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format_version: u32,
    /// Of everything else, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(flatten)]
    about: Value,
}

/// The tensors of a file and what is said of them.
#[derive(Debug)]
pub struct TensorFile<About> {
    /// On the CPU, f32 or f64.
    pub tensors: BTreeMap<String, Tensor>,
    /// The metadata.
    pub about: About,
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
    let bytes: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> =
        tensors.into_iter().map(|(name, tensor)| encoded(name, &tensor)).collect::<Result<_>>()?;
    let mut views: Vec<(&str, TensorView)> = bytes
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<_>>()?;
    views.sort_by_key(|(name, _)| *name);
    let about = serde_json::to_value(about)?;
    let sha256 = Some(checksum(&about, views.iter().map(|(name, view)| (*name, view))));
    let metadata = serde_json::to_string(&Metadata { format_version: FORMAT_VERSION, sha256, about })?;
    let file = safetensors::serialize(views, Some(HashMap::from([(METADATA_KEY.to_owned(), metadata)])))?;
    match previous {
        Some(previous) => run::write_keeping_previous(path, previous, &file),
        None => run::write_atomically(path, &file),
    }
}

/// A tensor's name, kind, shape and little-endian bytes.
fn encoded(name: String, tensor: &Tensor) -> Result<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let shape = tensor.size().iter().map(|&size| size as usize).collect();
    let flat = tensor.to_device(tch::Device::Cpu).flatten(0, -1);
    Ok(if flat.kind() == Kind::Double {
        let values = Vec::<f64>::try_from(flat)?;
        (name, Dtype::F64, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    } else {
        let values = Vec::<f32>::try_from(flat.to_kind(Kind::Float))?;
        (name, Dtype::F32, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    })
}

/// SHA-256 of what is said of the tensors and of all tensors in the order of their names.
fn checksum<'a>(about: &Value, tensors: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>) -> String {
    let mut digest = Sha256::new();
    digest.update(about.to_string());
    for (name, view) in tensors {
        digest.update(format!("\n{name} {:?} {:?}\n", view.dtype(), view.shape()));
        digest.update(view.data());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
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

/// The same of the bytes of a file.
///
/// # Errors
/// The bytes are damaged or of another version.
pub fn parse<About: DeserializeOwned>(bytes: &[u8]) -> Result<TensorFile<About>, Fault> {
    let damaged = |what: &dyn std::fmt::Display| Fault::Damaged(what.to_string());
    // Sizes in the header are held against the bytes that are there before anything is made of them.
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(&error))?;
    let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let value: Value = metadata.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let version = run::check_format_version(&value).map_err(Fault::OtherVersion)?;
    let Metadata { sha256, about, .. } = serde_json::from_value(value).map_err(|error| damaged(&error))?;
    if sha256.is_some() || version >= FIRST_WITH_CHECKSUMS {
        let mut views: Vec<(&str, TensorView)> = tensors.iter().collect();
        views.sort_by_key(|(name, _)| *name);
        if sha256 != Some(checksum(&about, views.iter().map(|(name, view)| (*name, view)))) {
            return Err(damaged(&"its checksum differs"));
        }
    }
    let tensors = tensors.iter().map(|(name, view)| Ok((name.to_owned(), decoded(name, &view)?)));
    let tensors = tensors.collect::<Result<_, Fault>>()?;
    Ok(TensorFile { tensors, about: serde_json::from_value(about).map_err(|error| damaged(&error))? })
}

/// The tensor of a view, on the CPU.
fn decoded(name: &str, view: &TensorView) -> Result<Tensor, Fault> {
    let tensor = match view.dtype() {
        Dtype::F32 => Tensor::from_slice(&numbers(view.data(), f32::from_le_bytes)),
        Dtype::F64 => Tensor::from_slice(&numbers(view.data(), f64::from_le_bytes)),
        other => return Err(Fault::Damaged(format!("tensor '{name}' is {other:?}, expected F32 or F64"))),
    };
    let shape: Option<Vec<i64>> = view.shape().iter().map(|&size| i64::try_from(size).ok()).collect();
    let shape = shape.ok_or_else(|| Fault::Damaged(format!("tensor '{name}' is too large")))?;
    Ok(tensor.view(shape.as_slice()))
}

fn numbers<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| of(chunk)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn file(values: &[f32], sums: &[f64]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let tensors = vec![("b".to_owned(), Tensor::from_slice(values)), ("a".to_owned(), Tensor::from_slice(sums))];
        write(tensors, &json!({"epochs": [3], "loss": 0.1}), &path, None).unwrap();
        std::fs::read(&path).unwrap()
    }

    proptest! {
        #[test]
        fn tensors_come_back_to_the_last_bit(values in prop::collection::vec(any::<f32>(), 1..20), sums in prop::collection::vec(any::<f64>(), 1..20)) {
            let read: TensorFile<Value> = parse(&file(&values, &sums)).unwrap();
            let bits: Vec<u32> = Vec::<f32>::try_from(&read.tensors["b"]).unwrap().iter().map(|value| value.to_bits()).collect();
            prop_assert_eq!(bits, values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
            let bits: Vec<u64> = Vec::<f64>::try_from(&read.tensors["a"]).unwrap().iter().map(|value| value.to_bits()).collect();
            prop_assert_eq!(bits, sums.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
            prop_assert_eq!(read.about, json!({"epochs": [3], "loss": 0.1}));
        }

        /// Wherever a bit is turned, the file is refused, or reads as it was (as where it is in the padding).
        #[test]
        fn no_flipped_bit_goes_unnoticed(place in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = file(&[1.0, 2.0, 3.0], &[0.5]);
            let place = place.index(bytes.len());
            bytes[place] ^= 1u8 << bit;
            if let Ok(read) = parse::<Value>(&bytes) {
                prop_assert_eq!(Vec::<f32>::try_from(&read.tensors["b"]).unwrap(), [1.0, 2.0, 3.0]);
                prop_assert_eq!(Vec::<f64>::try_from(&read.tensors["a"]).unwrap(), [0.5]);
                prop_assert_eq!(read.about, json!({"epochs": [3], "loss": 0.1}));
            }
        }

        #[test]
        fn no_cut_goes_unnoticed(place in any::<prop::sample::Index>()) {
            let bytes = file(&[1.0, 2.0, 3.0], &[0.5]);
            prop_assert!(parse::<Value>(&bytes[..place.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn newer_versions_are_told_from_damage() {
        let mut bytes = file(&[1.0], &[0.5]);
        let version = format!("version\\\":{FORMAT_VERSION}").into_bytes();
        let place = bytes.windows(version.len()).position(|part| part == version).unwrap();
        bytes[place + version.len() - 1] = b'9';
        let fault = parse::<Value>(&bytes).unwrap_err();
        assert!(matches!(&fault, Fault::OtherVersion(what) if what.contains("format version 9")), "{fault:?}");
    }
}
