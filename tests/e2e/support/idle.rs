//! Finding a worker that has nothing to lose.

use std::fs;

use rustix::process::Signal;

use super::process::{state, try_signal};
use super::server::Server;
use super::wait::until;

/// Kills a worker that holds no connection, and returns its pid.
pub fn kill_an_idle_worker(server: &Server) -> u32 {
    until("a worker without a connection", || {
        server
            .workers()
            .into_iter()
            .find(|pid| kill_if_idle(*pid, server))
    })
}

/// Kills a worker unless it holds a connection. It is stopped first: what it held then it holds still.
pub fn kill_if_idle(pid: u32, server: &Server) -> bool {
    try_signal(pid, Signal::STOP);
    let idle = is_stopped(pid) && !has_connection(pid, server);
    try_signal(pid, if idle { Signal::KILL } else { Signal::CONT });
    idle
}

/// Waits for what the signal has begun.
fn is_stopped(pid: u32) -> bool {
    until("a signalled process to stop", || match state(pid) {
        Some('T') => Some(true),
        None | Some('Z') => Some(false),
        Some(_) => None,
    })
}

/// Whether one of the process's descriptors is a connection to the server.
fn has_connection(pid: u32, server: &Server) -> bool {
    let path = server.socket.to_string();
    let tcp = connections(&format!("/proc/{pid}/net/tcp"), 3, 9, |fields| {
        fields.get(3).is_some_and(|state| *state != "0A")
    });
    let unix = connections(&format!("/proc/{pid}/net/unix"), 5, 6, |fields| {
        fields.get(5) == Some(&"03") && fields.get(7) == Some(&path.as_str())
    });
    sockets(pid)
        .iter()
        .any(|inode| tcp.contains(inode) || unix.contains(inode))
}

/// The inodes of all sockets in a table of the kernel that satisfy `wanted`.
fn connections(
    table: &str,
    state: usize,
    inode: usize,
    wanted: impl Fn(&[&str]) -> bool,
) -> Vec<String> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let lines = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let known = fields.len() > state && wanted(&fields);
        known
            .then(|| fields.get(inode).map(|inode| (*inode).to_owned()))
            .flatten()
    });
    lines.collect()
}

fn sockets(pid: u32) -> Vec<String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let targets = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
    targets
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            Some(
                target
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect()
}
