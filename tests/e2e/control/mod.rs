//! What an operator can tell a running instance, and how: signals, the FIFO, files, commands.
//!
//! `claims` is the table of docs/control.md; `trial` finds out, of both servers, whether it is true.

mod claims;
mod commands;
mod fifos;
mod mercy;
mod page;
mod pidfiles;
mod trial;
mod watched;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::support::Server;
use crate::support::wait::until;

/// uWSGI says that it reads a pipe before it makes it.
fn write_to(path: &Path, text: &str) {
    let open = || fs::OpenOptions::new().write(true).open(path).ok();
    let mut fifo = until("the FIFO", open);
    fifo.write_all(text.as_bytes())
        .expect("the FIFO can be written to");
}

/// Puts another value in the place of one in the server's configuration.
fn rewrite(server: &Server, from: &str, to: &str) {
    let ini = server.dir.join("server.ini");
    let text = fs::read_to_string(&ini).expect("is there");
    assert!(text.contains(from), "{from} in {text}");
    fs::write(&ini, text.replace(from, to)).expect("can be written");
}
