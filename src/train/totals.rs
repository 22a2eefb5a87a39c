//! Loss and accuracy over the batches of an epoch.

use tch::{Device, Kind, Tensor};

/// A sum that stays where its numbers are, so that nothing waits for a GPU.
#[derive(Debug)]
enum Sum {
    Host(f64),
    Device(Tensor),
}

impl Sum {
    fn zero(device: Device) -> Self {
        match device {
            Device::Cpu => Self::Host(0.0),
            device => Self::Device(Tensor::zeros([], (Kind::Double, device))),
        }
    }

    fn of(tensor: Tensor) -> Self {
        if tensor.device() == Device::Cpu { Self::Host(tensor.double_value(&[])) } else { Self::Device(tensor) }
    }

    fn add(&mut self, number: Scalar, times: f64) {
        match self {
            Self::Host(sum) => *sum += number.value() * times,
            Self::Device(sum) => *sum += number.tensor() * times,
        }
    }

    fn value(&self) -> f64 {
        match self {
            Self::Host(sum) => *sum,
            Self::Device(sum) => sum.double_value(&[]),
        }
    }

    fn tensor(&self) -> Tensor {
        match self {
            Self::Host(sum) => Tensor::from(*sum),
            Self::Device(sum) => sum.copy(),
        }
    }
}

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

    fn value(self) -> f64 {
        match self {
            Self::Known(number) => number,
            Self::Computed(tensor) => tensor.double_value(&[]),
        }
    }

    fn tensor(self) -> Tensor {
        match self {
            Self::Known(number) => Tensor::from(number),
            Self::Computed(tensor) => tensor,
        }
    }
}

/// Loss and accuracy over the batches of an epoch so far.
#[derive(Debug)]
pub struct EpochTotals {
    loss: Sum,
    hits: Option<Sum>,
    device: Device,
    n: usize,
}

impl EpochTotals {
    /// Their names in a checkpoint.
    pub const LOSS: &str = "loss";
    /// How many were right, in a checkpoint.
    pub const HITS: &str = "hits";

    /// No batch yet.
    pub fn new(device: Device) -> Self {
        Self { loss: Sum::zero(device), hits: None, device, n: 0 }
    }

    /// Totals that `tensors` gave, over `n` examples.
    pub fn of(loss: Tensor, hits: Option<Tensor>, n: usize) -> Self {
        let device = loss.device();
        Self { loss: Sum::of(loss), hits: hits.map(Sum::of), device, n }
    }

    /// What a checkpoint keeps.
    pub fn tensors(&self) -> impl Iterator<Item = (&'static str, Tensor)> {
        let hits = self.hits.iter().map(|hits| (Self::HITS, hits.tensor()));
        std::iter::once((Self::LOSS, self.loss.tensor())).chain(hits)
    }

    /// Examples that they are over.
    pub fn examples(&self) -> usize {
        self.n
    }

    /// Takes in a batch of `n` examples: their mean loss, and how many were right.
    pub fn add(&mut self, loss: Scalar, hits: Option<Scalar>, n: usize) {
        self.loss.add(loss, n as f64);
        if let Some(hits) = hits {
            self.hits.get_or_insert_with(|| Sum::zero(self.device)).add(hits, 1.0);
        }
        self.n += n;
    }

    /// The sum of losses: once no number it stays so.
    pub fn loss(&self) -> f64 {
        self.loss.value()
    }

    /// The same, where it is.
    pub fn loss_tensor(&self) -> Tensor {
        self.loss.tensor()
    }

    /// Mean loss per example.
    pub fn mean_loss(&self) -> f64 {
        self.loss.value() / self.n as f64
    }

    /// Accuracy; nothing for values.
    pub fn share_right(&self) -> Option<f64> {
        self.hits.as_ref().map(|hits| hits.value() / self.n as f64)
    }
}
