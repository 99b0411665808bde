//! What a start waits for, for so long.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uwgate_config::options::{Awaited, Hooks};
use uwgate_config::{Located, Options};
use uwgate_sys::signals;

/// How often to look.
const STEP: Duration = Duration::from_millis(100);

/// Waits for everything that the options name, servers or not.
///
/// # Errors
/// One sentence about the first that did not come in time.
pub(crate) fn wait_for_all(options: &Options, servers: bool) -> Result<(), String> {
    let is_meant = |it: &&Located<Awaited>| matches!(it.value, Awaited::Socket(_)) == servers;
    for awaited in options.hooks.wait_for.iter().filter(is_meant) {
        wait_for(&awaited.value, None, &options.hooks)
            .map_err(|problem| format!("{}: {problem}", awaited.origin))?;
    }
    Ok(())
}

/// Waits for one; paths are relative to `directory`.
pub(super) fn wait_for(
    awaited: &Awaited,
    directory: Option<&Path>,
    hooks: &Hooks,
) -> Result<(), String> {
    let (what, seconds) = describe(awaited, hooks);
    let deadline = Instant::now() + Duration::from_secs(seconds.into());
    if is_there(awaited, directory) {
        return Ok(());
    }
    tracing::info!("waiting for {what} (max {seconds} seconds)...");
    while !is_there(awaited, directory) {
        if Instant::now() >= deadline {
            return Err(format!("waited {seconds} seconds in vain for {what}"));
        }
        // One that is blocked is for whoever unblocks it, but nobody has to wait for that.
        if signals::is_pending() {
            return Err(format!("told to stop while waiting for {what}"));
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}

fn describe(awaited: &Awaited, hooks: &Hooks) -> (String, u32) {
    let path = |what: &str, path: &PathBuf| {
        (
            format!("{what} {}", path.display()),
            hooks.wait_for_fs_timeout,
        )
    };
    match awaited {
        Awaited::Interface(name) => (
            format!("interface {name}"),
            hooks.wait_for_interface_timeout,
        ),
        Awaited::Any(it) => path("file system item", it),
        Awaited::File(it) => path("file", it),
        Awaited::Directory(it) => path("directory", it),
        Awaited::Mountpoint(it) => path("mountpoint", it),
        Awaited::Socket(address) => (format!("socket {address}"), hooks.wait_for_socket_timeout),
    }
}

fn is_there(awaited: &Awaited, directory: Option<&Path>) -> bool {
    let find = |path: &PathBuf| {
        let path = directory.map_or_else(|| path.clone(), |directory| directory.join(path));
        fs::metadata(path).ok()
    };
    match awaited {
        Awaited::Interface(name) => is_up(name),
        Awaited::Any(path) => find(path).is_some(),
        Awaited::File(path) => find(path).is_some_and(|it| it.is_file()),
        Awaited::Directory(path) => find(path).is_some_and(|it| it.is_dir()),
        // Another device than the directory above it.
        Awaited::Mountpoint(path) => {
            find(path)
                .zip(find(&path.join("..")))
                .is_some_and(|(it, above)| {
                    it.is_dir() && (it.dev() != above.dev() || it.ino() == above.ino())
                })
        }
        Awaited::Socket(address) => accepts(address),
    }
}

/// The flag IFF_UP.
fn is_up(interface: &str) -> bool {
    let flags = fs::read_to_string(format!("/sys/class/net/{interface}/flags"));
    let flags = flags.ok().and_then(|flags| {
        let digits = flags.trim().trim_start_matches("0x");
        u32::from_str_radix(digits, 16).ok()
    });
    flags.is_some_and(|flags| flags & 1 == 1)
}

fn accepts(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return UnixStream::connect(address).is_ok();
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Some(addresses) = port
        .parse()
        .ok()
        .and_then(|port: u16| (host, port).to_socket_addrs().ok())
    else {
        return false;
    };
    let patience = Duration::from_secs(1);
    addresses
        .into_iter()
        .any(|address| TcpStream::connect_timeout(&address, patience).is_ok())
}
