//! Parses libtorch's out-of-memory errors, to suggest a batch size that would have fitted.
//!
//! Messages of `c10/core/impl/alloc_cpu.cpp` and `c10/cuda/CUDACachingAllocator.cpp` in PyTorch 2.11, and of the latter
//! before 2.1.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use anyhow::{Result, anyhow};

use crate::format::{self, thousands};
use crate::machine;
use crate::training::memory::{FILLED, Memory};

/// Memory that CUDA itself takes on a GPU, which is included in the figure for a process.
const CONTEXT: u128 = 512 << 20;

/// Words of messages about memory that ran out; cuBLAS and cuDNN have their own.
pub const OUT_OF_MEMORY: [&str; 5] =
    ["out of memory", "allocate memory", "bad_alloc", "ALLOC_FAILED", "HOST_ALLOCATION_FAILED"];

impl Memory {
    /// Runs training; if memory runs out, the error names a batch size that would fit. Other panics propagate.
    ///
    /// # Errors
    /// As those of the work, or memory ran out.
    pub fn explaining<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let free = machine::memory().map(|(_, free)| u128::from(free));
            match text.and_then(|text| self.explain_out_of_memory(text, free)) {
                Some(explained) => Err(anyhow!(explained)),
                None => resume_unwind(panic),
            }
        })
    }

    /// Advice for the text of a panic, if memory ran out; `free` is the free memory of the machine.
    pub fn explain_out_of_memory(&self, text: &str, free: Option<u128>) -> Option<String> {
        let shortage = Shortage::read(text)?;
        let batch = self.batch();
        let (place, had) = if shortage.on_gpu { ("the GPU", shortage.had) } else { ("this machine", free) };
        let needed = self.needed(batch);
        let fitting = match had {
            Some(had) => {
                // Training took more than there was, whatever the estimate says, so the estimate is scaled.
                let took = needed.max(had).max(shortage.took.unwrap_or(0));
                self.largest_batch((had as f64 * FILLED * needed as f64 / took as f64) as u128)
            }
            None => self.largest_batch(u128::MAX),
        };
        // If the estimate fits, its number would only confuse.
        let had = had.filter(|&had| had < needed);
        let found = had.map_or(String::new(), |had| format!(", having {} for it", format::bytes(had)));
        let batch = thousands(batch);
        Some(format!("{place} ran out of memory in batches of {batch} fragments{found}; {}", self.advice(fitting)))
    }
}

/// An out-of-memory error.
#[derive(Debug, PartialEq)]
struct Shortage {
    on_gpu: bool,
    /// On a GPU, bytes that tensors of this process had or could have had.
    had: Option<u128>,
    /// Bytes of tensors, with the failed allocation.
    took: Option<u128>,
}

impl Shortage {
    fn read(text: &str) -> Option<Self> {
        let after = |words: &str| text.split_once(words).and_then(|(_, rest)| bytes_at_start(rest));
        let before = |words: &str| text.split_once(words).and_then(|(rest, _)| bytes_at_end(rest));
        if text.contains("DefaultCPUAllocator: ") {
            return Some(Self { on_gpu: false, had: None, took: after("you tried to allocate ") });
        }
        if !OUT_OF_MEMORY.iter().any(|words| text.contains(words)) {
            return None;
        }
        let on_gpu = ["CUDA", "GPU", "CUBLAS", "CUDNN"].iter().any(|words| text.contains(words));
        let free = before(" is free").or_else(|| before(" free;"));
        // Bytes of tensors and of the space left for more.
        let tensors = before(" is allocated by PyTorch");
        let kept = before(" is reserved by PyTorch but unallocated").unwrap_or(0);
        let process = || after("this process has ").map(|bytes| bytes.saturating_sub(CONTEXT));
        let own =
            tensors.map(|tensors| tensors + kept).or_else(|| before(" reserved in total by PyTorch")).or_else(process);
        let tried = after("Tried to allocate ").unwrap_or(0);
        let had = free.zip(own).map(|(free, own)| free + own);
        Some(Self { on_gpu, had, took: own.map(|own| own + tried) })
    }
}

/// Parses a size such as `1.23 GiB`, `2 bytes` or `77` at the start of a text.
fn bytes_at_start(text: &str) -> Option<u128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].trim_end_matches('.').parse().ok()?;
    let unit = text[end..].split_whitespace().next().unwrap_or("bytes");
    let factor = match unit.get(..3) {
        Some("KiB") => 1u64 << 10,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        Some("TiB") => 1 << 40,
        _ => 1,
    };
    Some((number * factor as f64) as u128)
}

/// Parses a size at the end of a text.
fn bytes_at_end(text: &str) -> Option<u128> {
    let mut words = text.split_whitespace().rev();
    let (unit, number) = (words.next()?, words.next()?);
    bytes_at_start(&format!("{number} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BatchSize, Config, Strands};
    use crate::machine::DeviceKind;
    use crate::network::plan::Plan;

    /// As PyTorch 2.11 words it, here as the panic of the binding.
    const FULL: &str = "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.23 GiB is free. Including non-PyTorch memory, this process has 77.86 GiB memory in use. Of the allocated memory 70.10 GiB is allocated by PyTorch, and 7.12 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for Memory Management  (https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-cuda-alloc-conf)\\nException raised from malloc at /pytorch/c10/cuda/CUDACachingAllocator.cpp:1482\")";
    /// Another program has most of the GPU.
    const SHARED: &str = "CUDA out of memory. Tried to allocate 256.00 MiB. GPU 1 has a total capacity of 23.65 GiB of which 41.56 MiB is free. Process 4242 has 19.00 GiB memory in use. Including non-PyTorch memory, this process has 4.60 GiB memory in use. Of the allocated memory 4.00 GiB is allocated by PyTorch, with 12.00 MiB allocated in private pools (e.g., CUDA Graphs), and 100.00 MiB is reserved by PyTorch but unallocated.";
    /// Before PyTorch 2.1.
    const OLD: &str = "CUDA out of memory. Tried to allocate 2.26 GiB (GPU 0; 6.00 GiB total capacity; 781.59 MiB already allocated; 3.03 GiB free; 1.24 GiB reserved in total by PyTorch)";
    const CPU: &str = "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 132426121216 bytes. Error code 12 (Cannot allocate memory)\")";
    const BARE: [&str; 5] = [
        "CUDA error: out of memory",
        "CUDA out of memory. Tried to allocate more than 1EB memory.",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED, GPU out of memory",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ];
    const GIB: f64 = (1u64 << 30) as f64;

    fn memory(batch_size: usize, device: DeviceKind) -> Memory {
        let mut config = Config::default();
        config.training.batch_size = BatchSize::Of(batch_size);
        config.training.strands = Strands::Shared;
        let plan = Plan::new(&config.model, 1000, 1, config.training.strands).unwrap();
        Memory::new(&plan, &config, device, 1_000_000, 1000)
    }

    fn suggested(text: &str) -> usize {
        let (_, rest) = text.split_once("use --batch-size ").unwrap_or_else(|| panic!("{text}"));
        rest.split(',').next().unwrap().parse().unwrap()
    }

    #[test]
    fn numbers_are_read_from_every_wording() {
        let gpu = |text: &str| {
            let Shortage { on_gpu, had, took } = Shortage::read(text).unwrap();
            assert!(on_gpu, "{text}");
            [had, took].map(|bytes| bytes.map(|bytes| (bytes as f64 / GIB * 100.0).round() / 100.0))
        };
        assert_eq!(gpu(FULL), [Some(78.45), Some(79.22)]);
        assert_eq!(gpu(SHARED), [Some(4.14), Some(4.35)]);
        assert_eq!(gpu(OLD), [Some(4.27), Some(3.5)]);
        let nothing_free = FULL.replace("1.23 GiB is free", "0 bytes is free");
        assert_eq!(gpu(&nothing_free), [Some(77.22), Some(79.22)]);
        let process_only = FULL.split(" Of the allocated").next().unwrap();
        assert_eq!(gpu(process_only), [Some(78.59), Some(79.36)]);
        for bare in BARE {
            assert_eq!(gpu(bare)[0], None, "{bare}");
        }
        assert_eq!(Shortage::read(CPU), Some(Shortage { on_gpu: false, had: None, took: Some(132_426_121_216) }));
        let bare = Shortage::read("std::bad_alloc").unwrap();
        assert_eq!(bare, Shortage { on_gpu: false, had: None, took: None });
        for other in ["", "index out of bounds", "The size of tensor a (3) must match the size of tensor b (4)"] {
            assert_eq!(Shortage::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_batch_size_that_fits_is_named() {
        let gpu = DeviceKind::Gpu;
        for (text, had) in [(FULL, 78.45), (SHARED, 4.14), (OLD, 4.27)] {
            let memory = memory(1 << 18, gpu);
            let explained = memory.explain_out_of_memory(text, None).unwrap();
            let batch = suggested(&explained);
            let needed = |batch| memory.needed(batch) as f64 / GIB;
            assert!(needed(batch) < had && needed(4 * batch) > had, "{explained}");
            assert!(explained.contains(&format!("--accumulate {} ", (1 << 18) / batch)), "{explained}");
            assert!(explained.starts_with("the GPU ran out of memory in batches of 262,144 fragments, having "));
            assert!(!explained.contains('\n'));
        }
        let free = Some(16u128 << 30);
        let explained = memory(1 << 18, DeviceKind::Cpu).explain_out_of_memory(CPU, free).unwrap();
        assert!(
            explained.starts_with("this machine ran out of memory") && explained.contains("16.0 GiB"),
            "{explained}"
        );
        let needed = memory(1 << 18, DeviceKind::Cpu).needed(suggested(&explained));
        assert!(needed < 16 << 30 && needed > 2 << 30, "{explained}");
    }

    #[test]
    fn what_was_thought_to_fit_and_did_not_is_at_most_half_next_time() {
        // By the estimate 79 GiB are more than enough.
        for text in BARE.into_iter().chain([FULL]) {
            let explained = memory(512, DeviceKind::Gpu).explain_out_of_memory(text, None).unwrap();
            assert_eq!(suggested(&explained), 256, "{explained}");
        }
        let explained = memory(300, DeviceKind::Cpu).explain_out_of_memory(CPU, None).unwrap();
        assert_eq!(suggested(&explained), 256, "{explained}");
        let explained = memory(1, DeviceKind::Gpu).explain_out_of_memory(BARE[0], None).unwrap();
        assert!(explained.contains("not even --batch-size 1"), "{explained}");
    }

    #[test]
    fn a_shortage_is_explained_and_other_panics_go_on() {
        let memory = memory(512, DeviceKind::Cpu);
        let error = memory.explaining::<()>(|| panic!("{CPU}")).unwrap_err().to_string();
        assert!(error.contains("ran out of memory") && error.contains("--batch-size"), "{error}");
        assert_eq!(memory.explaining(|| Ok(7)).unwrap(), 7);
        let panic = catch_unwind(AssertUnwindSafe(|| memory.explaining::<()>(|| panic!("another")))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"another"));
    }
}
