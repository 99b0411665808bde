//! Socket addresses as uWSGI writes them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::value::Problem;

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The uwsgi binary protocol.
    Uwsgi,
    /// HTTP/1.1.
    Http,
}

/// One socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSpec {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where it is.
    pub address: Address,
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host:port`, `:port`, `[v6]:port`; port 0 lets the kernel choose.
    Tcp {
        /// `None` is every IPv4 address of the machine.
        host: Option<Host>,
        /// The port.
        port: u16,
    },
    /// A path in the file system.
    Unix(PathBuf),
    /// A name in Linux' abstract namespace, without the leading NUL.
    Abstract(Vec<u8>),
}

/// The host part of a TCP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A literal address.
    Ip(IpAddr),
    /// A name to look up when the socket is bound.
    Name(String),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The form in which it would be written in a configuration.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(f, ":{port}"),
            Self::Tcp {
                host: Some(host),
                port,
            } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// As options take it; the error is one sentence.
impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, false).map_err(|problem| problem.message)
    }
}

/// Longest unix socket name the kernel takes (`sockaddr_un.sun_path` without its final NUL).
const MAX_UNIX_NAME: usize = 107;

/// uWSGI's rule: a colon makes it TCP, a leading `@` abstract, and everything else is a path.
pub(crate) fn parse(text: &str, abstract_socket: bool) -> Result<Address, Problem> {
    if text.is_empty() {
        return Err(Problem::new("expected an address")
            .help("write host:port, :port or the path of a unix socket"));
    }
    if let Some(name) = text.strip_prefix('@') {
        return unix_name(name).map(|name| Address::Abstract(name.as_bytes().to_vec()));
    }
    if let Some(number) = text.strip_prefix('=') {
        return Err(Problem::new(format!(
            "shared socket {number} cannot be used: shared sockets are not supported"
        ))
        .help("write the address itself; sockets are bound before privileges are dropped"));
    }
    if text.starts_with("fd://") {
        return Err(
            Problem::new("an inherited descriptor cannot be named as a socket")
                .help("write the address itself"),
        );
    }
    match text.rsplit_once(':') {
        Some((host, port)) => tcp(host, port),
        None if abstract_socket => {
            unix_name(text).map(|name| Address::Abstract(name.as_bytes().to_vec()))
        }
        None => unix_name(text).map(|path| Address::Unix(path.into())),
    }
}

fn unix_name(name: &str) -> Result<&str, Problem> {
    if name.is_empty() {
        return Err(Problem::new("expected a name for the abstract socket"));
    }
    if name.len() > MAX_UNIX_NAME {
        return Err(Problem::new(format!(
            "a unix socket's name has at most {MAX_UNIX_NAME} bytes, this one {}",
            name.len()
        )));
    }
    Ok(name)
}

fn tcp(host: &str, port: &str) -> Result<Address, Problem> {
    let Ok(port) = port.parse() else {
        return Err(Problem::new(format!(
            "expected a port from 0 to 65535 after the last colon, found `{port}`"
        ))
        .help("a unix socket's path cannot contain a colon"));
    };
    Ok(Address::Tcp {
        host: host_of(host)?,
        port,
    })
}

fn host_of(host: &str) -> Result<Option<Host>, Problem> {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return match inner.parse() {
            Ok(ip) => Ok(Some(Host::Ip(IpAddr::V6(ip)))),
            Err(_) => Err(Problem::new(format!("`{inner}` is not an IPv6 address"))),
        };
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Some(Host::Ip(IpAddr::V4(ip))));
    }
    match host {
        "" | "*" => Ok(None),
        _ if host.contains('*') => Err(Problem::new(
            "patterns over the addresses of this machine are not supported",
        )
        .help("write the address, or `:port` for all of them")),
        _ if host.contains(':') => {
            Err(Problem::new("an IPv6 address needs brackets").help("write it as [address]:port"))
        }
        _ if host.contains(['/', ' ']) => Err(Problem::new(format!("`{host}` is not a host name"))
            .help("write host:port, :port or the path of a unix socket")),
        _ => Ok(Some(Host::Name(host.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn tcp_at(host: Option<Host>, port: u16) -> Address {
        Address::Tcp { host, port }
    }

    #[test]
    fn each_form_of_an_address() {
        let v4 = |a, b, c, d| Some(Host::Ip(IpAddr::V4(Ipv4Addr::new(a, b, c, d))));
        for (text, expected) in [
            (":8080", tcp_at(None, 8080)),
            ("*:8080", tcp_at(None, 8080)),
            ("0.0.0.0:80", tcp_at(v4(0, 0, 0, 0), 80)),
            ("127.0.0.1:0", tcp_at(v4(127, 0, 0, 1), 0)),
            (
                "[::1]:8080",
                tcp_at(Some(Host::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST))), 8080),
            ),
            (
                "localhost:3031",
                tcp_at(Some(Host::Name("localhost".into())), 3031),
            ),
            ("/run/app.sock", Address::Unix("/run/app.sock".into())),
            ("app.sock", Address::Unix("app.sock".into())),
            ("@app", Address::Abstract(b"app".to_vec())),
        ] {
            assert_eq!(parse(text, false), Ok(expected.clone()), "{text}");
            if text != "*:8080" {
                assert_eq!(expected.to_string(), text);
            }
        }
        assert_eq!(
            parse("/run/app", true),
            Ok(Address::Abstract(b"/run/app".to_vec()))
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            ":",
            ":http",
            ":65536",
            ":-1",
            "::1:80",
            "[x]:80",
            "=0",
            "fd://3",
            "192.168.*:80",
            "/run/a:b",
            "a b:80",
        ] {
            assert!(parse(text, false).is_err(), "{text}");
        }
        assert!(parse(&"x".repeat(108), false).is_err());
        assert!(parse(&"x".repeat(107), false).is_ok());
    }
}
