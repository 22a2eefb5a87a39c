//! Streams and graphs of a GPU, which tch does not bind; `libtorch/cuda.cpp` is the other half, built where CUDA's headers are.
//!
//! A stream is a queue of work: batches go to the GPU on one of their own while it computes on another. A CUDA graph is what a
//! GPU is asked to do in a step, recorded once and asked for again as a whole, because small networks wait for a hundred
//! requests longer than for what they ask.
//!
//! None of this has run on a GPU yet.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use tch::{Device, Tensor};

const RECORDING: &str = "a step cannot be recorded as a CUDA graph";
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
        shim::enter(index).context(RECORDING)?;
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
        let _quiet = quiet();
        let handle = shim::Handle::begin(index).context(RECORDING)?;
        let made =
            catch_unwind(AssertUnwindSafe(work)).map_err(|panic| anyhow!("{}", words(&*panic))).context(RECORDING)?;
        handle.end().context(RECORDING)?;
        Ok((Self(handle), made))
    }

    /// Does the work.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn replay(&self) -> Result<()> {
        self.0.replay().context(RECORDING)
    }
}

/// The first line of a panic.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("a panic without a message")
}

#[cfg(cuda_shim)]
#[allow(unsafe_code)] // Rust cannot check calls of C++.
mod shim {
    use std::ffi::{c_char, c_int, c_void};

    use anyhow::Result;
    use tch::Tensor;

    use crate::libtorch::worked;

    unsafe extern "C" {
        fn strandnet_cuda_enter(device: c_int) -> *mut c_char;
        fn strandnet_cuda_leave(device: c_int) -> *mut c_char;
        fn strandnet_cuda_enter_transfers(device: c_int) -> *mut c_char;
        fn strandnet_cuda_wait_for_transfers(device: c_int) -> *mut c_char;
        fn strandnet_cuda_use(tensor: *const c_void) -> *mut c_char;
        fn strandnet_cuda_graph_begin(device: c_int, graph: *mut *mut c_void) -> *mut c_char;
        fn strandnet_cuda_graph_end(graph: *mut c_void) -> *mut c_char;
        fn strandnet_cuda_graph_replay(graph: *mut c_void) -> *mut c_char;
        fn strandnet_cuda_graph_free(graph: *mut c_void);
    }

    pub fn enter(device: usize) -> Result<()> {
        // SAFETY: takes a number.
        worked(unsafe { strandnet_cuda_enter(device as c_int) })
    }

    pub fn leave(device: usize) -> Result<()> {
        // SAFETY: takes a number.
        worked(unsafe { strandnet_cuda_leave(device as c_int) })
    }

    pub fn enter_transfers(device: usize) -> Result<()> {
        // SAFETY: takes a number.
        worked(unsafe { strandnet_cuda_enter_transfers(device as c_int) })
    }

    pub fn wait_for_transfers(device: usize) -> Result<()> {
        // SAFETY: takes a number.
        worked(unsafe { strandnet_cuda_wait_for_transfers(device as c_int) })
    }

    pub fn use_here(tensor: &Tensor) -> Result<()> {
        // SAFETY: tch's tensors are libtorch's behind a pointer, and this one lives.
        worked(unsafe { strandnet_cuda_use(tensor.as_ptr().cast()) })
    }

    /// A graph that cuda.cpp made; never null once `begin` returned it.
    #[derive(Debug)]
    pub struct Handle(*mut c_void);

    impl Handle {
        pub fn begin(device: usize) -> Result<Self> {
            let mut handle = Self(std::ptr::null_mut());
            // SAFETY: takes a number and writes one pointer, which `drop` frees.
            worked(unsafe { strandnet_cuda_graph_begin(device as c_int, &mut handle.0) })?;
            Ok(handle)
        }

        pub fn end(&self) -> Result<()> {
            // SAFETY: the graph lives.
            worked(unsafe { strandnet_cuda_graph_end(self.0) })
        }

        pub fn replay(&self) -> Result<()> {
            // SAFETY: the graph lives.
            worked(unsafe { strandnet_cuda_graph_replay(self.0) })
        }
    }

    impl Drop for Handle {
        fn drop(&mut self) {
            // SAFETY: the graph is freed once; C++ lets null be deleted.
            unsafe { strandnet_cuda_graph_free(self.0) }
        }
    }
}

/// Where it was not built: nothing makes a handle or enters a stream.
#[cfg(not(cuda_shim))]
mod shim {
    use anyhow::{Result, bail};
    use tch::Tensor;

    const MISSING: &str = "this program was built where CUDA's headers were missing";

    #[derive(Debug)]
    pub enum Handle {}

    impl Handle {
        pub fn begin(_: usize) -> Result<Self> {
            bail!(MISSING)
        }

        pub fn end(&self) -> Result<()> {
            match *self {}
        }

        pub fn replay(&self) -> Result<()> {
            match *self {}
        }
    }

    pub fn enter(_: usize) -> Result<()> {
        bail!(MISSING)
    }

    pub fn leave(_: usize) -> Result<()> {
        Ok(())
    }

    pub fn enter_transfers(_: usize) -> Result<()> {
        bail!(MISSING)
    }

    pub fn wait_for_transfers(_: usize) -> Result<()> {
        bail!(MISSING)
    }

    pub fn use_here(_: &Tensor) -> Result<()> {
        bail!(MISSING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_recorded_is_an_error_and_the_next_may_try() {
        for device in [Device::Cpu, Device::Cuda(0)] {
            if device != Device::Cpu && cfg!(cuda_shim) && tch::Cuda::is_available() {
                continue;
            }
            let error = Graph::record(device, || unreachable!("nothing is recorded here")).map(|_| ()).unwrap_err();
            assert!(error.to_string().starts_with(RECORDING), "{error}");
        }
        drop(quiet());
    }

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
}
