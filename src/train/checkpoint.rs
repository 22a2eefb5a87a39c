//! The state of training after an epoch: weights, their moving average and all that the optimizer remembers.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use tch::Tensor;

use super::learner::Learner;
use crate::model::weights;
use crate::run::FORMAT_VERSION;

/// Writes the state after an epoch, counted from 1, whole or not at all. Weights have their own names, `[parameters]` of the
/// optimizer those of PyTorch under `optimizer.`, and averages are numbered under `average.`.
pub fn save(learner: &Learner, epoch: usize, path: &Path) -> Result<()> {
    let mut tensors: Vec<(String, Tensor)> = learner.network.store.variables().into_iter().collect();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (step, state) = learner.optimizer.state();
    tensors.extend(state.into_iter().map(|(name, tensor)| (format!("optimizer.{name}"), tensor.shallow_clone())));
    let averages = learner.average.iter().flat_map(|average| average.tensors()).enumerate();
    tensors.extend(averages.map(|(i, tensor)| (format!("average.{i}"), tensor.shallow_clone())));
    let metadata = json!({"format_version": FORMAT_VERSION, "epoch": epoch, "step": step});
    weights::write(tensors, metadata.to_string(), path)
}
