//! Pools along positions: over windows of a width, over all of them, and over equal parts of them.

use super::features::{Channels, Features};
use crate::network::kernels::{LANES, Row};

/// The largest or the mean number of each window of positions.
#[derive(Debug)]
pub struct Pool {
    pub width: usize,
    pub stride: usize,
    pub is_max: bool,
    /// Windows.
    pub outputs: usize,
}

impl Pool {
    pub fn forward(&self, xs: &Features) -> Features {
        let mut out = Features::any(xs.channels.clone(), xs.n, self.outputs);
        for (from, to) in xs.sequences().zip(out.rows.chunks_exact_mut(self.outputs)) {
            for (window, to) in to.iter_mut().enumerate() {
                let read = &from[window * self.stride..][..self.width];
                *to = if self.is_max { largest(read) } else { mean(read) };
            }
        }
        out
    }

    pub fn backward(&self, gradient: &Features, input: &Features) -> Features {
        let mut to = input.zeros_like();
        let of_sequence = gradient.sequences().zip(input.sequences()).zip(to.rows.chunks_exact_mut(input.positions));
        for ((gradient, input), to) in of_sequence {
            for (window, gradient) in gradient.iter().enumerate() {
                let range = window * self.stride..window * self.stride + self.width;
                if self.is_max {
                    hand_to_first_largest(gradient, &input[range.clone()], &mut to[range]);
                } else {
                    hand_to_all(gradient, &mut to[range]);
                }
            }
        }
        to
    }
}

/// Maxima of rows, lane by lane.
fn largest(rows: &[Row]) -> Row {
    let mut most = rows[0];
    for row in &rows[1..] {
        for lane in 0..LANES {
            most.0[lane] = if row.0[lane] > most.0[lane] { row.0[lane] } else { most.0[lane] };
        }
    }
    most
}

/// Means of rows, lane by lane.
pub fn mean(rows: &[Row]) -> Row {
    let mut sum = Row::ZERO;
    rows.iter().for_each(|row| sum.add(row));
    let share = 1.0 / rows.len() as f32;
    sum.0.iter_mut().for_each(|sum| *sum *= share);
    sum
}

/// The gradient of a maximum goes to the first of those that are as large, as in libtorch.
fn hand_to_first_largest(gradient: &Row, input: &[Row], to: &mut [Row]) {
    for lane in 0..LANES {
        let mut first = 0;
        for at in 1..input.len() {
            if input[at].0[lane] > input[first].0[lane] {
                first = at;
            }
        }
        to[first].0[lane] += gradient.0[lane];
    }
}

pub fn hand_to_all(gradient: &Row, to: &mut [Row]) {
    let share = 1.0 / to.len() as f32;
    for to in to {
        for lane in 0..LANES {
            to.0[lane] += gradient.0[lane] * share;
        }
    }
}

/// Statistics over all positions: `[channels, positions]` to maxima, means, or both one after the other.
#[derive(Clone, Copy, Debug)]
pub struct GlobalPool {
    pub max: bool,
    pub mean: bool,
}

impl GlobalPool {
    pub fn forward(self, xs: &Features) -> Features {
        let pooled = |of: fn(&[Row]) -> Row| {
            let rows = xs.sequences().map(of).collect();
            Features { channels: xs.channels.clone(), n: xs.n, positions: 1, rows }
        };
        match (self.max, self.mean) {
            (true, false) => pooled(largest),
            (false, _) => pooled(mean),
            (true, true) => pooled(largest).beside(&pooled(mean)),
        }
    }

    pub fn backward(self, gradient: Features, input: &Features) -> Features {
        let channels = &input.channels;
        let (of_max, of_mean) = match (self.max, self.mean) {
            (true, true) => {
                let (of_max, of_mean) = gradient.split(channels, channels);
                (Some(of_max), Some(of_mean))
            }
            (true, false) => (Some(gradient), None),
            (false, _) => (None, Some(gradient)),
        };
        let mut to = input.zeros_like();
        for (i, (input, to)) in input.sequences().zip(to.rows.chunks_exact_mut(input.positions)).enumerate() {
            if let Some(gradient) = &of_max {
                share_among_largest(&gradient.rows[i], input, to);
            }
            if let Some(gradient) = &of_mean {
                hand_to_all(&gradient.rows[i], to);
            }
        }
        to
    }
}

/// The gradient of a maximum over all positions is shared by those that are as large, as in libtorch.
fn share_among_largest(gradient: &Row, input: &[Row], to: &mut [Row]) {
    let most = largest(input);
    for lane in 0..LANES {
        let is_largest = |row: &&Row| row.0[lane] == most.0[lane];
        let share = gradient.0[lane] / input.iter().filter(is_largest).count().max(1) as f32;
        let to = to.iter_mut().zip(input).filter(|(_, row)| is_largest(row));
        to.for_each(|(to, _)| to.0[lane] += share);
    }
}

/// Maxima of equal parts of the positions: `[channels, positions]` to features `[channels * places]`.
#[derive(Clone, Copy, Debug)]
pub struct Places(pub usize);

impl Places {
    fn range(self, place: usize, positions: usize) -> std::ops::Range<usize> {
        place * positions / self.0..((place + 1) * positions).div_ceil(self.0)
    }

    pub fn channels(self, of: &Channels) -> Channels {
        Channels::one_part(of.count() * self.0)
    }

    pub fn forward(self, xs: &Features) -> Features {
        let mut pooled = Features::any(xs.channels.clone(), xs.n, self.0);
        for (from, to) in xs.sequences().zip(pooled.rows.chunks_exact_mut(self.0)) {
            to.iter_mut().enumerate().for_each(|(place, to)| *to = largest(&from[self.range(place, xs.positions)]));
        }
        flattened(&pooled)
    }

    pub fn backward(self, gradient: &Features, input: &Features) -> Features {
        let gradient = Features::of_values(&gradient.values(), input.channels.clone(), self.0);
        let mut to = input.zeros_like();
        let of_sequence = gradient.sequences().zip(input.sequences()).zip(to.rows.chunks_exact_mut(input.positions));
        for ((gradient, input), to) in of_sequence {
            for (place, gradient) in gradient.iter().enumerate() {
                let range = self.range(place, input.len());
                hand_to_first_largest(gradient, &input[range.clone()], &mut to[range]);
            }
        }
        to
    }
}

/// All channels and positions as features.
pub fn flattened(xs: &Features) -> Features {
    Features::of_values(&xs.values(), Channels::one_part(xs.channels.count() * xs.positions), 1)
}
