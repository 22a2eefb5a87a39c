//! CPU kernels for the first block of a network, and for all layers of small networks. libtorch's operators cannot make
//! use of one-hot input. Results are tested against the same layers in libtorch.
//!
//! A batch is cut into shards of a fixed size. Threads take shards, and their sums are added in order, so results do
//! not depend on the number of threads; nor on the processor, since all instruction sets do the same additions.

mod dense;
mod dropout;
pub(in crate::network) mod first_block;
mod fused_step;
mod profile;
pub(in crate::network) mod tile;
mod workers;

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::plan::{Plan, Step};
use dense::Small;
pub use dropout::Key;
use first_block::{Shape, Shard, Table};
pub use fused_step::{BinaryLoss, FusedStep};
pub use profile::{ProfileBatch, ProfileKernels};
pub use workers::WorkerPool;

/// Number of filters computed at once: the width of an AVX-512 register.
pub(in crate::network) const LANES: usize = 16;
/// Fragments per shard.
const FRAGMENTS: usize = 32;
/// Windows per shard, which share what overlaps.
const WINDOWS: usize = 64;

/// A value for each of 16 filters.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Row(pub(in crate::network) [f32; LANES]);

impl Row {
    pub(in crate::network) const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    pub(in crate::network) fn add(&mut self, other: &Self) {
        for lane in 0..LANES {
            self.0[lane] += other.0[lane];
        }
    }
}

/// The layers computed here: the first block, or all layers if the rest is small. Weights are passed by the caller.
#[derive(Debug)]
pub struct Kernels {
    layers: Layers,
    /// Names of weight and bias of the convolution and of every dense layer, as in the network.
    parameters: Vec<String>,
    /// Output shape for one sequence: `[outputs]` logits, or `[filters, windows]`.
    outputs: Vec<usize>,
    /// Buffers not in use by a batch.
    spare: Mutex<Vec<Work>>,
}

/// The layers without their weights.
#[derive(Clone, Debug)]
struct Layers {
    shape: Shape,
    /// The layers after the first block, if they are computed here.
    rest: Option<Vec<Small>>,
    /// Number of outputs for one sequence.
    size: usize,
}

/// Weights in the layout of the kernels.
#[derive(Debug, Default)]
struct Weights {
    table: Table,
    dense: Vec<dense::Weights>,
    /// Number of values of each parameter.
    sizes: Vec<usize>,
}

/// Buffers for one batch.
#[derive(Debug, Default)]
struct Work {
    weights: Weights,
    parts: Vec<Part>,
    /// `[fragments, outputs]`
    outputs: Vec<f32>,
}

/// A shard of a batch, with the results of its layers.
#[derive(Debug, Default)]
struct Part {
    block: Shard,
    /// Output of the first block, `[fragments, filters, windows]`, if more layers follow.
    pooled: Vec<f32>,
    rest: dense::Pass,
}

/// The result of a forward pass.
#[derive(Debug)]
pub struct Batch<'a> {
    kernels: &'a Kernels,
    work: Work,
}

impl Kernels {
    /// Number of steps of a plan that can be computed here, if its first block has the supported form.
    pub fn steps(plan: &Plan) -> Option<usize> {
        let (_, first) = Shape::of(plan, &plan.steps)?;
        Some(if dense::of(&plan.steps[first..]).is_some() { plan.steps.len() } else { first })
    }

    /// Kernels for the supported part of a plan.
    pub fn new(plan: &Plan) -> Option<Self> {
        let (shape, first) = Shape::of(plan, &plan.steps)?;
        let rest = dense::of(&plan.steps[first..]);
        Some(Self::of_steps(&plan.steps[..Self::steps(plan)?], shape, rest))
    }

    /// Kernels for the first block of the second of two branches that are all of a plan, and how many of its steps they compute.
    pub fn of_second_branch(plan: &Plan) -> Option<(Self, usize)> {
        let (_, steps) = plan.branches()?;
        let (shape, first) = Shape::of(plan, steps)?;
        Some((Self::of_steps(&steps[..first], shape, None), first))
    }

    fn of_steps(steps: &[Step], shape: Shape, rest: Option<Vec<Small>>) -> Self {
        let names = steps.iter().map(|step| &step.name).filter(|name| !name.is_empty());
        let parameters = names.flat_map(|name| ["weight", "bias"].map(|part| format!("{name}.{part}"))).collect();
        let last = steps.last().map(|step| step.output);
        let outputs: Vec<usize> =
            last.into_iter().flat_map(|last| std::iter::once(last.channels).chain(last.positions)).collect();
        let size = outputs.iter().product();
        Self { layers: Layers { shape, rest, size }, parameters, outputs, spare: Mutex::default() }
    }

    /// Whether these are all layers of the network.
    pub fn is_all(&self) -> bool {
        self.layers.rest.is_some()
    }

    /// Names of the parameters that every call takes as `values`: weight and bias of the convolution and of every dense
    /// layer.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Output shape for one sequence: `[outputs]` logits, or `[filters, windows]`.
    pub fn output_shape(&self) -> &[usize] {
        &self.outputs
    }

    /// Training steps with these layers, which must be all of the network's. Parameters are at `places` of a flat
    /// buffer, and batches have up to `largest` fragments.
    pub fn fused_step(&self, places: Vec<Range<usize>>, loss: BinaryLoss, largest: usize, threads: usize) -> FusedStep {
        FusedStep::new(self.layers.clone(), places, loss, largest, threads)
    }

    /// Scores codes `[batch, length]`.
    pub fn score(&self, values: &[Vec<f32>], codes: &[u8]) -> Batch<'_> {
        let mut work = self.work(values);
        work.forward(&self.layers, codes, None);
        Batch { kernels: self, work }
    }

    /// Scores windows that start at `starts` of codes, in ascending order, with the results of `score`; `None` if they
    /// overlap too little for that to be faster, or if each is padded.
    pub fn scan(&self, values: &[Vec<f32>], codes: &[u8], starts: &[usize]) -> Option<Batch<'_>> {
        let layers = &self.layers;
        // Halving the number of convolved positions makes up for the overhead.
        if layers.shape.is_padded() || codes.len() * 2 > starts.len() * layers.shape.length {
            return None;
        }
        let mut work = self.work(values);
        let Work { weights, parts, outputs } = &mut work;
        parts.resize_with(starts.len().div_ceil(WINDOWS), Default::default);
        outputs.resize(starts.len() * layers.size, 0.0);
        let weights = &*weights;
        let shards =
            parts.par_iter_mut().zip(starts.par_chunks(WINDOWS)).zip(outputs.par_chunks_mut(WINDOWS * layers.size));
        in_parallel(starts.len(), shards, |((part, starts), outputs)| {
            layers.scan(weights, part, codes, starts, outputs)
        });
        Some(Batch { kernels: self, work })
    }

    /// The forward pass of a training step; `key` seeds dropout.
    pub fn train(&self, values: &[Vec<f32>], codes: &[u8], key: Key) -> Batch<'_> {
        let mut work = self.work(values);
        work.forward(&self.layers, codes, Some(key));
        Batch { kernels: self, work }
    }

    /// Buffers that hold the weights.
    fn work(&self, values: &[Vec<f32>]) -> Work {
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.pop());
        let mut work = spare.unwrap_or_default();
        work.weights.fill(&self.layers.shape, &values.iter().map(Vec::as_slice).collect::<Vec<_>>());
        work
    }
}

impl Weights {
    fn fill(&mut self, shape: &Shape, values: &[&[f32]]) {
        self.sizes.clear();
        self.sizes.extend(values.iter().map(|values| values.len()));
        let (of_block, of_rest) = values.split_at(2);
        self.table.fill(shape, of_block[0], of_block[1]);
        self.dense.resize_with(of_rest.len() / 2, Default::default);
        for (weights, values) in self.dense.iter_mut().zip(of_rest.chunks_exact(2)) {
            weights.fill(values[0], values[1]);
        }
    }

    /// A zero for each value of each parameter.
    fn zeros(&self) -> Vec<Vec<f32>> {
        self.sizes.iter().map(|&size| vec![0.0; size]).collect()
    }
}

impl Part {
    /// Adds the gradients of every parameter to `gradients`.
    fn add_gradients(&self, layers: &Layers, gradients: &mut [Vec<f32>]) {
        let (of_block, of_rest) = gradients.split_at_mut(2);
        if let [weight, bias] = of_block {
            self.block.add_gradients(&layers.shape, weight, bias);
        }
        for (sum, own) in of_rest.iter_mut().zip(self.rest.gradients().flatten()) {
            sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
    }
}

/// The part of a batch that a thread takes.
struct Piece<'a> {
    number: usize,
    part: &'a mut Part,
    /// `[fragments, length]`
    codes: &'a [u8],
    /// `[fragments, outputs]`
    outputs: &'a mut [f32],
}

impl Work {
    /// Codes cut into shards, with the weights and the number of fragments.
    fn shards<'a>(
        &'a mut self,
        layers: &Layers,
        codes: &'a [u8],
    ) -> (&'a Weights, usize, impl IndexedParallelIterator<Item = Piece<'a>>) {
        let (length, size) = (layers.shape.length, layers.size);
        let fragments = codes.len() / length;
        self.parts.resize_with(fragments.div_ceil(FRAGMENTS), Default::default);
        self.outputs.resize(fragments * size, 0.0);
        let outputs = self.outputs.par_chunks_mut(FRAGMENTS * size);
        let shards = self.parts.par_iter_mut().zip(codes.par_chunks(FRAGMENTS * length)).zip(outputs).enumerate();
        let piece = |(number, ((part, codes), outputs))| Piece { number, part, codes, outputs };
        (&self.weights, fragments, shards.map(piece))
    }

    fn forward(&mut self, layers: &Layers, codes: &[u8], key: Option<Key>) {
        let (weights, fragments, shards) = self.shards(layers, codes);
        in_parallel(fragments, shards, |shard| {
            layers.forward(weights, shard.part, key, shard.number, shard.codes, shard.outputs);
        });
    }
}

impl Layers {
    /// Computes shard `number` of a batch; `key` is that of the batch, in training.
    fn forward(
        &self,
        weights: &Weights,
        part: &mut Part,
        key: Option<Key>,
        number: usize,
        codes: &[u8],
        outputs: &mut [f32],
    ) {
        /// Dropout key after the first block, where groups of filters are numbered from 0.
        const REST: usize = usize::MAX;
        let (shape, table) = (&self.shape, &weights.table);
        let block = |block: &mut Shard, outputs: &mut [f32]| match key {
            Some(key) => block.train(shape, table, key, number * FRAGMENTS, codes, outputs),
            None => block.score(shape, table, codes, outputs),
        };
        let Part { block: own, pooled, rest: own_rest } = part;
        let Some(rest) = &self.rest else { return block(own, outputs) };
        pooled.resize(codes.len() / shape.length * shape.outputs(), 0.0);
        block(own, pooled);
        outputs.copy_from_slice(own_rest.forward(rest, &weights.dense, pooled, key.map(|key| key.of(number, REST))));
    }

    /// Computes overlapping windows.
    fn scan(&self, weights: &Weights, part: &mut Part, codes: &[u8], starts: &[usize], outputs: &mut [f32]) {
        let (Some(&first), Some(last)) = (starts.first(), starts.last()) else { return };
        let codes = &codes[first..last + self.shape.length];
        let starts: Vec<usize> = starts.iter().map(|start| start - first).collect();
        let Part { block, pooled, rest: own_rest } = part;
        let Some(rest) = &self.rest else { return block.scan(&self.shape, &weights.table, codes, &starts, outputs) };
        pooled.resize(starts.len() * self.shape.outputs(), 0.0);
        block.scan(&self.shape, &weights.table, codes, &starts, pooled);
        outputs.copy_from_slice(own_rest.forward(rest, &weights.dense, pooled, None));
    }

    /// Sums the gradients of parameters from those of the outputs, after `forward` in training.
    fn backward(&self, weights: &Weights, part: &mut Part, gradient: &[f32]) {
        match &self.rest {
            Some(rest) => {
                let gradient = part.rest.backward(rest, &weights.dense, &part.pooled, gradient);
                part.block.backward(&self.shape, gradient);
            }
            None => part.block.backward(&self.shape, gradient),
        }
    }
}

impl Batch<'_> {
    /// Outputs, `[batch, filters, windows]`, or logits `[batch, outputs]`.
    pub fn outputs(&self) -> &[f32] {
        &self.work.outputs
    }

    /// Gradients of all parameters from those of the outputs, after a forward pass in training.
    pub fn gradients(mut self, gradient: &[f32]) -> Vec<Vec<f32>> {
        let layers = &self.kernels.layers;
        let Work { weights, parts, .. } = &mut self.work;
        let shards = parts.par_iter_mut().zip(gradient.par_chunks(FRAGMENTS * layers.size));
        in_parallel(gradient.len() / layers.size, shards, |(part, gradient)| layers.backward(weights, part, gradient));
        let mut gradients = weights.zeros();
        self.work.parts.iter().for_each(|part| part.add_gradients(layers, &mut gradients));
        gradients
    }
}

impl Drop for Batch<'_> {
    /// Returns the buffers for the next batch.
    fn drop(&mut self) {
        if let Ok(mut spare) = self.kernels.spare.lock() {
            spare.push(std::mem::take(&mut self.work));
        }
    }
}

/// Distributes shards over threads, if there is more than one of both.
fn in_parallel<I: IndexedParallelIterator>(fragments: usize, all: I, task: impl Fn(I::Item) + Sync + Send) {
    let least = if fragments <= FRAGMENTS || rayon::current_num_threads() == 1 { usize::MAX } else { 1 };
    all.with_min_len(least).for_each(task);
}
