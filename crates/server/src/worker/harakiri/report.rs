//! What the log says about a harakiri: one block, written at once. Its first lines are uWSGI's.

use std::fmt::Write as _;

use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::thread::Thread;
use uwsgi_codec::Vars;

use super::traceback::{Sources, Stack};
use crate::exchange::Passenger;

/// A harakiri as far as it has come.
pub(super) struct Case<'c> {
    pub(super) worker: u32,
    pub(super) core: usize,
    pub(super) passenger: &'c Passenger,
    /// It was the application that wanted less time.
    pub(super) user: bool,
    /// How often something was done about this request, this time included.
    pub(super) attempt: u32,
    pub(super) graceful: bool,
    /// What has become of client and process, in words.
    pub(super) consequence: &'c str,
    pub(super) stack: Option<Stack>,
    /// What the other cores do, with `harakiri-verbose`.
    pub(super) others: Vec<Other>,
    pub(super) verbose: bool,
}

/// A core whose time is not up.
pub(super) struct Other {
    pub(super) core: usize,
    pub(super) passenger: Passenger,
    pub(super) stack: Stack,
}

impl Case<'_> {
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text.truncate(text.trim_end().len());
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self {
            worker,
            core,
            passenger,
            user,
            attempt,
            graceful,
            consequence,
            stack,
            others,
            verbose,
        } = self;
        let pid = std::process::id();
        let graceful = if *graceful { "yes" } else { "no" };
        writeln!(
            text,
            "*** HARAKIRI ON WORKER {worker} (pid: {pid}, try: {attempt}, graceful: {graceful}) ***"
        )?;
        writeln!(text, "HARAKIRI [core {core}] {}", subject(passenger))?;
        let mut sources = Sources::default();
        match stack {
            Some(stack) => {
                writeln!(
                    text,
                    "HARAKIRI [core {core}] Traceback (most recent call last):"
                )?;
                text.push_str(&stack.render(&mut sources));
            }
            None => writeln!(
                text,
                "HARAKIRI [core {core}] the thread does not say where it is"
            )?,
        }
        if *verbose {
            kernel_state(text, passenger.thread)?;
        }
        for other in others {
            let (core, subject) = (other.core, subject(&other.passenger));
            writeln!(text, "HARAKIRI [core {core}] meanwhile: {subject}")?;
            text.push_str(&other.stack.render(&mut sources));
        }
        writeln!(text, "HARAKIRI [core {core}] {consequence}")?;
        let user = if *user { " (user)" } else { "" };
        writeln!(
            text,
            "HARAKIRI{user} triggered by worker {worker} core {core} !!!"
        )
    }
}

/// `127.0.0.1 - GET /slow since 1795188995 (10.0 seconds ago)`
pub(super) fn subject(passenger: &Passenger) -> String {
    let vars = Vars::revisited(&passenger.block, passenger.var_count);
    let (mut addr, mut method, mut uri) = (&b""[..], &b""[..], &b""[..]);
    for (key, value) in vars {
        match key {
            b"REMOTE_ADDR" => addr = value,
            b"REQUEST_METHOD" => method = value,
            b"REQUEST_URI" => uri = value,
            _ => {}
        }
    }
    let [addr, method, uri] = [addr, method, uri].map(<[u8]>::escape_ascii);
    format!(
        "{addr} - {method} {uri} since {} ({} ago)",
        passenger.since_epoch,
        age(passenger.since)
    )
}

fn age(since: Millis) -> String {
    format!("{:.1} seconds", coarse_now().since(since).as_secs_f64())
}

/// What the kernel knows of the stuck thread; as uWSGI has it.
fn kernel_state(text: &mut String, thread: Thread) -> std::fmt::Result {
    for what in ["syscall", "wchan"] {
        let path = format!("/proc/self/task/{}/{what}", thread.id);
        if let Ok(state) = std::fs::read_to_string(path) {
            writeln!(text, "HARAKIRI: -- {what}> {}", state.trim_end())?;
        }
    }
    Ok(())
}
