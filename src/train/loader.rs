//! The batches of an epoch, wherever the examples are: on a GPU already, sent there a thread ahead of the network, or gathered on
//! the CPU.

use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Result;
use strandnet_core::config::TrainingConfig;
pub use strandnet_core::dataset::batches::Batch as HostBatch;
use strandnet_core::dataset::batches::{self, Order};
use strandnet_core::dataset::examples::Examples;
use strandnet_core::dataset::{Dataset, Resampler};
use tch::{Device, Tensor};

use super::device_examples::DeviceExamples;
pub use super::device_examples::IndexedBatch;
use super::transfer;
use crate::cuda;
use crate::device;

/// A batch where the network is.
#[derive(Debug)]
pub struct DeviceBatch {
    /// u8 `[n, length]`
    pub codes: Tensor,
    /// f32 `[n, width]`
    pub labels: Tensor,
    /// Examples.
    pub n: usize,
}

/// A batch wherever it was gathered.
#[derive(Debug)]
pub enum Batch {
    /// Codes and labels in memory.
    Host(HostBatch),
    /// Codes and labels where the network is.
    Device(DeviceBatch),
    /// Examples that are where the network is, not gathered yet.
    Indexed(IndexedBatch),
}

impl Batch {
    /// Its size.
    pub fn n(&self) -> usize {
        match self {
            Self::Host(batch) => batch.n,
            Self::Device(batch) => batch.n,
            Self::Indexed(batch) => batch.n,
        }
    }

    /// On a device.
    pub fn on(self, device: Device) -> DeviceBatch {
        match self {
            Self::Host(HostBatch { codes, labels, n }) => {
                // Not left to libtorch, as the part of one of several processes may be empty.
                let rows = |tensor: Tensor| tensor.view([n as i64, (tensor.numel() / n.max(1)) as i64]);
                DeviceBatch {
                    codes: rows(device::to_device(&codes, device)),
                    labels: rows(device::to_device(&labels, device)),
                    n,
                }
            }
            Self::Device(batch) => batch,
            Self::Indexed(batch) => batch.gather(),
        }
    }
}

/// Training examples, drawn anew each epoch where the data say so, and the copy of them that a GPU holds.
pub(crate) struct Loader<'a> {
    data: &'a Dataset,
    /// Windows of this epoch, where they are drawn anew.
    drawn: Option<Examples>,
    on_device: Option<DeviceExamples>,
    device: Device,
    /// Members of an ensemble see different windows, and in another order.
    first_draw: u64,
    epochs: usize,
}

/// A draw of the next epoch's examples, by a thread of its own.
pub(crate) type NextDraw<'scope> = Option<ScopedJoinHandle<'scope, Result<Examples>>>;

impl<'a> Loader<'a> {
    /// For training of member `member`, counted from 0, from epoch `epoch` on.
    ///
    /// # Errors
    /// Examples cannot be drawn or read.
    pub fn new(
        data: &'a Dataset,
        training: &TrainingConfig,
        device: Device,
        member: usize,
        epoch: usize,
    ) -> Result<Self> {
        let epochs = training.epochs;
        let first_draw = (member * epochs) as u64;
        // The first windows of genomes are there already; those of loci move from the first epoch on.
        let first = |resampler: &Resampler| if resampler.follows_listing() { 1 } else { 2 };
        let drawn = match &data.resampler {
            Some(resampler) if (first(resampler)..=epochs).contains(&epoch) => {
                Some(resampler.draw(first_draw + epoch as u64 - 1)?)
            }
            _ => None,
        };
        let on_device = DeviceExamples::on(device, drawn.as_ref().unwrap_or(&data.train))?;
        Ok(Self { data, drawn, on_device, device, first_draw, epochs })
    }

    /// The examples of this epoch.
    pub fn examples(&self) -> &Examples {
        self.drawn.as_ref().unwrap_or(&self.data.train)
    }

    /// The batches of an epoch.
    pub fn batches<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Result<Batch>> + 'scope> {
        batches_of(scope, self.examples(), self.on_device.as_ref(), order, self.device)
    }

    /// Begins to draw the examples of the epoch after `epoch`, where they are drawn anew.
    pub fn draw_next<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>, epoch: usize) -> NextDraw<'scope> {
        let resampler = self.data.resampler.as_ref().filter(|_| epoch < self.epochs)?;
        let draw = self.first_draw + epoch as u64;
        Some(scope.spawn(move || resampler.draw(draw)))
    }

    /// Goes on to the examples that were drawn.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn use_next(&mut self, next: Option<Examples>) -> Result<()> {
        if let Some(next) = next {
            let is_renewed = self.on_device.as_ref().map_or(Ok(false), |there| there.renew(&next))?;
            if !is_renewed {
                self.on_device = None; // first, so that its memory is free
                self.on_device = DeviceExamples::on(self.device, &next)?;
            }
            self.drawn = Some(next);
        }
        Ok(())
    }
}

/// Waits for a draw.
///
/// # Errors
/// It failed.
pub(crate) fn finish_draw(draw: NextDraw) -> Result<Option<Examples>> {
    draw.map(|draw| draw.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).transpose()
}

/// The batches of an epoch over examples, which a GPU may hold already.
pub(crate) fn batches_of<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    examples: &'env Examples,
    on_device: Option<&'env DeviceExamples>,
    order: Order,
    device: Device,
) -> Box<dyn Iterator<Item = Result<Batch>> + 'scope> {
    if let Some(batches) = on_device.and_then(|all| all.shuffled(order)) {
        return Box::new(batches.map(Batch::Indexed).map(Ok));
    }
    let gathered = batches::shuffled(scope, examples, order);
    if device.is_cuda() && cuda::has_streams().is_ok() {
        return Box::new(transfer::sent(scope, gathered, device).map(|batch| batch.map(Batch::Device)));
    }
    Box::new(gathered.map(|batch| batch.map(Batch::Host)))
}
