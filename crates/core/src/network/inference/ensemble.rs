//! Several networks with one voice: the mean of their logits, always added up in the same order.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::{Bias, Network};
#[cfg(feature = "files")]
use crate::config::Config;
use crate::config::{ModelConfig, Strands};
use crate::network::Outputs;
use crate::network::plan::Plan;
use crate::network::tensor_file::TensorFile;
use crate::network::tensors;
use crate::network::weights::{self, About};
use crate::scorer::{Differentiable, Pending, Scorer, Scores};

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

    #[cfg(feature = "files")]
    /// The networks that a configuration describes, with the weights in a file.
    ///
    /// # Errors
    /// The network does not fit sequences of `length` bp, or the weights do not fit the network.
    pub fn load(config: &Config, length: usize, outputs: impl Into<Outputs>, path: &Path) -> Result<Self> {
        let Config { model, training, .. } = config;
        Self::of_weights(model, training.strands, training.ensemble, length, outputs, &weights::read(path)?, path)
    }

    /// The same of a file of weights that is read already; `path` is its name in messages.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of_weights(
        model: &ModelConfig,
        strands: Strands,
        members: usize,
        length: usize,
        outputs: impl Into<Outputs>,
        file: &TensorFile<About>,
        path: &Path,
    ) -> Result<Self> {
        let plan = Plan::new(model, length, outputs, strands)?;
        let shapes = tensors::shapes(&plan);
        let expected = shapes.len() * members;
        if file.tensors.len() != expected || file.about.epochs.len() != members {
            bail!(
                "{}: holds {} tensors, expected {expected} for this network; is it from another run?",
                path.display(),
                file.tensors.len()
            );
        }
        let member = |member| {
            let parameters = weights::parameters_of(file, &shapes, member, path)?;
            Network::of_plan(&plan, strands, &parameters).with_context(|| path.display().to_string())
        };
        Ok(Self { members: (0..members).map(member).collect::<Result<_>>()? })
    }

    /// The same with a bias model added to what each member gives, or without.
    pub fn with_bias(self, bias: Option<&Arc<Bias>>) -> Self {
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

impl Scorer for Ensemble {
    fn length(&self) -> usize {
        self.members.first().map_or(0, |network| network.length)
    }

    fn submit(&self, codes: &[u8]) -> Result<Pending> {
        submit(self, codes)
    }

    fn submit_windows(&self, codes: &[u8], starts: &[usize]) -> Result<Pending> {
        submit_windows(self, codes, starts)
    }

    fn add_control(&self, counts: &[f32], logits: &mut [f32]) -> Result<()> {
        add_control(self, counts, logits);
        Ok(())
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for Ensemble {
    fn score_inputs(&self, inputs: &[f32]) -> Result<Scores> {
        Ok(score_inputs(self, inputs))
    }

    fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
        Ok(gradients(self, inputs, derivatives))
    }
}

/// The mean of what each of several networks gives.
fn mean(networks: &[Network], of: impl Fn(&Network) -> Vec<f32>) -> Vec<f32> {
    let mut sum = None;
    networks.iter().for_each(|network| super::add(&mut sum, of(network)));
    let mut mean = sum.unwrap_or_default();
    if networks.len() > 1 {
        mean.iter_mut().for_each(|sum| *sum /= networks.len() as f32);
    }
    mean
}

pub(super) fn logits(networks: &[Network], codes: &[u8]) -> Vec<f32> {
    mean(networks, |network| network.logits(codes))
}

fn scores(networks: &[Network], logits: Vec<f32>) -> Scores {
    Scores::of_logits(logits, networks.first().map_or(1, |network| network.outputs.numbers()))
}

pub(super) fn submit(networks: &[Network], codes: &[u8]) -> Result<Pending> {
    let length = networks.first().map_or(1, |network| network.length);
    if !codes.len().is_multiple_of(length) {
        bail!("{} codes are no whole sequences of {length} bp", codes.len());
    }
    Ok(Pending::ready(scores(networks, logits(networks, codes))))
}

pub(super) fn submit_windows(networks: &[Network], codes: &[u8], starts: &[usize]) -> Result<Pending> {
    Ok(Pending::ready(scores(networks, mean(networks, |network| network.logits_of_windows(codes, starts)))))
}

/// Adds the networks' part of a control to logits `[n, outputs]`, from its counts.
pub(super) fn add_control(networks: &[Network], counts: &[f32], logits: &mut [f32]) {
    let part = mean(networks, |network| {
        network.control.as_ref().map_or_else(Vec::new, |control| control.logits(counts, network.scores_both()))
    });
    logits.iter_mut().zip(part).for_each(|(logit, part)| *logit += part);
}

pub(super) fn score_inputs(networks: &[Network], inputs: &[f32]) -> Scores {
    scores(networks, mean(networks, |network| network.record(inputs).0))
}

pub(super) fn gradients(networks: &[Network], inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
    let (each, passes): (Vec<Vec<f32>>, Vec<_>) = networks.iter().map(|network| network.record(inputs)).unzip();
    let mut sum = None;
    each.into_iter().for_each(|logits| super::add(&mut sum, logits));
    let share = 1.0 / networks.len() as f32;
    let logits: Vec<f32> = sum.unwrap_or_default().into_iter().map(|sum| sum * share).collect();
    let gradient: Vec<f32> = derivatives(&logits).into_iter().map(|derivative| derivative * share).collect();
    let mut found = None;
    for (network, pass) in networks.iter().zip(passes) {
        super::add(&mut found, network.backward(&gradient, pass));
    }
    found.unwrap_or_default()
}
