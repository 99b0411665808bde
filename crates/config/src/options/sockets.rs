//! The listening sockets.

use crate::address::{Protocol, SocketSpec};
use crate::origin::Located;

/// Listening sockets and how they are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Sockets {
    /// Every socket in the order of appearance, its protocol settled.
    pub sockets: Vec<Located<SocketSpec>>,
    /// What a plain `socket` speaks (already worked into `sockets`).
    pub protocol: Protocol,
    /// Whether a unix path names an abstract socket (already worked into `sockets`).
    pub abstract_socket: bool,
    /// Mode for unix sockets, such as `0o660`.
    pub chmod_socket: Option<u32>,
    /// Owner of the unix sockets, set while still root.
    pub chown_socket: Option<Located<Ownership>>,
    /// Backlog of every socket.
    pub listen: u32,
    /// Remove unix sockets when the instance ends.
    pub vacuum: bool,
    /// Seconds a client may take for one read or write.
    pub socket_timeout: u32,
    /// Each worker binds its own TCP socket with `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Bind to addresses that the host does not have (yet).
    pub freebind: bool,
    /// `SO_KEEPALIVE` on accepted connections.
    pub so_keepalive: bool,
    /// `TCP_NODELAY` on accepted connections.
    pub tcp_nodelay: bool,
    /// `SO_SNDBUF` in bytes.
    pub socket_sndbuf: Option<u32>,
    /// `SO_RCVBUF` in bytes.
    pub socket_rcvbuf: Option<u32>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            sockets: Vec::new(),
            protocol: Protocol::Uwsgi,
            abstract_socket: false,
            chmod_socket: None,
            chown_socket: None,
            listen: 100,
            vacuum: false,
            socket_timeout: 4,
            reuse_port: false,
            freebind: false,
            so_keepalive: false,
            tcp_nodelay: false,
            socket_sndbuf: None,
            socket_rcvbuf: None,
        }
    }
}

/// `user[:group]`, each a name or a number; resolved where it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Name or number of the user.
    pub user: String,
    /// Name or number of the group, when one is given.
    pub group: Option<String>,
}
