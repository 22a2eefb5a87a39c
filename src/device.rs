//! Chooses the device and says why.

use anyhow::{Result, bail};
use tch::kind::Element;
use tch::{Device, Tensor};

use crate::cuda;
use crate::cuda::NoCuda;
use crate::cuda::driver::Gpu;
use strandnet_core::config::{DeviceChoice, Precision, TrainingConfig};
use strandnet_core::machine::threads::Threads;
use strandnet_core::machine::{self, DeviceKind};
use strandnet_core::progress::Progress;

/// A GPU where there is one that computes, and the CPU otherwise. Ask before anything is computed: libtorch decides then whether there
/// are GPUs.
pub fn auto() -> Device {
    choose(DeviceChoice::Auto).map_or(Device::Cpu, |(device, _)| device)
}

/// The device to compute on, and a phrase that says what it is and why.
///
/// # Errors
/// CUDA is asked for and there is none, not as many devices, or that one does not compute.
pub fn choose(choice: DeviceChoice) -> Result<(Device, String)> {
    // Even to ask for a GPU takes CUDA up to two seconds to start.
    if choice == DeviceChoice::Cpu {
        return Ok((Device::Cpu, "CPU, as requested".into()));
    }
    let gpus = cuda::load().map(|cuda| cuda.gpus);
    let describe = |index: usize, gpu: &Gpu, why: &str| {
        (Device::Cuda(index), format!("CUDA device {index} ({}), {why}", gpu.name))
    };
    match (choice, gpus) {
        (DeviceChoice::Cuda(index), Ok(gpus)) => {
            let Some(gpu) = gpus.get(index) else { bail!(no_such_device(index, gpus.len())) };
            if let Err(why) = cuda::try_kernel(index) {
                bail!("--device cuda:{index}: {why}; look at nvidia-smi, or use --device cpu");
            }
            Ok(describe(index, gpu, "as requested"))
        }
        (DeviceChoice::Cuda(_), Err(NoCuda { why, advice })) => {
            bail!("--device cuda: {why}; {advice}, or use --device cpu")
        }
        (_, Ok(gpus)) => {
            let mut faults = Vec::new();
            for (index, gpu) in gpus.iter().enumerate() {
                match cuda::try_kernel(index) {
                    Ok(()) => return Ok(describe(index, gpu, "found by auto")),
                    Err(why) => faults.push(why),
                }
            }
            Ok((Device::Cpu, format!("CPU, as {}", faults.join(" and "))))
        }
        (_, Err(no_cuda)) => Ok((Device::Cpu, format!("CPU, as {}", no_cuda.why))),
    }
}

/// The device of one of several processes on a machine, counted from 0: the GPUs from the one that is chosen on, in turn.
///
/// # Errors
/// As `choose`.
pub fn of_process(choice: DeviceChoice, local_rank: usize) -> Result<DeviceChoice> {
    let Device::Cuda(first) = choose(choice)?.0 else { return Ok(choice) };
    let count = cuda::load().map_or(1, |cuda| cuda.gpus.len());
    Ok(DeviceChoice::Cuda((first + local_rank) % count.max(1)))
}

fn no_such_device(index: usize, count: usize) -> String {
    let there = if count == 1 { "is 1 CUDA device".into() } else { format!("are {count} CUDA devices") };
    let choices = if count == 1 { "cuda:0".into() } else { format!("cuda:0 to cuda:{}", count - 1) };
    format!("--device cuda:{index}: there {there}, expected an index below that; choose {choices}")
}

/// What training computes on, with which numbers.
pub struct Machine {
    /// The device.
    pub device: Device,
    /// CPU threads.
    pub threads: usize,
    /// Precision of training.
    pub precision: Precision,
    /// All of it and why, for people.
    pub description: String,
}

impl Machine {
    /// The device as runs record it, such as `Cpu` or `Cuda(0)`.
    pub fn device_name(&self) -> String {
        format!("{:?}", self.device)
    }
}

/// Chooses what training computes on and sets its threads.
///
/// # Errors
/// As `choose`, or CUDA graphs are asked for and there are none.
pub fn for_training(training: &TrainingConfig) -> Result<Machine> {
    let (device, why) = choose(training.device)?;
    if training.cuda_graph && device == Device::Cpu {
        bail!("--cuda-graph: training is on the {why}, expected a CUDA device; leave it out");
    }
    if training.cuda_graph
        && let Err(why) = cuda::has_streams()
    {
        bail!("--cuda-graph: {why}; run scripts/setup --cuda and build again, or leave it out");
    }
    let threads = Threads::choose(training.threads);
    use_threads(&threads);
    let Threads { count: threads, reason, .. } = threads;
    let precision = machine::resolve_precision(training.precision, kind(device));
    let numbers = match precision {
        Precision::Bf16 => "; bf16",
        Precision::Tf32 => "; tf32",
        _ => "",
    };
    Ok(Machine {
        device,
        threads,
        precision,
        description: format!("device: {why}; {threads} threads, {reason}{numbers}"),
    })
}

/// What kind of device it is, for decisions that need no tensor.
pub fn kind(device: Device) -> DeviceKind {
    if device == Device::Cpu { DeviceKind::Cpu } else { DeviceKind::Gpu }
}

/// Sets the CPU threads that libtorch and the other parallel parts use: as many as are asked for, or as [`Threads::choose`]
/// finds.
pub fn set_threads(asked: Option<usize>) -> usize {
    let threads = Threads::choose(asked);
    use_threads(&threads);
    threads.count
}

fn use_threads(threads: &Threads) {
    threads.warnings.iter().for_each(|warning| Progress::Quiet.warn(warning));
    let threads = threads.count;
    tch::set_num_threads(threads as i32);
    // This thread is one of them, so that it works instead of waiting for the others; but not the only one, because what
    // other threads ask of the pool has to be done while this one is busy elsewhere. Fails where a pool was made already, as
    // in tests; then that one serves.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = if threads > 1 { pool.use_current_thread() } else { pool };
    let _ = pool.build_global();
}

/// Leaves the CPU to this program's own kernels: libtorch has only small things to compute, which its threads would wait
/// for each other over.
pub fn leave_to_native() {
    tch::set_num_threads(1);
}

/// Numbers as a tensor `[n]` on a device. On a GPU they are on their way when this returns: they go from memory that the device
/// reads itself, so that neither the program nor the work the device was given before waits for them.
pub fn to_device<T: Element>(numbers: &[T], device: Device) -> Tensor {
    let tensor = Tensor::from_slice(numbers);
    if device == Device::Cpu {
        return tensor;
    }
    let pinned = tensor.f_internal_pin_memory(device).unwrap_or(tensor);
    pinned.to_device_(device, T::KIND, true, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_cuda_where_there_is_none_is_an_error_that_says_what_to_do() {
        assert_eq!(choose(DeviceChoice::Cpu).unwrap().0, Device::Cpu);
        assert!(choose(DeviceChoice::Cuda(usize::MAX)).is_err());
        match cuda::load() {
            Ok(_) => assert!(auto().is_cuda()),
            Err(NoCuda { why, advice }) => {
                let (device, description) = choose(DeviceChoice::Auto).unwrap();
                assert_eq!((device, description), (auto(), format!("CPU, as {why}")));
                let error = choose(DeviceChoice::Cuda(0)).unwrap_err().to_string();
                assert!(error.contains(why) && error.contains(advice) && error.contains("--device cpu"), "{error}");
            }
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_named_with_those_that_are() {
        for (count, expected) in [
            (1, "--device cuda:2: there is 1 CUDA device, expected an index below that; choose cuda:0"),
            (2, "--device cuda:2: there are 2 CUDA devices, expected an index below that; choose cuda:0 to cuda:1"),
        ] {
            assert_eq!(no_such_device(2, count), expected);
        }
    }
}
