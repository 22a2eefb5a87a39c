//! The training loop: members of an ensemble one after another, epochs of shuffled batches, validation after each, the
//! best epoch kept.

mod allocator;
mod average;
pub mod batch_size;
pub mod checkpoint;
mod cuda;
mod flat;
mod learner;
pub mod loss;
pub mod optimizer;
pub mod range;
mod recorder;
mod resident;
mod sums;
mod uploads;
mod watch;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tch::Tensor;

use crate::device;
use crate::model::ensemble::Ensemble;
use crate::model::{Network, weights};
use crate::train::average::MovingAverage;
use crate::train::checkpoint::{Checkpoint, Place, State};
use crate::train::learner::{Learner, augmentation};
use crate::train::resident::Resident;
use crate::train::sums::Sums;
use strandnet_core::config::{Config, TaskKind, TrainingConfig};
use strandnet_core::dataset::Dataset;
use strandnet_core::dataset::batches::Order;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::evaluate;
use strandnet_core::interrupt::{Interrupt, Interrupted};
use strandnet_core::progress::Progress;
use strandnet_core::random;
use strandnet_core::random::Purpose;
use strandnet_core::run::{RunFolder, WEIGHTS};
use strandnet_core::task::Task;
use strandnet_core::training::Summary;
use strandnet_core::training::early_stopping::{Decision, Stopping};
use strandnet_core::training::history::{Epoch, History};

/// Starts after the first that a run may make when every ReLU dies. One start in a few does that, so five more leave
/// less than one run in a thousand without a network.
const MAX_RESTARTS: u64 = 5;

/// An ensemble, often of one, each member with the weights of its best epoch, and how it came about.
pub struct Trained {
    pub ensemble: Ensemble,
    pub summary: Summary,
}

/// What a start is made with.
#[derive(Clone, Copy)]
struct Job<'a> {
    config: &'a Config,
    task: &'a Task,
    data: &'a Dataset,
    device: tch::Device,
    run: &'a RunFolder,
    progress: Progress,
    checkpoint_every: Option<Duration>,
    interrupt: &'a Interrupt,
}

/// How training stops and goes on; by default it does neither.
#[derive(Debug, Default)]
pub struct Continuity {
    /// Time between checkpoints within an epoch; there is one after each epoch too. Without it there are none.
    pub checkpoint_every: Option<Duration>,
    /// Asks training to stop.
    pub interrupt: Interrupt,
    /// Where to go on.
    pub from: Option<Checkpoint>,
}

/// What training has come to so far.
struct SoFar {
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

impl SoFar {
    /// Writes the weights of finished members and of the best epoch of the one in training, if it has one, where other commands
    /// look for them; with none of either, such a file goes.
    fn save_weights(&self, best: Option<(&Network, usize)>, folder: &RunFolder) -> Result<()> {
        let Self { networks, best_epochs, .. } = self;
        let networks: Vec<&Network> = networks.iter().chain(best.map(|(network, _)| network)).collect();
        let epochs: Vec<usize> = best_epochs.iter().copied().chain(best.map(|(_, epoch)| epoch)).collect();
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
/// Every start of a member dies, the loss stops being a number, the run folder cannot be written, the checkpoint is of another
/// experiment, or a signal stops it (`Interrupted`).
pub fn train(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    run: &RunFolder,
    progress: Progress,
    continuity: Continuity,
) -> Result<Trained> {
    let Continuity { checkpoint_every, interrupt, mut from } = continuity;
    let job = Job { config, task, data, device, run, progress, checkpoint_every, interrupt: &interrupt };
    let training = &config.training;
    if device == tch::Device::Cpu {
        allocator::keep_freed_memory();
    }
    let mut networks = Vec::new();
    let state = from.as_ref().map(|checkpoint| checkpoint.state.clone());
    if let Some(checkpoint) = &from {
        let new = || new_network(config, task, data, device, 0);
        networks = checkpoint::finished_members(checkpoint, new)?;
    }
    let (epochs, best_epochs, restarts, before) = match state {
        Some(state) => (state.history, state.best_epochs, state.restarts, state.seconds),
        None => Default::default(),
    };
    let history = History::create(run, task.selection_metric(), training, epochs)?;
    let mut so_far = SoFar { networks, best_epochs, restarts, history, before, began: Instant::now() };
    for member in so_far.networks.len()..training.ensemble {
        if training.ensemble > 1 {
            progress.say(&format!("member {} of {}", member + 1, training.ensemble));
        }
        let seed = member_seed(training.seed, member as u64);
        train_member(job, seed, &mut so_far, from.take())?;
    }
    let seconds = so_far.seconds();
    let SoFar { networks, best_epochs, restarts, history, .. } = so_far;
    let summary = Summary { history: history.finish()?, best_epochs, restarts, seconds };
    Ok(Trained { ensemble: Ensemble::new(networks), summary })
}

/// Trains the next member until a start succeeds.
fn train_member(job: Job, seed: u64, so_far: &mut SoFar, mut from: Option<Checkpoint>) -> Result<()> {
    let first = from.as_ref().map_or(0, |checkpoint| checkpoint.state.place.restarts);
    for restarts in first..=MAX_RESTARTS {
        if from.is_none() {
            so_far.history.begin_member(so_far.networks.len() + 1)?;
        }
        match train_once(job, start_seed(seed, restarts), restarts, so_far, from.take())? {
            Start::Finished => {
                so_far.restarts += restarts;
                return Ok(());
            }
            Start::Died { epoch } if job.config.training.init_from.is_some() => bail!(
                "all validation scores are equal after epoch {epoch}, so what --init-from gave is lost; use a smaller --lr than {}",
                job.config.training.lr
            ),
            Start::Died { epoch } if restarts < MAX_RESTARTS => job.progress.warn(&format!(
                "all validation scores are equal after epoch {epoch} (nothing gets through the network, as when every ReLU has died); starting again with other weights ({} of {MAX_RESTARTS})",
                restarts + 1
            )),
            Start::Died { .. } => {}
        }
    }
    bail!(
        "all validation scores became equal in {} starts, so nothing was learned; use a smaller --lr or check the data",
        MAX_RESTARTS + 1
    )
}

/// The seed of a member: the run's own for the first, and for others ones that no other run's first member has.
fn member_seed(seed: u64, member: u64) -> u64 {
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

enum Start {
    /// The network and its best epoch have joined the others.
    Finished,
    Died {
        epoch: usize,
    },
}

/// Where a start stands and what is the best of it so far.
struct Standing {
    place: Place,
    stopping: Stopping,
    best: HashMap<String, Tensor>,
    /// Spent on the epoch by programs that were stopped, in seconds.
    before: f64,
    began: Instant,
    saved: Instant,
}

impl Standing {
    fn new(place: Place, stopping: Stopping) -> Self {
        let now = Instant::now();
        Self { place, stopping, best: HashMap::new(), before: 0.0, began: now, saved: now }
    }

    /// Spent on the epoch, in seconds.
    fn epoch_seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    fn begin_epoch(&mut self, epoch: usize) {
        self.place = Place { epoch, batch: 0, ..self.place };
        (self.before, self.began) = (0.0, Instant::now());
    }

    /// Writes a checkpoint.
    fn save(&mut self, learner: &Learner, sums: &Sums, so_far: &SoFar, folder: &RunFolder) -> Result<()> {
        let state = State {
            place: self.place,
            step: learner.optimizer.steps(),
            average_updates: learner.average.as_ref().map_or(0.0, MovingAverage::updates),
            plateau: learner.schedule.plateau,
            best: self.stopping.best,
            summed: sums.examples(),
            history: so_far.history.epochs().to_vec(),
            best_epochs: so_far.best_epochs.clone(),
            restarts: so_far.restarts,
            epoch_seconds: self.epoch_seconds(),
            seconds: so_far.seconds(),
        };
        checkpoint::save(&state, learner, sums, &self.best, &so_far.networks, folder)?;
        self.saved = Instant::now();
        Ok(())
    }
}

fn train_once(job: Job, seed: u64, restarts: u64, so_far: &mut SoFar, from: Option<Checkpoint>) -> Result<Start> {
    let Job { config, task, data, device, run: folder, progress, checkpoint_every, interrupt } = job;
    let training = &config.training;
    let member = so_far.networks.len();
    let network = match &from {
        // The checkpoint has all weights, so that the run they came from may be gone.
        Some(_) => frozen(new_network(config, task, data, device, seed)?, training)?,
        None => starting_network(config, task, data, device, seed, member)?.0,
    };
    if network.all_native().is_some() {
        device::leave_to_native();
    }
    let mut learner = Learner::new(network, training, task, data.train.len())?;
    let mut sums = Sums::new(device);
    let mut standing = Standing::new(Place { member, restarts, epoch: 1, batch: 0 }, Stopping::new(training.patience));
    // A network read from the file computes the same as this one, to the last bit.
    let with_weights = |weights: &HashMap<String, Tensor>| {
        let network = Network::new(&config.model, data.train.length, task.outputs(), training.strands, device, seed)?;
        restore(&network, weights);
        anyhow::Ok(network.without_native(training.no_native))
    };
    if let Some(checkpoint) = from {
        sums = checkpoint.restore(&mut learner)?;
        standing.place = checkpoint.state.place;
        standing.stopping.best = checkpoint.state.best;
        standing.before = checkpoint.state.epoch_seconds;
        learner.set_rates_after(standing.place.epoch, standing.place.batch);
        if checkpoint.state.best.is_some() {
            standing.best = checkpoint.best_weights(&learner.network.store)?;
            // The file may be of a later epoch than the checkpoint, or damaged.
            so_far.save_weights(Some((&with_weights(&standing.best)?, standing.stopping.best_epoch())), folder)?;
        }
    }
    let epochs_left = (training.epochs + 1).saturating_sub(standing.place.epoch) as u64;
    let bar = progress.bar(epochs_left.saturating_mul(data.train.len() as u64));
    // Members do not see the same windows, nor in the same order.
    let draw = |epoch: usize| (member * training.epochs + epoch) as u64;
    // Windows drawn anew come from a thread of their own while the network learns from the last ones.
    let mut drawn: Option<Examples> = match &data.resampler {
        Some(resampler) if (2..=training.epochs).contains(&standing.place.epoch) => {
            Some(resampler.draw(draw(standing.place.epoch - 1))?)
        }
        _ => None,
    };

    let mut resident = Resident::on(device, drawn.as_ref().unwrap_or(&data.train))?;

    while standing.place.epoch <= training.epochs {
        let epoch = standing.place.epoch;
        let examples = drawn.as_ref().unwrap_or(&data.train);
        let order =
            Order { batch_size: training.batch_size.fragments(), augmentation: augmentation(training), seed, epoch };
        let resampler = data.resampler.as_ref().filter(|_| epoch < training.epochs);
        let (passed, next) = std::thread::scope(|scope| {
            let next = resampler.map(|resampler| scope.spawn(move || resampler.draw(draw(epoch))));
            let done = standing.place.batch;
            let passed = learner.pass(
                (examples, resident.as_ref()),
                order,
                done,
                &mut sums,
                &bar,
                &mut |learner, batch, sums| {
                    let signal = interrupt.signal();
                    let is_due = |every| signal.is_some() || standing.saved.elapsed() >= every;
                    if !checkpoint_every.is_some_and(is_due) {
                        return Ok(());
                    }
                    learner.check()?;
                    standing.place.batch = batch;
                    standing.save(learner, sums, so_far, folder)?;
                    let place = || format!("in epoch {epoch} after {batch} of {} batches", learner.batches);
                    signal.map_or(Ok(()), |signal| Err(interrupted(signal, &place(), folder)))
                },
            );
            (passed, next.map(|next| next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        });
        if passed.is_err() {
            bar.finish();
        }
        passed?;
        let fragments_per_second = examples.len() as f64 / standing.epoch_seconds();
        if let Some(next) = next.transpose()? {
            resident.take();
            resident = Resident::on(device, &next)?;
            drawn = Some(next);
        }

        learner.swap_average();
        let predictions = evaluate::predictions_of(&learner.network, task, &data.valid)?;
        if evaluate::are_constant(&predictions, task) {
            bar.finish();
            so_far.save_weights(None, folder)?;
            return Ok(Start::Died { epoch });
        }
        let valid_score = task.selection(&data.valid, &predictions);
        let decision = standing.stopping.after(epoch, valid_score);
        if decision == Decision::Best {
            let variables = learner.network.store.variables();
            standing.best = variables.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
            so_far.save_weights(Some((&learner.network, epoch)), folder)?;
        }
        learner.swap_average();
        learner.schedule.after_epoch(decision == Decision::Best);
        let row = Epoch {
            member: member + 1,
            epoch,
            train_loss: sums.mean_loss(),
            train_accuracy: sums.share_right(),
            valid_loss: task.loss_of(&data.valid, &predictions),
            valid_accuracy: task.accuracy_of(&data.valid, &predictions),
            valid_score,
            learning_rate: learner.optimizer.learning_rate(),
            seconds: standing.epoch_seconds(),
            fragments_per_second,
        };
        if progress == Progress::Lines {
            progress.say(&row.line(training.epochs, task.selection_metric()));
        }
        so_far.history.push(row)?;
        standing.begin_epoch(if decision == Decision::Stop { training.epochs + 1 } else { epoch + 1 });
        sums = Sums::new(device);
        if checkpoint_every.is_some() {
            standing.save(&learner, &sums, so_far, folder)?;
        }
        if let Some(signal) = interrupt.signal() {
            bar.finish();
            return Err(interrupted(signal, &format!("after epoch {epoch}"), folder));
        }
    }
    bar.finish();
    so_far.networks.push(with_weights(&standing.best)?);
    so_far.best_epochs.push(standing.stopping.best_epoch());
    Ok(Start::Finished)
}

/// The error of a run that a signal stops, once it can be gone on with.
pub fn interrupted(signal: i32, place: &str, folder: &RunFolder) -> anyhow::Error {
    let message = format!("stopped {place}; go on with: strandnet train --resume {}", folder.path.display());
    Interrupted { signal, message }.into()
}

/// The network of a member, counted from 0, before its first step: with fresh weights or those of `--init-from`, and with
/// the blocks frozen that are to stay as they are. Beside it the names of tensors that start afresh, because the other run
/// answers another question.
///
/// # Errors
/// The other run cannot be read, did not finish or has another network, or there are not that many blocks.
pub fn starting_network(
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
            // What a value's logit stands for depends on the loss.
            && (task.kind != TaskKind::Regression || source.task.loss == task.loss);
        afresh = weights::start_from(&mut network, member, &other.file(WEIGHTS), same_question)?;
    }
    Ok((frozen(network, training)?, afresh))
}

/// The network with fresh weights.
fn new_network(config: &Config, task: &Task, data: &Dataset, device: tch::Device, seed: u64) -> Result<Network> {
    let training = &config.training;
    let network = Network::new(&config.model, data.train.length, task.outputs(), training.strands, device, seed)?;
    Ok(network.with_precision(training.precision).without_native(training.no_native))
}

fn frozen(mut network: Network, training: &TrainingConfig) -> Result<Network> {
    network.freeze_blocks(training.freeze_blocks)?;
    Ok(network)
}

fn restore(network: &Network, values: &HashMap<String, Tensor>) {
    tch::no_grad(|| {
        for (name, mut own) in network.store.variables() {
            own.copy_(&values[&name]);
        }
    });
}
