//! What the C library's allocator keeps of freed memory. Rust and Python allocate from it both.

use rustix::mm::Advice;

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

/// Gives the pages back that lie wholly within memory that nobody will look at again, and returns their bytes. The
/// memory stays allocated, and reads as zeroes.
///
/// # Safety
/// The `len` bytes from `start` on are allocated private memory of no file, and whoever has them never reads what they
/// hold now.
pub unsafe fn empty(start: *mut u8, len: usize) -> usize {
    let page = rustix::param::page_size();
    let before = start.addr().next_multiple_of(page) - start.addr();
    let pages = len.saturating_sub(before) / page * page;
    if pages == 0 {
        return 0;
    }
    let first = start.wrapping_add(before).cast();
    // SAFETY: the pages lie within what the caller gives up. Others' memory is not touched.
    match unsafe { rustix::mm::madvise(first, pages, Advice::LinuxDontNeed) } {
        Ok(()) => pages,
        Err(_) => 0,
    }
}

/// Larger holes are mostly whole pages, which [`give_back`] has emptied: what is put there costs no more than elsewhere.
#[cfg(target_env = "gnu")]
const HOLE: usize = 8 * 1024;

/// A bound, should the heap not look as expected: so many holes are filled, and so many bytes at most.
#[cfg(target_env = "gnu")]
const HOLES: usize = 256 * 1024;
#[cfg(target_env = "gnu")]
const HOLE_BYTES: usize = 16 << 20;

/// Uses up the small pieces of free memory between those in use, for ever, so that what is allocated later lies together
/// behind them all. Returns the bytes used up.
///
/// To be called after [`give_back`], before processes are forked that share their memory until they write to it. In
/// each of them a page is copied for each piece that is taken or given back between things that never change; after the
/// import of a large application there are hundreds such pieces, but they are only a few hundred kilobytes. Elsewhere
/// than with glibc it does nothing.
pub fn fill_holes() -> usize {
    #[cfg(target_env = "gnu")]
    return filling::fill(HOLE, HOLES, HOLE_BYTES);
    #[cfg(not(target_env = "gnu"))]
    0
}

#[cfg(target_env = "gnu")]
mod filling {
    /// glibc rounds sizes up to multiples of this.
    const STEP: usize = 16;

    /// What [`give_back`](super::give_back) leaves at the end of the heap: less than two pages.
    const REST: usize = 2 * 4096;

    pub(super) fn fill(largest: usize, mut pieces: usize, mut bytes: usize) -> usize {
        let before = bytes;
        // SAFETY: with 0 it only tells where the heap ends.
        let end = unsafe { libc::sbrk(0) }.addr().saturating_sub(REST);
        // Whoever asks for the largest first does not break one large hole into many small ones.
        for size in (STEP..=largest).rev().step_by(STEP) {
            loop {
                // SAFETY: takes a number.
                let piece = unsafe { libc::malloc(size) };
                if piece.is_null() {
                    break;
                }
                if piece.addr() >= end || pieces == 0 || bytes < size {
                    // There is no hole of this size any more.
                    // SAFETY: just allocated, and not used.
                    unsafe { libc::free(piece) };
                    break;
                }
                (pieces, bytes) = (pieces - 1, bytes - size);
            }
        }
        before - bytes
    }
}
