//! HTTP/1.1 as an ordinary client speaks it, directly to the server.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;

use crate::both;
use crate::support::response::Framing;
use crate::support::{Address, Client, Kind, Request, Server, Setup};

both! {
    fn answers_a_get(kind) {
        let server = Server::app(kind, "hello.py");
        let response = server.get("/").expect(200);
        assert_eq!(response.reason, "OK");
        assert_eq!(response.version, "HTTP/1.1");
        assert_eq!(response.header("Content-Type"), Some("text/plain"));
        assert_eq!(response.text(), "Hello, world!");
    }
}

both! {
    fn echoes_a_post(kind) {
        let server = Server::app(kind, "echo.py");
        let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let response = server.post("/raw", body.clone()).expect(200);
        assert!(response.body == body);
    }
}

both! {
    /// HTTP/1.0 without keep-alive: the connection is closed after the response.
    fn answers_http_1_0_and_closes(kind) {
        let server = Server::app(kind, "hello.py");
        let mut client = server.client();
        client.write("GET / HTTP/1.0\r\n\r\n");
        let response = client.response("GET").expect(200);
        assert_eq!(response.text(), "Hello, world!");
        assert!(client.at_end());
    }
}

both! {
    fn listens_on_a_unix_socket(kind) {
        let setup = Setup::app(kind, "hello.py");
        let path = setup.dir().join("http.sock");
        let server = setup.option("http-socket", path.display()).start();
        let address = Address::Unix(path);
        let response = Client::connect(&address).send(&Request::get("/"));
        assert_eq!(response.expect(200).text(), "Hello, world!");
        server.get("/").expect(200);
    }
}

/// The name is `@` and the text, as everywhere but in uWSGI, which binds a NUL more.
#[test]
fn listens_on_an_abstract_socket() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let name = setup.dir().file_name().expect("has a name").to_owned();
    let name = name.into_string().expect("is ASCII");
    let _server = setup.option("http-socket", format!("@{name}")).start();
    let address = unix::SocketAddr::from_abstract_name(&name).expect("is short");
    let mut stream = unix::UnixStream::connect_addr(&address).expect("listens");
    stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .expect("can be written to");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    assert!(answer.ends_with("\r\n\r\nHello, world!"), "{answer}");
}

both! {
    fn listens_on_many_sockets(kind) {
        let addresses: Vec<Address> = (0..4).map(|_| Address::free_port()).collect();
        let setup = addresses.iter().fold(Setup::app(kind, "environ.py"), |setup, address| {
            setup.option("http-socket", address)
        });
        let _server = setup.start();
        for address in &addresses {
            let response = Client::connect(address).send(&Request::get("/")).expect(200);
            let port = format!("SERVER_PORT\tstr\t'{}'\n", address.port());
            assert!(response.text().contains(&port), "{response:?}");
        }
    }
}

both! {
    fn listens_on_ipv6(kind) {
        let port = Address::free_port().port();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let _server = Setup::app(kind, "hello.py").option("http-socket", address).start();
        let response = Client::connect(&Address::Tcp(address)).send(&Request::get("/"));
        assert_eq!(response.expect(200).text(), "Hello, world!");
    }
}

/// uWSGI closes after each response.
#[test]
fn keeps_the_connection_for_further_requests() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let mut client = server.client();
    for _ in 0..50 {
        client.send(&Request::get("/")).expect(200);
    }
    let last = Request::get("/").header("Connection", "close");
    let response = client.send(&last).expect(200);
    assert_eq!(response.header("Connection"), Some("close"));
    assert!(client.at_end());
}

#[test]
fn keeps_an_http_1_0_connection_when_asked() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let mut client = server.client();
    for _ in 0..3 {
        client.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response("GET").expect(200);
        assert_eq!(response.header("Connection"), Some("keep-alive"));
        assert_eq!(response.text(), "Hello, world!");
    }
}

#[test]
fn never_chunks_for_http_1_0() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    let mut client = server.client();
    client.write("GET /generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.head();
    assert_eq!(response.framing("GET"), Framing::Close, "{response:?}");
    assert_eq!(client.rest(), b"first second");
}

/// Requests may follow each other without waiting; the answers come in their order.
#[test]
fn answers_pipelined_requests_in_order() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut client = server.client();
    let bodies: Vec<String> = (0..20).map(|number| format!("body {number}")).collect();
    let all: Vec<u8> = bodies
        .iter()
        .flat_map(|body| Request::post("/raw", body.as_str()).bytes())
        .collect();
    client.write(all);
    for body in &bodies {
        assert_eq!(client.response("POST").expect(200).text(), body);
    }
}

/// A body that the application leaves unread must not be taken for the next request.
#[test]
fn skips_an_unread_body() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut client = server.client();
    let smuggled = Request::get("/smuggled").bytes();
    for _ in 0..3 {
        let response = client.send(&Request::post("/ignore", smuggled.clone()));
        assert_eq!(response.expect(200).text(), "ignored");
    }
}

/// A head in as many packets as it has bytes is the same head.
#[test]
fn reads_a_head_byte_by_byte() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut client = server.client();
    for byte in Request::post("/raw", "the body").bytes() {
        client.write([byte]);
    }
    assert_eq!(client.response("POST").expect(200).text(), "the body");
}

#[test]
fn decodes_a_chunked_body() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut client = server.client();
    for _ in 0..2 {
        client.write(
            "POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nfirst\r\n8;name=value\r\n, second\r\n0\r\nTrailer: dropped\r\n\r\n",
        );
        assert_eq!(client.response("POST").expect(200).text(), "first, second");
    }
}

#[test]
fn marks_a_chunked_body_as_terminated() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut client = server.client();
    let response = client.write(chunked).response("POST").expect(200);
    assert!(
        response
            .text()
            .contains("wsgi.input_terminated\tbool\tTrue")
    );
    assert!(!response.text().contains("CONTENT_LENGTH"), "{response:?}");
}

/// The client holds the body back until it is told to go on.
#[test]
fn sends_100_continue_before_it_waits_for_the_body() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let mut client = server.client();
    let request = Request::post("/raw", "the body").header("Expect", "100-continue");
    let head_only = Request {
        body: Vec::new(),
        ..request
    };
    client.write(head_only.bytes());
    assert_eq!(client.response("POST").status, 100);
    client.write("the body");
    assert_eq!(client.response("POST").expect(200).text(), "the body");
}

#[test]
fn answers_head_with_the_headers_of_get() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    let mut client = server.client();
    let response = client
        .send(&Request::new("HEAD", "/with-length"))
        .expect(200);
    assert_eq!(response.header("Content-Length"), Some("11"));
    client.send(&Request::get("/with-length")).expect(200);
}

#[test]
fn a_stream_is_chunked_and_a_single_item_has_its_length() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    let mut client = server.client();
    let stream = client.send(&Request::get("/generator")).expect(200);
    assert_eq!(stream.framing("GET"), Framing::Chunked);
    assert_eq!(stream.text(), "first second");
    let single = client.send(&Request::get("/one-item")).expect(200);
    assert_eq!(single.framing("GET"), Framing::Length(8));
}

/// 10 MB out to a client that starts to read only when all was asked for.
#[test]
fn sends_a_big_body_whole() {
    let server = Server::app(Kind::Uwgate, "responses.py");
    let response = server.get("/big?10000000").expect(200);
    assert_eq!(response.body.len(), 10_000_000);
    let response = server.get("/big-stream?2500").expect(200);
    assert_eq!(response.body.len(), 2_500 * 4_096);
    assert!(response.text().ends_with("2499\n"));
}
