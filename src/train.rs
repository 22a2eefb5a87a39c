//! Training: members of an ensemble one after another, each by the loop in `fit`; what they need is a file each.
//!
//! ```text
//! fit               the loop: batches from a loader, a step, hooks, validation, early stopping
//! loader            batches of an epoch, from the CPU or a GPU     hooks       checkpoint, warn or stop between steps
//! learner           one batch, one step                            checkpoint  all that resuming needs
//! gradient          ways to compute a gradient: autograd, fused CPU step
//! step_graph        steps recorded as a CUDA graph
//! exchange          what several processes exchange for a step
//! optimizer, moving_average, parameters, statistics, loss, totals
//! batch_size, lr_range      short trainings that find a setting
//! ```

mod allocator;
pub(crate) mod batch_size;
pub mod checkpoint;
mod device_examples;
mod exchange;
mod fit;
pub mod gradient;
pub mod hooks;
pub mod learner;
pub mod loader;
pub mod loss;
pub(crate) mod lr_range;
mod moving_average;
mod optimizer;
pub mod parameters;
mod statistics;
mod step_graph;
pub mod totals;
mod transfer;

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, bail};
use strandnet_core::config::{Config, TrainingConfig};
use strandnet_core::dataset::Dataset;
use strandnet_core::dataset::batches::Share;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::evaluate::{self, Strand};
use strandnet_core::interrupt::{Cause, Interrupted};
use strandnet_core::progress::Progress;
use strandnet_core::random::{self, Purpose};
use strandnet_core::run::{RunFolder, WEIGHTS};
use strandnet_core::task::Task;
use strandnet_core::training::Summary;
use strandnet_core::training::history::History;
use tch::Device;

use crate::distributed::Group;
use crate::model::bias::Bias;
use crate::model::ensemble::Ensemble;
use crate::model::{Network, weights};
use checkpoint::Checkpoint;
use fit::{Fit, Outcome};
use hooks::Hook;

/// Starts after the first that a run may make when every ReLU dies. One start in a few does that, so five more leave
/// less than one run in a thousand without a network.
const MAX_RESTARTS: u64 = 5;

/// An ensemble, often of one, each member with the weights of its best epoch, and how it came about.
pub(crate) struct Trained {
    /// The networks.
    pub ensemble: Ensemble,
    /// Every epoch.
    pub summary: Summary,
}

/// What training is given.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// The experiment.
    pub config: &'a Config,
    /// What the network is to predict.
    pub task: &'a Task,
    /// Training and validation examples.
    pub data: &'a Dataset,
    /// Where the network is.
    pub device: Device,
    /// What is added to the network.
    pub bias: Option<&'a Rc<Bias>>,
    /// The processes that train together, if there are several.
    pub group: Option<&'a Group>,
    /// Where the history, weights and checkpoints go; nothing is written without it.
    pub folder: Option<&'a RunFolder>,
    /// Where messages go.
    pub progress: Progress,
}

impl Setup<'_> {
    /// Which part of every batch this process takes.
    fn share(&self) -> Share {
        self.group.map_or(Share::ALL, Group::share)
    }

    /// Logits of examples, row by row, whoever scores them.
    ///
    /// # Errors
    /// The examples cannot be read, the network fails, or another process ended.
    pub fn logits_of(&self, network: &Network, examples: &Examples) -> Result<Vec<f32>> {
        match self.group {
            Some(group) => group.logits_of(network, examples, self.task.network_outputs().numbers()),
            None => evaluate::logits_of(network, examples, Strand::AsGiven),
        }
    }

    /// A network with fresh weights, its first blocks frozen as the configuration says.
    fn new_network(&self, seed: u64) -> Result<Network> {
        let Self { config, task, data, device, .. } = *self;
        Ok(self.complete(frozen(new_network(config, task, data, device, seed)?, &config.training)?))
    }

    /// A network with the bias model.
    fn complete(&self, network: Network) -> Network {
        network.with_bias(self.bias.cloned())
    }
}

/// The members so far, and their history.
struct EnsembleState {
    networks: Vec<Network>,
    /// Of each member, counted from 1.
    best_epochs: Vec<usize>,
    /// Starts of finished members that were given up.
    restarts: u64,
    history: History,
    /// Spent before this program began, in seconds.
    before: f64,
    began: Instant,
}

impl EnsembleState {
    /// No member yet, or those that a checkpoint holds.
    fn new(setup: Setup, from: Option<&Checkpoint>) -> Result<Self> {
        let Setup { config, task, data, device, folder, .. } = setup;
        let new = || Ok(setup.complete(new_network(config, task, data, device, 0)?));
        let networks =
            from.map_or_else(|| Ok(Vec::new()), |checkpoint| checkpoint::finished_members(checkpoint, new))?;
        let (epochs, best_epochs, restarts, before) = match from.map(|checkpoint| checkpoint.state.clone()) {
            Some(state) => (state.history, state.best_epochs, state.restarts, state.seconds),
            None => Default::default(),
        };
        let history = History::create(folder, task.selection_metric(), &config.training, epochs)?;
        Ok(Self { networks, best_epochs, restarts, history, before, began: Instant::now() })
    }

    /// Writes the weights of finished members and of the best epoch of the one in training, if it has one, where other commands
    /// look for them; with none of either, such a file is removed.
    fn save_weights(&self, best: Option<(&Network, usize)>, folder: Option<&RunFolder>) -> Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        let networks: Vec<&Network> = self.networks.iter().chain(best.map(|(network, _)| network)).collect();
        let epochs: Vec<usize> = self.best_epochs.iter().copied().chain(best.map(|(_, epoch)| epoch)).collect();
        if networks.is_empty() {
            let _ = std::fs::remove_file(folder.file(WEIGHTS));
            return Ok(());
        }
        weights::save(&networks, &epochs, &folder.file(WEIGHTS))
    }

    /// Spent on training, in seconds.
    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }
}

/// Trains every member, each until a start succeeds; from a checkpoint on where there is one.
///
/// # Errors
/// Every start of a member dies, the loss is not finite, the folder cannot be written, the checkpoint is of another experiment,
/// or a signal or a limit stops it (`Interrupted`).
pub(crate) fn train(setup: Setup, hooks: &mut [Box<dyn Hook + '_>], mut from: Option<Checkpoint>) -> Result<Trained> {
    let training = &setup.config.training;
    if setup.device == Device::Cpu {
        allocator::keep_freed_memory();
    }
    let mut ensemble = EnsembleState::new(setup, from.as_ref())?;
    for member in ensemble.networks.len()..training.ensemble {
        if training.ensemble > 1 {
            setup.progress.say(&format!("member {} of {}", member + 1, training.ensemble));
        }
        train_member(setup, member_seed(training.seed, member as u64), &mut ensemble, hooks, from.take())?;
    }
    let seconds = ensemble.seconds();
    let EnsembleState { networks, best_epochs, restarts, history, .. } = ensemble;
    let summary = Summary { history: history.finish()?, best_epochs, restarts, seconds };
    let networks = networks.into_iter().map(Network::finished).collect::<Result<_>>()?;
    Ok(Trained { ensemble: Ensemble::new(networks), summary })
}

/// Trains the next member until a start succeeds.
fn train_member(
    setup: Setup,
    seed: u64,
    ensemble: &mut EnsembleState,
    hooks: &mut [Box<dyn Hook + '_>],
    mut from: Option<Checkpoint>,
) -> Result<()> {
    let first = from.as_ref().map_or(0, |checkpoint| checkpoint.state.position.restarts);
    for restarts in first..=MAX_RESTARTS {
        if from.is_none() {
            ensemble.history.begin_member(ensemble.networks.len() + 1)?;
        }
        let fit = Fit::new(setup, start_seed(seed, restarts), restarts, ensemble, from.take())?;
        match fit.run(ensemble, hooks)? {
            Outcome::Trained { network, best_epoch } => {
                ensemble.networks.push(*network);
                ensemble.best_epochs.push(best_epoch);
                ensemble.restarts += restarts;
                return Ok(());
            }
            Outcome::Died { epoch } if setup.config.training.init_from.is_some() => bail!(
                "all validation scores are equal after epoch {epoch}, so what --init-from gave is lost; use a smaller --lr than {}",
                setup.config.training.lr
            ),
            Outcome::Died { epoch } if restarts < MAX_RESTARTS => setup.progress.warn(&format!(
                "all validation scores are equal after epoch {epoch} (nothing gets through the network, as when every ReLU has died); starting again with other weights ({} of {MAX_RESTARTS})",
                restarts + 1
            )),
            Outcome::Died { .. } => {}
        }
    }
    bail!(
        "all validation scores became equal in {} starts, so nothing was learned; use a smaller --lr or check the data",
        MAX_RESTARTS + 1
    )
}

/// The seed of a member: the run's own for the first, and for others ones that no other run's first member has.
pub(crate) fn member_seed(seed: u64, member: u64) -> u64 {
    match member {
        0 => seed,
        _ => random::seed_for_libtorch(seed, Purpose::Member, member, 0) as u64,
    }
}

/// The seed of a start: the member's own for the first, and for restarts ones that no other start has.
fn start_seed(seed: u64, restarts: u64) -> u64 {
    match restarts {
        0 => seed,
        _ => random::seed_for_libtorch(seed, Purpose::Restart, restarts, 0) as u64,
    }
}

/// The error of training that a signal or a limit stops, once it can be resumed.
pub(crate) fn interrupted(cause: Cause, place: &str, folder: Option<&RunFolder>) -> anyhow::Error {
    let why = if cause == Cause::TimeLimit { ", as the time that --max-minutes gives is over" } else { "" };
    let message = match folder {
        Some(folder) => {
            let run = folder.path.display();
            format!("stopped {place}{why}; the run is resumable, resume with: strandnet train --resume {run}")
        }
        None => format!("stopped {place}{why}"),
    };
    Interrupted { cause, message }.into()
}

/// The network of a member, counted from 0, before its first step: with fresh weights or those of `--init-from`, and with
/// the blocks frozen that are to stay as they are. Beside it the names of tensors that start from new weights, because the other run
/// answers another question.
///
/// # Errors
/// The other run cannot be read, did not finish or has another network, or there are not that many blocks.
pub(crate) fn starting_network(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    seed: u64,
    member: usize,
) -> Result<(Network, Vec<String>)> {
    let training = &config.training;
    let mut network = new_network(config, task, data, device, seed)?;
    let mut afresh = Vec::new();
    if let Some(path) = &training.init_from {
        let (other, source) = RunFolder::open_finished(path)?;
        let same_question = source.task.kind == task.kind
            && source.task.positive == task.positive
            && source.classes == data.classes.names
            && source.task.network_outputs() == task.network_outputs()
            // What a value's logit stands for depends on the loss.
            && (!task.kind.predicts_values() || source.task.loss == task.loss);
        afresh = weights::start_from(&mut network, member, &other.file(WEIGHTS), same_question)?;
    }
    Ok((frozen(network, training)?, afresh))
}

/// A network with fresh weights.
fn new_network(config: &Config, task: &Task, data: &Dataset, device: Device, seed: u64) -> Result<Network> {
    let training = &config.training;
    let network =
        Network::new(&config.model, data.train.length, task.network_outputs(), training.strands, device, seed)?;
    Ok(network.with_precision(training.precision).without_native(training.no_native))
}

fn frozen(mut network: Network, training: &TrainingConfig) -> Result<Network> {
    network.freeze_blocks(training.freeze_blocks)?;
    Ok(network)
}

#[cfg(test)]
mod tests {
    use strandnet_core::machine::DeviceKind;
    use strandnet_core::network::plan::Plan;
    use strandnet_core::training::memory::Memory;
    use tch::{Kind, Tensor};

    use super::*;

    #[test]
    fn what_libtorch_says_when_memory_runs_out_is_understood() {
        let config = Config::default();
        let plan = Plan::new(&config.model, 128, 1, config.training.strands).unwrap();
        let memory = Memory::new(&plan, &config, DeviceKind::Cpu, 1000, 100);
        let said = Tensor::f_zeros([1 << 60], (Kind::Uint8, Device::Cpu)).unwrap_err().to_string();
        let explained = memory.explain_out_of_memory(&said, None).unwrap_or_else(|| panic!("not understood: {said}"));
        assert!(explained.starts_with("this machine ran out of memory"), "{explained}");
    }
}
