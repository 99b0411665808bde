//! What the client of a request is told that has had its time.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use uwgate_http::{Protocol, ResponseRules};
use uwgate_sys::socket;

use crate::exchange::{Passenger, Response, Socket, Tally};

/// How long a client has to take note of its answer before the process is killed: a kill may reset the connection, and
/// an answer that was not read yet is lost then.
const LINGER: Duration = Duration::from_secs(1);

/// Answers with 504: nothing was sent yet. Says what was sent then.
pub(super) fn gateway_timeout(passenger: &Passenger) -> Tally {
    let rules = ResponseRules {
        keep_alive: false,
        ..passenger.rules
    };
    let socket = passenger.socket.clone();
    let mut response = Response::new(socket, false, Duration::ZERO, |wait| wait());
    response.begin(rules);
    // Both lines are well-formed; a client that is gone does not mind.
    let _ = response.start(b"504 Gateway Timeout");
    let _ = response.header(b"Content-Type", b"text/plain");
    let _ = response.finish_with(b"Gateway Timeout");
    let _ = socket::shutdown_write(passenger.socket.as_fd());
    *response.tally()
}

/// Ends a connection on which an answer has begun, so that the client does not take it for whole: where the end of the
/// connection would be the proper end, by a reset.
pub(super) fn hang_up(passenger: &Passenger) {
    let socket = passenger.socket.as_fd();
    let _ = match passenger.rules.protocol {
        Protocol::Http11 => socket::shutdown(socket),
        Protocol::Http10 | Protocol::UwsgiHttp10 | Protocol::UwsgiHttp11 => socket::cut(socket),
    };
}

/// Answers a request of which nothing was read yet, if there is one: it can be made again elsewhere without harm.
pub(super) fn turn_away(connection: &Socket) {
    if has_unread(connection) {
        say_no(connection);
    }
}

/// Answers a request that has been read, and that the application has not seen.
pub(in crate::worker) fn send_away(connection: &Socket) {
    has_unread(connection);
    say_no(connection);
}

/// Throws away what nobody has read, which would reset the connection, and the answer with it.
fn has_unread(connection: &Socket) -> bool {
    let mut ignored = [0; 16 * 1024];
    let mut any = false;
    while let Ok(Some(1..)) = socket::recv(connection.as_fd(), &mut ignored) {
        any = true;
    }
    any
}

fn say_no(connection: &Socket) {
    let _ = socket::send(connection.as_fd(), TURNED_AWAY);
    let _ = socket::shutdown_write(connection.as_fd());
}

const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Type: text/plain\r\nContent-Length: 19\r\n\r\nService Unavailable";

/// Waits until the client has closed its side, for a second at most.
pub(super) fn linger(passenger: &Passenger) {
    let begun = Instant::now();
    let socket = passenger.socket.as_fd();
    let mut ignored = [0; 4096];
    while let Some(left) = LINGER.checked_sub(begun.elapsed()) {
        match socket::recv(socket, &mut ignored) {
            Ok(Some(1..)) => {}
            Ok(None) if matches!(socket::wait_readable(socket, Some(left)), Ok(true)) => {}
            _ => return,
        }
    }
}
