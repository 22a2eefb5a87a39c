//! How much each base adds to a network's answer, by its gradients: saliency times input (Simonyan and others, 2014) and
//! integrated gradients (Sundararajan and others, 2017).

use anyhow::Result;
use clap::ValueEnum;
use tch::{Device, Kind, Tensor};

use super::explained::Explainer;
use crate::data::shuffle::dinucleotide_shuffle;
use crate::evaluate;
use crate::random::{self, Purpose};

/// Shuffled copies whose mean is a baseline: their frequencies are then known to about a tenth.
const SHUFFLES: u64 = 20;

/// How far attributions may be from adding up, as a share of what they should add up to.
pub const TOLERANCE: f64 = 0.01;

/// How often the steps of a path may be doubled.
const DOUBLINGS: u32 = 7;

/// A backward pass holds on to what every layer made; a batch is that much smaller than one that is only scored.
pub const BACKWARD_SHARE: usize = 4;

/// Where the path of integrated gradients begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Baseline {
    /// No base anywhere: an unknown sequence
    Zeros,
    /// The mean of 20 copies of the sequence that are shuffled with their dinucleotides kept
    Shuffles,
}

/// The gradient of the explained number at a sequence, times the sequence: `[4, length]`, 0 for bases that are not there.
///
/// # Errors
/// As `Explainer::gradients`.
pub fn saliency_times_input(explainer: &Explainer, codes: &[u8]) -> Result<Vec<f32>> {
    let input = explainer.input(codes);
    numbers(&(explainer.gradients(&input)? * input))
}

/// A path of integrated gradients.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub baseline: Baseline,
    /// To begin with.
    pub steps: usize,
    pub seed: u64,
}

/// What the gradients along a path come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Integrated {
    /// `[4, length]`
    pub attributions: Vec<f32>,
    /// What they should add up to: the number of the sequence less that of the baseline.
    pub difference: f64,
    /// What they do add up to.
    pub sum: f64,
    pub steps: usize,
}

impl Integrated {
    /// How far the attributions are from adding up, as a share of the difference; of a difference that is small beside the
    /// attributions, as these cancel, as a share of a tenth of all these.
    pub fn error(&self) -> f64 {
        let all: f64 = self.attributions.iter().map(|&part| f64::from(part).abs()).sum();
        let whole = self.difference.abs().max(all / 10.0);
        if whole == 0.0 { 0.0 } else { (self.sum - self.difference).abs() / whole }
    }
}

impl Path {
    /// Follows the path to one sequence, the `index`th, by the midpoint rule; with twice the steps for as long as the
    /// attributions do not add up, within reason. `own` is the part of the codes that are the sequence's.
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
            Baseline::Zeros => input.zeros_like(),
            Baseline::Shuffles => self.mean_shuffle(explainer, codes, own, index),
        };
        let way = &input - &from;
        let ends = explainer.score_inputs(&Tensor::cat(&[&from, &input], 0))?;
        let difference = ends[1] - ends[0];
        let mut steps = self.steps;
        loop {
            let product = self.mean_gradient(explainer, &from, &way, steps)? * &way;
            let sum = product.sum(Kind::Double).double_value(&[]);
            let found = Integrated { attributions: numbers(&product)?, difference, sum, steps };
            if found.error() <= TOLERANCE || steps >= self.steps << DOUBLINGS {
                return Ok(found);
            }
            steps *= 2;
        }
    }

    /// The mean of the gradients in the middle of each step, `[1, 4, length]`.
    fn mean_gradient(&self, explainer: &Explainer, from: &Tensor, way: &Tensor, steps: usize) -> Result<Tensor> {
        let size = (evaluate::batch_size(explainer.length) / BACKWARD_SHARE).max(1);
        let mut sum = from.zeros_like();
        for first in (0..steps).step_by(size) {
            let shares: Vec<f32> =
                (first..(first + size).min(steps)).map(|step| ((step as f64 + 0.5) / steps as f64) as f32).collect();
            let shares = Tensor::from_slice(&shares).to_device(from.device()).view([-1, 1, 1]);
            let gradients = explainer.gradients(&(from + way * shares))?;
            sum += gradients.sum_dim_intlist([0i64].as_slice(), true, Kind::Float);
        }
        Ok(sum / steps as f64)
    }

    fn mean_shuffle(&self, explainer: &Explainer, codes: &[u8], own: std::ops::Range<usize>, index: u64) -> Tensor {
        let shuffled = (0..SHUFFLES).flat_map(|copy| {
            let mut random = random::generator(self.seed, Purpose::Baseline, index, copy);
            let mut whole = codes.to_vec();
            whole[own.clone()].copy_from_slice(&dinucleotide_shuffle(&codes[own.clone()], &mut random));
            whole
        });
        explainer.input(&shuffled.collect::<Vec<u8>>()).mean_dim([0i64].as_slice(), true, Kind::Float)
    }
}

/// How much each base counts, `[length]`: the sum of attributions `[4, length]` over the bases.
pub fn importance(attributions: &[f32]) -> Vec<f32> {
    let length = attributions.len() / 4;
    (0..length).map(|position| (0..4).map(|base| attributions[base * length + position]).sum()).collect()
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::<f32>::try_from(tensor.to_device(Device::Cpu).to_kind(Kind::Float).flatten(0, -1))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, ClassWeights, ModelConfig, Strands, TaskKind};
    use crate::data::Classes;
    use crate::data::examples::Examples;
    use crate::explain::explained::Explained;
    use crate::explain::mutagenesis;
    use crate::model::Network;
    use crate::task::Task;

    fn binary() -> Explained {
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let labels = Examples::of(&[0; 4], 2, &[0.0, 1.0]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &labels).unwrap();
        Explained::new(&task, &classes, None).unwrap()
    }

    fn codes() -> Vec<u8> {
        (0..60u32).map(|i| if i == 7 { 4 } else { ((i * i + i / 7) % 4) as u8 }).collect()
    }

    fn each_network(check: impl Fn(&Explainer)) {
        let explained = binary();
        for arch in [Architecture::Seed, Architecture::Residual, Architecture::Danq] {
            for strands in [Strands::Single, Strands::Average, Strands::Equivariant] {
                let config = ModelConfig { arch, ..ModelConfig::default() };
                let networks = [1, 2].map(|seed| Network::new(&config, 60, 1, strands, Device::Cpu, seed));
                let Ok(networks) = networks.into_iter().collect::<Result<Vec<_>>>() else { continue };
                check(&Explainer { networks: &networks, explained: &explained, length: 60 });
            }
        }
    }

    #[test]
    fn mutagenesis_is_what_each_mutant_scores_alone() {
        let codes = codes();
        each_network(|explainer| {
            let score = explainer.score(&codes).unwrap()[0];
            let changes = mutagenesis::changes(explainer, &codes, score).unwrap();
            for position in (0..60).step_by(7) {
                for base in 0..4u8 {
                    let mut mutant = codes.clone();
                    mutant[position] = base;
                    let alone = explainer.score(&mutant).unwrap()[0] - score;
                    let found = f64::from(changes[usize::from(base) * 60 + position]);
                    assert!((alone - found).abs() < 1e-5, "{position} {base}: {alone} {found}");
                }
            }
            let importance = mutagenesis::importance(&codes, &changes);
            assert_eq!(importance[7], 0.0);
            let mean = (changes[3] + changes[63] + changes[123] + changes[183]) / 3.0;
            assert!((importance[3] + mean).abs() < 1e-6);
        });
    }

    #[test]
    fn saliency_is_the_slope_towards_each_base() {
        let codes = codes();
        each_network(|explainer| {
            let saliency = saliency_times_input(explainer, &codes).unwrap();
            let input = explainer.input(&codes);
            for position in [3, 20, 41] {
                let nudged = |by: f64| {
                    let mut nudge = vec![0.0f32; 240];
                    nudge[usize::from(codes[position]) * 60 + position] = by as f32;
                    explainer.score_inputs(&(&input + Tensor::from_slice(&nudge).view([1, 4, 60]))).unwrap()[0]
                };
                let slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2;
                let found = f64::from(importance(&saliency)[position]);
                assert!((slope - found).abs() < 0.02 * slope.abs().max(0.05), "{position}: {slope} {found}");
            }
            assert_eq!(importance(&saliency)[7], 0.0, "an unknown base has no part");
        });
    }

    #[test]
    fn integrated_gradients_add_up_from_either_baseline() {
        let codes = codes();
        each_network(|explainer| {
            for baseline in [Baseline::Zeros, Baseline::Shuffles] {
                let path = Path { baseline, steps: 32, seed: 1 };
                let found = path.integrate(explainer, &codes, 0..60, 0).unwrap();
                assert!(found.error() <= TOLERANCE, "{baseline:?}: {} in {} steps", found.error(), found.steps);
                let again = path.integrate(explainer, &codes, 0..60, 0).unwrap();
                assert_eq!(again.attributions, found.attributions);
                let sum: f64 = importance(&found.attributions).iter().map(|&part| f64::from(part)).sum();
                assert!((sum - found.sum).abs() < 1e-4);
            }
        });
    }
}
