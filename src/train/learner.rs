//! A network and what changes it: one pass over the examples, one step.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use tch::{Kind, Tensor};

use super::average::MovingAverage;
use super::optimizer::{self, FlatParameters, Optimizer};
use super::schedule::{Rates, Schedule};
use super::watch::Watch;
use crate::config::{Strands, TrainingConfig};
use crate::data::batches::{self, Augmentation, Batch, Order};
use crate::data::examples::Examples;
use crate::model::{self, Network};
use crate::random::{self, Purpose};
use crate::task::Task;

/// How often the progress bar's loss is brought up to date.
const SHOW_LOSS_EVERY: Duration = Duration::from_millis(250);

/// Keys what dropout drops in a batch of an epoch, counted from 0.
pub fn seed_dropout(order: Order, batch: usize) {
    tch::manual_seed(random::seed_for_libtorch(order.seed, Purpose::Dropout, order.epoch as u64, batch as u64));
}

/// What training changes of its examples.
pub fn augmentation(training: &TrainingConfig) -> Augmentation {
    Augmentation {
        either_strand: matches!(training.strands, Strands::Augment | Strands::Average),
        shift: training.shift,
        mutate: training.mutate,
    }
}

/// A network and what changes it.
pub struct Learner<'a> {
    pub network: Network,
    parameters: FlatParameters,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    pub average: Option<MovingAverage>,
    watch: Watch,
    task: &'a Task,
    training: &'a TrainingConfig,
    /// Batches, and steps, of an epoch.
    pub batches: usize,
    steps: usize,
}

impl<'a> Learner<'a> {
    /// For epochs of `n` examples.
    pub fn new(network: Network, training: &'a TrainingConfig, task: &'a Task, n: usize) -> Self {
        let parameters = FlatParameters::new(&network.store);
        let optimizer = Optimizer::new(training, &parameters);
        let average = training.ema.map(|decay| MovingAverage::new(decay, &parameters, &network.store));
        let batches = n.div_ceil(training.batch_size);
        let steps = batches.div_ceil(training.accumulate);
        let schedule = Schedule::new(training, steps);
        let watch = Watch::new(network.device());
        Self { network, parameters, optimizer, schedule, average, watch, task, training, batches, steps }
    }

    /// Puts the average of the weights in their place, or the weights back; nothing where none is kept.
    pub fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.swap();
        }
    }

    /// One pass over the examples, or what is left of it after `done` batches, which `sums` are over. `after_step` is told
    /// how many batches are done after every step.
    ///
    /// # Errors
    /// The loss or the gradient is no longer a number, or what the examples are read from fails, or `after_step`.
    pub fn pass(
        &mut self,
        examples: &Examples,
        order: Order,
        done: usize,
        sums: &mut Sums,
        bar: &ProgressBar,
        after_step: &mut dyn FnMut(&mut Self, usize, &Sums) -> Result<()>,
    ) -> Result<()> {
        let mut gathered: Option<(Tensor, usize)> = None;
        let accumulate = self.training.accumulate;
        std::thread::scope(|scope| {
            let mut shown = Instant::now();
            for (number, batch) in batches::shuffled(scope, examples, order).enumerate().skip(done) {
                let batch = batch?;
                seed_dropout(order, number);
                let gradient = self.gradient(&batch, examples.length, sums);
                let (gradient, n) = match gathered.take() {
                    Some((sum, n)) => (sum + gradient * batch.n as f64, n + batch.n),
                    None if accumulate > 1 => (gradient * batch.n as f64, batch.n),
                    None => (gradient, 1),
                };
                if (number + 1) % accumulate == 0 || number + 1 == self.batches {
                    let mean = if accumulate > 1 { gradient / n as f64 } else { gradient };
                    self.step(mean, sums, (order.epoch - 1) * self.steps + number / accumulate)?;
                    after_step(self, number + 1, sums)?;
                } else {
                    gathered = Some((gradient, n));
                }
                bar.inc(batch.n as u64);
                // Reading the loss waits for the device, so it is done for a person watching and no oftener than needed.
                if !bar.is_hidden() && shown.elapsed() > SHOW_LOSS_EVERY {
                    shown = Instant::now();
                    bar.set_message(format!("epoch {} loss {:.4}", order.epoch, sums.mean_loss()));
                }
            }
            self.watch.check()
        })
    }

    /// The gradient of a batch's mean loss, `[parameters]`.
    pub fn gradient(&mut self, batch: &Batch, length: usize, sums: &mut Sums) -> Tensor {
        let device = self.network.device();
        let codes = model::codes_tensor(&batch.codes, length, device);
        let labels = Tensor::from_slice(&batch.labels).view([batch.n as i64, -1]).to_device(device);
        let logits = self.network.logits(&codes, true);
        let loss = self.task.loss(&logits, &labels);
        let gradient = self.parameters.gradient(&loss);
        sums.add(&loss.detach(), self.task.hits(&logits.detach(), &labels), batch.n);
        gradient
    }

    /// Step `number` of the run, counted from 0, down a gradient `[parameters]`.
    fn step(&mut self, gradient: Tensor, sums: &Sums, number: usize) -> Result<()> {
        let rates = self.schedule.rates(number);
        self.watch.see(number + 1, rates.lr, &sums.loss, &gradient)?;
        self.step_at(gradient, rates);
        Ok(())
    }

    /// That all steps so far went down numbers, and came to numbers.
    pub fn check(&mut self) -> Result<()> {
        self.watch.check()?;
        if self.parameters.buffer.isfinite().all().int64_value(&[]) == 0 {
            bail!("a weight is no longer a number; train anew with a smaller --lr or --clip-norm 1");
        }
        Ok(())
    }

    /// Sets the optimizer's rates as they were after so many batches of an epoch, counted from 1.
    pub fn set_rates_after(&mut self, epoch: usize, batches: usize) {
        let steps = (epoch - 1) * self.steps + batches.div_ceil(self.training.accumulate);
        if steps > 0 {
            self.optimizer.set_rates(self.schedule.rates(steps - 1));
        }
    }

    pub fn step_at(&mut self, mut gradient: Tensor, rates: Rates) {
        if let Some(norm) = self.training.clip_norm {
            optimizer::clip(&mut gradient, norm);
        }
        self.optimizer.set_rates(rates);
        self.optimizer.step(&mut self.parameters, &gradient);
        if let Some(average) = &mut self.average {
            average.update();
        }
    }
}

/// Sums over the batches of an epoch, kept on the device so that nothing waits for it.
pub struct Sums {
    loss: Tensor,
    hits: Option<Tensor>,
    n: usize,
}

impl Sums {
    /// Their names in a checkpoint.
    pub const LOSS: &str = "loss";
    pub const HITS: &str = "hits";

    pub fn new(device: tch::Device) -> Self {
        Self::of(Tensor::zeros([], (Kind::Float, device)), None, 0)
    }

    /// Sums that `tensors` gave, over `n` examples.
    pub fn of(loss: Tensor, hits: Option<Tensor>, n: usize) -> Self {
        Self { loss, hits, n }
    }

    pub fn tensors(&self) -> impl Iterator<Item = (&'static str, Tensor)> {
        let hits = self.hits.iter().map(|hits| (Self::HITS, hits.shallow_clone()));
        std::iter::once((Self::LOSS, self.loss.shallow_clone())).chain(hits)
    }

    /// Examples that they are over.
    pub fn examples(&self) -> usize {
        self.n
    }

    fn add(&mut self, loss: &Tensor, hits: Option<Tensor>, n: usize) {
        self.loss += loss * n as f64;
        self.hits = match (self.hits.take(), hits) {
            (Some(before), Some(more)) => Some(before + more),
            (_, more) => more,
        };
        self.n += n;
    }

    pub fn mean_loss(&self) -> f64 {
        self.loss.double_value(&[]) / self.n as f64
    }

    pub fn share_right(&self) -> Option<f64> {
        self.hits.as_ref().map(|hits| hits.double_value(&[]) / self.n as f64)
    }
}
