//! What `memory-report` tells.

use rustix::fs::{Mode, OFlags};

/// Bytes of address space and of resident memory of this process; zeroes when the kernel does not tell.
pub(super) fn of_this_process() -> (u64, u64) {
    statm().unwrap_or_default()
}

fn statm() -> Option<(u64, u64)> {
    let file = rustix::fs::open(
        "/proc/self/statm",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let mut text = [0; 128];
    let len = rustix::io::read(file.ok()?, &mut text).ok()?;
    let text = str::from_utf8(text.get(..len)?).ok()?;
    let page = rustix::param::page_size() as u64;
    let mut pages = text.split(' ').map(|number| number.parse::<u64>());
    let mut next = || Some(pages.next()?.ok()? * page);
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory() {
        let (space, resident) = super::of_this_process();
        assert!(space >= resident && resident > 0, "{space} {resident}");
    }
}
