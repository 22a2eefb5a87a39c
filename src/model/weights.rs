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
    let bytes = read(path)?;
    let (tensors, epochs) = parse(&bytes, path)?;
    let variables = variables(&networks.iter().collect::<Vec<_>>());
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
    Ok(epochs)
}

/// Starts a network from the weights of another one of the same architecture: all are taken, but for the output layer
/// where that has another shape or answers another question, which keeps its fresh weights. Returns the names of the tensors
/// that were not taken. Of an ensemble it takes member `member`, counted from 0 and beginning again after the last.
///
/// # Errors
/// As `load`, where any other layer does not fit.
pub fn start_from(network: &mut Network, member: usize, path: &Path, same_question: bool) -> Result<Vec<String>> {
    let file = path.display();
    let bytes = read(path)?;
    let (tensors, epochs) = parse(&bytes, path)?;
    // As `variables` names them.
    let prefix = if epochs.len() > 1 { format!("members.{}.", member % epochs.len()) } else { String::new() };
    let in_file = |name: &str| format!("{prefix}{name}");
    let output = network.plan.output_path().to_owned() + ".";
    // In the order of their names, so that of several that do not fit the same one is named each time.
    let (output, others): (Vec<_>, Vec<_>) =
        variables(&[&*network]).into_iter().partition(|(name, _)| name.starts_with(&output));
    let surplus = tensors.names().into_iter().filter(|name| name.starts_with(&prefix)).find(|&name| {
        let own = others.iter().chain(&output).any(|(own, _)| in_file(own) == *name);
        !own
    });
    if let Some(name) = surplus {
        bail!("{file}: holds tensor '{name}', which this network lacks; use the run's --arch and its sizes");
    }
    let mut fitting = Vec::new();
    for (name, variable) in others {
        match find(&tensors, &in_file(&name), &variable, path)? {
            Found::Fits(values) => fitting.push((variable, values)),
            Found::Misfit(what) => bail!("{file}: {what}; use the run's --arch, --length, --strands and sizes"),
        }
    }
    let mut left: Vec<String> = output.iter().map(|(name, _)| name.clone()).collect();
    left.sort();
    let mut of_output = Vec::new();
    for (name, variable) in output {
        if let Found::Fits(values) = find(&tensors, &in_file(&name), &variable, path)? {
            of_output.push((variable, values));
        }
    }
    if same_question && of_output.len() == left.len() {
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

/// The tensors of a file, and the epochs that the members are from.
fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<(SafeTensors<'a>, Vec<usize>)> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(path, error))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, error))?;
    let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let metadata: Option<Metadata> = metadata.and_then(|text| serde_json::from_str(text).ok());
    match metadata {
        Some(Metadata { format_version: FORMAT_VERSION, epochs }) => Ok((tensors, epochs)),
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
        for members in [1u64, 3] {
            let ensemble =
                |seed| -> Vec<Network> { (0..members).map(|member| network(128, 1, seed + member)).collect() };
            let (saved, mut loaded) = (ensemble(1), ensemble(10));
            let of = |networks: &[Network]| variables(&networks.iter().collect::<Vec<_>>());
            save(&saved.iter().collect::<Vec<_>>(), &[7, 8, 9][..members as usize], &path).unwrap();
            assert_eq!(load(&mut loaded, &path).unwrap()[0], 7);
            for ((name, saved), (_, loaded)) in of(&saved).into_iter().zip(of(&loaded)) {
                assert_eq!(saved, loaded, "{name}");
            }
        }
        assert!(load(&mut [network(128, 1, 1)], &path).unwrap_err().to_string().contains("tensors"));
        let (saved, mut loaded, mut longer) = (network(128, 1, 1), [network(128, 1, 2)], [network(200, 1, 1)]);
        save(&[&saved], &[1], &path).unwrap();
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
        save(&[&saved], &[7], &path).unwrap();
        let (mut same, mut wider, mut longer) = (network(128, 1, 2), network(128, 3, 2), network(200, 1, 2));
        assert_eq!(start_from(&mut same, 0, &path, true).unwrap(), [""; 0]);
        assert_eq!(start_from(&mut wider, 0, &path, true).unwrap(), ["8.bias", "8.weight"]);
        let of = |network: &Network, name: &str| network.store.variables()[name].shallow_clone();
        for name in ["0.weight", "0.bias", "5.weight", "5.bias"] {
            assert_eq!(of(&saved, name), of(&same, name));
            assert_eq!(of(&saved, name), of(&wider, name));
        }
        assert_eq!(of(&saved, "8.weight"), of(&same, "8.weight"));
        assert_eq!(of(&network(128, 3, 2), "8.weight"), of(&wider, "8.weight"));

        let mut asked_otherwise = network(128, 1, 2);
        assert_eq!(start_from(&mut asked_otherwise, 0, &path, false).unwrap(), ["8.bias", "8.weight"]);
        assert_eq!(of(&network(128, 1, 2), "8.weight"), of(&asked_otherwise, "8.weight"));

        // Of an ensemble, the members one after the other, and then from the first again.
        let ensemble = [network(128, 1, 3), network(128, 1, 4)];
        let several = folder.path().join("several.safetensors");
        save(&ensemble.iter().collect::<Vec<_>>(), &[1, 1], &several).unwrap();
        for (member, source) in [(0, 0), (1, 1), (2, 0)] {
            start_from(&mut same, member, &several, true).unwrap();
            assert_eq!(of(&ensemble[source], "5.weight"), of(&same, "5.weight"));
        }

        let error = start_from(&mut longer, 0, &path, true).unwrap_err().to_string();
        assert!(error.contains("tensor '5.weight' is F32 [8, 96], expected F32 [8, 160]"), "{error}");
        assert_eq!(of(&network(200, 1, 2), "0.weight"), of(&longer, "0.weight"), "a refused start changes nothing");
        let config = ModelConfig::default();
        let mut other = Network::new(&config, 128, 1, Strands::Single, tch::Device::Cpu, 1).unwrap();
        let error = start_from(&mut other, 0, &path, true).unwrap_err().to_string();
        assert!(error.contains("which this network lacks"), "{error}");
    }
}
