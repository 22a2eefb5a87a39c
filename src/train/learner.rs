//! A network and all that training changes of it: one batch, one step.

use anyhow::{Result, bail};
use strandnet_core::config::{Precision, Strands, TrainingConfig};
use strandnet_core::dataset::batches::{Augmentation, Order, Share};
use strandnet_core::dataset::examples::Examples;
use strandnet_core::machine;
use strandnet_core::random::{self, Purpose};
use strandnet_core::task::Task;
use strandnet_core::training::schedule::{Rates, Schedule};

use super::exchange::{Ending, Exchange, Found};
use super::gradient::{self, BatchGradient, Context, GradientMethod};
use super::loader::{self, Batch};
use super::loss::Criterion;
use super::moving_average::MovingAverage;
use super::optimizer::Optimizer;
use super::parameters::{FlatParameters, Gradient};
use super::statistics::Statistics;
use super::step_graph::{Done, StepGraph};
use super::totals::{BatchNumbers, EpochTotals, Step};
use crate::device;
use crate::distributed::Group;
use crate::libtorch::Tf32;
use crate::model::Network;
use crate::no_grad::no_grad;

/// What training changes of its examples.
pub fn augmentation(training: &TrainingConfig) -> Augmentation {
    Augmentation {
        either_strand: matches!(training.strands, Strands::Augment | Strands::Average),
        shift: training.shift,
        mutate: training.mutate,
    }
}

/// The order of an epoch, counted from 1, of a network trained with `seed`.
pub fn order(training: &TrainingConfig, seed: u64, epoch: usize) -> Order {
    Order {
        batch_size: training.batch_size.fragments(),
        augmentation: augmentation(training),
        seed,
        epoch,
        share: Share::ALL,
    }
}

/// A network, its optimizer and its learning-rate schedule.
pub struct Learner<'a> {
    /// The network.
    pub network: Network,
    /// Its parameters.
    pub parameters: FlatParameters,
    /// The optimizer and its state.
    pub(super) optimizer: Optimizer,
    /// The learning-rate schedule.
    pub(super) schedule: Schedule,
    /// The moving average of the weights, with `--ema`.
    pub(super) average: Option<MovingAverage>,
    method: Box<dyn GradientMethod>,
    /// With `--cuda-graph`.
    graph: Option<StepGraph>,
    criterion: Criterion<'a>,
    training: &'a TrainingConfig,
    uses_tf32: bool,
    /// The sum of gradients that wait for the next step, each times the examples it is of, and how many these are.
    accumulated: Option<(Gradient, usize)>,
    /// Batches of an epoch.
    pub(super) batches: usize,
    /// Steps of an epoch.
    steps: usize,
    /// Examples of an epoch.
    examples: usize,
    /// Running statistics of batch norm, where several batches make a step.
    pub(super) statistics: Option<Statistics>,
    /// What several processes exchange.
    exchange: Option<Exchange<'a>>,
}

impl<'a> Learner<'a> {
    /// For epochs of `n` examples.
    ///
    /// # Errors
    /// CUDA graphs are asked for and the GPU is out of order.
    pub fn new(network: Network, training: &'a TrainingConfig, task: &'a Task, n: usize) -> Result<Self> {
        Self::of_group(network, training, task, n, None)
    }

    /// The same in one of several processes, which share every batch.
    ///
    /// # Errors
    /// As [`Learner::new`].
    pub fn of_group(
        network: Network,
        training: &'a TrainingConfig,
        task: &'a Task,
        n: usize,
        group: Option<&'a Group>,
    ) -> Result<Self> {
        let (device, size) = (network.device(), training.batch_size.fragments());
        let part = size.div_ceil(group.map_or(1, |group| group.share().of));
        let exchange = group.map(|group| Exchange::new(group, !task.kind.predicts_values()));
        let statistics = (group.is_some() || training.accumulate > 1).then(|| Statistics::new(&network));
        let parameters = FlatParameters::new(&network.store);
        let criterion = Criterion::new(task, device);
        let context = Context { network: &network, parameters: &parameters, criterion: &criterion };
        let method = gradient::fastest(&context, task, part.min(n));
        let batches = n.div_ceil(size);
        let steps = batches.div_ceil(training.accumulate);
        let schedule = Schedule::new(training, steps);
        let graph = if training.cuda_graph {
            Some(StepGraph::new(device, part, exchange.is_none() && is_one_step(training, &schedule))?)
        } else {
            None
        };
        let precision = machine::resolve_precision(training.precision, device::kind(device));
        Ok(Self {
            uses_tf32: precision == Precision::Tf32,
            optimizer: Optimizer::new(training, &parameters),
            schedule,
            average: training.ema.map(|decay| MovingAverage::new(decay, &parameters, &network.store)),
            accumulated: None,
            graph,
            network,
            parameters,
            method,
            criterion,
            training,
            batches,
            steps,
            examples: n,
            statistics,
            exchange,
        })
    }

    /// The same with another way to compute gradients, such as one's own loss.
    pub fn with_method(mut self, method: impl GradientMethod + 'static) -> Self {
        self.method = Box::new(method);
        self.graph = None; // what it decides on the CPU cannot be recorded
        self
    }

    /// Learns from batch `number` of an epoch, counted from 0. Returns whether a step was taken, which happens every
    /// `--accumulate` batches and at the end of the epoch.
    ///
    /// # Errors
    /// The loss or the gradient is not finite, or the device failed.
    pub fn learn(&mut self, batch: Batch, order: Order, number: usize, totals: &mut EpochTotals) -> Result<bool> {
        let n = batch.n();
        let step = (order.epoch - 1) * self.steps + number / self.training.accumulate;
        let rates = self.schedule.rates(step);
        let step = Step { number: step + 1, lr: rates.lr };
        let is_due = (number + 1).is_multiple_of(self.training.accumulate) || number + 1 == self.batches;
        if self.exchange.is_some() {
            let found = if n > 0 { Some(self.compute(batch, order, number, rates)?) } else { None };
            let found = found.map(|done| match done {
                Done::Gradient(gradient) => gradient,
                Done::Step(_) => unreachable!("steps of several processes are not recorded"),
            });
            return self.learn_together(found, n, (order, number), (step, rates), is_due, totals);
        }
        let done = self.compute(batch, order, number, rates)?;
        if let Some(statistics) = &mut self.statistics {
            let of_batch = statistics.take();
            statistics.update(&of_batch);
        }
        let BatchGradient { gradient, loss, hits } = match done {
            Done::Gradient(gradient) => gradient,
            Done::Step(numbers) => {
                totals.add(numbers, n, Some(step))?;
                self.optimizer.count_step();
                self.after_step();
                return Ok(true);
            }
        };
        let gradient = self.accumulate(gradient, n, is_due);
        let numbers = BatchNumbers::new(&loss, hits.as_ref(), gradient.as_ref());
        totals.add(numbers, n, gradient.is_some().then_some(step))?;
        let Some(gradient) = gradient else { return Ok(false) };
        self.step(gradient, rates);
        Ok(true)
    }

    /// The gradient of a batch, or the whole step where that is recorded. What dropout drops is keyed by the place of the batch, or of
    /// this process's part of it, in the epoch.
    fn compute(&mut self, batch: Batch, order: Order, number: usize, rates: Rates) -> Result<Done> {
        let place = number * order.share.of + order.share.rank;
        let seed = random::seed_for_libtorch(order.seed, Purpose::Dropout, order.epoch as u64, place as u64);
        let _tf32 = self.uses_tf32.then(Tf32::allow);
        match self.graph.take() {
            Some(mut graph) => {
                let done = graph.step(self, batch, seed, rates);
                self.graph = Some(graph);
                done
            }
            None => self.gradient(batch, seed).map(Done::Gradient),
        }
    }

    /// Learns, with the other processes, from a batch of which this one's part has `n` examples and came to `found`: as one process would
    /// that took the parts as batches and accumulated their gradients.
    fn learn_together(
        &mut self,
        found: Option<BatchGradient>,
        n: usize,
        (order, number): (Order, usize),
        (step, rates): (Step, Rates),
        is_due: bool,
        totals: &mut EpochTotals,
    ) -> Result<bool> {
        let (Some(exchange), Some(statistics)) = (&mut self.exchange, &mut self.statistics) else { return Ok(false) };
        exchange.take(found.as_ref(), statistics);
        if let Some(BatchGradient { gradient, .. }) = found {
            let gradient = gradient.scaled(n as f64);
            self.accumulated = Some(match self.accumulated.take() {
                Some((sum, before)) => (gradient.plus(&sum), before + n),
                None => (gradient, n),
            });
        }
        if !is_due {
            return Ok(false);
        }
        let own = self.accumulated.take().map(|(sum, _)| sum);
        let first = number - number % self.training.accumulate;
        let (of, examples) = (order.share.of, self.examples);
        let parts: Vec<usize> =
            (first * of..(number + 1) * of).map(|part| order.part_of(part % of, part / of, examples).len()).collect();
        let (sum, found) = exchange.sum(own, &self.parameters, statistics, &parts)?;
        let gradient = sum.scaled(1.0 / parts.iter().sum::<usize>() as f64);
        let last = found.len();
        for (i, (Found { loss, hits }, n)) in found.iter().zip(parts.into_iter().filter(|n| *n > 0)).enumerate() {
            let of_step = (i + 1 == last).then_some(&gradient);
            totals.add(BatchNumbers::new(loss, hits.as_ref(), of_step), n, of_step.map(|_| step))?;
        }
        self.step(gradient, rates);
        Ok(true)
    }

    /// How training is to end when this process would end it so; with others, as all agree.
    ///
    /// # Errors
    /// Another process ended.
    pub(super) fn agree(&mut self, own: Option<Ending>, within_epoch: bool) -> Result<Option<Ending>> {
        match &mut self.exchange {
            Some(exchange) => exchange.agree(own, within_epoch),
            None => Ok(own),
        }
    }

    /// Begins an epoch with the same weights in all processes.
    ///
    /// # Errors
    /// Another process ended.
    pub(super) fn align(&mut self) -> Result<()> {
        match (&self.exchange, &mut self.statistics) {
            (Some(exchange), Some(statistics)) => exchange.align(&mut self.parameters, statistics),
            _ => Ok(()),
        }
    }

    /// The gradient of a batch's mean loss; `seed` keys what dropout drops.
    ///
    /// # Errors
    /// The device failed.
    pub fn gradient(&mut self, batch: Batch, seed: i64) -> Result<BatchGradient> {
        let Self { network, parameters, criterion, method, .. } = self;
        method.gradient(&Context { network, parameters, criterion }, batch, seed)
    }

    /// The mean gradient of all batches since the last step, if a step is due.
    fn accumulate(&mut self, gradient: Gradient, n: usize, is_due: bool) -> Option<Gradient> {
        if self.training.accumulate == 1 {
            return Some(gradient);
        }
        let sum = match self.accumulated.take() {
            Some((sum, before)) => (gradient.scaled(n as f64).plus(&sum), before + n),
            None => (gradient.scaled(n as f64), n),
        };
        if is_due {
            return Some(sum.0.scaled(1.0 / sum.1 as f64));
        }
        self.accumulated = Some(sum);
        None
    }

    /// A step of the optimizer down a gradient.
    pub fn step(&mut self, gradient: Gradient, rates: Rates) {
        self.optimizer.set_rates(rates);
        let gradient = self.clipped(gradient);
        self.optimizer.step(&mut self.parameters, &gradient);
        self.after_step();
    }

    /// The same on a GPU, where the optimizer's rate and count of steps are; of what it does all can be recorded.
    pub(super) fn step_on_device(&mut self, batch: BatchGradient) -> Done {
        let numbers = BatchNumbers::new(&batch.loss, batch.hits.as_ref(), Some(&batch.gradient));
        match no_grad(|| self.clipped(batch.gradient)) {
            Gradient::Device(gradient) => self.optimizer.step_on_device(&gradient),
            Gradient::Host(_) => unreachable!("gradients are where the network is"),
        }
        Done::Step(numbers)
    }

    fn clipped(&self, gradient: Gradient) -> Gradient {
        match self.training.clip_norm {
            Some(norm) => {
                // Branches share no parameter, so the gradient of one is no reason to clip the other's.
                let first = self.network.plan.parameters_of_first_branch();
                gradient.clip(norm, &[0..first, first..self.parameters.buffer.numel()])
            }
            None => gradient,
        }
    }

    fn after_step(&mut self) {
        if self.method.reads_tensors() || self.average.is_some() {
            self.parameters.write_back();
        }
        if let Some(average) = &mut self.average {
            average.update();
        }
    }

    /// One pass over examples, without validation or checkpoints. Returns loss and accuracy over them.
    ///
    /// # Errors
    /// As [`Learner::learn`], and where the examples cannot be read.
    pub fn train_epoch(&mut self, examples: &Examples, order: Order) -> Result<EpochTotals> {
        let device = self.network.device();
        let mut totals = EpochTotals::default();
        std::thread::scope(|scope| {
            for (number, batch) in loader::batches_of(scope, examples, None, order, device).enumerate() {
                self.learn(batch?, order, number, &mut totals)?;
            }
            totals.read()
        })?;
        self.finish_epoch();
        Ok(totals)
    }

    /// Brings the network's tensors up to date at the end of an epoch.
    pub fn finish_epoch(&mut self) {
        self.parameters.write_back();
    }

    /// Checks that all steps so far led to finite weights, which the network's tensors then have.
    ///
    /// # Errors
    /// One of them did not.
    pub fn check(&mut self) -> Result<()> {
        self.finish_epoch();
        if self.parameters.buffer.isfinite().all().int64_value(&[]) == 0 {
            bail!("a weight is not finite; train again with a smaller --lr or --clip-norm 1");
        }
        Ok(())
    }

    /// Puts the average of the weights in their place, or the weights back; nothing where none is kept.
    pub fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.swap();
        }
    }

    /// Sets the optimizer's rates as they were after so many batches of an epoch, counted from 1.
    pub fn set_rates_after(&mut self, epoch: usize, batches: usize) {
        let steps = (epoch - 1) * self.steps + batches.div_ceil(self.training.accumulate);
        if steps > 0 {
            self.optimizer.set_rates(self.schedule.rates(steps - 1));
        }
    }

    /// On the CPU as on a GPU: parameters as tensors, and steps as if they were recorded.
    #[cfg(test)]
    pub(super) fn emulate_graph(&mut self) {
        self.parameters.host = None;
        self.optimizer = Optimizer::new(self.training, &self.parameters);
        self.method = Box::new(gradient::Autograd);
        let (size, with_step) = (self.training.batch_size.fragments(), is_one_step(self.training, &self.schedule));
        self.graph = Some(StepGraph::emulated(size, with_step));
    }
}

/// Whether every batch is a step whose numbers but the learning rate are the same each time, so that it can be recorded with the
/// optimizer's part.
fn is_one_step(training: &TrainingConfig, schedule: &Schedule) -> bool {
    training.accumulate == 1 && schedule.rates(0).momentum.is_none()
}
