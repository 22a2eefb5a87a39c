//! The training loop: members of an ensemble one after another, epochs of shuffled batches, validation after each, the
//! best epoch kept.

mod average;
mod checkpoint;
pub mod history;
mod learner;
pub mod memory;
pub mod optimizer;
pub mod range;
mod schedule;
mod stopping;

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Result, bail};
use tch::Tensor;

use crate::config::{Config, TaskKind};
use crate::data::Dataset;
use crate::data::batches::Order;
use crate::data::examples::Examples;
use crate::evaluate;
use crate::model::{Network, weights};
use crate::progress::Progress;
use crate::random::{self, Purpose};
use crate::run::{LAST_WEIGHTS, RunFolder, WEIGHTS};
use crate::task::Task;
use history::{Epoch, History};
use learner::{Learner, augmentation};
use stopping::{Decision, Stopping};

/// Starts after the first that a run may make when every ReLU dies. One start in a few does that, so five more leave
/// less than one run in a thousand without a network.
const MAX_RESTARTS: u64 = 5;

/// An ensemble, often of one, each member with the weights of its best epoch.
pub struct Trained {
    pub networks: Vec<Network>,
    pub history: Vec<Epoch>,
    /// Of each member, counted from 1.
    pub best_epochs: Vec<usize>,
    /// Starts that were given up because all scores became equal.
    pub restarts: u64,
}

impl Trained {
    /// The best epoch of a member, counted from 0.
    pub fn best(&self, member: usize) -> Option<&Epoch> {
        let best = *self.best_epochs.get(member)?;
        self.history.iter().find(|epoch| epoch.member == member + 1 && epoch.epoch == best)
    }
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
}

/// Trains every member, each until a start succeeds.
///
/// # Errors
/// Every start of a member dies, the loss stops being a number, or the run folder cannot be written.
pub fn train(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    run: &RunFolder,
    progress: Progress,
) -> Result<Trained> {
    let job = Job { config, task, data, device, run, progress };
    let training = &config.training;
    let mut trained = Trained { networks: Vec::new(), history: Vec::new(), best_epochs: Vec::new(), restarts: 0 };
    let mut history = History::create(run, task.selection_metric(), training.ensemble)?;
    for member in 0..training.ensemble {
        if training.ensemble > 1 {
            progress.say(&format!("member {} of {}", member + 1, training.ensemble));
        }
        let seed = member_seed(training.seed, member as u64);
        train_member(job, seed, &mut trained, &mut history)?;
    }
    trained.history = history.into_epochs();
    Ok(trained)
}

/// Trains the next member until a start succeeds.
fn train_member(job: Job, seed: u64, trained: &mut Trained, history: &mut History) -> Result<()> {
    for restarts in 0..=MAX_RESTARTS {
        history.begin_member(trained.networks.len() + 1)?;
        match train_once(job, start_seed(seed, restarts), trained, history)? {
            Start::Finished => {
                trained.restarts += restarts;
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

fn train_once(job: Job, seed: u64, trained: &mut Trained, history: &mut History) -> Result<Start> {
    let Job { config, task, data, device, run, progress } = job;
    let training = &config.training;
    let member = trained.networks.len();
    let (network, _) = starting_network(config, task, data, device, seed, member)?;
    let mut learner = Learner::new(network, training, task, data.train.len());
    let mut stopping = Stopping::new(training.patience);
    let bar = progress.bar((training.epochs as u64).saturating_mul(data.train.len() as u64));
    let mut best_weights = HashMap::new();
    // Windows drawn anew come from a thread of their own while the network learns from the last ones.
    let mut drawn: Option<Examples> = None;
    // Members do not see the same windows, nor in the same order.
    let draw = |epoch: usize| (member * training.epochs + epoch) as u64;

    for epoch in 1..=training.epochs {
        let started = Instant::now();
        let examples = drawn.as_ref().unwrap_or(&data.train);
        let order = Order { batch_size: training.batch_size, augmentation: augmentation(training), seed, epoch };
        let resampler = data.resampler.as_ref().filter(|_| epoch < training.epochs);
        let (passed, next) = std::thread::scope(|scope| {
            let next = resampler.map(|resampler| scope.spawn(move || resampler.draw(draw(epoch))));
            let passed = learner.pass(examples, order, progress, &bar);
            (passed, next.map(|next| next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        });
        let (train_loss, train_accuracy) = passed?;
        let fragments_per_second = examples.len() as f64 / started.elapsed().as_secs_f64();
        drawn = next.transpose()?;
        if !train_loss.is_finite() {
            bar.finish_and_clear();
            bail!(
                "the training loss is {train_loss} in epoch {epoch}, expected a number; use a smaller --lr than {}",
                training.lr
            );
        }

        learner.swap_average();
        let predictions = evaluate::predictions_of(std::slice::from_ref(&learner.network), task, &data.valid)?;
        if evaluate::are_constant(&predictions, task) {
            bar.finish_and_clear();
            // Weights of an earlier epoch go; those of finished members stay.
            let finished: Vec<&Network> = trained.networks.iter().collect();
            if finished.is_empty() {
                let _ = std::fs::remove_file(run.file(WEIGHTS));
            } else {
                weights::save(&finished, &trained.best_epochs, &run.file(WEIGHTS))?;
            }
            return Ok(Start::Died { epoch });
        }
        let valid_score = task.selection(&data.valid, &predictions);
        let decision = stopping.after(epoch, valid_score);
        if decision == Decision::Best {
            best_weights =
                learner.network.store.variables().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
            let networks: Vec<&Network> = trained.networks.iter().chain([&learner.network]).collect();
            weights::save(&networks, &[&trained.best_epochs[..], &[epoch]].concat(), &run.file(WEIGHTS))?;
        }
        learner.swap_average();
        learner.schedule.after_epoch(decision == Decision::Best);
        checkpoint::save(&learner, epoch, &run.file(LAST_WEIGHTS))?;
        let row = Epoch {
            member: member + 1,
            epoch,
            train_loss,
            train_accuracy,
            valid_loss: task.loss_of(&data.valid, &predictions),
            valid_accuracy: task.accuracy_of(&data.valid, &predictions),
            valid_score,
            learning_rate: learner.optimizer.learning_rate(),
            seconds: started.elapsed().as_secs_f64(),
            fragments_per_second,
        };
        if progress == Progress::Lines {
            progress.say(&row.line(training.epochs, task.selection_metric()));
        }
        history.push(row)?;
        if decision == Decision::Stop {
            break;
        }
    }
    bar.finish_and_clear();
    // As a network read from the file would be, to the last bit of what it computes.
    let network = Network::new(&config.model, data.train.length, task.outputs(), training.strands, device, seed)?;
    restore(&network, &best_weights);
    trained.networks.push(network);
    trained.best_epochs.push(stopping.best_epoch());
    Ok(Start::Finished)
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
    let network = Network::new(&config.model, data.train.length, task.outputs(), training.strands, device, seed)?;
    let mut network = network.with_precision(training.precision);
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
    network.freeze_blocks(training.freeze_blocks)?;
    Ok((network, afresh))
}

fn restore(network: &Network, values: &HashMap<String, Tensor>) {
    tch::no_grad(|| {
        for (name, mut own) in network.store.variables() {
            own.copy_(&values[&name]);
        }
    });
}
