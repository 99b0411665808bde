//! The emperor, seen from a vassal: the dialogue on `UWSGI_EMPEROR_FD`, a byte at a time and uWSGI's own bytes.

mod orphan;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use uwgate_config::Options;
use uwgate_config::options::Phase;
use uwgate_sys::clock::{Millis, coarse_now};
use uwgate_sys::process;

use self::orphan::Orphan;
use super::happenings::{Happening, Happenings};
use super::wish::Wish;
use super::{Launcher, Master};
use crate::sent_config;

/// The variable that names the descriptor.
const VARIABLE: &str = "UWSGI_EMPEROR_FD";

/// Whether this instance is a vassal.
pub(crate) fn is_there() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// What a vassal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Spawned = 1,
    /// Once more my configuration, please.
    Config = 2,
    Accepting = 5,
    Loyal = 17,
    StopMe = 22,
    Heartbeat = 26,
    /// Not uWSGI's: I could go on without you, and find the next.
    CanOutlive = OUTLIVE as isize,
}

/// Not uWSGI's: an emperor's answer, and what it answers.
const OUTLIVE: u8 = 107;

/// What leads to an emperor.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The dialogue, as long as there is an emperor.
    pub(super) fd: Option<OwnedFd>,
    /// This instance may go on without.
    pub(super) may_outlive: bool,
}

/// The emperor, if there is one.
#[derive(Debug, Default)]
pub(super) struct Lord {
    socket: Option<Arc<UnixStream>>,
    /// Seconds between signs of life.
    every: Option<Duration>,
    next: Option<Millis>,
    is_loyal: bool,
    /// It was asked to end this instance for want of work.
    bored: bool,
    /// Where the next one will be, and what leads from here to it.
    orphan: Orphan,
    may_outlive: bool,
}

impl Lord {
    /// The descriptor that the emperor has given, or a former self has left.
    pub(super) fn find(left: Option<Way>) -> Way {
        left.unwrap_or_else(|| Way {
            fd: Self::find_in_environment(),
            may_outlive: false,
        })
    }

    fn find_in_environment() -> Option<OwnedFd> {
        let number: RawFd = std::env::var(VARIABLE).ok()?.parse().ok()?;
        match process::inherited(number) {
            Ok(fd) => {
                tracing::info!("*** has_emperor mode detected (fd: {number}) ***");
                Some(fd)
            }
            Err(error) => {
                tracing::warn!("{VARIABLE} = {number}: {error}; going on without an emperor");
                None
            }
        }
    }

    /// Listens to it from now on.
    pub(super) fn follow(way: Way, happenings: &Happenings) -> io::Result<Self> {
        let Way { fd, may_outlive } = way;
        let mut lord = Self {
            may_outlive,
            orphan: Orphan::new(),
            ..Self::default()
        };
        match fd {
            Some(fd) => lord.listen(fd, happenings)?,
            None if may_outlive => lord.orphan.wait(happenings.sender()),
            None => {}
        }
        Ok(lord)
    }

    fn listen(&mut self, fd: OwnedFd, happenings: &Happenings) -> io::Result<()> {
        uwgate_sys::socket::set_nonblocking(fd.as_fd(), true)?;
        let socket = Arc::new(UnixStream::from_std(fd.into())?);
        let (reader, sender) = (Arc::clone(&socket), happenings.sender());
        tokio::spawn(async move {
            while let Some(byte) = hear(&reader).await {
                let _ = sender.send(Happening::Emperor(Some(byte)));
            }
            let _ = sender.send(Happening::Emperor(None));
        });
        self.socket = Some(socket);
        self.next = self.every.map(|_| coarse_now());
        Ok(())
    }

    /// Takes over a configuration.
    pub(super) fn renew(&mut self, options: &Options) {
        let every = options.emperor.heartbeat;
        let every = (every > 0).then(|| Duration::from_secs(every.into()));
        if every != self.every {
            self.next = every
                .filter(|_| self.socket.is_some())
                .map(|_| coarse_now());
            self.every = every;
        }
    }

    /// The master is there.
    pub(super) fn spawned(&self) {
        self.say(Word::Spawned);
        if self.orphan.is_possible() {
            self.say(Word::CanOutlive);
        }
    }

    /// Before the configuration is read again: the emperor is to send it, if that is where it comes from.
    pub(super) fn ask_config(&self) {
        if sent_config::is_sent() {
            self.say(Word::Config);
        }
    }

    /// Requests are accepted (again).
    pub(super) fn accepting(&self) {
        self.say(Word::Accepting);
    }

    /// Whether it has still to be told that a request was served.
    pub(super) fn waits_for_loyalty(&self) -> bool {
        self.socket.is_some() && !self.is_loyal
    }

    fn loyal(&mut self) {
        self.is_loyal = true;
        tracing::info!("announcing my loyalty to the Emperor...");
        self.say(Word::Loyal);
    }

    /// There is nothing to do: asks the emperor to end this instance, which a visitor starts again if it is one on
    /// demand. Until it does so requests are served. `false`: there is no emperor to ask, and none will be.
    pub(super) fn ask_to_be_stopped(&mut self) -> bool {
        self.bored = true;
        self.say(Word::StopMe) || self.may_outlive
    }

    /// When the next sign of life is due.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.next
    }

    /// Gives it, if it is time to.
    pub(super) fn handle_time(&mut self, now: Millis) {
        if let (Some(every), Some(next)) = (self.every, self.next)
            && next <= now
        {
            self.next = Some(now + every);
            self.say(Word::Heartbeat);
        }
    }

    /// For a successor.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// For a successor.
    pub(super) fn may_outlive(&self) -> bool {
        self.may_outlive
    }

    fn lost(&mut self) {
        self.socket = None;
        self.next = None;
    }

    /// Whether it will be read: an emperor that does not listen finds out by other means.
    fn say(&self, word: Word) -> bool {
        self.socket.as_ref().is_some_and(|socket| {
            // Not through the runtime, which does not know at once that there is room.
            let said = uwgate_sys::socket::send(socket.as_fd(), &[word as u8]);
            matches!(said, Ok(Some(_)))
        })
    }
}

/// The next byte; `None` at the end.
async fn hear(socket: &UnixStream) -> Option<u8> {
    loop {
        socket.readable().await.ok()?;
        let mut byte = [0];
        match socket.try_read(&mut byte) {
            Ok(0) => return None,
            Ok(_) => return byte.first().copied(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

impl<L: Launcher> Master<'_, L> {
    /// The emperor has said something, or is gone. The words are uWSGI's.
    pub(super) fn heard_emperor(&mut self, byte: Option<u8>) {
        let Some(byte) = byte else {
            self.lord.lost();
            tracing::error!("lost connection with my emperor !!!");
            self.surroundings.chores.add(Phase::EmperorLost);
            return self.go_on_alone();
        };
        tracing::info!("received message {byte} from emperor");
        match byte {
            0 | 2 => self.surroundings.chores.add(Phase::EmperorStop),
            1 => self.surroundings.chores.add(Phase::EmperorReload),
            _ => {}
        }
        match byte {
            // uWSGI's answer to a vassal that asks for its end; whoever has come since is served.
            0 if self.lord.bored => self.grant(Wish::Stop),
            0 => self.grant(Wish::Kill),
            1 => {
                self.lord.bored = false;
                self.grant(Wish::Reload);
            }
            2 => self.grant(Wish::Stop),
            OUTLIVE => self.lord.allowed(),
            _ => {}
        }
    }

    fn has_served(&self) -> bool {
        let mut books = self.generations.iter().flat_map(super::Generation::books);
        books.any(|book| book.total().requests > 0)
    }

    /// Tells the emperor once a request was served.
    pub(super) fn show_loyalty(&mut self) {
        if self.lord.waits_for_loyalty() && self.has_served() {
            self.lord.loyal();
        }
    }
}
