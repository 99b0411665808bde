//! A request in the application as somebody else of the process may see it, who decides when it has had its time.
//!
//! Each core has one [`Flight`] for all of its requests. Of two who want to speak to the client, the application's
//! thread and the watchdog, the first one has the word: an atomic decides, and neither ever waits for the other.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uwgate_http::ResponseRules;
use uwgate_sys::clock::{Millis, coarse_now, coarse_realtime};
use uwgate_sys::thread::Thread;

use super::{Request, Socket};

/// One core's request in the application, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// The request's number, from 1, and its [`Phase`].
    state: AtomicU64,
    /// When the application wants it to be over, in milliseconds of the monotonic clock; 0 for no such wish.
    pub(crate) wish: AtomicU64,
    /// How many threads of the application wait for the client in this moment.
    waiting: AtomicU32,
    passenger: Mutex<Option<Passenger>>,
    /// The request whose line in the log has somebody who writes it, where two might.
    line: AtomicU64,
}

/// What is known of a request in the application.
#[derive(Debug, Clone)]
pub(crate) struct Passenger {
    number: u64,
    pub(crate) socket: Socket,
    pub(crate) rules: ResponseRules,
    pub(crate) thread: Thread,
    /// When the application was called.
    pub(crate) since: Millis,
    /// The same in seconds since 1970.
    pub(crate) since_epoch: u64,
    /// The var block.
    pub(crate) block: Vec<u8>,
    pub(crate) var_count: usize,
}

/// Who has the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Phase {
    /// No request is in the application.
    Landed = 0,
    /// Nothing was sent: whoever comes first may answer.
    Open = 1,
    /// The application has begun its answer.
    Answering = 2,
    /// The watchdog has the word: what the application says goes nowhere.
    Taken = 3,
    /// The process is about to be killed: the thread must not begin anything.
    Doomed = 4,
}

/// Bits of the state that are the phase.
const PHASE: u64 = 7;

/// How often a doomed thread looks whether it is spared.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

const fn state(number: u64, phase: Phase) -> u64 {
    number << 3 | phase as u64
}

fn phase(state: u64) -> Phase {
    match state & PHASE {
        1 => Phase::Open,
        2 => Phase::Answering,
        3 => Phase::Taken,
        4 => Phase::Doomed,
        _ => Phase::Landed,
    }
}

/// What the watchdog sees of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Which request it is.
    pub(crate) number: u64,
    /// When the application was called.
    pub(crate) since: Millis,
    /// When the application wants it to be over.
    pub(crate) wish: Option<Millis>,
    /// Whether the application waits for the client.
    pub(crate) waits: bool,
}

impl Flight {
    /// A request enters the application on the calling thread. The ticket is for its two halves.
    pub(crate) fn begin(self: &Arc<Self>, request: &Request, rules: ResponseRules) -> Ticket {
        let number = (self.state.load(Ordering::Relaxed) >> 3) + 1;
        let since = coarse_now();
        let mut seat = self.passenger();
        let mut block = seat.take().map(|before| before.block).unwrap_or_default();
        block.clear();
        block.extend_from_slice(request.block());
        *seat = Some(Passenger {
            number,
            socket: request.shared_socket(),
            rules,
            thread: uwgate_sys::thread::current(),
            since,
            since_epoch: coarse_realtime().as_secs(),
            block,
            var_count: request.var_count,
        });
        drop(seat);
        self.wish.store(0, Ordering::Relaxed);
        self.state
            .store(state(number, Phase::Open), Ordering::Release);
        Ticket {
            flight: Arc::clone(self),
            number,
        }
    }

    /// The application has returned, if it was called. A doomed thread does not come back from here. Whether the caller
    /// is to log the request, and not somebody else.
    pub(crate) fn end(&self) -> bool {
        let land = |now| (phase(now) != Phase::Doomed).then(|| state(now >> 3, Phase::Landed));
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        loop {
            match self.state.fetch_update(set, get, land) {
                Ok(was) => return phase(was) != Phase::Taken || self.claim_line(was >> 3),
                Err(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// Whether the caller is the first who wants to log request `number`, whose word was taken.
    pub(crate) fn claim_line(&self, number: u64) -> bool {
        self.line.swap(number, Ordering::AcqRel) != number
    }

    /// What there is to see now; `None` between requests.
    pub(crate) fn look(&self) -> Option<Sight> {
        let now = self.state.load(Ordering::Acquire);
        if !matches!(phase(now), Phase::Open | Phase::Answering | Phase::Taken) {
            return None;
        }
        let number = now >> 3;
        let passenger = self.passenger();
        let passenger = passenger.as_ref().filter(|it| it.number == number)?;
        let wish = self.wish.load(Ordering::Relaxed);
        Some(Sight {
            number,
            since: passenger.since,
            wish: Some(Millis(wish)).filter(|wish| wish.0 > 0),
            waits: self.waiting.load(Ordering::Relaxed) > 0,
        })
    }

    /// Whether this thread is in the application with a request.
    pub(crate) fn is_of(&self, thread: Thread) -> bool {
        let in_flight = self.number_in(Phase::Landed).is_none();
        in_flight
            && self
                .passenger()
                .as_ref()
                .is_some_and(|it| it.thread == thread)
    }

    /// Whether request `number` is still in the application.
    pub(crate) fn is_aboard(&self, number: u64) -> bool {
        let now = self.state.load(Ordering::Acquire);
        now >> 3 == number && phase(now) != Phase::Landed
    }

    /// The number of the request, if this is its phase.
    pub(crate) fn number_in(&self, wanted: Phase) -> Option<u64> {
        let now = self.state.load(Ordering::Acquire);
        (phase(now) == wanted).then_some(now >> 3)
    }

    /// What is known of request `number`, if it is the current one.
    pub(crate) fn passenger_of(&self, number: u64) -> Option<Passenger> {
        let passenger = self.passenger();
        passenger.clone().filter(|it| it.number == number)
    }

    /// Takes the word for request `number`. Says who had it before; `None` when the request is over.
    pub(crate) fn take(&self, number: u64) -> Option<Phase> {
        let step = |now: u64| {
            let current =
                now >> 3 == number && matches!(phase(now), Phase::Open | Phase::Answering);
            current.then(|| state(number, Phase::Taken))
        };
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        self.state.fetch_update(set, get, step).ok().map(phase)
    }

    /// Stops the thread of request `number` from coming back; false when it has done so already.
    pub(crate) fn doom(&self, number: u64) -> bool {
        self.exchange(state(number, Phase::Taken), state(number, Phase::Doomed))
    }

    /// Takes back a [`Flight::doom`].
    pub(crate) fn spare(&self, number: u64) {
        self.exchange(state(number, Phase::Doomed), state(number, Phase::Taken));
    }

    fn exchange(&self, from: u64, to: u64) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn passenger(&self) -> MutexGuard<'_, Option<Passenger>> {
        self.passenger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the halves of a request hold of its flight.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    flight: Arc<Flight>,
    number: u64,
}

impl Ticket {
    /// Takes the word for the application; false when the watchdog has it. After the request's end there is nobody to
    /// ask.
    pub(crate) fn claim(&self) -> bool {
        let open = state(self.number, Phase::Open);
        let answering = state(self.number, Phase::Answering);
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        match self
            .flight
            .state
            .compare_exchange(open, answering, set, get)
        {
            Ok(_) => true,
            Err(now) => {
                now >> 3 != self.number || !matches!(phase(now), Phase::Taken | Phase::Doomed)
            }
        }
    }

    /// Notes that the application waits for its client, for as long as the guard lives.
    pub(crate) fn wait_for_client(&self) -> Waiting<'_> {
        self.flight.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.flight.waiting)
    }
}

/// See [`Ticket::wait_for_client`].
pub(crate) struct Waiting<'f>(&'f AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use uwgate_http::{Method, Protocol};

    use super::*;
    use crate::exchange::Trust;

    fn request() -> Box<Request> {
        let (ours, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let trust = Trust {
            forwarded: false,
            uwsgi: false,
        };
        Request::new(Arc::new(ours.into()), Duration::ZERO, |wait| wait(), trust)
    }

    fn rules() -> ResponseRules {
        ResponseRules {
            protocol: Protocol::Http11,
            method: Method::Get,
            keep_alive: false,
        }
    }

    #[test]
    fn one_of_two_logs_a_request_that_was_ended() {
        let flight = Arc::new(Flight::default());
        for watchdog_is_first in [true, false] {
            flight.begin(&request(), rules());
            let number = flight.look().unwrap().number;
            assert!(flight.take(number).is_some());
            if watchdog_is_first {
                assert!(flight.claim_line(number) && !flight.end());
            } else {
                assert!(flight.end() && !flight.claim_line(number));
            }
            flight.begin(&request(), rules());
            assert!(flight.end(), "nobody else wants to");
        }
    }

    #[test]
    fn whoever_comes_first_has_the_word() {
        let flight = Arc::new(Flight::default());
        assert_eq!(flight.look(), None);

        let ticket = flight.begin(&request(), rules());
        let first = flight.look().unwrap().number;
        assert!(ticket.claim() && ticket.claim());
        assert_eq!(flight.take(first), Some(Phase::Answering));
        assert!(!ticket.claim());
        flight.end();

        let ticket = flight.begin(&request(), rules());
        let second = flight.look().unwrap().number;
        assert_eq!(flight.take(first), None, "it is over");
        assert_eq!(flight.take(second), Some(Phase::Open));
        assert_eq!(flight.take(second), None, "taken once");
        assert!(!ticket.claim());
        flight.end();
        assert!(ticket.claim(), "nobody to ask any more");
        assert!(!flight.doom(second));
    }

    #[test]
    fn a_doomed_thread_does_not_come_back_unless_it_is_spared() {
        let flight = Arc::new(Flight::default());
        flight.begin(&request(), rules());
        let number = flight.look().unwrap().number;
        flight.take(number);
        assert!(flight.doom(number));
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| flight.end());
            assert!(flight.is_aboard(number));
            flight.spare(number);
            thread.join().unwrap();
        });
        assert!(!flight.is_aboard(number));
    }

    #[test]
    fn exactly_one_of_two_racers_has_the_word() {
        let flight = Arc::new(Flight::default());
        for _ in 0..2_000 {
            let ticket = flight.begin(&request(), rules());
            let number = flight.look().unwrap().number;
            let (claimed, taken) = std::thread::scope(|scope| {
                let watchdog = scope.spawn(|| flight.take(number));
                (ticket.claim(), watchdog.join().unwrap())
            });
            assert_eq!(claimed, taken == Some(Phase::Answering));
            flight.end();
        }
    }
}
