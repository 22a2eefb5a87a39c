//! Weights as safetensors, under the names that the equivalent PyTorch module's `state_dict` gives them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use strandnet_core::run::weights::{About, name_in_file};
use tch::{Kind, Tensor};

use crate::model::Network;
use crate::model::tensor_file;
use crate::model::tensor_file::TensorFile;
use crate::no_grad::no_grad;

/// What to do where weights are damaged.
const ADVICE: &str = "train again or restore the file";

/// The tensors of an ensemble: those of a single network under their own names, those of more under `members.0.` and so on,
/// as a `ModuleList` in PyTorch names them.
fn variables(networks: &[&Network]) -> Vec<(String, Tensor)> {
    let of_member = |(member, network): (usize, &&Network)| {
        let named = |(own, tensor): (String, Tensor)| (name_in_file(networks.len(), member, &own), tensor);
        network.store.variables().into_iter().map(named).collect::<Vec<_>>()
    };
    let mut variables: Vec<(String, Tensor)> = networks.iter().enumerate().flat_map(of_member).collect();
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    variables
}

/// Writes the weights of an ensemble whole or not at all; `epochs` are those the members are from, counted from 1.
///
/// # Errors
/// The file cannot be written.
pub fn save(networks: &[&Network], epochs: &[usize], path: &Path) -> Result<()> {
    tensor_file::write(variables(networks), &About { epochs: epochs.to_vec() }, path, None)
}

/// Reads weights into an ensemble of the same shape and returns the epochs that the members are from.
///
/// # Errors
/// The file is missing, damaged, of a newer format, or does not fit the network.
pub fn load(networks: &mut [Network], path: &Path) -> Result<Vec<usize>> {
    let file = path.display();
    let TensorFile { tensors, about: About { epochs } } = tensor_file::read(path, ADVICE)?;
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
    let TensorFile { tensors, about: About { epochs } } = tensor_file::read(path, ADVICE)?;
    // As `variables` names them.
    let prefix = if epochs.len() > 1 { format!("members.{}.", member % epochs.len()) } else { String::new() };
    let in_file = |name: &str| format!("{prefix}{name}");
    let outputs: Vec<String> = network.plan.output_paths().into_iter().map(|path| format!("{path}.")).collect();
    // In the order of their names, so that of several that do not fit the same one is named each time.
    let (output, others): (Vec<_>, Vec<_>) =
        variables(&[&*network]).into_iter().partition(|(name, _)| outputs.iter().any(|path| name.starts_with(path)));
    let surplus = tensors.keys().filter(|name| name.starts_with(&prefix)).find(|&name| {
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

/// What a file holds for a variable.
enum Found {
    Fits(Tensor),
    /// A part of a sentence.
    Misfit(String),
}

fn find(tensors: &BTreeMap<String, Tensor>, name: &str, variable: &Tensor, path: &Path) -> Result<Found> {
    let Some(tensor) = tensors.get(name) else {
        return Ok(Found::Misfit(format!("lacks tensor '{name}', which this network has")));
    };
    if tensor.size() != variable.size() || tensor.kind() != Kind::Float {
        return Ok(Found::Misfit(format!(
            "tensor '{name}' is {} {:?}, expected F32 {:?}",
            if tensor.kind() == Kind::Float { "F32" } else { "F64" },
            tensor.size(),
            variable.size()
        )));
    }
    tensor_file::check_finite(tensors.get_key_value(name), path)?;
    Ok(Found::Fits(tensor.shallow_clone()))
}

fn put(mut variable: Tensor, values: &Tensor) {
    no_grad(|| variable.copy_(values));
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::config::{Architecture, ModelConfig, Strands};

    fn network(length: usize, outputs: usize, seed: u64) -> Network {
        let config = ModelConfig { arch: Architecture::Shallow, ..ModelConfig::default() };
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
