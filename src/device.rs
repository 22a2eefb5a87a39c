//! Chooses the device and says why.

use anyhow::{Result, bail};
use tch::kind::Element;
use tch::{Device, Tensor};

use strandnet_core::config::{DeviceChoice, Precision, TrainingConfig};
use strandnet_core::machine::threads::Threads;
use strandnet_core::machine::{self, DeviceKind};
use strandnet_core::progress::Progress;

/// The device to compute on, and a phrase that says what it is and why.
///
/// # Errors
/// CUDA is asked for and there is none, or not as many devices.
pub fn choose(choice: DeviceChoice) -> Result<(Device, String)> {
    // Even to ask for a GPU takes CUDA up to two seconds to start.
    let count = match choice {
        DeviceChoice::Cpu => 0,
        _ if tch::Cuda::is_available() => usize::try_from(tch::Cuda::device_count()).unwrap_or(0),
        _ => 0,
    };
    match choice {
        DeviceChoice::Cpu => Ok((Device::Cpu, "CPU, as requested".into())),
        DeviceChoice::Auto if count > 0 => Ok((Device::Cuda(0), "CUDA device 0, found by auto".into())),
        DeviceChoice::Auto => Ok((Device::Cpu, format!("CPU, as {}", why_no_cuda()))),
        DeviceChoice::Cuda(index) if index < count => {
            Ok((Device::Cuda(index), format!("CUDA device {index}, as requested")))
        }
        DeviceChoice::Cuda(index) if count > 0 => {
            bail!(
                "--device cuda:{index}: there are {count} CUDA devices, expected an index below that; choose cuda:0 to cuda:{}",
                count - 1
            )
        }
        DeviceChoice::Cuda(_) => bail!("--device cuda: {}; {}, or use --device cpu", why_no_cuda(), how_to_get_cuda()),
    }
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
    if training.cuda_graph && !cfg!(cuda_shim) {
        bail!(
            "--cuda-graph: this program was built where CUDA's headers were missing; run scripts/setup --cuda and build again, or leave it out"
        );
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

/// Whether this program was built with the CUDA half of libtorch.
pub fn built_with_cuda() -> bool {
    !env!("STRANDNET_LIBTORCH_CUDA").is_empty()
}

/// Why there is no CUDA device, as a phrase.
pub fn why_no_cuda() -> &'static str {
    if built_with_cuda() {
        "libtorch finds no usable NVIDIA GPU"
    } else {
        "this program was built with a libtorch for the CPU only"
    }
}

/// What to do about it, as a phrase.
pub fn how_to_get_cuda() -> &'static str {
    if built_with_cuda() {
        "check the NVIDIA driver with nvidia-smi"
    } else {
        "run scripts/setup --cuda and build again"
    }
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
        if tch::Cuda::is_available() {
            assert_eq!(choose(DeviceChoice::Auto).unwrap().0, Device::Cuda(0));
            assert!(choose(DeviceChoice::Cuda(999)).is_err());
        } else {
            assert_eq!(choose(DeviceChoice::Auto).unwrap().0, Device::Cpu);
            let error = choose(DeviceChoice::Cuda(0)).unwrap_err().to_string();
            assert!(choose(DeviceChoice::Cuda(usize::MAX)).is_err());
            assert!(error.contains(how_to_get_cuda()) && error.contains("--device cpu"), "{error}");
        }
    }

    /// The linker drops libtorch_cuda unless build.rs insists, and CUDA would silently be missing.
    #[test]
    fn libtorch_cuda_is_loaded_whenever_it_is_installed() {
        let installed = std::path::Path::new(env!("STRANDNET_LIBTORCH_DIR")).join("libtorch_cuda.so").exists();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        assert!(maps.contains("libtorch_cpu.so"));
        assert_eq!(maps.contains("libtorch_cuda.so"), installed);
        assert_eq!(tch::utils::has_cudart(), installed, "libtorch itself agrees, GPU or not");
    }
}
