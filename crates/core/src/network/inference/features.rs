//! What passes from layer to layer: rows of 16 channels, one for each position of each sequence.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use crate::network::kernels::{LANES, Row};

/// Buffers that a thread keeps for the next layers, and the most rows of one: fresh memory has to be cleared page by page.
const MOST_SPARE: usize = 16;
const MOST_ROWS: usize = 1 << 16;

thread_local! {
    static SPARE: RefCell<Vec<Vec<Row>>> = const { RefCell::new(Vec::new()) };
}

/// Rows in a buffer that goes back to its thread.
#[derive(Debug, Default)]
pub struct Rows(Vec<Row>);

impl Rows {
    /// So many rows that hold anything.
    pub fn any(count: usize) -> Self {
        let mut rows = SPARE.with_borrow_mut(|spare| {
            let fits = |rows: &Vec<Row>| rows.capacity() >= count;
            let place = (0..spare.len()).filter(|&i| fits(&spare[i])).min_by_key(|&i| spare[i].capacity());
            place.map(|place| spare.swap_remove(place)).unwrap_or_default()
        });
        rows.resize(count, Row::ZERO);
        Self(rows)
    }

    pub fn zeros(count: usize) -> Self {
        let mut rows = Self::any(count);
        rows.0.fill(Row::ZERO);
        rows
    }
}

impl Deref for Rows {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        &self.0
    }
}

impl DerefMut for Rows {
    fn deref_mut(&mut self) -> &mut [Row] {
        &mut self.0
    }
}

impl Clone for Rows {
    fn clone(&self) -> Self {
        let mut rows = Self::any(self.len());
        rows.copy_from_slice(self);
        rows
    }
}

impl FromIterator<Row> for Rows {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let rows = std::mem::take(&mut self.0);
        if (1..=MOST_ROWS).contains(&rows.capacity()) {
            // Of a thread that ends nothing is kept.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < MOST_SPARE {
                    spare.push(rows);
                }
            });
        }
    }
}

/// Channels in groups of 16. They come in parts, each of which begins with a group of its own, so that parts are put side by side
/// without moving a number between lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels(Vec<usize>);

impl Channels {
    pub fn one_part(count: usize) -> Self {
        Self(vec![count])
    }

    /// The parts of all, one after the other.
    pub fn beside(parts: &[&Self]) -> Self {
        Self(parts.iter().flat_map(|part| part.0.iter().copied()).collect())
    }

    pub fn count(&self) -> usize {
        self.0.iter().sum()
    }

    pub fn groups(&self) -> usize {
        self.0.iter().map(|part| part.div_ceil(LANES)).sum()
    }

    /// Group and lane of each channel.
    pub fn places(&self) -> Vec<(usize, usize)> {
        let mut first = 0;
        let mut places = Vec::with_capacity(self.count());
        for &part in &self.0 {
            places.extend((0..part).map(|channel| (first + channel / LANES, channel % LANES)));
            first += part.div_ceil(LANES);
        }
        places
    }

    /// Number of lanes of each group that hold a channel.
    pub fn lanes(&self) -> Vec<usize> {
        let of_part = |&part: &usize| (0..part.div_ceil(LANES)).map(move |group| (part - group * LANES).min(LANES));
        self.0.iter().flat_map(of_part).collect()
    }

    /// Values of each channel as rows.
    pub fn rows(&self, values: impl Fn(usize) -> f32) -> Vec<Row> {
        let mut rows = vec![Row::ZERO; self.groups()];
        for (channel, (group, lane)) in self.places().into_iter().enumerate() {
            rows[group].0[lane] = values(channel);
        }
        rows
    }
}

/// Activations of `n` sequences, or of the strands of sequences, which follow each other.
#[derive(Clone, Debug)]
pub struct Features {
    pub channels: Channels,
    pub n: usize,
    /// 1 once they are pooled or flattened away.
    pub positions: usize,
    /// `[groups, n, positions]`; lanes without a channel hold anything.
    pub rows: Rows,
}

impl Features {
    pub fn zeros(channels: Channels, n: usize, positions: usize) -> Self {
        let rows = Rows::zeros(channels.groups() * n * positions);
        Self { channels, n, positions, rows }
    }

    /// Features that hold anything, all of which are going to be put.
    pub fn any(channels: Channels, n: usize, positions: usize) -> Self {
        let rows = Rows::any(channels.groups() * n * positions);
        Self { channels, n, positions, rows }
    }

    /// Zeros of the same shape.
    pub fn zeros_like(&self) -> Self {
        Self::zeros(self.channels.clone(), self.n, self.positions)
    }

    /// Rows of a group.
    pub fn stride(&self) -> usize {
        self.n * self.positions
    }

    /// Rows of each group and sequence, `positions` each.
    pub fn sequences(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunks_exact(self.positions)
    }

    /// Those of `count` sequences from `first` on.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let mut part = Self::any(self.channels.clone(), count, self.positions);
        let groups = part.rows.chunks_exact_mut(count * self.positions).zip(self.rows.chunks_exact(self.stride()));
        groups.for_each(|(to, from)| to.copy_from_slice(&from[first * self.positions..][..to.len()]));
        part
    }

    /// All of them, one after the other.
    pub fn joined(parts: Vec<Self>) -> Self {
        let Some(first) = parts.first() else { return Self::zeros(Channels::one_part(1), 0, 1) };
        let (channels, positions) = (first.channels.clone(), first.positions);
        let n = parts.iter().map(|part| part.n).sum();
        let mut all = Self::any(channels, n, positions);
        let (stride, mut first) = (all.stride(), 0);
        for part in &parts {
            for (to, from) in all.rows.chunks_exact_mut(stride).zip(part.rows.chunks_exact(part.stride())) {
                to[first..first + from.len()].copy_from_slice(from);
            }
            first += part.stride();
        }
        all
    }

    /// Groups of both, which have as many sequences and positions.
    pub fn beside(&self, other: &Self) -> Self {
        let mut all = Self::any(Channels::beside(&[&self.channels, &other.channels]), self.n, self.positions);
        let (own, behind) = all.rows.split_at_mut(self.rows.len());
        own.copy_from_slice(&self.rows);
        behind.copy_from_slice(&other.rows);
        all
    }

    /// The first groups, those of `channels`, and the others.
    pub fn split(&self, first: &Channels, second: &Channels) -> (Self, Self) {
        let [mut one, mut other] = [first, second].map(|part| Self::any(part.clone(), self.n, self.positions));
        let (own, behind) = self.rows.split_at(one.rows.len());
        one.rows.copy_from_slice(own);
        other.rows.copy_from_slice(behind);
        (one, other)
    }

    /// Adds those of another of the same shape.
    pub fn add(&mut self, other: &Self) {
        self.rows.iter_mut().zip(other.rows.iter()).for_each(|(row, other)| row.add(other));
    }

    /// The same numbers with their channels in other parts.
    pub fn repacked(&self, channels: &Channels) -> Self {
        if *channels == self.channels {
            return self.clone();
        }
        let mut to = Self::zeros(channels.clone(), self.n, self.positions);
        let stride = self.stride();
        for (from, at) in self.channels.places().into_iter().zip(channels.places()) {
            for row in 0..stride {
                to.rows[at.0 * stride + row].0[at.1] = self.rows[from.0 * stride + row].0[from.1];
            }
        }
        to
    }

    /// Values `[n, channels, positions]`, row by row.
    pub fn values(&self) -> Vec<f32> {
        let places = self.channels.places();
        let mut values = Vec::with_capacity(self.n * places.len() * self.positions);
        for i in 0..self.n {
            for &(group, lane) in &places {
                let rows = &self.rows[(group * self.n + i) * self.positions..][..self.positions];
                values.extend(rows.iter().map(|row| row.0[lane]));
            }
        }
        values
    }

    /// The other way round: values `[n, channels, positions]` as features.
    pub fn of_values(values: &[f32], channels: Channels, positions: usize) -> Self {
        let places = channels.places();
        let n = values.len() / (places.len() * positions).max(1);
        let mut features = Self::zeros(channels, n, positions);
        for (i, values) in values.chunks_exact((places.len() * positions).max(1)).enumerate() {
            for (&(group, lane), values) in places.iter().zip(values.chunks_exact(positions)) {
                let rows = &mut features.rows[(group * n + i) * positions..][..positions];
                rows.iter_mut().zip(values).for_each(|(row, value)| row.0[lane] = *value);
            }
        }
        features
    }
}
