//! `doctor`: versions and devices, and what to do about what is wrong, for people or as JSON.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::BUILD;
use crate::cli::Doctor;
use crate::commands::{print, print_json};
use crate::device;
use strandnet_core::config::DeviceChoice;
use strandnet_core::machine;
use strandnet_core::machine::threads::Threads;
use strandnet_core::run::FORMAT_VERSION;

/// The only libtorch that the binding accepts.
const LIBTORCH: &str = "2.11.0";

/// What sets how idle threads of libgomp wait, the stronger first.
const WAITING: [&str; 2] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"];

pub fn run(command: &Doctor) -> Result<()> {
    let found = Diagnosis::of_this_machine()?;
    if command.json { print_json(&found) } else { print(&found.text()) }
}

/// Everything that is found.
#[derive(Serialize)]
struct Diagnosis {
    format_version: u32,
    version: &'static str,
    /// Empty outside a checkout.
    git_revision: &'static str,
    libtorch: &'static str,
    libtorch_folder: PathBuf,
    /// Version of CUDA that it was built with.
    cuda: Option<&'static str>,
    cuda_devices: i64,
    cudnn: bool,
    threads: usize,
    threads_reason: String,
    /// How idle threads of libgomp wait, as variables.
    waiting: Vec<String>,
    memory_bytes: Option<u64>,
    free_memory_bytes: Option<u64>,
    bf16: bool,
    default_device: String,
    warnings: Vec<String>,
    problems: Vec<String>,
}

impl Diagnosis {
    fn of_this_machine() -> Result<Self> {
        let mut problems = Vec::new();
        if BUILD.libtorch.split('+').next() != Some(LIBTORCH) {
            problems.push(format!(
                "libtorch is {}, expected {LIBTORCH}; run scripts/setup and build again",
                BUILD.libtorch
            ));
        }
        let is_available = tch::Cuda::is_available();
        if !is_available && has_nvidia_driver() {
            problems.push(format!(
                "there is an NVIDIA driver and {}; {}",
                device::why_no_cuda(),
                device::how_to_get_cuda()
            ));
        }
        let Threads { count, reason, warnings } = Threads::choose(None);
        let waiting = WAITING.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
        let memory = machine::memory();
        Ok(Self {
            format_version: FORMAT_VERSION,
            version: BUILD.version,
            git_revision: BUILD.git_revision,
            libtorch: BUILD.libtorch,
            libtorch_folder: libtorch_folder(),
            cuda: device::built_with_cuda().then_some(env!("STRANDNET_LIBTORCH_CUDA")),
            cuda_devices: if is_available { tch::Cuda::device_count() } else { 0 },
            cudnn: is_available && tch::Cuda::cudnn_is_available(),
            threads: count,
            threads_reason: reason,
            waiting: waiting.collect(),
            memory_bytes: memory.map(|(total, _)| total),
            free_memory_bytes: memory.map(|(_, free)| free),
            bf16: machine::cpu_has_bf16(),
            default_device: device::choose(DeviceChoice::Auto)?.1,
            warnings,
            problems,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<18}{value}");
        };
        let revision = match self.git_revision {
            "" => "unknown revision".into(),
            revision => format!("revision {revision}"),
        };
        row("strandnet", format!("{} ({revision})", self.version));
        row("libtorch", format!("{}, in {}", self.libtorch, self.libtorch_folder.display()));
        row("CUDA", self.cuda.map_or_else(|| "not built in".into(), |cuda| format!("built with {cuda}")));
        match self.cuda_devices {
            0 => row("CUDA devices", format!("none: {}", device::why_no_cuda())),
            devices => {
                row("CUDA devices", format!("{devices} (cuda:0 to cuda:{})", devices - 1));
                row("cuDNN", if self.cudnn { "available" } else { "not available" }.into());
            }
        }
        row("threads", format!("{}, {}", self.threads, self.threads_reason));
        row(
            "idle threads",
            match self.waiting.as_slice() {
                [] => "wait as libgomp has it by default".into(),
                variables => format!("wait as {} says", variables.join(" and ")),
            },
        );
        if let (Some(total), Some(free)) = (self.memory_bytes, self.free_memory_bytes) {
            row("memory", format!("{:.1} GiB, {:.1} GiB free", gib(total), gib(free)));
        }
        let bf16 = if self.bf16 {
            "has bf16, so --precision auto takes it"
        } else {
            "has no bf16, so --precision auto takes f32"
        };
        row("processor", bf16.into());
        row("default device", self.default_device.clone());
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        if self.problems.is_empty() {
            text.push_str("no problems found\n");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "wrong: {problem}");
        }
        text
    }
}

/// The folder that libtorch was loaded from, which may be another than it was built with.
fn libtorch_folder() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let loaded = maps.lines().find_map(|line| {
        let path = Path::new(&line[line.find('/')?..]);
        path.ends_with("libtorch_cpu.so").then(|| path.parent().map(Path::to_path_buf)).flatten()
    });
    loaded.unwrap_or_else(|| env!("STRANDNET_LIBTORCH_DIR").into())
}

fn has_nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
