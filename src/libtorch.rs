//! What tch does not bind of libtorch, or lets exceptions out of; `libtorch/cpu.cpp` is the other half. What needs CUDA's headers is
//! in `cuda`.

#![allow(unsafe_code)] // Rust cannot check calls of C++.

use std::ffi::{CStr, c_char, c_void};

use anyhow::{Result, bail};
use tch::{Device, Tensor};

unsafe extern "C" {
    fn strandnet_forget(message: *mut c_char);
    fn strandnet_seed(seed: i64, everywhere: bool) -> *mut c_char;
    fn strandnet_allow_tf32(allowed: bool) -> *mut c_char;
    fn strandnet_adam(
        decoupled: bool,
        parameters: *const *const c_void,
        gradients: *const *const c_void,
        first: *const *const c_void,
        second: *const *const c_void,
        count: usize,
        step: *const c_void,
        lr: *const c_void,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn strandnet_sgd(
        parameters: *const *const c_void,
        gradients: *const *const c_void,
        velocities: *const *const c_void,
        count: usize,
        lr: *const c_void,
        momentum: f64,
        nesterov: bool,
        weight_decay: f64,
    ) -> *mut c_char;
    fn strandnet_define(
        module: *const c_char,
        size: usize,
        source: *const c_char,
        context: *mut c_void,
        keep: extern "C" fn(*mut c_void, *const c_char, usize),
    ) -> *mut c_char;
    #[cfg(test)]
    fn strandnet_allows_tf32() -> bool;
}

/// Adds a method written in TorchScript to a module as [`tch::CModule::save`] writes it, and returns it as such a file has it. tch
/// itself traces no method that returns several tensors.
///
/// # Errors
/// The source does not compile, or the bytes are no module.
pub fn with_method(module: &[u8], source: &str) -> Result<Vec<u8>> {
    extern "C" fn keep(context: *mut c_void, bytes: *const c_char, size: usize) {
        // SAFETY: the context is the vector below, and the bytes live during the call.
        unsafe { (*context.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(bytes.cast(), size)) }
    }
    let (source, mut saved) = (std::ffi::CString::new(source)?, Vec::<u8>::new());
    // SAFETY: all pointers are to what lives during the call, with its size.
    worked(unsafe {
        let context = (&raw mut saved).cast();
        strandnet_define(module.as_ptr().cast(), module.len(), source.as_ptr(), context, keep)
    })?;
    Ok(saved)
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
    expect_worked(unsafe { strandnet_seed(seed, device != Device::Cpu) });
}

/// Numbers of a step of Adam or AdamW.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Whether weights decay apart from their gradients, as in AdamW.
    pub decoupled: bool,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Guard against division by zero.
    pub epsilon: f64,
}

impl Adam {
    /// Moves parameters down their gradients in one kernel on a GPU, with means of gradients and of their squares. `step`, counted
    /// from 1, and `lr` are tensors of one number on the same device, so that a recorded step reads them anew.
    ///
    /// # Panics
    /// The device is out of order.
    pub fn step(self, [parameters, gradients, first, second]: [&[Tensor]; 4], step: &Tensor, lr: &Tensor) {
        let Self { decoupled, beta1, beta2, weight_decay, epsilon } = self;
        let count = parameters.len();
        assert!([gradients, first, second].iter().all(|list| list.len() == count), "as many of each");
        let [parameters, gradients, first, second] = [parameters, gradients, first, second].map(pointers);
        // SAFETY: the lists have `count` tensors each, which live, as do the others.
        expect_worked(unsafe {
            strandnet_adam(
                decoupled,
                parameters.as_ptr(),
                gradients.as_ptr(),
                first.as_ptr(),
                second.as_ptr(),
                count,
                step.as_ptr().cast(),
                lr.as_ptr().cast(),
                beta1,
                beta2,
                weight_decay,
                epsilon,
            )
        });
    }
}

/// Numbers of a step of stochastic gradient descent.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Momentum.
    pub momentum: f64,
    /// Whether it is Nesterov's.
    pub nesterov: bool,
    /// Weight decay, as part of the gradient.
    pub weight_decay: f64,
}

impl Sgd {
    /// As [`Adam::step`], with velocities.
    ///
    /// # Panics
    /// The device is out of order.
    pub fn step(self, [parameters, gradients, velocities]: [&[Tensor]; 3], lr: &Tensor) {
        let Self { momentum, nesterov, weight_decay } = self;
        let count = parameters.len();
        assert!([gradients, velocities].iter().all(|list| list.len() == count), "as many of each");
        let [parameters, gradients, velocities] = [parameters, gradients, velocities].map(pointers);
        // SAFETY: as for Adam.
        expect_worked(unsafe {
            strandnet_sgd(
                parameters.as_ptr(),
                gradients.as_ptr(),
                velocities.as_ptr(),
                count,
                lr.as_ptr().cast(),
                momentum,
                nesterov,
                weight_decay,
            )
        });
    }
}

/// tch's tensors are libtorch's behind a pointer.
fn pointers(tensors: &[Tensor]) -> Vec<*const c_void> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast()).collect()
}

/// Panics as tch does where libtorch throws.
fn expect_worked(message: *mut c_char) {
    if let Err(error) = worked(message) {
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
    expect_worked(unsafe { strandnet_allow_tf32(allowed) });
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
        // Other tests make networks at the same time, which forbids it.
        assert!((0..1000).any(|_| {
            let tf32 = Tf32::allow();
            let while_it_lives = allowed();
            drop(tf32);
            while_it_lives
        }));
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
