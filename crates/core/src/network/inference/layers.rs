//! Layers in the form in which they are computed, forward and back to the gradient of their input.

use super::convolution::Convolution;
use super::features::{Channels, Features};
use super::lstm::{Lstm, Way};
use super::pointwise::{Pointwise, add_gated, sigmoid};
use super::pools::{self, GlobalPool, Places, Pool};
use crate::network::kernels::{LANES, Row};

/// A layer. Dropout is none, and a flattening before a dense layer is a part of that.
#[derive(Debug)]
pub enum Layer {
    Pointwise(Pointwise),
    Convolution(Convolution),
    /// Fully connected; the first of these and of memories begins the part of a network that is better computed for more sequences
    /// at a time.
    Dense(Convolution),
    Pool(Pool),
    GlobalPool(GlobalPool),
    /// Maxima and means over all positions, and of what a convolution makes of both strands maxima by place.
    PlacesPool {
        place: Convolution,
        places: Places,
    },
    /// So many positions from the first on.
    Crop {
        first: usize,
        positions: usize,
    },
    Flatten,
    /// The same numbers with channels in other parts.
    Repack(Channels),
    Residual(Vec<Layer>),
    /// A convolution whose outputs are as many channels and as many gates of them, added to the input.
    Gated(Convolution),
    Lstm(Lstm),
    /// A convolution, added to as many positions of its input, from this one on; before the first there are zeros.
    Dilated {
        convolution: Convolution,
        from: isize,
    },
    ProfileHead(ProfileHead),
}

/// Logits of the profile by a convolution, and log counts by a dense layer on the means over the positions that it reads.
#[derive(Debug)]
pub struct ProfileHead {
    pub profile: Convolution,
    /// The dense layer, with the first of the positions and their number.
    pub counts: Option<(Convolution, usize, usize)>,
}

/// What a layer saves for the way back.
#[derive(Debug)]
pub enum Saved {
    Features(Features),
    Ways(Box<[Way; 2]>),
}

/// What layers saved, the last on top; nothing is saved where nobody goes back.
#[derive(Debug)]
pub struct Tape(Option<Vec<Saved>>);

impl Tape {
    pub fn recording() -> Self {
        Self(Some(Vec::new()))
    }

    pub fn off() -> Self {
        Self(None)
    }

    fn save(&mut self, features: impl FnOnce() -> Features) {
        if let Some(saved) = &mut self.0 {
            saved.push(Saved::Features(features()));
        }
    }

    fn features(&mut self) -> Features {
        match self.0.as_mut().and_then(Vec::pop) {
            Some(Saved::Features(features)) => features,
            _ => unreachable!("what a layer takes back is what it saved"),
        }
    }

    fn ways(&mut self) -> Box<[Way; 2]> {
        match self.0.as_mut().and_then(Vec::pop) {
            Some(Saved::Ways(ways)) => ways,
            _ => unreachable!("what a layer takes back is what it saved"),
        }
    }
}

/// Passes through layers one after the other.
pub fn forward(layers: &[Layer], xs: Features, tape: &mut Tape) -> Features {
    layers.iter().fold(xs, |xs, layer| layer.forward(xs, tape))
}

/// The way back.
pub fn backward(layers: &[Layer], gradient: Features, tape: &mut Tape) -> Features {
    layers.iter().rev().fold(gradient, |gradient, layer| layer.backward(gradient, tape))
}

impl Layer {
    fn forward(&self, xs: Features, tape: &mut Tape) -> Features {
        match self {
            Self::Pointwise(pointwise) => {
                tape.save(|| xs.clone());
                pointwise.forward(xs)
            }
            Self::Convolution(convolution) | Self::Dense(convolution) => convolve(convolution, xs, tape),
            Self::Pool(pool) => {
                let out = pool.forward(&xs);
                tape.save(|| xs);
                out
            }
            Self::GlobalPool(pool) => {
                let out = pool.forward(&xs);
                tape.save(|| xs);
                out
            }
            Self::PlacesPool { place, places } => {
                let both = GlobalPool { max: true, mean: true }.forward(&xs);
                let mixed = place.forward(&xs);
                let out = both.beside(&places.forward(&mixed));
                tape.save(|| xs);
                tape.save(|| mixed);
                out
            }
            Self::Crop { first, positions } => {
                let rows = xs.sequences().flat_map(|rows| &rows[*first..first + positions]).copied().collect();
                let out = Features { channels: xs.channels.clone(), n: xs.n, positions: *positions, rows };
                tape.save(|| xs);
                out
            }
            Self::Flatten => {
                let out = pools::flattened(&xs);
                tape.save(|| xs);
                out
            }
            Self::Repack(channels) => {
                let out = xs.repacked(channels);
                tape.save(|| xs);
                out
            }
            Self::Residual(layers) => {
                let mut out = forward(layers, xs.clone(), tape);
                out.add(&xs);
                out
            }
            Self::Gated(convolution) => {
                let mut out = xs.clone();
                let both = convolve(convolution, xs, tape);
                let (made, gates) = both.rows.split_at(out.rows.len());
                add_gated(&mut out.rows, made, gates);
                tape.save(|| both);
                out
            }
            Self::Lstm(lstm) => {
                let (out, ways) = lstm.forward(&xs, tape.0.is_some());
                if let Some(saved) = &mut tape.0 {
                    saved.push(Saved::Ways(Box::new(ways)));
                }
                out
            }
            Self::Dilated { convolution, from } => {
                let middle = middle(&xs, *from, convolution.reach.outputs);
                let mut out = convolve(convolution, xs, tape);
                out.add(&middle);
                out
            }
            Self::ProfileHead(head) => head.forward(xs, tape),
        }
    }

    fn backward(&self, gradient: Features, tape: &mut Tape) -> Features {
        match self {
            Self::Pointwise(pointwise) => pointwise.backward(gradient, &tape.features()),
            Self::Convolution(convolution) | Self::Dense(convolution) => convolve_back(convolution, gradient, tape),
            Self::Pool(pool) => pool.backward(&gradient, &tape.features()),
            Self::GlobalPool(pool) => pool.backward(gradient, &tape.features()),
            Self::PlacesPool { place, places } => {
                let (mixed, input) = (tape.features(), tape.features());
                let of_all = Channels::beside(&[&input.channels, &input.channels]);
                let (of_all, of_places) = gradient.split(&of_all, &places.channels(&mixed.channels));
                let mut to = place.backward(places.backward(&of_places, &mixed), &input, &mixed);
                to.add(&GlobalPool { max: true, mean: true }.backward(of_all, &input));
                to
            }
            Self::Crop { first, positions } => {
                let mut to = tape.features().zeros_like();
                let sequences = to.rows.chunks_exact_mut(to.positions).zip(gradient.sequences());
                sequences.for_each(|(to, from)| to[*first..first + positions].copy_from_slice(from));
                to
            }
            Self::Flatten => {
                let input = tape.features();
                Features::of_values(&gradient.values(), input.channels.clone(), input.positions)
            }
            Self::Repack(_) => gradient.repacked(&tape.features().channels),
            Self::Residual(layers) => {
                let mut to = backward(layers, gradient.clone(), tape);
                to.add(&gradient);
                to
            }
            Self::Gated(convolution) => {
                let both = tape.features();
                let mut of_both = both.zeros_like();
                let size = gradient.rows.len();
                for (i, from) in gradient.rows.iter().enumerate() {
                    for lane in 0..LANES {
                        let gate = sigmoid(both.rows[size + i].0[lane]);
                        of_both.rows[i].0[lane] = from.0[lane] * gate;
                        of_both.rows[size + i].0[lane] = from.0[lane] * both.rows[i].0[lane] * gate * (1.0 - gate);
                    }
                }
                let mut to = convolve_back(convolution, of_both, tape);
                to.add(&gradient);
                to
            }
            Self::Lstm(lstm) => lstm.backward(gradient, &tape.ways()),
            Self::Dilated { convolution, from } => {
                let mut to = convolve_back(convolution, gradient.clone(), tape);
                add_middle(&mut to, &gradient, *from);
                to
            }
            Self::ProfileHead(head) => head.backward(&gradient, tape),
        }
    }
}

fn convolve(convolution: &Convolution, xs: Features, tape: &mut Tape) -> Features {
    let out = convolution.forward(&xs);
    tape.save(|| xs);
    if convolution.is_rectified {
        tape.save(|| out.clone());
    }
    out
}

fn convolve_back(convolution: &Convolution, gradient: Features, tape: &mut Tape) -> Features {
    let output = convolution.is_rectified.then(|| tape.features());
    let input = tape.features();
    convolution.backward(gradient, &input, output.as_ref().unwrap_or(&input))
}

/// So many positions from one on, zeros where there are none.
fn middle(xs: &Features, from: isize, positions: usize) -> Features {
    let mut out = Features::zeros(xs.channels.clone(), xs.n, positions);
    for (to, read) in out.rows.chunks_exact_mut(positions).zip(xs.sequences()) {
        for (at, to) in to.iter_mut().enumerate() {
            let place = usize::try_from(from + at as isize).ok();
            *to = place.and_then(|place| read.get(place)).copied().unwrap_or(Row::ZERO);
        }
    }
    out
}

/// Adds what [`middle`] took where it came from.
fn add_middle(to: &mut Features, gradient: &Features, from: isize) {
    for (to, gradient) in to.rows.chunks_exact_mut(to.positions).zip(gradient.sequences()) {
        for (at, gradient) in gradient.iter().enumerate() {
            if let Some(to) = usize::try_from(from + at as isize).ok().and_then(|place| to.get_mut(place)) {
                to.add(gradient);
            }
        }
    }
}

impl ProfileHead {
    fn forward(&self, xs: Features, tape: &mut Tape) -> Features {
        let counts = self.counts.as_ref().map(|(dense, first, positions)| {
            let means = xs.sequences().map(|rows| pools::mean(&rows[*first..first + positions])).collect();
            dense.forward(&Features { channels: xs.channels.clone(), n: xs.n, positions: 1, rows: means }).values()
        });
        let profile = self.profile.forward(&xs).values();
        let (values, groups) = (self.profile.outputs.count() * self.profile.reach.outputs, self.groups());
        let mut rows = Vec::with_capacity(xs.n * (values + groups));
        for (i, profile) in profile.chunks_exact(values).enumerate() {
            rows.extend_from_slice(profile);
            rows.extend(counts.iter().flat_map(|counts| &counts[i * groups..(i + 1) * groups]));
        }
        tape.save(|| xs);
        Features::of_values(&rows, Channels::one_part(values + groups), 1)
    }

    fn groups(&self) -> usize {
        self.counts.as_ref().map_or(0, |(dense, ..)| dense.outputs.count())
    }

    fn backward(&self, gradient: &Features, tape: &mut Tape) -> Features {
        let input = tape.features();
        let (values, groups) = (self.profile.outputs.count() * self.profile.reach.outputs, self.groups());
        let rows = gradient.values();
        let part = |range: std::ops::Range<usize>| -> Vec<f32> {
            rows.chunks_exact(values + groups).flat_map(|row| row[range.clone()].iter().copied()).collect()
        };
        let of_profile =
            Features::of_values(&part(0..values), self.profile.outputs.clone(), self.profile.reach.outputs);
        let mut to = self.profile.backward(of_profile, &input, &input);
        if let Some((dense, first, positions)) = &self.counts {
            let of_counts = Features::of_values(&part(values..values + groups), dense.outputs.clone(), 1);
            let means = Features::zeros(input.channels.clone(), input.n, 1);
            let of_means = dense.backward(of_counts, &means, &means);
            for (to, mean) in to.rows.chunks_exact_mut(input.positions).zip(of_means.rows.iter()) {
                pools::hand_to_all(mean, &mut to[*first..first + positions]);
            }
        }
        to
    }
}
