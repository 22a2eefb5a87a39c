//! A network and what changes it: one pass over the examples, one step.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use tch::{Kind, Tensor};

use super::average::MovingAverage;
use super::optimizer::{self, FlatParameters, Optimizer};
use super::schedule::{Rates, Schedule};
use crate::config::{Strands, TrainingConfig};
use crate::data::batches::{self, Augmentation, Batch, Order};
use crate::data::examples::Examples;
use crate::model::{self, Network};
use crate::progress::Progress;
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
    task: &'a Task,
    training: &'a TrainingConfig,
    /// Batches, and steps, of an epoch.
    batches: usize,
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
        Self { network, parameters, optimizer, schedule, average, task, training, batches, steps }
    }

    /// Puts the average of the weights in their place, or the weights back; nothing where none is kept.
    pub fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.swap();
        }
    }

    /// One pass over the examples; returns their mean loss and the share that were right, dropout and all.
    pub fn pass(
        &mut self,
        examples: &Examples,
        order: Order,
        progress: Progress,
        bar: &ProgressBar,
    ) -> Result<(f64, Option<f64>)> {
        let mut sums = Sums::new(self.network.device());
        let mut gathered: Option<(Tensor, usize)> = None;
        let accumulate = self.training.accumulate;
        std::thread::scope(|scope| {
            let mut shown = Instant::now();
            for (number, batch) in batches::shuffled(scope, examples, order).enumerate() {
                let batch = batch?;
                seed_dropout(order, number);
                let gradient = self.gradient(&batch, examples.length, &mut sums);
                let (gradient, n) = match gathered.take() {
                    Some((sum, n)) => (sum + gradient * batch.n as f64, n + batch.n),
                    None if accumulate > 1 => (gradient * batch.n as f64, batch.n),
                    None => (gradient, 1),
                };
                if (number + 1) % accumulate == 0 || number + 1 == self.batches {
                    let mean = if accumulate > 1 { gradient / n as f64 } else { gradient };
                    self.step(mean, (order.epoch - 1) * self.steps + number / accumulate);
                } else {
                    gathered = Some((gradient, n));
                }
                bar.inc(batch.n as u64);
                // Reading the loss waits for the device, so it is done for a person watching and no oftener than needed.
                if progress == Progress::Terminal && shown.elapsed() > SHOW_LOSS_EVERY {
                    shown = Instant::now();
                    bar.set_message(format!("epoch {} loss {:.4}", order.epoch, sums.mean_loss()));
                }
            }
            Ok::<_, anyhow::Error>(())
        })?;
        Ok((sums.mean_loss(), sums.share_right()))
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
    fn step(&mut self, gradient: Tensor, number: usize) {
        self.step_at(gradient, self.schedule.rates(number));
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
    pub fn new(device: tch::Device) -> Self {
        Self { loss: Tensor::zeros([], (Kind::Float, device)), hits: None, n: 0 }
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

    fn share_right(&self) -> Option<f64> {
        self.hits.as_ref().map(|hits| hits.double_value(&[]) / self.n as f64)
    }
}
