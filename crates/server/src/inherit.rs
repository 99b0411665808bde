//! What a zygote (or a worker without master) finds at fixed descriptors when its Python starts.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;

use uwgate_config::{Entry, Options, Protocol};
use uwgate_sys::channel::Channel;
use uwgate_sys::listener;
use uwgate_sys::memory;
use uwgate_sys::process::inherited;
use uwgate_sys::record_locks::RecordLocks;

use crate::listen::Listening;
use crate::scoreboard::{Memory, Scoreboard};

/// The way to the master; absent without one.
const CHANNEL: RawFd = 3;
/// The expanded options, in a memfd.
const ENTRIES: RawFd = 4;
/// The scoreboard's lines.
const LINES: RawFd = 5;
/// The scoreboard's seats.
const SEATS: RawFd = 6;
/// The scoreboard's exhibits; nothing there where requests in flight are not shown.
const EXHIBITS: RawFd = 7;
/// The application's locks.
const LOCKS: RawFd = 8;
/// What processes share about their log.
const LOG: RawFd = 9;
/// Where request lines go; nothing there when they go where all others do.
const REQUEST_LINES: RawFd = 10;
/// The scoreboard's tallies.
const TALLIES: RawFd = 11;
/// The first listening socket.
const LISTENERS: RawFd = 12;

/// Everything the master hands over.
#[derive(Debug)]
pub struct Inherited {
    /// The way to the master; `None` without one.
    pub master: Option<Channel>,
    /// The typed options.
    pub options: Arc<Options>,
    /// The expanded options behind them, in order.
    pub entries: Vec<Entry>,
    /// The bound sockets.
    pub listeners: Vec<Listening>,
    /// Where figures go.
    pub scoreboard: Scoreboard,
    /// The locks of `uwsgi.lock()`: the same for all generations of an instance.
    pub locks: Arc<RecordLocks>,
}

/// The descriptors of [`Inherited`] on the side that hands them over, and the word that says what they are.
#[derive(Debug)]
pub(crate) struct Legacy {
    /// Which descriptor goes where.
    pub(crate) fds: Vec<(OwnedFd, RawFd)>,
    /// `m` or `-` for the master's channel, then `u` or `h` for each listener.
    pub(crate) word: String,
}

/// Prepares what a child inherits.
pub(crate) fn bequeath(
    master: Option<Channel>,
    entries: &[Entry],
    scoreboard: &Scoreboard,
    locks: &RecordLocks,
    listeners: &[Listening],
) -> io::Result<Legacy> {
    let mut word = String::from(if master.is_some() { "m" } else { "-" });
    let mut fds = Vec::new();
    fds.extend(master.map(|channel| (OwnedFd::from(channel), CHANNEL)));
    let text = uwgate_config::encode(entries);
    fds.push((memory::memfd("uwgate-options", &text)?, ENTRIES));
    let memory = scoreboard.share()?;
    fds.extend([
        (memory.lines, LINES),
        (memory.seats, SEATS),
        (memory.tallies, TALLIES),
    ]);
    fds.extend(memory.exhibits.map(|exhibits| (exhibits, EXHIBITS)));
    fds.push((locks.fd().try_clone_to_owned()?, LOCKS));
    let log = crate::log::bequeath()?;
    fds.push((log.share, LOG));
    fds.extend(log.requests.map(|requests| (requests, REQUEST_LINES)));
    for (number, listening) in (LISTENERS..).zip(listeners) {
        word.push(letter(listening.protocol));
        let fd = listening.listener.fd.as_fd().try_clone_to_owned()?;
        fds.push((fd, number));
    }
    Ok(Legacy { fds, word })
}

fn letter(protocol: Protocol) -> char {
    match protocol {
        Protocol::Uwsgi => 'u',
        Protocol::Http => 'h',
    }
}

impl Inherited {
    /// Takes the descriptors that `word` describes. Works once in a process.
    ///
    /// # Errors
    /// When this process was not started by a master of this version.
    pub fn take(word: &str) -> io::Result<Self> {
        let mut letters = word.chars();
        let master = match letters.next() {
            Some('m') => Some(Channel::adopt(inherited(CHANNEL)?)?),
            Some('-') => None,
            _ => return Err(unexpected(word)),
        };
        let entries = memory::read_all(inherited(ENTRIES)?)?;
        let entries = uwgate_config::decode(&entries).map_err(io::Error::other)?;
        let (options, _) = Options::from_entries(&entries)
            .map_err(|_| io::Error::other("the options do not parse a second time"))?;
        let requests = options.log.separates_requests();
        let requests = requests.then(|| inherited(REQUEST_LINES)).transpose()?;
        crate::log::inherit(&options, inherited(LOG)?, requests)?;
        let mut listeners = Vec::new();
        for (number, letter) in (LISTENERS..).zip(letters) {
            let protocol = match letter {
                'u' => Protocol::Uwsgi,
                'h' => Protocol::Http,
                _ => return Err(unexpected(word)),
            };
            let listener = listener::adopt(inherited(number)?)?;
            listeners.push(Listening::inherited(protocol, listener));
        }
        let workers = &options.workers;
        let (processes, threads) = (workers.processes as usize, workers.threads as usize);
        let exhibits = shows_requests(&options).then(|| inherited(EXHIBITS));
        let memory = Memory {
            lines: inherited(LINES)?,
            seats: inherited(SEATS)?,
            tallies: inherited(TALLIES)?,
            exhibits: exhibits.transpose()?,
        };
        let scoreboard = Scoreboard::attach(memory, processes, threads)?;
        Ok(Self {
            master,
            options: Arc::new(options),
            entries,
            listeners,
            scoreboard,
            locks: Arc::new(RecordLocks::adopt(inherited(LOCKS)?)),
        })
    }
}

/// Whether somebody may ask what a worker is doing: the stats server, or harakiri.
pub(crate) fn shows_requests(options: &Options) -> bool {
    let stats = &options.stats;
    !(stats.stats.is_empty() && stats.prometheus_listen.is_empty())
}

fn unexpected(word: &str) -> io::Error {
    io::Error::other(format!(
        "`{word}` is not what a master of this version hands over"
    ))
}
