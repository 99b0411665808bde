//! What the C library's allocator keeps of freed memory. Rust and Python allocate from it both.

/// Pieces from this size on are given back to the kernel as soon as they are freed.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 4 << 20;

/// So much freed memory is kept at most for the next request.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 2 * LARGE;

/// Settles it for a process that serves requests.
///
/// glibc's own limits follow what was freed before: at first they are so low that each body of 64 KiB fetches pages
/// from the kernel and gives them back, and after one of 30 MiB that much is kept for ever. Elsewhere than with glibc
/// it does nothing.
pub fn settle() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers and changes settings of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Gives what is free back to the kernel, so that no child inherits it.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and frees only what nobody has.
    unsafe {
        libc::malloc_trim(0);
    }
}
