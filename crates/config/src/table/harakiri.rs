//! Requests that take too long.

use super::{Row, flag, number, parsed};
use crate::entry::Entry;
use crate::options::Options;
use crate::value::{self, Problem};

pub(super) const ROWS: &[Row] = &[
    number("harakiri", "seconds", |o| &mut o.harakiri.harakiri)
        .short('t')
        .default("0")
        .help("End a request whose application call takes longer: its client gets a 504, the log the stuck thread's traceback, and the worker is replaced. Each thread has its own clock. 0 is no limit."),
    flag("harakiri-verbose", |o| &mut o.harakiri.harakiri_verbose)
        .help("At a harakiri also log the stuck thread's system call, and what the worker's other threads are doing."),
    number("harakiri-graceful-timeout", "seconds", |o| {
        &mut o.harakiri.harakiri_graceful_timeout
    })
    .default("0")
    .help("At a harakiri first send harakiri-graceful-signal to the worker (with several threads: raise SystemExit in the stuck one), and end the request so many seconds later if it still runs."),
    Row {
        syntax: super::Syntax::Number(""),
        ..parsed("harakiri-graceful-signal", "NUMBER", read_signal)
    }
    .default("15")
    .help("The signal of harakiri-graceful-timeout; the application can catch it."),
    number("harakiri-queue-threshold", "connections", |o| {
        &mut o.harakiri.harakiri_queue_threshold
    })
    .default("0")
    .help("No harakiri while fewer connections wait in every listen queue."),
];

/// KILL and STOP cannot be caught, and the numbers from 32 on are not sent by users.
fn read_signal(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let read = value::number(entry.value.as_deref(), "")?;
    match read.value {
        9 | 19 => Err(Problem::new("cannot be caught").help("write 15, or leave it out")),
        number @ 1..=31 => {
            options.harakiri.harakiri_graceful_signal = u32::try_from(number).unwrap_or(15);
            Ok(read.remark)
        }
        _ => Err(Problem::new("expected the number of a signal, 1 to 31")),
    }
}
