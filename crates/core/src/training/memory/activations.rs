//! What goes through a network in memory, walked layer by layer as libtorch does it: what the forward pass leaves for the
//! backward pass, the gradients on their way back, and what layers need while they compute. Arithmetic alone, no tensors.

use crate::config::layers::{GlobalPool, Layer, Padding, Shape, of_strand};
use crate::network::plan::{Plan, Step};

/// Bytes of a number of the input, of scoring, and of training in f32; of one in bf16; and of a place that a pool notes.
const SINGLE: u128 = 4;
const HALF: u128 = 2;
const PLACE: u128 = 8;

/// How a network is gone through.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Whether a backward pass follows.
    pub trains: bool,
    /// Whether layers with weights compute in bf16.
    pub half: bool,
    /// The first blocks, so many, do not learn and leave nothing for a backward pass.
    pub frozen_blocks: usize,
}

/// Bytes that one sequence takes along one strand.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// Of tensors, the most at a time.
    pub tensors: u128,
    /// What goes in and out of the largest convolution.
    pub convolution: u128,
}

/// What a pass through a network takes.
pub fn peak(plan: &Plan, pass: Pass) -> Peak {
    let input = numbers(Shape::one_hot(plan.length)) * SINGLE;
    let peak = Peak { tensors: input, convolution: 0 };
    let mut walk = Walk { pass, tied: plan.tied, unit: SINGLE, kept: 0, peak };
    walk.through(&plan.steps, true, 0);
    walk.peak
}

struct Walk {
    pass: Pass,
    tied: bool,
    /// Bytes of a number between layers.
    unit: u128,
    /// Bytes that wait for the backward pass.
    kept: u128,
    peak: Peak,
}

impl Walk {
    /// Goes through layers one after the other; `held` bytes are in memory all the while for layers around them. The
    /// backward pass meets at each layer what it met on the way there, so both are counted at once.
    fn through(&mut self, steps: &[Step], is_outermost: bool, held: u128) {
        let steps: Vec<&Step> = steps.iter().filter(|step| !passes_on(&step.layer)).collect();
        // Whether what goes into a layer waits for the backward pass, and so is among what is kept.
        let mut given_is_kept = steps.first().is_some_and(|step| self.learns(step) && keeps_input(&step.layer));
        if is_outermost && given_is_kept {
            self.kept += numbers(steps[0].input) * self.unit;
        }
        for (i, step) in steps.iter().enumerate() {
            let learns = self.learns(step);
            let given = numbers(step.input) * self.unit;
            if let Layer::Residual { .. } = step.layer {
                // The input on the way there, and its gradient on the way back.
                self.through(&step.inner, false, held + given);
            } else if self.pass.half && learns && step.parameters > 0 && !matches!(step.layer, Layer::BatchNorm {}) {
                self.unit = HALF;
            }
            let made = numbers(step.output) * self.unit;
            let at_work = self.at_work(step);
            if learns {
                self.kept += self.leaves(step);
            }
            let there = if given_is_kept { made } else { given + made };
            self.meets(self.kept + held + there + at_work);

            let made_is_kept = learns && keeps_output(&step.layer);
            if learns {
                // What the layers behind needed is gone by now.
                let gradient_of_input = if is_outermost && i == 0 { 0 } else { given };
                let own = if made_is_kept { made } else { 0 };
                self.meets(self.kept + own + held + made + gradient_of_input + at_work);
            }
            given_is_kept =
                made_is_kept || steps.get(i + 1).is_some_and(|next| self.learns(next) && keeps_input(&next.layer));
            if given_is_kept {
                self.kept += made;
            }
            if convolves(&step.layer) {
                self.peak.convolution = self.peak.convolution.max(given + self.as_read(step) * self.unit + made);
            }
        }
    }

    fn meets(&mut self, bytes: u128) {
        self.peak.tensors = self.peak.tensors.max(bytes);
    }

    fn learns(&self, step: &Step) -> bool {
        self.pass.trains && step.block >= self.pass.frozen_blocks
    }

    /// Bytes that a layer leaves for the backward pass besides its input and output.
    fn leaves(&self, step: &Step) -> u128 {
        let (given, made) = (numbers(step.input), numbers(step.output));
        match &step.layer {
            Layer::Convolution { width, dilation, padding, .. } => {
                let is_lopsided = *padding == Padding::Same && (width - 1) * dilation % 2 == 1;
                (self.as_read(step) + if is_lopsided { given } else { 0 }) * self.unit
            }
            Layer::MaxPool { .. } => made * PLACE,
            Layer::Dropout { .. } => made * self.unit,
            // What the norm makes, both branches, and the gate.
            Layer::Gated { .. } => (given + self.as_read(step) + 3 * made) * self.unit,
            // The steps' inputs, and of each unit four gates, its state and its output.
            Layer::Lstm { .. } => (given + self.as_read(step) + 6 * made) * self.unit,
            Layer::PlacesPool { filters, places } => {
                let (positions, filters) = (step.input.positions.unwrap_or(1), of_strand(*filters, self.tied));
                (self.as_read(step) + (filters * positions) as u128) * self.unit + (filters * places) as u128 * PLACE
            }
            _ => 0,
        }
    }

    /// Bytes that a layer takes while at work besides its input and output.
    fn at_work(&self, step: &Step) -> u128 {
        let (given, made) = (numbers(step.input), numbers(step.output));
        let numbers = match step.layer {
            Layer::Convolution { .. } | Layer::PlacesPool { .. } => self.as_read(step),
            Layer::Gated { .. } => 4 * made + self.as_read(step),
            Layer::Lstm { .. } => given + 4 * made + self.as_read(step),
            _ => 0,
        };
        numbers * self.unit
    }

    /// Numbers that are copied so that both strands are read.
    fn as_read(&self, step: &Step) -> u128 {
        if step.layer.reads_both_strands(step.input, self.tied) { 2 * numbers(step.input) } else { 0 }
    }
}

fn numbers(shape: Shape) -> u128 {
    shape.channels as u128 * shape.positions.unwrap_or(1) as u128
}

fn convolves(layer: &Layer) -> bool {
    matches!(layer, Layer::Convolution { .. } | Layer::Gated { .. } | Layer::PlacesPool { .. })
}

/// Whether what comes out is what went in.
fn passes_on(layer: &Layer) -> bool {
    matches!(layer, Layer::Flatten {} | Layer::Dropout { rate: None | Some(0.0) })
}

/// Whether the backward pass needs what goes in.
fn keeps_input(layer: &Layer) -> bool {
    match layer {
        Layer::Relu {} | Layer::Tanh {} | Layer::Dropout { .. } | Layer::Flatten {} | Layer::Lstm { .. } => false,
        Layer::GlobalPool { of } => *of != GlobalPool::Mean,
        Layer::Residual { layers } => layers.first().is_some_and(keeps_input),
        _ => true,
    }
}

/// Whether the backward pass needs what comes out.
fn keeps_output(layer: &Layer) -> bool {
    matches!(layer, Layer::Relu {} | Layer::Tanh {} | Layer::Exp {})
}
