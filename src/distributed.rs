//! Several processes that train one network, each on its part of every batch: how they meet, find that they are about the same, and sum
//! tensors. The engine is c10d, which libtorch holds; `distributed/shim.cpp` is our half in C++, and `cuda/nccl.cpp` that of GPUs.
//!
//! ```text
//! launch      which of the processes this one is                     processes   starts them on this machine
//! agreement   that all have the same program, settings and data      gpus        connects their GPUs
//! ```

#![allow(unsafe_code)] // Rust cannot check calls of C++.

mod agreement;
mod gpus;
pub mod launch;
pub mod processes;

use std::cell::{Cell, OnceCell};
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use strandnet_core::dataset::batches::Share;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::evaluate::{self, Strand};
use strandnet_core::format::counted;
use strandnet_core::scorer::Scorer;
use tch::{Device, Tensor};

use crate::cuda::nccl::Nccl;
use crate::libtorch::worked;
use crate::no_grad::no_grad;
pub use agreement::Hello;
use launch::Launch;

unsafe extern "C" {
    fn strandnet_group_meet(
        host: *const c_char,
        port: u16,
        serves: bool,
        name: *const c_char,
        seconds: i64,
        group: *mut *mut c_void,
    ) -> *mut c_char;
    fn strandnet_group_connect(
        group: *mut c_void,
        host: *const c_char,
        rank: c_int,
        size: c_int,
        seconds: i64,
    ) -> *mut c_char;
    fn strandnet_group_set(group: *mut c_void, key: *const c_char, bytes: *const u8, size: usize) -> *mut c_char;
    fn strandnet_group_count(group: *mut c_void, key: *const c_char, count: *mut i64) -> *mut c_char;
    fn strandnet_group_get(
        group: *mut c_void,
        key: *const c_char,
        seconds: i64,
        context: *mut c_void,
        keep: extern "C" fn(*mut c_void, *const c_char, usize),
    ) -> *mut c_char;
    fn strandnet_group_sum(group: *mut c_void, tensor: *const c_void) -> *mut c_char;
    fn strandnet_group_broadcast(group: *mut c_void, tensor: *const c_void) -> *mut c_char;
    fn strandnet_group_leave(group: *mut c_void);
}

/// The processes that train together, as one of them sees it.
#[derive(Debug)]
pub struct Group {
    /// Never null.
    handle: *mut c_void,
    launch: Launch,
    /// How long one waits for another.
    seconds: u64,
    /// Whether all said that they are about the same.
    agreed: Cell<bool>,
    /// Where the run is, once process 0 said so.
    run: OnceCell<PathBuf>,
    /// What sums tensors of GPUs; gloo where there is none.
    nccl: OnceCell<Nccl>,
    /// How gradients are summed, for people.
    means: OnceCell<String>,
}

impl Group {
    /// Meets the other processes; `seconds` is how long one waits for another, here and later.
    ///
    /// # Errors
    /// They cannot be met in that time, or another process says that it is this one.
    pub fn meet(launch: Launch, seconds: u64) -> Result<Self> {
        let Launch { rank, size, ref host, port, own_store, ref restarts, .. } = launch;
        let serves = own_store && rank == 0;
        let (name, address) = (CString::new(format!("strandnet/{restarts}"))?, CString::new(host.as_str())?);
        let mut handle = std::ptr::null_mut();
        // SAFETY: the strings live, and one pointer is written, which `drop` frees.
        worked(unsafe {
            strandnet_group_meet(address.as_ptr(), port, serves, name.as_ptr(), seconds as i64, &mut handle)
        })
        .map_err(|error| match serves {
            true => anyhow!(
                "process 0 of {size} cannot listen at {host}:{port}, where the others are to meet it ({}); set MASTER_ADDR to this machine and MASTER_PORT to a free port",
                short(&error)
            ),
            false => anyhow!(
                "process {rank} of {size} found nobody at {host}:{port} within {seconds} s (--timeout), expected process 0; see what that says, and whether MASTER_ADDR and MASTER_PORT are the same for all"
            ),
        })?;
        let agreed = Cell::new(false);
        let (run, nccl, means) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let group = Self { handle, launch, seconds, agreed, run, nccl, means };
        if group.count(&format!("arrived/{rank}"))? > 1 {
            group.agreed.set(true); // lest what it says in leaving be taken for the other's
            bail!(
                "two processes say that they are process {rank} of {size}; start each with a RANK of its own, or wait until an earlier training has ended"
            );
        }
        Ok(group)
    }

    /// Which part of the work is this process's own.
    pub fn share(&self) -> Share {
        Share { rank: self.launch.rank, of: self.launch.size }
    }

    /// Whether it is the one that writes and talks.
    pub fn is_first(&self) -> bool {
        self.launch.rank == 0
    }

    /// Its number among those on this machine, counted from 0.
    pub fn local_rank(&self) -> usize {
        self.launch.local_rank
    }

    /// How many there are and how they sum gradients, in a line; once they have agreed.
    pub fn describe(&self) -> String {
        let processes = counted(self.launch.size as u64, "process");
        format!("{processes}; gradients are summed by {}", self.means.get().map_or("nobody yet", String::as_str))
    }

    /// Sums a tensor over all processes, in place: the same bits in each.
    ///
    /// # Errors
    /// Another process ended or does not answer.
    pub fn sum(&self, tensor: &Tensor) -> Result<()> {
        self.exchange(tensor, |tensor, nccl| match nccl {
            Some(nccl) => nccl.sum(tensor),
            // SAFETY: tch's tensors are libtorch's behind a pointer, and this one lives.
            None => worked(unsafe { strandnet_group_sum(self.handle, tensor.as_ptr().cast()) }),
        })
    }

    /// Copies a tensor of process 0 to all others.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn broadcast(&self, tensor: &Tensor) -> Result<()> {
        self.exchange(tensor, |tensor, nccl| match nccl {
            Some(nccl) => nccl.broadcast(tensor),
            // SAFETY: as above.
            None => worked(unsafe { strandnet_group_broadcast(self.handle, tensor.as_ptr().cast()) }),
        })
    }

    /// Does something with a tensor where NCCL takes it, if that is for its device, or gloo.
    fn exchange(&self, tensor: &Tensor, work: impl Fn(&Tensor, Option<&Nccl>) -> Result<()>) -> Result<()> {
        let nccl = self.nccl.get().filter(|_| tensor.device().is_cuda());
        let device = if nccl.is_some() { tensor.device() } else { Device::Cpu };
        let is_there = tensor.device() == device && tensor.is_contiguous();
        let there = if is_there { tensor.shallow_clone() } else { tensor.to_device(device).contiguous() };
        work(&there, nccl).map_err(|error| self.lost(&error))?;
        if !is_there {
            no_grad(|| tensor.shallow_clone().copy_(&there));
        }
        Ok(())
    }

    /// Logits of examples as [`evaluate::logits_of`] gives them, each batch scored by one process; `outputs` of each example.
    ///
    /// # Errors
    /// As that, and as [`Group::sum`].
    pub fn logits_of(&self, scorer: &dyn Scorer, examples: &Examples, outputs: usize) -> Result<Vec<f32>> {
        let mut logits = evaluate::logits_of_share(scorer, examples, Strand::AsGiven, outputs, self.share())?;
        let sum = Tensor::from_slice(&logits);
        self.sum(&sum)?;
        sum.copy_data(&mut logits, sum.numel());
        Ok(logits)
    }

    /// Tells the others something under a key.
    fn set(&self, key: &str, value: &str) -> Result<()> {
        let key = CString::new(key)?;
        // SAFETY: key and bytes live during the call.
        worked(unsafe { strandnet_group_set(self.handle, key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// What another said under a key, for which this one waits.
    fn get(&self, key: &str, seconds: u64) -> Result<String> {
        extern "C" fn keep(context: *mut c_void, bytes: *const c_char, size: usize) {
            // SAFETY: the context is the vector below, and the bytes live during the call.
            unsafe { (*context.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(bytes.cast(), size)) }
        }
        let (key, mut value) = (CString::new(key)?, Vec::<u8>::new());
        // SAFETY: key and vector live during the call.
        worked(unsafe {
            strandnet_group_get(self.handle, key.as_ptr(), seconds as i64, (&raw mut value).cast(), keep)
        })?;
        Ok(String::from_utf8_lossy(&value).into_owned())
    }

    /// How many have counted themselves under a key, this one included.
    fn count(&self, key: &str) -> Result<i64> {
        let (key, mut count) = (CString::new(key)?, 0);
        // SAFETY: writes one number.
        worked(unsafe { strandnet_group_count(self.handle, key.as_ptr(), &mut count) })
            .map_err(|error| self.lost(&error))?;
        Ok(count)
    }

    /// The error of one that cannot go on without the others.
    fn lost(&self, error: &anyhow::Error) -> anyhow::Error {
        let Launch { rank, size, .. } = self.launch;
        let text = short(error);
        let why = match text.to_lowercase() {
            text if text.contains("timed out") || text.contains("timeout") => {
                format!("one of them did not answer for {} s (--timeout)", self.seconds)
            }
            text if ENDED.iter().any(|word| text.contains(word)) => "one of them ended".into(),
            _ => text,
        };
        let resume = match self.run.get() {
            Some(run) => format!("when all can run, resume with: strandnet train --resume {}", run.display()),
            None => "start all of them again".into(),
        };
        anyhow!("process {rank} of {size} lost the others, as {why}; see what they say, and {resume}")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.agreed.get() {
            self.leave_word();
        }
        drop(self.nccl.take());
        // SAFETY: it is freed once.
        unsafe { strandnet_group_leave(self.handle) }
    }
}

/// What c10d says, in lower case, where another process ended.
const ENDED: [&str; 4] = ["closed", "reset", "broken pipe", "remote process exited"];

/// The first line of what libtorch says, without where in its source that is.
fn short(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit("] ").next().filter(|text| !text.is_empty()).unwrap_or(&text);
    text.split(". ").next().unwrap_or(text).trim_end_matches('.').to_owned()
}
