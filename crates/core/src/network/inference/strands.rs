//! Both strands of a sequence: where filters are tied between them, they follow each other, each in its own direction.

use super::features::{Channels, Features};

/// The index of the other strand, of sequences whose strands follow each other.
pub fn other(i: usize) -> usize {
    i ^ 1
}

/// Each strand with the other behind it, reversed to its own direction.
pub fn both(xs: &Features) -> Features {
    let mut behind = xs.zeros_like();
    for (i, to) in behind.rows.chunks_exact_mut(xs.positions).enumerate() {
        let from = &xs.rows[other(i) * xs.positions..][..xs.positions];
        to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
    }
    xs.clone().beside(&behind)
}

/// The gradient of strands of these channels from that of [`both`].
pub fn backward(gradient: Features, channels: &Channels) -> Features {
    let (mut own, behind) = gradient.split(channels, channels);
    for (i, from) in behind.sequences().enumerate() {
        let to = &mut own.rows[other(i) * behind.positions..][..behind.positions];
        to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| to.add(from));
    }
    own
}
