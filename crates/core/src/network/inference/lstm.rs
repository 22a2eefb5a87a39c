//! A long short-term memory that reads positions in both directions, named as PyTorch's `nn.LSTM` is. All sequences take a step
//! at a time.

use std::sync::OnceLock;

use pulp::{Simd, WithSimd};

use super::features::{Channels, Features, Rows};
use super::pointwise::{sigmoid, tanh};
use super::product::{Matrix, Put, Reads};
use super::strands;
use crate::network::kernels::{LANES, Row};

/// Gates of a unit, in PyTorch's order: input, forget, cell and output.
const GATES: usize = 4;

/// Weights of one direction.
#[derive(Debug)]
pub struct Direction {
    /// `[4 * units, inputs]` and `[4 * units, units]`
    pub of_input: Vec<f32>,
    pub of_state: Vec<f32>,
    /// Both biases added up, `[4 * units]`.
    pub bias: Vec<f32>,
    matrices: OnceLock<[Matrix; 2]>,
    transposed: OnceLock<[Matrix; 2]>,
}

/// `[inputs, positions]` to `[2 * units, positions]`.
#[derive(Debug)]
pub struct Lstm {
    pub reads_both: bool,
    pub inputs: Channels,
    pub units: usize,
    pub directions: [Direction; 2],
}

/// What a direction made on its way.
#[derive(Debug)]
pub struct Way {
    /// Gates after their functions, `[4 * groups, positions, n]`.
    gates: Rows,
    /// Cells, `[groups, positions, n]`.
    cells: Rows,
}

impl Direction {
    pub fn new(of_input: Vec<f32>, of_state: Vec<f32>, bias: Vec<f32>) -> Self {
        Self { of_input, of_state, bias, matrices: OnceLock::new(), transposed: OnceLock::new() }
    }
}

impl Lstm {
    fn read_channels(&self) -> Channels {
        if self.reads_both { Channels::beside(&[&self.inputs, &self.inputs]) } else { self.inputs.clone() }
    }

    fn state(&self) -> Channels {
        Channels::one_part(self.units)
    }

    fn gates(&self) -> Channels {
        let unit = self.state();
        Channels::beside(&[&unit; GATES])
    }

    pub fn outputs(&self) -> Channels {
        Channels::beside(&[&self.state(), &self.state()])
    }

    /// With what is needed to go back where `saves` says so.
    pub fn forward(&self, xs: &Features, saves: bool) -> (Features, [Way; 2]) {
        let read = if self.reads_both { &strands::both(xs) } else { xs };
        let [(out, one), (other, reverse)] = [false, true].map(|is_reverse| self.walk(read, is_reverse, saves));
        (out.beside(&other), [one, reverse])
    }

    /// Positions from the first to the last or from the last to the first.
    fn order(positions: usize, is_reverse: bool) -> impl Iterator<Item = usize> {
        (0..positions).map(move |step| if is_reverse { positions - 1 - step } else { step })
    }

    fn walk(&self, xs: &Features, is_reverse: bool, saves: bool) -> (Features, Way) {
        let direction = &self.directions[usize::from(is_reverse)];
        let (state, gate_channels) = (self.state(), self.gates());
        let [of_input, of_state] = direction.matrices.get_or_init(|| {
            let (inputs, units) = (self.read_channels(), self.units);
            let width = inputs.count();
            [
                Matrix::new(&inputs, &gate_channels, 1, Some(&direction.bias), |o, i, _| {
                    direction.of_input[o * width + i]
                }),
                Matrix::new(&state, &gate_channels, 1, None, |o, i, _| direction.of_state[o * units + i]),
            ]
        });
        let (n, positions, groups) = (xs.n, xs.positions, state.groups());
        let stride = n * positions;
        // What the input adds to the gates of every step at once.
        let firsts: Vec<usize> = (0..positions).flat_map(|at| (0..n).map(move |i| i * positions + at)).collect();
        let mut gates = Rows::any(GATES * groups * stride);
        of_input.multiply(Reads { rows: &xs.rows, stride, firsts: &firsts, dilation: 1 }, Put::Set, &mut gates);
        let mut cells = Rows::any(if saves { groups * stride } else { 0 });
        let mut out = Features::any(state, n, positions);
        let (mut hidden, mut cell) = (Rows::zeros(groups * n), Rows::zeros(groups * n));
        let (mut step, own) = (Rows::any(GATES * groups * n), (0..n).collect::<Vec<usize>>());
        for (taken, at) in Self::order(positions, is_reverse).enumerate() {
            let of_step = |group: usize| group * stride + at * n..group * stride + (at + 1) * n;
            step.chunks_exact_mut(n).enumerate().for_each(|(group, step)| step.copy_from_slice(&gates[of_step(group)]));
            if taken > 0 {
                of_state.multiply(Reads { rows: &hidden, stride: n, firsts: &own, dilation: 1 }, Put::Add, &mut step);
            }
            pulp::Arch::new().dispatch(Advance { gates: &mut step, cell: &mut cell, hidden: &mut hidden });
            hidden.iter().enumerate().for_each(|(i, hidden)| out.rows[i * positions + at] = *hidden);
            if saves {
                step.chunks_exact(n).enumerate().for_each(|(group, step)| gates[of_step(group)].copy_from_slice(step));
                cell.chunks_exact(n).enumerate().for_each(|(group, cell)| cells[of_step(group)].copy_from_slice(cell));
            }
        }
        (out, Way { gates, cells })
    }

    /// The gradient of the input from that of the output.
    pub fn backward(&self, gradient: Features, ways: &[Way; 2]) -> Features {
        let (one, other) = gradient.split(&self.state(), &self.state());
        let mut to = self.walk_back(&one, &ways[0], false);
        to.add(&self.walk_back(&other, &ways[1], true));
        if self.reads_both { strands::backward(to, &self.inputs) } else { to }
    }

    fn walk_back(&self, gradient: &Features, way: &Way, is_reverse: bool) -> Features {
        let direction = &self.directions[usize::from(is_reverse)];
        let (state, gate_channels) = (self.state(), self.gates());
        let [of_input, of_state] = direction.transposed.get_or_init(|| {
            let (inputs, units) = (self.read_channels(), self.units);
            let width = inputs.count();
            [
                Matrix::new(&gate_channels, &inputs, 1, None, |o, i, _| direction.of_input[i * width + o]),
                Matrix::new(&gate_channels, &state, 1, None, |o, i, _| direction.of_state[i * units + o]),
            ]
        });
        let (n, positions, groups) = (gradient.n, gradient.positions, state.groups());
        let stride = n * positions;
        let all: Vec<usize> = (0..stride).collect();
        let order: Vec<usize> = Self::order(positions, is_reverse).collect();
        let mut gates = vec![Row::ZERO; GATES * groups * stride];
        let (mut hidden, mut cell) = (vec![Row::ZERO; groups * n], vec![Row::ZERO; groups * n]);
        let mut step = vec![Row::ZERO; GATES * groups * n];
        for (taken, &at) in order.iter().enumerate().rev() {
            for i in 0..groups * n {
                hidden[i].add(&gradient.rows[i * positions + at]);
                let place = |at: usize| i / n * stride + at * n + i % n;
                let gate = |gate: usize| &way.gates[gate * groups * stride + place(at)];
                let before = taken.checked_sub(1).map_or(Row::ZERO, |taken| way.cells[place(order[taken])]);
                let now = &way.cells[place(at)];
                let mut parts = [Row::ZERO; GATES];
                for lane in 0..LANES {
                    let [input, forget, new, output] = [0, 1, 2, 3].map(|number| gate(number).0[lane]);
                    let (of_hidden, bent) = (hidden[i].0[lane], tanh(now.0[lane]));
                    let of_cell = cell[i].0[lane] + of_hidden * output * (1.0 - bent * bent);
                    parts[0].0[lane] = of_cell * new * input * (1.0 - input);
                    parts[1].0[lane] = of_cell * before.0[lane] * forget * (1.0 - forget);
                    parts[2].0[lane] = of_cell * input * (1.0 - new * new);
                    parts[3].0[lane] = of_hidden * bent * output * (1.0 - output);
                    cell[i].0[lane] = of_cell * forget;
                }
                for (number, part) in parts.into_iter().enumerate() {
                    step[number * groups * n + i] = part;
                    gates[(number * groups * n + i) * positions + at] = part;
                }
            }
            let reads = Reads { rows: &step, stride: n, firsts: &all[..n], dilation: 1 };
            of_state.multiply(reads, Put::Set, &mut hidden);
        }
        let mut to = Features::zeros(self.read_channels(), n, positions);
        of_input.multiply(Reads { rows: &gates, stride, firsts: &all, dilation: 1 }, Put::Set, &mut to.rows);
        to
    }
}

/// A step of all sequences: sums of gates, `[4 * groups, n]`, become gates, and cells and states move on, `[groups, n]` each.
struct Advance<'a> {
    gates: &'a mut [Row],
    cell: &'a mut [Row],
    hidden: &'a mut [Row],
}

impl WithSimd for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { gates, cell, hidden } = self;
        let (input, others) = gates.split_at_mut(cell.len());
        let (forget, others) = others.split_at_mut(cell.len());
        let (new, output) = others.split_at_mut(cell.len());
        for i in 0..cell.len() {
            // Copies, which cannot overlap, so that 16 units are computed at a time.
            input[i].0 = each(input[i].0, sigmoid);
            forget[i].0 = each(forget[i].0, sigmoid);
            new[i].0 = each(new[i].0, tanh);
            output[i].0 = each(output[i].0, sigmoid);
            let (input, forget, new) = (input[i].0, forget[i].0, new[i].0);
            let mut moved = cell[i].0;
            moved
                .iter_mut()
                .enumerate()
                .for_each(|(lane, cell)| *cell = forget[lane] * *cell + input[lane] * new[lane]);
            cell[i].0 = moved;
            let mut state = each(moved, tanh);
            (0..LANES).for_each(|lane| state[lane] *= output[i].0[lane]);
            hidden[i].0 = state;
        }
    }
}

#[inline(always)]
fn each(numbers: [f32; LANES], function: impl Fn(f32) -> f32) -> [f32; LANES] {
    let mut found = [0.0; LANES];
    for lane in 0..LANES {
        found[lane] = function(numbers[lane]);
    }
    found
}
