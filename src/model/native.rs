//! The first block of a network on the CPU without libtorch, and of small networks all of it: core's kernels with the weights
//! of a network's store. What they compute is tested against the same layers in libtorch.

use std::ops::Range;

use strandnet_core::network::kernels::{Batch, BinaryLoss, FusedStep, Kernels, Key};
use strandnet_core::network::plan::Plan;
use tch::Tensor;
use tch::nn::VarStore;

/// Kernels and the tensors whose values they compute with.
#[derive(Debug)]
pub struct Native {
    kernels: Kernels,
    parameters: Vec<Tensor>,
    /// `[-1, outputs]`, or `[-1, filters, windows]`.
    shape: Vec<i64>,
}

/// A batch in training, between the forward and the backward pass.
#[derive(Debug)]
pub struct NativeBatch<'a> {
    native: &'a Native,
    batch: Batch<'a>,
}

impl Native {
    /// How many steps of a plan the kernels can compute, if any.
    pub fn steps(plan: &Plan) -> Option<usize> {
        Kernels::steps(plan)
    }

    /// Computes what it can of a plan with the weights in a store.
    pub fn new(plan: &Plan, store: &VarStore) -> Option<Self> {
        let kernels = Kernels::new(plan)?;
        let variables = store.variables();
        let parameters = kernels
            .parameters()
            .iter()
            .map(|name| variables.get(name).map(Tensor::shallow_clone))
            .collect::<Option<_>>()?;
        let shape = std::iter::once(-1).chain(kernels.output_shape().iter().map(|&size| size as i64)).collect();
        Some(Self { kernels, parameters, shape })
    }

    /// Whether nothing is left to libtorch.
    pub fn is_all(&self) -> bool {
        self.kernels.is_all()
    }

    /// The weights that it computes with: those of the convolution and then of every dense layer, each with its bias.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// Training steps without libtorch, with parameters that stand at `places` of a flat buffer, for batches of up to `largest`
    /// fragments, by as many threads.
    pub fn fused_step(&self, places: Vec<Range<usize>>, loss: BinaryLoss, largest: usize, threads: usize) -> FusedStep {
        self.kernels.fused_step(places, loss, largest, threads)
    }

    /// Scores codes `[batch, length]`: `[batch, filters, windows]`, or logits `[batch, outputs]`.
    pub fn score(&self, codes: &[u8]) -> Tensor {
        self.tensor(&self.kernels.score(&self.values(), codes))
    }

    /// Scores windows that start at `starts` of codes, one not before the other; nothing where `score` is faster.
    pub fn scan(&self, codes: &[u8], starts: &[usize]) -> Option<Tensor> {
        self.kernels.scan(&self.values(), codes, starts).map(|batch| self.tensor(&batch))
    }

    /// The forward pass of a training step; `key` seeds dropout.
    pub fn train(&self, codes: &[u8], key: Key) -> NativeBatch<'_> {
        NativeBatch { native: self, batch: self.kernels.train(&self.values(), codes, key) }
    }

    fn tensor(&self, batch: &Batch) -> Tensor {
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
        self.batch.gradients(gradient)
    }
}
