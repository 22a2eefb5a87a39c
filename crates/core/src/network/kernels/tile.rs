//! Tiles of sums in registers, which all products of profile networks are computed in.

use std::ops::Range;

use pulp::Simd;

use crate::network::kernels::{LANES, Row};

/// Sums for `R` positions or weights and `G` groups of channels, each in `V` registers.
#[derive(Clone, Copy)]
pub struct Tile<S: Simd, const R: usize, const G: usize, const V: usize>([[[S::f32s; V]; G]; R]);

/// Starts of tiles of `R` positions that cover the first `count`, which are as many or more; the last one overlaps.
#[inline(always)]
pub fn starts<const R: usize>(count: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(R).map(move |start| start.min(count - R))
}

/// A row in registers.
#[inline(always)]
pub fn registers<S: Simd, const V: usize>(row: &Row) -> [S::f32s; V] {
    let registers = S::as_simd_f32s(&row.0).0;
    std::array::from_fn(|i| registers[i])
}

/// Puts registers into a row.
#[inline(always)]
pub fn put<S: Simd, const V: usize>(row: &mut Row, registers: &[S::f32s; V]) {
    S::as_mut_simd_f32s(&mut row.0).0.copy_from_slice(registers);
}

/// Adds rows to as many others.
#[inline(always)]
pub fn add_rows<S: Simd, const V: usize>(simd: S, to: &mut [Row], rows: &[Row]) {
    for (to, row) in to.iter_mut().zip(rows) {
        let (totals, row) = (registers::<S, V>(to), registers::<S, V>(row));
        put::<S, V>(to, &std::array::from_fn(|v| simd.add_f32s(totals[v], row[v])));
    }
}

impl<S: Simd, const R: usize, const G: usize, const V: usize> Tile<S, R, G, V> {
    /// The same rows at every position.
    #[inline(always)]
    pub fn splat(rows: [&Row; G]) -> Self {
        Self([rows.map(registers::<S, V>); R])
    }

    /// Rows `[groups, positions]`.
    #[inline(always)]
    pub fn load(rows: [&[Row; R]; G]) -> Self {
        Self(std::array::from_fn(|r| rows.map(|rows| registers::<S, V>(&rows[r]))))
    }

    /// Adds rows to those of a position.
    #[inline(always)]
    pub fn add(&mut self, simd: S, position: usize, rows: [&Row; G]) {
        for (totals, row) in self.0[position].iter_mut().zip(rows) {
            let row = registers::<S, V>(row);
            *totals = std::array::from_fn(|v| simd.add_f32s(totals[v], row[v]));
        }
    }

    /// Adds the products of a number for each position and a row for each group.
    #[inline(always)]
    pub fn add_products(&mut self, simd: S, numbers: &[f32; R], rows: [&Row; G]) {
        let rows = rows.map(registers::<S, V>);
        for (totals, number) in self.0.iter_mut().zip(numbers) {
            let number = simd.splat_f32s(*number);
            for (totals, row) in totals.iter_mut().zip(&rows) {
                for (sum, &row) in totals.iter_mut().zip(row) {
                    *sum = simd.mul_add_e_f32s(number, row, *sum);
                }
            }
        }
    }

    /// Adds the products of `inputs`, `[groups, stride]`, and weights of each group of outputs, `[taps, groups]` with a row
    /// for each input. Taps read from position `at` on, at a distance of `dilation`.
    #[inline(always)]
    pub fn convolve(
        &mut self,
        simd: S,
        weights: [&[[Row; LANES]]; G],
        (inputs, stride): (&[Row], usize),
        at: usize,
        (taps, dilation): (Range<usize>, usize),
    ) {
        let groups = inputs.len() / stride;
        for tap in taps {
            for (group, inputs) in inputs.chunks_exact(stride).enumerate() {
                let Some(inputs) = inputs[at + tap * dilation..].first_chunk::<R>() else { return };
                let weights = weights.map(|weights| &weights[tap * groups + group]);
                for lane in 0..LANES {
                    let numbers = std::array::from_fn(|r| inputs[r].0[lane]);
                    self.add_products(simd, &numbers, weights.map(|rows| &rows[lane]));
                }
            }
        }
    }

    /// Rows of a group.
    #[inline(always)]
    pub fn store(&self, group: usize, out: &mut [Row; R]) {
        for (totals, out) in self.0.iter().zip(out) {
            put::<S, V>(out, &totals[group]);
        }
    }

    /// The same, rectified.
    #[inline(always)]
    pub fn rectified(mut self, simd: S) -> Self {
        for sum in self.0.as_flattened_mut().as_flattened_mut() {
            *sum = simd.max_f32s(*sum, simd.splat_f32s(0.0));
        }
        self
    }
}

/// Passes over channels in groups: `G` at a time, then one by one, and position by position where there are fewer than `R`.
macro_rules! by_groups {
    ($S:ty, $R:ident, $G:ident, $V:ident, $groups:expr, $positions:expr, $task:ident($($argument:expr),*)) => {{
        let mut group = 0;
        while group < $groups {
            if $positions < $R {
                $task::<$S, 1, 1, $V>(group, $($argument),*);
                group += 1;
            } else if group + $G > $groups {
                $task::<$S, $R, 1, $V>(group, $($argument),*);
                group += 1;
            } else {
                $task::<$S, $R, $G, $V>(group, $($argument),*);
                group += $G;
            }
        }
    }};
}
pub(super) use by_groups;
