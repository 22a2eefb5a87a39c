//! `doctor`: versions and devices, and what to do about what is wrong.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::commands::print;
use crate::device;
use strandnet_core::machine;

/// The only libtorch that the binding accepts.
const LIBTORCH: &str = "2.11.0";

pub fn run() -> Result<()> {
    let mut text = String::new();
    let mut wrong = Vec::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<18}{value}");
    };
    let revision = match env!("STRANDNET_GIT_REVISION") {
        "" => "unknown revision".into(),
        revision => format!("revision {revision}"),
    };
    row("strandnet", format!("{} ({revision})", env!("CARGO_PKG_VERSION")));
    let libtorch = env!("STRANDNET_LIBTORCH_VERSION");
    row("libtorch", format!("{libtorch}, in {}", env!("STRANDNET_LIBTORCH_DIR")));
    if libtorch.split('+').next() != Some(LIBTORCH) {
        wrong.push(format!("libtorch is {libtorch}, expected {LIBTORCH}; run scripts/setup and build again"));
    }
    if device::built_with_cuda() {
        row("CUDA", format!("built with {}", env!("STRANDNET_LIBTORCH_CUDA")));
    } else {
        row("CUDA", "not built in".into());
    }
    let devices = tch::Cuda::device_count();
    if tch::Cuda::is_available() {
        row("CUDA devices", format!("{devices} (cuda:0 to cuda:{})", devices - 1));
        row("cuDNN", if tch::Cuda::cudnn_is_available() { "available".into() } else { "not available".into() });
    } else {
        row("CUDA devices", format!("none: {}", device::why_no_cuda()));
        if has_nvidia_driver() {
            wrong.push(format!(
                "there is an NVIDIA driver and {}; {}",
                device::why_no_cuda(),
                device::how_to_get_cuda()
            ));
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    row("threads", format!("{} of libtorch, {cores} cores", tch::get_num_threads()));
    if std::env::var_os("GOMP_SPINCOUNT").is_none() && std::env::var_os("OMP_WAIT_POLICY").is_none() {
        row(
            "advice",
            "on a busy machine set GOMP_SPINCOUNT=1000, or idle threads of libtorch slow each other down".into(),
        );
    }
    if let Some((total, free)) = machine::memory() {
        row("memory", format!("{:.1} GiB, {:.1} GiB free", gib(total), gib(free)));
    }
    let bf16 = if machine::cpu_has_bf16() {
        "has bf16, so --precision auto takes it"
    } else {
        "has no bf16, so --precision auto takes f32"
    };
    row("processor", bf16.into());
    row("default device", device::choose(strandnet_core::config::DeviceChoice::Auto)?.1);
    if wrong.is_empty() {
        text.push_str("no problems found\n");
    }
    for fault in wrong {
        let _ = writeln!(text, "wrong: {fault}");
    }
    print(&text)
}

fn has_nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
