//! The uwsgi protocol on raw sockets: what nginx sends, and what an attacker might.

use crate::both;
use crate::http_environ::Environ;
use crate::support::{Client, Kind, Packet, Server, Setup};

fn environ(server: &Server, packet: &Packet) -> Environ {
    Environ(server.uwsgi(packet).expect(200).text().to_owned())
}

both! {
    fn answers_a_get(kind) {
        let server = Server::app(kind, "hello.py");
        let response = server.uwsgi(&Packet::get("/")).expect(200);
        assert_eq!(response.version, "HTTP/1.1");
        assert_eq!(response.text(), "Hello, world!");
    }
}

both! {
    fn echoes_a_body(kind) {
        let server = Server::app(kind, "echo.py");
        let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let response = server.uwsgi(&Packet::post("/raw", body.clone())).expect(200);
        assert!(response.body == body);
    }
}

both! {
    fn closes_after_the_response(kind) {
        let server = Server::app(kind, "hello.py");
        let mut bytes = Packet::get("/").bytes();
        bytes.extend(Packet::get("/pid").bytes());
        let answer = String::from_utf8(server.raw_uwsgi(bytes)).expect("UTF-8");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

both! {
    fn every_variable_reaches_the_app(kind) {
        let server = Server::app(kind, "environ.py");
        let packet = Packet::get("/a?b=c")
            .var("REMOTE_USER", "alice")
            .var("X_OWN_PARAM", "from nginx")
            .var("SCRIPT_NAME", "")
            .var("EMPTY", "")
            .var("NOT_ASCII", [0xc3, 0xa9, 0xff]);
        let environ = environ(&server, &packet);
        environ.is("REMOTE_USER", "str 'alice'");
        environ.is("X_OWN_PARAM", "str 'from nginx'");
        environ.is("EMPTY", "str ''");
        environ.is("NOT_ASCII", "str 'Ã©ÿ'");
        environ.is("REMOTE_ADDR", "str '192.0.2.7'");
        environ.is("REMOTE_PORT", "str '40779'");
        environ.is("SERVER_NAME", "str 'test.example'");
        environ.is("CONTENT_LENGTH", "str ''");
        environ.is("CONTENT_TYPE", "str ''");
        environ.is("PATH_INFO", "str '/a'");
    }
}

both! {
    /// The front end has decoded the path already.
    fn the_path_is_taken_as_it_is(kind) {
        let server = Server::app(kind, "environ.py");
        let packet = Packet::get("/x").with("PATH_INFO", "/a%20b/../c");
        environ(&server, &packet).is("PATH_INFO", "str '/a%20b/../c'");
    }
}

both! {
    fn https_sets_the_scheme(kind) {
        let server = Server::app(kind, "environ.py");
        for (key, value, scheme) in [
            ("HTTPS", "on", "https"),
            ("HTTPS", "ON", "https"),
            ("HTTPS", "1", "https"),
            ("HTTPS", "off", "http"),
            ("HTTPS", "", "http"),
            ("UWSGI_SCHEME", "https", "https"),
        ] {
            let environ = environ(&server, &Packet::get("/").var(key, value));
            environ.is("wsgi.url_scheme", &format!("str '{scheme}'"));
        }
    }
}

both! {
    fn without_a_protocol_the_answer_is_http_1_0(kind) {
        let server = Server::app(kind, "hello.py");
        let response = server.uwsgi(&Packet::get("/").without("SERVER_PROTOCOL"));
        assert_eq!(response.expect(200).version, "HTTP/1.0");
    }
}

both! {
    fn a_request_in_small_pieces(kind) {
        let server = Server::app(kind, "echo.py");
        let mut client = Client::connect(&server.socket);
        for piece in Packet::post("/raw", "the body").bytes().chunks(7) {
            client.write(piece);
        }
        assert_eq!(client.response("POST").expect(200).text(), "the body");
    }
}

both! {
    fn ping_is_answered(kind) {
        let server = Server::app(kind, "hello.py");
        assert_eq!(server.raw_uwsgi(Packet::new(100).bytes()), [100, 0, 0, 1]);
    }
}

/// uWSGI looks for byte strings there, so under Python 3 it does nothing.
#[test]
fn modifier_30_takes_the_script_name_off_the_path() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let mut packet = Packet::get("/x")
        .with("PATH_INFO", "/app/page")
        .var("SCRIPT_NAME", "/app");
    packet.modifier1 = 30;
    let environ = environ(&server, &packet);
    environ.is("PATH_INFO", "str '/page'");
    environ.is("SCRIPT_NAME", "str '/app'");
}

both! {
    fn listens_on_tcp(kind) {
        let address = crate::support::Address::free_port();
        let _server = Setup::app(kind, "hello.py").option("socket", &address).start();
        let response = Client::connect(&address).write(Packet::get("/").bytes()).response("GET");
        assert_eq!(response.expect(200).text(), "Hello, world!");
    }
}

both! {
    /// 40 KiB of cookies, as far as `buffer-size` lets them.
    fn a_large_block_within_buffer_size(kind) {
        let server = Setup::app(kind, "environ.py").option("buffer-size", 65535).start();
        let packet = Packet::get("/").var("HTTP_COOKIE", "c".repeat(40_000));
        let text = server.uwsgi(&packet).expect(200).body;
        assert!(text.len() > 40_000);
    }
}

/// Sends the bytes; the answer must be one refusal with this status, and the end.
#[track_caller]
fn refused(server: &Server, status: u16, bytes: &[u8]) {
    let mut client = Client::connect(&server.socket);
    let response = client.write(bytes).finish().response("GET");
    assert_eq!(response.status, status, "{response:?}");
    assert!(client.at_end());
}

/// uWSGI closes in silence, and nginx says 502. Here both sides learn why.
#[test]
fn a_block_above_buffer_size() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let packet = Packet::get("/").var("HTTP_COOKIE", "c".repeat(5_000));
    refused(&server, 431, &packet.bytes());
    server.wait_for_log("buffer-size");
    server.uwsgi(&Packet::get("/")).expect(200);
}

#[test]
fn malformed_blocks() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let whole = Packet::get("/").bytes();
    let size = u16::try_from(whole.len() - 4).expect("is small");
    let resized = |size: u16| {
        let mut bytes = whole.clone();
        bytes[1..3].copy_from_slice(&size.to_le_bytes());
        bytes
    };
    let block = |content: &[u8]| {
        let mut bytes = vec![0];
        bytes.extend(
            u16::try_from(content.len())
                .expect("is small")
                .to_le_bytes(),
        );
        bytes.push(0);
        bytes.extend(content);
        bytes
    };
    // Cut in the middle of a variable.
    refused(&server, 400, &resized(size - 3));
    refused(&server, 400, &resized(size - 1));
    // A key of length 0.
    refused(&server, 400, &block(b"\0\0\x01\0v"));
    // Lengths that point beyond the block.
    refused(&server, 400, &block(b"\xff\xffkey"));
    refused(&server, 400, &block(b"\x03\0key\xff\xff"));
    refused(&server, 400, &block(b"\x03\0key"));
    refused(&server, 400, &block(b"\x03"));
    // No variables at all.
    refused(&server, 400, &block(b""));
    server.uwsgi(&Packet::get("/")).expect(200);
}

/// `GET ` read as a packet header announces a block of 0x5445 bytes.
#[test]
fn http_on_the_uwsgi_port_gets_an_answer() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let mut client = Client::connect(&server.socket);
    client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n").finish();
    let answer = client.rest();
    assert!(answer.starts_with(b"HTTP/1."), "{answer:?}");
    server.uwsgi(&Packet::get("/")).expect(200);
}

#[test]
fn bad_content_lengths() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    for value in ["-1", "x", "+1", "1, 1", "18446744073709551616", " 1"] {
        let packet = Packet::get("/").with("CONTENT_LENGTH", value);
        refused(&server, 400, &packet.bytes());
    }
}

#[test]
fn modifiers_of_other_plugins() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    for modifier in [5, 14, 17, 18, 22, 72, 110, 111, 173, 224, 250] {
        let mut packet = Packet::get("/");
        packet.modifier1 = modifier;
        let answer = server.raw_uwsgi(packet.bytes());
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5"),
            "modifier {modifier}: {text}"
        );
        assert!(!text.contains("Hello"), "modifier {modifier}: {text}");
    }
    server.uwsgi(&Packet::get("/")).expect(200);
}

/// In uWSGI each of these loads code, changes the directory or reads a file: whoever reaches the
/// port owns the machine.
#[test]
fn dangerous_variables_do_nothing() {
    let setup = Setup::app(Kind::Uwgate, "hello.py");
    let evil = setup.write(
        "evil.py",
        "open('owned', 'w').close()\n\
         def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return [b'owned']\n",
    );
    let post = setup.write("post", "secret");
    let dir = setup.dir().to_owned();
    let server = setup.start();
    let evil = evil.display().to_string();
    let dir_name = dir.display().to_string();
    let post = post.display().to_string();
    for vars in [
        &[("UWSGI_FILE", evil.as_str()), ("UWSGI_APPID", "evil")][..],
        &[
            ("UWSGI_SCRIPT", "evil"),
            ("UWSGI_APPID", "evil2"),
            ("UWSGI_CHDIR", &dir_name),
        ],
        &[
            ("UWSGI_MODULE", "evil"),
            ("UWSGI_CALLABLE", "application"),
            ("UWSGI_APPID", "e3"),
        ],
        &[("UWSGI_HOME", &dir_name), ("UWSGI_PYHOME", &dir_name)],
        &[("UWSGI_POSTFILE", &post)],
        &[("UWSGI_SETENV", "LD_PRELOAD=evil.so")],
        &[("UWSGI_TOUCH_RELOAD", &evil)],
        &[("UWSGI_CACHE_GET", "key")],
    ] {
        let packet = vars.iter().fold(Packet::get("/"), |packet, (key, value)| {
            packet.var(key, value)
        });
        let response = server.uwsgi(&packet).expect(200);
        assert_eq!(response.text(), "Hello, world!", "{vars:?}");
    }
    assert!(!dir.join("owned").exists());
}

#[test]
fn setenv_does_not_reach_the_environ() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let environ = environ(&server, &Packet::get("/").var("UWSGI_SETENV", "INJECTED=1"));
    environ.lacks("INJECTED");
}

/// uWSGI believes these headers from anybody.
#[test]
fn forwarded_headers_are_not_believed() {
    let server = Server::app(Kind::Uwgate, "environ.py");
    let packet = Packet::get("/")
        .var("HTTP_X_FORWARDED_PROTO", "https")
        .var("HTTP_X_FORWARDED_SSL", "on");
    environ(&server, &packet).is("wsgi.url_scheme", "str 'http'");
}

/// A connection that says nothing, and one that stops in the middle, hurt nobody.
#[test]
fn idle_and_broken_connections() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let _idle = Client::connect(&server.socket);
    let mut half = Client::connect(&server.socket);
    half.write(&Packet::get("/").bytes()[..20]);
    drop(Client::connect(&server.socket));
    for _ in 0..10 {
        server.uwsgi(&Packet::get("/")).expect(200);
    }
}

/// The body is shorter than announced: the app gets an error, or less; the server goes on.
#[test]
fn a_body_that_breaks_off() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    let packet = Packet::post("/raw", "only this").with("CONTENT_LENGTH", "1000");
    let answer = {
        let mut client = Client::connect(&server.socket);
        client.write(packet.bytes()).finish().rest()
    };
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains(" 200 "), "{answer}");
    server.uwsgi(&Packet::get("/raw")).expect(200);
}
