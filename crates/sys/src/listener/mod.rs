//! Listening sockets: TCP, unix and abstract.

mod address;
mod queue;
mod unix;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub use address::Address;
pub use queue::{Queue, somaxconn};

/// How to bind. The default is uWSGI's: a queue of 100, the mode that the umask leaves, our own user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Length of the queue of connections not yet accepted (`listen`); the kernel cuts it to [`somaxconn`].
    pub backlog: u32,
    /// Exact mode of a unix socket's file, whatever the umask; `None`: 0777 less the umask.
    pub chmod: Option<u32>,
    /// User and group id that get a unix socket's file; a part that is `u32::MAX` stays as it is.
    pub owner: Option<(u32, u32)>,
    /// Several sockets share the port and the kernel spreads connections among them (TCP).
    pub reuse_port: bool,
    /// May bind an address this host does not have yet (TCP).
    pub freebind: bool,
    /// Connections do not gather small pieces (TCP); they inherit it, which saves a call for each.
    pub nodelay: bool,
    /// Connections probe an idle peer (TCP); inherited as well.
    pub keepalive: bool,
    /// A connection shows up only when its first bytes are there, or after this time (TCP, whole seconds).
    pub defer_accept: Option<Duration>,
    /// Length of the queue of fast-open requests (TCP).
    pub fast_open: Option<u32>,
    /// Bytes of the kernel's send buffer; inherited by connections.
    pub send_buffer: Option<usize>,
    /// Bytes of the kernel's receive buffer; inherited by connections.
    pub receive_buffer: Option<usize>,
}

impl Default for Bind {
    fn default() -> Bind {
        Bind {
            backlog: 100,
            chmod: None,
            owner: None,
            reuse_port: false,
            freebind: false,
            nodelay: true,
            keepalive: false,
            defer_accept: None,
            fast_open: None,
            send_buffer: None,
            receive_buffer: None,
        }
    }
}

/// A socket that takes connections: non-blocking, close-on-exec. Dropping it closes it and leaves its file.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub fd: OwnedFd,
    /// Where it listens: as the kernel says, so with the real port where 0 was asked for.
    pub address: Address,
    file: Option<unix::FileId>,
}

/// Makes a socket and listens on `address`.
///
/// Of a unix socket, a file left by a dead server is replaced, and the new one never has a wider mode than asked for.
///
/// `AddrInUse`: somebody listens there, also behind a unix socket's file. `AlreadyExists`: the path is something else
/// than a socket. `PermissionDenied`, `NotFound` (directory), `InvalidInput` (path over 107 bytes) as the kernel says.
pub fn bind(address: &Address, options: &Bind) -> io::Result<Listener> {
    let name = address.to_sockaddr()?;
    let socket = match address {
        Address::Tcp(_) => bind_tcp(&name, options)?,
        Address::Unix(path) => unix::bind(path, &name, options)?,
        Address::Abstract(_) => unix::bind_abstract(&name, options)?,
    };
    let listener = Listener::of(socket)?;
    Ok(listener)
}

fn bind_tcp(name: &SockAddr, options: &Bind) -> io::Result<Socket> {
    let socket = new_socket(name.domain(), Some(Protocol::TCP), options)?;
    if name.domain() == Domain::IPV6 {
        // [::] takes IPv4 as well, whatever the host's default.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    socket.set_tcp_nodelay(options.nodelay)?;
    socket.set_keepalive(options.keepalive)?;
    if options.freebind {
        set_freebind(&socket, name.domain())?;
    }
    if let Some(patience) = options.defer_accept {
        set_tcp_option(&socket, libc::TCP_DEFER_ACCEPT, patience.as_secs().max(1))?;
    }
    if let Some(queue) = options.fast_open {
        set_tcp_option(&socket, libc::TCP_FASTOPEN, queue.into())?;
    }
    socket.bind(name)?;
    if is_loopback(name) {
        // Whoever may not choose it does without.
        let _ = rustix::net::sockopt::set_tcp_congestion(&socket, ON_LOOPBACK);
    }
    listen(&socket, options)?;
    Ok(socket)
}

/// How connections on the loopback keep from congesting it; they inherit it. An algorithm that spaces its packets, such
/// as the system's if that is `bbr`, sets a timer for each few of them, which may take as long as all the rest of a large
/// answer; and there is nothing between sender and receiver that could be congested.
const ON_LOOPBACK: &str = "reno";

fn is_loopback(name: &SockAddr) -> bool {
    name.as_socket()
        .is_some_and(|address| address.ip().to_canonical().is_loopback())
}

fn new_socket(domain: Domain, protocol: Option<Protocol>, options: &Bind) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), protocol)?;
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

fn set_freebind(socket: &Socket, domain: Domain) -> io::Result<()> {
    if domain == Domain::IPV6 {
        socket.set_freebind_v6(true)
    } else {
        socket.set_freebind_v4(true)
    }
}

fn set_tcp_option(socket: &Socket, option: libc::c_int, value: u64) -> io::Result<()> {
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    // SAFETY: the option is an int, and the pointer and size are those of one that outlives the call.
    let result = unsafe {
        let (value, len) = (
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, value, len)
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn listen(socket: &Socket, options: &Bind) -> io::Result<()> {
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
}

/// Takes over a listening socket that came from elsewhere: systemd, an emperor, our former self.
/// It becomes non-blocking and close-on-exec.
///
/// `InvalidInput`: not a listening stream socket of a family that [`Address`] has.
pub fn adopt(fd: OwnedFd) -> io::Result<Listener> {
    let socket = Socket::from(fd);
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a listening stream socket",
        ));
    }
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    Listener::of(socket)
}

impl Listener {
    fn of(socket: Socket) -> io::Result<Listener> {
        let address = Address::of(&socket.local_addr()?)?;
        let file = address.path().and_then(unix::FileId::of_socket);
        Ok(Listener {
            fd: socket.into(),
            address,
            file,
        })
    }

    /// Another handle on the same socket and queue.
    pub fn try_clone(&self) -> io::Result<Listener> {
        let Listener { fd, address, file } = self;
        Ok(Listener {
            fd: fd.try_clone()?,
            address: address.clone(),
            file: *file,
        })
    }

    /// The same, but its file is never removed by us.
    #[must_use]
    pub fn of_somebody_else(self) -> Listener {
        Listener { file: None, ..self }
    }

    /// Removes the file of a unix socket (`vacuum`), unless another one has taken its place since.
    /// `false`: there was nothing of ours to remove.
    pub fn unlink_if_ours(&self) -> io::Result<bool> {
        let Some(path) = self.address.path() else {
            return Ok(false);
        };
        if self.file.is_none() || unix::FileId::of_socket(path) != self.file {
            return Ok(false);
        }
        std::fs::remove_file(path)?;
        Ok(true)
    }

    /// Whether it can still be reached: `false` once the file of a unix socket is gone or another's.
    pub fn is_in_place(&self) -> bool {
        let path = self.address.path();
        path.is_none_or(|path| self.file.is_some() && unix::FileId::of_socket(path) == self.file)
    }

    /// How full the queue of connections is.
    ///
    /// `None` for a unix socket where the kernel does not tell (no `unix_diag`, or another network namespace).
    /// Costs a few system calls: for statistics, not for each request.
    pub fn queue(&self) -> io::Result<Option<Queue>> {
        match self.address {
            Address::Tcp(_) => queue::of_tcp(self.fd.as_fd()).map(Some),
            Address::Unix(_) | Address::Abstract(_) => queue::of_unix(self.fd.as_fd()),
        }
    }
}

/// As [`Listener::queue`], of a listening socket of which only the descriptor is known.
pub fn queue(fd: BorrowedFd<'_>) -> io::Result<Option<Queue>> {
    match rustix::net::sockopt::socket_domain(fd)? {
        rustix::net::AddressFamily::UNIX => queue::of_unix(fd),
        _ => queue::of_tcp(fd).map(Some),
    }
}

/// How many connections wait on a listening socket; where the kernel does not tell, the most that can.
pub fn waiting(fd: BorrowedFd<'_>) -> usize {
    let longest = || somaxconn().unwrap_or(u32::from(u16::MAX));
    let queue = queue(fd).ok().flatten();
    // One more may come between the question and the answer.
    queue.map_or_else(longest, |queue| queue.waiting) as usize + 1
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> OwnedFd {
        listener.fd
    }
}
