//! Accept, receive, send, wait.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use uwgate_sys::process;
use uwgate_sys::socket::{self, PeerAddr};

use crate::util::Directory;

fn nonblocking_pair() -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    (here, there)
}

fn accept_one(listener: &impl AsFd) -> (OwnedFd, PeerAddr) {
    assert!(socket::wait_readable(listener.as_fd(), None).unwrap());
    socket::accept(listener.as_fd())
        .unwrap()
        .expect("a connection waits")
}

#[test]
fn accepted_connections_are_nonblocking_and_know_their_peer() {
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ] {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(socket::accept(listener.as_fd()).unwrap().is_none());
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, peer) = accept_one(&listener);
        assert_eq!(peer.ip(), Some(client.local_addr().unwrap()));
        assert_eq!(matches!(peer, PeerAddr::V4(_)), address.is_ipv4());
        assert_eq!(
            socket::recv(connection.as_fd(), &mut [0; 8]).unwrap(),
            None,
            "nonblocking"
        );
    }
}

#[test]
fn a_unix_peer_has_no_address_but_credentials() {
    let directory = Directory::new();
    let listener = UnixListener::bind(directory.file("s")).unwrap();
    let _client = UnixStream::connect(directory.file("s")).unwrap();
    let (connection, peer) = accept_one(&listener);
    assert_eq!((peer, peer.ip()), (PeerAddr::Unix, None));
    listener.set_nonblocking(true).unwrap();
    assert!(!socket::is_readable(listener.as_fd()).unwrap());
    assert!(socket::accept_unix(listener.as_fd()).unwrap().is_none());
    let _second = UnixStream::connect(directory.file("s")).unwrap();
    assert!(socket::is_readable(listener.as_fd()).unwrap());
    let second = socket::accept_unix(listener.as_fd()).unwrap().unwrap();
    assert_eq!(
        socket::recv(second.as_fd(), &mut [0; 8]).unwrap(),
        None,
        "nonblocking"
    );
    let credentials = socket::peer_credentials(connection.as_fd()).unwrap();
    assert_eq!(credentials.pid, Some(process::this()));
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    assert_eq!(credentials.gid, rustix::process::getegid().as_raw());
}

#[test]
fn receiving_tells_nothing_yet_from_the_end() {
    let (here, mut there) = nonblocking_pair();
    let mut buffer = [0; 4];
    assert_eq!(socket::recv(here.as_fd(), &mut buffer).unwrap(), None);
    there.write_all(b"abcdef").unwrap();
    assert_eq!(socket::recv(here.as_fd(), &mut buffer).unwrap(), Some(4));
    assert_eq!(&buffer, b"abcd");
    drop(there);
    assert_eq!(socket::recv(here.as_fd(), &mut buffer).unwrap(), Some(2));
    assert_eq!(socket::recv(here.as_fd(), &mut buffer).unwrap(), Some(0));
}

#[test]
fn what_waits_is_counted_and_received_into_fresh_memory() {
    let (here, mut there) = nonblocking_pair();
    let mut buffer = [MaybeUninit::uninit(); 4];
    assert_eq!(socket::waiting(here.as_fd()).unwrap(), 0);
    assert_eq!(
        socket::recv_uninit(here.as_fd(), &mut buffer).unwrap(),
        None
    );
    there.write_all(b"abcdef").unwrap();
    assert_eq!(socket::waiting(here.as_fd()).unwrap(), 6);
    for (len, expected) in [(4, "abcd"), (2, "ef")] {
        let received = socket::recv_uninit(here.as_fd(), &mut buffer).unwrap();
        assert_eq!(received, Some(len));
        for (byte, expected) in buffer.iter().zip(expected.bytes()) {
            // SAFETY: one of those received.
            assert_eq!(unsafe { byte.assume_init() }, expected);
        }
    }
    drop(there);
    assert_eq!(
        socket::recv_uninit(here.as_fd(), &mut buffer).unwrap(),
        Some(0)
    );
}

#[test]
fn receiving_onto_a_vec_appends_at_most_max() {
    let (here, mut there) = nonblocking_pair();
    let mut buffer = b"kept ".to_vec();
    assert_eq!(
        socket::recv_into(here.as_fd(), &mut buffer, 100).unwrap(),
        None
    );
    there.write_all(b"0123456789").unwrap();
    assert_eq!(
        socket::recv_into(here.as_fd(), &mut buffer, 4).unwrap(),
        Some(4)
    );
    assert_eq!(buffer, b"kept 0123", "though the spare capacity is larger");
    assert_eq!(
        socket::recv_into(here.as_fd(), &mut buffer, 1 << 16).unwrap(),
        Some(6)
    );
    assert_eq!(buffer, b"kept 0123456789");
    drop(there);
    assert_eq!(
        socket::recv_into(here.as_fd(), &mut buffer, 10).unwrap(),
        Some(0)
    );
}

#[test]
fn sending_to_a_reader_that_is_slow_or_gone() {
    let (here, mut there) = nonblocking_pair();
    let block = vec![b'x'; 1 << 16];
    let mut sent = 0;
    while let Some(len) = socket::send(here.as_fd(), &block).unwrap() {
        sent += len;
    }
    assert!(!socket::wait_writable(here.as_fd(), Some(Duration::from_millis(5))).unwrap());
    let mut read = vec![0; sent];
    there.read_exact(&mut read).unwrap();
    assert!(socket::wait_writable(here.as_fd(), None).unwrap());
    drop(there);
    let gone = socket::send(here.as_fd(), b"x").unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::BrokenPipe, "and no SIGPIPE");
    let gone = socket::send_vectored(here.as_fd(), &[IoSlice::new(b"x")]).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn pieces_are_sent_in_order_with_one_call() {
    let (here, mut there) = nonblocking_pair();
    let pieces = [
        IoSlice::new(b"head "),
        IoSlice::new(b""),
        IoSlice::new(b"body"),
    ];
    assert_eq!(
        socket::send_vectored(here.as_fd(), &pieces).unwrap(),
        Some(9)
    );
    socket::shutdown_write(here.as_fd()).unwrap();
    let mut text = String::new();
    there.read_to_string(&mut text).unwrap();
    assert_eq!(text, "head body");
}

#[test]
fn a_file_is_sent_from_an_offset_or_from_its_position() {
    let directory = Directory::new();
    std::fs::write(directory.file("f"), b"0123456789").unwrap();
    let mut file = File::open(directory.file("f")).unwrap();
    let (here, mut there) = nonblocking_pair();
    let send = |offset: Option<&mut u64>, count| {
        socket::sendfile(here.as_fd(), file.as_fd(), offset, count)
            .unwrap()
            .expect("there is room")
    };
    let mut offset = 6;
    assert_eq!((send(Some(&mut offset), 3), offset), (3, 9));
    assert_eq!((send(Some(&mut offset), 100), offset), (1, 10));
    assert_eq!(send(Some(&mut offset), 100), 0, "the end of the file");
    assert_eq!(send(None, 2), 2);
    assert_eq!(
        file.stream_position().unwrap(),
        2,
        "only a call without offset moves it"
    );
    drop(here);
    let mut text = String::new();
    there.read_to_string(&mut text).unwrap();
    assert_eq!(text, "678901");
}

#[test]
fn a_closed_peer_is_noticed_without_eating_bytes() {
    let (here, mut there) = UnixStream::pair().unwrap();
    assert!(
        !socket::is_closed_by_peer(here.as_fd()),
        "and does not block"
    );
    there.write_all(b"x").unwrap();
    assert!(!socket::is_closed_by_peer(here.as_fd()));
    drop(there);
    assert!(!socket::is_closed_by_peer(here.as_fd()), "a byte is left");
    assert_eq!(socket::recv(here.as_fd(), &mut [0; 8]).unwrap(), Some(1));
    assert!(socket::is_closed_by_peer(here.as_fd()));
}

#[test]
fn waiting_ends_with_the_timeout_or_with_the_event() {
    let (here, mut there) = nonblocking_pair();
    assert!(!socket::wait_readable(here.as_fd(), Some(Duration::ZERO)).unwrap());
    there.write_all(b"x").unwrap();
    assert!(socket::wait_readable(here.as_fd(), Some(Duration::MAX)).unwrap());
}
