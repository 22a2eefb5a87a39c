//! Several networks with one voice: the mean of their logits. One network alone is an ensemble of one.

use tch::Tensor;

use super::{Network, one_hot};

/// Scoring logits `[batch, outputs]` of a batch of codes, u8 `[batch, length]` on the networks' device.
///
/// # Panics
/// There is no network.
pub fn logits(networks: &[Network], codes: &Tensor) -> Tensor {
    logits_of_one_hot(networks, &one_hot(codes))
}

/// Scoring logits `[batch, outputs]` of one-hot sequences, f32 `[batch, 4, length]`.
///
/// # Panics
/// There is no network.
pub fn logits_of_one_hot(networks: &[Network], one_hot: &Tensor) -> Tensor {
    mean(networks.iter().map(|network| network.logits_of_one_hot(one_hot, false)))
}

/// The mean of the members' logits. Always added up in the same order, so that it does not matter who does it.
///
/// # Panics
/// There is no member.
pub fn mean(members: impl ExactSizeIterator<Item = Tensor>) -> Tensor {
    let count = members.len();
    let sum = members.reduce(|sum, logits| sum + logits).expect("an ensemble has a member or more");
    if count == 1 { sum } else { sum / count as f64 }
}
