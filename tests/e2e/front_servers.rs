//! Real nginx and real Apache in front.

use std::fs;

use crate::both;
use crate::http_environ::Environ;
use crate::support::apache::Apache;
use crate::support::{Address, Client, Kind, Nginx, Request, Server, Setup, TempDir};

both! {
    fn nginx_over_a_unix_socket(kind) {
        let server = Server::app(kind, "hello.py");
        let nginx = Nginx::before(&server.socket);
        assert_eq!(nginx.get("/").expect(200).text(), "Hello, world!");
    }
}

both! {
    fn nginx_over_tcp(kind) {
        let address = Address::free_port();
        let _server = Setup::app(kind, "hello.py").option("socket", &address).start();
        let nginx = Nginx::before(&address);
        assert_eq!(nginx.get("/").expect(200).text(), "Hello, world!");
    }
}

both! {
    fn nginx_sends_its_own_parameters(kind) {
        let server = Server::app(kind, "environ.py");
        let nginx = Nginx::before(&server.socket);
        let request = Request::post("/a%20b?c=d", "body")
            .header("X-Some-Header", "value")
            .header("Content-Type", "text/x");
        let environ = Environ(nginx.send(&request).expect(200).text().to_owned());
        environ.is("PATH_INFO", "str '/a b'");
        environ.is("REQUEST_URI", "str '/a%20b?c=d'");
        environ.is("QUERY_STRING", "str 'c=d'");
        environ.is("REMOTE_ADDR", "str '127.0.0.1'");
        environ.is("SERVER_NAME", "str 'test.example'");
        environ.is("SERVER_PORT", &format!("str '{}'", nginx.http.port()));
        environ.is("HTTP_X_SOME_HEADER", "str 'value'");
        environ.is("CONTENT_TYPE", "str 'text/x'");
        environ.is("CONTENT_LENGTH", "str '4'");
        environ.is("wsgi.url_scheme", "str 'http'");
    }
}

/// The bytes of a body that no two places of which are alike, without a generator of our own.
fn body_of(megabytes: usize) -> Vec<u8> {
    (0..megabytes * 1_000_000 / 8)
        .flat_map(|number| {
            (number as u64)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_le_bytes()
        })
        .collect()
}

/// Uploads through nginx; `/digest` answers with the count and the SHA-256 of what it read.
fn uploads(kind: Kind, location: &str) {
    let body = body_of(100);
    let file = TempDir::new();
    let path = file.write("body", &body);
    let sum = std::process::Command::new("sha256sum")
        .arg(&path)
        .output()
        .expect("runs");
    let sum = String::from_utf8_lossy(&sum.stdout);
    let sum = sum.split(' ').next().expect("prints the sum first");

    let server = Server::app(kind, "echo.py");
    let pass = format!("uwsgi_pass {}; {location}", Nginx::upstream(&server.socket));
    let nginx = Nginx::start(&pass, "");
    let response = nginx.send(&Request::post("/digest", body)).expect(200);
    assert_eq!(response.text(), format!("100000000 {sum}"));
}

both! {
    fn an_upload_of_100_mb_buffered_by_nginx(kind) {
        uploads(kind, "uwsgi_request_buffering on;");
    }
}

both! {
    fn an_upload_of_100_mb_streamed_by_nginx(kind) {
        uploads(kind, "uwsgi_request_buffering off;");
    }
}

/// A large body waits in a file, not in memory.
#[test]
fn an_upload_of_100_mb_takes_little_memory() {
    let server = Server::app(Kind::Uwgate, "echo.py");
    server.post("/digest", body_of(100)).expect(200);
    let worker = server.workers()[0];
    let status = fs::read_to_string(format!("/proc/{worker}/status")).expect("it lives");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|size| size.trim().strip_suffix(" kB"))
        .and_then(|size| size.parse::<u32>().ok())
        .expect("the kernel tells the peak");
    assert!(peak < 80_000, "{peak} kB");
}

both! {
    fn a_chunked_upload_becomes_one_with_a_length(kind) {
        let server = Server::app(kind, "echo.py");
        let nginx = Nginx::before(&server.socket);
        let mut client = Client::connect(&nginx.http);
        client.write(
            "POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nfirst\r\n8\r\n, second\r\n0\r\n\r\n",
        );
        assert_eq!(client.response("POST").expect(200).text(), "first, second");
    }
}

/// Downloads with nginx's buffering in both positions.
fn downloads(kind: Kind, buffering: &str) {
    let server = Server::app(kind, "responses.py");
    let location = format!(
        "uwsgi_pass {}; uwsgi_buffering {buffering};",
        Nginx::upstream(&server.socket)
    );
    let nginx = Nginx::start(&location, "");
    let mut client = Client::connect(&nginx.http);
    for path in [
        "/one-item",
        "/generator",
        "/write",
        "/with-length",
        "/no-content",
        "/cookies",
    ] {
        let direct = server.get(path);
        let passed = client.send(&Request::get(path));
        assert_eq!(passed.status, direct.status, "{path}");
        assert_eq!(passed.body, direct.body, "{path}");
        assert_eq!(
            passed.header_values("Set-Cookie"),
            direct.header_values("Set-Cookie")
        );
    }
    let big = client.send(&Request::get("/big-stream?5000")).expect(200);
    assert_eq!(big.body.len(), 5_000 * 4_096);
}

both! {
    fn responses_buffered_by_nginx(kind) {
        downloads(kind, "on");
    }
}

both! {
    fn responses_streamed_by_nginx(kind) {
        downloads(kind, "off");
    }
}

both! {
    /// Each piece of a generator arrives before the next one is made.
    fn a_generator_is_streamed_as_it_yields(kind) {
        let server = Server::app(kind, "slow.py");
        let location = format!("uwsgi_pass {}; uwsgi_buffering off;", Nginx::upstream(&server.socket));
        let nginx = Nginx::start(&location, "");
        let signals = TempDir::new();
        let mut client = Client::connect(&nginx.http);
        client.write(Request::get(&format!("/drip{}", signals.display())).bytes());
        client.head();
        for number in 0..4 {
            assert_eq!(client.chunk().expect("a piece"), format!("piece {number}\n").as_bytes());
            signals.write(&(number + 1).to_string(), "");
        }
        assert_eq!(client.chunk(), None);
    }
}

both! {
    fn a_dead_upstream_is_passed_over(kind) {
        let mut first = Server::app(kind, "hello.py");
        let second = Server::app(kind, "hello.py");
        let upstreams = format!(
            "upstream both {{ server {}; server {}; }}",
            Nginx::upstream(&first.socket),
            Nginx::upstream(&second.socket)
        );
        let nginx = Nginx::start("uwsgi_pass both;", &upstreams);
        for _ in 0..6 {
            nginx.get("/").expect(200);
        }
        first.stop_with(rustix::process::Signal::INT);
        for _ in 0..20 {
            nginx.get("/").expect(200);
        }
    }
}

/// uWSGI closes in silence; nginx can only say 502.
#[test]
fn an_exception_is_a_500_through_nginx() {
    let server = Server::app(Kind::Uwgate, "faults.py");
    let nginx = Nginx::before(&server.socket);
    nginx.get("/raise-at-call").expect(500);
    server.wait_for_log("ValueError: raised before start_response");
}

#[test]
fn a_head_above_buffer_size_is_a_431_through_nginx() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let nginx = Nginx::before(&server.socket);
    let request = Request::get("/").header("Cookie", "c".repeat(6_000));
    nginx.send(&request).expect(431);
    assert!(!nginx.error_log().contains("prematurely closed"));
}

both! {
    fn a_file_through_nginx(kind) {
        let content = body_of(3);
        let file = TempDir::new();
        let path = file.write("file", &content);
        let server = Setup::app(kind, "files.py").env("FILE", &path.display().to_string()).start();
        let nginx = Nginx::before(&server.socket);
        let response = nginx.get("/file").expect(200);
        assert!(response.body == content);
    }
}

both! {
    fn apache_over_tcp(kind) {
        let address = Address::free_port();
        let _server = Setup::app(kind, "environ.py")
            .option("socket", &address)
            .option("buffer-size", 16384)
            .start();
        let apache = Apache::before(&address);
        let request = Request::post("/a%20b?c=d", "body").header("X-Some-Header", "value");
        let environ = Environ(apache.send(&request).expect(200).text().to_owned());
        environ.is("PATH_INFO", "str '/a b'");
        environ.is("QUERY_STRING", "str 'c=d'");
        environ.is("REQUEST_METHOD", "str 'POST'");
        environ.is("HTTP_X_SOME_HEADER", "str 'value'");
        environ.is("CONTENT_LENGTH", "str '4'");
    }
}

both! {
    fn apache_uploads_and_downloads(kind) {
        let address = Address::free_port();
        let _server = Setup::app(kind, "echo.py")
            .option("socket", &address)
            .option("buffer-size", 16384)
            .start();
        let apache = Apache::before(&address);
        let body = body_of(5);
        let response = apache.send(&Request::post("/raw", body.clone())).expect(200);
        assert!(response.body == body);
    }
}
