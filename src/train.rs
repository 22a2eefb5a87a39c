//! The training loop: epochs of shuffled batches, validation after each, the best epoch kept.

pub mod history;
pub mod optimizer;
pub mod range;
mod schedule;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use tch::{Kind, Tensor};

use crate::config::{Config, Strands, TrainingConfig};
use crate::data::Dataset;
use crate::data::batches::{self, Order};
use crate::data::examples::Examples;
use crate::evaluate;
use crate::model::{self, Network, weights};
use crate::progress::Progress;
use crate::random::{self, Purpose};
use crate::run::{RunFolder, WEIGHTS};
use crate::task::Task;
use history::{Epoch, History};
use optimizer::{FlatParameters, Optimizer};

/// Starts after the first that a run may make when every ReLU dies. One start in a few does that, so five more leave
/// less than one run in a thousand without a network.
const MAX_RESTARTS: u64 = 5;

/// A trained network with the weights of its best epoch.
pub struct Trained {
    pub network: Network,
    pub history: Vec<Epoch>,
    /// Counted from 1.
    pub best_epoch: usize,
    /// Starts that were given up because all scores became equal.
    pub restarts: u64,
}

/// How often the progress bar's loss is brought up to date.
const SHOW_LOSS_EVERY: Duration = Duration::from_millis(250);

/// Trains until a start succeeds.
///
/// # Errors
/// Every start dies, the loss stops being a number, or the run folder cannot be written.
pub fn train(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    run: &RunFolder,
    progress: Progress,
) -> Result<Trained> {
    for restarts in 0..=MAX_RESTARTS {
        let seed = start_seed(config.training.seed, restarts);
        match train_once(config, task, data, device, seed, run, progress)? {
            Start::Finished { network, history, best_epoch } => {
                return Ok(Trained { network, history, best_epoch, restarts });
            }
            Start::Died { epoch } if restarts < MAX_RESTARTS => progress.warn(&format!(
                "all validation scores are equal after epoch {epoch} (every ReLU has died); starting again with other weights ({} of {MAX_RESTARTS})",
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

/// The seed of a start: the run's own for the first, and for restarts ones that no other run's first start has.
fn start_seed(seed: u64, restarts: u64) -> u64 {
    match restarts {
        0 => seed,
        _ => random::seed_for_libtorch(seed, Purpose::Restart, restarts, 0) as u64,
    }
}

enum Start {
    Finished { network: Network, history: Vec<Epoch>, best_epoch: usize },
    Died { epoch: usize },
}

fn train_once(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    seed: u64,
    run: &RunFolder,
    progress: Progress,
) -> Result<Start> {
    let training = &config.training;
    let network =
        Network::new(&config.model, data.train.length, task.outputs(), device, seed)?.with_strands(training.strands);
    let mut learner = Learner::new(network, training, task);
    let mut history = History::create(run, task.selection_metric())?;
    let bar = progress.bar((training.epochs as u64).saturating_mul(data.train.len() as u64));
    let mut best: Option<(usize, f64)> = None;
    // Windows drawn anew come from a thread of their own while the network learns from the last ones.
    let mut drawn: Option<Examples> = None;

    for epoch in 1..=training.epochs {
        let started = Instant::now();
        let examples = drawn.as_ref().unwrap_or(&data.train);
        let either_strand = training.strands != Strands::Single;
        let order = Order { batch_size: training.batch_size, either_strand, seed, epoch };
        let resampler = data.resampler.as_ref().filter(|_| epoch < training.epochs);
        let (passed, next) = std::thread::scope(|scope| {
            let next = resampler.map(|resampler| scope.spawn(move || resampler.draw(epoch as u64)));
            let passed = learner.pass(examples, order, training, progress, &bar);
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

        let predictions = evaluate::predictions_of(&learner.network, task, &data.valid)?;
        if evaluate::are_constant(&predictions, task) {
            bar.finish_and_clear();
            let _ = std::fs::remove_file(run.file(WEIGHTS)); // of an earlier epoch, if there are any
            return Ok(Start::Died { epoch });
        }
        let valid_score = task.selection(&data.valid, &predictions);
        if best.is_none_or(|(_, before)| valid_score > before) {
            best = Some((epoch, valid_score));
            weights::save(&learner.network, epoch, &run.file(WEIGHTS))?;
        }
        let row = Epoch {
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
    }
    bar.finish_and_clear();
    let (best_epoch, _) = best.expect("a configuration has one epoch or more");
    let mut network = learner.network;
    weights::load(&mut network, &run.file(WEIGHTS))?;
    Ok(Start::Finished { network, history: history.into_epochs(), best_epoch })
}

/// A network and what changes it.
struct Learner<'a> {
    network: Network,
    parameters: FlatParameters,
    optimizer: Optimizer,
    task: &'a Task,
}

impl<'a> Learner<'a> {
    fn new(network: Network, training: &TrainingConfig, task: &'a Task) -> Self {
        let parameters = FlatParameters::new(&network.store);
        let optimizer = Optimizer::new(training, &parameters);
        Self { network, parameters, optimizer, task }
    }

    /// One pass over the examples; returns their mean loss and the share that were right, dropout and all.
    fn pass(
        &mut self,
        examples: &Examples,
        order: Order,
        training: &TrainingConfig,
        progress: Progress,
        bar: &ProgressBar,
    ) -> Result<(f64, Option<f64>)> {
        let device = self.network.device();
        let steps = examples.len().div_ceil(order.batch_size);
        let mut loss_sum = Tensor::zeros([], (Kind::Float, device));
        let mut hits: Option<Tensor> = None;
        std::thread::scope(|scope| {
            let (mut seen, mut shown) = (0, Instant::now());
            for (step, batch) in batches::shuffled(scope, examples, order).enumerate() {
                let batch = batch?;
                let (epoch, step) = (order.epoch as u64, step as u64);
                tch::manual_seed(random::seed_for_libtorch(order.seed, Purpose::Dropout, epoch, step));
                let codes = model::codes_tensor(&batch.codes, examples.length, device);
                let labels = Tensor::from_slice(&batch.labels).view([batch.n as i64, -1]).to_device(device);
                let logits = self.network.logits(&codes, true);
                let loss = self.task.loss(&logits, &labels);
                let gradient = self.parameters.gradient(&loss);
                let done = (order.epoch - 1) * steps + step as usize;
                let rate = schedule::learning_rate(training.schedule, training.lr, done, training.epochs * steps);
                self.optimizer.set_learning_rate(rate);
                self.optimizer.step(&mut self.parameters, &gradient);

                loss_sum += loss.detach() * batch.n as f64;
                hits = match (hits.take(), self.task.hits(&logits.detach(), &labels)) {
                    (Some(before), Some(more)) => Some(before + more),
                    (_, more) => more,
                };
                seen += batch.n;
                bar.inc(batch.n as u64);
                // Reading the loss waits for the device, so it is done for a person watching and no oftener than needed.
                if progress == Progress::Terminal && shown.elapsed() > SHOW_LOSS_EVERY {
                    shown = Instant::now();
                    bar.set_message(format!("epoch {epoch} loss {:.4}", loss_sum.double_value(&[]) / seen as f64));
                }
            }
            Ok::<_, anyhow::Error>(())
        })?;
        let n = examples.len() as f64;
        Ok((loss_sum.double_value(&[]) / n, hits.map(|hits| hits.double_value(&[]) / n)))
    }
}
