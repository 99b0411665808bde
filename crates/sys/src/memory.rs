//! Shared memory: sealed byte files for one-time messages, and arrays of atomics for hot state.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// A file in memory that holds `bytes` and can never change again, close-on-exec. `name` shows in `/proc/PID/fd`.
pub fn memfd(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// An empty file in memory, close-on-exec.
pub(crate) fn memfd_empty(name: &str) -> io::Result<OwnedFd> {
    create(name)
}

/// All bytes of a [`memfd`] (or another seekable file), from its start, whatever its position was.
pub fn read_all(fd: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(fd);
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn create(name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create(
        name,
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?)
}

/// Types that may live in memory shared between processes.
///
/// # Safety
/// Every bit pattern is a valid value (zeroes first of all), all access through `&Self` is atomic,
/// and there is nothing to drop and no pointer inside.
pub unsafe trait Plain: Send + Sync + 'static {}

macro_rules! plain_atomics {
    ($($atomic:ty)*) => { $(
        // SAFETY: an atomic integer is valid for all bit patterns and is only reached by atomic operations.
        unsafe impl Plain for $atomic {}
    )* };
}
plain_atomics!(AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicI32 AtomicI64);

// SAFETY: an array has nothing but its items, each of which is `Plain`.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Declares a struct of atomics for [`SharedSlice`], aligned to a pair of cache lines (128 bytes) so that two
/// neighbours never share one, not even by the adjacent-line prefetch.
///
/// ```
/// use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
///
/// uwgate_sys::shared_struct! {
///     /// What one worker thread tells.
///     pub struct Row {
///         /// Requests so far.
///         pub requests: AtomicU64,
///         /// Idle or busy.
///         pub status: AtomicU32,
///     }
/// }
///
/// let rows = uwgate_sys::memory::SharedSlice::<Row>::create(4)?;
/// rows[2].requests.fetch_add(1, Ordering::Relaxed);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A field that is not an atomic integer, an array of them or another shared struct does not compile:
///
/// ```compile_fail
/// uwgate_sys::shared_struct! {
///     pub struct Row { pub name: String }
/// }
/// ```
#[macro_export]
macro_rules! shared_struct {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $( $(#[$field_attribute:meta])* $field_visibility:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[repr(C, align(128))]
        #[derive(Debug)]
        $visibility struct $name {
            $( $(#[$field_attribute])* $field_visibility $field: $type ),*
        }

        // SAFETY: the constant below compiles only when every field is itself `Plain`, padding is never read,
        // and the macro adds no `Drop`.
        unsafe impl $crate::memory::Plain for $name {}

        impl $name {
            /// The fields in their order: memory of another version of the program is only of use if it has the same.
            #[allow(dead_code, reason = "not every struct outlives its program")]
            $visibility const LAYOUT: &'static str = concat!($( stringify!($field), "," ),*);
        }

        const _: () = {
            const fn each_field_is_plain<T: $crate::memory::Plain>() {}
            $( each_field_is_plain::<$type>(); )*
        };
    };
}

/// A fixed array of `T` in memory that several processes share, zeroed at first.
///
/// The creator hands [`fd`](Self::fd) to the others (over exec or a channel), who [`attach`](Self::attach);
/// a forked child has it already. The memory lives as long as anyone holds it.
#[derive(Debug)]
pub struct SharedSlice<T: Plain> {
    fd: OwnedFd,
    items: NonNull<T>,
    count: usize,
    owns: PhantomData<T>,
}

// SAFETY: `items` is only ever lent as `&[T]`, and `T: Plain` is `Send + Sync`.
unsafe impl<T: Plain> Send for SharedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for SharedSlice<T> {}

impl<T: Plain> SharedSlice<T> {
    /// Makes `count` zeroed items.
    pub fn create(count: usize) -> io::Result<SharedSlice<T>> {
        let fd = create("uwgate-shared")?;
        rustix::fs::ftruncate(&fd, byte_len::<T>(count)? as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SIZE_SEALS)?;
        SharedSlice::attach(fd, count)
    }

    /// Maps what another process created with the same `T` and `count`.
    ///
    /// `InvalidData` when the size differs (another version of the program) or could still change.
    pub fn attach(fd: OwnedFd, count: usize) -> io::Result<SharedSlice<T>> {
        let len = byte_len::<T>(count)?;
        let size = rustix::fs::fstat(&fd)?.st_size;
        if u64::try_from(size) != Ok(len as u64) {
            let why = format!("shared memory has {size} bytes where {count} items need {len}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if !rustix::fs::fcntl_get_seals(&fd)?.contains(SIZE_SEALS) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "shared memory that is not sealed could shrink",
            ));
        }
        let items = map(&fd, len)?.cast();
        Ok(SharedSlice {
            fd,
            items,
            count,
            owns: PhantomData,
        })
    }

    /// The descriptor to give to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Without these a peer could shrink the file, and touching the mapping would be a SIGBUS.
const SIZE_SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// At least one byte, as mmap refuses none; alignment beyond a page would be lost.
fn byte_len<T>(count: usize) -> io::Result<usize> {
    const { assert!(align_of::<T>() <= 4096) };
    let len = size_of::<T>()
        .checked_mul(count)
        .filter(|&len| isize::try_from(len).is_ok());
    len.map(|len| len.max(1))
        .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

fn map(fd: &OwnedFd, len: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: no address is asked for, so no existing mapping is touched; the file is sealed to exactly `len` bytes,
    // so every page of the mapping stays backed.
    let start = unsafe {
        rustix::mm::mmap(
            ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            fd,
            0,
        )?
    };
    NonNull::new(start.cast())
        .ok_or_else(|| io::Error::other("the kernel mapped memory at address zero"))
}

impl<T: Plain> Deref for SharedSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds `count` items at page alignment and lives as long as `self`; `Plain` makes any
        // content valid, and other processes reach it only by atomic operations.
        unsafe { slice::from_raw_parts(self.items.as_ptr(), self.count) }
    }
}

impl<T: Plain> Drop for SharedSlice<T> {
    fn drop(&mut self) {
        let Ok(len) = byte_len::<T>(self.count) else {
            return;
        };
        // SAFETY: this is the mapping made in `attach`; all borrows of it ended before drop.
        let _ = unsafe { rustix::mm::munmap(self.items.as_ptr().cast(), len) };
    }
}
