//! Checks that the loss and the gradient of every step are finite, so that training stops at the step where they are not, and
//! not epochs later.

use anyhow::{Result, bail};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::no_grad::no_grad;
use crate::train::parameters::{CHUNK, Gradient};
use crate::train::totals::EpochTotals;

/// Steps whose numbers stay on a GPU before they are read, all at once: reading waits for the device. They are read at the end
/// of an epoch too.
const STEPS_ON_GPU: usize = 1024;

/// The numbers of the steps that were not looked at yet.
#[derive(Debug)]
pub struct FiniteCheck {
    every: usize,
    steps: Vec<Seen>,
    /// The largest gradient of the last step that was fine.
    largest: Option<f64>,
}

#[derive(Debug)]
struct Seen {
    /// Of the run, counted from 1.
    step: usize,
    lr: f64,
    /// Sum over the epoch so far: once it is no number it stays so.
    loss: Tensor,
    /// The largest absolute value.
    largest: Tensor,
}

impl FiniteCheck {
    pub fn new(device: Device) -> Self {
        let every = if device == Device::Cpu { 1 } else { STEPS_ON_GPU };
        Self { every, steps: Vec::with_capacity(every), largest: None }
    }

    /// Takes note of what a step is about to do: go down a gradient, after losses whose sum over the epoch is `totals`. On the
    /// CPU the step is not taken if that is no number.
    ///
    /// # Errors
    /// The loss or the gradient of one of the steps is no number.
    pub fn record(&mut self, step: usize, lr: f64, totals: &EpochTotals, gradient: &Gradient) -> Result<()> {
        let gradient = match gradient {
            Gradient::Host(numbers) => return self.require_finite(step, lr, totals.loss(), largest(numbers)),
            Gradient::Device(tensor) => tensor,
        };
        let largest = no_grad(|| gradient.abs().max());
        self.steps.push(Seen { step, lr, loss: totals.loss_tensor(), largest });
        if self.steps.len() >= self.every { self.check() } else { Ok(()) }
    }

    /// Looks at all steps so far.
    pub fn check(&mut self) -> Result<()> {
        let seen = std::mem::take(&mut self.steps);
        if seen.is_empty() {
            return Ok(());
        }
        // One transfer for all: each waits for the device.
        let read = |of: fn(&Seen) -> &Tensor| -> Result<Vec<f64>> {
            let all = Tensor::stack(&seen.iter().map(of).collect::<Vec<_>>(), 0);
            Ok(Vec::try_from(all.to_device(Device::Cpu).to_kind(Kind::Double).view(-1))?)
        };
        let (losses, largest) = (read(|seen| &seen.loss)?, read(|seen| &seen.largest)?);
        for ((Seen { step, lr, .. }, loss), largest) in seen.iter().zip(losses).zip(largest) {
            self.require_finite(*step, *lr, loss, largest)?;
        }
        Ok(())
    }

    fn require_finite(&mut self, step: usize, lr: f64, loss: f64, largest: f64) -> Result<()> {
        if loss.is_finite() && largest.is_finite() {
            self.largest = Some(largest);
            return Ok(());
        }
        let what = if loss.is_finite() {
            format!("non-finite gradient ({largest})")
        } else {
            format!("non-finite training loss ({loss})")
        };
        let before = match self.largest {
            Some(largest) => format!("the largest gradient of the step before was {largest:.3e}"),
            None => "it is the first step".into(),
        };
        bail!(
            "{what} at step {step}: the learning rate was {lr:.3e} and {before}; train again with a smaller --lr, a longer --warmup or --clip-norm 1, and look for extreme values where the task is regression"
        );
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

    fn record(check: &mut FiniteCheck, step: usize, loss: f64, gradient: [f64; 2]) -> Result<()> {
        let numbers = gradient.map(|number| number as f32);
        let on_cpu = check.every == 1;
        let gradient =
            if on_cpu { Gradient::Host(numbers.to_vec()) } else { Gradient::Device(Tensor::from_slice(&numbers)) };
        check.record(step, 0.1, &EpochTotals::of(Tensor::from(loss), None, 1), &gradient)
    }

    #[test]
    fn it_stops_at_the_step_and_names_the_gradient_before() {
        for (loss, gradient, what) in [
            (f64::NAN, [1.0, 2.0], "non-finite training loss (NaN)"),
            (f64::INFINITY, [1.0, 2.0], "non-finite training loss (inf)"),
            (1.0, [f64::NAN, 2.0], "non-finite gradient (NaN)"),
            (1.0, [1.0, f64::NEG_INFINITY], "non-finite gradient (inf)"),
        ] {
            let mut check = FiniteCheck::new(Device::Cpu);
            record(&mut check, 1, 1.0, [0.5, -250.0]).unwrap();
            let error = record(&mut check, 2, loss, gradient).unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
            assert!(error.contains("at step 2") && error.contains("2.500e2") && error.contains("1.000e-1"), "{error}");
        }
    }

    #[test]
    fn on_a_gpu_it_looks_now_and_then_and_still_names_the_step() {
        let mut check = FiniteCheck { every: 4, ..FiniteCheck::new(Device::Cpu) };
        for (step, loss) in [(1, 1.0), (2, f64::NAN), (3, f64::NAN)] {
            record(&mut check, step, loss, [0.5, 0.5]).unwrap();
        }
        let error = record(&mut check, 4, f64::NAN, [f64::NAN, 0.5]).unwrap_err().to_string();
        assert!(error.contains("at step 2"), "{error}");
    }
}
