//! Loss and accuracy over the batches of an epoch, and whether the loss and the gradient of every step were finite: training stops at
//! the step where they are not, and not epochs later.
//!
//! Reading a number of a GPU waits for the GPU. So the numbers of its batches stay there, three to a batch, until somebody wants
//! to know or there are many.

use anyhow::{Result, bail};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::no_grad::no_grad;
use crate::train::parameters::{CHUNK, Gradient};

/// Batches whose numbers stay on a GPU before they are read, all at once.
const BATCHES_ON_GPU: usize = 1024;

/// One number of a batch.
#[derive(Debug)]
pub enum Scalar {
    /// In memory.
    Known(f64),
    /// On any device.
    Computed(Tensor),
}

impl Scalar {
    /// The same in a tensor of its own.
    pub fn copy(&self) -> Self {
        match self {
            Self::Known(number) => Self::Known(*number),
            Self::Computed(tensor) => Self::Computed(tensor.copy()),
        }
    }

    /// The number.
    pub fn value(&self) -> f64 {
        match self {
            Self::Known(number) => *number,
            Self::Computed(tensor) => tensor.double_value(&[]),
        }
    }
}

/// The numbers of a batch: its mean loss, how many were right, and the largest absolute gradient of the step behind it.
#[derive(Debug)]
pub enum BatchNumbers {
    /// In memory. The gradient is none where no step follows.
    Host {
        /// Mean loss.
        loss: f64,
        /// How many are right; nothing for values.
        hits: Option<f64>,
        /// The largest absolute gradient.
        largest: Option<f64>,
    },
    /// On a GPU.
    Device {
        /// The three numbers, f32 `[3]`; 0 for those that there are not.
        row: Tensor,
        /// Whether how many are right is one of them.
        has_hits: bool,
    },
}

impl BatchNumbers {
    /// Of a batch, and of the gradient that the step behind it goes down.
    pub fn new(loss: &Scalar, hits: Option<&Scalar>, gradient: Option<&Gradient>) -> Self {
        match (loss, gradient) {
            (Scalar::Computed(loss), None) if loss.device() != Device::Cpu => Self::on_device(loss, hits, None),
            (Scalar::Computed(loss), Some(Gradient::Device(gradient))) => Self::on_device(loss, hits, Some(gradient)),
            (_, gradient) => Self::Host {
                loss: loss.value(),
                hits: hits.map(Scalar::value),
                largest: gradient.map(|gradient| match gradient {
                    Gradient::Host(numbers) => largest(numbers),
                    Gradient::Device(tensor) => tensor.abs().max().double_value(&[]),
                }),
            },
        }
    }

    /// The same in a tensor of its own.
    pub fn copy(&self) -> Self {
        match self {
            Self::Host { loss, hits, largest } => Self::Host { loss: *loss, hits: *hits, largest: *largest },
            Self::Device { row, has_hits } => Self::Device { row: row.copy(), has_hits: *has_hits },
        }
    }

    fn on_device(loss: &Tensor, hits: Option<&Scalar>, gradient: Option<&Tensor>) -> Self {
        no_grad(|| {
            let zero = || Tensor::zeros([], (Kind::Float, loss.device()));
            let hits = match hits {
                Some(Scalar::Computed(hits)) => Some(hits.to_kind(Kind::Float)),
                Some(Scalar::Known(hits)) => Some(zero() + *hits),
                None => None,
            };
            // The norm that is the largest absolute value, which one that is no number passes on.
            let largest =
                gradient.map_or_else(zero, |gradient| gradient.norm_scalaropt_dtype(f64::INFINITY, Kind::Float));
            let has_hits = hits.is_some();
            let row = Tensor::stack(&[&loss.to_kind(Kind::Float), &hits.unwrap_or_else(zero), &largest], 0);
            Self::Device { row, has_hits }
        })
    }
}

/// A step of the optimizer, for who has to name it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Of the run, counted from 1.
    pub number: usize,
    /// Its learning rate.
    pub lr: f64,
}

/// Loss and accuracy over the batches of an epoch so far.
#[derive(Debug, Default)]
pub struct EpochTotals {
    loss: f64,
    hits: Option<f64>,
    n: usize,
    /// Batches whose numbers are on a GPU.
    unread: Vec<Unread>,
    /// The largest gradient of the last step that was fine.
    largest: Option<f64>,
}

#[derive(Debug)]
struct Unread {
    n: usize,
    row: Tensor,
    has_hits: bool,
    step: Option<Step>,
}

impl EpochTotals {
    /// Their names in a checkpoint.
    pub const LOSS: &str = "loss";
    /// How many were right, in a checkpoint.
    pub const HITS: &str = "hits";

    /// Totals that a checkpoint kept, over `n` examples.
    pub fn of(loss: f64, hits: Option<f64>, n: usize) -> Self {
        Self { loss, hits, n, ..Self::default() }
    }

    /// No batch yet of the epoch after this one.
    pub fn next_epoch(&self) -> Self {
        Self { largest: self.largest, ..Self::default() }
    }

    /// What a checkpoint keeps, once all is read.
    pub fn tensors(&self) -> impl Iterator<Item = (&'static str, Tensor)> {
        let hits = self.hits.iter().map(|hits| (Self::HITS, Tensor::from(*hits)));
        std::iter::once((Self::LOSS, Tensor::from(self.loss))).chain(hits)
    }

    /// Examples that they are over.
    pub fn examples(&self) -> usize {
        self.n
    }

    /// Takes in a batch of `n` examples and the step about to be taken behind it, if there is one. On the CPU that step is not
    /// taken if a number is not finite; on a GPU that shows when the numbers are read.
    ///
    /// # Errors
    /// The loss or the gradient of one of the steps is no number.
    pub fn add(&mut self, numbers: BatchNumbers, n: usize, step: Option<Step>) -> Result<()> {
        self.n += n;
        match numbers {
            BatchNumbers::Host { loss, hits, largest } => self.take_in(loss, hits, largest.unwrap_or(0.0), n, step),
            BatchNumbers::Device { row, has_hits } => {
                self.unread.push(Unread { n, row, has_hits, step });
                if self.unread.len() >= BATCHES_ON_GPU { self.read() } else { Ok(()) }
            }
        }
    }

    /// Reads what is still on a GPU, for which it waits.
    ///
    /// # Errors
    /// As [`EpochTotals::add`].
    pub fn read(&mut self) -> Result<()> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            return Ok(());
        }
        // One transfer for all.
        let rows = Tensor::stack(&unread.iter().map(|unread| &unread.row).collect::<Vec<_>>(), 0);
        let numbers = Vec::<f32>::try_from(rows.to_device(Device::Cpu).view(-1))?;
        for (Unread { n, has_hits, step, .. }, row) in unread.into_iter().zip(numbers.chunks_exact(3)) {
            let [loss, hits, largest] = [row[0], row[1], row[2]].map(f64::from);
            self.take_in(loss, has_hits.then_some(hits), largest, n, step)?;
        }
        Ok(())
    }

    fn take_in(&mut self, loss: f64, hits: Option<f64>, largest: f64, n: usize, step: Option<Step>) -> Result<()> {
        self.loss += loss * n as f64;
        if let Some(hits) = hits {
            *self.hits.get_or_insert(0.0) += hits;
        }
        match step {
            Some(step) => self.require_finite(step, largest),
            None => Ok(()),
        }
    }

    /// Checks a step by its gradient and by the sum of losses: once that is no number it stays so.
    fn require_finite(&mut self, step: Step, largest: f64) -> Result<()> {
        if self.loss.is_finite() && largest.is_finite() {
            self.largest = Some(largest);
            return Ok(());
        }
        let what = if self.loss.is_finite() {
            format!("non-finite gradient ({largest})")
        } else {
            format!("non-finite training loss ({})", self.loss)
        };
        let before = match self.largest {
            Some(largest) => format!("the largest gradient of the step before was {largest:.3e}"),
            None => "it is the first step".into(),
        };
        bail!(
            "{what} at step {}: the learning rate was {:.3e} and {before}; train again with a smaller --lr, a longer --warmup or --clip-norm 1, and look for extreme values where the task is regression",
            step.number,
            step.lr
        );
    }

    /// Mean loss per example over what is read.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.examples_read() as f64
    }

    /// Accuracy over what is read; nothing for values.
    pub fn share_right(&self) -> Option<f64> {
        self.hits.map(|hits| hits / self.examples_read() as f64)
    }

    fn examples_read(&self) -> usize {
        self.n - self.unread.iter().map(|unread| unread.n).sum::<usize>()
    }
}

/// The largest absolute value; none if one is no number.
fn largest(numbers: &[f32]) -> f64 {
    let of_chunk = |chunk: &[f32]| {
        // As whole numbers, absolute values of floats keep their order, and what is no number comes last.
        chunk.iter().map(|number| number.to_bits() & (u32::MAX >> 1)).max().unwrap_or(0)
    };
    f64::from(f32::from_bits(numbers.par_chunks(CHUNK).map(of_chunk).max().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of a batch as they are on the CPU, or on a GPU.
    fn numbers(on_device: bool, loss: f64, hits: Option<f64>, gradient: [f32; 2]) -> BatchNumbers {
        if !on_device {
            let hits = hits.map(Scalar::Known);
            return BatchNumbers::new(&Scalar::Known(loss), hits.as_ref(), Some(&Gradient::Host(gradient.to_vec())));
        }
        let hits = hits.map(|hits| Scalar::Computed(Tensor::from(hits)));
        let gradient = Gradient::Device(Tensor::from_slice(&gradient));
        BatchNumbers::new(&Scalar::Computed(Tensor::from(loss as f32)), hits.as_ref(), Some(&gradient))
    }

    fn step(number: usize) -> Option<Step> {
        Some(Step { number, lr: 0.1 })
    }

    #[test]
    fn it_stops_at_the_step_and_names_the_gradient_before() {
        for on_device in [false, true] {
            for (loss, gradient, what) in [
                (f64::NAN, [1.0, 2.0], "non-finite training loss (NaN)"),
                (f64::INFINITY, [1.0, 2.0], "non-finite training loss (inf)"),
                (1.0, [f32::NAN, 2.0], "non-finite gradient (NaN)"),
                (1.0, [1.0, f32::NAN], "non-finite gradient (NaN)"),
                (1.0, [1.0, f32::NEG_INFINITY], "non-finite gradient (inf)"),
            ] {
                let mut totals = EpochTotals::default();
                totals.add(numbers(on_device, 1.0, None, [0.5, -250.0]), 1, step(1)).unwrap();
                // A batch of the same step, and one after it, say nothing else.
                let added = totals.add(numbers(on_device, loss, None, gradient), 1, step(2));
                assert_eq!(added.is_ok(), on_device);
                let error = added.and_then(|()| totals.read()).unwrap_err().to_string();
                assert!(error.starts_with(what), "{error}");
                assert!(
                    error.contains("at step 2") && error.contains("2.500e2") && error.contains("1.000e-1"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn what_is_on_a_gpu_is_read_in_time_and_comes_to_the_same() {
        let batches = BATCHES_ON_GPU + 10;
        let [host, device] = [false, true].map(|on_device| {
            let mut totals = EpochTotals::default();
            for i in 0..batches {
                totals
                    .add(numbers(on_device, 0.25 + (i % 4) as f64, Some((i % 3) as f64), [1.0, 2.0]), 3, step(i + 1))
                    .unwrap();
            }
            assert_eq!(totals.unread.len(), if on_device { 10 } else { 0 });
            assert_eq!(totals.examples(), 3 * batches);
            let so_far = totals.mean_loss();
            assert!(so_far.is_finite());
            totals.read().unwrap();
            (totals.mean_loss(), totals.share_right(), totals.next_epoch().largest)
        });
        assert_eq!(host, device);
        assert_eq!(host.2, Some(2.0));
    }

    #[test]
    fn a_batch_before_its_step_counts_in_the_loss() {
        let mut totals = EpochTotals::default();
        let waiting = |loss| BatchNumbers::Host { loss, hits: None, largest: None };
        totals.add(waiting(f64::NAN), 2, None).unwrap();
        let error = totals.add(numbers(false, 1.0, None, [1.0, 1.0]), 2, step(1)).unwrap_err().to_string();
        assert!(error.starts_with("non-finite training loss") && error.contains("it is the first step"), "{error}");
        assert_eq!(totals.share_right(), None);
    }
}
