//! What sums tensors of GPUs over all processes: NCCL where each of them has a GPU of its own, and else gloo, through the CPU.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Device;

use super::{Group, Launch};
use crate::cuda::nccl::{self, Nccl};

/// What a process computes on, for the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Place {
    Cpu,
    Gpu { uuid: String },
    GpuWithoutNccl,
}

impl Place {
    fn of(device: Device) -> Result<Self> {
        Ok(match device {
            Device::Cuda(index) if nccl::is_there().is_ok() => Self::Gpu { uuid: nccl::uuid(index)? },
            Device::Cuda(_) => Self::GpuWithoutNccl,
            _ => Self::Cpu,
        })
    }

    /// Why NCCL does not do for processes at these places, as a phrase.
    fn obstacle(places: &[Self]) -> Option<String> {
        let first = |wanted: &Self| places.iter().position(|place| place == wanted);
        if let Some(rank) = first(&Self::Cpu) {
            return Some(format!("process {rank} is on the CPU"));
        }
        if let Some(rank) = first(&Self::GpuWithoutNccl) {
            return Some(format!("process {rank} has no NCCL (see strandnet doctor)"));
        }
        places.iter().enumerate().find_map(|(rank, place)| {
            let other = first(place).filter(|&other| other != rank)?;
            Some(format!("processes {other} and {rank} are on the same GPU"))
        })
    }
}

impl Group {
    /// Connects the GPUs, if NCCL does for all processes.
    ///
    /// # Errors
    /// Another process ended, or they cannot reach each other.
    pub(super) fn connect_gpus(&self, device: Device) -> Result<()> {
        let Launch { rank, size, .. } = self.launch;
        let own = serde_json::to_string(&Place::of(device)?)?;
        self.set(&format!("place/{rank}"), &own)?;
        let place = |rank| Ok(serde_json::from_str(&self.get(&format!("place/{rank}"), self.seconds)?)?);
        let places = (0..size).map(place).collect::<Result<Vec<Place>>>()?;
        let means = match (Place::obstacle(&places), device) {
            (None, Device::Cuda(index)) => {
                // SAFETY: the handle is that of a group, which lives.
                let nccl = unsafe { Nccl::connect(self.handle, self.share(), index, self.seconds)? };
                let _ = self.nccl.set(nccl);
                "NCCL".into()
            }
            (Some(why), _) if places.iter().any(|place| *place != Place::Cpu) => format!("gloo on the CPU, as {why}"),
            _ => "gloo".into(),
        };
        let _ = self.means.set(means);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nccl_is_for_processes_that_have_a_gpu_each() {
        let gpu = |uuid: &str| Place::Gpu { uuid: uuid.into() };
        for (places, expected) in [
            (vec![gpu("a")], None),
            (vec![gpu("a"), gpu("b"), gpu("c")], None),
            (vec![gpu("a"), gpu("b"), gpu("a")], Some("processes 0 and 2 are on the same GPU")),
            (vec![gpu("a"), Place::Cpu], Some("process 1 is on the CPU")),
            (vec![gpu("a"), Place::GpuWithoutNccl], Some("process 1 has no NCCL (see strandnet doctor)")),
        ] {
            assert_eq!(Place::obstacle(&places).as_deref(), expected);
        }
    }
}
