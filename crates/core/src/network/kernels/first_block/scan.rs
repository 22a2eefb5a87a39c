//! Overlapping windows along a sequence: shared positions are convolved once, and each window takes its maxima from
//! them.

use pulp::{Simd, WithSimd};

use crate::network::kernels::first_block::{LANES, Shape, Shard, Table, convolve, raise};

/// A pass over overlapping windows.
pub(super) struct Scan<'a> {
    pub(super) shard: &'a mut Shard,
    pub(super) shape: &'a Shape,
    pub(super) table: &'a Table,
    pub(super) starts: &'a [usize],
    pub(super) outputs: &'a mut [f32],
}

impl WithSimd for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { shard, shape, table, starts, outputs } = self;
        let &Shape { pool, pooled, .. } = shape;
        let Shard { pairs, convolved, .. } = shard;
        let nothing = if shape.relu { 0.0 } else { f32::NEG_INFINITY };
        let Some(last) = starts.last() else { return };
        let positions = last + shape.positions();
        convolved.resize(positions, [0.0; LANES]);
        // Maxima of 2, 4, ... positions from each position on, if that takes less work than each window separately.
        let doublings = pool.ilog2() as usize;
        let is_dense = positions * (doublings + 1) < starts.len() * shape.positions();
        let reach = if is_dense { 1 << doublings } else { 1 };
        let of_group = table.rows.chunks_exact(shape.taps()).zip(&table.bias);
        for (group, (rows, bias)) in of_group.enumerate() {
            convolve(rows, bias, pairs, convolved);
            if is_dense {
                for distance in (0..doublings).map(|doubling| 1 << doubling) {
                    for at in 0..positions - distance {
                        let other = convolved[at + distance];
                        // Not `raise`, which would compile to slow masked stores.
                        convolved[at] = std::array::from_fn(|lane| convolved[at][lane].max(other[lane]));
                    }
                }
            }
            for (i, &start) in starts.iter().enumerate() {
                let outputs = &mut outputs[shape.outputs_of(i, group)];
                for window in 0..pooled {
                    let from = start + window * pool;
                    let mut most = [nothing; LANES];
                    let mut at = from;
                    while at + reach < from + pool {
                        raise(&mut most, &convolved[at]);
                        at += reach;
                    }
                    raise(&mut most, &convolved[from + pool - reach]);
                    for (lane, outputs) in outputs.chunks_exact_mut(pooled).enumerate() {
                        outputs[window] = most[lane];
                    }
                }
            }
        }
    }
}
