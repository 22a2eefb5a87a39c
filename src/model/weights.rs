//! Weights as safetensors, under the names that the equivalent PyTorch module's `state_dict` gives them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::Network;
use crate::run::{self, FORMAT_VERSION};

/// What is said of the weights besides themselves: JSON under one key of the file's metadata. One key, because the
/// safetensors crate writes several in an order that differs from run to run.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format_version: u32,
    /// Of each member, counted from 1.
    epochs: Vec<usize>,
}

const METADATA_KEY: &str = "strandnet";

/// The tensors of an ensemble: those of a single network under their own names, those of more under `members.0.` and so on,
/// as a `ModuleList` in PyTorch names them.
fn variables(networks: &[&Network]) -> Vec<(String, Tensor)> {
    let single = networks.len() == 1;
    let of_member = |(member, network): (usize, &&Network)| {
        let name = move |name: String| if single { name } else { format!("members.{member}.{name}") };
        network.store.variables().into_iter().map(move |(own, tensor)| (name(own), tensor)).collect::<Vec<_>>()
    };
    let mut variables: Vec<(String, Tensor)> = networks.iter().enumerate().flat_map(of_member).collect();
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    variables
}

/// Writes the weights of an ensemble whole or not at all; `epochs` are those the members are from, counted from 1.
pub fn save(networks: &[&Network], epochs: &[usize], path: &Path) -> Result<()> {
    let metadata = serde_json::to_string(&Metadata { format_version: FORMAT_VERSION, epochs: epochs.to_vec() })?;
    write(variables(networks), metadata, path)
}

/// Writes tensors as f32, with a line of JSON about them.
pub fn write(tensors: Vec<(String, Tensor)>, metadata: String, path: &Path) -> Result<()> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            let values: Vec<f32> =
                Vec::try_from(tensor.to_device(tch::Device::Cpu).to_kind(Kind::Float).flatten(0, -1))?;
            Ok((name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        })
        .collect::<Result<_>>()?;
    let views: Vec<(&str, TensorView)> = bytes
        .iter()
        .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<_>>()?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
    run::write_atomically(path, &safetensors::serialize(views, Some(metadata))?)
}

/// Reads weights into an ensemble of the same shape and returns the epochs that the members are from.
///
/// # Errors
/// The file is missing, damaged, of a newer format, or does not fit the network.
pub fn load(networks: &mut [Network], path: &Path) -> Result<Vec<usize>> {
    let file = path.display();
    let bytes =
        std::fs::read(path).with_context(|| format!("{file}: cannot be read; is this a finished run folder?"))?;
    let damaged = |error| anyhow::anyhow!("{file}: the weights are damaged ({error}); train again or restore the file");
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let metadata: Option<Metadata> = metadata.and_then(|text| serde_json::from_str(text).ok());
    let epochs = match metadata {
        Some(Metadata { format_version: FORMAT_VERSION, epochs }) => epochs,
        other => bail!(
            "{file}: has format version {}, expected {FORMAT_VERSION}; use the version of strandnet that wrote it",
            other.map_or("none".into(), |metadata| metadata.format_version.to_string())
        ),
    };
    let variables = variables(&networks.iter().collect::<Vec<_>>());
    if tensors.len() != variables.len() {
        bail!(
            "{file}: holds {} tensors, expected {} for this network; is it from another run?",
            tensors.len(),
            variables.len()
        );
    }
    for (name, mut variable) in variables {
        let shape: Vec<usize> = variable.size().iter().map(|&size| size as usize).collect();
        let view = tensors.tensor(&name).map_err(damaged)?;
        if view.shape() != shape || view.dtype() != Dtype::F32 {
            bail!(
                "{file}: tensor '{name}' is {:?} {:?}, expected F32 {shape:?}; is it from another run?",
                view.dtype(),
                view.shape()
            );
        }
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if values.iter().any(|value| !value.is_finite()) {
            bail!("{file}: tensor '{name}' holds values that are not finite; train again or restore the file");
        }
        tch::no_grad(|| variable.copy_(&Tensor::from_slice(&values).view(variable.size().as_slice())));
    }
    Ok(epochs)
}

/// Puts the weights of member `member` of another run's ensemble (beginning again after its last) into a network, and returns
/// the names of tensors that start afresh.
pub fn start_from(network: &mut Network, member: usize, path: &Path) -> Result<Vec<String>> {
    let _ = (network, member, path);
    bail!("TODO merge")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, ModelConfig};

    #[test]
    fn weights_come_back_as_they_were_and_misfits_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let config = ModelConfig { arch: Architecture::Seed, ..ModelConfig::default() };
        let network = |length, seed| Network::new(&config, length, 1, tch::Device::Cpu, seed).unwrap();
        for members in [1u64, 3] {
            let ensemble = |seed| -> Vec<Network> { (0..members).map(|member| network(128, seed + member)).collect() };
            let (saved, mut loaded) = (ensemble(1), ensemble(10));
            let of = |networks: &[Network]| variables(&networks.iter().collect::<Vec<_>>());
            save(&saved.iter().collect::<Vec<_>>(), &[7, 8, 9][..members as usize], &path).unwrap();
            assert_eq!(load(&mut loaded, &path).unwrap()[0], 7);
            for ((name, saved), (_, loaded)) in of(&saved).into_iter().zip(of(&loaded)) {
                assert_eq!(saved, loaded, "{name}");
            }
        }
        assert!(load(&mut [network(128, 1)], &path).unwrap_err().to_string().contains("tensors"));
        let (saved, mut loaded, mut longer) = (network(128, 1), [network(128, 2)], [network(200, 1)]);
        save(&[&saved], &[1], &path).unwrap();
        let error = load(&mut longer, &path).unwrap_err().to_string();
        assert!(error.contains("5.weight"), "{error}");

        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 4, 9, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(load(&mut loaded, &path).unwrap_err().to_string().contains("damaged"));
        }
    }
}
