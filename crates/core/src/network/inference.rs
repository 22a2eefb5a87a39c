//! Scoring without libtorch: every architecture on the CPU, from its plan and its weights, with gradients of the input.
//!
//! Sequences are computed in parts that stay in the cache, and threads take parts. A score does not depend on what it is computed
//! with, so it is the same for any number of threads and in any batch. Results are tested against libtorch.

mod bias;
mod branch;
mod build;
mod control;
mod convolution;
mod ensemble;
mod features;
mod layers;
mod lstm;
mod pointwise;
mod pools;
mod product;
mod strands;

use std::sync::Arc;

use anyhow::Result;

use crate::config::{Architecture, ModelConfig, Strands};
use crate::network::plan::Plan;
use crate::network::{Outputs, Parameters};
use crate::scorer::{Differentiable, Pending, Scorer, Scores};
use crate::sequence::alphabet;
use crate::sequence::profile::reverse_stretches;
pub use bias::Bias;
use branch::{Branch, Recorded};
use control::Control;
pub use ensemble::Ensemble;

/// Whether networks of an architecture are scored faster here than by libtorch on the CPU, as `scripts/benchmark scoring` finds. What
/// libtorch computes with the kernels of the program has its own kernels here too. A table, so that a result does not depend on the
/// machine.
pub fn is_faster(arch: Architecture) -> bool {
    match arch {
        Architecture::Residual | Architecture::Basset | Architecture::Gated | Architecture::Branched => true,
        // The program has the same kernels.
        Architecture::Shallow | Architecture::Bpnet | Architecture::Bias => false,
        // libtorch's LSTM is faster.
        Architecture::Danq => false,
        // Nobody knows which layers it has.
        Architecture::Custom => false,
    }
}

/// A network with its weights.
#[derive(Debug)]
pub struct Network {
    length: usize,
    outputs: Outputs,
    strands: Strands,
    branches: Vec<Branch>,
    bias: Option<Arc<Bias>>,
    control: Option<Control>,
}

/// A batch on its way back to the gradients of its inputs.
#[derive(Debug)]
struct Pass {
    /// Logits without those of the bias model, `[n, outputs]`.
    own: Vec<f32>,
    /// Of each branch; where both strands are scored one after the other, of the second strand too.
    recorded: Vec<Vec<Vec<Recorded>>>,
    of_bias: Option<(Vec<f32>, Vec<Pass>)>,
}

impl Network {
    /// The network of a configuration with its parameters, which [`tensors`](crate::network::tensors) lists.
    ///
    /// # Errors
    /// The architecture does not fit sequences of `length` bp, or a parameter is missing or has another size.
    pub fn new(
        config: &ModelConfig,
        length: usize,
        outputs: impl Into<Outputs>,
        strands: Strands,
        parameters: &Parameters,
    ) -> Result<Self> {
        Self::of_plan(&Plan::new(config, length, outputs, strands)?, strands, parameters)
    }

    /// The same of a plan.
    ///
    /// # Errors
    /// A parameter is missing or has another size.
    pub fn of_plan(plan: &Plan, strands: Strands, parameters: &Parameters) -> Result<Self> {
        let branches = match plan.branches() {
            Some((first, second)) => vec![(first, true), (second, false)],
            None => vec![(plan.steps.as_slice(), true)],
        };
        let branches = branches.into_iter().map(|(steps, is_first)| Branch::new(plan, steps, is_first, parameters));
        let shape = plan.outputs.profile.as_ref().filter(|shape| shape.control > 0);
        Ok(Self {
            length: plan.length,
            outputs: plan.outputs.clone(),
            strands,
            branches: branches.collect::<Result<_>>()?,
            bias: None,
            control: shape.map(|shape| Control::new(shape, parameters)).transpose()?,
        })
    }

    /// The same with a bias model added to what it gives, or without.
    pub fn with_bias(self, bias: Option<Arc<Bias>>) -> Self {
        Self { bias, ..self }
    }

    /// The bias model that is added to what it gives.
    pub fn bias(&self) -> Option<&Arc<Bias>> {
        self.bias.as_ref()
    }

    /// Whether both strands of a sequence are scored one after the other.
    fn scores_both(&self) -> bool {
        matches!(self.strands, Strands::Average | Strands::Shared)
    }

    /// Logits `[n, outputs]` of codes `[n, length]`.
    pub fn logits(&self, codes: &[u8]) -> Vec<f32> {
        let mut logits = self.logits_of_strand(codes);
        if self.scores_both() {
            let mut other = codes.to_vec();
            other.chunks_mut(self.length).for_each(alphabet::reverse_complement);
            self.average(&mut logits, self.logits_of_strand(&other));
        }
        self.with_bias_of(logits, codes)
    }

    fn logits_of_strand(&self, codes: &[u8]) -> Vec<f32> {
        self.of_branches(self.branches.iter().map(|branch| branch.score(codes)).collect(), codes.len() / self.length)
    }

    /// Logits from the outputs of the branches: those of one sequence follow each other, and strands are averaged where filters are tied
    /// between them.
    fn of_branches(&self, outputs: Vec<Vec<f32>>, n: usize) -> Vec<f32> {
        let rows = if self.strands == Strands::Equivariant { 2 * n } else { n };
        let mut logits = match <[Vec<f32>; 1]>::try_from(outputs) {
            Ok([only]) => only,
            Err(several) => {
                let row = |i: usize| {
                    several.iter().flat_map(move |part| {
                        part[i * (part.len() / rows)..(i + 1) * (part.len() / rows)].iter().copied()
                    })
                };
                (0..rows).flat_map(row).collect()
            }
        };
        if self.strands == Strands::Equivariant {
            let numbers = self.outputs.numbers();
            let other = logits.chunks_exact(2 * numbers).flat_map(|both| both[numbers..].iter().copied()).collect();
            logits = logits.chunks_exact(2 * numbers).flat_map(|both| both[..numbers].iter().copied()).collect();
            self.average(&mut logits, other);
        }
        logits
    }

    /// Means of logits and of those of the other strand, brought into the direction of the first.
    fn average(&self, logits: &mut [f32], mut other: Vec<f32>) {
        self.mirror(&mut other);
        logits.iter_mut().zip(other).for_each(|(own, other)| *own = (*own + other) * 0.5);
    }

    fn mirror(&self, logits: &mut [f32]) {
        let stretches = self.outputs.mirrored();
        logits.chunks_mut(self.outputs.numbers()).for_each(|row| reverse_stretches(row, &stretches));
    }

    fn with_bias_of(&self, logits: Vec<f32>, codes: &[u8]) -> Vec<f32> {
        match &self.bias {
            Some(bias) => bias.added_to(&logits, &bias.score(codes)),
            None => logits,
        }
    }

    /// Logits of windows that start at `starts` of codes, in ascending order.
    pub fn logits_of_windows(&self, codes: &[u8], starts: &[usize]) -> Vec<f32> {
        let [branch] = self.branches.as_slice() else { return self.logits(&windows(codes, starts, self.length)) };
        let scanned = branch.scan(codes, starts).and_then(|mut logits| {
            if self.scores_both() {
                let mut reversed = codes.to_vec();
                alphabet::reverse_complement(&mut reversed);
                let ends: Vec<usize> = starts.iter().rev().map(|start| codes.len() - start - self.length).collect();
                let other = branch.scan(&reversed, &ends)?;
                let numbers = self.outputs.numbers();
                self.average(&mut logits, other.chunks_exact(numbers).rev().flatten().copied().collect());
            }
            Some(logits)
        });
        scanned.unwrap_or_else(|| self.logits(&windows(codes, starts, self.length)))
    }

    /// Logits of inputs `[n, 4, length]`, which need not be one-hot, and the pass that made them.
    fn record(&self, inputs: &[f32]) -> (Vec<f32>, Pass) {
        let n = inputs.len() / (4 * self.length);
        let one_way = |inputs: &[f32]| {
            let (outputs, recorded): (Vec<_>, Vec<_>) =
                self.branches.iter().map(|branch| branch.record(inputs)).unzip();
            (self.of_branches(outputs, n), recorded)
        };
        let (mut own, recorded) = one_way(inputs);
        let mut recorded = vec![recorded];
        if self.scores_both() {
            let (other, of_other) = one_way(&reversed(inputs, self.length));
            self.average(&mut own, other);
            recorded.push(of_other);
        }
        let of_bias = self.bias.as_ref().map(|bias| bias.record(inputs));
        let logits = match (&self.bias, &of_bias) {
            (Some(bias), Some((of_bias, _))) => bias.added_to(&own, of_bias),
            _ => own.clone(),
        };
        (logits, Pass { own, recorded, of_bias })
    }

    /// Gradients of inputs `[n, 4, length]` from those of the logits `[n, outputs]`.
    fn backward(&self, gradient: &[f32], pass: Pass) -> Vec<f32> {
        let (own, of_bias) = match (&self.bias, pass.of_bias) {
            (Some(bias), Some((logits, passes))) => {
                let (own, of_bias) = bias.gradients(gradient, &pass.own, &logits);
                (own, Some(bias.backward(&of_bias, passes)))
            }
            _ => (gradient.to_vec(), None),
        };
        let is_both = pass.recorded.len() > 1;
        let own: Vec<f32> = if is_both { own.iter().map(|part| part * 0.5).collect() } else { own };
        let mut found: Option<Vec<f32>> = None;
        for (strand, recorded) in pass.recorded.into_iter().enumerate() {
            let mut of_logits = own.clone();
            if strand == 1 {
                self.mirror(&mut of_logits);
            }
            let gradient = self.back_through_branches(&of_logits, recorded);
            let gradient = if strand == 1 { reversed(&gradient, self.length) } else { gradient };
            add(&mut found, gradient);
        }
        if let Some(of_bias) = of_bias {
            add(&mut found, of_bias);
        }
        found.unwrap_or_default()
    }

    fn back_through_branches(&self, gradient: &[f32], recorded: Vec<Vec<Recorded>>) -> Vec<f32> {
        let numbers = self.outputs.numbers();
        let of_strands;
        let rows = if self.strands == Strands::Equivariant {
            let mut other: Vec<f32> = gradient.iter().map(|part| part * 0.5).collect();
            let own = other.clone();
            self.mirror(&mut other);
            let both = own.chunks_exact(numbers).zip(other.chunks_exact(numbers));
            of_strands = both.flat_map(|(own, other)| [own, other].concat()).collect::<Vec<_>>();
            &of_strands
        } else {
            gradient
        };
        let mut found: Option<Vec<f32>> = None;
        let mut first = 0;
        for (branch, recorded) in self.branches.iter().zip(recorded) {
            let width = recorded.first().map_or(0, Recorded::numbers);
            let own: Vec<f32> = rows.chunks_exact(numbers).flat_map(|row| row[first..first + width].to_vec()).collect();
            first += width;
            add(&mut found, branch.backward(&own, recorded));
        }
        found.unwrap_or_default()
    }
}

/// Adds numbers to those so far.
fn add(sum: &mut Option<Vec<f32>>, part: Vec<f32>) {
    match sum {
        Some(sum) => sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
        None => *sum = Some(part),
    }
}

/// Inputs `[n, 4, length]` of the other strand: both the rows A, C, G, T and the positions reversed.
fn reversed(inputs: &[f32], length: usize) -> Vec<f32> {
    inputs.chunks_exact(4 * length).flat_map(|input| input.iter().rev()).copied().collect()
}

/// The codes of each window.
fn windows(codes: &[u8], starts: &[usize], length: usize) -> Vec<u8> {
    starts.iter().flat_map(|&start| &codes[start..start + length]).copied().collect()
}

impl Scorer for Network {
    fn length(&self) -> usize {
        self.length
    }

    fn submit(&self, codes: &[u8]) -> Result<Pending> {
        ensemble::submit(std::slice::from_ref(self), codes)
    }

    fn submit_windows(&self, codes: &[u8], starts: &[usize]) -> Result<Pending> {
        ensemble::submit_windows(std::slice::from_ref(self), codes, starts)
    }

    fn add_control(&self, counts: &[f32], logits: &mut [f32]) -> Result<()> {
        ensemble::add_control(std::slice::from_ref(self), counts, logits);
        Ok(())
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for Network {
    fn score_inputs(&self, inputs: &[f32]) -> Result<Scores> {
        Ok(ensemble::score_inputs(std::slice::from_ref(self), inputs))
    }

    fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
        Ok(ensemble::gradients(std::slice::from_ref(self), inputs, derivatives))
    }
}
