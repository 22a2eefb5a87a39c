//! Streams: queues of work on a GPU. Batches go there on one of their own while it computes on another.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tch::{Device, Tensor};

use super::shim;

const COMPUTING: &str = "work cannot be queued on the GPU";
const TRANSFERRING: &str = "a batch cannot be sent to the GPU";

/// A stream of a GPU that this thread uses until it is dropped.
#[derive(Debug)]
pub struct Stream(usize);

impl Stream {
    /// Nothing on the CPU.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn enter(device: Device) -> Result<Option<Self>> {
        let Device::Cuda(index) = device else { return Ok(None) };
        shim::enter(index).context(COMPUTING)?;
        Ok(Some(Self(index)))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What went wrong with a GPU shows at whatever is asked of it next.
        let _ = shim::leave(self.0);
    }
}

/// The stream on which batches go to a GPU; this thread uses it until the thread ends.
#[derive(Debug)]
pub struct TransferStream(usize);

impl TransferStream {
    /// Nothing on the CPU.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn enter(device: Device) -> Result<Option<Self>> {
        let Device::Cuda(index) = device else { return Ok(None) };
        shim::enter_transfers(index).context(TRANSFERRING)?;
        Ok(Some(Self(index)))
    }

    /// Waits until what was sent is there.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn wait(&self) -> Result<()> {
        shim::wait_for_transfers(self.0).context(TRANSFERRING)
    }
}

/// Lets this thread's stream use a tensor that was made on another one: its memory is not given away before this one is done.
///
/// # Errors
/// The GPU is out of order.
pub fn use_here(tensor: &Tensor) -> Result<()> {
    if tensor.device() == Device::Cpu {
        return Ok(());
    }
    shim::use_here(tensor).context(TRANSFERRING)
}

/// Transfers and recordings exclude each other: who waits for a transfer asks the GPU whether it is there, which spoils what
/// another thread records.
static QUIET: Mutex<()> = Mutex::new(());

/// While this is held no step is recorded, and no batch sent.
pub fn quiet() -> MutexGuard<'static, ()> {
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_wait_while_a_step_is_recorded() {
        let recording = quiet();
        let sent = std::thread::scope(|scope| {
            let sending = scope.spawn(|| drop(quiet()));
            std::thread::sleep(std::time::Duration::from_millis(50));
            let waited = !sending.is_finished();
            drop(recording);
            sending.join().unwrap();
            waited
        });
        assert!(sent);
    }

    #[test]
    fn the_cpu_has_no_streams() {
        assert!(Stream::enter(Device::Cpu).unwrap().is_none() && TransferStream::enter(Device::Cpu).unwrap().is_none());
        use_here(&Tensor::from(1.0)).unwrap();
    }
}
