//! Log lines: what they say (`request`, `lines`), how a process writes them (`outlet`), and where the master sends
//! them when an option asks for more than that (`collector`).

mod collector;
mod escape;
mod file;
mod formats;
mod gate;
mod lines;
mod logs;
mod memory;
mod outlet;
pub(crate) mod request;
mod share;
mod times;

use std::io;
use std::os::fd::OwnedFd;

use uwgate_config::Options;

pub(crate) use collector::{Originals, Pipe, Pipes};
pub use lines::{Stream, write_as_server, write_printed};
pub(crate) use logs::{LeftPipes, Logs, bequeath};
pub use outlet::{write_line, write_lines};
pub(crate) use share::LogShare;

/// Makes `tracing` events of this process lines on file descriptor 2.
///
/// Called once at the start of each role; a second call changes nothing.
pub fn init() {
    let _ = tracing::subscriber::set_global_default(lines::Lines);
}

/// Has this process write its own lines in the form that the options say.
pub fn adopt_style(options: &Options) {
    lines::adopt(&options.log);
}

/// Has this process, which has inherited its log, write it as the options say. Works once in a process.
///
/// # Errors
/// When `share` is not what a master of this version hands over.
pub(crate) fn inherit(
    options: &Options,
    share: OwnedFd,
    requests: Option<OwnedFd>,
) -> io::Result<()> {
    let file = logs::direct_file(options, file::Manners::default());
    let file = file.map(|file| file.path().to_owned());
    let collected = options.log.collects();
    outlet::set_up(file, LogShare::attach(share)?, requests, collected);
    lines::adopt(&options.log);
    Ok(())
}
