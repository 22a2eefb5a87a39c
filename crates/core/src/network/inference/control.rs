//! What a control experiment adds to a network that predicts profiles: to the logits of the profile a convolution of its counts, to
//! the log counts a weight times the log of 1 + all of them, or of 1 + half of those along the profile.

use anyhow::{Result, anyhow};

use crate::network::Parameters;
use crate::sequence::profile::{HEAD_WIDTH, ProfileShape, reverse_stretches};

/// The weights of a control's part.
#[derive(Debug)]
pub struct Control {
    /// `[tracks, control, width]`
    profile: Vec<f32>,
    /// `[groups]`
    counts: Vec<f32>,
    shape: ProfileShape,
}

impl Control {
    pub fn new(shape: &ProfileShape, parameters: &Parameters) -> Result<Self> {
        let values = |name: &str| {
            parameters
                .get(name)
                .cloned()
                .ok_or_else(|| anyhow!("the weights lack tensor '{name}', which this network has"))
        };
        Ok(Self {
            profile: values("control.profile.weight")?,
            counts: values("control.counts.weight")?,
            shape: shape.clone(),
        })
    }

    /// Its part of logits `[n, tracks * length + groups]`, from counts `[n, control, control_length]`; the mean over both strands where
    /// both are scored.
    pub fn logits(&self, counts: &[f32], both: bool) -> Vec<f32> {
        let of_sequence = |counts: &[f32]| {
            let mut logits = self.of_strand(counts);
            if both {
                // The tracks change places, and each runs the other way.
                let reversed: Vec<f32> = counts.iter().rev().copied().collect();
                let mut other = self.of_strand(&reversed);
                reverse_stretches(&mut other, &self.shape.stretches());
                logits.iter_mut().zip(other).for_each(|(own, other)| *own = (*own + other) * 0.5);
            }
            logits
        };
        counts.chunks_exact(self.shape.control_values()).flat_map(of_sequence).collect()
    }

    fn of_strand(&self, counts: &[f32]) -> Vec<f32> {
        let (length, read) = (self.shape.length, self.shape.control_length());
        let mut logits = vec![0.0f32; self.shape.outputs()];
        let (profile, log_counts) = logits.split_at_mut(self.shape.values());
        let filters = self.profile.chunks_exact(self.shape.control * HEAD_WIDTH);
        for (logits, filters) in profile.chunks_exact_mut(length).zip(filters) {
            for (counts, filter) in counts.chunks_exact(read).zip(filters.chunks_exact(HEAD_WIDTH)) {
                for (tap, weight) in filter.iter().enumerate() {
                    logits.iter_mut().zip(&counts[tap..]).for_each(|(logit, count)| *logit += weight * count);
                }
            }
        }
        let counted = self.shape.control_counted();
        let sum = counts.chunks_exact(read).flat_map(|counts| &counts[counted.clone()]).sum::<f32>();
        let log_count = (sum / self.shape.control_counts.unit()).ln_1p();
        log_counts.iter_mut().zip(&self.counts).for_each(|(logit, weight)| *logit = weight * log_count);
        logits
    }
}
