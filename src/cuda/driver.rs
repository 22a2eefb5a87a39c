//! What NVIDIA's driver says of itself and of the GPUs, asked without libtorch: a driver that is too old for libtorch answers too.

#![allow(unsafe_code)] // Rust cannot check calls of C.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::path::Path;
use std::sync::OnceLock;

use libloading::os::unix::Library;
use serde::Serialize;

use super::{NoCuda, library};

/// The driver's library.
const LIBRARY: &str = "libcuda.so.1";
/// What the kernel module says of itself.
const MODULE: &str = "/proc/driver/nvidia/version";
/// Variable that hides GPUs.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// `CUresult` of a driver that finds no GPU.
const NO_DEVICE: c_int = 100;
/// `CUresult` where the library and the kernel module are of different versions.
const MISMATCH: c_int = 803;
/// `CUresult` where GPUs are not ready yet.
const NOT_READY: c_int = 802;
/// `CUdevice_attribute` of the two numbers of the compute capability.
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

/// The driver, and the GPUs that programs may use.
#[derive(Debug)]
pub struct Driver {
    /// The newest version of CUDA that it is for.
    pub cuda: (u32, u32),
    /// Its own version, such as 580.65.06; unknown where the system does not say.
    pub release: Option<String>,
    /// In CUDA's order.
    pub gpus: Vec<Gpu>,
}

/// A GPU.
#[derive(Debug, Serialize)]
pub struct Gpu {
    /// Its name, such as NVIDIA H100 80GB HBM3.
    pub name: String,
    /// All of its memory.
    pub memory_bytes: u64,
    /// Compute capability, such as 9.0.
    pub compute_capability: String,
}

impl Gpu {
    /// The two numbers of the compute capability.
    pub fn capability(&self) -> (i32, i32) {
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut numbers = self.compute_capability.split('.');
        (number(numbers.next()), number(numbers.next()))
    }
}

impl Driver {
    /// The driver, asked once.
    ///
    /// # Errors
    /// There is none, it does not work, or it finds no GPU.
    pub fn get() -> Result<&'static Self, &'static NoCuda> {
        static DRIVER: OnceLock<Result<Driver, NoCuda>> = OnceLock::new();
        DRIVER.get_or_init(Self::ask).as_ref()
    }

    /// Whether there is one, even if it does not work.
    pub fn is_installed() -> bool {
        Path::new(MODULE).exists()
    }

    fn ask() -> Result<Self, NoCuda> {
        let check = |advice: &str, why: String| NoCuda { why, advice: advice.into() };
        let Ok(library) = library::open(LIBRARY) else {
            return Err(if Self::is_installed() {
                check(
                    "install the driver's libraries, or start the container with --gpus all",
                    format!("there is an NVIDIA driver and its {LIBRARY} is not found"),
                )
            } else {
                check("install the NVIDIA driver", "there is no NVIDIA driver".into())
            });
        };
        let functions = Functions::of(library)
            .map_err(|error| check("update the NVIDIA driver", format!("the NVIDIA driver is incomplete ({error})")))?;
        functions.describe().map_err(|code| {
            let (why, advice) = explain(code);
            NoCuda { why, advice }
        })
    }
}

/// What a code of the driver means, and what to do.
fn explain(code: c_int) -> (String, String) {
    let hidden = std::env::var(VISIBLE).ok();
    match (code, hidden) {
        (NO_DEVICE, Some(visible)) => (
            format!("the NVIDIA driver finds no GPU, with {VISIBLE}={visible:?}"),
            format!("set {VISIBLE} to the GPUs to use, or check them with nvidia-smi"),
        ),
        (NO_DEVICE, None) => {
            ("the NVIDIA driver finds no GPU".into(), "check the NVIDIA driver with nvidia-smi".into())
        }
        (MISMATCH, _) => (
            "the NVIDIA driver's library and its kernel module are of different versions".into(),
            "restart the machine, as after an update of the driver".into(),
        ),
        (NOT_READY, _) => (
            "the NVIDIA driver says that the GPUs are not ready".into(),
            "wait, or check that nvidia-fabricmanager runs where GPUs are joined by NVSwitch".into(),
        ),
        _ => (
            format!("the NVIDIA driver does not start (CUDA error {code})"),
            "check the NVIDIA driver with nvidia-smi".into(),
        ),
    }
}

type Ask<T> = unsafe extern "C" fn(*mut T) -> c_int;
type AskOf<T, I> = unsafe extern "C" fn(*mut T, I) -> c_int;

/// Functions of the driver, as cuda.h declares them.
struct Functions {
    init: unsafe extern "C" fn(c_uint) -> c_int,
    version: Ask<c_int>,
    count: Ask<c_int>,
    device: AskOf<c_int, c_int>,
    name: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int,
    memory: AskOf<usize, c_int>,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
}

impl Functions {
    fn of(library: &'static Library) -> Result<Self, libloading::Error> {
        // SAFETY: the types are those of cuda.h, which NVIDIA keeps.
        unsafe {
            Ok(Self {
                init: *library.get(c"cuInit")?,
                version: *library.get(c"cuDriverGetVersion")?,
                count: *library.get(c"cuDeviceGetCount")?,
                device: *library.get(c"cuDeviceGet")?,
                name: *library.get(c"cuDeviceGetName")?,
                memory: *library.get(c"cuDeviceTotalMem_v2")?,
                attribute: *library.get(c"cuDeviceGetAttribute")?,
            })
        }
    }

    /// All that is asked; or the code with which the driver refuses.
    fn describe(&self) -> Result<Driver, c_int> {
        // SAFETY: each writes one number, or a name of at most so many bytes.
        let (version, count) = unsafe {
            done((self.init)(0))?;
            (asked(|to| (self.version)(to))?, asked(|to| (self.count)(to))?)
        };
        if count == 0 {
            return Err(NO_DEVICE);
        }
        let gpus = (0..count).map(|index| self.gpu(index)).collect::<Result<_, _>>()?;
        let version = u32::try_from(version).unwrap_or(0);
        Ok(Driver { cuda: (version / 1000, version % 1000 / 10), release: release(), gpus })
    }

    fn gpu(&self, index: c_int) -> Result<Gpu, c_int> {
        let mut name = [0; 128];
        // SAFETY: as in `describe`.
        unsafe {
            let device = asked(|to| (self.device)(to, index))?;
            done((self.name)(name.as_mut_ptr(), name.len() as c_int - 1, device))?;
            let attribute = |which| asked(|to| (self.attribute)(to, which, device));
            Ok(Gpu {
                name: CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned(),
                memory_bytes: asked(|to| (self.memory)(to, device))? as u64,
                compute_capability: format!("{}.{}", attribute(CAPABILITY_MAJOR)?, attribute(CAPABILITY_MINOR)?),
            })
        }
    }
}

fn done(code: c_int) -> Result<(), c_int> {
    if code == 0 { Ok(()) } else { Err(code) }
}

fn asked<T: Default>(ask: impl FnOnce(*mut T) -> c_int) -> Result<T, c_int> {
    let mut answer = T::default();
    done(ask(&mut answer))?;
    Ok(answer)
}

/// The driver's own version, from what its kernel module says of itself.
fn release() -> Option<String> {
    let text = std::fs::read_to_string(MODULE).ok()?;
    version_in(&text).map(str::to_owned)
}

/// `580.65.06` in `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build ...`.
fn version_in(text: &str) -> Option<&str> {
    let is_version =
        |word: &&str| word.split('.').count() > 1 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.lines().next()?.split_whitespace().find(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_module_says_its_version() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)\nGCC version: gcc 12.3.0";
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024";
        assert_eq!((version_in(open), version_in(closed)), (Some("580.65.06"), Some("550.54.15")));
        assert_eq!(version_in("NVRM version: something else"), None);
    }

    #[test]
    fn a_capability_is_two_numbers() {
        let gpu = |text: &str| Gpu { name: String::new(), memory_bytes: 0, compute_capability: text.into() };
        assert_eq!((gpu("7.5").capability(), gpu("12.0").capability()), ((7, 5), (12, 0)));
        assert!(super::super::is_too_old(&gpu("7.0")) && !super::super::is_too_old(&gpu("7.5")));
    }
}
