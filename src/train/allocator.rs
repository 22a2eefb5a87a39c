//! The C library's allocator, told what training is like: every step asks for the same tensors again.

/// Tensors of more bytes come from the system and go back to it as before: kept, they leave gaps for which memory would have
/// to be half as large again.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST_KEPT: i32 = 48 << 20;

/// Has the allocator keep freed memory for the next step. As it comes, glibc takes tensors of more than 32 MiB from the system
/// and gives them back, each time to be filled with zeros page by page: with batches of 256 this was a quarter of the
/// time of `basset`. Changes nothing elsewhere than on glibc, from version 2.35 on.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)] // Rust cannot check calls of C.
pub fn keep_freed_memory() {
    // Safety: mallopt takes numbers alone, and may be called at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() {}
