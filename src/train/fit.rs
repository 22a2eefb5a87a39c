//! The training loop: epochs of batches, validation after each, the best epoch kept.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use strandnet_core::dataset::batches::Order;
use strandnet_core::evaluate;
use strandnet_core::progress::{Bar, Progress};
use strandnet_core::training::early_stopping::{Decision as Selection, EarlyStopping};
use strandnet_core::training::history::Epoch;
use tch::Tensor;

use super::checkpoint::{self, Checkpoint, Position, State};
use super::exchange::Ending;
use super::hooks::{Decision, Hook};
use super::learner::{self, Learner};
use super::loader::{self, Loader};
use super::moving_average::MovingAverage;
use super::totals::EpochTotals;
use super::{EnsembleState, Setup, interrupted, starting_network};
use crate::device;
use crate::model::{Network, head};
use crate::no_grad::no_grad;

/// How an attempt to train a network ended.
pub(super) enum Outcome {
    /// With a network, its weights those of its best epoch.
    Trained { network: Box<Network>, best_epoch: usize },
    /// All validation scores became equal, as when every ReLU has died.
    Died { epoch: usize },
}

/// One attempt to train a network of an ensemble.
pub(super) struct Fit<'a> {
    setup: Setup<'a>,
    seed: u64,
    learner: Learner<'a>,
    totals: EpochTotals,
    position: Position,
    early_stopping: EarlyStopping,
    /// Weights of the best epoch so far.
    best: HashMap<String, Tensor>,
    /// Spent on this epoch before the program began, in seconds.
    before: f64,
    began: Instant,
}

impl<'a> Fit<'a> {
    /// A network with fresh weights, or where a checkpoint left it.
    pub fn new(
        setup: Setup<'a>,
        seed: u64,
        restarts: u64,
        ensemble: &EnsembleState,
        from: Option<Checkpoint>,
    ) -> Result<Self> {
        let Setup { config, task, data, device, .. } = setup;
        let (training, member) = (&config.training, ensemble.networks.len());
        let network = match &from {
            // The checkpoint has all weights, so that the run they came from may be gone.
            Some(_) => setup.new_network(seed)?,
            None => setup.complete(starting_network(config, task, data, device, seed, member)?.0),
        };
        if network.all_native().is_some() {
            device::leave_to_native();
        }
        let mut fit = Self {
            setup,
            seed,
            learner: Learner::of_group(network, training, task, data.train.len(), setup.group)?,
            totals: EpochTotals::default(),
            position: Position { member, restarts, epoch: 1, batch: 0 },
            early_stopping: EarlyStopping::new(training.patience),
            best: HashMap::new(),
            before: 0.0,
            began: Instant::now(),
        };
        if let Some(checkpoint) = from {
            fit.resume(&checkpoint, ensemble)?;
        }
        Ok(fit)
    }

    /// Trains until the last epoch, or until a hook or early stopping ends it.
    pub fn run(mut self, ensemble: &mut EnsembleState, hooks: &mut [Box<dyn Hook + '_>]) -> Result<Outcome> {
        let Setup { config, data, device, progress, .. } = self.setup;
        let epochs = config.training.epochs;
        let mut loader = Loader::new(data, &config.training, device, self.position.member, self.position.epoch)?;
        let bar = BarOnScreen::new(progress, (epochs + 1).saturating_sub(self.position.epoch), data.train.len());

        while self.position.epoch <= epochs {
            let epoch = self.position.epoch;
            let order = Order { share: self.setup.share(), ..learner::order(&config.training, self.seed, epoch) };
            self.learner.align()?;
            let mut stopped = false;
            let next = std::thread::scope(|scope| {
                let next = loader.draw_next(scope, epoch);
                for (number, batch) in loader.batches(scope, order).enumerate().skip(self.position.batch) {
                    let n = order.batch(number, loader.examples().len()).len();
                    if self.learner.learn(batch?, order, number, &mut self.totals)? {
                        self.position.batch = number + 1;
                        let decision =
                            self.carry_out(ensemble, hooks, epoch, |hook| hook.after_step(epoch, number + 1))?;
                        stopped = decision == Decision::Stop;
                    }
                    bar.advance(n, epoch, &mut self.totals)?;
                    if stopped {
                        break;
                    }
                }
                self.totals.read()?;
                self.learner.finish_epoch();
                loader::finish_draw(next)
            })?;
            let fragments_per_second = loader.examples().len() as f64 / self.epoch_seconds();
            loader.use_next(next)?;

            let Some((row, selection)) = self.validate(fragments_per_second, ensemble)? else {
                return Ok(Outcome::Died { epoch });
            };
            ensemble.history.push(row)?;
            self.begin_epoch(if stopped || selection == Selection::Stop { epochs + 1 } else { epoch + 1 });
            self.carry_out(ensemble, hooks, epoch, |hook| hook.after_epoch(&row))?;
        }
        Ok(Outcome::Trained {
            network: Box::new(self.network_with_best()?),
            best_epoch: self.early_stopping.best_epoch(),
        })
    }

    /// Scores the validation split and keeps the weights if they are the best so far. Nothing where all scores are equal.
    fn validate(&mut self, fragments_per_second: f64, ensemble: &EnsembleState) -> Result<Option<(Epoch, Selection)>> {
        let Setup { config, task, data, progress, .. } = self.setup;
        let epoch = self.position.epoch;
        self.learner.swap_average();
        let logits = self.setup.logits_of(&self.learner.network, &data.valid)?;
        let predictions = head::activate_each(task, &logits)?;
        if evaluate::are_constant(&predictions, task) {
            ensemble.save_weights(None, self.setup.folder)?;
            return Ok(None);
        }
        let valid_score = task.selection(&data.valid, &predictions);
        let selection = self.early_stopping.after(epoch, valid_score);
        if selection == Selection::Best {
            let variables = self.learner.network.store.variables();
            self.best = variables.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
            ensemble.save_weights(Some((&self.learner.network, epoch)), self.setup.folder)?;
        }
        self.learner.swap_average();
        self.learner.schedule.after_epoch(selection == Selection::Best);
        let row = Epoch {
            member: self.position.member + 1,
            epoch,
            train_loss: self.totals.mean_loss(),
            train_accuracy: self.totals.share_right(),
            valid_loss: task.loss_of(&data.valid, &predictions),
            valid_accuracy: task.accuracy_of(&data.valid, &predictions),
            valid_score,
            learning_rate: self.learner.optimizer.learning_rate(),
            seconds: self.epoch_seconds(),
            fragments_per_second,
        };
        if progress == Progress::Lines {
            progress.say(&row.line(config.training.epochs, task.selection_metric()));
        }
        Ok(Some((row, selection)))
    }

    /// Asks every hook in epoch `epoch` and does what they decide; returns `Stop` if one of them does. After an epoch, `Stop`
    /// moves the position behind the last epoch, so that a checkpoint holds it too.
    fn carry_out(
        &mut self,
        ensemble: &EnsembleState,
        hooks: &mut [Box<dyn Hook + '_>],
        epoch: usize,
        ask: impl Fn(&mut dyn Hook) -> Result<Decision>,
    ) -> Result<Decision> {
        let decisions = hooks.iter_mut().map(|hook| ask(hook.as_mut())).collect::<Result<Vec<_>>>()?;
        let cause = decisions.iter().find_map(|decision| match decision {
            Decision::Interrupt(cause) => Some(*cause),
            _ => None,
        });
        let own = match cause {
            Some(cause) => Some(Ending::Interrupt(cause)),
            None => decisions.contains(&Decision::Stop).then_some(Ending::Stop),
        };
        let ending = self.learner.agree(own, self.position.batch > 0)?;
        let cause = match ending {
            Some(Ending::Interrupt(cause)) => Some(cause),
            _ => None,
        };
        let stops = match ending {
            Some(Ending::Stop) => true,
            Some(Ending::Interrupt(_)) => decisions.contains(&Decision::Stop),
            None => false,
        };
        if stops && self.position.batch == 0 {
            self.position.epoch = self.setup.config.training.epochs + 1;
        }
        if cause.is_some() || decisions.contains(&Decision::Checkpoint) {
            self.totals.read()?;
            self.learner.check()?;
            self.save_checkpoint(ensemble)?;
        }
        for decision in &decisions {
            if let Decision::Warn(message) = decision {
                self.setup.progress.warn(message);
            }
        }
        if let Some(cause) = cause {
            let place = match self.position.batch {
                0 => format!("after epoch {epoch}"),
                batch => format!("in epoch {epoch} after {batch} of {} batches", self.learner.batches),
            };
            return Err(interrupted(cause, &place, self.setup.folder));
        }
        Ok(if stops { Decision::Stop } else { Decision::Continue })
    }

    /// Writes a checkpoint, if there is a folder for it.
    fn save_checkpoint(&self, ensemble: &EnsembleState) -> Result<()> {
        let Some(folder) = self.setup.folder else { return Ok(()) };
        let state = State {
            position: self.position,
            step: self.learner.optimizer.steps(),
            average_updates: self.learner.average.as_ref().map_or(0.0, MovingAverage::updates),
            plateau: self.learner.schedule.plateau,
            best: self.early_stopping.best,
            summed: self.totals.examples(),
            history: ensemble.history.epochs().to_vec(),
            best_epochs: ensemble.best_epochs.clone(),
            restarts: ensemble.restarts,
            epoch_seconds: self.epoch_seconds(),
            seconds: ensemble.seconds(),
        };
        checkpoint::save(&state, &self.learner, &self.totals, &self.best, &ensemble.networks, folder)
    }

    fn resume(&mut self, checkpoint: &Checkpoint, ensemble: &EnsembleState) -> Result<()> {
        self.totals = checkpoint.restore(&mut self.learner)?;
        self.position = checkpoint.state.position;
        self.early_stopping.best = checkpoint.state.best;
        self.before = checkpoint.state.epoch_seconds;
        self.learner.set_rates_after(self.position.epoch, self.position.batch);
        if checkpoint.state.best.is_some() {
            self.best = checkpoint.best_weights(&self.learner.network.store)?;
            // The file may be of a later epoch than the checkpoint, or damaged.
            let best = self.network_with_best()?;
            ensemble.save_weights(Some((&best, self.early_stopping.best_epoch())), self.setup.folder)?;
        }
        Ok(())
    }

    fn begin_epoch(&mut self, epoch: usize) {
        self.position = Position { epoch, batch: 0, ..self.position };
        (self.before, self.began) = (0.0, Instant::now());
        self.totals = self.totals.next_epoch();
    }

    /// Spent on the epoch, in seconds.
    fn epoch_seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// A network with the weights of the best epoch: to the last bit what one read from the file computes.
    fn network_with_best(&self) -> Result<Network> {
        let Setup { config, task, data, device, .. } = self.setup;
        let training = &config.training;
        let network = Network::new(
            &config.model,
            data.train.length,
            task.network_outputs(),
            training.strands,
            device,
            self.seed,
        )?;
        no_grad(|| {
            for (name, mut own) in network.store.variables() {
                own.copy_(&self.best[&name]);
            }
        });
        Ok(self.setup.complete(network).without_native(training.no_native))
    }
}

/// The progress bar, taken off the terminal however training ends.
struct BarOnScreen {
    bar: Bar,
    shown: std::cell::Cell<Instant>,
}

impl BarOnScreen {
    fn new(progress: Progress, epochs: usize, examples: usize) -> Self {
        let bar = progress.bar((epochs as u64).saturating_mul(examples as u64));
        Self { bar, shown: std::cell::Cell::new(Instant::now()) }
    }

    fn advance(&self, n: usize, epoch: usize, totals: &mut EpochTotals) -> Result<()> {
        /// Reading the loss waits for the device, so it is done for a person watching and no more often than needed.
        const SHOW_LOSS_EVERY: std::time::Duration = std::time::Duration::from_millis(250);
        self.bar.advance(n as u64);
        if !self.bar.is_hidden() && self.shown.get().elapsed() > SHOW_LOSS_EVERY {
            self.shown.set(Instant::now());
            totals.read()?;
            self.bar.set_message(format!("epoch {epoch} loss {:.4}", totals.mean_loss()));
        }
        Ok(())
    }
}

impl Drop for BarOnScreen {
    fn drop(&mut self) {
        self.bar.finish();
    }
}
