//! Where statistics are served, and to whom.

use rustix::process::Signal;

use super::{connect, number, setup, stats, text};
use crate::both;
use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Request, Setup};

/// uWSGI has one stats server: the last line counts.
#[test]
fn every_address_serves_and_a_reload_moves_them() {
    let first = Address::free_port();
    let setup = Setup::app(Kind::Uwgate, "hello.py").option("stats", &first);
    let unix = Address::Unix(setup.dir().join("unix.sock"));
    let moved = Address::Unix(setup.dir().join("moved.sock"));
    let mode = |address: &Address| {
        use std::os::unix::fs::PermissionsExt;
        let Address::Unix(path) = address else {
            panic!("{address} has no file");
        };
        std::fs::metadata(path).map(|file| file.permissions().mode() & 0o777)
    };
    let mut server = setup
        .option("stats", &unix)
        .option("chmod-socket", 600)
        .option("vacuum", true)
        .start();
    assert!(text(&first).starts_with('{'));
    assert!(text(&unix).starts_with('{'));
    assert_eq!(mode(&unix).expect("it is there"), 0o600);

    let ini = server.dir.join("server.ini");
    let config = std::fs::read_to_string(&ini).expect("the ini file is there");
    let config = config.replace(&first.to_string(), &moved.to_string());
    server.dir.write("server.ini", config);
    server.signal(Signal::HUP);
    assert!(text(&moved).starts_with('{'));
    assert!(text(&unix).starts_with('{'));
    until_true("the old address to be closed", || first.connect().is_err());

    assert!(server.stop_with(Signal::INT).success());
    assert!(mode(&moved).is_err() && mode(&unix).is_err());
}

#[test]
fn an_address_that_is_taken_is_named_with_its_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = taken.local_addr().expect("it is bound");
    let mut server = Setup::app(Kind::Uwgate, "hello.py")
        .option("stats", address)
        .spawn();
    assert_eq!(server.process.wait().code(), Some(1));
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("cannot serve statistics"));
    assert!(
        line.is_some_and(|line| line.contains("server.ini:")),
        "{log}"
    );
}

both! {
    fn http_in_front_of_the_json(kind) {
        let address = Address::free_port();
        let _server = Setup::app(kind, "hello.py")
            .option("stats", &address)
            .option("stats-http", true)
            .option("stats-minified", true)
            .start();
        until("the stats server", || address.connect().ok());
        for target in ["/", "/stats", "/whatever?a=b"] {
            let bytes = connect(&address).write(Request::get(target).bytes()).rest();
            let text = String::from_utf8(bytes).expect("is UTF-8");
            let head = "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\
                        Content-Type: application/json\r\n\r\n{\"version\":\"";
            assert!(text.starts_with(head), "{text}");
            assert!(!text.ends_with('\n'));
        }
    }
}

/// uWSGI answers everything with the JSON.
#[test]
fn what_is_not_get_is_refused() {
    let address = Address::free_port();
    let _server = Setup::app(Kind::Uwgate, "hello.py")
        .option("prometheus-listen", &address)
        .start();
    let send = |bytes: &[u8]| {
        let bytes = connect(&address).write(bytes).finish().rest();
        String::from_utf8(bytes).expect("is UTF-8")
    };
    let refused = send(&Request::post("/", "a body").bytes());
    assert!(refused.starts_with("HTTP/1.0 405 "), "{refused}");
    assert!(refused.contains("\r\nAllow: GET, HEAD\r\n"), "{refused}");
    let head = send(&Request::new("HEAD", "/metrics").bytes());
    assert!(
        head.starts_with("HTTP/1.0 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(send(b"\x16\x03\x01\x02\x00\n\n").starts_with("HTTP/1.0 400 "));
    assert!(send(&[b'x'; 20_000]).starts_with("HTTP/1.0 431 "));
}

/// They hold what they may hold for a few seconds, and nobody else waits for them.
#[test]
fn clients_that_stand_still_stop_nobody() {
    let address = Address::free_port();
    let server = setup(Kind::Uwgate, "hello.py")
        .option("prometheus-listen", &address)
        .start();
    drop(connect(&address));
    let connect = || address.connect().expect("the address is open");
    let _idle: Vec<_> = (0..16).map(|_| connect()).collect();
    server.get("/").expect(200);
    assert_eq!(number(&stats(&server)["workers"][0], "requests"), 1);
    server.signal(Signal::HUP);
    until_true("a reload", || {
        let worker = &stats(&server)["workers"][0];
        number(worker, "respawn_count") == 2 && number(worker, "accepting") == 1
    });
    let page = Client::connect(&address)
        .write(Request::get("/metrics").bytes())
        .rest();
    assert!(page.starts_with(b"HTTP/1.0 200 OK\r\n"));
}
