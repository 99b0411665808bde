//! `log-master`: all lines of an instance come to one thread of the master, which does with them what no single
//! process could: filters, routes and encodes them and writes them to several places.
//!
//! Every process has the writing end of a socket as its standard output and standard error, programs that the
//! application runs included. The kernel says whose bytes are received, and never two writers' at once, so lines are
//! put together for each writer ([`assembler`]) and cannot break into each other, however long they are. A writer
//! waits for a full socket only for a while; destinations that do not take lines are passed by and told so later.

mod assembler;
mod encode;
mod open;
mod pipeline;
mod sink;

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair, sockopt,
};
use rustix::time::Timespec;
use uwgate_config::options::Log;
use uwgate_sys::clock::realtime_micros;

use self::assembler::Assembler;
pub(crate) use self::open::Originals;
use self::open::Pipelines;
pub(super) use self::open::{at, logto_file};
use super::file::Manners;
use super::lines;

/// How long a program that knows nothing of us may be kept waiting by a full socket.
const STRANGERS_WAIT: Duration = Duration::from_secs(5);

/// A line that was begun is written as it is when nothing follows for so long.
const BEGUN: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Bytes received at once.
const RECEIVE: usize = 64 * 1024;

/// So often one socket is read before the other one and the orders have their turn.
const IN_A_ROW: usize = 16;

/// A socket for lines. Both ends live as long as the master, or its successor.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) read: OwnedFd,
    pub(crate) write: OwnedFd,
}

impl Pipe {
    /// # Errors
    /// What the kernel says.
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        sockopt::set_socket_passcred(&read, true)?;
        sockopt::set_socket_timeout(&write, sockopt::Timeout::Send, Some(STRANGERS_WAIT))?;
        Ok(Self { read, write })
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            read: self.read.try_clone()?,
            write: self.write.try_clone()?,
        })
    }
}

/// Where lines come in.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) lines: Pipe,
    pub(crate) requests: Pipe,
}

impl Pipes {
    /// # Errors
    /// What the kernel says.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            lines: Pipe::new()?,
            requests: Pipe::new()?,
        })
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            lines: self.lines.try_clone()?,
            requests: self.requests.try_clone()?,
        })
    }
}

enum Order {
    Reopen,
    Rotate,
    Replace(Box<Pipelines>),
    Finish,
}

/// The thread, or what it will have when it starts.
pub(super) struct Collector {
    pipes: Pipes,
    orders: Sender<Order>,
    wake: OwnedFd,
    state: State,
}

enum State {
    /// Lines wait in the sockets.
    Waiting(Box<Work>),
    Running(JoinHandle<Box<Work>>),
    /// The thread could not be started or ended by itself.
    Over,
}

impl Collector {
    /// Opens the destinations. Nothing is read before [`Collector::start`].
    ///
    /// # Errors
    /// One sentence about what cannot be opened, and where it was written.
    pub(super) fn new(
        pipes: Pipes,
        log: &Log,
        originals: &Originals,
        manners: &Manners,
    ) -> Result<Self, String> {
        let pipelines = open::pipelines(log, originals, manners)?;
        let (orders, receiver) = channel();
        let make = || -> io::Result<Self> {
            let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let work = Work {
                lines: Assembler::new(pipelines.longest),
                requests: Assembler::new(pipelines.longest),
                pipelines,
                pipes: pipes.try_clone()?,
                wake: wake.try_clone()?,
                orders: receiver,
                buffer: vec![0; RECEIVE],
            };
            Ok(Self {
                pipes,
                orders,
                wake,
                state: State::Waiting(Box::new(work)),
            })
        };
        make().map_err(|error| format!("cannot collect log lines: {error}"))
    }

    pub(super) fn pipes(&self) -> &Pipes {
        &self.pipes
    }

    /// Starts the thread, once privileges are dropped: a thread that runs would keep them.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let State::Waiting(mut work) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let thread = std::thread::Builder::new().name("log".into());
        self.state = State::Running(thread.spawn(move || {
            work.run();
            work
        })?);
        Ok(())
    }

    pub(super) fn reopen(&self) {
        self.order(Order::Reopen);
    }

    pub(super) fn rotate(&self) {
        self.order(Order::Rotate);
    }

    /// Goes on with other destinations.
    ///
    /// # Errors
    /// As [`Collector::new`]; the old destinations stay then.
    pub(super) fn replace(
        &self,
        log: &Log,
        originals: &Originals,
        manners: &Manners,
    ) -> Result<(), String> {
        let pipelines = open::pipelines(log, originals, manners)?;
        self.order(Order::Replace(Box::new(pipelines)));
        Ok(())
    }

    /// Writes all that has come, and ends the thread. What comes later waits until [`Collector::start`].
    pub(super) fn pause(&mut self) {
        self.order(Order::Finish);
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Running(thread) => thread.join().map_or(State::Over, State::Waiting),
            State::Waiting(mut work) => {
                work.run();
                State::Waiting(work)
            }
            State::Over => State::Over,
        };
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }
}

/// What the thread does.
struct Work {
    pipelines: Pipelines,
    lines: Assembler,
    requests: Assembler,
    pipes: Pipes,
    wake: OwnedFd,
    orders: Receiver<Order>,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Lines,
    Requests,
}

impl Work {
    fn run(&mut self) {
        loop {
            let is_begun = self.lines.is_waiting() || self.requests.is_waiting();
            let silent = !self.wait(is_begun.then_some(BEGUN));
            let _ = rustix::io::read(&self.wake, &mut [0; 8][..]);
            self.receive(Which::Lines, IN_A_ROW);
            self.receive(Which::Requests, IN_A_ROW);
            if silent {
                self.write_begun();
            }
            self.flush();
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Reopen => self.sinks().for_each(sink::Sink::reopen),
                    Order::Rotate => self.sinks().for_each(sink::Sink::rotate),
                    Order::Replace(pipelines) => self.pipelines = *pipelines,
                    Order::Finish => return self.finish(),
                }
            }
            self.say_notes();
        }
    }

    /// Everything that was written before is here by now.
    fn finish(&mut self) {
        self.receive(Which::Lines, usize::MAX);
        self.receive(Which::Requests, usize::MAX);
        self.write_begun();
        self.flush();
        self.say_notes();
    }

    /// Whether something came in time.
    fn wait(&self, most: Option<Timespec>) -> bool {
        let fd = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds = [
            fd(self.pipes.lines.read.as_fd()),
            fd(self.pipes.requests.read.as_fd()),
            fd(self.wake.as_fd()),
        ];
        match rustix::event::poll(&mut fds, most.as_ref()) {
            Ok(ready) => ready > 0,
            // A signal is something.
            Err(_) => true,
        }
    }

    fn receive(&mut self, which: Which, most: usize) {
        for _ in 0..most {
            let (assembler, pipeline, pipe) = match which {
                Which::Lines => (
                    &mut self.lines,
                    &mut self.pipelines.lines,
                    &self.pipes.lines,
                ),
                Which::Requests => (
                    &mut self.requests,
                    &mut self.pipelines.requests,
                    &self.pipes.requests,
                ),
            };
            let Some((writer, len)) = receive_from(pipe.read.as_fd(), &mut self.buffer) else {
                return;
            };
            let micros = realtime_micros();
            let json = self.pipelines.json;
            let bytes = self.buffer.get(..len).unwrap_or_default();
            assembler.take(writer, bytes, |line| {
                pipeline.take(&dressed(json, writer, line), micros);
            });
        }
    }

    fn write_begun(&mut self) {
        let micros = realtime_micros();
        let json = self.pipelines.json;
        let pipelines = &mut self.pipelines;
        self.lines.flush(|writer, line| {
            pipelines.lines.take(&dressed(json, writer, line), micros);
        });
        self.requests
            .flush(|_, line| pipelines.requests.take(line, micros));
    }

    fn sinks(&mut self) -> impl Iterator<Item = &mut sink::Sink> {
        let Pipelines {
            lines, requests, ..
        } = &mut self.pipelines;
        lines.sinks().chain(requests.sinks())
    }

    fn flush(&mut self) {
        self.sinks().for_each(sink::Sink::flush);
    }

    /// What destinations have to say goes the way of all lines.
    fn say_notes(&mut self) {
        let notes: Vec<String> = self.sinks().flat_map(sink::Sink::take_notes).collect();
        for note in notes {
            let line = lines::own_line(&note);
            self.pipelines.lines.take(&line, realtime_micros());
            self.flush();
        }
    }
}

/// With `log-json` a line of a program that knows nothing of it becomes an object too.
fn dressed(json: bool, writer: i32, line: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match json && !line.starts_with(b"{") {
        true => lines::foreign_line(writer, line).into(),
        false => line.into(),
    }
}

/// What one writer has written; `None` when nothing is there.
fn receive_from(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Option<(i32, usize)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    loop {
        let mut slices = [IoSliceMut::new(buffer)];
        let received = recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::DONTWAIT);
        match received {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
            Ok(message) if message.bytes == 0 => return None,
            Ok(message) => {
                let writer = ancillary.drain().find_map(|message| match message {
                    RecvAncillaryMessage::ScmCredentials(who) => {
                        Some(who.pid.as_raw_nonzero().get())
                    }
                    _ => None,
                });
                return Some((writer.unwrap_or_default(), message.bytes));
            }
        }
    }
}
