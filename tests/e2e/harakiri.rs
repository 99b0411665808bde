//! Requests that take too long, each stuck in another way.

use crate::support::wait::{until, until_true};
use crate::support::{Address, Client, Kind, Packet, Request, Server, Setup, process};

fn setup(kind: Kind) -> Setup {
    Setup::app(kind, "stuck.py").option("harakiri", 1)
}

/// The process that answers.
fn served_by(server: &Server) -> u32 {
    let response = server.get("/").expect(200);
    let pid = response.header("X-Pid").expect("the app says its pid");
    pid.parse().expect("is a number")
}

fn wait_until_gone(pid: u32) {
    until_true("the worker to be gone", || !process::alive(pid));
}

#[test]
fn whatever_it_is_stuck_in_the_client_gets_a_504_and_the_log_the_place() {
    let server = setup(Kind::Uwgate).start();
    for (path, line) in [
        ("/sleep", "time.sleep(60)"),
        ("/loop", "in loop\n    "),
        ("/regex", "re.match("),
        ("/c_sleep", "libc.sleep(60)"),
        ("/lock", "LOCK.acquire()"),
    ] {
        let before = served_by(&server);
        let response = server.get(path).expect(504);
        assert_eq!(response.header("Connection"), Some("close"), "{path}");
        wait_until_gone(before);
        assert_ne!(served_by(&server), before);

        let start = format!("*** HARAKIRI ON WORKER 1 (pid: {before}, try: 1, graceful: no) ***");
        for expected in [
            &format!("HARAKIRI [core 0] 127.0.0.1 - GET {path} since "),
            "Traceback (most recent call last):",
            "stuck.py\", line ",
            "in application\n    STUCK[path]()",
            line,
            "HARAKIRI triggered by worker 1 core 0 !!!",
            "killed by signal 9 :( trying respawn",
        ] {
            // The worker's own lines come before its end, the master's at any time after.
            until_true(&format!("{path}: {expected:?}"), || {
                let log = server.log();
                let (_, block) = log.split_once(&start).unwrap_or_default();
                block.contains(expected)
            });
        }
    }
}

/// Errors are counted by the request log. In uWSGI it has nothing about them.
#[test]
fn a_request_that_was_ended_has_a_line_in_the_log() {
    const FORMAT: &str =
        "line: %(method) %(uri) %(status) %(rsize) after %(msecs) on %(core) by %(wid)";
    for threads in [1, 2] {
        let setup = setup(Kind::Uwgate).option("log-format", FORMAT);
        let server = setup.option("threads", threads).start();
        let before = served_by(&server);
        server.get("/sleep?x=1").expect(504);
        server.raw_http("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_until_gone(before);
        let line = |what: &str| {
            server.wait_for_log(what);
            let log = server.log();
            let lines: Vec<_> = log.lines().filter(|line| line.contains(what)).collect();
            assert_eq!(lines.len(), 1, "{log}");
            let (_, rest) = lines[0].split_once(" after ").expect("its age");
            let millis = rest.split(' ').next().and_then(|it| it.parse().ok());
            let millis: u64 = millis.expect("a number");
            assert!((1000..30_000).contains(&millis), "{millis}");
        };
        line("line: GET /sleep?x=1 504 15 after ");
        line("line: GET /stream 504 0 after ");
    }

    let setup = setup(Kind::Uwsgi).option("log-format", FORMAT);
    let server = setup.start();
    server.raw_http("GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n");
    server.get("/").expect(200);
    server.wait_for_log("line: GET / 200");
    assert!(!server.log().contains("line: GET /sleep"));
}

/// The thread of such a request may come back before the process ends: it is in the log already.
#[test]
fn a_request_that_was_ended_and_returns_has_no_second_line() {
    let setup = setup(Kind::Uwgate).option("log-format", "line: %(uri) %(status)");
    let server = setup.option("threads", 3).option("harakiri", 2).start();
    let worker = served_by(&server);
    let mut ended = server.client();
    ended.write(Request::get("/long?4").bytes());
    // Keeps the process until the other one is through.
    std::thread::sleep(std::time::Duration::from_millis(1800));
    let mut other = server.client();
    other.write(Request::get("/long?3").bytes());
    ended.response("GET").expect(504);
    let _ = other.rest();
    server.wait_for_log("line: /long?4 504");
    wait_until_gone(worker);
    assert_eq!(server.log().matches("line: /long?4").count(), 1);
}

#[test]
fn a_front_server_gets_the_504_too_and_nothing_under_uwsgi() {
    let packet = Packet::get("/sleep");
    let server = setup(Kind::Uwgate).start();
    server.uwsgi(&packet).expect(504);
    assert!(served_by(&server) > 0);

    let server = setup(Kind::Uwsgi).start();
    assert_eq!(server.raw_uwsgi(packet.bytes()), b"");
    server.wait_for_log("*** HARAKIRI ON WORKER 1 (pid: ");
}

#[test]
fn an_answer_that_has_begun_does_not_end_as_if_it_were_whole() {
    let server = setup(Kind::Uwgate).start();
    let answer = server.raw_http("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = String::from_utf8(answer).expect("is text");
    assert!(answer.contains("\r\n\r\n4\r\nsome\r\n"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    server.wait_for_log("The response had begun");
}

#[test]
fn requests_of_other_threads_are_finished() {
    let setup = setup(Kind::Uwgate).option("threads", 3);
    let server = setup.option("harakiri", 3).start();
    let before = served_by(&server);
    let mut stuck = server.client();
    stuck.write(Request::get("/sleep").bytes());
    std::thread::scope(|scope| {
        let server = &server;
        // One after the other, so that some is under way at any moment; each well within its own time.
        let others = scope.spawn(move || {
            while server.log().matches("triggered by worker 1").count() == 0 {
                server.get("/long?0.2").expect(200);
            }
        });
        let late = scope.spawn(move || {
            // It begins before the stuck one is ended and ends after.
            std::thread::sleep(std::time::Duration::from_secs(1));
            server.get("/long?2.2").expect(200)
        });
        stuck.response("GET").expect(504);
        others.join().expect("all are served");
        let late = late.join().expect("is served");
        assert_eq!(late.header("X-Pid"), Some(before.to_string().as_str()));
    });
    wait_until_gone(before);
    assert_ne!(served_by(&server), before);
    server.wait_for_log("is to be replaced: harakiri");
}

#[test]
fn the_application_may_catch_the_signal() {
    for kind in [Kind::Uwgate, Kind::Uwsgi] {
        let setup = setup(kind).option("harakiri-graceful-timeout", 25);
        let server = setup.start();
        let response = server.get("/handled").expect(503);
        assert_eq!(response.text(), "caught", "{kind:?}");
        server.wait_for_log("try: 1, graceful: yes) ***");
    }
}

#[test]
fn who_does_not_listen_is_ended_after_the_grace() {
    let setup = setup(Kind::Uwgate).option("harakiri-graceful-timeout", 1);
    let server = setup.start();
    server.get("/c_sleep").expect(504);
    server.wait_for_log("try: 1, graceful: yes) ***");
    server.wait_for_log("try: 2, graceful: no) ***");
}

#[test]
fn with_several_threads_the_stuck_one_is_asked_by_an_exception() {
    let setup = setup(Kind::Uwgate).option("harakiri-graceful-timeout", 25);
    let server = setup.option("threads", 2).start();
    let before = served_by(&server);
    let response = server.get("/interrupted").expect(503);
    assert_eq!(response.text(), "interrupted");
    assert_eq!(served_by(&server), before, "the worker lives");
}

#[test]
fn a_slow_reader_does_not_end_a_worker() {
    let setup = setup(Kind::Uwgate).option("socket-timeout", 25);
    let server = setup.start();
    let before = served_by(&server);
    let mut reader = Client::connect(&server.http);
    reader.write(Request::get("/flood").bytes());
    server.wait_for_log("its client is too slow");
    assert_eq!(served_by(&server), before);
    assert!(!server.log().contains("*** HARAKIRI"), "{}", server.log());
}

#[test]
fn nobody_is_ended_while_nobody_waits() {
    for kind in [Kind::Uwgate, Kind::Uwsgi] {
        let setup = setup(kind).option("harakiri-queue-threshold", 5);
        let server = setup.start();
        server.get("/long?2.5").expect(200);
        let skipped =
            "HARAKIRI: Skipping harakiri on worker 1. Listen queue is smaller than the threshold (";
        server.wait_for_line(skipped, |line| {
            line.contains(skipped) && line.contains(" < 5)")
        });
    }
}

#[test]
fn verbose_tells_of_the_kernel_and_of_other_threads() {
    let setup = setup(Kind::Uwgate).option("harakiri-verbose", "true");
    let server = setup.option("threads", 2).option("harakiri", 25).start();
    let mut other = server.client();
    other.write(Request::get("/stream").bytes()).head();
    server.get("/wish").expect(504);
    server.wait_for_log("HARAKIRI: -- wchan> ");
    server.wait_for_log("meanwhile: 127.0.0.1 - GET /stream since ");
    server.wait_for_log("in stream\n    time.sleep(60)");
}

#[test]
fn without_a_master_the_process_ends() {
    let setup = setup(Kind::Uwgate).option("master", "false");
    let mut server = setup.start();
    server.get("/sleep").expect(504);
    assert!(!server.process.wait().success());
}

#[test]
fn the_application_may_set_its_own_clock() {
    for kind in [Kind::Uwgate, Kind::Uwsgi] {
        let server = Server::app(kind, "stuck.py");
        let before = served_by(&server);
        // What was wished is taken back, or forgotten with its request.
        server.get("/unwished").expect(200);
        server.get("/wished").expect(200);
        server.get("/long?2.5").expect(200);
        assert_eq!(served_by(&server), before, "{kind:?}");

        // The first wish of a process and one of its successor.
        for _ in 0..2 {
            let answer = server.raw_http("GET /wish HTTP/1.1\r\nHost: x\r\n\r\n");
            match kind {
                Kind::Uwgate => assert!(answer.starts_with(b"HTTP/1.1 504 "), "{answer:?}"),
                Kind::Uwsgi => assert_eq!(answer, b""),
            }
        }
        server.wait_for_log("HARAKIRI (user) triggered by worker 1 core 0 !!!");
        wait_until_gone(before);
    }
}

#[test]
fn a_worker_that_was_stopped_is_ended_by_the_master() {
    let server = setup(Kind::Uwgate).start();
    let before = served_by(&server);
    let mut client = server.client();
    client.write(Request::get("/stream").bytes()).head();
    assert_eq!(client.chunk().as_deref(), Some(&b"some"[..]));
    process::signal(before, rustix::process::Signal::STOP);
    assert!(client.at_end());
    let line = format!("*** HARAKIRI ON WORKER 1 (pid: {before}, try: 1, graceful: no) ***");
    server.wait_for_log(&line);
    assert_ne!(served_by(&server), before);
}

/// The worker with the stuck request has accepted the connection, but a sibling can serve it as well.
#[test]
fn a_request_that_nobody_has_read_is_served_by_a_sibling() {
    let setup = setup(Kind::Uwgate).option("harakiri", 3);
    let server = setup.option("processes", 2).start();
    let mut seen: Vec<(Client, String)> = Vec::new();
    let (mut stuck, mut resting, pid) = until("two connections of one worker", || {
        let mut client = server.client();
        let response = client.send(&Request::get("/")).expect(200);
        let pid = response
            .header("X-Pid")
            .expect("the app says it")
            .to_owned();
        let of_the_same = seen.iter().position(|(_, other)| *other == pid);
        let Some(other) = of_the_same else {
            seen.push((client, pid));
            return None;
        };
        Some((seen.swap_remove(other).0, client, pid))
    });
    stuck.write(Request::get("/stream").bytes()).head();
    let answer = resting.send(&Request::get("/")).expect(200);
    assert_ne!(answer.header("X-Pid"), Some(pid.as_str()));
    resting.send(&Request::get("/")).expect(200);
    wait_until_gone(pid.parse().expect("a number"));
}

/// The only worker has accepted its connection, and its successor serves it.
#[test]
fn a_request_that_nobody_has_read_is_served_by_the_successor() {
    let server = setup(Kind::Uwgate).option("harakiri", 3).start();
    let mut resting = server.client();
    let before = resting.send(&Request::get("/")).expect(200);
    let mut stuck = server.client();
    stuck.write(Request::get("/stream").bytes()).head();
    let after = resting.send(&Request::get("/")).expect(200);
    assert_ne!(after.header("X-Pid"), before.header("X-Pid"));
    resting.send(&Request::get("/")).expect(200);
}

/// All threads are stuck, and requests that were read wait for one of them.
#[test]
fn requests_that_wait_for_a_stuck_thread_are_turned_away() {
    let setup = setup(Kind::Uwgate).option("harakiri", 3);
    let server = setup.option("threads", 2).start();
    let mut waiting = server.client();
    waiting.send(&Request::get("/")).expect(200);
    let mut stuck = [server.client(), server.client()];
    for client in &mut stuck {
        client.write(Request::get("/stream").bytes()).head();
    }
    let answer = waiting.send(&Request::get("/")).expect(503);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(waiting.at_end());
    assert!(served_by(&server) > 0);
}

#[test]
fn harakiris_are_counted() {
    let stats = Address::free_port();
    let server = setup(Kind::Uwgate).option("stats", &stats).start();
    for count in 1..=2 {
        server.get("/sleep").expect(504);
        let counted = format!("\"harakiri_count\":{count},");
        until_true(&counted, || {
            let figures = Client::connect(&stats).rest();
            let figures = String::from_utf8(figures).expect("is text");
            figures.replace([' ', '\t', '\n'], "").contains(&counted)
        });
    }
}
