//! The layers from sequences to the numbers that come out: all of a network, or one of two branches of it.

use std::ops::Range;

use anyhow::Result;
use rayon::prelude::*;

use super::build::Builder;
use super::convolution::Convolution;
use super::features::{Channels, Features};
use super::layers::{self, Layer, Tape};
use crate::config::layers as settings;
use crate::network::Parameters;
use crate::network::kernels::first_block::{Shape, Shard, Table};
use crate::network::kernels::{Kernels, LANES, ProfileKernels, Row};
use crate::network::plan::{Plan, Step};
use crate::sequence::alphabet;

/// Activations of the sequences that are computed together stay within this, so that they stay in the cache.
const CACHE_BYTES: usize = 1 << 19;
/// The most sequences that are computed together.
const MOST: usize = 32;
/// The same for dense layers and memories, whose weights are read anew each time.
const MOST_LATE: usize = 96;

/// Layers that follow each other, with their weights.
#[derive(Debug)]
pub struct Branch {
    length: usize,
    tied: bool,
    layers: Vec<Layer>,
    /// Layers before the first dense layer or memory.
    early: usize,
    /// Sequences that are computed together before it.
    together: usize,
    stem: Option<Stem>,
    kernels: Option<Native>,
}

/// The first layers from codes: a convolution and a max pool, with or without ReLU.
#[derive(Debug)]
struct Stem {
    shape: Shape,
    table: Table,
    /// Layers that it stands for.
    layers: usize,
}

/// Kernels that take codes to the last layer, with the values of their parameters.
#[derive(Debug)]
enum Native {
    Small(Kernels, Vec<Vec<f32>>),
    Profile(ProfileKernels, Vec<Vec<f32>>),
}

impl Native {
    /// Those that compute all of a plan, or of its first branch.
    fn of(plan: &Plan, parameters: &Parameters) -> Option<Self> {
        let values = |names: &[String]| names.iter().map(|name| parameters.get(name).cloned()).collect::<Option<_>>();
        if let Some(kernels) = Kernels::new(plan).filter(Kernels::is_all) {
            let values = values(kernels.parameters())?;
            return Some(Self::Small(kernels, values));
        }
        let kernels = ProfileKernels::new(plan)?;
        let values = values(kernels.parameters())?;
        Some(Self::Profile(kernels, values))
    }
}

/// Sequences on their way back.
#[derive(Debug)]
pub struct Recorded {
    tape: Tape,
    outputs: Features,
}

impl Recorded {
    /// Outputs of a sequence.
    pub fn numbers(&self) -> usize {
        self.outputs.channels.count() * self.outputs.positions
    }
}

impl Branch {
    /// The branch of some steps of a plan; `is_first` says that these are all of it, or its first branch.
    ///
    /// # Errors
    /// A parameter is missing or has another size.
    pub fn new(plan: &Plan, steps: &[Step], is_first: bool, parameters: &Parameters) -> Result<Self> {
        let builder = Builder { parameters, tied: plan.tied };
        let (layers, _) = builder.layers(steps, Channels::one_part(4))?;
        let is_late = |layer: &Layer| matches!(layer, Layer::Dense(_) | Layer::Lstm(_));
        let early = layers.iter().position(is_late).unwrap_or(layers.len());
        let stem = Stem::of(&layers, plan.length);
        // What a stem convolves is pooled at once.
        let skipped = stem.as_ref().map_or(0, |_| steps.iter().position(is_pool).map_or(0, |pool| pool + 1));
        let within = steps[skipped..].iter().flat_map(|step| std::iter::once(step).chain(step.within()));
        let rows = |shape: settings::Shape| shape.channels.div_ceil(LANES) * shape.positions.unwrap_or(1);
        let most = within.map(|step| rows(step.input) + rows(step.output)).max().unwrap_or(1);
        let bytes = most * size_of::<Row>() * if plan.tied { 2 } else { 1 };
        let kernels = if is_first { Native::of(plan, parameters) } else { None };
        let together = (CACHE_BYTES / bytes.max(1)).clamp(1, MOST);
        Ok(Self { length: plan.length, tied: plan.tied, layers, early, together, stem, kernels })
    }

    /// Strands of a sequence that are computed.
    fn strands(&self) -> usize {
        if self.tied { 2 } else { 1 }
    }

    /// Outputs `[n * strands, outputs]` of codes `[n, length]`; the strands of a sequence follow each other.
    pub fn score(&self, codes: &[u8]) -> Vec<f32> {
        match &self.kernels {
            Some(Native::Small(kernels, values)) => return kernels.score(values, codes).outputs().to_vec(),
            Some(Native::Profile(kernels, values)) => return kernels.score(values, codes).outputs().to_vec(),
            None => {}
        }
        let n = codes.len() / self.length;
        let early = |range: Range<usize>| {
            let codes = &codes[range.start * self.length..range.end * self.length];
            let (features, skipped) = self.enter(codes);
            layers::forward(&self.layers[skipped..self.early.max(skipped)], features, &mut Tape::off())
        };
        let features = each(n, self.together, early);
        let late = &self.layers[self.early..];
        if late.is_empty() {
            return features.into_iter().flat_map(|features| features.values()).collect();
        }
        let features = Features::joined(features);
        let strands = self.strands();
        let outputs = each(n, MOST_LATE, |range: Range<usize>| {
            let part = features.part(range.start * strands, range.len() * strands);
            layers::forward(late, part, &mut Tape::off()).values()
        });
        outputs.concat()
    }

    /// Windows that start at `starts` of codes, in ascending order, what they share computed once; nothing where that is not faster.
    pub fn scan(&self, codes: &[u8], starts: &[usize]) -> Option<Vec<f32>> {
        match &self.kernels {
            Some(Native::Small(kernels, values)) => Some(kernels.scan(values, codes, starts)?.outputs().to_vec()),
            _ => None,
        }
    }

    /// The first features of codes, and how many layers made them.
    fn enter(&self, codes: &[u8]) -> (Features, usize) {
        let both = self.tied.then(|| both_strands(codes, self.length));
        let codes = both.as_deref().unwrap_or(codes);
        match &self.stem {
            Some(stem) => (stem.forward(codes), stem.layers),
            None => (one_hot(codes, self.length), 0),
        }
    }

    /// Outputs `[n * strands, outputs]` of inputs `[n, 4, length]`, with what is needed to go back.
    pub fn record(&self, inputs: &[f32]) -> (Vec<f32>, Vec<Recorded>) {
        let size = 4 * self.length;
        let recorded = each(inputs.len() / size, self.together, |range: Range<usize>| {
            let inputs = &inputs[range.start * size..range.end * size];
            let both = self.tied.then(|| {
                inputs
                    .chunks_exact(size)
                    .flat_map(|input| input.iter().chain(input.iter().rev()))
                    .copied()
                    .collect::<Vec<_>>()
            });
            let features = Features::of_values(both.as_deref().unwrap_or(inputs), Channels::one_part(4), self.length);
            let mut tape = Tape::recording();
            let outputs = layers::forward(&self.layers, features, &mut tape);
            Recorded { tape, outputs }
        });
        (recorded.iter().flat_map(|part| part.outputs.values()).collect(), recorded)
    }

    /// Gradients of inputs `[n, 4, length]` from those of the outputs `[n * strands, outputs]`.
    pub fn backward(&self, gradient: &[f32], recorded: Vec<Recorded>) -> Vec<f32> {
        let mut rest = gradient;
        let parts: Vec<(&[f32], Recorded)> = recorded
            .into_iter()
            .map(|part| {
                let Features { channels, n, positions, .. } = &part.outputs;
                let own;
                (own, rest) = rest.split_at(n * positions * channels.count());
                (own, part)
            })
            .collect();
        let back = |(gradient, mut part): (&[f32], Recorded)| {
            let gradient = Features::of_values(gradient, part.outputs.channels.clone(), part.outputs.positions);
            layers::backward(&self.layers, gradient, &mut part.tape).values()
        };
        let gradients = parts.into_par_iter().map(back).collect::<Vec<_>>().concat();
        if !self.tied {
            return gradients;
        }
        // Read backwards, one-hot is that of the other strand.
        let of_sequence = gradients.chunks_exact(8 * self.length).flat_map(|both| {
            let (own, other) = both.split_at(4 * self.length);
            own.iter().zip(other.iter().rev()).map(|(own, other)| own + other)
        });
        of_sequence.collect()
    }
}

fn is_pool(step: &Step) -> bool {
    matches!(step.layer, settings::Layer::MaxPool { .. })
}

/// What `task` makes of all sequences, at most `together` at a time, in order. Threads have equal shares of few.
fn each<T: Send>(n: usize, together: usize, task: impl Fn(Range<usize>) -> T + Sync + Send) -> Vec<T> {
    let size = together.min(n.div_ceil(rayon::current_num_threads())).max(1);
    let starts: Vec<usize> = (0..n).step_by(size).collect();
    let run = |start: usize| task(start..(start + size).min(n));
    if starts.len() < 2 {
        return starts.into_iter().map(run).collect();
    }
    starts.into_par_iter().map(run).collect()
}

/// Codes `[n, length]` as codes `[2 * n, length]`, each sequence followed by its reverse complement.
fn both_strands(codes: &[u8], length: usize) -> Vec<u8> {
    let mut both = Vec::with_capacity(2 * codes.len());
    for codes in codes.chunks_exact(length) {
        both.extend_from_slice(codes);
        let other = both.len();
        both.extend_from_slice(codes);
        alphabet::reverse_complement(&mut both[other..]);
    }
    both
}

fn one_hot(codes: &[u8], length: usize) -> Features {
    let mut features = Features::zeros(Channels::one_part(4), codes.len() / length, length);
    for (row, &code) in features.rows.iter_mut().zip(codes).filter(|&(_, &code)| code < 4) {
        row.0[usize::from(code)] = 1.0;
    }
    features
}

impl Stem {
    /// The stem of layers that begin with one.
    fn of(layers: &[Layer], length: usize) -> Option<Self> {
        let [Layer::Convolution(convolution), Layer::Pool(pool), ..] = layers else { return None };
        let Convolution { reach, weight, bias, .. } = convolution;
        let plain = convolution.before.is_none() && reach.stride == 1 && (reach.dilation == 1 || reach.taps == 1);
        if !plain || reach.before < 0 || !pool.is_max || pool.stride != pool.width {
            return None;
        }
        let shape = Shape {
            filters: bias.len(),
            width: reach.taps,
            length,
            before: reach.before as usize,
            pool: pool.width,
            pooled: pool.outputs,
            relu: convolution.is_rectified,
            dropout: 0.0,
        };
        let mut table = Table::default();
        table.fill(&shape, weight, bias);
        Some(Self { shape, table, layers: 2 })
    }

    fn forward(&self, codes: &[u8]) -> Features {
        let Shape { filters, length, pooled, .. } = self.shape;
        let mut features = Features::any(Channels::one_part(filters), codes.len() / length, pooled);
        Shard::default().score_rows(&self.shape, &self.table, codes, &mut features.rows);
        features
    }
}
