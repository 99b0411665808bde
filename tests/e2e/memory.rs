//! How little memory the processes keep to themselves.

use std::fs;

use rustix::process::Signal;

use crate::support::process::{self, children};
use crate::support::wait::{until, until_true};
use crate::support::{Kind, Setup};

/// From `/proc/PID/status`, in KiB.
fn resident_files(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssFile:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

/// A Python that has just started has more than 6 MiB of its program and libraries in memory.
#[test]
fn a_zygote_that_rests_keeps_little_of_its_files() {
    let server = Setup::app(Kind::Uwgate, "hello.py").start();
    let worker = until("the log names the worker", || {
        server.workers().first().copied()
    });
    let of_master = children(server.process.pid());
    let zygote = of_master.into_iter().find(|&pid| pid != worker);
    let zygote = zygote.expect("a zygote");
    until_true("the zygote rests", || resident_files(zygote) < 3 << 10);
    process::signal(worker, Signal::KILL);
    until_true("it works as before", || {
        server.workers().iter().any(|&pid| pid != worker)
    });
    server.get("/").expect(200);
}

/// Leaves a gap behind each of ten thousand objects, and tells how many new objects come into one.
const GAPS: &str = "\
objects = [bytes([1]) * 60 for _ in range(20000)]
pools = {id(it) // 16384 for it in objects}
objects = objects[::2]
def application(environ, start_response):
    new = [bytes([2]) * 60 for _ in range(5000)]
    start_response('200 OK', [])
    return [b'%d' % sum(id(it) // 16384 in pools for it in new)]
";

#[test]
fn what_a_worker_makes_does_not_lie_among_what_it_shares() {
    let in_gaps = |setup: Setup| -> u32 {
        let server = setup.start();
        server.get("/").expect(200).text().parse().unwrap()
    };
    let shared = in_gaps(Setup::source(Kind::Uwgate, GAPS));
    assert!(shared < 500, "{shared}");
    // Nobody shares what a worker has loaded itself.
    let own = in_gaps(Setup::source(Kind::Uwgate, GAPS).option("lazy-apps", "true"));
    assert!(own > 4000, "{own}");
}
