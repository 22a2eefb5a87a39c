//! Memory of a network's activations, computed layer by layer as libtorch allocates it: tensors kept for the backward
//! pass, gradients on their way back, and workspaces of layers. Arithmetic alone, no tensors.

use crate::config::layers::{GlobalPool, Layer, Padding, Shape, of_strand};
use crate::network::plan::{Plan, Step};

/// Bytes of a number of the input, of scoring, and of training in f32; of one in bf16; and of a place that a pool notes.
const SINGLE: u128 = 4;
const HALF: u128 = 2;
const PLACE: u128 = 8;

/// How a pass through a network is computed.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Whether a backward pass follows.
    pub trains: bool,
    /// Whether layers with weights compute in bf16.
    pub half: bool,
    /// Number of leading blocks that are frozen and keep nothing for a backward pass.
    pub frozen_blocks: usize,
}

/// Bytes for one sequence on one strand.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// Peak of the tensors.
    pub tensors: u128,
    /// Input and output of the largest convolution.
    pub convolution: u128,
}

/// Memory of a pass through a network.
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
    /// Bytes of a value between layers.
    unit: u128,
    /// Bytes kept for the backward pass.
    kept: u128,
    peak: Peak,
}

impl Walk {
    /// Passes through layers in order; `held` bytes are in memory throughout for enclosing layers. The backward pass
    /// meets at each layer the state of the forward pass, so both are counted at once.
    fn through(&mut self, steps: &[Step], is_outermost: bool, held: u128) {
        let steps: Vec<&Step> = steps.iter().filter(|step| !passes_on(&step.layer)).collect();
        // Whether the input of a layer is kept for the backward pass, and so is counted already.
        let mut given_is_kept = steps.first().is_some_and(|step| self.learns(step) && keeps_input(&step.layer));
        if is_outermost && given_is_kept {
            self.kept += numbers(steps[0].input) * self.unit;
        }
        for (i, step) in steps.iter().enumerate() {
            let learns = self.learns(step);
            let given = numbers(step.input) * self.unit;
            if let Layer::Residual { .. } = step.layer {
                // The input in the forward pass, and its gradient in the backward pass.
                self.through(&step.inner, false, held + given);
            } else if let Layer::Branches { first, .. } = step.layer {
                let unit = self.unit;
                self.through(&step.inner[..first], false, held + given);
                self.unit = unit;
                self.through(&step.inner[first..], false, held + given);
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
                // What later layers needed is freed by now.
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

    /// Bytes that a layer keeps for the backward pass besides its input and output.
    fn leaves(&self, step: &Step) -> u128 {
        let (given, made) = (numbers(step.input), numbers(step.output));
        match &step.layer {
            Layer::Convolution { width, dilation, padding, .. } => {
                let is_lopsided = *padding == Padding::Same && (width - 1) * dilation % 2 == 1;
                (self.as_read(step) + if is_lopsided { given } else { 0 }) * self.unit
            }
            Layer::MaxPool { .. } => made * PLACE,
            // What each tap of the kernel reads, and what came out before it is added.
            Layer::Dilated { width, .. } => (taps(step, *width) + made) * self.unit,
            Layer::Dropout { .. } => made * self.unit,
            // The output of the norm, both branches, and the gate.
            Layer::Gated { .. } => (given + self.as_read(step) + 3 * made) * self.unit,
            // The inputs of the steps, and for each unit four gates, its state and its output.
            Layer::Lstm { .. } => (given + self.as_read(step) + 6 * made) * self.unit,
            Layer::PlacesPool { filters, places } => {
                let (positions, filters) = (step.input.positions.unwrap_or(1), of_strand(*filters, self.tied));
                (self.as_read(step) + (filters * positions) as u128) * self.unit + (filters * places) as u128 * PLACE
            }
            _ => 0,
        }
    }

    /// Workspace of a layer in bytes, besides its input and output.
    fn at_work(&self, step: &Step) -> u128 {
        let (given, made) = (numbers(step.input), numbers(step.output));
        let numbers = match step.layer {
            Layer::Convolution { .. } | Layer::PlacesPool { .. } => self.as_read(step),
            Layer::Gated { .. } => 4 * made + self.as_read(step),
            Layer::Dilated { width, .. } => given + taps(step, width) + 2 * made,
            // What each tap gives at each position, and its copy.
            Layer::ProfileHead { tracks, width, length, .. } => given + 3 * (tracks * width * (length + width)) as u128,
            Layer::Lstm { .. } => given + 4 * made + self.as_read(step),
            _ => 0,
        };
        numbers * self.unit
    }

    /// Number of values copied in order to read both strands.
    fn as_read(&self, step: &Step) -> u128 {
        if step.layer.reads_both_strands(step.input, self.tied) { 2 * numbers(step.input) } else { 0 }
    }
}

/// Numbers that the taps of a kernel read for all positions that come out.
fn taps(step: &Step, width: usize) -> u128 {
    (step.input.channels * width * step.output.positions.unwrap_or(1)) as u128
}

fn numbers(shape: Shape) -> u128 {
    shape.channels as u128 * shape.positions.unwrap_or(1) as u128
}

fn convolves(layer: &Layer) -> bool {
    matches!(layer, Layer::Convolution { .. } | Layer::Gated { .. } | Layer::PlacesPool { .. })
}

/// Whether the output of a layer is its input.
fn passes_on(layer: &Layer) -> bool {
    matches!(layer, Layer::Crop { .. } | Layer::Flatten {} | Layer::Dropout { rate: None | Some(0.0) })
}

/// Whether the backward pass needs the input.
fn keeps_input(layer: &Layer) -> bool {
    match layer {
        Layer::Relu {}
        | Layer::Tanh {}
        | Layer::Dropout { .. }
        | Layer::Crop { .. }
        | Layer::Dilated { .. }
        | Layer::Flatten {}
        | Layer::Lstm { .. } => false,
        Layer::GlobalPool { of } => *of != GlobalPool::Mean,
        Layer::Residual { layers } => layers.first().is_some_and(keeps_input),
        _ => true,
    }
}

/// Whether the backward pass needs the output.
fn keeps_output(layer: &Layer) -> bool {
    matches!(layer, Layer::Relu {} | Layer::Tanh {} | Layer::Exp { .. })
}
