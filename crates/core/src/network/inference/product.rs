//! Matrix products of rows: all convolutions and dense layers. Tiles of sums stay in registers, and nothing is packed but the
//! weights, once. Each sum is made in the same order whatever else is computed with it, so results do not depend on batches,
//! threads or, among those with fused multiply-adds, processors.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::features::Channels;
use crate::network::kernels::tile::Tile;
use crate::network::kernels::{LANES, Row};

/// Pairs of a tap and a group of inputs that are summed at a time: their weights for two groups of outputs, and what a part of a
/// batch has of their inputs, stay in the cache.
const PAIRS: usize = 40;

/// Rows times groups of inputs that all groups of outputs are computed for before the next: they stay in the cache.
const ROWS: usize = 4096;

/// Weights of a convolution by taps.
#[derive(Debug)]
pub struct Matrix {
    /// A row of outputs for each input, `[groups of outputs, taps, groups of inputs]`.
    blocks: Vec<[Row; LANES]>,
    taps: usize,
    /// Number of channels of each group of inputs.
    lanes: Vec<usize>,
    /// Groups of inputs that each group of outputs depends on.
    reads: Vec<Range<usize>>,
    /// `[groups of outputs]`
    bias: Vec<Row>,
}

/// What becomes of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Set,
    /// Rectified.
    Relu,
    /// To what is there.
    Add,
}

/// Rows that a product reads.
#[derive(Clone, Copy, Debug)]
pub struct Reads<'a> {
    /// `[groups, stride]`
    pub rows: &'a [Row],
    pub stride: usize,
    /// For each row of the output, the row of a group that the first tap reads.
    pub firsts: &'a [usize],
    /// Rows between the taps.
    pub dilation: usize,
}

impl Matrix {
    /// Weights by output, input and tap.
    pub fn new(
        inputs: &Channels,
        outputs: &Channels,
        taps: usize,
        bias: Option<&[f32]>,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let (groups, places) = (inputs.groups(), inputs.places());
        let mut blocks = vec![[Row::ZERO; LANES]; outputs.groups() * taps * groups];
        let mut reads: Vec<Option<Range<usize>>> = vec![None; outputs.groups()];
        for (output, (to, to_lane)) in outputs.places().into_iter().enumerate() {
            for (input, &(from, from_lane)) in places.iter().enumerate() {
                for tap in 0..taps {
                    let weight = weight(output, input, tap);
                    if weight == 0.0 {
                        continue;
                    }
                    blocks[(to * taps + tap) * groups + from][from_lane].0[to_lane] = weight;
                    let read = reads[to].get_or_insert(from..from + 1);
                    *read = read.start.min(from)..read.end.max(from + 1);
                }
            }
        }
        let reads = reads.into_iter().map(|read| read.unwrap_or(0..0)).collect();
        let bias = outputs.rows(|channel| bias.map_or(0.0, |bias| bias[channel]));
        Self { blocks, taps, lanes: inputs.lanes(), reads, bias }
    }

    /// Products into `out`, `[groups of outputs, rows]`.
    pub fn multiply(&self, reads: Reads, put: Put, out: &mut [Row]) {
        if !reads.firsts.is_empty() {
            pulp::Arch::new().dispatch(Multiply { matrix: self, reads, put, out });
        }
    }

    /// Sums over some pairs of a tap and a group of inputs, which follow each other.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const G: usize, const V: usize>(
        &self,
        simd: S,
        group: usize,
        pairs: &Range<usize>,
        reads: &Reads,
        firsts: [usize; R],
    ) -> Tile<S, R, G, V> {
        let groups = self.lanes.len();
        let mut tile = match pairs.start {
            0 => Tile::splat(std::array::from_fn(|g| &self.bias[group + g])),
            _ => Tile::splat([&Row::ZERO; G]),
        };
        let read = self.reads[group..group + G].iter().filter(|read| !read.is_empty());
        let read = read.fold(groups..0, |all, read| all.start.min(read.start)..all.end.max(read.end));
        for pair in pairs.clone() {
            let (tap, from) = (pair / groups, pair % groups);
            if !read.contains(&from) {
                continue;
            }
            let first = from * reads.stride + tap * reads.dilation;
            let inputs: [&Row; R] = std::array::from_fn(|r| &reads.rows[first + firsts[r]]);
            let blocks: [&[Row; LANES]; G] =
                std::array::from_fn(|g| &self.blocks[(group + g) * self.taps * groups + pair]);
            let lanes = self.lanes[from];
            if lanes == LANES {
                for lane in 0..LANES {
                    let numbers = std::array::from_fn(|r| inputs[r].0[lane]);
                    tile.add_products(simd, &numbers, blocks.map(|rows| &rows[lane]));
                }
            } else {
                for lane in 0..lanes {
                    let numbers = std::array::from_fn(|r| inputs[r].0[lane]);
                    tile.add_products(simd, &numbers, blocks.map(|rows| &rows[lane]));
                }
            }
        }
        tile
    }
}

struct Multiply<'a> {
    matrix: &'a Matrix,
    reads: Reads<'a>,
    put: Put,
    out: &'a mut [Row],
}

impl Multiply<'_> {
    #[inline(always)]
    fn compute<S: Simd, const R: usize, const G: usize, const V: usize>(&mut self, simd: S) {
        let (groups, pairs) = (self.matrix.bias.len(), self.matrix.taps * self.matrix.lanes.len());
        let (count, together) = (self.reads.firsts.len(), (ROWS / self.matrix.lanes.len()).max(R).next_multiple_of(R));
        for first in (0..count).step_by(together) {
            let rows = first..(first + together).min(count);
            for start in (0..pairs).step_by(PAIRS) {
                let pairs = start..(start + PAIRS).min(pairs);
                for group in (0..groups - groups % G).step_by(G) {
                    self.groups::<S, R, G, V>(simd, group, &pairs, &rows);
                }
                for group in groups - groups % G..groups {
                    self.groups::<S, R, 1, V>(simd, group, &pairs, &rows);
                }
            }
        }
    }

    /// Some rows of `G` groups of outputs.
    #[inline(always)]
    fn groups<S: Simd, const R: usize, const G: usize, const V: usize>(
        &mut self,
        simd: S,
        group: usize,
        pairs: &Range<usize>,
        rows: &Range<usize>,
    ) {
        let Self { matrix, reads, put, out } = self;
        let count = reads.firsts.len();
        let is_new = *put != Put::Add && pairs.start == 0;
        let is_last = pairs.end == matrix.taps * matrix.lanes.len();
        let least = if *put == Put::Relu && is_last { 0.0 } else { f32::NEG_INFINITY };
        let mut own = out[group * count..(group + G) * count].chunks_exact_mut(count);
        let mut own: [&mut [Row]; G] = std::array::from_fn(|_| own.next().unwrap_or_default());
        for start in rows.clone().step_by(R) {
            let firsts = std::array::from_fn(|r| reads.firsts[(start + r).min(rows.end - 1)]);
            let tile = matrix.tile::<S, R, G, V>(simd, group, pairs, reads, firsts);
            for (g, own) in own.iter_mut().enumerate() {
                let mut totals = [Row::ZERO; R];
                tile.store(g, &mut totals);
                for (own, mut sum) in own[start..rows.end].iter_mut().zip(totals) {
                    if !is_new {
                        sum.add(own);
                    }
                    // Not `f32::max`, which would hide what is no number.
                    (0..LANES).for_each(|lane| own.0[lane] = if sum.0[lane] < least { least } else { sum.0[lane] });
                }
            }
        }
    }
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    /// Tiles take most of the registers.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match S::F32_LANES {
            16 => self.compute::<S, 12, 2, 1>(simd),
            8 => self.compute::<S, 6, 1, 2>(simd),
            4 => self.compute::<S, 2, 1, 4>(simd),
            _ => self.compute::<S, 1, 1, LANES>(simd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Small whole numbers, whose sums are exact.
        #[test]
        fn products_add_up(
            inputs in prop::collection::vec(1usize..20, 1..3),
            outputs in prop::collection::vec(1usize..40, 1..3),
            taps in 1usize..4,
            dilation in 1usize..3,
            rows in 1usize..30,
            grouped in any::<bool>(),
        ) {
            let (inputs, outputs) = ([inputs.as_slice()].concat(), [outputs.as_slice()].concat());
            let (inputs, outputs) = (Channels::beside(&inputs.iter().map(|&part| Channels::one_part(part)).collect::<Vec<_>>().iter().collect::<Vec<_>>()), Channels::beside(&outputs.iter().map(|&part| Channels::one_part(part)).collect::<Vec<_>>().iter().collect::<Vec<_>>()));
            let weight = |output: usize, input: usize, tap: usize| {
                if grouped && output % 3 == input % 3 { 0.0 } else { ((output * 7 + input * 5 + tap * 3) % 11) as f32 - 5.0 }
            };
            let bias: Vec<f32> = (0..outputs.count()).map(|output| output as f32).collect();
            let matrix = Matrix::new(&inputs, &outputs, taps, Some(&bias), weight);
            let stride = rows + (taps - 1) * dilation;
            let value = |channel: usize, row: usize| ((channel * 13 + row * 17) % 7) as f32 - 3.0;
            let mut read = vec![Row::ZERO; inputs.groups() * stride];
            for (channel, (group, lane)) in inputs.places().into_iter().enumerate() {
                (0..stride).for_each(|row| read[group * stride + row].0[lane] = value(channel, row));
            }
            // Backwards, so that rows are not where they come from.
            let firsts: Vec<usize> = (0..rows).rev().collect();
            let reads = Reads { rows: &read, stride, firsts: &firsts, dilation };
            let sum = |output: usize, row: usize| -> f32 {
                let products = (0..inputs.count()).flat_map(|input| (0..taps).map(move |tap| (input, tap)));
                bias[output] + products.map(|(input, tap)| weight(output, input, tap) * value(input, firsts[row] + tap * dilation)).sum::<f32>()
            };
            for put in [Put::Set, Put::Relu, Put::Add] {
                let mut out = vec![Row([2.0; LANES]); outputs.groups() * rows];
                matrix.multiply(reads, put, &mut out);
                for (output, (group, lane)) in outputs.places().into_iter().enumerate() {
                    for row in 0..rows {
                        let expected = match put {
                            Put::Set => sum(output, row),
                            Put::Relu => sum(output, row).max(0.0),
                            Put::Add => sum(output, row) + 2.0,
                        };
                        prop_assert_eq!(out[group * rows + row].0[lane], expected, "{:?} {} {}", put, output, row);
                    }
                }
            }
        }
    }
}
