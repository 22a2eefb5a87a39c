//! CUDA graphs: what a GPU is asked to do in a step, recorded once and asked for again as a whole, because small networks wait for
//! a hundred requests longer than for what they ask.
//!
//! None of this has run on a GPU yet.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail};
use tch::Device;

use super::{shim, stream};

const RECORDING: &str = "a step cannot be recorded as a CUDA graph";

/// Work on a GPU that was recorded.
#[derive(Debug)]
pub struct Graph(shim::Handle);

impl Graph {
    /// Records work, which this does not do yet, on the stream entered. Tensors it makes are filled by each `replay`; those it
    /// reads have to stay where they are. Where it cannot be recorded everything is as it was.
    ///
    /// # Errors
    /// The work cannot be recorded, or panics.
    pub fn record<T>(device: Device, work: impl FnOnce() -> T) -> Result<(Self, T)> {
        let Device::Cuda(index) = device else { bail!("{RECORDING} on the CPU") };
        let _quiet = stream::quiet();
        let handle = shim::Handle::begin(index).context(RECORDING)?;
        let made = catch_unwind(AssertUnwindSafe(work))
            .map_err(|panic| anyhow!("{}", super::message_of_panic(&*panic)))
            .context(RECORDING)?;
        handle.end().context(RECORDING)?;
        Ok((Self(handle), made))
    }

    /// Does the work.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn replay(&self) -> Result<()> {
        self.0.replay().context("a recorded step cannot be replayed on the GPU")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_recorded_is_an_error_and_the_next_may_try() {
        let _one_at_a_time = crate::cuda::gpu_of_test();
        for device in [Device::Cpu, Device::Cuda(999)] {
            let error = Graph::record(device, || unreachable!("nothing is recorded here")).map(|_| ()).unwrap_err();
            assert!(error.to_string().starts_with(RECORDING), "{error}");
        }
        drop(stream::quiet());
    }
}
