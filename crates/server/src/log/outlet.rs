//! How a process writes its lines: whole, in one piece, and never for ever.
//!
//! Lines leave through descriptors 1 and 2, as everything does that a program prints. What lies behind decides how:
//! - a file takes any line at once, and so does a terminal;
//! - a pipe or a socket of a service manager takes 4096 bytes at once, so whoever writes takes a turn
//!   ([`LogShare::turn`]);
//! - the master's collector tells its writers apart, so nobody waits for another; it is a socket, and a line that it
//!   does not take in time is lost, counted and told about.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;

use super::share::LogShare;

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// What of the log is set up once in a process.
#[derive(Debug)]
struct Outlet {
    share: LogShare,
    /// The file behind 1 and 2, and the epoch in which it was opened.
    file: Option<PathBuf>,
    epoch: AtomicU32,
    /// Where request lines go, if they travel apart.
    requests: Option<OwnedFd>,
}

static OUTLET: OnceLock<Outlet> = OnceLock::new();

/// What lies behind a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// Nobody has looked yet.
    Unknown,
    /// It takes a line of any length at once.
    Whole,
    /// Several writers share it, and it may be full.
    Shared,
    /// The collector.
    Collector,
}

impl Kind {
    fn from_number(number: u8) -> Self {
        [Self::Whole, Self::Shared, Self::Collector]
            .into_iter()
            .find(|kind| *kind as u8 == number)
            .unwrap_or(Self::Unknown)
    }

    fn of(fd: BorrowedFd<'_>) -> Self {
        use rustix::fs::FileType;

        let Ok(stat) = rustix::fs::fstat(fd) else {
            return Self::Whole;
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo | FileType::Socket => Self::Shared,
            _ => Self::Whole,
        }
    }
}

/// One descriptor that takes lines, as this process knows it.
#[derive(Debug)]
struct Line {
    kind: AtomicU8,
    /// Lines that were not taken in time since the last that was.
    lost: AtomicU64,
    /// Only a part of the last one was taken.
    torn: AtomicBool,
    patience: Duration,
}

impl Line {
    const fn new(patience: Duration) -> Self {
        Self {
            patience,
            kind: AtomicU8::new(Kind::Unknown as u8),
            lost: AtomicU64::new(0),
            torn: AtomicBool::new(false),
        }
    }

    fn kind(&self, fd: BorrowedFd<'_>) -> Kind {
        let known = Kind::from_number(self.kind.load(Ordering::Relaxed));
        if known != Kind::Unknown {
            return known;
        }
        let kind = Kind::of(fd);
        self.kind.store(kind as u8, Ordering::Relaxed);
        kind
    }

    fn write(&self, fd: BorrowedFd<'_>, text: &[u8]) {
        match self.kind(fd) {
            Kind::Unknown | Kind::Whole => {
                // Nobody left to tell.
                let _ = pour(
                    fd,
                    text,
                    |fd, rest| rustix::io::write(fd, rest),
                    self.patience,
                );
            }
            Kind::Shared => {
                let _turn = OUTLET.get().and_then(|outlet| outlet.share.turn());
                self.write_or_lose(fd, text, |fd, rest| rustix::io::write(fd, rest));
            }
            Kind::Collector => self.write_or_lose(fd, text, |fd, rest| {
                rustix::net::send(fd, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }),
        }
    }

    fn write_or_lose(&self, fd: BorrowedFd<'_>, text: &[u8], put: Put) {
        let lost = self.lost.load(Ordering::Relaxed);
        // A reader that has tried our patience must show that it is back.
        let patience = if lost > 0 {
            Duration::ZERO
        } else {
            self.patience
        };
        let all;
        let text = match lost {
            0 => text,
            lost => {
                all = self.after_apology(lost, text);
                &all
            }
        };
        match pour(fd, text, put, patience) {
            Ok(()) => {
                self.torn.store(false, Ordering::Relaxed);
                if lost > 0 {
                    self.lost.fetch_sub(lost, Ordering::Relaxed);
                }
            }
            Err(left) => {
                if left < text.len() {
                    self.torn.store(true, Ordering::Relaxed);
                }
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The text behind what is to be said about lines before it.
    fn after_apology(&self, lost: u64, text: &[u8]) -> Vec<u8> {
        let end = match self.torn.load(Ordering::Relaxed) {
            true => "\n",
            false => "",
        };
        let pid = std::process::id();
        let apology =
            format!("{end}{lost} log line(s) of pid {pid} were lost: nobody read them in time\n");
        [apology.as_bytes(), text].concat()
    }
}

static STDOUT: Line = Line::new(PATIENCE);
static STDERR: Line = Line::new(PATIENCE);
static REQUESTS: Line = Line::new(PATIENCE);

type Put = fn(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<usize>;

/// Writes all of it. Where the descriptor does not block, a full one is waited for; when it takes nothing for
/// `patience`, says how much is left.
fn pour(fd: BorrowedFd<'_>, text: &[u8], put: Put, patience: Duration) -> Result<(), usize> {
    let mut rest = text;
    while !rest.is_empty() {
        match put(fd, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if takes_more(fd, patience) => {}
            Err(_) => return Err(rest.len()),
        }
    }
    Ok(())
}

fn takes_more(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    !patience.is_zero()
        && uwgate_sys::socket::wait_writable(fd, Some(patience)).is_ok_and(|writable| writable)
}

/// Tells this process how to write its log: to `file`, if it is one that is reopened, or to the collector. Works once.
pub(super) fn set_up(
    file: Option<PathBuf>,
    share: LogShare,
    requests: Option<OwnedFd>,
    collected: bool,
) {
    let outlet = Outlet {
        epoch: AtomicU32::new(share.epoch()),
        file,
        share,
        requests,
    };
    if OUTLET.set(outlet).is_ok() {
        look(collected);
    }
}

/// Looks anew what lies behind descriptors 1 and 2.
pub(super) fn look(collected: bool) {
    for line in [&STDOUT, &STDERR, &REQUESTS] {
        let kind = match collected {
            true => Kind::Collector,
            false => Kind::Unknown,
        };
        line.kind.store(kind as u8, Ordering::Relaxed);
    }
}

/// Writes `line` and its newline to standard error.
pub fn write_line(line: &mut Vec<u8>) {
    line.push(b'\n');
    write_stderr(line);
}

/// Writes whole lines, newlines included, to standard error.
pub fn write_lines(lines: &[u8]) {
    write_stderr(lines);
}

/// Writes whole lines to standard error.
pub(super) fn write_stderr(lines: &[u8]) {
    follow_rotation();
    STDERR.write(rustix::stdio::stderr(), lines);
}

/// Writes whole lines to standard output.
pub(super) fn write_stdout(lines: &[u8]) {
    follow_rotation();
    STDOUT.write(rustix::stdio::stdout(), lines);
}

/// Writes the line of a request and its newline.
pub(super) fn write_request(line: &mut Vec<u8>) {
    match OUTLET.get().and_then(|outlet| outlet.requests.as_ref()) {
        Some(requests) => {
            line.push(b'\n');
            REQUESTS.write(requests.as_fd(), line);
        }
        None => write_line(line),
    }
}

/// Opens the file anew if the master has said so since the last line. Whoever has inherited the old one, such as a
/// program that the application runs, keeps it.
fn follow_rotation() {
    let Some(outlet) = OUTLET.get() else {
        return;
    };
    let (now, known) = (outlet.share.epoch(), outlet.epoch.load(Ordering::Relaxed));
    if now == known {
        return;
    }
    let first = outlet
        .epoch
        .compare_exchange(known, now, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok();
    if let (true, Some(file)) = (first, &outlet.file) {
        reopen(file);
    }
}

fn reopen(path: &std::path::Path) {
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let moved = opened.and_then(|file| over_stdio(file.as_fd()));
    if let Err(error) = moved {
        tracing::error!(
            "pid {}: cannot reopen {}: {error}; the old file goes on",
            std::process::id(),
            path.display()
        );
    }
}

/// Puts a descriptor in the place of standard output and standard error.
pub(super) fn over_stdio(fd: BorrowedFd<'_>) -> std::io::Result<()> {
    rustix::stdio::dup2_stdout(fd)?;
    Ok(rustix::stdio::dup2_stderr(fd)?)
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn read(fd: &OwnedFd) -> Vec<u8> {
        let mut text = vec![0; 1 << 20];
        let len = rustix::io::read(fd, &mut text).unwrap_or(0);
        text.truncate(len);
        text
    }

    #[test]
    fn what_a_full_pipe_does_not_take_is_counted_and_told() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let line = Line::new(Duration::from_millis(1));
        let long = [[b'x'; 99_999].as_slice(), b"\n"].concat();
        for text in [b"first\n", &long[..], b"second\n", b"third\n"] {
            line.write(writer.as_fd(), text);
        }
        assert!(read(&reader).starts_with(b"first\nxxx"));
        line.write(writer.as_fd(), b"fourth\n");
        line.write(writer.as_fd(), b"fifth\n");
        let told = String::from_utf8(read(&reader)).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        let lost = format!(
            "3 log line(s) of pid {} were lost: nobody read them in time",
            std::process::id()
        );
        // The first line is the end of the torn one.
        assert_eq!(lines, ["", &lost, "fourth", "fifth"]);
    }

    #[test]
    fn a_long_line_reaches_a_slow_reader_whole() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let line = Line::new(PATIENCE);
        let long = [[b'x'; 300_000].as_slice(), b"\n"].concat();
        std::thread::scope(|scope| {
            scope.spawn(|| line.write(writer.as_fd(), &long));
            let mut all = Vec::new();
            while all.len() < long.len() {
                uwgate_sys::socket::wait_readable(reader.as_fd(), Some(PATIENCE)).unwrap();
                all.extend(read(&reader));
            }
            assert!(all == long);
        });
    }
}
