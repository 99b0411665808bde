//! Where an instance listens.

use super::{Argument, Row, flag, number, optional_number, parsed, socket};
use crate::address::Protocol;
use crate::entry::Entry;
use crate::options::{Options, Ownership};
use crate::origin::Located;
use crate::value::{Problem, socket_mode};

pub(super) const ROWS: &[Row] = &[
    socket("socket", None)
        .short('s')
        .help("Listen on host:port, :port, [v6]:port, a unix socket's path, or @name for an abstract one. Speaks the \
               uwsgi protocol, or what `protocol` says."),
    socket("uwsgi-socket", Some(Protocol::Uwsgi))
        .help("Listen for the uwsgi protocol, whatever `protocol` says."),
    socket("http-socket", Some(Protocol::Http))
        .aliases(&["http11-socket"])
        .help("Listen for HTTP/1.1 with keep-alive, without a router in between."),
    parsed("protocol", "PROTOCOL", read_protocol)
        .aliases(&["socket-protocol"])
        .default("uwsgi")
        .help("What plain `socket`s speak: uwsgi or http."),
    flag("abstract-socket", |o| &mut o.sockets.abstract_socket)
        .short('a')
        .help("Read unix socket paths as names in Linux' abstract namespace."),
    parsed("chmod-socket", "MODE", read_chmod)
        .aliases(&["chmod"])
        .short('C')
        .argument(Argument::Optional)
        .help("Mode of unix sockets, three octal digits such as 660; 1 or no value is 666. Without it the umask decides."),
    parsed("chown-socket", "USER[:GROUP]", read_chown)
        .help("Owner of unix sockets, set before privileges are dropped."),
    number("listen", "connections", |o| &mut o.sockets.listen)
        .short('l')
        .default("100")
        .immediate()
        .help("Connections that may wait to be accepted on each socket. More than net.core.somaxconn is an error."),
    flag("vacuum", |o| &mut o.sockets.vacuum)
        .help("Remove unix sockets and pid files when the instance ends."),
    number("socket-timeout", "seconds", |o| &mut o.sockets.socket_timeout)
        .short('z')
        .default("4")
        .help("How long a client may keep one read or write waiting."),
    flag("reuse-port", |o| &mut o.sockets.reuse_port)
        .help("Every worker binds its own TCP socket (SO_REUSEPORT). Connections queued at a dying worker are lost; leave it off unless measured."),
    flag("freebind", |o| &mut o.sockets.freebind)
        .help("Bind to addresses that the machine does not have yet (IP_FREEBIND)."),
    flag("so-keepalive", |o| &mut o.sockets.so_keepalive)
        .help("Let the kernel probe idle connections (SO_KEEPALIVE)."),
    flag("tcp-nodelay", |o| &mut o.sockets.tcp_nodelay)
        .help("Send small packets at once (TCP_NODELAY)."),
    optional_number("socket-sndbuf", "bytes", |o| &mut o.sockets.socket_sndbuf)
        .help("The kernel's send buffer for each connection (SO_SNDBUF)."),
    optional_number("socket-rcvbuf", "bytes", |o| &mut o.sockets.socket_rcvbuf)
        .help("The kernel's receive buffer for each connection (SO_RCVBUF)."),
];

fn read_protocol(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    options.sockets.protocol = match entry.text() {
        "uwsgi" => Protocol::Uwsgi,
        "http" | "http11" => Protocol::Http,
        other => {
            return Err(
                Problem::new(format!("sockets cannot speak `{other}`")).help("write uwsgi or http")
            );
        }
    };
    Ok(None)
}

fn read_chmod(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    options.sockets.chmod_socket = Some(socket_mode(entry.value.as_deref())?);
    Ok(None)
}

fn read_chown(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let (user, group) = match entry.text().split_once(':') {
        Some((user, group)) => (user, Some(group.to_owned())),
        None => (entry.text(), None),
    };
    if user.is_empty() || group.as_deref() == Some("") {
        return Err(Problem::new("expected user or user:group"));
    }
    let ownership = Ownership {
        user: user.to_owned(),
        group,
    };
    options.sockets.chown_socket = Some(Located::new(ownership, entry.origin.clone()));
    Ok(None)
}
