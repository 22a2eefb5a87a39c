//! What an export is made from: a run's network as a list of layers.

use anyhow::Result;

use crate::classes::Classes;
use crate::config::{Config, Strands};
use crate::export::card::ModelCard;
use crate::network::plan::Plan;
use crate::sequence::profile::ProfileShape;
use crate::task::Task;

/// A run's network without its weights: all that an export is made from.
#[derive(Debug)]
pub struct Network<'a> {
    /// Name of its architecture.
    pub arch: &'static str,
    /// Its layers.
    pub plan: Plan,
    /// How its logits become predictions.
    pub task: &'a Task,
    /// How the two strands of a sequence enter.
    pub strands: Strands,
    /// What goes in and what comes out.
    pub card: ModelCard,
}

impl<'a> Network<'a> {
    /// The network that a configuration describes.
    ///
    /// # Errors
    /// The architecture does not fit sequences of `length` bp.
    pub fn new(
        config: &Config,
        task: &'a Task,
        classes: &Classes,
        length: usize,
        threshold: Option<f64>,
    ) -> Result<Self> {
        let strands = config.training.strands;
        Ok(Self {
            arch: config.model.arch.name(),
            plan: Plan::new(&config.model, length, task.network_outputs(), strands)?,
            task,
            strands,
            card: ModelCard::new(config, task, classes, length, threshold),
        })
    }

    /// The profile that it predicts.
    pub(super) fn profile(&self) -> Option<&ProfileShape> {
        self.task.profile.as_ref().map(|profile| &profile.shape)
    }

    /// The same, if there is a control beside it.
    pub(super) fn control(&self) -> Option<&ProfileShape> {
        self.profile().filter(|shape| shape.control > 0)
    }
}

/// First position and number of positions of each of `places` equal parts of `positions`, as PyTorch's adaptive pools have them.
pub(super) fn parts(positions: usize, places: usize) -> Vec<(usize, usize)> {
    (0..places)
        .map(|place| {
            let (start, end) = (place * positions / places, ((place + 1) * positions).div_ceil(places));
            (start, end - start)
        })
        .collect()
}
