//! Networks and ensembles as core's [`Scorer`]: what evaluation, prediction and attribution take.

use crate::no_grad::no_grad;
use anyhow::{Result, bail};
use strandnet_core::scorer::{Activation, Differentiable, Pending, Scorer, Scores};
use tch::{Device, Kind, Tensor};

use super::ensemble::{self, Ensemble};
use super::{Network, head};
use crate::device;

impl Scorer for Network {
    fn length(&self) -> usize {
        self.length
    }

    fn submit(&self, codes: &[u8]) -> Result<Pending> {
        Ok(pending(no_grad(|| self.score(codes))))
    }

    fn submit_windows(&self, codes: &[u8], starts: &[usize]) -> Result<Pending> {
        Ok(pending(no_grad(|| self.score_windows(codes, starts))))
    }

    fn add_control(&self, counts: &[f32], logits: &mut [f32]) -> Result<()> {
        add_control(std::slice::from_ref(self), counts, logits)
    }

    fn activation(&self) -> Activation {
        head::activate
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Scorer for Ensemble {
    fn length(&self) -> usize {
        self.first().map_or(0, |network| network.length)
    }

    fn submit(&self, codes: &[u8]) -> Result<Pending> {
        Ok(pending(no_grad(|| ensemble::logits(self, codes))))
    }

    fn submit_windows(&self, codes: &[u8], starts: &[usize]) -> Result<Pending> {
        Ok(pending(no_grad(|| ensemble::logits_of_windows(self, codes, starts))))
    }

    fn add_control(&self, counts: &[f32], logits: &mut [f32]) -> Result<()> {
        add_control(self, counts, logits)
    }

    fn activation(&self) -> Activation {
        head::activate
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for Network {
    fn score_inputs(&self, inputs: &[f32]) -> Result<Scores> {
        score_inputs(std::slice::from_ref(self), inputs)
    }

    fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
        gradients(std::slice::from_ref(self), inputs, derivatives)
    }
}

impl Differentiable for Ensemble {
    fn score_inputs(&self, inputs: &[f32]) -> Result<Scores> {
        score_inputs(self, inputs)
    }

    fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
        gradients(self, inputs, derivatives)
    }
}

/// Adds the networks' part of a control to logits `[n, outputs]`, from its counts.
fn add_control(networks: &[Network], counts: &[f32], logits: &mut [f32]) -> Result<()> {
    let Some(network) = networks.first() else { return Ok(()) };
    let Some(shape) = network.plan.outputs.profile.as_ref().filter(|shape| shape.control > 0) else { return Ok(()) };
    let sizes = [-1, shape.control as i64, shape.control_length() as i64];
    let counts = device::to_device(counts, network.device()).view(sizes);
    let part = no_grad(|| ensemble::mean(networks.iter().map(|network| network.control_logits(&counts, false))));
    logits.iter_mut().zip(numbers(&part)?).for_each(|(logit, part)| *logit += part);
    Ok(())
}

/// Scores of logits `[n, outputs]`, which a device may still be computing.
fn pending(logits: Tensor) -> Pending {
    Pending::new(move || scores(&logits))
}

fn scores(logits: &Tensor) -> Result<Scores> {
    let outputs = logits.size().get(1).map_or(1, |&outputs| outputs as usize);
    Ok(Scores::of_logits(numbers(logits)?, outputs))
}

fn score_inputs(networks: &[Network], inputs: &[f32]) -> Result<Scores> {
    scores(&no_grad(|| ensemble::logits_of_one_hot(networks, &tensor(networks, inputs))))
}

fn gradients(networks: &[Network], inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
    let inputs = tensor(networks, inputs).set_requires_grad(true);
    let logits = ensemble::logits_of_one_hot(networks, &inputs);
    let derivatives = Tensor::from_slice(&derivatives(&numbers(&logits)?)).view_as(&logits).to_device(logits.device());
    // Each row depends on its own sequence alone, so the gradient of the sum holds those of all.
    let sum = (logits * derivatives).sum(Kind::Float);
    let gradients = Tensor::run_backward(&[sum], &[&inputs], false, false);
    match gradients.first() {
        Some(gradients) => numbers(gradients),
        None => bail!("the network's scores have no gradients, so they cannot be explained; train again"),
    }
}

/// Inputs f32 `[n, 4, length]`, where the networks are.
fn tensor(networks: &[Network], inputs: &[f32]) -> Tensor {
    let (length, device) = networks.first().map_or((1, Device::Cpu), |network| (network.length, network.device()));
    Tensor::from_slice(inputs).view([-1, 4, length as i64]).to_device(device)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::<f32>::try_from(tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).flatten(0, -1))?)
}

#[cfg(test)]
mod tests;
