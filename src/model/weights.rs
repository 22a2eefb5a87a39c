//! Weights as safetensors, under the names that the equivalent PyTorch module's `state_dict` gives them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
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
    /// Counts from 1.
    epoch: usize,
}

const METADATA_KEY: &str = "strandnet";

/// Writes the weights whole or not at all. `epoch` counts from 1.
pub fn save(network: &Network, epoch: usize, path: &Path) -> Result<()> {
    let mut variables: Vec<(String, Tensor)> = network.store.variables().into_iter().collect();
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = variables
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
    let metadata = serde_json::to_string(&Metadata { format_version: FORMAT_VERSION, epoch })?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
    run::write_atomically(path, &safetensors::serialize(views, Some(metadata))?)
}

/// Reads weights into a network of the same shape and returns the epoch they are from.
///
/// # Errors
/// The file is missing, damaged, of a newer format, or does not fit the network.
pub fn load(network: &mut Network, path: &Path) -> Result<usize> {
    let file = path.display();
    let bytes = read(path)?;
    let (tensors, epoch) = parse(&bytes, path)?;
    let variables = network.store.variables();
    if tensors.len() != variables.len() {
        bail!(
            "{file}: holds {} tensors, expected {} for this network; is it from another run?",
            tensors.len(),
            variables.len()
        );
    }
    for (name, variable) in variables {
        match find(&tensors, &name, &variable, path)? {
            Found::Fits(values) => put(variable, &values),
            Found::Misfit(what) => bail!("{file}: {what}; is it from another run?"),
        }
    }
    Ok(epoch)
}

/// Starts a network from the weights of another one of the same architecture: all are taken, but for the output layer
/// where it has another shape, which keeps its fresh weights. Returns the names of the tensors that were not taken.
///
/// # Errors
/// As `load`, where any other layer does not fit.
pub fn start_from(network: &mut Network, path: &Path) -> Result<Vec<String>> {
    let file = path.display();
    let bytes = read(path)?;
    let (tensors, _) = parse(&bytes, path)?;
    let output = network.plan.output_path().to_owned() + ".";
    let (output, others): (Vec<_>, Vec<_>) =
        network.store.variables().into_iter().partition(|(name, _)| name.starts_with(&output));
    let surplus = tensors.names().into_iter().find(|&name| {
        let own = others.iter().chain(&output).any(|(own, _)| own == name);
        !own
    });
    if let Some(name) = surplus {
        bail!("{file}: holds tensor '{name}', which this network lacks; use the run's --arch and its sizes");
    }
    let mut fitting = Vec::new();
    for (name, variable) in others {
        match find(&tensors, &name, &variable, path)? {
            Found::Fits(values) => fitting.push((variable, values)),
            Found::Misfit(what) => bail!("{file}: {what}; use the run's --arch, --length, --strands and sizes"),
        }
    }
    let mut left: Vec<String> = output.iter().map(|(name, _)| name.clone()).collect();
    left.sort();
    let mut of_output = Vec::new();
    for (name, variable) in output {
        if let Found::Fits(values) = find(&tensors, &name, &variable, path)? {
            of_output.push((variable, values));
        }
    }
    if of_output.len() == left.len() {
        fitting.extend(of_output);
        left.clear();
    }
    for (variable, values) in fitting {
        put(variable, &values);
    }
    Ok(left)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read; is this a finished run folder?", path.display()))
}

fn damaged(path: &Path, error: safetensors::SafeTensorError) -> anyhow::Error {
    anyhow!("{}: the weights are damaged ({error}); train again or restore the file", path.display())
}

/// The tensors of a file, and the epoch they are from.
fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<(SafeTensors<'a>, usize)> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(path, error))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, error))?;
    let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let metadata: Option<Metadata> = metadata.and_then(|text| serde_json::from_str(text).ok());
    match metadata {
        Some(Metadata { format_version: FORMAT_VERSION, epoch }) => Ok((tensors, epoch)),
        other => bail!(
            "{}: has format version {}, expected {FORMAT_VERSION}; use the version of strandnet that wrote it",
            path.display(),
            other.map_or("none".into(), |metadata| metadata.format_version.to_string())
        ),
    }
}

/// What a file holds for a variable.
enum Found {
    Fits(Vec<f32>),
    /// A part of a sentence.
    Misfit(String),
}

fn find(tensors: &SafeTensors, name: &str, variable: &Tensor, path: &Path) -> Result<Found> {
    let shape: Vec<usize> = variable.size().iter().map(|&size| size as usize).collect();
    let Ok(view) = tensors.tensor(name) else {
        return Ok(Found::Misfit(format!("lacks tensor '{name}', which this network has")));
    };
    if view.shape() != shape || view.dtype() != Dtype::F32 {
        return Ok(Found::Misfit(format!(
            "tensor '{name}' is {:?} {:?}, expected F32 {shape:?}",
            view.dtype(),
            view.shape()
        )));
    }
    let values: Vec<f32> = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if values.iter().any(|value| !value.is_finite()) {
        bail!("{}: tensor '{name}' holds values that are not finite; train again or restore the file", path.display());
    }
    Ok(Found::Fits(values))
}

fn put(mut variable: Tensor, values: &[f32]) {
    tch::no_grad(|| variable.copy_(&Tensor::from_slice(values).view(variable.size().as_slice())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, ModelConfig, Strands};

    fn network(length: usize, outputs: usize, seed: u64) -> Network {
        let config = ModelConfig { arch: Architecture::Seed, ..ModelConfig::default() };
        Network::new(&config, length, outputs, Strands::Single, tch::Device::Cpu, seed).unwrap()
    }

    #[test]
    fn weights_come_back_as_they_were_and_misfits_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let (saved, mut loaded, mut longer) = (network(128, 1, 1), network(128, 1, 2), network(200, 1, 1));
        save(&saved, 7, &path).unwrap();
        assert_eq!(load(&mut loaded, &path).unwrap(), 7);
        for (name, tensor) in saved.store.variables() {
            assert_eq!(tensor, loaded.store.variables()[&name]);
        }
        let error = load(&mut longer, &path).unwrap_err().to_string();
        assert!(error.contains("5.weight"), "{error}");

        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 4, 9, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(load(&mut loaded, &path).unwrap_err().to_string().contains("damaged"));
        }
    }

    #[test]
    fn a_network_starts_from_another_but_for_an_output_layer_of_another_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let saved = network(128, 1, 1);
        save(&saved, 7, &path).unwrap();
        let (mut same, mut wider, mut longer) = (network(128, 1, 2), network(128, 3, 2), network(200, 1, 2));
        assert_eq!(start_from(&mut same, &path).unwrap(), [""; 0]);
        assert_eq!(start_from(&mut wider, &path).unwrap(), ["8.bias", "8.weight"]);
        let of = |network: &Network, name: &str| network.store.variables()[name].shallow_clone();
        for name in ["0.weight", "0.bias", "5.weight", "5.bias"] {
            assert_eq!(of(&saved, name), of(&same, name));
            assert_eq!(of(&saved, name), of(&wider, name));
        }
        assert_eq!(of(&saved, "8.weight"), of(&same, "8.weight"));
        assert_eq!(of(&network(128, 3, 2), "8.weight"), of(&wider, "8.weight"));

        let error = start_from(&mut longer, &path).unwrap_err().to_string();
        assert!(error.contains("tensor '5.weight' is F32 [8, 96], expected F32 [8, 160]"), "{error}");
        assert_eq!(of(&network(200, 1, 2), "0.weight"), of(&longer, "0.weight"), "a refused start changes nothing");
        let config = ModelConfig::default();
        let mut other = Network::new(&config, 128, 1, Strands::Single, tch::Device::Cpu, 1).unwrap();
        let error = start_from(&mut other, &path).unwrap_err().to_string();
        assert!(error.contains("which this network lacks"), "{error}");
    }
}
