//! Load that never lets up and forgives nothing: clients on several ways at once, each answer checked byte by byte,
//! each failure kept with its kind and its time.
//!
//! The server runs [`APP`], or any application that answers `/echo/WORD` with [`answer_to`] that word.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::address::{Address, Connection};
use super::client::Request;
use super::packet::Packet;
use super::wait::until_true;

/// Answers `/echo/WORD` with a body made of the word, and `/pid` with the worker's process id.
pub const APP: &str = "\
import os
def application(environ, start_response):
    kind, _, word = environ['PATH_INFO'][1:].partition('/')
    if kind == 'pid':
        body = str(os.getpid()).encode()
    else:
        body = (word.encode() + b'\\n') * 40
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

/// The body that [`APP`] makes of a word.
pub fn answer_to(word: &str) -> Vec<u8> {
    format!("{word}\n").repeat(40).into_bytes()
}

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a client reaches the application.
#[derive(Clone, Debug)]
pub enum Way {
    /// HTTP with a connection for each request, to the server or to nginx in front of it.
    Close(Address),
    /// HTTP over a connection that is kept for as long as the server does not announce its end.
    Keep(Address),
    /// uwsgi packets, a connection for each.
    Uwsgi(Address),
}

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nobody took the connection.
    Refused,
    /// The connection ended before a byte of the answer.
    NoAnswer,
    /// The same on a connection that had carried answers, the last of which did not announce an end.
    KeptButClosed,
    /// The connection ended within the answer.
    Cut,
    /// The connection was reset.
    Reset,
    /// No answer in time.
    Timeout,
    /// Another status than 200.
    Status(u16),
    /// An answer with other bytes than those asked for.
    Garbled,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub way: &'static str,
    pub fault: Fault,
    /// Since the start of the load.
    pub at: Duration,
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(
            f,
            "{at:9.3} s {:?} ({}) {}",
            self.fault, self.way, self.detail
        )
    }
}

/// An answered request: when it was asked (since the start of the load) and how long it took.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    took: Duration,
}

/// Clients at work, each with a thread of its own.
#[derive(Debug)]
pub struct Load {
    begun: Instant,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<Failure>>>,
    threads: Vec<JoinHandle<Vec<Sample>>>,
    windows: Vec<(Duration, Duration)>,
}

/// What a load has found.
#[derive(Debug)]
pub struct Findings {
    pub failures: Vec<Failure>,
    /// Of requests asked within a window (in microseconds, sorted).
    pub inside: Vec<u64>,
    /// Of all others.
    pub quiet: Vec<u64>,
}

impl Load {
    /// Starts `clients` clients on each way; each asks once in `pace`, or as soon as its last answer is there.
    pub fn start(ways: &[Way], clients: usize, pace: Duration) -> Self {
        let mut load = Self {
            begun: Instant::now(),
            stop: Arc::default(),
            answered: Arc::default(),
            failures: Arc::default(),
            threads: Vec::new(),
            windows: Vec::new(),
        };
        let all = ways
            .iter()
            .flat_map(|way| std::iter::repeat_n(way, clients));
        for (number, way) in all.enumerate() {
            let asker = Asker {
                number,
                way: way.clone(),
                kept: None,
                begun: load.begun,
                stop: Arc::clone(&load.stop),
                answered: Arc::clone(&load.answered),
                failures: Arc::clone(&load.failures),
            };
            load.threads.push(thread::spawn(move || asker.work(pace)));
        }
        load
    }

    /// Requests answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests failed so far.
    pub fn failed(&self) -> usize {
        lock(&self.failures).len()
    }

    /// Waits until this many more requests were answered.
    pub fn wait_for(&self, more: usize) {
        let goal = self.answered() + more;
        until_true("answers under load", || self.answered() >= goal);
    }

    /// Does something whose time is a window of its own in the findings.
    pub fn during<T>(&mut self, what: impl FnOnce(&Self) -> T) -> T {
        let from = self.begun.elapsed();
        let result = what(self);
        self.windows.push((from, self.begun.elapsed()));
        result
    }

    /// Lets every client finish its request and ends them.
    pub fn finish(self) -> Findings {
        self.stop.store(true, Ordering::Relaxed);
        let (mut inside, mut quiet) = (Vec::new(), Vec::new());
        for thread in self.threads {
            for sample in thread.join().expect("a client does not panic") {
                let is_inside =
                    |(from, to): &(Duration, Duration)| (*from..=*to).contains(&sample.at);
                let micros = u64::try_from(sample.took.as_micros()).unwrap_or(u64::MAX);
                match self.windows.iter().any(is_inside) {
                    true => inside.push(micros),
                    false => quiet.push(micros),
                }
            }
        }
        inside.sort_unstable();
        quiet.sort_unstable();
        let failures = lock(&self.failures).clone();
        Findings {
            failures,
            inside,
            quiet,
        }
    }
}

impl Findings {
    /// Requests answered.
    pub fn answered(&self) -> usize {
        self.inside.len() + self.quiet.len()
    }

    /// # Panics
    /// When a request failed, or fewer than `at_least` were made.
    pub fn expect_no_loss(&self, at_least: usize) {
        let shown: Vec<String> = self
            .failures
            .iter()
            .take(20)
            .map(Failure::to_string)
            .collect();
        assert!(
            self.failures.is_empty(),
            "{} of {} requests failed:\n{}",
            self.failures.len(),
            self.answered() + self.failures.len(),
            shown.join("\n")
        );
        assert!(
            self.answered() >= at_least,
            "only {} requests",
            self.answered()
        );
    }

    /// How many failures of each kind, as `3 Reset, 1 Timeout`; `0` when there are none.
    pub fn faults(&self) -> String {
        let mut kinds: Vec<(Fault, usize)> = Vec::new();
        for failure in &self.failures {
            match kinds.iter_mut().find(|(fault, _)| *fault == failure.fault) {
                Some((_, count)) => *count += 1,
                None => kinds.push((failure.fault, 1)),
            }
        }
        kinds.sort_unstable();
        let words: Vec<String> = kinds
            .iter()
            .map(|(fault, count)| format!("{count} {fault:?}"))
            .collect();
        match words.is_empty() {
            true => "0".to_owned(),
            false => words.join(", "),
        }
    }
}

/// The value below which so many percent of sorted values lie.
pub fn percentile(sorted: &[u64], percent: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let at = ((sorted.len() as f64) * percent / 100.0) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

fn lock(failures: &Mutex<Vec<Failure>>) -> MutexGuard<'_, Vec<Failure>> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client.
struct Asker {
    number: usize,
    way: Way,
    /// A connection that has carried answers and may carry more.
    kept: Option<Connection>,
    begun: Instant,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<Failure>>>,
}

/// What went wrong, and what there is to say about it.
type Wrong = (Fault, String);

impl Asker {
    fn work(mut self, pace: Duration) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut next = Instant::now();
        for count in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next = (next + pace).max(Instant::now());
            let asked = Instant::now();
            let at = asked - self.begun;
            match self.ask(&format!("{}-{count}", self.number)) {
                Ok(()) => {
                    let took = asked.elapsed();
                    samples.push(Sample { at, took });
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err((fault, detail)) => {
                    self.kept = None;
                    let at = self.begun.elapsed();
                    let way = self.way.name();
                    lock(&self.failures).push(Failure {
                        way,
                        fault,
                        at,
                        detail,
                    });
                    // A server that is away is not to be asked a thousand times a second.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        samples
    }

    fn ask(&mut self, word: &str) -> Result<(), Wrong> {
        let kept = self.kept.take();
        let reused = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect()?,
        };
        // What a write to a closed connection fails with, the read says better.
        let _ = connection.write_all(&self.way.request(word));
        let answer = Answer::read(&mut connection).map_err(|wrong| match wrong {
            (Fault::NoAnswer | Fault::Reset, detail) if reused => (Fault::KeptButClosed, detail),
            wrong => wrong,
        })?;
        let keep = answer.check(word)?;
        if keep && matches!(self.way, Way::Keep(_)) {
            self.kept = Some(connection);
        }
        Ok(())
    }

    fn connect(&self) -> Result<Connection, Wrong> {
        let refused = |error: std::io::Error| (Fault::Refused, error.to_string());
        let connection = self.way.address().connect().map_err(refused)?;
        connection.set_timeout(PATIENCE).map_err(refused)?;
        Ok(connection)
    }
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Close(_) => "close",
            Self::Keep(_) => "keep",
            Self::Uwsgi(_) => "uwsgi",
        }
    }

    fn address(&self) -> &Address {
        match self {
            Self::Close(address) | Self::Keep(address) | Self::Uwsgi(address) => address,
        }
    }

    fn request(&self, word: &str) -> Vec<u8> {
        let target = format!("/echo/{word}");
        match self {
            Self::Close(_) => Request::get(&target).header("Connection", "close").bytes(),
            Self::Keep(_) => Request::get(&target).bytes(),
            Self::Uwsgi(_) => Packet::get(&target).bytes(),
        }
    }
}

/// An answer as it came.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// Reads a head and as many bytes as it promises, and not one more.
    fn read(connection: &mut Connection) -> Result<Self, Wrong> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            fill(connection, &mut bytes)?;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let mut body = bytes.split_off(head);
        let length = header(&text, "content-length").and_then(|length| length.parse().ok());
        let Some(length) = length else {
            return Err((Fault::Garbled, format!("no Content-Length in {text:?}")));
        };
        while body.len() < length {
            fill(connection, &mut body).map_err(|(fault, detail)| match fault {
                Fault::NoAnswer => (Fault::Cut, detail),
                fault => (fault, detail),
            })?;
        }
        Ok(Self { head: text, body })
    }

    /// Whether the connection may be kept.
    fn check(&self, word: &str) -> Result<bool, Wrong> {
        let status = self
            .head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        if status != Some(200) {
            let shown = format!("{} {}", self.head, String::from_utf8_lossy(&self.body));
            return Err((Fault::Status(status.unwrap_or(0)), shown));
        }
        if self.body != answer_to(word) {
            return Err((
                Fault::Garbled,
                format!(
                    "asked for {word}, got {:?}",
                    String::from_utf8_lossy(&self.body)
                ),
            ));
        }
        let close = header(&self.head, "connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(!close && self.head.starts_with("HTTP/1.1"))
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn fill(connection: &mut Connection, bytes: &mut Vec<u8>) -> Result<(), Wrong> {
    let mut chunk = [0; 16_384];
    let so_far = bytes.len();
    let detail = move |what: &dyn fmt::Display| format!("{what} after {so_far} bytes");
    loop {
        return match connection.read(&mut chunk) {
            Ok(0) if so_far == 0 => Err((Fault::NoAnswer, detail(&"closed"))),
            Ok(0) => Err((Fault::Cut, detail(&"closed"))),
            Ok(count) => {
                bytes.extend(&chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err((Fault::Timeout, detail(&error)))
            }
            Err(error) => Err((Fault::Reset, detail(&error))),
        };
    }
}
