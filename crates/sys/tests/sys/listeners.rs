//! Listening sockets: addresses, files and their modes, whose file it is.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::tcp_congestion;
use uwgate_sys::listener::{Address, Bind, Listener, Queue, adopt, bind};
use uwgate_sys::socket::{self, PeerAddr};

use crate::util::{Directory, mode};

fn bind_path(path: &Path) -> std::io::Result<Listener> {
    bind(&Address::Unix(path.to_owned()), &Bind::default())
}

fn tcp(ip: impl Into<std::net::IpAddr>) -> Listener {
    bind(
        &Address::Tcp(SocketAddr::new(ip.into(), 0)),
        &Bind::default(),
    )
    .unwrap()
}

fn port(listener: &Listener) -> u16 {
    match listener.address {
        Address::Tcp(address) => address.port(),
        ref other => panic!("{other} has no port"),
    }
}

#[test]
fn tcp_resolves_port_zero_and_its_connections_inherit_nodelay() {
    let listener = tcp(Ipv4Addr::LOCALHOST);
    assert_ne!(port(&listener), 0);
    assert_eq!(
        listener.address.to_string(),
        format!("127.0.0.1:{}", port(&listener))
    );
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&listener))).unwrap();
    assert!(socket::wait_readable(listener.as_fd(), None).unwrap());
    let (connection, _) = socket::accept(listener.as_fd()).unwrap().unwrap();
    assert!(TcpStream::from(connection).nodelay().unwrap());
}

#[test]
fn only_connections_on_the_loopback_do_not_space_their_packets() {
    let congestion = |listener: Listener| tcp_congestion(listener.as_fd()).unwrap();
    assert_eq!(congestion(tcp(Ipv4Addr::LOCALHOST)), "reno");
    assert_eq!(congestion(tcp(Ipv6Addr::LOCALHOST)), "reno");
    let others = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let others = tcp_congestion(others).unwrap();
    assert_eq!(congestion(tcp(Ipv4Addr::UNSPECIFIED)), others);
    let listener = tcp(Ipv4Addr::LOCALHOST);
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&listener))).unwrap();
    assert!(socket::wait_readable(listener.as_fd(), None).unwrap());
    let (connection, _) = socket::accept(listener.as_fd()).unwrap().unwrap();
    assert_eq!(tcp_congestion(connection).unwrap(), "reno", "inherited");
}

#[test]
fn the_unspecified_v6_address_takes_v4_clients_too() {
    let listener = tcp(Ipv6Addr::UNSPECIFIED);
    assert_eq!(
        listener.address.to_string(),
        format!("[::]:{}", port(&listener))
    );
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&listener))).unwrap();
    assert!(socket::wait_readable(listener.as_fd(), None).unwrap());
    let (_, peer) = socket::accept(listener.as_fd()).unwrap().unwrap();
    assert!(
        matches!(peer, PeerAddr::V6(peer) if peer.ip().to_ipv4_mapped() == Some(Ipv4Addr::LOCALHOST))
    );
}

#[test]
fn a_port_in_use_is_refused_unless_all_share_it() {
    let first = tcp(Ipv4Addr::LOCALHOST);
    let again = bind(&first.address, &Bind::default()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);

    let shared = Bind {
        reuse_port: true,
        ..Bind::default()
    };
    let first = bind(&Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()), &shared).unwrap();
    bind(&first.address, &shared).unwrap();
}

#[test]
fn every_tcp_option_is_understood_by_the_kernel() {
    let options = Bind {
        freebind: true,
        keepalive: true,
        defer_accept: Some(Duration::from_secs(4)),
        fast_open: Some(16),
        send_buffer: Some(1 << 16),
        receive_buffer: Some(1 << 16),
        ..Bind::default()
    };
    for ip in ["127.0.0.1:0", "[::1]:0"] {
        bind(&Address::Tcp(ip.parse().unwrap()), &options).unwrap();
    }
    // An address of documentation (RFC 5737), which no host has.
    bind(&Address::Tcp("192.0.2.1:0".parse().unwrap()), &options).unwrap();
}

#[test]
fn a_unix_socket_has_exactly_the_mode_and_owner_asked_for() {
    let directory = Directory::new();
    let path = directory.file("s");
    for wanted in [0o600, 0o660, 0o666, 0o777] {
        let options = Bind {
            chmod: Some(wanted),
            ..Bind::default()
        };
        let listener = bind(&Address::Unix(path.clone()), &options).unwrap();
        assert_eq!(mode(&path), wanted);
        drop(listener);
    }
    if rustix::process::geteuid().is_root() {
        let options = Bind {
            owner: Some((12_345, 54_321)),
            chmod: Some(0o640),
            ..Bind::default()
        };
        bind(&Address::Unix(path.clone()), &options).unwrap();
        let file = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            (file.uid(), file.gid(), mode(&path)),
            (12_345, 54_321, 0o640)
        );
    }
}

#[test]
fn a_socket_left_by_a_dead_server_is_replaced() {
    let directory = Directory::new();
    let path = directory.file("s");
    drop(UnixListener::bind(&path).unwrap());
    let listener = bind_path(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    assert_eq!(listener.address, Address::Unix(path));
}

#[test]
fn a_socket_in_use_is_not_stolen() {
    let directory = Directory::new();
    let path = directory.file("s");
    let running = bind_path(&path).unwrap();
    let refusal = bind_path(&path).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::AddrInUse);
    assert!(
        refusal.to_string().contains("in use by a running server"),
        "{refusal}"
    );

    // Nor when its queue is so full that nobody can connect.
    let full = Bind {
        backlog: 0,
        ..Bind::default()
    };
    let path = directory.file("full");
    let busy = bind(&Address::Unix(path.clone()), &full).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    assert_eq!(bind_path(&path).unwrap_err().kind(), ErrorKind::AddrInUse);

    let path = directory.file("datagram");
    let _datagram = UnixDatagram::bind(&path).unwrap();
    assert_eq!(bind_path(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop((running, busy));
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let directory = Directory::new();
    let file = directory.file("precious");
    std::fs::write(&file, b"data").unwrap();
    let link = directory.file("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        assert_eq!(
            bind_path(path).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
    }
    assert_eq!(std::fs::read(&link).unwrap(), b"data");
}

#[test]
fn bad_paths_are_errors() {
    let directory = Directory::new();
    assert_eq!(
        bind_path(&directory.file("no/such/directory"))
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        bind_path(&directory.file(&"x".repeat(108)))
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        bind_path(Path::new("")).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let nameless = bind(&Address::Abstract(Vec::new()), &Bind::default());
    assert_eq!(nameless.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn vacuum_removes_our_file_and_nobody_elses() {
    let directory = Directory::new();
    let path = directory.file("s");
    let old = bind_path(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(!old.unlink_if_ours().unwrap(), "there is none");
    let new = bind_path(&path).unwrap();
    assert!(!old.unlink_if_ours().unwrap(), "it is another's");
    assert!(path.exists());
    assert!(new.try_clone().unwrap().unlink_if_ours().unwrap());
    assert!(!path.exists());
    assert!(!tcp(Ipv4Addr::LOCALHOST).unlink_if_ours().unwrap());
}

#[test]
fn abstract_names_are_used_byte_by_byte() {
    let name = format!("uwgate-sys-{}", std::process::id()).into_bytes();
    let listener = bind(&Address::Abstract(name.clone()), &Bind::default()).unwrap();
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    UnixStream::connect_addr(&address).unwrap();
    assert_eq!(
        listener.address.to_string(),
        format!("@{}", String::from_utf8(name.clone()).unwrap())
    );
    let again = bind(&Address::Abstract(name), &Bind::default()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
}

#[test]
fn the_queue_is_told_for_tcp_and_unix() {
    let directory = Directory::new();
    let options = Bind {
        backlog: 7,
        ..Bind::default()
    };

    let listener = bind(&Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()), &options).unwrap();
    assert_eq!(
        listener.queue().unwrap(),
        Some(Queue {
            waiting: 0,
            max: 7,
            dropped: 0
        })
    );
    let _clients =
        [(); 2].map(|()| TcpStream::connect((Ipv4Addr::LOCALHOST, port(&listener))).unwrap());
    assert_eq!(
        listener.queue().unwrap(),
        Some(Queue {
            waiting: 2,
            max: 7,
            dropped: 0
        })
    );

    let path = directory.file("s");
    let listener = bind(&Address::Unix(path.clone()), &options).unwrap();
    let Some(queue) = listener.queue().unwrap() else {
        return; // a kernel without unix_diag
    };
    assert_eq!(
        queue,
        Queue {
            waiting: 0,
            max: 7,
            dropped: 0
        }
    );
    let _clients = [(); 3].map(|()| UnixStream::connect(&path).unwrap());
    assert_eq!(
        listener.queue().unwrap(),
        Some(Queue {
            waiting: 3,
            max: 7,
            dropped: 0
        })
    );
}

/// Of a queue for one the kernel keeps two; whoever comes then is not answered.
#[test]
fn who_finds_a_full_tcp_queue_is_counted() {
    let options = Bind {
        backlog: 1,
        ..Bind::default()
    };
    let listener = bind(&Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()), &options).unwrap();
    let address = (Ipv4Addr::LOCALHOST, port(&listener)).into();
    let moment = Duration::from_millis(200);
    let clients: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, moment).ok())
        .take(100)
        .collect();
    assert!(clients.len() < 100);
    assert!(listener.queue().unwrap().unwrap().dropped > 0);
}

#[test]
fn a_listener_from_elsewhere_is_adopted_and_anything_else_refused() {
    let directory = Directory::new();
    let path = directory.file("s");
    let theirs = UnixListener::bind(&path).unwrap();
    let ours = adopt(OwnedFd::from(theirs)).unwrap();
    assert_eq!(ours.address, Address::Unix(path.clone()));
    assert!(
        socket::accept(ours.as_fd()).unwrap().is_none(),
        "non-blocking now"
    );
    assert!(ours.unlink_if_ours().unwrap());

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    assert_eq!(adopt(tcp.into()).unwrap().address, Address::Tcp(address));

    let (stream, _) = UnixStream::pair().unwrap();
    assert_eq!(
        adopt(stream.into()).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(adopt(std::fs::File::open("/dev/null").unwrap().into()).is_err());
}
