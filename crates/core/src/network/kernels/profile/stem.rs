//! The first convolution, rectified, from codes: over one-hot input it is a sum of rows of weights.

use pulp::Simd;

use super::dilated::{GradientBuffers, Rows, mask};
use crate::network::kernels::tile::{Tile, add_rows, by_groups, starts};
use crate::network::kernels::{LANES, Row};
use crate::sequence::alphabet::UNKNOWN;

/// Number of rows for the codes of a position, so many that any index is valid after a remainder.
const CODES: usize = 8;

/// Shape of the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Number of groups of 16 filters.
    pub groups: usize,
    /// Width of a filter, in bp.
    pub width: usize,
    /// Length of a sequence, in bp.
    pub length: usize,
    /// Number of positions of the output.
    pub positions: usize,
}

impl Shape {
    /// The middle of codes `[length]`, as long as the filters read, with unknown bases where there are too few.
    pub fn middle(&self, codes: &[u8], read: &mut Vec<u8>) {
        let count = self.positions + self.width - 1;
        read.clear();
        if count <= self.length {
            read.extend_from_slice(&codes[(self.length - count) / 2..][..count]);
        } else {
            read.resize((count - self.length) / 2, UNKNOWN);
            read.extend_from_slice(codes);
            read.resize(count, UNKNOWN);
        }
    }
}

/// Weights, or gradients of weights, as rows of filters.
#[derive(Debug, Default)]
pub struct Table {
    /// A row for each code, `[groups, width]`; that of an unknown base is 0 among weights.
    rows: Vec<[Row; CODES]>,
    /// `[groups]`
    bias: Vec<Row>,
}

impl Table {
    pub fn clear(&mut self, shape: &Shape) {
        self.rows.clear();
        self.rows.resize(shape.groups * shape.width, [Row::ZERO; CODES]);
        self.bias.clear();
        self.bias.resize(shape.groups, Row::ZERO);
    }

    /// Converts weights `[filters, 4, width]` and biases `[filters]`.
    pub fn fill(&mut self, shape: &Shape, weight: &[f32], bias: &[f32]) {
        self.clear(shape);
        for (filter, (weight, bias)) in weight.chunks_exact(4 * shape.width).zip(bias).enumerate() {
            let (group, lane) = (filter / LANES, filter % LANES);
            self.bias[group].0[lane] = *bias;
            for (i, weight) in weight.iter().enumerate() {
                self.rows[group * shape.width + i % shape.width][i / shape.width].0[lane] = *weight;
            }
        }
    }

    /// Adds its numbers to weights `[filters, 4, width]` and biases `[filters]`.
    pub fn add_to(&self, shape: &Shape, weight: &mut [f32], bias: &mut [f32]) {
        for (filter, (weight, bias)) in weight.chunks_exact_mut(4 * shape.width).zip(bias).enumerate() {
            let (group, lane) = (filter / LANES, filter % LANES);
            *bias += self.bias[group].0[lane];
            for (i, weight) in weight.iter_mut().enumerate() {
                *weight += self.rows[group * shape.width + i % shape.width][i / shape.width].0[lane];
            }
        }
    }
}

/// Computes `outputs` from the middle of the codes.
#[inline(always)]
pub fn forward<S: Simd, const R: usize, const G: usize, const V: usize>(
    simd: S,
    shape: &Shape,
    table: &Table,
    codes: &[u8],
    outputs: &mut Rows<&mut [Row]>,
) {
    by_groups!(S, R, G, V, shape.groups, shape.positions, forward_groups(simd, shape, table, codes, outputs));
}

#[inline(always)]
fn forward_groups<S: Simd, const R: usize, const G: usize, const V: usize>(
    group: usize,
    simd: S,
    shape: &Shape,
    table: &Table,
    codes: &[u8],
    outputs: &mut Rows<&mut [Row]>,
) {
    let own: [&[[Row; CODES]]; G] = std::array::from_fn(|g| &table.rows[(group + g) * shape.width..][..shape.width]);
    for at in starts::<R>(shape.positions) {
        let mut tile = Tile::<S, R, G, V>::splat(std::array::from_fn(|g| &table.bias[group + g]));
        for tap in 0..shape.width {
            let Some(codes) = codes[at + tap..].first_chunk::<R>() else { return };
            for (r, &code) in codes.iter().enumerate() {
                tile.add(simd, r, own.map(|rows| &rows[tap][code as usize % CODES]));
            }
        }
        let tile = tile.rectified(simd);
        for g in 0..G {
            let place = (group + g) * outputs.stride + outputs.first + at;
            let Some(outputs) = outputs.rows[place..].first_chunk_mut::<R>() else { return };
            tile.store(g, outputs);
        }
    }
}

/// Adds the gradients of weights to `gradients`, given that of `outputs`; codes and outputs are as `forward` had them.
#[inline(always)]
pub fn backward<S: Simd, const V: usize>(
    simd: S,
    shape: &Shape,
    codes: &[u8],
    outputs: &Rows<&[Row]>,
    buffers: &mut GradientBuffers,
    gradients: &mut Table,
) {
    let GradientBuffers { gradient, masked, .. } = buffers;
    let (positions, width) = (shape.positions, shape.width);
    masked.resize(positions, Row::ZERO);
    for (group, gradient) in gradient.chunks_exact(positions).enumerate() {
        let after = &outputs.rows[group * outputs.stride + outputs.first..];
        let masked = &mut masked[..positions];
        let all = masked.iter_mut().zip(gradient).zip(std::iter::repeat(&Row::ZERO).zip(after));
        mask::<S, V>(simd, all, &mut gradients.bias[group]);
        let rows = &mut gradients.rows[group * width..][..width];
        for (codes, masked) in codes.windows(width).zip(masked.iter()) {
            for (rows, &code) in rows.iter_mut().zip(codes) {
                let row = std::slice::from_mut(&mut rows[code as usize % CODES]);
                add_rows::<S, V>(simd, row, std::slice::from_ref(masked));
            }
        }
    }
}
