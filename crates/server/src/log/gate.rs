//! Which requests have a line.

use std::time::Duration;

use uwgate_config::options::Log;

use crate::exchange::Tally;

/// All of them, or with `disable-logging` those that one of the exceptions names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gate {
    /// `disable-logging` without exceptions.
    Shut,
    Ajar(Exceptions),
    Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceptions {
    client_errors: bool,
    server_errors: bool,
    slow: Option<Duration>,
    big: Option<u64>,
    zero: bool,
    sendfile: bool,
    io_errors: bool,
}

impl Gate {
    pub(crate) fn new(log: &Log) -> Self {
        let exceptions = Exceptions {
            client_errors: log.log_4xx,
            server_errors: log.log_5xx,
            slow: (log.log_slow > 0).then(|| Duration::from_millis(log.log_slow.into())),
            big: (log.log_big > 0).then_some(log.log_big),
            zero: log.log_zero,
            sendfile: log.log_sendfile,
            io_errors: log.log_ioerror,
        };
        match exceptions {
            _ if !log.disable_logging => Self::Open,
            Exceptions {
                client_errors: false,
                server_errors: false,
                slow: None,
                big: None,
                zero: false,
                sendfile: false,
                io_errors: false,
            } => Self::Shut,
            exceptions => Self::Ajar(exceptions),
        }
    }

    /// Whether a request that was answered so, and took so long, has a line. `io_error`: its peer was lost.
    pub(crate) fn lets_through(
        &self,
        tally: &Tally,
        took: impl FnOnce() -> Duration,
        io_error: bool,
    ) -> bool {
        match self {
            Self::Open => true,
            Self::Shut => false,
            Self::Ajar(names) => {
                (names.client_errors && (400..500).contains(&tally.status))
                    || (names.server_errors && (500..600).contains(&tally.status))
                    || (names.zero && tally.body_bytes == 0)
                    || (names.sendfile && tally.sendfile)
                    || (names.io_errors && io_error)
                    || names.big.is_some_and(|big| tally.body_bytes >= big)
                    || names.slow.is_some_and(|slow| took() >= slow)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(log: &Log, tally: Tally, millis: u64, io_error: bool) -> bool {
        Gate::new(log).lets_through(&tally, || Duration::from_millis(millis), io_error)
    }

    #[test]
    fn exceptions_count_only_where_nothing_else_is_logged() {
        let off = Log {
            disable_logging: true,
            ..Log::default()
        };
        let fine = Tally {
            status: 200,
            body_bytes: 5,
            ..Tally::default()
        };
        let with = |status| Tally { status, ..fine };
        assert!(matches!(Gate::new(&off), Gate::Shut));
        assert!(passes(&Log::default(), fine, 0, false));
        let log = Log {
            log_4xx: true,
            log_slow: 100,
            ..off.clone()
        };
        assert!(passes(&log, with(404), 0, false));
        assert!(!passes(&log, with(500), 99, true));
        assert!(passes(&log, fine, 100, false));
        let log = Log {
            log_5xx: true,
            log_big: 6,
            log_zero: true,
            ..off.clone()
        };
        assert!(passes(&log, with(503), 0, false));
        assert!(!passes(&log, fine, 0, false));
        for body_bytes in [0, 6, 7] {
            assert!(passes(&log, Tally { body_bytes, ..fine }, 0, false));
        }
        let log = Log {
            log_sendfile: true,
            log_ioerror: true,
            ..off
        };
        assert!(passes(
            &log,
            Tally {
                sendfile: true,
                ..fine
            },
            0,
            false
        ));
        assert!(passes(&log, fine, 0, true));
        assert!(!passes(&log, fine, 0, false));
    }
}
