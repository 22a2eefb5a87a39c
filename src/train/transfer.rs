//! Batches that the CPU gathered, on their way to a GPU: a thread sends them on a stream of its own, from memory that the GPU reads
//! itself, so that the next one is on its way while the network learns from this one.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread::Scope;

use anyhow::Result;
use tch::Device;

use crate::cuda::stream;
use crate::cuda::stream::TransferStream;
use crate::train::loader::{Batch, DeviceBatch, HostBatch};

/// Batches that are there before they are asked for, beside the one on its way.
const AHEAD: usize = 1;

/// The same batches on a device, in the same order; they end with the first that could not be gathered or sent.
pub fn sent<'scope>(
    scope: &'scope Scope<'scope, '_>,
    batches: impl Iterator<Item = Result<HostBatch>> + Send + 'scope,
    device: Device,
) -> impl Iterator<Item = Result<DeviceBatch>> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    let sending = scope.spawn(move || {
        let mut stream = None;
        let mut send = |batch: Result<HostBatch>| {
            let batch = batch?;
            if stream.is_none() {
                stream = TransferStream::enter(device)?;
            }
            let _quiet = stream::quiet();
            let batch = Batch::Host(batch).on(device);
            if let Some(stream) = &stream {
                stream.wait()?;
            }
            Ok(batch)
        };
        for batch in batches {
            let batch = send(batch);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                return; // training stopped early
            }
        }
    });
    let mut sending = Some(sending);
    std::iter::from_fn(move || match receiver.recv() {
        Ok(batch) => Some(batch.and_then(|batch| {
            stream::use_here(&batch.codes)?;
            stream::use_here(&batch.labels)?;
            Ok(batch)
        })),
        Err(_) => {
            // All are sent, or libtorch panicked: as it would have, had it been asked here.
            sending.take()?.join().unwrap_or_else(|panic| resume_unwind(panic));
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn batch(i: u8) -> HostBatch {
        HostBatch { codes: vec![i % 5; 6], labels: vec![f32::from(i), f32::from(i) + 0.5], n: 2 }
    }

    /// What comes out, each with the first code and label of it; on a GPU where there is one.
    fn received(
        batches: impl Iterator<Item = Result<HostBatch>> + Send,
        most: usize,
    ) -> Vec<Result<(i64, f64), String>> {
        let gpu = crate::cuda::gpu_of_test();
        let device = gpu.as_ref().map_or(Device::Cpu, |(_, device)| *device);
        std::thread::scope(|scope| {
            sent(scope, batches, device)
                .take(most)
                .map(|batch| {
                    let batch = batch.map_err(|error| error.to_string())?;
                    assert_eq!((batch.codes.size(), batch.labels.size(), batch.n), (vec![2, 3], vec![2, 1], 2));
                    Ok((batch.codes.int64_value(&[0, 0]), batch.labels.double_value(&[0, 0])))
                })
                .collect()
        })
    }

    #[test]
    fn every_batch_arrives_as_it_is_and_in_its_turn() {
        let found = received((0..50).map(|i| Ok(batch(i))), 100);
        let expected: Vec<_> = (0..50).map(|i| Ok((i64::from(i % 5), f64::from(i)))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_batch_that_fails_is_the_last() {
        let batches = (0..50).map(|i| if i == 3 { anyhow::bail!("the file is cut") } else { Ok(batch(i)) });
        let found = received(batches, 100);
        assert_eq!(found.len(), 4);
        assert_eq!(found[3], Err("the file is cut".into()));
    }

    #[test]
    fn whoever_stops_early_waits_for_nothing() {
        assert_eq!(received((0..).map(|_| Ok(batch(1))), 2).len(), 2);
    }

    #[test]
    fn a_panic_of_the_thread_is_that_of_whoever_asks() {
        let batches = (0..50).map(|i| if i == 3 { panic!("CUDA out of memory") } else { Ok(batch(i)) });
        let panic = catch_unwind(AssertUnwindSafe(|| received(batches, 100))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"CUDA out of memory"));
    }
}
