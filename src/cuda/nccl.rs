//! NCCL, which sums tensors over the GPUs of several processes without their passing through the CPU. `nccl.cpp` is the other half.

#![allow(unsafe_code)] // Rust cannot check calls of C++.

use std::ffi::{c_int, c_void};

use anyhow::{Result, bail};
use strandnet_core::dataset::batches::Share;
use tch::Tensor;

use super::shim::{self, Functions};
use crate::libtorch::worked;

/// With 0 NCCL is left alone, as where it cannot connect the machines.
const SWITCH: &str = "STRANDNET_NCCL";

/// Whether this program has NCCL, for which it was built with NCCL's header.
///
/// # Errors
/// It has none, or is not to use it; says why.
pub fn is_there() -> Result<()> {
    if std::env::var(SWITCH).is_ok_and(|value| value == "0") {
        bail!("{SWITCH} is 0");
    }
    // SAFETY: takes nothing.
    if unsafe { (shim::loaded()?.nccl_is_there)() } {
        return Ok(());
    }
    bail!("this program was built without the header of libtorch's NCCL")
}

/// What tells a GPU from all others, of whatever machine.
pub fn uuid(device: usize) -> Result<String> {
    let mut uuid = [0_u8; 16];
    // SAFETY: writes 16 bytes.
    worked(unsafe { (shim::loaded()?.nccl_uuid)(device as c_int, uuid.as_mut_ptr()) })?;
    Ok(uuid.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The GPUs of several processes, connected.
#[derive(Debug)]
pub struct Nccl {
    functions: &'static Functions,
    /// Never null.
    handle: *mut c_void,
}

impl Nccl {
    /// Connects a GPU with those of the other processes, each of which does the same with one of its own. One waits for another as many
    /// seconds.
    ///
    /// # Safety
    /// `group` is a group of `distributed/group.h`, which lives during the call.
    ///
    /// # Errors
    /// Another process ended, or they cannot reach each other.
    pub unsafe fn connect(group: *mut c_void, share: Share, device: usize, seconds: u64) -> Result<Self> {
        let mut nccl = Self { functions: shim::loaded()?, handle: std::ptr::null_mut() };
        let (rank, size) = (share.rank as c_int, share.of as c_int);
        // SAFETY: the group lives, and one pointer is written, which `drop` frees.
        worked(unsafe {
            (nccl.functions.nccl_connect)(group, rank, size, device as c_int, seconds as i64, &mut nccl.handle)
        })?;
        Ok(nccl)
    }

    /// Sums a contiguous tensor of the GPU over all processes, in place, and waits until that is done.
    ///
    /// # Errors
    /// Another process ended or does not answer.
    pub fn sum(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: tch's tensors are libtorch's behind a pointer, and this one lives.
        worked(unsafe { (self.functions.nccl_sum)(self.handle, tensor.as_ptr().cast()) })
    }

    /// Copies one of process 0 to all others.
    ///
    /// # Errors
    /// As [`Nccl::sum`].
    pub fn broadcast(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: as above.
        worked(unsafe { (self.functions.nccl_broadcast)(self.handle, tensor.as_ptr().cast()) })
    }
}

impl Drop for Nccl {
    fn drop(&mut self) {
        // SAFETY: it is freed once; C++ does nothing with null.
        unsafe { (self.functions.nccl_leave)(self.handle) }
    }
}
