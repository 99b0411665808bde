//! `warm-up`: the application answers before there are workers.

use crate::support::wait::until;
use crate::support::{Kind, Setup};

/// Counts its requests, and does what a path asks for.
const APP: &str = "\
import socket
asked, kept = [], []
def application(environ, start_response):
    path = environ['PATH_INFO']
    asked.append('%s://%s%s?%s' % (environ['wsgi.url_scheme'], environ['HTTP_HOST'], path, environ['QUERY_STRING']))
    if path == '/raise':
        raise RuntimeError('cold')
    if path == '/open' and not kept:
        kept.append(socket.create_connection(listening.getsockname()))
    if path == '/large' and not kept:
        kept.append(bytearray(b'x') * (32 << 20))
    start_response('404 Not Found' if path == '/missing' else '200 OK', [])
    return [b'x' * (4 << 20)] if path == '/long' else ['\\n'.join(sorted(set(asked))).encode()]
listening = socket.create_server(('127.0.0.1', 0))
";

#[test]
fn the_application_is_asked_before_the_first_visitor() {
    let server = Setup::source(Kind::Uwgate, APP)
        .option("warm-up", "/first?a=1")
        .option("warm-up", "https://www.example.com:8443/second")
        .option("warm-up", "/long")
        .start();
    let asked = server.get("/").expect(200).text().to_owned();
    for request in [
        "http://localhost/first?a=1",
        "https://www.example.com:8443/second?",
        "http://localhost/long?",
    ] {
        assert!(asked.lines().any(|line| line == request), "{asked}");
    }
    let log = server.log();
    assert!(log.contains("warm-up: GET /first?a=1 => 200, "), "{log}");
    assert!(log.contains("warm-up: GET /long => 200, "), "{log}");
    assert!(!log.contains("would share"), "{log}");
}

#[test]
fn a_warm_up_that_fails_is_a_warning() {
    let server = Setup::source(Kind::Uwgate, APP)
        .option("warm-up", "/raise")
        .option("warm-up", "/missing")
        .start();
    server.get("/").expect(200);
    let log = server.log();
    assert!(log.contains("RuntimeError: cold"), "{log}");
    for failed in [
        "GET /raise with Host localhost => 500",
        "GET /missing with Host localhost => 404",
    ] {
        assert!(log.contains(failed), "{log}");
    }
}

#[test]
fn what_a_warm_up_leaves_open_is_named() {
    let server = Setup::source(Kind::Uwgate, APP)
        .option("warm-up", "/open")
        .start();
    server.get("/").expect(200);
    let line = server.wait_for_line("the warning", |line| line.contains("would share"));
    assert!(
        line.contains("socket:[") && line.contains("to 127.0.0.1:"),
        "{line}"
    );
}

/// With `lazy-apps` each worker does it for itself, and nothing is shared.
#[test]
fn workers_that_load_the_application_warm_up_themselves() {
    let server = Setup::source(Kind::Uwgate, APP)
        .option("lazy-apps", "true")
        .option("warm-up", "/open")
        .start();
    let asked = server.get("/").expect(200).text().to_owned();
    assert!(asked.contains("http://localhost/open?"), "{asked}");
    assert!(!server.log().contains("would share"), "{}", server.log());
}

/// What the application makes when it is first asked is made once.
#[test]
fn workers_share_what_the_warm_up_has_made() {
    let private = |setup: Setup| {
        let server = setup.start();
        server.get("/large").expect(200);
        let worker = until("the log names the worker", || {
            server.workers().first().copied()
        });
        let rollup = std::fs::read_to_string(format!("/proc/{worker}/smaps_rollup")).unwrap();
        let line = rollup
            .lines()
            .find(|line| line.starts_with("Private_Dirty:"));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let cold = private(Setup::source(Kind::Uwgate, APP));
    let warm = private(Setup::source(Kind::Uwgate, APP).option("warm-up", "/large"));
    assert!(
        warm + (24 << 10) < cold,
        "{warm} kB, without warm-up {cold} kB"
    );
}
