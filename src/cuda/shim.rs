//! Our own half in C++, shim.cpp and nccl.cpp, which call what tch does not bind. build.rs makes a shared object of them where CUDA's
//! headers are, and the program carries it inside, because a file beside the program is one more to lose.

#![allow(unsafe_code)] // Rust cannot check calls of C++.

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use libloading::os::unix::Library;
use tch::Tensor;

use super::library;
use crate::libtorch::worked;

/// The shared object; empty where it was not built.
const OBJECT: &[u8] = include_bytes!(env!("STRANDNET_CUDA_SHIM"));

/// What a function of them returns: nothing, or a message.
type Message = *mut c_char;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) -> $returned:ty;)*) => {
        /// Functions of shim.cpp and nccl.cpp, without their prefix `strandnet_cuda_`.
        #[derive(Debug)]
        pub struct Functions {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> $returned,)*
        }

        impl Functions {
            fn of(library: &'static Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of C++, which is built with this.
                unsafe { Ok(Self { $($name: *library.get(concat!("strandnet_cuda_", stringify!($name)).as_bytes())?,)* }) }
            }
        }
    };
}

functions! {
    enter(c_int) -> Message;
    leave(c_int) -> Message;
    enter_transfers(c_int) -> Message;
    wait_for_transfers(c_int) -> Message;
    use_here(*const c_void) -> Message;
    memory(c_int, *mut u64, *mut u64) -> Message;
    graph_begin(c_int, *mut *mut c_void) -> Message;
    graph_end(*mut c_void) -> Message;
    graph_replay(*mut c_void) -> Message;
    graph_free(*mut c_void) -> ();
    nccl_is_there() -> bool;
    nccl_uuid(c_int, *mut u8) -> Message;
    nccl_connect(*mut c_void, c_int, c_int, c_int, i64, *mut *mut c_void) -> Message;
    nccl_sum(*mut c_void, *const c_void) -> Message;
    nccl_broadcast(*mut c_void, *const c_void) -> Message;
    nccl_leave(*mut c_void) -> ();
}

/// The functions, once CUDA is loaded.
///
/// # Errors
/// There is no CUDA, or the shared object was not built or cannot be loaded.
pub fn loaded() -> Result<&'static Functions> {
    static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
    let functions = FUNCTIONS.get_or_init(|| {
        super::load().map_err(|no_cuda| no_cuda.why.clone())?;
        if OBJECT.is_empty() {
            return Err("this program was built where CUDA's headers were missing".into());
        }
        open().map_err(|error| format!("the part of this program that is for CUDA cannot be loaded ({error})"))
    });
    functions.as_ref().map_err(|why| anyhow!("{why}"))
}

/// Opens the shared object from memory.
fn open() -> Result<Functions> {
    use std::io::Write;
    use std::os::fd::{AsRawFd, FromRawFd};

    // SAFETY: makes a file without a name, which is ours alone.
    let mut file = unsafe {
        match libc::memfd_create(c"strandnet_cuda".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => return Err(std::io::Error::last_os_error().into()),
            file => std::fs::File::from_raw_fd(file),
        }
    };
    file.write_all(OBJECT)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(Functions::of(library::open(path).map_err(|error| anyhow!("{error}"))?)?)
}

/// Gives this thread a stream of its own.
pub fn enter(device: usize) -> Result<()> {
    // SAFETY: takes a number.
    worked(unsafe { (loaded()?.enter)(device as c_int) })
}

/// Gives it the default one back.
pub fn leave(device: usize) -> Result<()> {
    // SAFETY: takes a number.
    worked(unsafe { (loaded()?.leave)(device as c_int) })
}

/// Gives this thread the stream for transfers.
pub fn enter_transfers(device: usize) -> Result<()> {
    // SAFETY: takes a number.
    worked(unsafe { (loaded()?.enter_transfers)(device as c_int) })
}

/// Waits for what was sent on it.
pub fn wait_for_transfers(device: usize) -> Result<()> {
    // SAFETY: takes a number.
    worked(unsafe { (loaded()?.wait_for_transfers)(device as c_int) })
}

/// Keeps a tensor's memory until this thread's stream is done with it.
pub fn use_here(tensor: &Tensor) -> Result<()> {
    // SAFETY: tch's tensors are libtorch's behind a pointer, and this one lives.
    worked(unsafe { (loaded()?.use_here)(tensor.as_ptr().cast()) })
}

/// Free and total memory of a GPU, in bytes.
pub fn memory(device: usize) -> Result<(u64, u64)> {
    let (mut free, mut total) = (0, 0);
    // SAFETY: writes two numbers.
    worked(unsafe { (loaded()?.memory)(device as c_int, &mut free, &mut total) })?;
    Ok((free, total))
}

/// A graph that shim.cpp made; never null once `begin` returned it.
#[derive(Debug)]
pub struct Handle {
    functions: &'static Functions,
    graph: *mut c_void,
}

impl Handle {
    /// Begins to record.
    pub fn begin(device: usize) -> Result<Self> {
        let mut handle = Self { functions: loaded()?, graph: std::ptr::null_mut() };
        // SAFETY: takes a number and writes one pointer, which `drop` frees.
        worked(unsafe { (handle.functions.graph_begin)(device as c_int, &mut handle.graph) })?;
        Ok(handle)
    }

    /// Ends the recording.
    pub fn end(&self) -> Result<()> {
        // SAFETY: the graph lives.
        worked(unsafe { (self.functions.graph_end)(self.graph) })
    }

    /// Does what was recorded.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the graph lives.
        worked(unsafe { (self.functions.graph_replay)(self.graph) })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the graph is freed once; C++ lets null be deleted.
        unsafe { (self.functions.graph_free)(self.graph) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function that is asked for is there, wherever libtorch's CUDA half can be opened: no GPU is needed for that.
    #[test]
    fn the_shared_object_has_what_is_asked_of_it() {
        let library = crate::cuda::libtorch_folder().join("libtorch_cuda.so");
        if OBJECT.is_empty() || !library.exists() {
            eprintln!("skipped: needs CUDA's headers and the CUDA half of libtorch");
            return;
        }
        library::open(&library).unwrap();
        let functions = open().unwrap();
        // SAFETY: takes nothing.
        let nccl = if unsafe { (functions.nccl_is_there)() } { "with" } else { "without" };
        eprintln!("opened {nccl} NCCL");
    }
}
