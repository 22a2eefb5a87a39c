//! The training loop: epochs of shuffled batches, validation after each, the best epoch kept.

pub mod history;
pub mod optimizer;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tch::{Kind, Tensor};

use crate::config::{Config, Strands};
use crate::data::Dataset;
use crate::data::batches::{self, Order};
use crate::evaluate;
use crate::metrics::Ranking;
use crate::model::{self, Network, weights};
use crate::progress::Progress;
use crate::random::{self, Purpose};
use crate::run::{RunFolder, WEIGHTS};
use crate::task;
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
    data: &Dataset,
    device: tch::Device,
    run: &RunFolder,
    progress: Progress,
) -> Result<Trained> {
    for restarts in 0..=MAX_RESTARTS {
        let seed = start_seed(config.training.seed, restarts);
        match train_once(config, data, device, seed, run, progress)? {
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
    data: &Dataset,
    device: tch::Device,
    seed: u64,
    run: &RunFolder,
    progress: Progress,
) -> Result<Start> {
    let training = &config.training;
    let positive = data.classes.positive;
    let mut network = Network::new(&config.model, data.train.length, device, seed)?;
    let mut parameters = FlatParameters::new(&network.store);
    let mut optimizer = Optimizer::new(training, &parameters);
    let mut history = History::create(run)?;
    let valid_positives = data.valid.positives(positive);
    let bar = progress.bar((training.epochs as u64).saturating_mul(data.train.len() as u64));
    let mut best: Option<(usize, f64)> = None;

    for epoch in 1..=training.epochs {
        let started = Instant::now();
        let mut loss_sum = Tensor::zeros([], (Kind::Float, device));
        let mut right = Tensor::zeros([], (Kind::Int64, device));
        std::thread::scope(|scope| {
            let either_strand = training.strands == Strands::Augment;
            let order = Order { batch_size: training.batch_size, either_strand, seed, epoch };
            let batches = batches::shuffled(scope, &data.train, positive, order);
            let (mut seen, mut shown) = (0, started);
            for (step, batch) in batches.enumerate() {
                tch::manual_seed(random::seed_for_libtorch(seed, Purpose::Dropout, epoch as u64, step as u64));
                let codes = model::codes_tensor(&batch.codes, data.train.length, device);
                let targets = Tensor::from_slice(&batch.targets).to_device(device);
                let logits = network.logits(&codes, true);
                let loss = task::loss(training.loss, &logits, &targets);
                let gradient = parameters.gradient(&loss);
                optimizer.step(&mut parameters, &gradient);

                loss_sum += loss.detach() * batch.targets.len() as f64;
                right += logits.detach().gt(0.0).eq_tensor(&targets.gt(0.5)).sum(Kind::Int64);
                seen += batch.targets.len();
                bar.inc(batch.targets.len() as u64);
                // Reading the loss waits for the device, so it is done for a person watching and no oftener than needed.
                if progress == Progress::Terminal && shown.elapsed() > SHOW_LOSS_EVERY {
                    shown = Instant::now();
                    bar.set_message(format!(
                        "epoch {epoch}/{} loss {:.4}",
                        training.epochs,
                        loss_sum.double_value(&[]) / seen as f64
                    ));
                }
            }
        });
        let n = data.train.len() as f64;
        let (train_loss, train_accuracy) = (loss_sum.double_value(&[]) / n, right.double_value(&[]) / n);
        let train_seconds = started.elapsed().as_secs_f64();
        if !train_loss.is_finite() {
            bar.finish_and_clear();
            bail!(
                "the training loss is {train_loss} in epoch {epoch}, expected a number; use a smaller --lr than {}",
                training.lr
            );
        }

        let scores = evaluate::scores_of(&network, &data.valid)?;
        if evaluate::are_constant(&scores) {
            bar.finish_and_clear();
            let _ = std::fs::remove_file(run.file(WEIGHTS)); // of an earlier epoch, if there are any
            return Ok(Start::Died { epoch });
        }
        let auroc = Ranking::new(&valid_positives, &scores).auroc().unwrap_or(0.5);
        if best.is_none_or(|(_, before)| auroc > before) {
            best = Some((epoch, auroc));
            weights::save(&network, epoch, &run.file(WEIGHTS))?;
        }
        let accuracy =
            scores.iter().zip(&valid_positives).filter(|(score, positive)| (**score >= 0.5) == **positive).count();
        let row = Epoch {
            epoch,
            train_loss,
            train_accuracy,
            valid_loss: task::loss_of_scores(training.loss, &valid_positives, &scores),
            valid_accuracy: accuracy as f64 / scores.len() as f64,
            valid_auroc: auroc,
            learning_rate: training.lr,
            seconds: started.elapsed().as_secs_f64(),
            fragments_per_second: n / train_seconds,
        };
        if progress == Progress::Lines {
            progress.say(&row.line(training.epochs));
        }
        history.push(row)?;
    }
    bar.finish_and_clear();
    let (best_epoch, _) = best.expect("a configuration has one epoch or more");
    weights::load(&mut network, &run.file(WEIGHTS))?;
    Ok(Start::Finished { network, history: history.into_epochs(), best_epoch })
}
