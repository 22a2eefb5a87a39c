//! Gradient-based attribution: saliency times input (Simonyan and others, 2014) and integrated gradients (Sundararajan
//! and others, 2017).

use anyhow::Result;

use crate::attribute::target::Explainer;
use crate::config::AttributionBaseline;
use crate::random::{self, Purpose};
use crate::scorer;
use crate::sequence::shuffle::dinucleotide_shuffle;

/// Number of shuffled copies averaged into a baseline, which estimates its base frequencies to about a tenth.
const SHUFFLES: u64 = 20;

/// Largest relative error of the completeness axiom (attributions sum to the difference of outputs).
pub const TOLERANCE: f64 = 0.01;

/// How often the number of steps of a path may be doubled.
const DOUBLINGS: u32 = 7;

/// A backward pass keeps the activations of every layer, so its batches are this much smaller than those of scoring.
pub const BACKWARD_SHARE: usize = 4;

/// Gradient of the target with respect to a sequence, times the sequence: `[4, length]`, 0 for bases that are not
/// there.
///
/// # Errors
/// As `Explainer::gradients`.
pub fn saliency_times_input(explainer: &Explainer, codes: &[u8]) -> Result<Vec<f32>> {
    let input = explainer.input(codes);
    Ok(product(&explainer.gradients(&input)?, &input))
}

/// The path that gradients are integrated along.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Where the path begins.
    pub baseline: AttributionBaseline,
    /// Number of steps to begin with.
    pub steps: usize,
    /// Seed of the shuffled copies.
    pub seed: u64,
}

/// Integrated gradients along a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Integrated {
    /// Attributions, `[4, length]`.
    pub attributions: Vec<f32>,
    /// What they should sum to: the target at the sequence minus the target at the baseline.
    pub difference: f64,
    /// What they do sum to.
    pub sum: f64,
    /// Number of steps taken in the end.
    pub steps: usize,
}

impl Integrated {
    /// Error of the sum, relative to the difference of the targets; if that is small because attributions cancel,
    /// relative to a tenth of the sum of their absolute values.
    pub fn error(&self) -> f64 {
        let all: f64 = self.attributions.iter().map(|&part| f64::from(part).abs()).sum();
        let whole = self.difference.abs().max(all / 10.0);
        if whole == 0.0 { 0.0 } else { (self.sum - self.difference).abs() / whole }
    }
}

impl Path {
    /// Integrates gradients along the path to the `index`th sequence by the midpoint rule, doubling the steps until the
    /// attributions sum up or the limit is reached. `own` is the range of the codes that are not padding.
    ///
    /// # Errors
    /// As `Explainer::gradients`.
    pub fn integrate(
        &self,
        explainer: &Explainer,
        codes: &[u8],
        own: std::ops::Range<usize>,
        index: u64,
    ) -> Result<Integrated> {
        let input = explainer.input(codes);
        let from = match self.baseline {
            AttributionBaseline::Zeros => vec![0.0; input.len()],
            AttributionBaseline::Shuffles => self.mean_shuffle(explainer, codes, own, index),
        };
        let way: Vec<f32> = input.iter().zip(&from).map(|(to, from)| to - from).collect();
        let ends = explainer.score_inputs(&[from.as_slice(), &input].concat())?;
        let difference = ends[1] - ends[0];
        let mut steps = self.steps;
        loop {
            let attributions = product(&self.mean_gradient(explainer, &from, &way, steps)?, &way);
            let sum = attributions.iter().map(|&part| f64::from(part)).sum();
            let found = Integrated { attributions, difference, sum, steps };
            if found.error() <= TOLERANCE || steps >= self.steps << DOUBLINGS {
                return Ok(found);
            }
            steps *= 2;
        }
    }

    /// Mean of the gradients at the midpoint of each step, `[4, length]`.
    fn mean_gradient(&self, explainer: &Explainer, from: &[f32], way: &[f32], steps: usize) -> Result<Vec<f32>> {
        let size = (scorer::batch_size(explainer.length()) / BACKWARD_SHARE).max(1);
        let mut sum = vec![0.0f64; from.len()];
        for first in (0..steps).step_by(size) {
            let shares = (first..(first + size).min(steps)).map(|step| ((step as f64 + 0.5) / steps as f64) as f32);
            let inputs: Vec<f32> =
                shares.flat_map(|share| from.iter().zip(way).map(move |(from, way)| from + way * share)).collect();
            for gradient in explainer.gradients(&inputs)?.chunks(from.len()) {
                sum.iter_mut().zip(gradient).for_each(|(sum, &part)| *sum += f64::from(part));
            }
        }
        Ok(sum.into_iter().map(|sum| (sum / steps as f64) as f32).collect())
    }

    fn mean_shuffle(&self, explainer: &Explainer, codes: &[u8], own: std::ops::Range<usize>, index: u64) -> Vec<f32> {
        let mut sum = vec![0.0f32; 4 * codes.len()];
        for copy in 0..SHUFFLES {
            let mut random = random::generator(self.seed, Purpose::Baseline, index, copy);
            let mut whole = codes.to_vec();
            whole[own.clone()].copy_from_slice(&dinucleotide_shuffle(&codes[own.clone()], &mut random));
            sum.iter_mut().zip(explainer.input(&whole)).for_each(|(sum, part)| *sum += part);
        }
        sum.into_iter().map(|sum| sum / SHUFFLES as f32).collect()
    }
}

/// Importance of each base, `[length]`: the sum of attributions `[4, length]` over the bases.
pub fn importance(attributions: &[f32]) -> Vec<f32> {
    let length = attributions.len() / 4;
    (0..length).map(|position| (0..4).map(|base| attributions[base * length + position]).sum()).collect()
}

fn product(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}
