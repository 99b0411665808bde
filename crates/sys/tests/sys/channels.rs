//! Message channels: boundaries, descriptors, the end.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use uwgate_sys::channel::{Channel, MAX_FDS, pair};
use uwgate_sys::socket;

#[test]
fn messages_keep_their_boundaries() {
    let (here, there) = pair().unwrap();
    here.send(b"one", &[]).unwrap();
    here.send(b"twofold", &[]).unwrap();
    let mut buffer = [0; 64];
    let first = there.recv(&mut buffer).unwrap();
    assert_eq!((&buffer[..first.len], first.fds.len()), (&b"one"[..], 0));
    let second = there.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..second.len], b"twofold");
}

#[test]
fn descriptors_travel_in_order_and_close_on_exec() {
    let (here, there) = pair().unwrap();
    let (read, mut write) = std::io::pipe().unwrap();
    here.send(b"pipe", &[read.as_fd(), write.as_fd()]).unwrap();
    write.write_all(b"sent before ").unwrap();
    drop((read, write));

    let mut received = there.recv(&mut [0; 8]).unwrap();
    assert_eq!(received.fds.len(), 2);
    for fd in &received.fds {
        assert!(is_close_on_exec(fd.as_fd()));
    }
    let mut second = File::from(received.fds.pop().unwrap());
    let mut first = File::from(received.fds.pop().unwrap());
    second.write_all(b"and after").unwrap();
    drop(second);
    let mut text = String::new();
    first.read_to_string(&mut text).unwrap();
    assert_eq!(text, "sent before and after");
}

#[test]
fn the_end_comes_after_the_last_message_and_only_when_all_holders_are_gone() {
    let (here, there) = pair().unwrap();
    let other_handle = here.try_clone().unwrap();
    here.send(b"last", &[]).unwrap();
    drop(here);
    let mut buffer = [0; 8];
    assert!(!there.recv(&mut buffer).unwrap().is_eof());
    there.set_nonblocking(true).unwrap();
    assert_eq!(
        there.recv(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(other_handle);
    assert!(there.recv(&mut buffer).unwrap().is_eof());
    assert!(there.recv(&mut buffer).unwrap().is_eof(), "and stays");
    assert_eq!(
        there.send(b"x", &[]).unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[test]
fn a_peer_that_dies_with_unread_messages_is_an_end_too() {
    let (here, there) = pair().unwrap();
    there.send(b"never read", &[]).unwrap();
    drop(here);
    assert!(there.recv(&mut [0; 8]).unwrap().is_eof());
}

#[test]
fn an_empty_message_is_refused_as_it_would_read_as_the_end() {
    let (here, _there) = pair().unwrap();
    assert_eq!(
        here.send(b"", &[]).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        here.recv(&mut []).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn a_message_too_long_for_the_buffer_is_an_error_and_not_a_part() {
    let (here, there) = pair().unwrap();
    here.send(b"too long", &[]).unwrap();
    here.send(b"next", &[]).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(
        there.recv(&mut buffer).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    assert_eq!(
        there.recv(&mut buffer).unwrap().len,
        4,
        "the one after is whole"
    );
}

#[test]
fn as_many_descriptors_as_promised_and_not_one_more() {
    let (here, there) = pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let many: Vec<BorrowedFd<'_>> = (0..=MAX_FDS).map(|_| null.as_fd()).collect();
    assert_eq!(
        here.send(b"x", &many).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    here.send(b"x", &many[..MAX_FDS]).unwrap();
    assert_eq!(there.recv(&mut [0; 8]).unwrap().fds.len(), MAX_FDS);
}

#[test]
fn a_full_channel_says_would_block_when_nonblocking() {
    let (here, there) = pair().unwrap();
    here.set_nonblocking(true).unwrap();
    let refusal = (0..100_000)
        .find_map(|_| here.send(&[7; 1000], &[]).err())
        .expect("it fills up");
    assert_eq!(refusal.kind(), ErrorKind::WouldBlock);
    assert!(socket::wait_readable(there.as_fd(), None).unwrap());
    assert_eq!(there.recv(&mut [0; 2000]).unwrap().len, 1000);
}

#[test]
fn only_a_channel_is_adopted() {
    let (here, there) = pair().unwrap();
    let again = Channel::adopt(OwnedFd::from(here)).unwrap();
    again.send(b"still mine", &[]).unwrap();
    assert_eq!(there.recv(&mut [0; 16]).unwrap().len, 10);

    let (stream, _) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(
        Channel::adopt(stream.into()).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let file = File::open("/dev/null").unwrap();
    assert!(Channel::adopt(file.into()).is_err());
}

fn is_close_on_exec(fd: BorrowedFd<'_>) -> bool {
    rustix::io::fcntl_getfd(fd)
        .unwrap()
        .contains(rustix::io::FdFlags::CLOEXEC)
}
