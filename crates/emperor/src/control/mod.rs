//! The control socket, through which `uwgate ctl` (or any program that speaks its
//! [`protocol`](uwgate_ctl::protocol)) sees vassals and tells them what to do.

mod server;
mod view;

use std::path::PathBuf;

use uwgate_config::options::Emperor;
use uwgate_ctl::protocol::default_socket;

pub(crate) use self::server::{Client, Server};
pub(crate) use self::view::{deed, show_confinement, telling_line, view};

/// Where the control socket is, and whether the options say so.
pub(crate) fn path(emperor: &Emperor) -> (PathBuf, bool) {
    match &emperor.emperor_control_socket {
        Some(path) => (path.value.clone(), true),
        None => {
            let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
            let is_root = rustix::process::geteuid().is_root();
            (default_socket(is_root, own.map(PathBuf::from)), false)
        }
    }
}
