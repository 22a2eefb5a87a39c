//! A frozen network of what an enzyme prefers, added to one that predicts profiles: to the logits of the profile, and to the counts
//! once its log counts are moved to the depth of the data.

use super::{Ensemble, Pass, ensemble};
use crate::sequence::profile::ProfileShape;

/// The bias model of a run.
#[derive(Debug)]
pub struct Bias {
    ensemble: Ensemble,
    shape: ProfileShape,
    /// What is added to the log counts of each group.
    shift: Vec<f64>,
}

impl Bias {
    /// Networks whose log counts are moved by `shift`.
    pub fn new(ensemble: Ensemble, shape: ProfileShape, shift: Vec<f64>) -> Self {
        Self { ensemble, shape, shift }
    }

    /// The networks alone, without what is added to their log counts.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Moves the log counts of logits `[n, outputs]` to the depth of the data.
    pub fn shift(&self, logits: &mut [f32]) {
        let values = self.shape.values();
        for row in logits.chunks_mut(self.shape.outputs()) {
            row[values..].iter_mut().zip(&self.shift).for_each(|(log, shift)| *log += *shift as f32);
        }
    }

    /// What the model alone gives for codes `[n, length]`.
    pub fn score(&self, codes: &[u8]) -> Vec<f32> {
        ensemble::logits(&self.ensemble, codes)
    }

    /// Logits of a network together with what the model alone gives for the same sequences, `[n, outputs]` both.
    pub fn added_to(&self, logits: &[f32], own: &[f32]) -> Vec<f32> {
        let (values, outputs) = (self.shape.values(), self.shape.outputs());
        let mut sum = Vec::with_capacity(logits.len());
        for (logits, own) in logits.chunks_exact(outputs).zip(own.chunks_exact(outputs)) {
            sum.extend(logits[..values].iter().zip(own).map(|(logit, own)| logit + own));
            let counts = logits[values..].iter().zip(&own[values..]).zip(&self.shift);
            sum.extend(counts.map(|((log, own), shift)| add_in_logs(*log, own + *shift as f32)));
        }
        sum
    }

    /// The logits of the model for inputs `[n, 4, length]`, and the passes that made them.
    pub(super) fn record(&self, inputs: &[f32]) -> (Vec<f32>, Vec<Pass>) {
        let (each, passes): (Vec<Vec<f32>>, Vec<Pass>) =
            self.ensemble.iter().map(|network| network.record(inputs)).unzip();
        let mut sum = None;
        each.into_iter().for_each(|logits| super::add(&mut sum, logits));
        let share = 1.0 / self.ensemble.len() as f32;
        (sum.unwrap_or_default().into_iter().map(|sum| sum * share).collect(), passes)
    }

    /// Gradients of the network's logits and of the model's, from those of their sum.
    pub(super) fn gradients(&self, gradient: &[f32], logits: &[f32], own: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (values, outputs) = (self.shape.values(), self.shape.outputs());
        let (mut of_network, mut of_model) = (gradient.to_vec(), gradient.to_vec());
        for (i, (logits, own)) in logits.chunks_exact(outputs).zip(own.chunks_exact(outputs)).enumerate() {
            for (group, shift) in self.shift.iter().enumerate() {
                let difference = logits[values + group] - own[values + group] - *shift as f32;
                let share = 1.0 / (1.0 + (-difference).exp());
                of_network[i * outputs + values + group] *= share;
                of_model[i * outputs + values + group] *= 1.0 - share;
            }
        }
        (of_network, of_model)
    }

    /// Gradients of inputs from those of the model's logits.
    pub(super) fn backward(&self, gradient: &[f32], passes: Vec<Pass>) -> Vec<f32> {
        let share = 1.0 / self.ensemble.len() as f32;
        let gradient: Vec<f32> = gradient.iter().map(|part| part * share).collect();
        let mut found = None;
        for (network, pass) in self.ensemble.iter().zip(passes) {
            super::add(&mut found, network.backward(&gradient, pass));
        }
        found.unwrap_or_default()
    }
}

/// The log of the sum of two numbers given by their logs.
fn add_in_logs(a: f32, b: f32) -> f32 {
    let (more, less) = if a > b { (a, b) } else { (b, a) };
    more + (less - more).exp().ln_1p()
}
