//! What tch does not bind of libtorch, or lets exceptions out of; `libtorch/cpu.cpp` is the other half. What needs CUDA's headers is
//! in `cuda`.

#![allow(unsafe_code)] // Rust cannot check calls of C++.

use std::ffi::{CStr, c_char};

use anyhow::{Result, bail};
use tch::Device;

unsafe extern "C" {
    fn strandnet_forget(message: *mut c_char);
    fn strandnet_seed(seed: i64, everywhere: bool) -> *mut c_char;
    fn strandnet_allow_tf32(allowed: bool) -> *mut c_char;
    #[cfg(test)]
    fn strandnet_allows_tf32() -> bool;
}

/// Makes an error of a message of the C++ half, if there is one.
pub(crate) fn worked(message: *mut c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: message.h makes strings with an end, which are ours to free.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        strandnet_forget(message);
        text
    };
    bail!("{}", text.lines().next().unwrap_or(""))
}

/// Seeds the random numbers that tensors on a device are filled with. `tch::manual_seed` starts CUDA whatever the device is, and
/// a GPU that is out of order ends the program there without a word.
///
/// # Panics
/// The device is out of order, as tensors on it would panic.
pub fn seed(seed: i64, device: Device) {
    // SAFETY: takes two numbers.
    if let Err(error) = worked(unsafe { strandnet_seed(seed, device != Device::Cpu) }) {
        panic!("{error}");
    }
}

/// Until this is dropped, convolutions, LSTMs and matrix products of f32 may round their factors to TF32 on a GPU, which is faster
/// and changes logits by up to 0.003.
#[derive(Debug)]
pub struct Tf32(());

impl Tf32 {
    /// Allows it.
    pub fn allow() -> Self {
        allow_tf32(true);
        Self(())
    }

    /// Forbids it, which libtorch's own default is not: f32 then means f32 on a GPU as on the CPU. Does not start CUDA.
    pub fn forbid() {
        allow_tf32(false);
    }
}

impl Drop for Tf32 {
    fn drop(&mut self) {
        allow_tf32(false);
    }
}

fn allow_tf32(allowed: bool) {
    // SAFETY: takes a number.
    if let Err(error) = worked(unsafe { strandnet_allow_tf32(allowed) }) {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    #[allow(clippy::disallowed_methods)] // what it is compared with
    fn a_seed_is_that_of_libtorch() {
        let drawn = || Vec::<f32>::try_from(Tensor::rand([8], (Kind::Float, Device::Cpu))).unwrap();
        // Other tests draw random numbers at the same time.
        let same = (0..20).any(|i| {
            seed(i - 3, Device::Cpu);
            let own = drawn();
            tch::manual_seed(i - 3);
            own == drawn()
        });
        assert!(same);
    }

    #[test]
    fn f32_is_f32_on_a_gpu_but_while_tf32_is_allowed() {
        // SAFETY: only reads a setting.
        let allowed = || unsafe { strandnet_allows_tf32() };
        Tf32::forbid();
        assert!(!allowed());
        let tf32 = Tf32::allow();
        assert!(allowed());
        drop(tf32);
        assert!(!allowed());
    }

    #[test]
    fn an_exception_is_an_error_of_one_line() {
        assert!(worked(std::ptr::null_mut()).is_ok());
        // SAFETY: libc's strdup makes a string that `worked` frees.
        let message = unsafe { libc_strdup(c"first line\nsecond".as_ptr()) };
        assert_eq!(worked(message).unwrap_err().to_string(), "first line");
    }

    unsafe extern "C" {
        #[link_name = "strdup"]
        fn libc_strdup(text: *const c_char) -> *mut c_char;
    }
}
