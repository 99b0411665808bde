//! Sealed files in memory and shared arrays, within one process (see `processes.rs` for several).

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use uwgate_sys::memory::{SharedSlice, memfd, read_all};

uwgate_sys::shared_struct! {
    /// As a scoreboard has it.
    pub struct Row {
        pub requests: AtomicU64,
        pub status: AtomicU32,
        pub buckets: [AtomicU32; 5],
    }
}

#[test]
fn a_memfd_is_read_as_written_and_never_changes() {
    let fd = memfd("config", b"key = value").unwrap();
    let mut file = File::from(fd.try_clone().unwrap());
    assert!(file.write_all(b"other").is_err());
    assert!(file.set_len(0).is_err());
    assert_eq!(read_all(fd.try_clone().unwrap()).unwrap(), b"key = value");
    assert_eq!(
        read_all(fd).unwrap(),
        b"key = value",
        "from the start each time"
    );
}

#[test]
fn two_mappings_of_one_memory_see_each_other() {
    let mine = SharedSlice::<Row>::create(3).unwrap();
    assert_eq!(
        (mine.len(), mine[2].requests.load(Ordering::Relaxed)),
        (3, 0)
    );
    let theirs = SharedSlice::<Row>::attach(mine.fd().try_clone_to_owned().unwrap(), 3).unwrap();
    mine[2].requests.store(u64::MAX, Ordering::Relaxed);
    theirs[0].buckets[4].store(9, Ordering::Relaxed);
    assert_eq!(theirs[2].requests.load(Ordering::Relaxed), u64::MAX);
    assert_eq!(mine[0].buckets[4].load(Ordering::Relaxed), 9);
    drop(mine);
    assert_eq!(
        theirs[2].requests.load(Ordering::Relaxed),
        u64::MAX,
        "it outlives its creator"
    );
}

#[test]
fn rows_never_share_a_cache_line() {
    let rows = SharedSlice::<Row>::create(2).unwrap();
    let (one, two) = ((&raw const rows[0]).addr(), (&raw const rows[1]).addr());
    assert_eq!((one % 128, two % 128), (0, 0));
    assert!(two - one >= 128);
}

#[test]
fn memory_of_another_shape_or_without_seals_is_refused() {
    let rows = SharedSlice::<Row>::create(3).unwrap();
    let attach = |count| SharedSlice::<Row>::attach(rows.fd().try_clone_to_owned().unwrap(), count);
    assert_eq!(attach(4).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(attach(2).unwrap_err().kind(), ErrorKind::InvalidData);

    let unsealed =
        rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&unsealed, 8).unwrap();
    assert_eq!(
        SharedSlice::<AtomicU64>::attach(unsealed, 1)
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidData
    );
    let pipe = std::io::pipe().unwrap();
    assert!(SharedSlice::<AtomicU64>::attach(pipe.0.into(), 1).is_err());
}

#[test]
fn an_empty_array_and_one_too_large_do_no_harm() {
    assert!(SharedSlice::<Row>::create(0).unwrap().is_empty());
    assert_eq!(
        SharedSlice::<Row>::create(usize::MAX).unwrap_err().kind(),
        ErrorKind::OutOfMemory
    );
}

#[test]
fn whole_pages_within_a_piece_of_memory_are_emptied() {
    let page = 4096;
    let mut piece = vec![7u8; 16 * page];
    let start = piece.as_mut_ptr();
    let to_page = start.addr().next_multiple_of(page) - start.addr();
    // SAFETY: the piece is ours, and its old bytes are only compared with what is expected.
    let emptied = unsafe { uwgate_sys::allocator::empty(start.add(1), 16 * page - 1) };
    let first = if to_page == 0 { page } else { to_page };
    assert_eq!(emptied % page, 0);
    assert!(emptied >= 14 * page, "{emptied}");
    let is = |range: std::ops::Range<usize>, byte| piece[range].iter().all(|&it| it == byte);
    assert!(is(0..first, 7));
    assert!(is(first..first + emptied, 0));
    assert!(is(first + emptied..16 * page, 7));
    // SAFETY: as above; nothing is a whole page.
    assert_eq!(unsafe { uwgate_sys::allocator::empty(start, 1) }, 0);
}
