//! Clients that take their time must cost the others nothing.

use std::time::{Duration, Instant};

use crate::support::{Client, Kind, Packet, Request, Server, Setup};

/// Connections that send a byte a second, from one thread.
struct Drips {
    clients: Vec<Client>,
    bytes: Vec<u8>,
    sent: usize,
}

impl Drips {
    fn new(address: &crate::support::Address, bytes: Vec<u8>) -> Self {
        let clients = (0..500).map(|_| Client::connect(address)).collect();
        Self {
            clients,
            bytes,
            sent: 0,
        }
    }

    /// One more byte on each connection.
    fn drip(&mut self) {
        let byte = self.bytes[self.sent];
        for client in &mut self.clients {
            client.write([byte]);
        }
        self.sent += 1;
    }
}

/// While 500 clients drip a byte a second, one worker with one thread answers everybody else.
fn others_are_served(server: &Server, mut drips: Drips) {
    for _ in 0..4 {
        drips.drip();
        let next_drip = Instant::now() + Duration::from_secs(1);
        let mut served = 0;
        while Instant::now() < next_drip {
            server.post("/raw", "quick").expect(200);
            server.uwsgi(&Packet::post("/raw", "quick")).expect(200);
            served += 1;
        }
        assert!(served > 0, "not one request was served in a second");
    }
}

#[test]
fn five_hundred_slow_heads() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let drips = Drips::new(&server.http, Request::get("/read").bytes());
    others_are_served(&server, drips);
}

#[test]
fn five_hundred_slow_bodies() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let head = "POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    let mut drips = Drips::new(&server.http, vec![b'x'; 1_000]);
    for client in &mut drips.clients {
        client.write(head);
    }
    others_are_served(&server, drips);
}

#[test]
fn five_hundred_slow_uwsgi_packets() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let drips = Drips::new(&server.socket, Packet::get("/read").bytes());
    others_are_served(&server, drips);
}

/// 100 clients ask for a megabyte and read nothing: one worker with one thread serves the others.
#[test]
fn clients_that_do_not_read() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    let mut lazy: Vec<Client> = (0..100).map(|_| server.client()).collect();
    for client in &mut lazy {
        client.write(Request::get("/big?1000000").bytes());
    }
    for _ in 0..50 {
        server.get("/one-item").expect(200);
    }
    // They get all of it when they care to read.
    for client in lazy.iter_mut().take(5) {
        assert_eq!(client.response("GET").expect(200).body.len(), 1_000_000);
    }
}

/// Idle kept connections, more than there are threads.
#[test]
fn idle_connections() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let mut idle: Vec<Client> = (0..200).map(|_| server.client()).collect();
    for client in &mut idle {
        client.send(&Request::get("/")).expect(200);
    }
    for _ in 0..50 {
        server.get("/").expect(200);
    }
    for client in &mut idle {
        client.send(&Request::get("/")).expect(200);
    }
}

/// A head that does not come to its end is answered in the end.
#[test]
fn an_endless_head_times_out() {
    let server = Setup::app(Kind::Uwgate, "hello.py")
        .option("http-headers-timeout", 1)
        .start();
    let mut slow = server.client();
    slow.write("GET / HTTP/1.1\r\nHost: ");
    let response = slow.response("GET").expect(408);
    assert_eq!(response.header("Connection"), Some("close"));
    assert!(slow.at_end());
}

/// So is a body, and a packet.
#[test]
fn a_stalled_body_times_out() {
    let server = Setup::app(Kind::Uwgate, "echo.py")
        .option("socket-timeout", 1)
        .option("http-headers-timeout", 1)
        .start();
    let mut slow = server.client();
    slow.write("POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst");
    slow.response("POST").expect(408);
    assert!(slow.at_end());
    let mut slow = Client::connect(&server.socket);
    slow.write(&Packet::get("/raw").bytes()[..30]);
    slow.response("GET").expect(408);
    assert!(slow.at_end());
}
