use std::io;

use super::Pid;

/// What a process takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident memory, that shared with others included.
    pub rss: u64,
    /// Address space.
    pub vsz: u64,
}

/// How much memory a process takes now, from `/proc/PID/statm`.
pub fn memory(pid: Pid) -> io::Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let mut pages = text.split_ascii_whitespace().map(str::parse::<u64>);
    let page = rustix::param::page_size() as u64;
    match (pages.next(), pages.next()) {
        (Some(Ok(vsz)), Some(Ok(rss))) => Ok(Memory {
            rss: rss * page,
            vsz: vsz * page,
        }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
