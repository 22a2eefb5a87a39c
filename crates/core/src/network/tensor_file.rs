//! Tensors in a safetensors file, with what is said of them and a checksum of all. Damage is known before anything is used.

#[cfg(feature = "files")]
mod on_disk;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[cfg(feature = "files")]
pub use on_disk::{read, write};

/// The format version of the files that this program writes.
pub const FORMAT_VERSION: u32 = 4;
const OLDEST_FORMAT_VERSION: u32 = 3;
/// The first format version whose runs have checksums; older ones are read without.
pub const FIRST_WITH_CHECKSUMS: u32 = 4;

/// Reads the format version of one of strandnet's files.
///
/// # Errors
/// This program does not read that version; the error is part of a sentence and says what to do.
pub fn check_format_version(file: &serde_json::Value) -> Result<u32, String> {
    let reads = format!("this strandnet reads {OLDEST_FORMAT_VERSION} to {FORMAT_VERSION}");
    match file["format_version"].as_u64() {
        Some(version) if (OLDEST_FORMAT_VERSION..=FORMAT_VERSION).contains(&(version as u32)) && version < 1 << 32 => {
            Ok(version as u32)
        }
        Some(version) if version > u64::from(FORMAT_VERSION) => {
            Err(format!("has format version {version}, and {reads}; use the newer strandnet that wrote it"))
        }
        Some(version) => {
            Err(format!("has format version {version}, and {reads}; train again, or use the strandnet that wrote it"))
        }
        None => Err(format!("has no format version, and {reads}; is it a file of strandnet?")),
    }
}

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

/// Numbers of a tensor, row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision, as weights are.
    F32(Vec<f32>),
    /// Double precision, as sums over an epoch are.
    F64(Vec<f64>),
}

/// A tensor as a file holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// As many as the product of the sizes.
    pub values: Values,
}

/// The tensors of a file and what is said of them.
#[derive(Debug)]
pub struct TensorFile<About> {
    /// By name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The metadata.
    pub about: About,
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

/// Reads the bytes of a file of tensors.
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
    let version = check_format_version(&value).map_err(Fault::OtherVersion)?;
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

fn decoded(name: &str, view: &TensorView) -> Result<Tensor, Fault> {
    let values = match view.dtype() {
        Dtype::F32 => Values::F32(numbers(view.data(), f32::from_le_bytes)),
        Dtype::F64 => Values::F64(numbers(view.data(), f64::from_le_bytes)),
        other => return Err(Fault::Damaged(format!("tensor '{name}' is {other:?}, expected F32 or F64"))),
    };
    Ok(Tensor { shape: view.shape().to_vec(), values })
}

fn numbers<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| of(chunk)).collect()
}

impl Tensor {
    /// A tensor in single precision.
    pub fn f32(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self { shape: shape.into(), values: Values::F32(values) }
    }

    /// The kind of its numbers and its shape, as in `F32 [8, 96]`.
    pub fn describe(&self) -> String {
        let kind = match self.values {
            Values::F32(_) => "F32",
            Values::F64(_) => "F64",
        };
        format!("{kind} {:?}", self.shape)
    }

    fn is_finite(&self) -> bool {
        match &self.values {
            Values::F32(values) => values.iter().all(|value| value.is_finite()),
            Values::F64(values) => values.iter().all(|value| value.is_finite()),
        }
    }

    /// That all numbers of a file's tensor are finite.
    ///
    /// # Errors
    /// Some are not.
    pub fn check_finite(&self, name: &str, path: &Path) -> Result<()> {
        if !self.is_finite() {
            let file = path.display();
            bail!("{file}: tensor '{name}' holds values that are not finite; train again or restore the file");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn file(values: &[f32], sums: &[f64]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let doubles = Tensor { shape: vec![sums.len()], values: Values::F64(sums.to_vec()) };
        let tensors =
            BTreeMap::from([("b".to_owned(), Tensor::f32([values.len()], values.to_vec())), ("a".to_owned(), doubles)]);
        write(&tensors, &json!({"epochs": [3], "loss": 0.1}), &path, None).unwrap();
        std::fs::read(&path).unwrap()
    }

    proptest! {
        #[test]
        fn tensors_come_back_to_the_last_bit(values in prop::collection::vec(any::<f32>(), 1..20), sums in prop::collection::vec(any::<f64>(), 1..20)) {
            let read: TensorFile<Value> = parse(&file(&values, &sums)).unwrap();
            let (Values::F32(found), Values::F64(found_sums)) = (&read.tensors["b"].values, &read.tensors["a"].values) else { panic!() };
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(found), bits(&values));
            let bits = |sums: &[f64]| sums.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(found_sums), bits(&sums));
            prop_assert_eq!(read.about, json!({"epochs": [3], "loss": 0.1}));
        }

        /// Wherever a bit is turned, the file is refused, or reads as it was (as where it is in the padding).
        #[test]
        fn no_flipped_bit_goes_unnoticed(place in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = file(&[1.0, 2.0, 3.0], &[0.5]);
            let place = place.index(bytes.len());
            bytes[place] ^= 1u8 << bit;
            if let Ok(read) = parse::<Value>(&bytes) {
                prop_assert_eq!(&read.tensors["b"].values, &Values::F32(vec![1.0, 2.0, 3.0]));
                prop_assert_eq!(&read.tensors["a"].values, &Values::F64(vec![0.5]));
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
