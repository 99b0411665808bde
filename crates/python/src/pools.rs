//! The free memory between Python's small objects.
//!
//! Python keeps objects of up to 512 bytes by size, in pools of 16 KiB. What imports have freed again are gaps between
//! objects that stay; whatever a worker puts there costs it a copy of the page around it. `uwgate_sys::allocator` does
//! for larger ones what is done here.

use pyo3::ffi;
use pyo3::prelude::*;
use uwgate_sys::allocator;

/// Sizes are multiples of this up to [`LARGEST`] (`Objects/obmalloc.c`).
const STEP: usize = 16;
const LARGEST: usize = 512;

/// A pool begins at a multiple of this with its header, then comes one object after the other.
const POOL: usize = 16 * 1024;
const HEADER: usize = 48;

/// A bound, should the gaps never end.
const BYTES: usize = 8 << 20;

/// Uses up the gaps, for ever, so that new objects come into pools of their own. Returns the bytes used up.
///
/// To be called before processes are forked that share their memory until they write to it. With an allocator that works
/// otherwise (`PYTHONMALLOC`, free-threaded Python) it does nothing.
pub(crate) fn fill_gaps(_attached: Python<'_>) -> usize {
    let mut filled = 0;
    for size in (STEP..=LARGEST).step_by(STEP) {
        match fill(size, BYTES.saturating_sub(filled)) {
            Some(bytes) => filled += bytes,
            None => break,
        }
    }
    filled
}

/// Fills the gaps of one size with at most `room` bytes. `None`: these are no such pools, or too many gaps. The thread
/// must be attached to the interpreter.
fn fill(size: usize, room: usize) -> Option<usize> {
    let mut filled = 0;
    let mut row = Row::default();
    loop {
        let object = Unused::new(size)?;
        let offset = (object.0.addr() % POOL).checked_sub(HEADER)?;
        if offset % size != 0 || filled + size > room {
            return None;
        }
        // The first one of a pool: if the second comes next, nothing was in it.
        if offset == 0 {
            let next = Unused::new(size)?;
            if next.0.addr() == object.0.addr() + size {
                return Some(filled);
            }
            row.add(next.keep(), size);
            filled += size;
        }
        row.add(object.keep(), size);
        filled += size;
    }
}

/// Memory that was allocated for nothing.
struct Unused(*mut u8);

impl Unused {
    fn new(size: usize) -> Option<Self> {
        // SAFETY: the thread is attached (see `fill`).
        let start = unsafe { ffi::PyObject_Malloc(size) };
        (!start.is_null()).then_some(Self(start.cast()))
    }

    fn keep(self) -> *mut u8 {
        let start = self.0;
        std::mem::forget(self);
        start
    }
}

impl Drop for Unused {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` by the same thread, which is still attached, and never used.
        unsafe { ffi::PyObject_Free(self.0.cast()) };
    }
}

/// Kept memory without a gap. The end of a pool that never held an object costs nothing, though Python has written
/// where each of them would begin.
#[derive(Default)]
struct Row {
    start: Option<*mut u8>,
    len: usize,
}

impl Row {
    fn add(&mut self, piece: *mut u8, len: usize) {
        match self.start {
            Some(start) if start.addr() + self.len == piece.addr() => self.len += len,
            _ => {
                drop(std::mem::take(self));
                (self.start, self.len) = (Some(piece), len);
            }
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some(start) = self.start {
            // SAFETY: all of it was allocated and is never freed, so nobody reads it again, Python neither.
            unsafe { allocator::empty(start, self.len) };
        }
    }
}
