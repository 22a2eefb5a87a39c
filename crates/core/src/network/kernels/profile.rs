//! CPU kernels for networks that predict profiles: a first convolution from codes, dilated residual convolutions and the
//! head. A locus passes through all layers at a time, so that they meet in the cache. Channels are in groups of 16, and
//! of each group positions follow each other.
//!
//! Loci are cut into shards of a fixed size, as in [`super::Kernels`], so results do not depend on the number of
//! threads. On processors with fused multiply-adds they differ in the last bits from those without.

mod dilated;
mod head;
mod stem;

use std::sync::Mutex;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::config::layers::{Layer, Rectified};
use crate::network::kernels::{LANES, Row};
use crate::network::plan::{Plan, Step};
use dilated::{GradientBuffers, Rows};

/// Loci per shard, which share sums of gradients.
const LOCI: usize = 4;

/// All layers of a profile network, or those of its profile where other layers predict the counts. Weights are passed by
/// the caller.
#[derive(Debug)]
pub struct ProfileKernels {
    layers: Layers,
    /// Names of weight and bias of each layer, as in the network.
    parameters: Vec<String>,
    /// Number of values of each parameter.
    sizes: Vec<usize>,
    /// Buffers not in use by a batch.
    spare: Mutex<Vec<Work>>,
}

/// The layers without their weights.
#[derive(Clone, Debug)]
struct Layers {
    stem: stem::Shape,
    dilated: Vec<dilated::Shape>,
    head: head::Shape,
}

/// Weights in the layout of the kernels.
#[derive(Debug, Default)]
struct Weights {
    stem: stem::Table,
    dilated: Vec<dilated::Weights>,
    head: head::Weights,
    /// Whether all are finite. ReLU would hide that some are not.
    is_finite: bool,
}

/// Gradients in the layout of the weights.
#[derive(Debug, Default)]
struct Gradients {
    stem: stem::Table,
    dilated: Vec<dilated::Gradients>,
    head: head::Weights,
}

/// What the layers make of one locus.
#[derive(Debug, Default)]
struct Locus {
    /// Codes that the first convolution reads.
    codes: Vec<u8>,
    /// Outputs of every layer before the head, `[groups, positions]` with the zeros that the next layer reads.
    outputs: Vec<Vec<Row>>,
}

/// Some loci of a batch, and the sums of their gradients.
#[derive(Debug, Default)]
struct Shard {
    loci: Vec<Locus>,
    gradients: Gradients,
    buffers: GradientBuffers,
    head_buffers: head::Buffers,
}

/// Buffers for one batch.
#[derive(Debug, Default)]
struct Work {
    weights: Weights,
    shards: Vec<Shard>,
    /// Indices of the sequences that are computed.
    computed: Vec<usize>,
    /// `[sequences, outputs]`
    outputs: Vec<f32>,
}

/// The result of a forward pass.
#[derive(Debug)]
pub struct ProfileBatch<'a> {
    kernels: &'a ProfileKernels,
    work: Work,
}

impl Layers {
    /// Layers of the steps for sequences of a length, if they have the supported form.
    fn of(steps: &[Step], length: usize) -> Option<Self> {
        let [first, others @ .., last] = steps else { return None };
        let Layer::Dilated { filters, width, dilation: 1, positions, residual: false, relu: Rectified::Output } =
            first.layer
        else {
            return None;
        };
        let groups = filters.div_ceil(LANES);
        let stem = stem::Shape { groups, width, length, positions };
        let mut entering = positions;
        let dilated = others.iter().map(|step| match step.layer {
            Layer::Dilated { filters: own, width, dilation, positions, residual: true, relu: Rectified::Output }
                if own == filters =>
            {
                let shape = dilated::Shape { groups, width, dilation, entering, positions };
                entering = positions;
                (positions <= shape.entering && shape.entering <= shape.read()).then_some(shape)
            }
            _ => None,
        });
        let dilated = dilated.collect::<Option<Vec<_>>>()?;
        let Layer::ProfileHead { tracks, groups: counts, width, length, counted } = last.layer else { return None };
        let head = head::Shape { groups, tracks, counts, width, entering, length };
        (entering <= head.read() && counted == head.read()).then_some(Self { stem, dilated, head })
    }

    /// Rows of the outputs of a layer before the head, and the place of the first position.
    fn rows<T>(&self, layer: usize, rows: T) -> Rows<T> {
        let (stride, first) = match self.dilated.get(layer) {
            Some(next) => (next.read(), next.before()),
            None => (self.head.read(), self.head.before()),
        };
        Rows { rows, stride, first }
    }

    /// Converts the values of all parameters.
    fn fill(&self, weights: &mut Weights, values: &[&[f32]]) {
        weights.is_finite = values.iter().all(|values| values.iter().all(|number| number.is_finite()));
        let (of_stem, others) = values.split_at(2);
        let (of_dilated, of_head) = others.split_at(2 * self.dilated.len());
        weights.stem.fill(&self.stem, of_stem[0], of_stem[1]);
        weights.dilated.resize_with(self.dilated.len(), Default::default);
        let layers = weights.dilated.iter_mut().zip(&self.dilated).zip(of_dilated.chunks_exact(2));
        layers.for_each(|((weights, shape), values)| weights.fill(shape, values[0], values[1]));
        weights.head.fill(&self.head, of_head);
    }

    fn clear(&self, gradients: &mut Gradients) {
        gradients.stem.clear(&self.stem);
        gradients.dilated.resize_with(self.dilated.len(), Default::default);
        gradients.dilated.iter_mut().zip(&self.dilated).for_each(|(gradients, shape)| gradients.clear(shape));
        gradients.head.clear(&self.head);
    }

    /// Adds gradients to those of all parameters.
    fn add_gradients(&self, gradients: &mut Gradients, values: &mut [Vec<f32>]) {
        let (of_stem, others) = values.split_at_mut(2);
        let (of_dilated, of_head) = others.split_at_mut(2 * self.dilated.len());
        if let [weight, bias] = of_stem {
            gradients.stem.add_to(&self.stem, weight, bias);
        }
        let layers = gradients.dilated.iter().zip(&self.dilated).zip(of_dilated.chunks_exact_mut(2));
        for ((gradients, shape), values) in layers {
            if let [weight, bias] = values {
                gradients.add_to(shape, weight, bias);
            }
        }
        gradients.head.add_to(&self.head, of_head);
    }
}

impl Locus {
    /// Takes the codes of a sequence, and makes room for what the layers make of it.
    fn take(&mut self, layers: &Layers, codes: &[u8]) {
        layers.stem.middle(codes, &mut self.codes);
        self.outputs.resize_with(layers.dilated.len() + 1, Vec::new);
        for (layer, outputs) in self.outputs.iter_mut().enumerate() {
            // The zeros around the positions stay as they are.
            outputs.resize(layers.stem.groups * layers.rows(layer, ()).stride, Row::ZERO);
        }
    }
}

/// The forward pass of one locus.
struct Forward<'a> {
    layers: &'a Layers,
    weights: &'a Weights,
    locus: &'a mut Locus,
    outputs: &'a mut [f32],
}

impl Forward<'_> {
    #[inline(always)]
    fn compute<S: Simd, const R: usize, const G: usize, const V: usize>(self, simd: S) {
        let Self { layers, weights, locus, outputs } = self;
        let mut rows = layers.rows(0, locus.outputs[0].as_mut_slice());
        stem::forward::<S, R, G, V>(simd, &layers.stem, &weights.stem, &locus.codes, &mut rows);
        for (i, (shape, weights)) in layers.dilated.iter().zip(&weights.dilated).enumerate() {
            let (before, after) = locus.outputs.split_at_mut(i + 1);
            let mut rows = layers.rows(i + 1, after[0].as_mut_slice());
            dilated::forward::<S, R, G, V>(simd, shape, weights, &before[i], &mut rows);
        }
        head::forward::<S, V>(simd, &layers.head, &weights.head, &locus.outputs[layers.dilated.len()], outputs);
    }
}

impl WithSimd for Forward<'_> {
    type Output = ();

    /// Tiles take most of the registers.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.compute::<S, 12, 2, 1>(simd),
            8 => self.compute::<S, 6, 1, 2>(simd),
            4 => self.compute::<S, 6, 1, 4>(simd),
            _ => self.compute::<S, 1, 1, LANES>(simd),
        }
    }
}

/// The backward pass of one locus, from the gradient of its outputs.
struct Backward<'a> {
    layers: &'a Layers,
    weights: &'a Weights,
    locus: &'a Locus,
    gradient: &'a [f32],
    gradients: &'a mut Gradients,
    buffers: &'a mut GradientBuffers,
    head_buffers: &'a mut head::Buffers,
}

impl Backward<'_> {
    #[inline(always)]
    fn compute<S: Simd, const R: usize, const C: usize, const G: usize, const V: usize>(self, simd: S) {
        let Self { layers, weights, locus, gradient, gradients, buffers, head_buffers } = self;
        let outputs = &locus.outputs;
        let next = (&mut buffers.gradient, head_buffers);
        head::backward::<S, R, C, G, V>(
            simd,
            &layers.head,
            &weights.head,
            &outputs[layers.dilated.len()],
            gradient,
            next,
            &mut gradients.head,
        );
        for (i, (shape, weights)) in layers.dilated.iter().zip(&weights.dilated).enumerate().rev() {
            let rows = layers.rows(i + 1, outputs[i + 1].as_slice());
            let gradients = &mut gradients.dilated[i];
            dilated::backward::<S, R, C, G, V>(simd, shape, weights, &outputs[i], &rows, buffers, gradients);
        }
        let rows = layers.rows(0, outputs[0].as_slice());
        stem::backward::<S, V>(simd, &layers.stem, &locus.codes, &rows, buffers, &mut gradients.stem);
    }
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.compute::<S, 12, 8, 2, 1>(simd),
            8 => self.compute::<S, 6, 4, 1, 2>(simd),
            4 => self.compute::<S, 6, 4, 1, 4>(simd),
            _ => self.compute::<S, 1, 1, 1, LANES>(simd),
        }
    }
}

impl ProfileKernels {
    /// Kernels for all steps of a plan, or for those of its first branch, if they have the supported form.
    pub fn new(plan: &Plan) -> Option<Self> {
        if plan.tied {
            return None;
        }
        let steps = plan.branches().map_or(&plan.steps[..], |(first, _)| first);
        let layers = Layers::of(steps, plan.length)?;
        let (mut parameters, mut sizes) = (Vec::new(), Vec::new());
        let mut add = |name: String, channels: usize, weights: usize| {
            parameters.extend([format!("{name}.weight"), format!("{name}.bias")]);
            sizes.extend([channels * weights, channels]);
        };
        for step in steps {
            let (name, channels) = (&step.name, step.input.channels);
            match step.layer {
                Layer::Dilated { filters, width, .. } => add(name.clone(), filters, channels * width),
                Layer::ProfileHead { tracks, groups, width, .. } => {
                    add(format!("{name}.fconv"), tracks, channels * width);
                    if groups > 0 {
                        add(format!("{name}.linear"), groups, channels);
                    }
                }
                _ => return None,
            }
        }
        Some(Self { layers, parameters, sizes, spare: Mutex::default() })
    }

    /// Names of the parameters that every call takes as `values`.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Number of values of each parameter.
    pub fn parameter_sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Number of outputs for one sequence: the logits of the profiles, and log counts.
    pub fn outputs(&self) -> usize {
        self.layers.head.outputs()
    }

    /// Scores codes `[batch, length]`.
    pub fn score(&self, values: &[Vec<f32>], codes: &[u8]) -> ProfileBatch<'_> {
        self.forward(values, codes, None, false)
    }

    /// The forward pass of a training step. Sequences that are not `needed` have outputs and gradients of 0.
    pub fn train(&self, values: &[Vec<f32>], codes: &[u8], needed: Option<&[bool]>) -> ProfileBatch<'_> {
        self.forward(values, codes, needed, true)
    }

    fn forward(&self, values: &[Vec<f32>], codes: &[u8], needed: Option<&[bool]>, train: bool) -> ProfileBatch<'_> {
        let layers = &self.layers;
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.pop());
        let mut work = spare.unwrap_or_default();
        let Work { weights, shards, computed, outputs } = &mut work;
        layers.fill(weights, &values.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (length, size) = (layers.stem.length, self.outputs());
        let n = codes.len() / length;
        computed.clear();
        computed.extend((0..n).filter(|&i| needed.is_none_or(|needed| needed[i])));
        outputs.clear();
        outputs.resize(n * size, if weights.is_finite { 0.0 } else { f32::NAN });
        if weights.is_finite {
            // Without a backward pass nothing is summed, and a thread needs few shards.
            let few = computed.len().div_ceil(4 * rayon::current_num_threads()).max(1);
            let of_shard = if train { LOCI } else { few };
            shards.resize_with(computed.len().div_ceil(of_shard), Default::default);
            let mut places = outputs.chunks_exact_mut(size).enumerate();
            let places: Vec<_> = computed.iter().filter_map(|&i| places.find(|(place, _)| *place == i)).collect();
            let mut pieces: Vec<_> = shards.iter_mut().zip(chunks(places, of_shard)).collect();
            let weights = &*weights;
            in_parallel(&mut pieces, |(shard, places)| {
                // Where no backward pass follows, all loci of a shard take turns in the memory of one.
                shard.loci.resize_with(if train { places.len() } else { 1 }, Default::default);
                for (at, (i, outputs)) in places.iter_mut().enumerate() {
                    let locus = &mut shard.loci[if train { at } else { 0 }];
                    locus.take(layers, &codes[*i * length..][..length]);
                    pulp::Arch::new().dispatch(Forward { layers, weights, locus, outputs });
                }
            });
        }
        ProfileBatch { kernels: self, work }
    }
}

impl ProfileBatch<'_> {
    /// Outputs, `[batch, outputs]`.
    pub fn outputs(&self) -> &[f32] {
        &self.work.outputs
    }

    /// Gradients of all parameters from those of the outputs, after a forward pass in training.
    pub fn gradients(mut self, gradient: &[f32]) -> Vec<Vec<f32>> {
        let (layers, size) = (&self.kernels.layers, self.kernels.outputs());
        let Work { weights, shards, computed, .. } = &mut self.work;
        let weights = &*weights;
        let initial = if weights.is_finite { 0.0 } else { f32::NAN };
        let mut totals: Vec<Vec<f32>> = self.kernels.sizes.iter().map(|&size| vec![initial; size]).collect();
        if !weights.is_finite {
            return totals;
        }
        let mut pieces: Vec<_> = shards.iter_mut().zip(computed.chunks(LOCI)).collect();
        in_parallel(&mut pieces, |(Shard { loci, gradients, buffers, head_buffers }, computed)| {
            layers.clear(gradients);
            for (locus, &i) in loci.iter().zip(*computed) {
                let gradient = &gradient[i * size..][..size];
                let (gradients, buffers, head_buffers) = (&mut *gradients, &mut *buffers, &mut *head_buffers);
                pulp::Arch::new().dispatch(Backward {
                    layers,
                    weights,
                    locus,
                    gradient,
                    gradients,
                    buffers,
                    head_buffers,
                });
            }
        });
        shards.iter_mut().for_each(|shard| layers.add_gradients(&mut shard.gradients, &mut totals));
        totals
    }
}

impl Drop for ProfileBatch<'_> {
    /// Returns the buffers for the next batch.
    fn drop(&mut self) {
        if let Ok(mut spare) = self.kernels.spare.lock() {
            spare.push(std::mem::take(&mut self.work));
        }
    }
}

/// Cuts a list into parts of a size.
fn chunks<T>(list: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut list = list.into_iter();
    let next = || Some(list.by_ref().take(size).collect::<Vec<_>>()).filter(|part| !part.is_empty());
    std::iter::from_fn(next).collect()
}

/// Distributes shards over threads, if there is more than one of both.
fn in_parallel<T: Send>(shards: &mut [T], task: impl Fn(&mut T) + Sync + Send) {
    if shards.len() < 2 || rayon::current_num_threads() == 1 {
        shards.iter_mut().for_each(task);
    } else {
        shards.par_iter_mut().with_max_len(1).for_each(task);
    }
}

#[cfg(test)]
mod tests;
