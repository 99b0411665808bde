//! Workers that have done enough, and are replaced.

use std::collections::HashSet;

use crate::both;
use crate::support::wait::until_true;
use crate::support::{Kind, Request, Server, Setup};

/// Tells its pid; can grow, and raise.
const APP: &str = "\
import os
kept = []
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/raise':
        raise ValueError(environ['QUERY_STRING'])
    if path == '/grow':
        kept.append(b'x' * 60000000)
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

fn app(kind: Kind) -> Setup {
    Setup::source(kind, APP).option("min-worker-lifetime", 0)
}

/// Asks until another process answers.
fn until_replaced(server: &Server, first: &str) {
    until_true("another worker", || {
        server.get("/").expect(200).text() != first
    });
}

both! {
    fn a_worker_serves_its_number_of_requests(kind) {
        let server = app(kind).option("max-requests", 5).start();
        let served = |_| server.get("/").expect(200).text().to_owned();
        let pids: HashSet<String> = (0..5).map(served).collect();
        assert_eq!(pids.len(), 1, "the first five are served by one");
        let first = pids.iter().next().unwrap();
        until_replaced(&server, first);
        server.wait_for_log(&format!("...The work of process {first} is done. Seeya!"));
    }
}

both! {
    fn a_worker_lives_its_time(kind) {
        let server = app(kind).option("max-worker-lifetime", 1).start();
        let first = server.get("/").expect(200).text().to_owned();
        let line = server.wait_for_line("the reason", |line| line.contains("lifetime reached"));
        assert!(line.starts_with("worker 1 lifetime reached, it was running for "), "{line}");
        until_true("another worker", || {
            let now = server.workers();
            now.len() == 1 && now[0].to_string() != first
        });
    }
}

both! {
    fn a_worker_that_grows_is_replaced(kind) {
        let server = app(kind).option("reload-on-rss", 100).start();
        let first = server.get("/").expect(200).text().to_owned();
        for _ in 0..2 {
            server.get("/grow").expect(200);
        }
        server.wait_for_log("is done. Seeya!");
        until_replaced(&server, &first);
    }
}

both! {
    fn a_worker_far_too_large_goes_at_once(kind) {
        let server = app(kind).option("evil-reload-on-rss", 100).start();
        let first = server.workers();
        for _ in 0..2 {
            server.get("/grow").expect(200);
        }
        until_true("another worker", || {
            let now = server.workers();
            now.len() == 1 && now != first
        });
        server.get("/").expect(200);
    }
}

both! {
    fn an_exception_may_be_the_end_of_a_worker(kind) {
        let server = app(kind).option("reload-on-exception", true).start();
        let first = server.get("/").expect(200).text().to_owned();
        let _ = server.client().write(Request::get("/raise").bytes()).finish().rest();
        until_true("another worker", || {
            let now = server.workers();
            now.len() == 1 && now[0].to_string() != first
        });
        server.get("/").expect(200);
    }
}

/// In uWSGI under Python 3 the forms with a class match nothing.
#[test]
fn only_the_exceptions_that_were_named_count() {
    for (option, value) in [
        ("reload-on-exception-type", "ValueError"),
        ("reload-on-exception-type", "builtins.ValueError"),
        ("reload-on-exception-value", "mine"),
        ("reload-on-exception-repr", "ValueError: mine"),
    ] {
        let server = app(Kind::Uwgate).option(option, value).start();
        let first = server.get("/").expect(200).text().to_owned();
        if !option.ends_with("type") {
            server.get("/raise?other").expect(500);
            assert_eq!(server.get("/").expect(200).text(), first);
        }
        server.get("/raise?mine").expect(500);
        until_replaced(&server, &first);
        server.wait_for_log("a monitored exception");
    }
}

#[test]
fn the_log_says_why() {
    let server = app(Kind::Uwgate).option("max-requests", 3).start();
    let first = server.get("/").expect(200).text().to_owned();
    until_replaced(&server, &first);
    let line = server.wait_for_line("the reason", |line| line.contains("(max-requests)"));
    assert!(line.contains("it served 3 requests"), "{line}");

    let server = app(Kind::Uwgate).option("reload-on-rss", 100).start();
    for _ in 0..2 {
        server.get("/grow").expect(200);
    }
    let line = server.wait_for_line("the reason", |line| line.contains("MiB"));
    assert!(line.contains("(reload-on-rss = 100)"), "{line}");
}

/// The young are spared.
#[test]
fn a_worker_is_not_replaced_before_its_time() {
    let server = app(Kind::Uwgate)
        .option("min-worker-lifetime", 3)
        .option("max-requests", 2)
        .start();
    let first = server.get("/").expect(200).text().to_owned();
    until_replaced(&server, &first);
    let line = server.wait_for_line("the reason", |line| line.contains("(max-requests)"));
    assert!(
        !line.contains("it served 2 requests"),
        "not at once: {line}"
    );
}

/// Two connections that are kept, two that are not; every few requests a worker goes.
#[test]
fn a_hundred_recycles_lose_no_request() {
    let server = app(Kind::Uwgate)
        .option("processes", 3)
        .option("threads", 2)
        .option("max-requests", 20)
        .option("disable-logging", true)
        .start();
    let recycled = || server.log().matches("is done. Seeya!").count();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (server, recycled) = (&server, &recycled);
            scope.spawn(move || {
                let mut client = server.client();
                let mut round = 0;
                while round % 64 != 0 || recycled() < 100 {
                    round += 1;
                    let answer = client.send(&Request::get("/"));
                    assert_eq!(answer.status, 200);
                    let stays = number < 2 && answer.header("connection") != Some("close");
                    if !stays || round == 1 {
                        client = server.client();
                    }
                }
            });
        }
    });
    until_true("three workers", || server.workers().len() == 3);
}

both! {
    /// Without a master nobody follows.
    fn a_lonely_worker_ends(kind) {
        let mut server = app(kind).option("master", false).option("max-requests", 1).start();
        let _ = server.client().write(Request::get("/").bytes()).finish().rest();
        assert_eq!(server.process.wait().code(), Some(30));
        assert!(server.log().contains("is done. Seeya!"), "{}", server.log());
    }
}

both! {
    /// Large things are refused, small ones still work.
    fn memory_may_be_limited(kind) {
        let server = app(kind).option("limit-as", 800).start();
        server.get("/").expect(200);
        for _ in 0..20 {
            let _ = server.client().write(Request::get("/grow").bytes()).finish().rest();
        }
        server.wait_for_log("MemoryError");
        server.get("/").expect(200);
    }
}
