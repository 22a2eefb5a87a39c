//! The machine that the program runs on: its memory and processor features.

pub mod threads;

use crate::config::Precision;

/// What kind of device a network computes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor, with the memory of the machine.
    Cpu,
    /// A CUDA device, with memory of its own.
    Gpu,
}

/// Resolves `--precision auto` for a device. GPUs take f32: which is faster there has not been measured yet.
pub fn resolve_precision(precision: Precision, device: DeviceKind) -> Precision {
    match precision {
        Precision::Auto if device == DeviceKind::Cpu && cpu_has_bf16() => Precision::Bf16,
        Precision::Tf32 if device == DeviceKind::Gpu => Precision::Tf32,
        Precision::Auto | Precision::Tf32 => Precision::F32,
        given => given,
    }
}

/// Total and free memory of this machine, or of its container, in bytes.
pub fn memory() -> Option<(u64, u64)> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    if total == 0 {
        return None; // no /proc, as in a bare chroot
    }
    Some(
        system
            .cgroup_limits()
            .map_or((total, free), |limits| (total.min(limits.total_memory), free.min(limits.free_memory))),
    )
}

/// Whether the processor has bfloat16 instructions; without them training in bfloat16 took ten times as long as in f32.
pub fn cpu_has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_bf16_only_where_the_processor_has_it_and_what_is_asked_for_stays() {
        let expected = if cpu_has_bf16() { Precision::Bf16 } else { Precision::F32 };
        assert_eq!(resolve_precision(Precision::Auto, DeviceKind::Cpu), expected);
        assert_eq!(resolve_precision(Precision::Auto, DeviceKind::Gpu), Precision::F32);
        for given in [Precision::F32, Precision::Bf16] {
            assert_eq!(resolve_precision(given, DeviceKind::Cpu), given);
        }
        assert_eq!(resolve_precision(Precision::Tf32, DeviceKind::Gpu), Precision::Tf32);
        assert_eq!(resolve_precision(Precision::Tf32, DeviceKind::Cpu), Precision::F32);
    }

    #[test]
    fn bf16_is_where_the_kernel_says_it_is() {
        if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
            assert_eq!(cpu_has_bf16(), text.contains(" avx512_bf16"));
        }
    }
}
