//! What passes from layer to layer: rows of 16 channels, one for each position of each sequence.

use crate::network::kernels::{LANES, Row};

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
    pub rows: Vec<Row>,
}

impl Features {
    pub fn zeros(channels: Channels, n: usize, positions: usize) -> Self {
        let rows = vec![Row::ZERO; channels.groups() * n * positions];
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
        let range = first * self.positions..(first + count) * self.positions;
        let of_group = |rows: &[Row]| rows[range.clone()].to_vec();
        let rows = self.rows.chunks_exact(self.stride()).flat_map(of_group).collect();
        Self { channels: self.channels.clone(), n: count, positions: self.positions, rows }
    }

    /// All of them, one after the other.
    pub fn joined(parts: Vec<Self>) -> Self {
        let Some(first) = parts.first() else { return Self::zeros(Channels::one_part(1), 0, 1) };
        let (channels, positions) = (first.channels.clone(), first.positions);
        let n = parts.iter().map(|part| part.n).sum();
        let mut rows = Vec::with_capacity(channels.groups() * n * positions);
        for group in 0..channels.groups() {
            for part in &parts {
                rows.extend_from_slice(&part.rows[group * part.stride()..(group + 1) * part.stride()]);
            }
        }
        Self { channels, n, positions, rows }
    }

    /// Groups of both, which have as many sequences and positions.
    pub fn beside(mut self, other: &Self) -> Self {
        self.channels = Channels::beside(&[&self.channels, &other.channels]);
        self.rows.extend_from_slice(&other.rows);
        self
    }

    /// The first groups, those of `channels`, and the others.
    pub fn split(mut self, first: &Channels, second: &Channels) -> (Self, Self) {
        let rows = self.rows.split_off(first.groups() * self.stride());
        self.channels = first.clone();
        let other = Self { channels: second.clone(), rows, ..self };
        (Self { channels: first.clone(), n: other.n, positions: other.positions, rows: self.rows }, other)
    }

    /// Adds those of another of the same shape.
    pub fn add(&mut self, other: &Self) {
        self.rows.iter_mut().zip(&other.rows).for_each(|(row, other)| row.add(other));
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
