//! Whatever happens to the processes of an instance at random, no request that could be served is lost, and in the end
//! everything is as it was.
//!
//! `UWGATE_CHAOS_SECONDS` (4), `UWGATE_CHAOS_SEED` and `UWGATE_CHAOS_OPTIONS` (`threads=2 lazy-apps=true`) are for longer
//! runs by hand.

use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::address::Connection;
use crate::support::idle::kill_if_idle;
use crate::support::install::Installed;
use crate::support::load::APP;
use crate::support::process::{alive, children, descriptors, group, try_signal};
use crate::support::wait::until_true;
use crate::support::{Kind, Load, Request, Server, Setup, Way};

const WORKERS: usize = 4;

/// xorshift64*: the same from the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let count = u64::try_from(all.len()).expect("few").max(1);
        let at = usize::try_from(self.below(count)).expect("few");
        all.get(at).copied()
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// An instance, and what torments it.
struct Torment {
    server: Server,
    installed: Installed,
    dice: Dice,
    /// Clients that do not behave, for a while.
    rude: Vec<Connection>,
    done: Vec<String>,
}

impl Torment {
    fn zygotes(&self) -> Vec<u32> {
        let workers = self.server.workers();
        let children = children(self.server.process.pid());
        children
            .into_iter()
            .filter(|pid| !workers.contains(pid))
            .collect()
    }

    fn fifo(&self, command: &str) {
        fs::write(self.server.dir.join("fifo"), command).expect("the master reads it");
    }

    /// Stops a process for a moment.
    fn freeze(&mut self, pid: u32) {
        let moment = Duration::from_millis(self.dice.below(200));
        try_signal(pid, Signal::STOP);
        std::thread::sleep(moment);
        try_signal(pid, Signal::CONT);
    }

    fn step(&mut self) {
        let workers = self.server.workers();
        let worker = self.dice.one_of(&workers);
        let zygotes = self.zygotes();
        let zygote = self.dice.one_of(&zygotes);
        let what = self.dice.below(16);
        match (what, worker, zygote) {
            (0..=2, Some(worker), _) => drop(kill_if_idle(worker, &self.server)),
            (3, Some(worker), _) => self.freeze(worker),
            (4, _, Some(zygote)) => drop(try_signal(zygote, Signal::KILL)),
            (5, _, Some(zygote)) => self.freeze(zygote),
            (6, ..) => self.freeze(self.server.process.pid()),
            (7, ..) => self.server.signal(Signal::HUP),
            (8, ..) => self.fifo("w"),
            (9, ..) => self.fifo("c"),
            (10, ..) => {
                self.installed.upgrade();
                self.server.signal(Signal::HUP);
            }
            (11, ..) => self.flood(),
            (12, ..) => self.half_a_head(),
            (13, ..) => self.ask_and_leave(),
            (14, ..) => self.rude.clear(),
            _ => self.silent(),
        }
        self.done.push(format!("{what} {worker:?} {zygote:?}"));
        std::thread::sleep(Duration::from_millis(self.dice.below(150)));
    }

    /// Many connect and leave.
    fn flood(&mut self) {
        for _ in 0..self.dice.below(200) {
            drop(self.server.http.connect());
            drop(self.server.socket.connect());
        }
    }

    /// One that begins and does not go on.
    fn half_a_head(&mut self) {
        if let Ok(mut connection) = self.server.http.connect() {
            let _ = connection.write_all(b"GET /echo/half HTTP/1.1\r\nHost: ");
            self.rude.push(connection);
        }
    }

    /// One that asks for a lot, reads a little and leaves: the kernel resets it.
    fn ask_and_leave(&mut self) {
        if let Ok(mut connection) = self.server.http.connect() {
            let request = Request::get("/echo/leave").bytes();
            let _ = connection.write_all(&request.repeat(20));
            let _ = connection.set_timeout(Duration::from_millis(50));
            let _ = connection.read(&mut [0; 7]);
        }
    }

    /// One that connects and says nothing.
    fn silent(&mut self) {
        self.rude.extend(self.server.http.connect());
    }

    /// Waits for a master, a zygote and as many workers as there should be, and for nothing else.
    fn settle(&mut self) {
        self.rude.clear();
        let master = self.server.process.pid();
        until_true(
            "an instance with all of its processes and no others",
            || {
                let workers = self.server.workers().len();
                let children = children(master);
                workers == WORKERS
                    && children.len() == WORKERS + 1
                    && children.iter().all(|it| alive(*it))
            },
        );
    }

    /// What must not grow.
    fn possessions(&self) -> Possessions {
        let master = self.server.process.pid();
        let maps = fs::read_to_string(format!("/proc/{master}/maps")).unwrap_or_default();
        let shared = maps.lines().filter(|line| line.contains("memfd:")).count();
        let workers = self.server.workers();
        Possessions {
            master: descriptors(master),
            worker: workers
                .iter()
                .map(|pid| descriptors(*pid))
                .max()
                .unwrap_or(0),
            zygote: self
                .zygotes()
                .iter()
                .map(|pid| descriptors(*pid))
                .max()
                .unwrap_or(0),
            shared,
        }
    }
}

/// Open descriptors of each kind of process, and mappings of shared memory in the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Possessions {
    master: usize,
    worker: usize,
    zygote: usize,
    shared: usize,
}

impl Possessions {
    fn is_within(self, other: Self) -> bool {
        self.master <= other.master
            && self.worker <= other.worker
            && self.zygote <= other.zygote
            && self.shared <= other.shared
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_left_over() {
    let seconds = variable("UWGATE_CHAOS_SECONDS", 4);
    let seed = variable("UWGATE_CHAOS_SEED", 20_261_120).max(1);
    println!("UWGATE_CHAOS_SEED={seed} UWGATE_CHAOS_SECONDS={seconds}");
    let installed = Installed::new(Kind::Uwgate);
    let setup = Setup::source(Kind::Uwgate, APP)
        .program(&installed.program())
        .option("processes", WORKERS)
        .option("listen", 1024)
        .option("disable-logging", "true");
    let more = std::env::var("UWGATE_CHAOS_OPTIONS").unwrap_or_default();
    let more = more
        .split_whitespace()
        .filter_map(|option| option.split_once('='));
    let setup = more.fold(setup, |setup, (key, value)| setup.option(key, value));
    let fifo = setup.dir().join("fifo");
    let server = setup.option("master-fifo", fifo.display()).start();
    let (http, uwsgi) = (server.http.clone(), server.socket.clone());
    let mut torment = Torment {
        server,
        installed,
        dice: Dice(seed),
        rude: Vec::new(),
        done: Vec::new(),
    };
    // What a reload brings about for the first time is no leak.
    torment.settle();
    torment.server.signal(Signal::HUP);
    torment.server.wait_for_log("buried");
    torment.settle();
    // The last handles of the old generation go a moment after its last process.
    let mut before = torment.possessions();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        let now = torment.possessions();
        if now.is_within(before) {
            before = now;
        }
    }

    let ways = [Way::Close(http.clone()), Way::Keep(http), Way::Uwsgi(uwsgi)];
    let load = Load::start(&ways, 2, Duration::from_millis(5));
    load.wait_for(50);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end && load.failed() == 0 {
        torment.step();
    }
    torment.settle();
    load.wait_for(100);
    let findings = load.finish();
    if !findings.failures.is_empty() {
        eprintln!("what was done, the last at the end: {:#?}", torment.done);
    }
    findings.expect_no_loss(100);
    println!(
        "{} requests, {} torments",
        findings.answered(),
        torment.done.len()
    );

    torment.settle();
    until_true(&format!("no more than {before:?}"), || {
        torment.possessions().is_within(before)
    });
    let leader = torment.server.process.pid();
    torment.server.stop_with(Signal::TERM);
    until_true("the whole group to be gone", || group(leader).is_empty());
}
