//! From the socket options to bound sockets, and on to workers.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use uwgate_config::{Located, Options, Protocol, SocketSpec};
use uwgate_sys::listener::{self, Address, Bind, Listener};
use uwgate_sys::process::{self as privileges, Identity};

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
    /// The service manager's or the emperor's, not ours to remove or to close for good.
    activated: bool,
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
            activated: self.activated,
        })
    }

    /// A socket that another process has bound.
    pub(crate) fn inherited(protocol: Protocol, listener: Listener) -> Self {
        Self {
            protocol,
            listener,
            asked: None,
            activated: false,
        }
    }

    /// A socket that was bound for this address of the options, by this process before an exec.
    pub(crate) fn asked_before(protocol: Protocol, listener: Listener, asked: String) -> Self {
        Self {
            protocol,
            listener,
            asked: Some(asked),
            activated: false,
        }
    }

    /// A socket of the service manager or the emperor, which speaks what the options make of it.
    pub(crate) fn activated(listener: Listener) -> Self {
        Self {
            protocol: Protocol::Uwsgi,
            listener: listener.of_somebody_else(),
            asked: None,
            activated: true,
        }
    }

    /// Whether the service manager or the emperor brought it.
    pub(crate) fn is_activated(&self) -> bool {
        self.activated
    }

    /// The address as the options name it.
    pub(crate) fn asked(&self) -> &str {
        self.asked.as_deref().unwrap_or_default()
    }

    /// Whether this is the socket that `address` names.
    fn is_at(&self, address: &uwgate_config::Address) -> bool {
        self.asked.as_ref() == Some(&address.to_string())
            || self.activated
                && resolve(address).is_ok_and(|named| same(&named, &self.listener.address))
    }

    /// What its connections know of it; `door`: its number.
    pub(crate) fn endpoint(&self, door: u16) -> Endpoint {
        let address = &self.listener.address;
        Endpoint {
            protocol: self.protocol,
            door,
            is_unix: !matches!(address, Address::Tcp(_)),
            name: address.to_string(),
            server_name: host_name(),
            server_port: match address {
                Address::Tcp(address) => address.port().to_string(),
                Address::Unix(_) | Address::Abstract(_) => "80".into(),
            },
        }
    }

    /// Has the kernel put nobody into the queue any more, in which they would wait for a reset: who connects from now
    /// on is left waiting for the moment in which the last worker has emptied the queue and closes it, and is refused.
    pub(crate) fn close_queue(&self) {
        // The other goes on with a socket of its own.
        if !self.activated {
            let _ = rustix::net::listen(&self.listener.fd, 0);
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

/// Binds every socket that the options name, in their order. What the service manager or the emperor brings is taken
/// from there, and what nobody names of it speaks what `protocol` says. The files of unix sockets belong to `owner`, who the instance
/// is about to become, as if that one had made them: so a reload can replace them, and the front end that runs as the
/// same user can connect.
///
/// # Errors
/// One sentence for each socket that cannot be had, with the line that asks for it; the others are closed again.
pub fn bind(options: &Options, owner: Option<&Identity>) -> Result<Vec<Listening>, Vec<String>> {
    let mut brought = activated_sockets().map_err(|error| {
        vec![format!(
            "the sockets of the service manager (LISTEN_FDS): {error}"
        )]
    })?;
    let lent = lent_socket();
    brought.extend(lent.map_err(|error| vec![format!("the socket on standard input: {error}")])?);
    let owner = owner.filter(|_| rustix::process::geteuid().is_root());
    listen(options, &brought, owner.map(|it| (it.uid, it.gid)))
}

/// The first descriptor of sd_listen_fds(3).
const FIRST_BROUGHT: RawFd = 3;

fn activated_sockets() -> io::Result<Vec<Listening>> {
    let var = |name| std::env::var(name).ok();
    let mut brought = Vec::new();
    for number in brought_numbers(var("LISTEN_PID"), var("LISTEN_FDS"), std::process::id()) {
        let listener = listener::adopt(privileges::inherited(number)?)?;
        tracing::info!("socket {} comes from the service manager", listener.address);
        brought.push(Listening::activated(listener));
    }
    Ok(brought)
}

/// The socket that is standard input: an emperor lends it to a vassal on demand, whoever connects to it next starts it.
fn lent_socket() -> io::Result<Option<Listening>> {
    let stdin = rustix::stdio::stdin();
    if !rustix::net::sockopt::socket_acceptconn(stdin).unwrap_or(false) {
        return Ok(None);
    }
    let listener = listener::adopt(stdin.try_clone_to_owned()?)?;
    // No process of the instance is to keep it open unknowingly.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let family = match listener.address {
        Address::Tcp(_) => "INET",
        Address::Unix(_) | Address::Abstract(_) => "UNIX",
    };
    tracing::info!(
        "uwsgi socket 0 inherited {family} address {} fd 0",
        listener.address
    );
    Ok(Some(Listening::activated(listener)))
}

fn brought_numbers(pid: Option<String>, count: Option<String>, this: u32) -> Range<RawFd> {
    let is_ours = pid.is_some_and(|pid| pid.parse() == Ok(this));
    let count = count.and_then(|count| count.parse::<u16>().ok());
    FIRST_BROUGHT..FIRST_BROUGHT + RawFd::from(count.filter(|_| is_ours).unwrap_or(0))
}

/// Whether two names lead to one socket. Any address of either family is one: systemd listens on both at once.
fn same(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => {
            let both_any = one.ip().is_unspecified() && other.ip().is_unspecified();
            one.port() == other.port() && (both_any || one.ip() == other.ip())
        }
        (Address::Unix(one), Address::Unix(other)) => {
            let full = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            full(one) == full(other)
        }
        (one, other) => one == other,
    }
}

/// As [`bind`], but a socket that `open` has already is taken from there.
///
/// # Errors
/// As [`bind`]; nothing in `open` is changed then.
pub fn rebind(options: &Options, open: &[Listening]) -> Result<Vec<Listening>, Vec<String>> {
    listen(options, open, None)
}

fn listen(
    options: &Options,
    open: &[Listening],
    owner: Option<(u32, u32)>,
) -> Result<Vec<Listening>, Vec<String>> {
    let bind = how_to_bind(options, owner).map_err(|problem| vec![problem])?;
    let mut listening = Vec::new();
    let mut problems = Vec::new();
    let sockets = &options.sockets.sockets;
    for spec in sockets {
        match reuse_or_bind(spec, open, &bind) {
            Ok(socket) => listening.push(socket),
            Err(error) => problems.push(explain(spec, &error)),
        }
    }
    for unnamed in open.iter().filter(|socket| socket.activated) {
        let named = sockets
            .iter()
            .any(|spec| unnamed.is_at(&spec.value.address));
        match unnamed.try_clone() {
            Ok(socket) if !named => listening.push(Listening {
                protocol: options.sockets.protocol,
                ..socket
            }),
            Ok(_) => {}
            Err(error) => problems.push(error.to_string()),
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
    if let Some(before) = open.iter().find(|it| it.is_at(&spec.value.address)) {
        return Ok(Listening {
            protocol: spec.value.protocol,
            ..before.try_clone()?
        });
    }
    Ok(Listening {
        protocol: spec.value.protocol,
        listener: listener::bind(&resolve(&spec.value.address)?, bind)?,
        asked: Some(spec.value.address.to_string()),
        activated: false,
    })
}

/// How the options want sockets bound; files of unix sockets belong to `owner` unless they say to whom.
///
/// # Errors
/// One sentence about a user or group that does not exist.
pub fn how_to_bind(options: &Options, owner: Option<(u32, u32)>) -> Result<Bind, String> {
    let sockets = &options.sockets;
    let owner = match &sockets.chown_socket {
        Some(named) => {
            let (user, group) = ids(&named.value)
                .map_err(|error| format!("{}: chown-socket: {error}", named.origin))?;
            let or_ours = |group| owner.map_or(group, |(_, ours)| ours);
            Some(match group {
                u32::MAX => (user, or_ours(group)),
                group => (user, group),
            })
        }
        None => owner,
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
///
/// # Errors
/// When the name has no address.
pub fn resolve(address: &uwgate_config::Address) -> io::Result<Address> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_service_manager_are_counted_for_the_right_process_only() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(brought_numbers(some("7"), some("2"), 7), 3..5);
        assert!(brought_numbers(some("8"), some("2"), 7).is_empty());
        assert!(brought_numbers(None, some("2"), 7).is_empty());
        assert!(brought_numbers(some("7"), some("two"), 7).is_empty());
    }

    #[test]
    fn a_socket_on_all_addresses_is_one_whatever_the_family() {
        let tcp = |text: &str| Address::Tcp(text.parse().unwrap());
        assert!(same(&tcp("0.0.0.0:80"), &tcp("[::]:80")));
        assert!(!same(&tcp("0.0.0.0:80"), &tcp("[::]:81")));
        assert!(!same(&tcp("127.0.0.1:80"), &tcp("[::]:80")));
        assert!(same(
            &Address::Unix("/tmp/../tmp/".into()),
            &Address::Unix("/tmp".into())
        ));
    }
}
