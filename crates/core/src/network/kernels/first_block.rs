//! Convolution over one-hot sequences, ReLU, dropout and max pool in one pass, from codes. There are no
//! multiplications: a convolution over one-hot input is a sum of weights, and a table holds that sum for each pair of
//! neighbouring bases.

mod scan;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::network::kernels::first_block::scan::Scan;

use crate::config::layers::Layer;
use crate::network::kernels::dropout;
use crate::network::kernels::dropout::{Key, Rate};
use crate::network::kernels::{LANES, Row};
use crate::network::plan::{Plan, Step};
use crate::sequence::alphabet::UNKNOWN;

/// Number of codes, with that of the unknown base.
const CODES: usize = UNKNOWN as usize + 1;
/// Rows of a table: pairs of codes, padded so that every five-bit index is valid.
const PAIRS: usize = 32;
/// Number of weights of a filter that the backward pass accumulates in registers at a time.
const TOGETHER: usize = 64;
/// Number of fragments that the backward pass reads for one filter after the other; few enough for the first-level
/// cache.
const NEARBY: usize = 8;
/// A mask for each code, all ones at its base.
const PLANES: [[u32; 4]; CODES] =
    [[u32::MAX, 0, 0, 0], [0, u32::MAX, 0, 0], [0, 0, u32::MAX, 0], [0, 0, 0, u32::MAX], [0; 4]];
/// Marks a window in which no value is above 0.
const NOBODY: u32 = u32::MAX;

/// Shape and operations of a first block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub filters: usize,
    /// Width of a filter, in bp.
    pub width: usize,
    /// Length of a sequence, in bp.
    pub length: usize,
    /// Number of unknown bases before the sequence, if it is padded.
    pub before: usize,
    /// Width of a pooling window, in positions.
    pub pool: usize,
    /// Number of pooling windows.
    pub pooled: usize,
    pub relu: bool,
    /// Dropout rate.
    pub dropout: f64,
}

impl Shape {
    /// The first block of a plan, with the number of steps it covers, if it has the supported form: a convolution,
    /// optionally ReLU and then dropout, and a max pool without overlap.
    pub fn of(plan: &Plan, steps: &[Step]) -> Option<(Self, usize)> {
        let first = steps.first()?;
        let Layer::Convolution { filters, width, stride: 1, dilation: 1, groups: 1, padding } = first.layer else {
            return None;
        };
        let mut steps = steps.iter().enumerate().skip(1).peekable();
        let mut next = |of: fn(&Layer) -> Option<f64>| {
            steps.next_if(|(_, step)| of(&step.layer).is_some()).and_then(|(_, step)| of(&step.layer))
        };
        let relu = next(|layer| matches!(layer, Layer::Relu {}).then_some(0.0)).is_some();
        let dropout = next(|layer| match layer {
            Layer::Dropout { rate } => Some(rate.unwrap_or(0.0)),
            _ => None,
        });
        let dropout = dropout.unwrap_or(0.0);
        let (last, &Step { layer: Layer::MaxPool { width: pool, stride }, output, block, .. }) = steps.next()? else {
            return None;
        };
        // Without ReLU a dropped value could be the maximum of a window.
        let fits = !plan.tied && stride.is_none_or(|stride| stride == pool) && (relu || dropout == 0.0);
        if !fits || block != first.block {
            return None;
        }
        let before = padding.zeros(width - 1)[0];
        if 2 * before >= width {
            return None;
        }
        let pooled = output.positions?;
        let shape = Self { filters, width, length: plan.length, before, pool, pooled, relu, dropout };
        Some((shape, last + 1))
    }

    /// Whether sequences are padded.
    pub fn is_padded(&self) -> bool {
        self.positions() + self.width > self.length + 1
    }

    /// Number of groups of filters computed at once.
    fn groups(&self) -> usize {
        self.filters.div_ceil(LANES)
    }

    /// Number of pairs of neighbouring positions under a filter.
    fn taps(&self) -> usize {
        self.width.div_ceil(2)
    }

    /// Number of positions at which the convolution is computed.
    fn positions(&self) -> usize {
        self.pool * self.pooled
    }

    /// Number of codes of a fragment with its padding.
    fn seen(&self) -> usize {
        (self.positions() + self.summed() / 4).max(self.before + self.length)
    }

    /// Number of weights that the backward pass sums for one filter, with the padding at its end.
    fn summed(&self) -> usize {
        (4 * self.width).next_multiple_of(TOGETHER)
    }

    /// Number of outputs for one fragment.
    pub fn outputs(&self) -> usize {
        self.filters * self.pooled
    }

    /// Range of the outputs of a fragment and a group of filters.
    fn outputs_of(&self, fragment: usize, group: usize) -> Range<usize> {
        let place = |filter: usize| fragment * self.outputs() + filter.min(self.filters) * self.pooled;
        place(group * LANES)..place((group + 1) * LANES)
    }
}

/// Sums of weights for every pair of codes at every pair of positions under every filter, and the biases.
#[derive(Debug, Default)]
pub struct Table {
    /// `[groups, taps]`, and of each a row for every pair of codes.
    rows: Vec<[Row; PAIRS]>,
    /// `[groups]`
    bias: Vec<Row>,
    /// Whether all weights and biases are finite.
    is_finite: bool,
}

impl Table {
    /// Converts weights `[filters, 4, width]` and biases `[filters]`.
    pub fn fill(&mut self, shape: &Shape, weight: &[f32], bias: &[f32]) {
        let &Shape { filters, width, .. } = shape;
        self.is_finite = weight.iter().chain(bias).all(|number| number.is_finite());
        self.rows.resize(shape.groups() * shape.taps(), [Row::ZERO; PAIRS]);
        self.bias.resize(shape.groups(), Row::ZERO);
        let of_group = self.rows.chunks_exact_mut(shape.taps()).zip(&mut self.bias);
        for (group, (rows, own_bias)) in of_group.enumerate() {
            let first = group * LANES;
            let count = LANES.min(filters - first);
            own_bias.0[..count].copy_from_slice(&bias[first..first + count]);
            for (tap, rows) in rows.iter_mut().enumerate() {
                // Weights of one code at one position; zero for unknown bases and beyond the filter's end.
                let column = |at: usize, code: usize| {
                    let mut column = Row::ZERO;
                    if at < width && code < 4 {
                        for (lane, column) in column.0[..count].iter_mut().enumerate() {
                            *column = weight[((first + lane) * 4 + code) * width + at];
                        }
                    }
                    column
                };
                let columns: [[Row; CODES]; 2] =
                    std::array::from_fn(|i| std::array::from_fn(|code| column(2 * tap + i, code)));
                for (pair, row) in rows[..CODES * CODES].iter_mut().enumerate() {
                    *row = columns[0][pair / CODES];
                    row.add(&columns[1][pair % CODES]);
                }
            }
        }
    }
}

/// Some fragments of a batch, with inputs and results of the passes. Buffers are reused by the next batch.
#[derive(Debug, Default)]
pub struct Shard {
    /// Index of the first fragment in the batch.
    first: usize,
    fragments: usize,
    /// For each fragment and position, its code and the next one packed into one number.
    pairs: Vec<u8>,
    /// For each fragment, position and base a mask, all ones if the base is there.
    planes: Vec<[u32; 4]>,
    /// Position of the maximum of each window, `[groups, fragments, pooled]`.
    winners: Vec<[u32; LANES]>,
    /// Gradients of weights, `[filters, summed]`, each filter's by position and then by base.
    weight: Vec<f32>,
    /// `[filters]`
    bias: Vec<f32>,
    /// For one filter and some fragments, the planes that receive a gradient, with its value.
    hits: Vec<(usize, f32)>,
    /// Output of the convolution for one fragment and group, and its dropout mask.
    convolved: Vec<[f32; LANES]>,
    keep: Vec<[u32; LANES]>,
}

impl Shard {
    /// Outputs `[fragments, filters, pooled]` for codes `[fragments, length]`, without dropout or anything else that
    /// only training needs.
    pub fn score(&mut self, shape: &Shape, table: &Table, codes: &[u8], outputs: &mut [f32]) {
        self.take(shape, 0, codes, false);
        self.forward(shape, table, None, outputs);
    }

    /// The same as rows `[groups, fragments, pooled]` of 16 filters each.
    pub fn score_rows(&mut self, shape: &Shape, table: &Table, codes: &[u8], outputs: &mut [Row]) {
        self.take(shape, 0, codes, false);
        match table.is_finite {
            true => pulp::Arch::new().dispatch(ScoreRows { shard: self, shape, table, outputs }),
            false => outputs.fill(Row([f32::NAN; LANES])),
        }
    }

    /// The same in training, keeping what the backward pass needs; `first` is the index of the first fragment in the
    /// batch.
    pub fn train(&mut self, shape: &Shape, table: &Table, key: Key, first: usize, codes: &[u8], outputs: &mut [f32]) {
        self.take(shape, first, codes, true);
        self.forward(shape, table, Some(key), outputs);
    }

    /// Outputs `[windows, filters, pooled]` for windows that start at `starts` of codes, in ascending order. Overlaps
    /// are computed once, with the results of scoring each window separately. Nothing is padded.
    pub fn scan(&mut self, shape: &Shape, table: &Table, codes: &[u8], starts: &[usize], outputs: &mut [f32]) {
        if !table.is_finite {
            outputs.fill(f32::NAN);
            return;
        }
        self.pairs.clear();
        self.pairs.extend(codes.iter().zip(codes[1..].iter().chain(&[UNKNOWN])).map(pair));
        pulp::Arch::new().dispatch(Scan { shard: self, shape, table, starts, outputs });
    }

    /// Prepares the codes for the passes.
    fn take(&mut self, shape: &Shape, first: usize, codes: &[u8], train: bool) {
        let seen = shape.seen();
        self.first = first;
        self.fragments = codes.len() / shape.length;
        self.pairs.clear();
        self.planes.clear();
        let mut padded = vec![UNKNOWN; seen + 1];
        for codes in codes.chunks_exact(shape.length) {
            padded[shape.before..shape.before + shape.length].copy_from_slice(codes);
            self.pairs.extend(padded.iter().zip(&padded[1..]).map(pair));
            if train {
                self.planes.extend(padded[..seen].iter().map(|&code| PLANES[code as usize]));
            }
        }
    }

    fn forward(&mut self, shape: &Shape, table: &Table, key: Option<Key>, outputs: &mut [f32]) {
        if !table.is_finite {
            outputs.fill(f32::NAN);
            self.winners.clear();
            self.winners.resize(shape.groups() * self.fragments * shape.pooled, [NOBODY; LANES]);
            return;
        }
        pulp::Arch::new().dispatch(Forward { shard: self, shape, table, key, outputs });
    }

    /// Accumulates the gradients of weights and biases from those of the outputs, `[fragments, filters, pooled]`, after
    /// `train`.
    pub fn backward(&mut self, shape: &Shape, gradient: &[f32]) {
        pulp::Arch::new().dispatch(Backward { shard: self, shape, gradient });
    }

    /// Adds the gradients of weights to `weight`, `[filters, 4, width]`, and those of biases to `bias`, `[filters]`.
    pub fn add_gradients(&self, shape: &Shape, weight: &mut [f32], bias: &mut [f32]) {
        let own = self.weight.chunks_exact(shape.summed());
        for (own, weight) in own.zip(weight.chunks_exact_mut(4 * shape.width)) {
            for (base, weight) in weight.chunks_exact_mut(shape.width).enumerate() {
                for (at, weight) in weight.iter_mut().enumerate() {
                    *weight += own[4 * at + base];
                }
            }
        }
        for (own, bias) in self.bias.iter().zip(bias) {
            *bias += own;
        }
    }
}

/// Packs a code and the next one into one number. Codes are below 5, so nothing wraps.
#[inline(always)]
fn pair((&code, &next): (&u8, &u8)) -> u8 {
    code.wrapping_mul(CODES as u8).wrapping_add(next)
}

/// A forward pass over a shard.
struct Forward<'a> {
    shard: &'a mut Shard,
    shape: &'a Shape,
    table: &'a Table,
    key: Option<Key>,
    outputs: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { shard, shape, table, key, outputs } = self;
        let &Shape { pool, pooled, .. } = shape;
        let Shard { first, fragments, pairs, winners, convolved, keep, .. } = shard;
        let rate = Rate::new(shape.dropout);
        let key = key.filter(|_| !rate.is_zero());
        let scale = if key.is_some() { rate.scale() } else { 1.0 };
        let nothing = if shape.relu { 0.0 } else { f32::NEG_INFINITY };
        convolved.resize(shape.positions(), [0.0; LANES]);
        keep.resize(shape.positions(), [u32::MAX; LANES]);
        winners.resize(shape.groups() * *fragments * pooled, [NOBODY; LANES]);
        let mut winners = winners.chunks_exact_mut(pooled);
        let of_group = table.rows.chunks_exact(shape.taps()).zip(&table.bias);
        for (group, (rows, bias)) in of_group.enumerate() {
            for (i, pairs) in pairs.chunks_exact(shape.seen()).enumerate() {
                convolve(rows, bias, pairs, convolved);
                if let Some(key) = key {
                    dropout::draw(keep, key.of(*first + i, group), rate);
                }
                let outputs = &mut outputs[shape.outputs_of(i, group)];
                let Some(winners) = winners.next() else { return };
                for (window, winner) in winners.iter_mut().enumerate() {
                    let (mut most, mut of) = ([nothing; LANES], [NOBODY; LANES]);
                    let positions = window * pool..(window + 1) * pool;
                    if key.is_some() {
                        for at in positions {
                            let kept = std::array::from_fn(|lane| {
                                f32::from_bits(convolved[at][lane].to_bits() & keep[at][lane])
                            });
                            challenge(&kept, at as u32, &mut most, &mut of);
                        }
                    } else {
                        for at in positions {
                            challenge(&convolved[at], at as u32, &mut most, &mut of);
                        }
                    }
                    *winner = of;
                    for (lane, outputs) in outputs.chunks_exact_mut(pooled).enumerate() {
                        outputs[window] = most[lane] * scale;
                    }
                }
            }
        }
    }
}

/// A forward pass without anything that only training needs.
struct ScoreRows<'a> {
    shard: &'a mut Shard,
    shape: &'a Shape,
    table: &'a Table,
    outputs: &'a mut [Row],
}

impl WithSimd for ScoreRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { shard, shape, table, outputs } = self;
        let &Shape { pool, pooled, .. } = shape;
        let Shard { pairs, convolved, .. } = shard;
        let nothing = if shape.relu { 0.0 } else { f32::NEG_INFINITY };
        convolved.resize(shape.positions(), [0.0; LANES]);
        let mut outputs = outputs.chunks_exact_mut(pooled);
        for (rows, bias) in table.rows.chunks_exact(shape.taps()).zip(&table.bias) {
            for pairs in pairs.chunks_exact(shape.seen()) {
                convolve(rows, bias, pairs, convolved);
                let Some(outputs) = outputs.next() else { return };
                for (output, window) in outputs.iter_mut().zip(convolved.chunks_exact(pool)) {
                    let mut most = [nothing; LANES];
                    window.iter().for_each(|numbers| raise(&mut most, numbers));
                    *output = Row(most);
                }
            }
        }
    }
}

/// Element-wise maximum.
#[inline(always)]
fn raise(most: &mut [f32; LANES], numbers: &[f32; LANES]) {
    for lane in 0..LANES {
        most[lane] = if numbers[lane] > most[lane] { numbers[lane] } else { most[lane] };
    }
}

/// Convolution of 16 filters with a fragment, position by position. Four stretches are summed in parallel, so that no
/// sum waits for the one before.
#[inline(always)]
fn convolve(rows: &[[Row; PAIRS]], bias: &Row, pairs: &[u8], out: &mut [[f32; LANES]]) {
    let reach = 2 * rows.len() - 1;
    let quarter = out.len() / 4;
    let (first, others) = out.split_at_mut(quarter);
    let (second, others) = others.split_at_mut(quarter);
    let (third, others) = others.split_at_mut(quarter);
    let (fourth, rest) = others.split_at_mut(quarter);
    for at in 0..quarter {
        let seen = |stretch: usize| pairs[stretch * quarter + at..][..reach].iter().step_by(2);
        let (mut a, mut b, mut c, mut d) = (*bias, *bias, *bias, *bias);
        let all_seen = seen(0).zip(seen(1)).zip(seen(2)).zip(seen(3));
        for (rows, (((&of_a, &of_b), &of_c), &of_d)) in rows.iter().zip(all_seen) {
            a.add(&rows[of_a as usize % PAIRS]);
            b.add(&rows[of_b as usize % PAIRS]);
            c.add(&rows[of_c as usize % PAIRS]);
            d.add(&rows[of_d as usize % PAIRS]);
        }
        (first[at], second[at], third[at], fourth[at]) = (a.0, b.0, c.0, d.0);
    }
    for (at, out) in rest.iter_mut().enumerate() {
        let mut sum = *bias;
        for (rows, &pair) in rows.iter().zip(pairs[4 * quarter + at..].iter().step_by(2)) {
            sum.add(&rows[pair as usize % PAIRS]);
        }
        *out = sum.0;
    }
}

/// Element-wise maximum with its position; the first of equals stays, as in libtorch.
#[inline(always)]
fn challenge(numbers: &[f32; LANES], at: u32, most: &mut [f32; LANES], of: &mut [u32; LANES]) {
    for lane in 0..LANES {
        let wins = numbers[lane] > most[lane];
        most[lane] = if wins { numbers[lane] } else { most[lane] };
        of[lane] = if wins { at } else { of[lane] };
    }
}

/// A backward pass over a shard. Max pooling passes a gradient to one position of a window, so a filter's gradient is
/// the sum over windows of the one-hot sequence under it times a single number.
struct Backward<'a> {
    shard: &'a mut Shard,
    shape: &'a Shape,
    gradient: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { shard, shape, gradient } = self;
        let &Shape { filters, pooled, .. } = shape;
        let Shard { fragments, planes, winners, weight, bias, hits, .. } = shard;
        let (scale, seen) = (Rate::new(shape.dropout).scale(), shape.seen());
        weight.clear();
        weight.resize(filters * shape.summed(), 0.0);
        bias.clear();
        bias.resize(filters, 0.0);
        for start in (0..*fragments).step_by(NEARBY) {
            let nearby = start..(start + NEARBY).min(*fragments);
            let planes = planes[nearby.start * seen..nearby.end * seen].as_flattened();
            for (filter, (weight, bias)) in weight.chunks_exact_mut(shape.summed()).zip(bias.iter_mut()).enumerate() {
                let (group, lane) = (filter / LANES, filter % LANES);
                hits.clear();
                for i in nearby.clone() {
                    let gradient = &gradient[(i * filters + filter) * pooled..][..pooled];
                    let winners = &winners[(group * *fragments + i) * pooled..][..pooled];
                    for (winner, gradient) in winners.iter().zip(gradient) {
                        if winner[lane] != NOBODY {
                            hits.push((4 * ((i - start) * seen + winner[lane] as usize), gradient * scale));
                        }
                    }
                }
                hits.iter().for_each(|(_, gradient)| *bias += gradient);
                for (part, weight) in weight.chunks_exact_mut(TOGETHER).enumerate() {
                    let Some(weight) = weight.first_chunk_mut::<TOGETHER>() else { continue };
                    let planes = &planes[part * TOGETHER..];
                    let mut total = *weight;
                    for &(at, gradient) in hits.iter() {
                        let Some(plane) = planes[at..].first_chunk::<TOGETHER>() else { continue };
                        for k in 0..TOGETHER {
                            total[k] += f32::from_bits(gradient.to_bits() & plane[k]);
                        }
                    }
                    *weight = total;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use crate::random::Purpose;
    use proptest::prelude::*;
    use rand::RngExt;

    /// What dropout keeps of one fragment, `[filters, positions]`.
    fn kept(shape: &Shape, key: Key, fragment: usize) -> Vec<f64> {
        let groups = (0..shape.groups()).map(|group| {
            let mut keep = vec![[0; LANES]; shape.positions()];
            dropout::draw(&mut keep, key.of(fragment, group), Rate::new(shape.dropout));
            keep
        });
        let groups: Vec<_> = groups.collect();
        let of_filter = |filter: usize| groups[filter / LANES].iter().map(move |keep| keep[filter % LANES]);
        (0..shape.filters).flat_map(of_filter).map(|bits| f64::from(u8::from(bits != 0))).collect()
    }

    /// The same block written down as it is defined, in double precision.
    struct Reference<'a> {
        shape: Shape,
        /// `[filters, 4, width]`
        weight: &'a [f32],
        bias: &'a [f32],
        /// `[fragments, length]`
        codes: &'a [u8],
        /// What dropout keeps, `[fragments, filters, positions]`.
        kept: Option<&'a [f64]>,
    }

    impl Reference<'_> {
        /// Base under a position of a filter at a position of a fragment; nothing beyond its ends and where it is unknown.
        fn base(&self, fragment: usize, at: usize, position: usize) -> Option<usize> {
            let place = (at + position).checked_sub(self.shape.before).filter(|&place| place < self.shape.length)?;
            Some(usize::from(self.codes[fragment * self.shape.length + place])).filter(|&base| base < 4)
        }

        fn weight(&self, filter: usize, base: usize, position: usize) -> usize {
            (filter * 4 + base) * self.shape.width + position
        }

        /// What dropout multiplies by.
        fn share(&self, fragment: usize, filter: usize, at: usize) -> f64 {
            let positions = self.shape.positions();
            let scale = f64::from(Rate::new(self.shape.dropout).scale());
            self.kept.map_or(1.0, |kept| kept[(fragment * self.shape.filters + filter) * positions + at] * scale)
        }

        /// The number before dropout.
        fn activation(&self, fragment: usize, filter: usize, at: usize) -> f64 {
            let term = |position: usize| {
                let base = self.base(fragment, at, position);
                base.map_or(0.0, |base| f64::from(self.weight[self.weight(filter, base, position)]))
            };
            let sum = f64::from(self.bias[filter]) + (0..self.shape.width).map(term).sum::<f64>();
            if self.shape.relu { sum.max(0.0) } else { sum }
        }

        /// Where the largest of each window stands, and what it is: `[fragments, filters, windows]`.
        fn maxima(&self) -> Vec<(usize, f64)> {
            let Shape { filters, pool, pooled, length, .. } = self.shape;
            let mut maxima = Vec::new();
            for fragment in 0..self.codes.len() / length {
                for (filter, window) in (0..filters).flat_map(|filter| (0..pooled).map(move |window| (filter, window)))
                {
                    let number = |at| (at, self.activation(fragment, filter, at) * self.share(fragment, filter, at));
                    let numbers = (window * pool..(window + 1) * pool).map(number);
                    maxima.extend(numbers.reduce(|best, other| if other.1 > best.1 { other } else { best }));
                }
            }
            maxima
        }

        /// Gradients of weights and biases, given those of the outputs.
        fn gradients(&self, gradient: &[f32]) -> (Vec<f64>, Vec<f64>) {
            let Shape { filters, pooled, width, relu, .. } = self.shape;
            let (mut of_weight, mut of_bias) = (vec![0.0; self.weight.len()], vec![0.0; filters]);
            for (i, ((at, _), &gradient)) in self.maxima().into_iter().zip(gradient).enumerate() {
                let (fragment, filter) = (i / pooled / filters, i / pooled % filters);
                if relu && self.activation(fragment, filter, at) == 0.0 {
                    continue;
                }
                let gradient = f64::from(gradient) * self.share(fragment, filter, at);
                of_bias[filter] += gradient;
                for position in 0..width {
                    if let Some(base) = self.base(fragment, at, position) {
                        of_weight[self.weight(filter, base, position)] += gradient;
                    }
                }
            }
            (of_weight, of_bias)
        }
    }

    fn check(shape: Shape, fragments: usize, seed: u64) {
        let mut random = random::generator(seed, Purpose::Weights, 0, 0);
        let Shape { filters, width, length, .. } = shape;
        let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-0.5..0.5)).collect() };
        let (weight, bias) = (numbers(filters * 4 * width), numbers(filters));
        let gradient = numbers(fragments * shape.outputs());
        // One base in twelve is unknown.
        let codes: Vec<u8> = (0..fragments * length)
            .map(|_| if random.random_bool(1.0 / 12.0) { UNKNOWN } else { random.random_range(0..4) })
            .collect();
        let mut table = Table::default();
        table.fill(&shape, &weight, &bias);
        let close = |name: &str, found: &[f32], expected: &[f64]| {
            let size = expected.iter().fold(1.0, |size: f64, number| size.max(number.abs()));
            let off = found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
            assert_eq!(found.len(), expected.len());
            assert!(off <= 1e-5 * size, "{name} of {shape:?} is off by {off} of {size}");
        };
        let reference = |kept| Reference { shape, weight: &weight, bias: &bias, codes: &codes, kept };
        let largest =
            |reference: &Reference| reference.maxima().into_iter().map(|(_, number)| number).collect::<Vec<_>>();

        let mut shard = Shard::default();
        let mut outputs = vec![0.0; fragments * shape.outputs()];
        shard.score(&shape, &table, &codes, &mut outputs);
        close("score", &outputs, &largest(&reference(None)));

        // As windows that overlap, where nothing is padded.
        if !shape.is_padded() && shape.before == 0 {
            let starts: Vec<usize> =
                (0..).map(|i| i * (1 + seed as usize % 9)).take_while(|i| i + length <= codes.len()).collect();
            let windows: Vec<u8> = starts.iter().flat_map(|&start| &codes[start..start + length]).copied().collect();
            let [mut apart, mut scanned] = [(); 2].map(|()| vec![0.0; starts.len() * shape.outputs()]);
            shard.score(&shape, &table, &windows, &mut apart);
            shard.scan(&shape, &table, &codes, &starts, &mut scanned);
            assert_eq!(apart, scanned);
        }

        let (key, first) = (Key(seed), 70);
        let kept: Vec<f64> = (0..fragments).flat_map(|i| kept(&shape, key, first + i)).collect();
        // The same buffers again.
        shard.train(&shape, &table, key, first, &codes, &mut outputs);
        let reference = reference(Some(&kept));
        close("output", &outputs, &largest(&reference));
        let (expected_weight, expected_bias) = reference.gradients(&gradient);
        shard.backward(&shape, &gradient);
        let (mut of_weight, mut of_bias) = (vec![0.0; filters * 4 * width], vec![0.0; filters]);
        shard.add_gradients(&shape, &mut of_weight, &mut of_bias);
        close("weight gradient", &of_weight, &expected_weight);
        close("bias gradient", &of_bias, &expected_bias);
    }

    #[test]
    fn it_computes_what_its_definition_does_in_double_precision() {
        let seed =
            Shape { filters: 16, width: 32, length: 128, before: 0, pool: 16, pooled: 6, relu: true, dropout: 0.2 };
        check(seed, 21, 1);
        let residual =
            Shape { filters: 40, width: 15, length: 70, before: 7, pool: 4, pooled: 17, relu: false, dropout: 0.0 };
        check(residual, 9, 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn it_does_so_for_any_shape(
            (filters, width, extra) in (1usize..40, 1usize..45, 0usize..60),
            (padded, relu) in (any::<bool>(), any::<bool>()),
            (pool, share) in (1usize..20, 0.0..0.95f64),
            (fragments, seed) in (1usize..20, any::<u64>()),
        ) {
            let length = width + extra;
            let positions = if padded { length } else { extra + 1 };
            let pool = pool.min(positions);
            let before = if padded { (width - 1) / 2 } else { 0 };
            let dropout = if relu { share } else { 0.0 };
            check(Shape { filters, width, length, before, pool, pooled: positions / pool, relu, dropout }, fragments, seed);
        }
    }

    #[test]
    fn weights_that_are_no_numbers_are_not_hidden_by_relu() {
        let shape = Shape { filters: 1, width: 3, length: 5, before: 0, pool: 3, pooled: 1, relu: true, dropout: 0.0 };
        let mut table = Table::default();
        table.fill(&shape, &[f32::NAN; 12], &[0.0]);
        let mut outputs = [0.0];
        Shard::default().score(&shape, &table, &[0; 5], &mut outputs);
        assert!(outputs[0].is_nan());
    }
}
