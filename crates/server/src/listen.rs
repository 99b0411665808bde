//! From the socket options to bound sockets, and on to workers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use uwgate_config::{Located, Options, Protocol, SocketSpec};
use uwgate_sys::listener::{self, Address, Bind, Listener};
use uwgate_sys::process as privileges;

use crate::worker::Endpoint;

/// A bound socket and what is spoken on it.
#[derive(Debug)]
pub struct Listening {
    /// What is spoken.
    pub protocol: Protocol,
    /// The socket.
    pub listener: Listener,
    /// The address as the options name it; `None` for a socket that a worker was given.
    asked: Option<String>,
}

impl std::fmt::Display for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = match self.protocol {
            Protocol::Uwsgi => "uwsgi",
            Protocol::Http => "HTTP",
        };
        write!(f, "{protocol} socket bound to {}", self.listener.address)
    }
}

impl Listening {
    /// A second handle of the same socket, for another process.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            protocol: self.protocol,
            listener: self.listener.try_clone()?,
            asked: self.asked.clone(),
        })
    }

    /// A socket that another process has bound.
    pub(crate) fn inherited(protocol: Protocol, listener: Listener) -> Self {
        Self {
            protocol,
            listener,
            asked: None,
        }
    }

    /// A socket that was bound for this address of the options, by this process before an exec.
    pub(crate) fn asked_before(protocol: Protocol, listener: Listener, asked: String) -> Self {
        Self {
            protocol,
            listener,
            asked: Some(asked),
        }
    }

    /// The address as the options name it.
    pub(crate) fn asked(&self) -> &str {
        self.asked.as_deref().unwrap_or_default()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        let address = &self.listener.address;
        Endpoint {
            protocol: self.protocol,
            name: address.to_string(),
            server_name: host_name(),
            server_port: match address {
                Address::Tcp(address) => address.port().to_string(),
                Address::Unix(_) | Address::Abstract(_) => "80".into(),
            },
        }
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.listener.fd
    }
}

/// The machine's name, as `gethostname` says it.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Binds every socket that the options name, in their order.
///
/// # Errors
/// One sentence for each socket that cannot be had, with the line that asks for it; the others are closed again.
pub fn bind(options: &Options) -> Result<Vec<Listening>, Vec<String>> {
    rebind(options, &[])
}

/// As [`bind`], but a socket that `open` has already is taken from there.
///
/// # Errors
/// As [`bind`]; nothing in `open` is changed then.
pub fn rebind(options: &Options, open: &[Listening]) -> Result<Vec<Listening>, Vec<String>> {
    let bind = bind_options(options).map_err(|problem| vec![problem])?;
    let mut listening = Vec::new();
    let mut problems = Vec::new();
    for spec in &options.sockets.sockets {
        match reuse_or_bind(spec, open, &bind) {
            Ok(socket) => listening.push(socket),
            Err(error) => problems.push(explain(spec, &error)),
        }
    }
    match problems.is_empty() {
        true => Ok(listening),
        false => Err(problems),
    }
}

fn reuse_or_bind(
    spec: &Located<SocketSpec>,
    open: &[Listening],
    bind: &Bind,
) -> io::Result<Listening> {
    let asked = Some(spec.value.address.to_string());
    if let Some(before) = open.iter().find(|before| before.asked == asked) {
        return Ok(Listening {
            protocol: spec.value.protocol,
            ..before.try_clone()?
        });
    }
    Ok(Listening {
        protocol: spec.value.protocol,
        listener: listener::bind(&resolve(&spec.value.address)?, bind)?,
        asked,
    })
}

fn bind_options(options: &Options) -> Result<Bind, String> {
    let sockets = &options.sockets;
    let owner = match &sockets.chown_socket {
        Some(owner) => Some(
            ids(&owner.value)
                .map_err(|error| format!("{}: chown-socket: {error}", owner.origin))?,
        ),
        None => None,
    };
    Ok(Bind {
        backlog: sockets.listen,
        chmod: sockets.chmod_socket,
        owner,
        reuse_port: sockets.reuse_port,
        freebind: sockets.freebind,
        keepalive: sockets.so_keepalive,
        send_buffer: sockets.socket_sndbuf.map(|bytes| bytes as usize),
        receive_buffer: sockets.socket_rcvbuf.map(|bytes| bytes as usize),
        ..Bind::default()
    })
}

fn ids(owner: &uwgate_config::options::Ownership) -> io::Result<(u32, u32)> {
    let user = privileges::resolve_user(&owner.user)?;
    let group = match &owner.group {
        Some(group) => privileges::resolve_group(group)?,
        None => u32::MAX,
    };
    Ok((user, group))
}

/// Looks a host name up; the first address counts.
fn resolve(address: &uwgate_config::Address) -> io::Result<Address> {
    use uwgate_config::{Address as Wanted, Host};
    Ok(match address {
        Wanted::Unix(path) => Address::Unix(path.clone()),
        Wanted::Abstract(name) => Address::Abstract(name.clone()),
        Wanted::Tcp { host, port } => Address::Tcp(match host {
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port),
            Some(Host::Ip(ip)) => SocketAddr::new(*ip, *port),
            Some(Host::Name(name)) => {
                let mut found = (name.as_str(), *port).to_socket_addrs()?;
                found
                    .next()
                    .ok_or_else(|| io::Error::other("the name has no address"))?
            }
        }),
    })
}

fn explain(spec: &Located<SocketSpec>, error: &io::Error) -> String {
    let address = &spec.value.address;
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the server that has it, or choose another address",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 and the directory of a unix socket need the right to bind there"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        io::ErrorKind::NotFound => "; the socket's directory does not exist",
        _ => "",
    };
    format!(
        "{}: cannot listen on {address}: {error}{advice}",
        spec.origin
    )
}
