//! The request log, which people's scripts read, and where it goes.

use crate::both;
use crate::support::{Kind, Packet, Request, Server, Setup};

/// A pattern in which each `#` stands for digits and `~` for a ctime; everything else for itself.
fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    for part in pattern.split_inclusive(['#', '~']) {
        let literal = part.trim_end_matches(['#', '~']);
        let Some(after) = rest.strip_prefix(literal) else {
            return false;
        };
        rest = match part.chars().last() {
            Some('#') => after.trim_start_matches(|c: char| c.is_ascii_digit()),
            Some('~') => after.get(24..).unwrap_or(""),
            _ => after,
        };
        if part.ends_with('#') && rest.len() == after.len() {
            return false;
        }
    }
    rest.is_empty()
}

#[track_caller]
fn has_line(server: &Server, pattern: &str) {
    let what = format!("a log line like {pattern}");
    server.wait_for_line(&what, |line| matches(pattern, line));
}

both! {
    fn the_default_line_over_http(kind) {
        let server = Server::app(kind, "responses.py");
        server.get("/one-item?a=b").expect(200);
        let counts = if kind == Kind::Uwsgi { "1 headers in 45 bytes" } else { "# headers in # bytes" };
        has_line(&server, &format!(
            "[pid: #|app: 0|req: 1/1] 127.0.0.1 () {{# vars in # bytes}} [~] \
             GET /one-item?a=b => generated 8 bytes in # msecs (HTTP/1.1 200) \
             {counts} (1 switches on core 0)"
        ));
    }
}

both! {
    fn the_default_line_over_uwsgi(kind) {
        let server = Server::app(kind, "responses.py");
        let packet = Packet::get("/with-length").var("REMOTE_USER", "alice");
        server.uwsgi(&packet).expect(200);
        // uWSGI counts keys and values: 15 variables are 30.
        let size = packet.head().len() - 4;
        has_line(&server, &format!(
            "[pid: #|app: 0|req: 1/1] 192.0.2.7 (alice) {{30 vars in {size} bytes}} [~] \
             GET /with-length => generated 11 bytes in # msecs (HTTP/1.1 200) \
             2 headers in 65 bytes (# switches on core 0)"
        ));
    }
}

both! {
    fn a_streamed_body_is_counted(kind) {
        let server = Server::app(kind, "responses.py");
        server.uwsgi(&Packet::get("/generator")).expect(200);
        has_line(&server, "[pid: #|app: 0|req: 1/1] 192.0.2.7 () {# vars in # bytes} [~] \
             GET /generator => generated 12 bytes in # msecs (HTTP/1.1 200) \
             1 headers in 45 bytes (# switches on core 0)");
    }
}

both! {
    fn requests_are_counted(kind) {
        let server = Server::app(kind, "hello.py");
        for _ in 0..3 {
            server.get("/").expect(200);
        }
        for number in 1..4 {
            server.wait_for_log(&format!("|req: {number}/{number}] "));
        }
    }
}

both! {
    fn disable_logging_leaves_requests_out(kind) {
        let server = Setup::app(kind, "faults.py").option("disable-logging", "true").start();
        server.get("/print-something").expect(200);
        server.wait_for_log("printed to wsgi.errors");
        server.get("/last").expect(200);
        assert!(!server.log().contains("=> generated"), "{}", server.log());
    }
}

both! {
    fn logto_moves_the_log_to_a_file(kind) {
        let setup = Setup::app(kind, "faults.py");
        let file = setup.dir().join("its.log");
        let server = setup.option("logto", file.display()).start();
        server.get("/print-something").expect(200);
        for text in ["printed to stdout", "printed to stderr", "GET /print-something => generated 7 bytes"] {
            crate::support::wait::until_true(text, || {
                std::fs::read_to_string(&file).is_ok_and(|log| log.contains(text))
            });
        }
        assert!(!server.log().contains("GET /print-something"));
    }
}

/// What a client sends must not be able to forge a line, nor to steer a terminal.
#[test]
fn control_characters_do_not_reach_the_log() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    let packet = Packet::get("/")
        .with("REQUEST_URI", "/a\n[pid: 1|app: 0|req: 1/1] forged\x1b[2J")
        .var("REMOTE_USER", "eve\r\nforged too");
    server.uwsgi(&packet).expect(200);
    server.get("/mark").expect(200);
    server.wait_for_log("GET /mark");
    let log = server.log();
    assert!(!log.contains('\x1b'), "{log:?}");
    assert!(
        !log.lines().any(|line| line.starts_with("[pid: 1|")),
        "{log}"
    );
    assert!(
        !log.lines().any(|line| line.starts_with("forged too")),
        "{log}"
    );
}

#[test]
fn a_refusal_is_logged_with_its_reason() {
    let server = Server::app(Kind::Uwgate, "hello.py");
    server.raw_http("GET / HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n");
    server.wait_for_log("before its colon");
}

both! {
    fn failed_requests_are_logged_with_their_status(kind) {
        let server = Server::app(kind, "faults.py");
        server.raw_uwsgi(Packet::get("/raise-at-call").bytes());
        let line = server.wait_for_line("the request's line", |line| line.contains("GET /raise-at-call =>"));
        assert!(line.contains("(HTTP/1.1 500)"), "{line}");
    }
}

both! {
    fn the_start_is_logged_in_the_words_that_scripts_look_for(kind) {
        let server = Setup::app(kind, "hello.py").option("processes", 2).start();
        server.send(&Request::get("/")).expect(200);
        for text in [
            "spawned uWSGI master process (pid: ",
            "spawned uWSGI worker 1 (pid: ",
            "spawned uWSGI worker 2 (pid: ",
            "WSGI app 0 (mountpoint='') ready in ",
        ] {
            server.wait_for_log(text);
        }
    }
}
