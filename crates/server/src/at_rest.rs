//! The memory of a process that has started, and has little to do from then on.

use std::time::Duration;

use uwgate_sys::{allocator, file_pages};

/// When nothing has happened for so long, nothing more is expected.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// Gives back what only starting, reloading and the like need: the parts of programs and libraries that are not used any
/// more, and freed memory. It takes a millisecond; what is needed after all costs a microsecond or so for each 64 KiB.
///
/// `who` is for the log.
pub(crate) fn keep_only_what_is_needed(who: &str) {
    let_go_of_files(who);
    // After that, as it needs some memory itself.
    allocator::give_back();
}

/// The same without freed memory: a worker's lies among what it shares with others until it writes to it.
pub(crate) fn let_go_of_files(who: &str) {
    match file_pages::let_go() {
        Ok(bytes) => tracing::debug!("the {who} rests, without {} KiB of files", bytes / 1024),
        Err(error) => tracing::debug!("the {who} keeps what it has: {error}"),
    }
}
