//! Threads that compute while Python's lock is released. Those of rayon do not survive a fork, so each process has its own.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use strandnet_core::machine::threads::{MOST_THREADS, Threads};

use crate::errors::refused;

/// How often a computation asks whether Ctrl-C was pressed.
const PATIENCE: Duration = Duration::from_millis(50);

/// The threads of a process. Locked only by who holds Python's lock, as whoever forks does, so that no child finds it locked.
static POOL: Mutex<Option<Pool>> = Mutex::new(None);

struct Pool {
    /// The process that they were started in.
    process: u32,
    threads: Arc<ThreadPool>,
}

fn build(count: usize) -> PyResult<Arc<ThreadPool>> {
    let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("strandnet-{i}")).build();
    pool.map(Arc::new).map_err(|error| PyRuntimeError::new_err(format!("threads cannot be started ({error})")))
}

/// The threads of this process, started where it has none. A forked process has one: others like it work beside it.
fn pool(_: Python) -> PyResult<Arc<ThreadPool>> {
    let mut found = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    match found.take() {
        Some(own) if own.process == process => {
            let threads = own.threads.clone();
            *found = Some(own);
            return Ok(threads);
        }
        Some(of_parent) => {
            // Ending threads that are not there could wait for them for ever.
            std::mem::forget(of_parent);
            let threads = build(1)?;
            *found = Some(Pool { process, threads: threads.clone() });
            return Ok(threads);
        }
        None => {}
    }
    let threads = build(Threads::choose(None).count)?;
    *found = Some(Pool { process, threads: threads.clone() });
    Ok(threads)
}

/// Computes on the threads of this process, with Python's lock released.
pub fn compute<T: Send>(py: Python, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    let pool = pool(py)?;
    Ok(py.detach(|| pool.install(work)))
}

/// Whether a computation is to end early.
pub struct Cancelled(AtomicBool);

impl Cancelled {
    /// Fails once it is.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.0.load(Relaxed) {
            anyhow::bail!("interrupted");
        }
        Ok(())
    }
}

/// As [`compute`], for what takes long: Ctrl-C raises `KeyboardInterrupt` once the computation has seen that it is to end.
pub fn interruptible<T: Send>(py: Python, work: impl FnOnce(&Cancelled) -> T + Send) -> PyResult<T> {
    let pool = pool(py)?;
    let cancelled = Cancelled(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        let worker = scope.spawn(|| {
            let _ = sender.send(pool.install(|| work(&cancelled)));
            drop(sender);
        });
        loop {
            match receive(py, &receiver) {
                Ok(found) => return Ok(found),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(signal) = py.check_signals() {
                        cancelled.0.store(true, Relaxed);
                        let _ = py.detach(|| worker.join());
                        return Err(signal);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => match py.detach(|| worker.join()) {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(()) => return Err(PyRuntimeError::new_err("the computation ended without a result")),
                },
            }
        }
    })
}

/// As [`interruptible`], for what cannot end early, such as reading a genome: after Ctrl-C it goes on beside, and its result is
/// dropped.
pub fn load<T: Send + 'static>(py: Python, work: impl FnOnce() -> T + Send + 'static) -> PyResult<T> {
    let pool = pool(py)?;
    let (sender, receiver) = channel();
    let worker = std::thread::spawn(move || {
        let _ = sender.send(pool.install(work));
    });
    loop {
        match receive(py, &receiver) {
            Ok(found) => return Ok(found),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => match worker.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => return Err(PyRuntimeError::new_err("the computation ended without a result")),
            },
        }
    }
}

/// A way back from a thread. What lets go of Python's lock may only take along what threads can share.
fn channel<T>() -> (SyncSender<T>, Mutex<Receiver<T>>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    (sender, Mutex::new(receiver))
}

fn receive<T: Send>(py: Python, receiver: &Mutex<Receiver<T>>) -> Result<T, RecvTimeoutError> {
    py.detach(|| receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(PATIENCE))
}

/// get_num_threads()
/// --
///
/// Number of threads that compute. At first OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else one per core that the system allows; one
/// in a process that was forked after it computed.
#[pyfunction]
pub fn get_num_threads(py: Python) -> PyResult<usize> {
    Ok(pool(py)?.current_num_threads())
}

/// set_num_threads(count)
/// --
///
/// Sets the number of threads that compute, from 1 to 1024. Raises ValueError for another number.
#[pyfunction]
pub fn set_num_threads(py: Python, count: usize) -> PyResult<()> {
    if !(1..=MOST_THREADS).contains(&count) {
        return Err(refused(format!("count is {count}, expected a number from 1 to {MOST_THREADS}")));
    }
    pool(py)?; // which leaves the threads of a parent alone
    let threads = build(count)?;
    let mut found = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    *found = Some(Pool { process: std::process::id(), threads });
    Ok(())
}
