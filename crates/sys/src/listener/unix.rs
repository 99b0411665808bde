//! Unix sockets: whose file is it, may it go, and who may connect.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::process::{Gid, Uid};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Bind, listen, new_socket};

/// Tells one socket file from another that took its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// `None` when there is no socket at `path`.
    pub(super) fn of_socket(path: &Path) -> Option<FileId> {
        let stat = rustix::fs::lstat(path).ok()?;
        is_socket(&stat).then_some(FileId {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

fn is_socket(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Socket
}

pub(super) fn bind_abstract(name: &SockAddr, options: &Bind) -> io::Result<Socket> {
    let socket = new_socket(Domain::UNIX, None, options)?;
    socket.bind(name)?;
    listen(&socket, options)?;
    Ok(socket)
}

pub(super) fn bind(path: &Path, name: &SockAddr, options: &Bind) -> io::Result<Socket> {
    clear_the_way(path, name)?;
    let socket = new_socket(Domain::UNIX, None, options)?;
    if let Some(mode) = options.chmod {
        // On Linux a socket's file is made with the socket's own mode less the umask: no moment of a wider mode.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode & 0o777))?;
    }
    socket.bind(name)?;
    let file = open_socket_file(path)?;
    if let Some((user, group)) = options.owner {
        change_owner(&file, user, group)?;
    }
    if let Some(mode) = options.chmod {
        change_mode(&file, mode)?;
    }
    listen(&socket, options)?;
    Ok(socket)
}

/// Removes the socket that a dead server left. Asks first whether somebody answers: two servers started on one path
/// by mistake must not steal it from each other.
fn clear_the_way(path: &Path, name: &SockAddr) -> io::Result<()> {
    let Ok(stat) = rustix::fs::lstat(path) else {
        return Ok(());
    };
    if !is_socket(&stat) {
        let why = format!(
            "{} exists and is not a socket: move it away",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(name) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let why = format!(
                "{} exists and we may not ask whether it is in use: {error}",
                path.display()
            );
            Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
        }
        // Connected, or a full queue (EAGAIN), or a socket of another type (EPROTOTYPE): somebody is there.
        _ => {
            let why = format!("{} is in use by a running server", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A handle on the file itself, so that what is changed next is the socket just bound and not what somebody may have
/// put in its place.
fn open_socket_file(path: &Path) -> io::Result<OwnedFd> {
    let file = rustix::fs::open(
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if !is_socket(&rustix::fs::fstat(&file)?) {
        let why = format!("{} was replaced while it was being set up", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    }
    Ok(file)
}

fn change_owner(file: &OwnedFd, user: u32, group: u32) -> io::Result<()> {
    let user = (user != u32::MAX).then(|| Uid::from_raw(user));
    let group = (group != u32::MAX).then(|| Gid::from_raw(group));
    Ok(rustix::fs::chownat(
        file,
        "",
        user,
        group,
        AtFlags::EMPTY_PATH,
    )?)
}

/// The only call that changes the mode through a handle of this kind in kernels before 6.6.
fn change_mode(file: &OwnedFd, mode: u32) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::chmodat(
        CWD,
        path,
        Mode::from_raw_mode(mode & 0o777),
        AtFlags::empty(),
    )?)
}
