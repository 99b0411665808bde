//! What the JSON says of workers, their cores and their applications.

use serde_json::Value;

use super::{Hanging, number, setup, started, stats, worker};
use crate::both;
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Packet, Request, Setup, paths};

both! {
    /// Of each its own, without the time that Python takes to begin; uWSGI tells `chdir` of applications only that
    /// front servers have named.
    fn applications_tell_how_long_they_took_to_load(kind) {
        for lazy in [false, true] {
            let slow = "\
import time; time.sleep(1.1)
def application(environ, start_response):
    start_response('200 OK', [])
    return []
";
            let setup = Setup::new(kind);
            let address = setup.dir().join("stats.sock");
            let quick = setup.write("quick.py", slow.replace("1.1", "0"));
            let slow = setup.write("slow.py", slow);
            let server = started(
                setup
                    .option("stats", address.display())
                    .option("chdir", "/tmp")
                    .option("lazy-apps", lazy)
                    .option("mount", format!("/quick={}", quick.display()))
                    .option("mount", format!("/slow={}", slow.display())),
            );
            let seen = until("the applications", || {
                let apps = worker(&stats(&server), 1)["apps"].as_array()?.clone();
                (apps.len() == 2).then_some(apps)
            });
            let [quick, slow] = [&seen[0], &seen[1]];
            assert_eq!([&quick["mountpoint"], &slow["mountpoint"]], ["/quick", "/slow"]);
            assert_eq!([&quick["chdir"], &slow["chdir"]], ["", ""]);
            // uWSGI looks at whole seconds before and after.
            let [quick, slow] = [quick, slow].map(|app| number(app, "startup_time"));
            assert!(quick < slow, "{quick} {slow} {lazy}");
        }
    }
}

#[test]
fn answers_to_slow_readers_count_as_offloaded() {
    let source = "\
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '16000000')])
    return [b'x' * 16000000]
";
    let setup = Setup::source(Kind::Uwgate, source);
    let address = setup.dir().join("stats.sock");
    let server = started(setup.option("stats", address.display()));
    let offloaded = || {
        number(
            &worker(&stats(&server), 1)["cores"][0],
            "offloaded_requests",
        )
    };
    assert_eq!(offloaded(), 0);
    let mut slow = server.client();
    slow.write(Request::get("/").bytes());
    until_true("the answer to be offloaded", || offloaded() == 1);
    slow.response("GET").expect(200);
    assert_eq!(offloaded(), 1);
}

both! {
    fn a_request_in_flight(kind) {
        let server = started(setup(kind, "slow.py").option("threads", 2));
        let hanging = Hanging::start(&server, "go", "");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("it is after 1970").as_secs();
        let seen = stats(&server);
        let worker = worker(&seen, 1);
        assert_eq!(worker["status"], "busy");
        let cores = worker["cores"].as_array().expect("there are cores");
        let busy: Vec<_> = cores.iter().filter(|core| core["in_request"] == 1).collect();
        assert_eq!((cores.len(), busy.len()), (2, 1));
        let start = number(&busy[0]["req_info"], "request_start");
        assert!((now - 30..=now + 1).contains(&start), "{start} is not about {now}");
        let vars = busy[0]["vars"].as_array().expect("there are variables");
        for var in ["REQUEST_METHOD=GET", "HTTP_HOST=test.example"] {
            assert!(vars.iter().any(|it| it == var), "{var}: {vars:?}");
        }
        hanging.finish();
        until_true("the worker to be idle", || stats(&server)["workers"][0]["status"] == "idle");
    }
}

both! {
    fn counters(kind) {
        let server = started(setup(kind, "faults.py").option("threads", 2));
        for _ in 0..3 {
            server.get("/last").expect(200);
        }
        server.uwsgi(&Packet::get("/last")).expect(200);
        let raise = Request::get("/raise-at-call").header("Connection", "close");
        server.client().write(raise.bytes()).rest();
        // Here they are counted when they begin, and what came of them when they end.
        let seen = until("the end of five requests", || {
            let seen = stats(&server);
            let worker = &seen["workers"][0];
            (number(worker, "requests") == 5 && number(worker, "exceptions") == 1).then_some(seen)
        });
        let worker = worker(&seen, 1);
        assert_eq!(number(worker, "delta_requests"), 5);
        assert_eq!(number(worker, "respawn_count"), 1);
        assert_eq!(number(worker, "harakiri_count"), 0);
        assert_eq!(number(worker, "accepting"), 1);
        assert!(number(worker, "tx") > 0);
        assert!(number(worker, "running_time") > 0);
        assert!(number(worker, "avg_rt") <= number(worker, "running_time"));
        assert_eq!(number(&worker["apps"][0], "requests"), 5);
        assert_eq!(number(&worker["apps"][0], "exceptions"), 1);
        let cores = worker["cores"].as_array().expect("there are cores");
        let of_cores: u64 = cores.iter().map(|core| number(core, "requests")).sum();
        assert_eq!(of_cores, 5);
        assert_eq!(number(&seen, "pid"), u64::from(server.process.pid()));
        let workers = crate::support::process::children(server.process.pid());
        let pid = u32::try_from(number(worker, "pid")).expect("is a pid");
        assert!(workers.contains(&pid), "{pid} is not among {workers:?}");
    }
}

both! {
    /// Each application's own, also those of several threads and of a worker's successors.
    fn applications_are_told_apart(kind) {
        let file = paths::app("faults.py");
        let setup = setup(kind, "hello.py")
            .option("mount", format!("/faults={}", file.display()))
            .option("manage-script-name", "true")
            .option("threads", 2);
        let server = started(setup);
        for path in ["/", "/faults/raise-at-call", "/faults/raise-at-call", "/faults/raise-at-call"] {
            let request = Request::get(path).header("Connection", "close");
            server.client().write(request.bytes()).rest();
        }
        let figures = |app: &Value| (number(app, "requests"), number(app, "exceptions"));
        until_true("each application's requests", || {
            let seen = stats(&server);
            let apps = &seen["workers"][0]["apps"];
            (figures(&apps[0]), figures(&apps[1])) == ((1, 0), (3, 3))
        });
    }
}

both! {
    fn a_worker_may_say_that_it_takes_nothing(kind) {
        let server = started(setup(kind, "ask.py"));
        for (said, shown) in [("False", 0), ("True", 1)] {
            let expression = format!("uwsgi.accepting({said})");
            server.post("/", expression.as_str()).expect(200);
            assert_eq!(number(&stats(&server)["workers"][0], "accepting"), shown);
        }
    }
}

/// A peer that promises more than it sends. uWSGI counts none of them.
#[test]
fn a_body_that_does_not_come_is_a_read_error() {
    let server = started(setup(Kind::Uwgate, "echo.py"));
    let head = "POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n";
    let mut client = server.client();
    client
        .write(head)
        .write(vec![b'x'; 100_000])
        .finish()
        .rest();
    until_true("a read error", || {
        number(&stats(&server)["workers"][0]["cores"][0], "read_errors") == 1
    });
}

/// uWSGI has them only with `memory-report`.
#[test]
fn memory_is_that_of_the_worker() {
    let server = started(setup(Kind::Uwgate, "hello.py"));
    // A worker that has just begun may still grow.
    let seen = until("the size that Linux tells", || {
        let seen = stats(&server);
        let worker = worker(&seen, 1);
        let status = std::fs::read_to_string(format!("/proc/{}/status", number(worker, "pid")));
        let status = status.expect("the worker lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
        let kilobytes: u64 = line
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .expect("Linux says so");
        (number(worker, "vsz") == kilobytes * 1024).then_some(seen)
    });
    let worker = worker(&seen, 1);
    assert!(number(worker, "rss") > 1_000_000);
    assert!(number(worker, "rss") < number(worker, "vsz"));
}

both! {
    /// Those that cheaper has not started yet are no idle workers.
    fn a_worker_that_was_not_needed_yet_is_cheap(kind) {
        let server = setup(kind, "hello.py").option("processes", 3).option("cheaper", 1).start();
        let words = || {
            let stats = stats(&server);
            let workers = stats["workers"].as_array().expect("there are workers").iter();
            workers.map(|worker| worker["status"].to_string()).collect::<Vec<_>>()
        };
        // uWSGI's first worker is busy while it starts.
        until_true("one idle worker", || {
            words() == ["\"idle\"", "\"cheap\"", "\"cheap\""]
        });
    }
}
