//! CUDA graphs: what a GPU is asked to do in a step is recorded once and asked for again as a whole, because small networks wait
//! for a hundred requests longer than for what they ask. `graph.cpp` is libtorch's part, built where CUDA's headers are.
//!
//! None of this has run on a GPU yet.

use anyhow::Result;
use tch::Device;

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
        shim::enter(index)?;
        Ok(Some(Self(index)))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What went wrong with a GPU shows at whatever is asked of it next.
        let _ = shim::leave(self.0);
    }
}

/// Work on a GPU that was recorded.
#[derive(Debug)]
pub struct Graph(shim::Handle);

impl Graph {
    /// Records work, which this does not do yet, on the stream entered. Tensors it makes are filled by each `replay`; those it
    /// reads have to stay where they are.
    ///
    /// # Errors
    /// The work cannot be recorded.
    pub fn record<T>(work: impl FnOnce() -> T) -> Result<(Self, T)> {
        let handle = shim::Handle::begin()?;
        let made = work();
        handle.end()?;
        Ok((Self(handle), made))
    }

    /// Does the work.
    ///
    /// # Errors
    /// The GPU is out of order.
    pub fn replay(&self) -> Result<()> {
        self.0.replay()
    }
}

#[cfg(cuda_graphs)]
#[allow(unsafe_code)] // Rust cannot check calls of C++.
mod shim {
    use std::ffi::{CStr, c_char, c_int, c_void};

    use anyhow::{Result, bail};

    unsafe extern "C" {
        fn strandnet_graph_forget(message: *mut c_char);
        fn strandnet_graph_enter(device: c_int) -> *mut c_char;
        fn strandnet_graph_leave(device: c_int) -> *mut c_char;
        fn strandnet_graph_begin(graph: *mut *mut c_void) -> *mut c_char;
        fn strandnet_graph_end(graph: *mut c_void) -> *mut c_char;
        fn strandnet_graph_replay(graph: *mut c_void) -> *mut c_char;
        fn strandnet_graph_free(graph: *mut c_void);
    }

    /// Makes an error of a message, if there is one.
    fn worked(message: *mut c_char) -> Result<()> {
        if message.is_null() {
            return Ok(());
        }
        // SAFETY: graph.cpp returns strings with an end that are ours to free.
        let text = unsafe {
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            strandnet_graph_forget(message);
            text
        };
        bail!(
            "a step cannot be recorded as a CUDA graph ({}); leave out --cuda-graph",
            text.lines().next().unwrap_or("")
        )
    }

    pub fn enter(device: usize) -> Result<()> {
        // SAFETY: takes a number.
        worked(unsafe { strandnet_graph_enter(device as c_int) })
    }

    pub fn leave(device: usize) -> Result<()> {
        // SAFETY: takes a number.
        worked(unsafe { strandnet_graph_leave(device as c_int) })
    }

    /// A graph that graph.cpp made; never null once `begin` returned it.
    #[derive(Debug)]
    pub struct Handle(*mut c_void);

    impl Handle {
        pub fn begin() -> Result<Self> {
            let mut handle = Self(std::ptr::null_mut());
            // SAFETY: writes one pointer, which `drop` frees.
            worked(unsafe { strandnet_graph_begin(&mut handle.0) })?;
            Ok(handle)
        }

        pub fn end(&self) -> Result<()> {
            // SAFETY: the graph lives.
            worked(unsafe { strandnet_graph_end(self.0) })
        }

        pub fn replay(&self) -> Result<()> {
            // SAFETY: the graph lives.
            worked(unsafe { strandnet_graph_replay(self.0) })
        }
    }

    impl Drop for Handle {
        fn drop(&mut self) {
            // SAFETY: the graph is freed once; C++ lets null be deleted.
            unsafe { strandnet_graph_free(self.0) }
        }
    }
}

/// Where there are none: nothing makes a handle.
#[cfg(not(cuda_graphs))]
mod shim {
    use anyhow::{Result, bail};

    #[derive(Debug)]
    pub enum Handle {}

    impl Handle {
        pub fn begin() -> Result<Self> {
            bail!("this program was built without CUDA graphs; leave out --cuda-graph")
        }

        pub fn end(&self) -> Result<()> {
            match *self {}
        }

        pub fn replay(&self) -> Result<()> {
            match *self {}
        }
    }

    pub fn enter(_: usize) -> Result<()> {
        Handle::begin().map(|_| ())
    }

    pub fn leave(_: usize) -> Result<()> {
        Ok(())
    }
}
