//! Several networks with one voice: the mean of their logits. One network alone is an ensemble of one.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use tch::{Device, Tensor};

use crate::model::bias::Bias;
use crate::model::{Network, weights};
use strandnet_core::config::Config;
use strandnet_core::network::Outputs;
use strandnet_core::network::plan::Plan;

/// The members of an ensemble, one or more of the same shape.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Network>,
}

impl Ensemble {
    /// An ensemble of one network or several.
    pub fn new(members: Vec<Network>) -> Self {
        Self { members }
    }

    /// The device that all members are on.
    pub fn device(&self) -> Device {
        self.members.first().map_or(Device::Cpu, |network| network.store.device())
    }

    /// The same with a bias model added to what each member gives, or without.
    pub fn with_bias(self, bias: Option<&Rc<Bias>>) -> Self {
        Self::new(self.members.into_iter().map(|network| network.with_bias(bias.cloned())).collect())
    }

    /// The members themselves.
    pub fn into_members(self) -> Vec<Network> {
        self.members
    }
}

impl std::ops::Deref for Ensemble {
    type Target = [Network];

    fn deref(&self) -> &[Network] {
        &self.members
    }
}

/// The networks that a configuration describes, with the weights in a file. It must be large enough for them before any is
/// made, so that sizes which nothing was trained with take no memory.
///
/// # Errors
/// The network does not fit fragments of `length` bp, or the weights do not fit the network.
pub fn load(
    config: &Config,
    length: usize,
    outputs: impl Into<Outputs>,
    device: Device,
    path: &Path,
) -> Result<Vec<Network>> {
    let outputs = outputs.into();
    let Config { model, training, .. } = config;
    let parameters = Plan::new(model, length, outputs.clone(), training.strands)?.parameters();
    let bytes = std::fs::metadata(path)
        .with_context(|| format!("{}: cannot be read; is this a finished run folder?", path.display()))?
        .len();
    let least = parameters as u64 * training.ensemble as u64 * size_of::<f32>() as u64;
    if bytes < least {
        bail!(
            "{}: has {bytes} bytes, expected {least} or more for this network; is it from another run?",
            path.display()
        );
    }
    let network = || {
        Network::new(model, length, outputs.clone(), training.strands, device, 0)
            .map(|network| network.without_native(training.no_native))
    };
    let mut networks = (0..training.ensemble).map(|_| network()).collect::<Result<Vec<_>>>()?;
    weights::load(&mut networks, path)?;
    Ok(networks)
}

/// Scoring logits `[batch, outputs]` of codes `[batch, length]`, on the networks' device.
///
/// # Panics
/// There is no network.
pub fn logits(networks: &[Network], codes: &[u8]) -> Tensor {
    mean(networks.iter().map(|network| network.score(codes)))
}

/// The same for windows that start at `starts` of codes, one not before the other.
///
/// # Panics
/// There is no network.
pub fn logits_of_windows(networks: &[Network], codes: &[u8], starts: &[usize]) -> Tensor {
    mean(networks.iter().map(|network| network.score_windows(codes, starts)))
}

/// Scoring logits `[batch, outputs]` of one-hot sequences, f32 `[batch, 4, length]`, all by libtorch.
///
/// # Panics
/// There is no network.
pub fn logits_of_one_hot(networks: &[Network], one_hot: &Tensor) -> Tensor {
    mean(networks.iter().map(|network| network.logits_of_one_hot(one_hot, false)))
}

/// The mean of the members' logits. Always added up in the same order, so that it does not matter who does it.
///
/// # Panics
/// There is no member.
pub fn mean(members: impl ExactSizeIterator<Item = Tensor>) -> Tensor {
    let count = members.len();
    let sum = members.reduce(|sum, logits| sum + logits).expect("an ensemble has a member or more");
    if count == 1 { sum } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::config::{Architecture, ModelConfig};

    #[test]
    fn a_network_that_its_weights_are_too_small_for_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let mut config = Config {
            model: ModelConfig { arch: Architecture::Shallow, ..ModelConfig::default() },
            ..Config::default()
        };
        let saved = Network::new(&config.model, 128, 1, config.training.strands, Device::Cpu, 1).unwrap();
        weights::save(&[&saved], &[1], &path).unwrap();
        assert_eq!(load(&config, 128, 1, Device::Cpu, &path).unwrap().len(), 1);
        let refused = |config: &Config, length| load(config, length, 1, Device::Cpu, &path).unwrap_err().to_string();
        let error = refused(&config, 1_000_000);
        assert!(error.contains("or more for this network; is it from another run?"), "{error}");
        config.training.ensemble = 100;
        let error = refused(&config, 128);
        assert!(error.contains("or more for this network"), "{error}");
    }
}
