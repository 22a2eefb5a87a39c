//! NVIDIA GPUs. Nothing here is linked into the program: the driver, the CUDA half of libtorch and our own half in C++ are opened
//! when a GPU is asked for, so that one program runs on machines with and without them, and starts as fast on both.
//!
//! ```text
//! driver     what NVIDIA's driver says of itself and its GPUs          shim     our C++, embedded in the program
//! stream     queues of work on a GPU                                   graph    work recorded once and replayed
//! library    opens a shared object                                     nccl     sums over the GPUs of several processes
//! ```

pub mod driver;
pub mod graph;
mod library;
pub mod nccl;
mod shim;
pub mod stream;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use driver::{Driver, Gpu};

/// The version of CUDA that libtorch was built with where this program was; empty for the CPU only.
pub const BUILT_WITH: &str = env!("STRANDNET_LIBTORCH_CUDA");

/// CUDA half of libtorch.
const LIBRARY: &str = "libtorch_cuda.so";

/// Compute capability that libtorch's kernels need where they are built with CUDA 13; older ones had no such bound in common.
const CAPABILITY: (i32, i32) = (7, 5);

/// Why there is no CUDA, and what to do about it, as phrases.
#[derive(Clone, Debug)]
pub struct NoCuda {
    /// Why there is none.
    pub why: String,
    /// What to do.
    pub advice: String,
}

/// CUDA, ready for use.
#[derive(Debug)]
pub struct Cuda {
    /// The GPUs that libtorch sees, by their index.
    pub gpus: &'static [Gpu],
}

/// Opens what CUDA needs. The first call does the work; nothing may ask libtorch about CUDA before it, because libtorch keeps the
/// answer.
///
/// # Errors
/// There is no driver, no GPU or no CUDA half of libtorch, or they do not go together.
pub fn load() -> Result<&'static Cuda, &'static NoCuda> {
    static CUDA: OnceLock<Result<Cuda, NoCuda>> = OnceLock::new();
    CUDA.get_or_init(open).as_ref()
}

#[allow(clippy::disallowed_methods)] // CUDA is loaded by the time that libtorch is asked.
fn open() -> Result<Cuda, NoCuda> {
    let driver = Driver::get().map_err(Clone::clone)?;
    let library = libtorch_folder().join(LIBRARY);
    if !library.exists() {
        return Err(NoCuda {
            why: "this program runs on a libtorch for the CPU only".into(),
            advice: "run scripts/setup --cuda and build again".into(),
        });
    }
    if let Some(needed) = needed_cuda().filter(|&needed| driver.cuda.0 < needed) {
        return Err(too_old(driver, needed));
    }
    open_library(&library)?;
    // A convolution asks libtorch about CUDA wherever it computes, and the answer stays.
    if !tch::utils::has_cudart() {
        return Err(NoCuda {
            why: "libtorch was used before a GPU was asked for".into(),
            advice: "choose the device first, as with strandnet::device::choose".into(),
        });
    }
    if !tch::Cuda::is_available() {
        return Err(NoCuda {
            why: "libtorch finds no usable NVIDIA GPU".into(),
            advice: "check the NVIDIA driver with nvidia-smi".into(),
        });
    }
    let seen = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    Ok(Cuda { gpus: &driver.gpus[..seen.min(driver.gpus.len())] })
}

fn open_library(path: &Path) -> Result<(), NoCuda> {
    library::open(path).map(|_| ()).map_err(|error| NoCuda {
        why: format!("{} cannot be loaded ({error})", path.display()),
        advice: "run scripts/setup --cuda again, or look at LD_LIBRARY_PATH".into(),
    })
}

/// What is wrong with a driver for the version of CUDA that libtorch needs.
fn too_old(driver: &Driver, needed: u32) -> NoCuda {
    // The first driver of each version, from NVIDIA's table of CUDA compatibility.
    let first = match needed {
        12 => " (driver 525 or newer)",
        13 => " (driver 580 or newer)",
        _ => "",
    };
    let release = driver.release.as_deref().map_or_else(String::new, |release| format!(" {release}"));
    NoCuda {
        why: format!(
            "the NVIDIA driver{release} is for CUDA {}.{} and libtorch needs CUDA {needed}{first}",
            driver.cuda.0, driver.cuda.1
        ),
        advice: "update the NVIDIA driver".into(),
    }
}

/// What is wrong with a driver and its GPUs for libtorch: the one that this program was built with, or that of scripts/setup.
pub fn faults(driver: &Driver) -> Vec<String> {
    let needed = needed_cuda().unwrap_or(13);
    let driver_fault = (driver.cuda.0 < needed).then(|| {
        let NoCuda { why, advice } = too_old(driver, needed);
        format!("{why}; {advice}")
    });
    let gpu_fault = |(index, gpu)| is_too_old(gpu).then(|| capability_fault(index, gpu));
    driver_fault.into_iter().chain(driver.gpus.iter().enumerate().filter_map(gpu_fault)).collect()
}

fn capability_fault(index: usize, gpu: &Gpu) -> String {
    format!(
        "CUDA device {index} ({}) has compute capability {}, and libtorch's kernels need {}.{} or more",
        gpu.name, gpu.compute_capability, CAPABILITY.0, CAPABILITY.1
    )
}

/// The first number of the version of CUDA that libtorch needs; unknown for a libtorch without its version.
fn needed_cuda() -> Option<u32> {
    BUILT_WITH.split('.').next()?.parse().ok()
}

/// Whether a GPU computes: libtorch may have no kernels for it, it may be broken, or taken by another program that shares it with
/// no one.
///
/// # Errors
/// It does not; says why.
pub fn try_kernel(index: usize) -> Result<(), String> {
    let gpu = load().ok().and_then(|cuda| cuda.gpus.get(index));
    if let Some(gpu) = gpu.filter(|gpu| is_too_old(gpu)) {
        return Err(capability_fault(index, gpu));
    }
    let name = gpu.map_or_else(String::new, |gpu| format!(" ({})", gpu.name));
    let device = Device::Cuda(index);
    let doubled =
        || Tensor::f_ones([2], (Kind::Float, device))?.f_add_scalar(1.0)?.f_sum(Kind::Float)?.f_double_value(&[]);
    match doubled() {
        Ok(4.0) => Ok(()),
        Ok(other) => Err(format!("CUDA device {index}{name} computes 2 + 2 as {other}")),
        Err(error) => Err(format!("CUDA device {index}{name} does not compute ({})", first_line(&error.to_string()))),
    }
}

/// Whether libtorch has no kernels for a GPU.
fn is_too_old(gpu: &Gpu) -> bool {
    needed_cuda().unwrap_or(13) >= 13 && gpu.capability() < CAPABILITY
}

/// Free and total memory of a GPU in bytes; nothing where our C++ was not built.
pub fn memory(index: usize) -> Option<(u64, u64)> {
    shim::memory(index).ok()
}

/// Whether this program has streams and graphs, for which it was built with CUDA's headers.
///
/// # Errors
/// It has none; says why.
pub fn has_streams() -> Result<(), String> {
    shim::loaded().map(|_| ()).map_err(|error| error.to_string())
}

/// The folder that libtorch was loaded from, which may be another than it was built with.
pub fn libtorch_folder() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let loaded = maps.lines().find_map(|line| {
        let path = Path::new(&line[line.find('/')?..]);
        path.ends_with("libtorch_cpu.so").then(|| path.parent().map(Path::to_path_buf)).flatten()
    });
    loaded.unwrap_or_else(|| env!("STRANDNET_LIBTORCH_DIR").into())
}

/// The first line of a message, without the list of calls that libtorch's binding spells out behind it.
fn first_line(message: &str) -> &str {
    let line = message.lines().next().unwrap_or("");
    line.split("\\nframe #").next().unwrap_or(line)
}

/// The first line of a panic of libtorch's binding.
pub fn message_of_panic(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    first_line(text.unwrap_or("a panic without a message"))
}

/// The GPU for a test that is about it, one test at a time; nothing without one, or without streams.
#[cfg(test)]
pub fn gpu_of_test() -> Option<(std::sync::MutexGuard<'static, ()>, Device)> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    if has_streams().is_err() {
        eprintln!("skipped: needs a GPU and a program built with CUDA's headers");
        return None;
    }
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Some((guard, Device::Cuda(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that starts with the program opens CUDA; what opens it finds it.
    #[test]
    fn the_cuda_half_of_libtorch_is_opened_when_it_is_asked_for() {
        let library = libtorch_folder().join(LIBRARY);
        assert!(libtorch_folder().join("libtorch_cpu.so").exists());
        match open_library(&library) {
            Ok(()) => {
                let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
                assert!(maps.contains(LIBRARY));
            }
            Err(NoCuda { why, .. }) => {
                assert!(!library.exists(), "{why}");
                assert!(why.contains(LIBRARY), "{why}");
                assert!(load().is_err());
            }
        }
    }

    #[test]
    fn a_driver_that_is_too_old_is_named_with_what_is_needed() {
        let driver = Driver { cuda: (12, 4), release: Some("550.54.15".into()), gpus: Vec::new() };
        let NoCuda { why, advice } = too_old(&driver, 13);
        assert_eq!(
            why,
            "the NVIDIA driver 550.54.15 is for CUDA 12.4 and libtorch needs CUDA 13 (driver 580 or newer)"
        );
        assert_eq!(advice, "update the NVIDIA driver");
    }

    #[test]
    fn messages_are_one_line() {
        assert_eq!(first_line("CUDA error: no kernel image\\nframe #0: c10\nmore"), "CUDA error: no kernel image");
        assert_eq!(first_line(""), "");
        let panic = std::panic::catch_unwind(|| panic!("CUDA out of {}\nmore", "memory")).unwrap_err();
        assert_eq!(message_of_panic(&*panic), "CUDA out of memory");
    }

    #[test]
    fn a_gpu_that_is_not_there_does_not_compute() {
        let error = try_kernel(999).unwrap_err();
        assert!(error.starts_with("CUDA device 999 does not compute (") && !error.contains('\n'), "{error}");
    }
}
