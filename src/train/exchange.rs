//! What processes that train together exchange for a step, in one sum: gradients, and of each part of a batch what one of them alone
//! found: its loss, its statistics of batch norm, and whether the process is to end.
//!
//! Every number but a gradient's stands in a place of its own, which is minus zero in the others, so that the sum leaves it as it is.

use anyhow::Result;
use strandnet_core::interrupt::Cause;
use tch::{Device, Kind, Tensor};

use super::gradient::BatchGradient;
use super::parameters::{FlatParameters, Gradient};
use super::statistics::Statistics;
use super::totals::Scalar;
use crate::distributed::Group;
use crate::no_grad::no_grad;

/// Numbers of a part of a batch besides statistics: of the loss and of how many are right, each 64 bits in four floats; on a GPU the
/// floats themselves.
const NUMBERS: usize = 8;
const FLOATS_OF_NUMBER: usize = NUMBERS / 2;
/// Bits that a float holds whatever it is added to in zero.
const BITS: u32 = 16;

/// Steps on a GPU between two looks at whether a process is to end, as each waits for the GPU.
const LOOK_EVERY: usize = 16;

/// How training ends before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the best weights so far.
    Stop,
    /// With a checkpoint.
    Interrupt(Cause),
}

impl Ending {
    /// Added to the number of a signal.
    const SIGNAL: f32 = 16.0;

    fn to_float(self) -> f32 {
        match self {
            Self::Stop => 1.0,
            Self::Interrupt(Cause::TimeLimit) => 2.0,
            Self::Interrupt(Cause::Signal(signal)) => Self::SIGNAL + signal as f32,
        }
    }

    fn of_float(float: f32) -> Option<Self> {
        match float {
            1.0 => Some(Self::Stop),
            2.0 => Some(Self::Interrupt(Cause::TimeLimit)),
            signal if signal >= Self::SIGNAL => Some(Self::Interrupt(Cause::Signal((signal - Self::SIGNAL) as i32))),
            _ => None,
        }
    }
}

/// Loss and hits of a part of a batch.
#[derive(Debug)]
pub struct Found {
    /// Its mean loss.
    pub loss: Scalar,
    /// How many are right; nothing for values.
    pub hits: Option<Scalar>,
}

/// What one process exchanges with the others.
#[derive(Debug)]
pub struct Exchange<'a> {
    group: &'a Group,
    has_hits: bool,
    /// Of the own parts of this step, in order, f32 `[NUMBERS + statistics]`; nothing of an empty one.
    own: Vec<Option<Tensor>>,
    /// How this process would end.
    ending: Option<Ending>,
    /// How all do.
    agreed: Option<Ending>,
    steps: usize,
}

impl<'a> Exchange<'a> {
    /// With the other processes of a group.
    pub fn new(group: &'a Group, has_hits: bool) -> Self {
        Self { group, has_hits, own: Vec::new(), ending: None, agreed: None, steps: 0 }
    }

    /// Takes in what was found of the own part of a batch, after its forward pass; nothing of an empty one.
    pub fn take(&mut self, found: Option<&BatchGradient>, statistics: &mut Statistics) {
        self.own.push(found.map(|found| {
            let of_batch = statistics.take();
            Tensor::cat(&[numbers(&found.loss, found.hits.as_ref(), of_batch.device()), of_batch], 0)
        }));
    }

    /// Sums gradients over all processes. `parts` are the examples of the parts of the step's batches, of each batch those of all
    /// processes in turn. Returns the sum and what was found of each part that is not empty, and brings running statistics up to date.
    ///
    /// # Errors
    /// Another process ended or does not answer.
    pub fn sum(
        &mut self,
        own: Option<Gradient>,
        parameters: &FlatParameters,
        statistics: &mut Statistics,
        parts: &[usize],
    ) -> Result<(Gradient, Vec<Found>)> {
        let (rank, of) = (self.group.share().rank, self.group.share().of);
        let (count, device) = (parameters.buffer.numel(), parameters.buffer.device());
        let row = NUMBERS + statistics.len();
        let flags = count + parts.len() * row;
        let buffer = Tensor::full([(flags + of) as i64], -0.0, (Kind::Float, device));
        let place = |first: usize, length: usize| buffer.narrow(0, first as i64, length as i64);
        no_grad(|| {
            match own {
                Some(Gradient::Host(numbers)) => place(0, count).copy_(&Tensor::from_slice(&numbers)),
                Some(Gradient::Device(tensor)) => place(0, count).copy_(&tensor),
                None => {}
            }
            for (turn, own) in self.own.drain(..).enumerate() {
                if let Some(own) = own {
                    place(count + (turn * of + rank) * row, row).copy_(&own);
                }
            }
            if let Some(ending) = self.ending {
                let _ = place(flags + rank, 1).fill_(f64::from(ending.to_float()));
            }
        });
        self.group.sum(&buffer)?;
        self.steps += 1;
        if device == Device::Cpu || self.steps.is_multiple_of(LOOK_EVERY) {
            self.agreed = self.agreed.or(first_ending(&place(flags, of))?);
        }
        let mut found = Vec::new();
        for (slot, _) in parts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let first = count + slot * row;
            found.push(found_in(&place(first, NUMBERS), self.has_hits)?);
            statistics.update(&place(first + NUMBERS, row - NUMBERS));
        }
        let gradient = match device {
            Device::Cpu => {
                let mut numbers = vec![0.0; count];
                buffer.copy_data(&mut numbers, count);
                Gradient::Host(numbers)
            }
            _ => Gradient::Device(place(0, count)),
        };
        Ok((gradient, found))
    }

    /// How training is to end according to all processes, when this one would end it so. Within an epoch the others hear of it with the
    /// next step, and all end after the same one.
    ///
    /// # Errors
    /// Another process ended or does not answer.
    pub fn agree(&mut self, own: Option<Ending>, within_epoch: bool) -> Result<Option<Ending>> {
        self.ending = own;
        if !within_epoch {
            let flags = Tensor::full([self.group.share().of as i64], -0.0, (Kind::Float, Device::Cpu));
            if let Some(ending) = own {
                let _ = flags.narrow(0, self.group.share().rank as i64, 1).fill_(f64::from(ending.to_float()));
            }
            self.group.sum(&flags)?;
            self.agreed = first_ending(&flags)?;
        }
        Ok(self.agreed.take())
    }

    /// Gives all processes the weights and statistics of the first, lest machines that round otherwise drift apart.
    ///
    /// # Errors
    /// Another process ended or does not answer.
    pub fn align(&self, parameters: &mut FlatParameters, statistics: &mut Statistics) -> Result<()> {
        parameters.write_back();
        self.group.broadcast(&parameters.buffer)?;
        parameters.reload();
        self.group.broadcast(&statistics.buffer)?;
        statistics.reload();
        Ok(())
    }
}

/// The first ending among the flags of all processes.
fn first_ending(flags: &Tensor) -> Result<Option<Ending>> {
    let flags = Vec::<f32>::try_from(flags.to_device(Device::Cpu))?;
    Ok(flags.into_iter().find_map(Ending::of_float))
}

/// Loss and hits as floats that a sum with zeros leaves as they are, f32 `[NUMBERS]`.
fn numbers(loss: &Scalar, hits: Option<&Scalar>, device: Device) -> Tensor {
    if device == Device::Cpu {
        let bits = [loss.value(), hits.map_or(0.0, Scalar::value)].map(f64::to_bits);
        let floats =
            bits.map(|bits| std::array::from_fn::<_, FLOATS_OF_NUMBER, _>(|i| (bits >> (i as u32 * BITS)) as u16));
        return Tensor::from_slice(&floats.concat().into_iter().map(f32::from).collect::<Vec<_>>());
    }
    let float = |number: &Scalar| match number {
        Scalar::Known(number) => Tensor::full([1], *number, (Kind::Float, device)),
        Scalar::Computed(tensor) => tensor.to_kind(Kind::Float).view([1]),
    };
    let zeros = |n: usize| Tensor::full([n as i64], -0.0, (Kind::Float, device));
    let [loss, hits] = [float(loss), hits.map_or_else(|| zeros(1), float)];
    Tensor::cat(&[&loss, &zeros(FLOATS_OF_NUMBER - 1), &hits, &zeros(FLOATS_OF_NUMBER - 1)], 0)
}

/// What [`numbers`] made floats of.
fn found_in(floats: &Tensor, has_hits: bool) -> Result<Found> {
    let hits_at = FLOATS_OF_NUMBER;
    if floats.device() != Device::Cpu {
        let number = |at: usize| Scalar::Computed(floats.get(at as i64));
        return Ok(Found { loss: number(0), hits: has_hits.then(|| number(hits_at)) });
    }
    let floats = Vec::<f32>::try_from(floats)?;
    let number = |at: usize| {
        let bits = floats[at..at + FLOATS_OF_NUMBER].iter().rev().fold(0, |bits, &float| bits << BITS | float as u64);
        Scalar::Known(f64::from_bits(bits))
    };
    Ok(Found { loss: number(0), hits: has_hits.then(|| number(hits_at)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_of_a_sum_with_zeros_as_they_went_in() {
        for (loss, hits) in [
            (std::f64::consts::LN_2, 128.0),
            (1e-300, 0.0),
            (-0.0, 1.0 / 3.0),
            (f64::MAX, 1.0),
            (f64::INFINITY, 2.0),
            (f64::NAN, 2.0),
        ] {
            let floats = numbers(&Scalar::Known(loss), Some(&Scalar::Known(hits)), Device::Cpu);
            let sum = Tensor::full([NUMBERS as i64], -0.0, (Kind::Float, Device::Cpu)) + floats;
            let found = found_in(&sum, true).unwrap();
            assert_eq!(found.loss.value().to_bits(), loss.to_bits());
            assert_eq!(found.hits.unwrap().value().to_bits(), hits.to_bits());
        }
    }

    #[test]
    fn endings_are_told_as_floats() {
        for ending in [Ending::Stop, Ending::Interrupt(Cause::TimeLimit), Ending::Interrupt(Cause::Signal(15))] {
            let flags = Tensor::from_slice(&[-0.0, 0.0, ending.to_float(), 1.0]);
            assert_eq!(first_ending(&flags).unwrap(), Some(ending));
        }
        assert_eq!(first_ending(&Tensor::from_slice(&[-0.0f32, 0.0])).unwrap(), None);
    }
}
