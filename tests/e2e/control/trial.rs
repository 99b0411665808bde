//! Whether the claims are true: each is tried on a running server with a request in the middle of being served.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;

use super::claims::{Claim, Effect, FIFO, SIGNALS, Stimulus};
use crate::both;
use crate::support::process::{alive, signal};
use crate::support::wait::until_true;
use crate::support::{Client, Kind, Request, Server, Setup};

/// Tells its process and the version that it was loaded with; `/wait` lasts until there is a file `go`.
const APP: &str = "\
import os, time
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = open(os.path.join(HERE, 'version')).read()
def application(environ, start_response):
    if environ['PATH_INFO'] == '/wait':
        open(os.path.join(HERE, 'waiting'), 'w').close()
        deadline = time.monotonic() + 60
        while not os.path.exists(os.path.join(HERE, 'go')) and time.monotonic() < deadline:
            time.sleep(0.005)
    start_response('200 OK', [('Connection', 'close')])
    return [('%d %s' % (os.getpid(), VERSION)).encode()]
";

const WORKERS: usize = 2;

/// A server that is used for one trial after the other.
struct Bench {
    server: Server,
    /// The version that the code has on disk.
    version: u32,
}

impl Bench {
    fn new(kind: Kind, claim: &Claim) -> Self {
        let mut setup = Setup::source(kind, APP);
        setup.write("version", "1");
        if let Some((key, value)) = claim.option {
            setup = setup.option(key, value);
        }
        setup = match claim.send {
            Stimulus::Alone(_) => setup.option("master", "false"),
            _ => {
                let (fifo, pidfile) = (setup.dir().join("fifo"), setup.dir().join("pid"));
                setup
                    .option("processes", WORKERS)
                    .option("master-fifo", fifo.display())
                    .option("pidfile", pidfile.display())
            }
        };
        let server = setup.start();
        let bench = Self { server, version: 1 };
        bench.settle();
        bench
    }

    /// The pid that serves, and the version that it has.
    fn ask(&self) -> (u32, u32) {
        read(&mut self.server.client())
    }

    /// Waits until whatever was sent before must have been noticed, and would be again.
    fn settle(&self) {
        self.ask();
        self.server.wait_until_it_catches_signals();
        // Its line in the log may come after the worker itself.
        until_true("all workers in the log", || {
            !self.has_master() || self.server.workers().len() == WORKERS
        });
    }

    fn has_master(&self) -> bool {
        self.server.dir.join("fifo").exists()
    }

    fn write_fifo(&self, letter: char) {
        let mut fifo = fs::OpenOptions::new()
            .write(true)
            .open(self.server.dir.join("fifo"))
            .expect("the FIFO can be written to");
        write!(fifo, "{letter}").expect("the FIFO can be written to");
    }

    fn send(&self, send: Stimulus, worker: u32) {
        match send {
            Stimulus::ToMaster(it) | Stimulus::Alone(it) => self.server.signal(it),
            Stimulus::ToWorker(it) => signal(worker, it),
            Stimulus::Fifo(letter) => self.write_fifo(letter),
        }
    }

    /// Tries one claim.
    fn try_out(&mut self, send: Stimulus, effect: Effect) {
        for file in ["go", "waiting"] {
            let _ = fs::remove_file(self.server.dir.join(file));
        }
        let workers = self.server.workers();
        let before = self.version;
        self.version += 1;
        self.server.dir.write("version", self.version.to_string());
        let log_before = self.server.log().len();
        let mut client = self.server.client();
        client.write(Request::get("/wait").header("Connection", "close").bytes());
        until_true("the request to be served", || {
            self.server.dir.join("waiting").exists()
        });
        let worker = self.busy_worker(&workers);
        self.send(send, worker);

        let new_log = |server: &Server| server.log()[log_before..].to_owned();
        match effect {
            Effect::Says(text) => {
                // A worker with one thread may have to finish the request first.
                if matches!(send, Stimulus::ToWorker(_) | Stimulus::Alone(_)) {
                    self.finish(&mut client, before);
                }
                until_true(&format!("{text:?} in the log"), || {
                    new_log(&self.server).contains(text)
                });
            }
            Effect::Nothing => self.see_that_it_was_taken(log_before),
            Effect::Pause => {
                let suspended = || new_log(&self.server).matches("suspended").count();
                // The one that is busy may say so only later.
                until_true("a worker to be suspended", || suspended() >= 1);
                self.finish(&mut client, before);
                until_true("both workers to be suspended", || suspended() >= 2);
                let mut waiting = self.server.client();
                waiting.write(Request::get("/").bytes());
                self.send(send, worker);
                assert_eq!(read_answer(&mut waiting).1, before);
            }
            Effect::BrutalReload | Effect::BrutalWorkers | Effect::BrutallyReplaced => {
                assert!(client.rest().is_empty(), "the request was answered");
            }
            Effect::Reload | Effect::Workers | Effect::Stop(_) => {
                until_true("a word about it in the log", || {
                    let log = new_log(&self.server).to_lowercase();
                    ["gracefully", "chain", "reloading", "graceful shutdown"]
                        .iter()
                        .any(|word| log.contains(word))
                        || !self.has_master()
                });
                self.finish(&mut client, before);
            }
            Effect::Replaced => self.finish(&mut client, before),
            Effect::Kill(_) => assert!(client.rest().is_empty(), "the request was answered"),
            Effect::Dies => {}
        }
        self.judge(send, effect, &workers, worker, before, &mut client);
    }

    /// What is left to see once the request is over.
    fn judge(
        &mut self,
        send: Stimulus,
        effect: Effect,
        workers: &[u32],
        worker: u32,
        before: u32,
        client: &mut Client,
    ) {
        match effect {
            Effect::Stop(code) | Effect::Kill(code) => {
                assert_eq!(self.server.process.wait().code(), Some(code));
                until_true("all workers to end", || {
                    !workers.iter().any(|it| alive(*it))
                });
                return;
            }
            Effect::Dies => {
                let sent = match send {
                    Stimulus::ToMaster(it) | Stimulus::ToWorker(it) | Stimulus::Alone(it) => it,
                    Stimulus::Fifo(_) => panic!("no signal"),
                };
                assert_eq!(died_of(self.server.process.wait()), Some(sent.as_raw()));
                return;
            }
            Effect::Nothing | Effect::Says(_) => {
                if !self.server.dir.join("go").exists() {
                    self.finish(client, before);
                }
                assert_eq!(self.server.workers(), workers, "the workers are the same");
                assert_eq!(self.ask().1, before);
            }
            Effect::Pause => assert_eq!(self.server.workers(), workers, "the workers are the same"),
            Effect::Reload | Effect::BrutalReload => {
                until_true("all workers to be replaced", || {
                    !workers.iter().any(|it| alive(*it))
                });
                until_true("the new code to serve", || self.ask().1 == self.version);
            }
            Effect::Workers | Effect::BrutalWorkers => {
                until_true("all workers to be replaced", || {
                    !workers.iter().any(|it| alive(*it))
                });
                until_true("as many workers as before", || {
                    self.server.workers().len() == workers.len()
                });
                assert_eq!(self.ask().1, before, "the code is the same");
            }
            Effect::Replaced | Effect::BrutallyReplaced => {
                until_true("the worker to be replaced", || {
                    !alive(worker) && self.server.workers().len() == workers.len()
                });
                let stay = workers.iter().filter(|it| **it != worker);
                for other in stay {
                    assert!(alive(*other), "the other worker stays");
                }
            }
        }
        assert!(
            self.server.process.try_wait().is_none(),
            "the master is the same"
        );
        // What is on disk and what is loaded are to be the same for the next trial.
        self.version = self.ask().1;
        self.server.dir.write("version", self.version.to_string());
        self.settle();
    }

    /// Ends the running request, which was served by the code of this version.
    fn finish(&self, client: &mut Client, version: u32) {
        self.server.dir.write("go", "");
        assert_eq!(read_answer(client).1, version);
    }

    /// The worker that serves `/wait`: the one that does not answer anything else.
    fn busy_worker(&self, workers: &[u32]) -> u32 {
        match workers {
            [] => self.server.process.pid(),
            [only] => *only,
            _ => {
                let free = self.ask().0;
                *workers
                    .iter()
                    .find(|it| **it != free)
                    .expect("there are two")
            }
        }
    }

    /// Nothing is hard to see: something that was sent later is noticed, and nothing has come of the earlier one.
    fn see_that_it_was_taken(&self, log_before: usize) {
        if !self.has_master() {
            return;
        }
        let counted = || {
            self.server.log()[log_before..]
                .matches("workers total requests")
                .count()
        };
        self.write_fifo('s');
        until_true("the barrier", || counted() > 0);
    }
}

fn read(client: &mut Client) -> (u32, u32) {
    client.write(Request::get("/").header("Connection", "close").bytes());
    read_answer(client)
}

fn read_answer(client: &mut Client) -> (u32, u32) {
    let response = client.response("GET").expect(200);
    let (pid, version) = response.text().split_once(' ').expect("two numbers");
    (
        pid.parse().expect("a pid"),
        version.parse().expect("a version"),
    )
}

fn died_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// One after the other on the same server, or each on its own.
fn hold(kind: Kind, claims: &[Claim]) {
    let effect = |claim: &Claim| match kind {
        Kind::Uwgate => claim.uwgate,
        Kind::Uwsgi => claim.uwsgi,
    };
    let (ending, lasting): (Vec<&Claim>, Vec<&Claim>) = claims
        .iter()
        .partition(|claim| effect(claim).ends_the_server() || claim.option.is_some());
    let (alone, mastered): (Vec<_>, Vec<_>) = lasting
        .into_iter()
        .partition(|claim| matches!(claim.send, Stimulus::Alone(_)));
    let mut groups: Vec<Vec<&Claim>> = ending.into_iter().map(|claim| vec![claim]).collect();
    groups.extend([alone, mastered]);
    let groups = std::sync::Mutex::new(groups);
    let next = || until_ok(groups.lock()).pop();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(group) = next() {
                    let Some(first) = group.first() else { continue };
                    let mut bench = Bench::new(kind, first);
                    for claim in group {
                        eprintln!(
                            "{kind:?}: {:?} {:?}: {:?}",
                            claim.send,
                            claim.option,
                            effect(claim)
                        );
                        bench.try_out(claim.send, effect(claim));
                    }
                }
            });
        }
    });
}

fn until_ok<T>(result: std::sync::LockResult<T>) -> T {
    result.unwrap_or_else(std::sync::PoisonError::into_inner)
}

both! {
    fn the_signals_do_what_the_page_says(kind) {
        hold(kind, SIGNALS);
    }
}

both! {
    fn the_fifo_does_what_the_page_says(kind) {
        hold(kind, FIFO);
    }
}
