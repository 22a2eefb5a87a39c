//! What a page holds of a run's networks besides their weights: all that scoring sequences with them takes. The weights beside it
//! are the bytes of the run's `best.safetensors`.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::classes::Classes;
use crate::config::{ModelConfig, Strands};
use crate::export::card::ModelCard;
use crate::network::inference::Ensemble;
use crate::network::tensor_file::{self, Fault};
use crate::sequence::unknown_limit::UnknownLimit;
use crate::task::Task;

/// What the weights are called in messages.
const WEIGHTS: &str = "the weights";

/// The networks of a run without their weights. A bias model is no part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Embedded {
    /// What goes in and what comes out.
    pub card: ModelCard,
    /// Classes, labels or columns.
    pub classes: Classes,
    /// How logits become predictions.
    pub task: Task,
    /// The architecture with its settings.
    pub model: ModelConfig,
    /// How the two strands of a sequence enter, as in training.
    pub strands: Strands,
    /// The largest number of unknown bases in one training example, if it is known: windows with more have no score.
    pub largest_n: Option<usize>,
}

impl Embedded {
    /// The networks, with their weights.
    ///
    /// # Errors
    /// The weights are damaged, or those of another network.
    pub fn ensemble(&self, weights: &[u8]) -> Result<Ensemble> {
        let file = tensor_file::parse(weights).map_err(|fault| match fault {
            Fault::Damaged(what) => anyhow!("{WEIGHTS} are damaged ({what}); export the network again"),
            Fault::OtherVersion(what) => anyhow!("the file of {WEIGHTS} {what}"),
        })?;
        let ModelCard { members, length, .. } = self.card;
        let outputs = self.task.network_outputs();
        Ensemble::of_weights(&self.model, self.strands, members, length, outputs, &file, Path::new(WEIGHTS))
    }

    /// How many unknown bases a window may hold to be scored.
    pub fn limit(&self) -> UnknownLimit {
        UnknownLimit::up_to(self.largest_n)
    }
}
