//! Where a listener is.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use socket2::SockAddr;

/// Where to listen. Displays as uWSGI writes it: `127.0.0.1:8080`, `[::1]:8080`, `/path`, `@name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4 or IPv6; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A file.
    Unix(PathBuf),
    /// A name in the kernel, without the leading NUL.
    /// uWSGI counts a NUL *after* the name too: to meet its clients, put one there.
    Abstract(Vec<u8>),
}

impl Address {
    /// The file of a unix socket.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) | Address::Abstract(_) => None,
        }
    }

    pub(crate) fn to_sockaddr(&self) -> io::Result<SockAddr> {
        match self {
            Address::Tcp(address) => Ok(SockAddr::from(*address)),
            Address::Unix(path) if path.as_os_str().is_empty() => {
                Err(invalid("the path of a unix socket is empty"))
            }
            Address::Unix(path) => SockAddr::unix(path),
            Address::Abstract(name) if name.is_empty() => {
                Err(invalid("the name of an abstract socket is empty"))
            }
            Address::Abstract(name) => {
                let name: Vec<u8> = [0].iter().chain(name).copied().collect();
                SockAddr::unix(OsStr::from_bytes(&name))
            }
        }
    }

    pub(super) fn of(name: &SockAddr) -> io::Result<Address> {
        if let Some(address) = name.as_socket() {
            return Ok(Address::Tcp(address));
        }
        if let Some(path) = name.as_pathname() {
            return Ok(Address::Unix(path.to_owned()));
        }
        let name = name
            .as_abstract_namespace()
            .ok_or_else(|| invalid("a socket that is neither TCP nor unix"))?;
        Ok(Address::Abstract(name.to_vec()))
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
            Address::Abstract(name) => {
                let name = name.strip_suffix(b"\0").unwrap_or(name);
                write!(f, "@{}", name.escape_ascii())
            }
        }
    }
}
