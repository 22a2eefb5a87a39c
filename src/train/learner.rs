//! A network and what changes it: one pass over the examples, one step.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use strandnet_core::progress::Bar;
use tch::Tensor;

use crate::device;
use crate::model::{Forward, Network};
use crate::train::average::MovingAverage;
use crate::train::flat::{FlatParameters, Gradient};
use crate::train::loss::Criterion;
use crate::train::optimizer::Optimizer;
use crate::train::recorder::{Passed, Recorder};
use crate::train::resident::{Gathered, Resident};
use crate::train::sums::{Number, Sums};
use crate::train::uploads;
use crate::train::watch::Watch;
use strandnet_core::config::{Strands, TrainingConfig};
use strandnet_core::dataset::batches;
use strandnet_core::dataset::batches::{Augmentation, Batch, Order};
use strandnet_core::dataset::examples::Examples;
use strandnet_core::network::kernels::{FusedStep, Key};
use strandnet_core::random;
use strandnet_core::random::Purpose;
use strandnet_core::task::Task;
use strandnet_core::training::schedule::{Rates, Schedule};

/// How often the progress bar's loss is brought up to date.
const SHOW_LOSS_EVERY: Duration = Duration::from_millis(250);

/// Keys what dropout drops in a batch of an epoch, counted from 0.
pub fn dropout_seed(order: Order, batch: usize) -> i64 {
    random::seed_for_libtorch(order.seed, Purpose::Dropout, order.epoch as u64, batch as u64)
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
    pub parameters: FlatParameters,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    pub average: Option<MovingAverage>,
    watch: Watch,
    recorder: Option<Recorder>,
    task: &'a Task,
    criterion: Criterion<'a>,
    training: &'a TrainingConfig,
    /// Batches, and steps, of an epoch.
    pub batches: usize,
    steps: usize,
}

impl<'a> Learner<'a> {
    /// For epochs of `n` examples.
    ///
    /// # Errors
    /// CUDA graphs are asked for and the GPU is out of order.
    pub fn new(network: Network, training: &'a TrainingConfig, task: &'a Task, n: usize) -> Result<Self> {
        let (device, size) = (network.device(), training.batch_size.fragments());
        let recorder = training.cuda_graph.then(|| Recorder::new(device, size)).transpose()?;
        let parameters = FlatParameters::new(&network.store);
        let optimizer = Optimizer::new(training, &parameters);
        let average = training.ema.map(|decay| MovingAverage::new(decay, &parameters, &network.store));
        let batches = n.div_ceil(size);
        let steps = batches.div_ceil(training.accumulate);
        let schedule = Schedule::new(training, steps);
        let watch = Watch::new(device);
        let criterion = Criterion::new(task, device);
        Ok(Self {
            network,
            parameters,
            optimizer,
            schedule,
            average,
            watch,
            recorder,
            task,
            criterion,
            training,
            batches,
            steps,
        })
    }

    /// Puts the average of the weights in their place, or the weights back; nothing where none is kept.
    pub fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.swap();
        }
    }

    /// One pass over the examples, which a GPU may hold already, or what is left of it after `done` batches, which `sums` are
    /// over. `after_step` is told how many batches are done after every step.
    ///
    /// # Errors
    /// The loss or the gradient is no longer a number, or what the examples are read from fails, or `after_step`.
    pub fn pass(
        &mut self,
        (examples, resident): (&Examples, Option<&Resident>),
        order: Order,
        done: usize,
        sums: &mut Sums,
        bar: &Bar,
        after_step: &mut dyn FnMut(&mut Self, usize, &Sums) -> Result<()>,
    ) -> Result<()> {
        let accumulate = self.training.accumulate;
        let lesson = self.lesson(examples.len());
        std::thread::scope(|scope| {
            let mut shown = Instant::now();
            let mut gathered: Option<(Gradient, usize)> = None;
            let (resident, device) = (resident.and_then(|all| all.shuffled(order)), self.network.device());
            let gather = || batches::shuffled(scope, examples, order);
            let batches: Box<dyn Iterator<Item = Result<Gathered>>> = match resident {
                Some(batches) => Box::new(batches.map(Gathered::Device).map(Ok)),
                None if cfg!(cuda_shim) && device.is_cuda() => {
                    Box::new(uploads::sent(scope, gather(), device).map(|batch| batch.map(Gathered::Device)))
                }
                None => Box::new(gather().map(|batch| batch.map(Gathered::Host))),
            };
            for (number, batch) in batches.enumerate().skip(done) {
                let batch = batch?;
                let (seed, size) = (dropout_seed(order, number), batch.n());
                let gradient = match (&lesson, &self.parameters.host, batch) {
                    (Some(lesson), Some(parameters), Gathered::Host(Batch { codes, labels, n })) => {
                        let (gradient, loss, hits) = lesson.gradient(parameters, codes, labels, Key(seed as u64));
                        sums.add(Number::Known(loss), Some(Number::Known(hits as f64)), n);
                        Gradient::Host(gradient)
                    }
                    (.., batch) => self.gradient(batch, seed, sums)?,
                };
                let (gradient, n) = match gathered.take() {
                    Some((sum, n)) => (gradient.scaled(size as f64).plus(&sum), n + size),
                    None if accumulate > 1 => (gradient.scaled(size as f64), size),
                    None => (gradient, 1),
                };
                if (number + 1) % accumulate == 0 || number + 1 == self.batches {
                    let mean = if accumulate > 1 { gradient.scaled(1.0 / n as f64) } else { gradient };
                    // Lessons read the weights themselves.
                    let settle = lesson.is_none();
                    self.step(mean, sums, (order.epoch - 1) * self.steps + number / accumulate, settle)?;
                    after_step(self, number + 1, sums)?;
                } else {
                    gathered = Some((gradient, n));
                }
                bar.advance(size as u64);
                // Reading the loss waits for the device, so it is done for a person watching and no oftener than needed.
                if !bar.is_hidden() && shown.elapsed() > SHOW_LOSS_EVERY {
                    shown = Instant::now();
                    bar.set_message(format!("epoch {} loss {:.4}", order.epoch, sums.mean_loss()));
                }
            }
            self.watch.check()?;
            self.parameters.settle();
            Ok(())
        })
    }

    /// The gradient of a batch's mean loss; `seed` keys what dropout drops.
    ///
    /// # Errors
    /// It is to be recorded as a CUDA graph and cannot.
    pub fn gradient(&mut self, batch: Gathered, seed: i64, sums: &mut Sums) -> Result<Gradient> {
        let Self { network, parameters, criterion, recorder, .. } = self;
        let passed = |forward: Forward, labels: &Tensor| {
            let loss = criterion.loss(&forward.logits, labels);
            let hits = criterion.hits(&forward.logits.detach(), labels);
            let gradient = parameters.gradient(forward, &loss);
            Passed { gradient, loss: loss.detach(), hits }
        };
        let (n, device) = (batch.n(), network.device());
        let Passed { gradient, loss, hits } = match (batch, recorder) {
            (Gathered::Host(Batch { codes, labels, .. }), None) => {
                let labels = device::upload(&labels, device).view([n as i64, -1]);
                passed(network.train(&codes, seed), &labels)
            }
            (Gathered::Device(batch), None) => passed(network.train_on(&batch.codes, seed), &batch.labels),
            (batch, Some(recorder)) => {
                recorder.pass(&batch.on(device), seed, |codes, labels| passed(network.train_on(codes, seed), labels))?
            }
        };
        sums.add(Number::Computed(loss), hits.map(Number::Computed), n);
        Ok(gradient)
    }

    /// Steps over up to `n` examples without libtorch, where it has nothing to do.
    fn lesson(&self, n: usize) -> Option<FusedStep> {
        let (native, loss) = (self.network.all_native()?, self.task.binary_loss()?);
        let places = self.parameters.places(native.parameters()).filter(|_| self.parameters.host.is_some())?;
        Some(native.fused_step(places, loss, self.training.batch_size.fragments().min(n), rayon::current_num_threads()))
    }

    /// Step `number` of the run, counted from 0, down a gradient.
    fn step(&mut self, gradient: Gradient, sums: &Sums, number: usize, settle: bool) -> Result<()> {
        let rates = self.schedule.rates(number);
        self.watch.see(number + 1, rates.lr, sums, &gradient)?;
        self.step_at(gradient, rates, settle);
        Ok(())
    }

    /// That all steps so far went down numbers, and came to numbers. The network has its weights as they stand then.
    pub fn check(&mut self) -> Result<()> {
        self.watch.check()?;
        self.parameters.settle();
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

    /// A step; with `settle`, the network has its new weights at once.
    pub fn step_at(&mut self, gradient: Gradient, rates: Rates, settle: bool) {
        let gradient = match self.training.clip_norm {
            Some(norm) => gradient.clip(norm),
            None => gradient,
        };
        self.optimizer.set_rates(rates);
        self.optimizer.step(&mut self.parameters, &gradient);
        if settle || self.average.is_some() {
            self.parameters.settle();
        }
        if let Some(average) = &mut self.average {
            average.update();
        }
    }
}
