//! Checkpoints: all that training needs to go on as if it had never stopped. Random numbers are keyed by place, so that the
//! place stands for every generator.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use crate::model::Network;
use crate::model::tensor_file;
use crate::model::tensor_file::{Fault, TensorFile};
use crate::no_grad::no_grad;
use crate::train::learner::Learner;
use crate::train::statistics::Statistics;
use crate::train::totals::EpochTotals;
use strandnet_core::progress::Progress;
use strandnet_core::run;
use strandnet_core::run::{LAST_WEIGHTS, PREVIOUS_WEIGHTS, RunFolder};
use strandnet_core::training::early_stopping::Best;
use strandnet_core::training::history::Epoch;
use strandnet_core::training::schedule::Plateau;

/// Where training stands: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Of the ensemble, counted from 0.
    pub member: usize,
    /// Starts of the member that were given up.
    pub restarts: u64,
    /// Counted from 1; beyond the last where the member is done.
    pub epoch: usize,
    /// Batches of the epoch that the network has learned from.
    pub batch: usize,
}

impl State {
    /// Whether training can have stood there, in a run of as many members and epochs as there may be.
    fn is_possible(&self) -> bool {
        let Self { position, step, average_updates, best, history, best_epochs, seconds, epoch_seconds, .. } = self;
        let counts = [*average_updates, *seconds, *epoch_seconds];
        position.epoch >= 1
            && position.epoch.max(position.batch) <= MOST
            && position.member == best_epochs.len()
            && *step >= 0
            && counts.iter().all(|count| count.is_finite() && *count >= 0.0)
            && best.is_none_or(|best| (1..=MOST).contains(&best.epoch))
            && history.iter().all(|row| row.member >= 1 && row.member <= position.member + 1)
    }
}

impl Position {
    /// Where that is, for people, in a run of `members`.
    pub fn describe(&self, members: usize) -> String {
        let member = if members > 1 { format!(" of member {}", self.member + 1) } else { String::new() };
        match self.batch {
            0 => format!("after epoch {}{member}", self.epoch - 1),
            batch => format!("in epoch {}{member} after {batch} batches", self.epoch),
        }
    }
}

/// What a checkpoint says besides its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What training does next.
    #[serde(rename = "place")]
    pub position: Position,
    /// Steps that the optimizer has taken.
    pub step: i32,
    /// Updates of the moving average.
    pub average_updates: f64,
    /// Of the plateau schedule.
    pub plateau: Plateau,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Examples that the totals of the epoch are over.
    pub summed: usize,
    /// All epochs so far.
    pub history: Vec<Epoch>,
    /// Of each finished member, counted from 1.
    pub best_epochs: Vec<usize>,
    /// Of finished members.
    pub restarts: u64,
    /// Spent on the epoch, and on training as a whole.
    pub epoch_seconds: f64,
    /// See `epoch_seconds`.
    pub seconds: f64,
}

/// More than any run has epochs, or batches in one.
const MOST: usize = 1_000_000_000;

/// Tensors of the best epoch, of finished members, of the optimizer, of averages and of the epoch's totals stand under these
/// beginnings of names; those of the network have no beginning.
const BEST: &str = "best.";
const OPTIMIZER: &str = "optimizer.";
const AVERAGE: &str = "average.";
/// Part of the file format; earlier checkpoints use this prefix.
const TOTALS: &str = "sums.";

fn finished(member: usize) -> String {
    format!("finished.{member}.")
}

fn variables(store: &VarStore, beginning: &str) -> Vec<(String, Tensor)> {
    store.variables().into_iter().map(|(name, tensor)| (format!("{beginning}{name}"), tensor)).collect()
}

/// Writes a checkpoint whole or not at all; the one before it stays until then, and after it under another name.
///
/// # Errors
/// The folder cannot be written.
pub fn save(
    state: &State,
    learner: &Learner,
    totals: &EpochTotals,
    best: &HashMap<String, Tensor>,
    members: &[Network],
    run: &RunFolder,
) -> Result<()> {
    let mut tensors: Vec<(String, Tensor)> = variables(&learner.network.store, "");
    tensors.extend(best.iter().map(|(name, tensor)| (format!("{BEST}{name}"), tensor.shallow_clone())));
    tensors.extend(members.iter().enumerate().flat_map(|(i, network)| variables(&network.store, &finished(i))));
    let optimizer = learner.optimizer.state().into_iter();
    tensors.extend(optimizer.map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor)));
    let averages = learner.average.iter().flat_map(|average| average.tensors()).enumerate();
    tensors.extend(averages.map(|(i, tensor)| (format!("{AVERAGE}{i}"), tensor.shallow_clone())));
    tensors.extend(totals.tensors().map(|(name, tensor)| (format!("{TOTALS}{name}"), tensor)));
    tensor_file::write(tensors, state, &run.file(LAST_WEIGHTS), Some(&run.file(PREVIOUS_WEIGHTS)))
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says besides its tensors.
    pub state: State,
    tensors: BTreeMap<String, Tensor>,
    path: PathBuf,
}

impl Checkpoint {
    /// The last checkpoint of a run that is whole; nothing where none was written yet.
    ///
    /// # Errors
    /// All that there are are damaged, or of another version.
    pub fn last_of(run: &RunFolder, progress: Progress) -> Result<Option<Self>> {
        let mut damaged = Vec::new();
        for name in [LAST_WEIGHTS, PREVIOUS_WEIGHTS] {
            let path = run.file(name);
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => bail!("{}: cannot be read ({error}); check the disk", path.display()),
            };
            let read = tensor_file::parse(&bytes).and_then(|file: TensorFile<State>| {
                let possible = file.about.is_possible();
                if possible { Ok(file) } else { Err(Fault::Damaged("its position is impossible".into())) }
            });
            match read {
                Ok(TensorFile { tensors, about }) => {
                    for what in damaged {
                        progress.warn(&format!("{what}; resuming from the previous checkpoint"));
                        // Lest the damaged one be what is kept when the next is written.
                        std::fs::rename(&path, run.file(LAST_WEIGHTS))
                            .map_err(|error| run::cannot_write(&path, &error))?;
                    }
                    return Ok(Some(Self { state: about, tensors, path }));
                }
                Err(Fault::Damaged(what)) => {
                    damaged.push(format!("{}: the checkpoint is damaged ({what})", path.display()));
                }
                Err(Fault::OtherVersion(what)) => bail!("{}: {what}", path.display()),
            }
        }
        match damaged.first() {
            Some(what) => bail!("{what}, and there is no other; start again with --force"),
            None => Ok(None),
        }
    }

    /// The weights of the best epoch of the member that was in training.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn best_weights(&self, store: &VarStore) -> Result<HashMap<String, Tensor>> {
        store.variables().into_iter().map(|(name, own)| Ok((name.clone(), self.fitting(BEST, &name, &own)?))).collect()
    }

    /// Puts the weights of a finished member into a network.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn restore_member(&self, member: usize, network: &Network) -> Result<()> {
        self.restore_variables(&network.store, &finished(member))
    }

    /// Puts a learner that has just been made where training stood; returns the totals of the epoch so far.
    ///
    /// # Errors
    /// A tensor is missing or has another shape, so the checkpoint is of another experiment.
    pub fn restore(&self, learner: &mut Learner) -> Result<EpochTotals> {
        let State { step, average_updates, plateau, summed, .. } = self.state;
        self.restore_variables(&learner.network.store, "")?;
        learner.parameters.reload();
        learner.statistics.iter_mut().for_each(Statistics::reload);
        let own = learner.optimizer.state();
        let saved = own.iter().map(|(name, own)| self.fitting(OPTIMIZER, name, own)).collect::<Result<Vec<_>>>()?;
        learner.optimizer.restore(step, &saved);
        learner.schedule.plateau = plateau;
        if let Some(average) = &mut learner.average {
            let own = average.tensors().iter().enumerate();
            let saved = own.map(|(i, own)| self.fitting(AVERAGE, &i.to_string(), own)).collect::<Result<Vec<_>>>()?;
            average.restore(average_updates, &saved);
        }
        let sum = |name: &str| self.tensors.get(&format!("{TOTALS}{name}")).map(|tensor| tensor.double_value(&[]));
        let loss = sum(EpochTotals::LOSS).ok_or_else(|| self.misfit(&format!("{TOTALS}{}", EpochTotals::LOSS)))?;
        Ok(EpochTotals::of(loss, sum(EpochTotals::HITS), summed))
    }

    fn restore_variables(&self, store: &VarStore, beginning: &str) -> Result<()> {
        for (name, mut own) in store.variables() {
            let saved = self.fitting(beginning, &name, &own)?;
            no_grad(|| own.copy_(&saved));
        }
        Ok(())
    }

    /// A tensor of the file on the device of one that it is to replace.
    fn fitting(&self, beginning: &str, name: &str, own: &Tensor) -> Result<Tensor> {
        let name = format!("{beginning}{name}");
        match self.tensors.get(&name) {
            Some(tensor) if tensor.size() == own.size() && tensor.kind() == Kind::Float => {
                Ok(tensor.to_device(own.device()).copy())
            }
            _ => Err(self.misfit(&name)),
        }
    }

    fn misfit(&self, name: &str) -> anyhow::Error {
        anyhow!(
            "{}: holds no tensor '{name}' that fits this network, so it is from another experiment; restore the file or start again with --force",
            self.path.display()
        )
    }
}

/// Networks of finished members with their weights.
///
/// # Errors
/// A network cannot be made, or a tensor is missing or has another shape.
pub fn finished_members(checkpoint: &Checkpoint, new: impl Fn() -> Result<Network>) -> Result<Vec<Network>> {
    let members = 0..checkpoint.state.best_epochs.len();
    members
        .map(|member| new().and_then(|network| checkpoint.restore_member(member, &network).map(|()| network)))
        .collect()
}
