//! `doctor`: versions and devices, and what to do about what is wrong, for people or as JSON.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::BUILD;
use crate::cli::Doctor;
use crate::cuda::driver::{Driver, Gpu};
use crate::cuda::{self, NoCuda};
use crate::device;
use strandnet_core::commands::{print, print_json};
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
    nvidia_driver: Option<NvidiaDriver>,
    /// Those that libtorch can use; none where something is wrong with it or the driver.
    cuda_devices: usize,
    cudnn: bool,
    /// Whether there are CUDA graphs and transfers beside computation.
    cuda_graphs: bool,
    /// Whether several processes sum gradients from GPU to GPU.
    nccl: bool,
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
    /// Why there is no CUDA, as a phrase.
    #[serde(skip)]
    why_no_cuda: String,
}

/// What the driver says, whether libtorch can use it or not.
#[derive(Serialize)]
struct NvidiaDriver {
    release: Option<&'static str>,
    cuda: String,
    gpus: &'static [Gpu],
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
        let driver = Driver::get().ok();
        let loaded = cuda::load();
        let mut faults: Vec<String> = driver.map_or_else(Vec::new, cuda::faults);
        if let Err(NoCuda { why, advice }) = loaded
            && faults.is_empty()
            && (driver.is_some() || Driver::is_installed())
        {
            faults.push(format!("{why}; {advice}"));
        }
        for index in 0..loaded.map_or(0, |cuda| cuda.gpus.len()) {
            if let Err(fault) = cuda::try_kernel(index)
                && !faults.contains(&fault)
            {
                faults.push(format!("{fault}; look at nvidia-smi"));
            }
        }
        problems.extend(faults);
        let Threads { count, reason, warnings, .. } = Threads::choose(None);
        let waiting = WAITING.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
        let memory = machine::memory();
        Ok(Self {
            format_version: FORMAT_VERSION,
            version: BUILD.version,
            git_revision: BUILD.git_revision,
            libtorch: BUILD.libtorch,
            libtorch_folder: cuda::libtorch_folder(),
            cuda: Some(cuda::BUILT_WITH).filter(|version| !version.is_empty()),
            nvidia_driver: driver.map(|driver| NvidiaDriver {
                release: driver.release.as_deref(),
                cuda: format!("{}.{}", driver.cuda.0, driver.cuda.1),
                gpus: &driver.gpus,
            }),
            cuda_devices: loaded.map_or(0, |cuda| cuda.gpus.len()),
            cudnn: loaded.is_ok() && tch::Cuda::cudnn_is_available(),
            cuda_graphs: cuda::has_streams().is_ok(),
            nccl: cuda::nccl::is_there().is_ok(),
            threads: count,
            threads_reason: reason,
            waiting: waiting.collect(),
            memory_bytes: memory.map(|(total, _)| total),
            free_memory_bytes: memory.map(|(_, free)| free),
            bf16: machine::cpu_has_bf16(),
            default_device: device::choose(DeviceChoice::Auto)?.1,
            warnings,
            problems,
            why_no_cuda: loaded.err().map_or_else(String::new, |no_cuda| no_cuda.why.clone()),
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
        if let Some(NvidiaDriver { release, cuda, gpus }) = &self.nvidia_driver {
            row(
                "NVIDIA driver",
                format!("{}for CUDA {cuda}", release.map_or_else(String::new, |it| format!("{it}, "))),
            );
            for (index, Gpu { name, memory_bytes, compute_capability }) in gpus.iter().enumerate() {
                let memory = gib(*memory_bytes);
                row(
                    &format!("GPU {index}"),
                    format!("{name}, {memory:.1} GiB, compute capability {compute_capability}"),
                );
            }
        }
        match self.cuda_devices {
            0 => row("CUDA devices", format!("none: {}", self.why_no_cuda)),
            devices => {
                row("CUDA devices", format!("{devices} (cuda:0 to cuda:{})", devices - 1));
                row("cuDNN", if self.cudnn { "available" } else { "not available" }.into());
                row("CUDA graphs", cuda::has_streams().err().unwrap_or_else(|| "available (--cuda-graph)".into()));
                let nccl = cuda::nccl::is_there()
                    .err()
                    .map(|why| format!("{why}; gradients of several processes go through the CPU"));
                row("NCCL", nccl.unwrap_or_else(|| "available (--processes)".into()));
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

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
