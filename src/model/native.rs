//! The first block of a network on the CPU without libtorch, of small networks all of it, and of networks that predict profiles all
//! that these come from: core's kernels with the weights of a network's store. What they compute is tested against the same
//! layers in libtorch.

use std::ops::Range;

use strandnet_core::network::kernels::{Batch, BinaryLoss, FusedStep, Kernels, Key, ProfileBatch, ProfileKernels};
use strandnet_core::network::plan::Plan;
use tch::Tensor;
use tch::nn::VarStore;

/// Kernels and the tensors whose values they compute with.
#[derive(Debug)]
pub struct Native {
    kernels: AnyKernels,
    parameters: Vec<Tensor>,
    /// `[-1, outputs]`, or `[-1, filters, windows]`.
    shape: Vec<i64>,
}

/// Kernels of either kind.
#[derive(Debug)]
enum AnyKernels {
    Block(Kernels),
    Profile(ProfileKernels),
}

/// What kernels made of a batch.
#[derive(Debug)]
enum AnyBatch<'a> {
    Block(Batch<'a>),
    Profile(ProfileBatch<'a>),
}

impl AnyBatch<'_> {
    fn outputs(&self) -> &[f32] {
        match self {
            Self::Block(batch) => batch.outputs(),
            Self::Profile(batch) => batch.outputs(),
        }
    }
}

/// A batch in training, between the forward and the backward pass.
#[derive(Debug)]
pub struct NativeBatch<'a> {
    native: &'a Native,
    batch: AnyBatch<'a>,
}

impl Native {
    /// How many steps of a plan the kernels compute before those that libtorch does: where branches are all of it, of the second.
    pub fn steps(plan: &Plan) -> usize {
        match plan.branches() {
            Some(_) => Kernels::of_second_branch(plan).map_or(0, |(_, steps)| steps),
            None => Kernels::steps(plan).or_else(|| ProfileKernels::new(plan).map(|_| plan.steps.len())).unwrap_or(0),
        }
    }

    /// Computes what it can of a plan, or of the first of its branches, with the weights in a store.
    pub fn new(plan: &Plan, store: &VarStore) -> Option<Self> {
        let block = Kernels::new(plan).map(AnyKernels::Block);
        Self::of(block.or_else(|| ProfileKernels::new(plan).map(AnyKernels::Profile))?, store)
    }

    /// Computes the first block of the second branch.
    pub fn of_second_branch(plan: &Plan, store: &VarStore) -> Option<Self> {
        Self::of(AnyKernels::Block(Kernels::of_second_branch(plan)?.0), store)
    }

    fn of(kernels: AnyKernels, store: &VarStore) -> Option<Self> {
        let (names, outputs) = match &kernels {
            AnyKernels::Block(kernels) => (kernels.parameters(), kernels.output_shape().to_vec()),
            AnyKernels::Profile(kernels) => (kernels.parameters(), vec![kernels.outputs()]),
        };
        let variables = store.variables();
        let parameters =
            names.iter().map(|name| variables.get(name).map(Tensor::shallow_clone)).collect::<Option<_>>()?;
        let shape = std::iter::once(-1).chain(outputs.into_iter().map(|size| size as i64)).collect();
        Some(Self { kernels, parameters, shape })
    }

    /// The kernels where nothing is left to libtorch, not even the loss.
    pub fn all(&self) -> Option<&Kernels> {
        match &self.kernels {
            AnyKernels::Block(kernels) => Some(kernels).filter(|kernels| kernels.is_all()),
            AnyKernels::Profile(_) => None,
        }
    }

    /// Whether it computes in training what libtorch would compute faster in bf16.
    pub fn stands_for_bf16(&self) -> bool {
        matches!(self.kernels, AnyKernels::Profile(_))
    }

    /// The weights that it computes with: of each layer, each with its bias.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// Training steps without libtorch, with parameters that stand at `places` of a flat buffer, for batches of up to `largest`
    /// fragments, by as many threads; nothing where libtorch has a part.
    pub fn fused_step(
        &self,
        places: Vec<Range<usize>>,
        loss: BinaryLoss,
        largest: usize,
        threads: usize,
    ) -> Option<FusedStep> {
        Some(self.all()?.fused_step(places, loss, largest, threads))
    }

    /// Scores codes `[batch, length]`: `[batch, filters, windows]`, or logits `[batch, outputs]`.
    pub fn score(&self, codes: &[u8]) -> Tensor {
        let values = self.values();
        self.tensor(&match &self.kernels {
            AnyKernels::Block(kernels) => AnyBatch::Block(kernels.score(&values, codes)),
            AnyKernels::Profile(kernels) => AnyBatch::Profile(kernels.score(&values, codes)),
        })
    }

    /// Scores windows that start at `starts` of codes, one not before the other; nothing where `score` is faster.
    pub fn scan(&self, codes: &[u8], starts: &[usize]) -> Option<Tensor> {
        let AnyKernels::Block(kernels) = &self.kernels else { return None };
        kernels.scan(&self.values(), codes, starts).map(|batch| self.tensor(&AnyBatch::Block(batch)))
    }

    /// The forward pass of a training step; `key` seeds dropout. Of profiles only those of `needed` sequences are computed.
    pub fn train(&self, codes: &[u8], needed: Option<&[bool]>, key: Key) -> NativeBatch<'_> {
        let values = self.values();
        let batch = match &self.kernels {
            AnyKernels::Block(kernels) => AnyBatch::Block(kernels.train(&values, codes, key)),
            AnyKernels::Profile(kernels) => AnyBatch::Profile(kernels.train(&values, codes, needed)),
        };
        NativeBatch { native: self, batch }
    }

    fn tensor(&self, batch: &AnyBatch) -> Tensor {
        Tensor::from_slice(batch.outputs()).view(self.shape.as_slice())
    }

    fn values(&self) -> Vec<Vec<f32>> {
        let values = |parameter: &Tensor| {
            let mut values = vec![0.0; parameter.numel()];
            parameter.copy_data(&mut values, parameter.numel());
            values
        };
        self.parameters.iter().map(values).collect()
    }
}

impl NativeBatch<'_> {
    /// What `gradients` are of.
    pub fn parameters(&self) -> &[Tensor] {
        &self.native.parameters
    }

    /// What the layers made of the batch, as a tensor without a past.
    pub fn tensor(&self) -> Tensor {
        self.native.tensor(&self.batch)
    }

    /// The gradient of every parameter, given those of the outputs.
    pub fn gradients(self, gradient: &[f32]) -> Vec<Vec<f32>> {
        match self.batch {
            AnyBatch::Block(batch) => batch.gradients(gradient),
            AnyBatch::Profile(batch) => batch.gradients(gradient),
        }
    }
}
