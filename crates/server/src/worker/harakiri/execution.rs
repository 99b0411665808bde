//! What is done about a request whose time is up.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uwgate_sys::clock::coarse_now;
use uwgate_sys::process;
use uwgate_sys::signals::Signal;

use super::answer;
use super::judge::Verdict;
use super::report::{Case, Other, subject};
use super::stacks::Stacks;
use super::traceback::Stack;
use super::watchdog::Watchdog;
use crate::exchange::{Flight, Passenger, Phase, Request, Sight, Tally};
use crate::host::Host;
use crate::message::{FromWorker, Message};
use crate::worker::room;

impl<H: Host> Watchdog<H> {
    /// Acts on a verdict.
    pub(super) fn execute(
        &self,
        verdict: Verdict,
        core: usize,
        flight: &Flight,
        sight: Sight,
        stacks: &Stacks,
    ) {
        let _acting = self.harakiri().act();
        let Some(passenger) = flight.passenger_of(sight.number) else {
            return;
        };
        let scene = Scene {
            core,
            flight,
            sight,
            passenger: &passenger,
        };
        match verdict {
            Verdict::Pass => self.pass(&scene),
            Verdict::Cut => self.cut(&scene),
            Verdict::Ask => self.ask(&scene, stacks),
            Verdict::End => self.end(&scene, stacks),
        }
    }

    fn pass(&self, scene: &Scene<'_>) {
        let (waiting, least) = (self.waiting(), self.harakiri().queue);
        tracing::warn!(
            "HARAKIRI: Skipping harakiri on worker {}. Listen queue is smaller than the threshold ({waiting} < \
             {least}): {}",
            self.worker(),
            subject(scene.passenger)
        );
    }

    /// The application waits for its client and for nothing else: it gets an error when that one is gone, and the
    /// worker may live.
    fn cut(&self, scene: &Scene<'_>) {
        let Some((told, _)) = scene.take_word() else {
            return;
        };
        let _ = uwgate_sys::socket::shutdown(scene.passenger.socket.as_fd());
        tracing::warn!(
            "harakiri: worker {} core {}: {}: its client is too slow. {told}",
            self.worker(),
            scene.core,
            subject(scene.passenger)
        );
    }

    fn ask(&self, scene: &Scene<'_>, stacks: &Stacks) {
        let harakiri = self.harakiri();
        let alone = harakiri.flights.len() == 1;
        let signal = harakiri.signal;
        let seconds = harakiri.rules.grace.unwrap_or_default().as_secs();
        let consequence = match alone {
            true => format!(
                "graceful termination attempt with signal {signal}; the request has {seconds} more seconds"
            ),
            false => format!(
                "graceful termination attempt: SystemExit is raised in its thread; the request has {seconds} more seconds"
            ),
        };
        let stack = stacks.of(scene.passenger.thread);
        self.report(scene, stacks, stack, (1, true), &consequence);
        match alone {
            true => {
                if let Some(signal) = i32::try_from(signal).ok().and_then(Signal::from_named_raw) {
                    let _ = process::kill(process::this(), signal);
                }
            }
            false => self.interrupt(scene.passenger),
        }
    }

    /// Python's own signal handlers run on its main thread, which serves no request where there are several threads.
    fn interrupt(&self, passenger: &Passenger) {
        let (engine, thread) = (Arc::clone(&self.engine), passenger.thread);
        // It may have to wait for the interpreter for ever.
        let _ = std::thread::Builder::new()
            .name("harakiri-ask".into())
            .spawn(move || engine.host.interrupt(thread.handle));
    }

    fn end(&self, scene: &Scene<'_>, stacks: &Stacks) {
        let Some((told, tally)) = scene.take_word().or_else(|| scene.was_cut()) else {
            return;
        };
        // Its own thread may come back before the process ends.
        let is_ours_to_log = scene.flight.claim_line(scene.sight.number);
        let attempt = if self.harakiri().rules.grace.is_some() {
            2
        } else {
            1
        };
        let thread = scene.passenger.thread;
        let mut stack = stacks.of(thread);
        let alone = self.doom_all();
        if alone {
            self.turn_away();
            stack = stack.or_else(|| stacks.seen_from_here(thread));
        }
        let over = !scene.flight.is_aboard(scene.sight.number);
        let consequence = match (alone, over) {
            (true, _) => format!("{told} The worker is killed"),
            (false, true) => format!("{told} The request has come to its end meanwhile"),
            (false, false) => format!(
                "{told} The worker is replaced, and killed when its other requests are through"
            ),
        };
        self.report(scene, stacks, stack, (attempt, false), &consequence);
        if is_ours_to_log {
            self.log(scene, &tally);
        }
        if over {
            return;
        }
        self.tell_master(alone);
        if alone {
            if self.harakiri().flights.len() > 1 {
                std::thread::sleep(FAREWELL);
            }
            answer::linger(scene.passenger);
            self.harakiri().end_process();
        } else if self.master.is_some() {
            // A thread that is stuck may hold what the others need: what comes now is for the successor.
            self.engine.start_draining();
        }
    }

    /// The request's line, as of any other: with its age, and the status that its client was told.
    fn log(&self, scene: &Scene<'_>, tally: &Tally) {
        let Passenger {
            socket,
            block,
            var_count,
            since,
            ..
        } = scene.passenger;
        let request = Request::seen(Arc::clone(socket), block.clone(), *var_count);
        let (now, age) = (Instant::now(), coarse_now().since(*since));
        let begun = now.checked_sub(age).unwrap_or(now);
        self.engine.log_given_up(&request, tally, scene.core, begun);
    }

    /// Whether every core is stuck, so that nothing is lost when the process is killed. No thread comes back then.
    fn doom_all(&self) -> bool {
        let flights = &self.harakiri().flights;
        let numbers: Vec<u64> = flights
            .iter()
            .map_while(|flight| flight.number_in(Phase::Taken))
            .collect();
        if numbers.len() < flights.len() {
            return false;
        }
        let all = flights
            .iter()
            .zip(&numbers)
            .all(|(flight, number)| flight.doom(*number));
        if !all {
            for (flight, number) in flights.iter().zip(&numbers) {
                flight.spare(*number);
            }
        }
        all
    }

    /// With one thread nobody has looked after the other connections meanwhile, and nobody will in this process. With
    /// several there is one that has, and requests that wait for a core.
    fn turn_away(&self) {
        if self.harakiri().flights.len() > 1 {
            self.engine.start_draining();
            return self.engine.cores.close();
        }
        let resting = self.engine.watches.resting();
        for socket in room::leave_to_others(resting, &self.engine) {
            answer::turn_away(&socket);
        }
    }

    fn tell_master(&self, alone: bool) {
        if let Some(master) = &self.master {
            let word = FromWorker::Harakiri { replace: !alone };
            let _ = master.send(&word.encode(), &[]);
        }
    }

    fn report(
        &self,
        scene: &Scene<'_>,
        stacks: &Stacks,
        stack: Option<Stack>,
        (attempt, graceful): (u32, bool),
        consequence: &str,
    ) {
        let verbose = self.harakiri().verbose;
        let others = match verbose {
            true => self.others(scene, stacks),
            false => Vec::new(),
        };
        let limit = self.harakiri().rules.limit;
        let limit = limit.map(|limit| scene.sight.since + limit);
        let case = Case {
            worker: self.worker(),
            core: scene.core,
            passenger: scene.passenger,
            user: scene
                .sight
                .wish
                .is_some_and(|wish| limit.is_none_or(|limit| wish < limit)),
            attempt,
            graceful,
            consequence,
            stack,
            others,
            verbose,
        };
        tracing::error!("{}", case.render());
    }

    fn others(&self, scene: &Scene<'_>, stacks: &Stacks) -> Vec<Other> {
        let flights = self.harakiri().flights.iter().enumerate();
        let others = flights.filter(|(core, _)| *core != scene.core);
        let others = others.filter_map(|(core, flight)| {
            let passenger = flight.passenger_of(flight.look()?.number)?;
            let stack = stacks.of(passenger.thread)?;
            Some(Other {
                core,
                passenger,
                stack,
            })
        });
        others.collect()
    }
}

/// How long the thread that looks after the connections has to speak to those that wait for a core.
const FAREWELL: Duration = Duration::from_millis(100);

/// A request whose time is up, and where.
struct Scene<'s> {
    core: usize,
    flight: &'s Flight,
    sight: Sight,
    passenger: &'s Passenger,
}

impl Scene<'_> {
    /// Takes the word from the application and speaks to the client; says how, and what the log has as the answer.
    /// `None` when the request is over, or the word was taken before.
    fn take_word(&self) -> Option<(&'static str, Tally)> {
        match self.flight.take(self.sight.number)? {
            Phase::Open => {
                let tally = answer::gateway_timeout(self.passenger);
                Some(("The client got a 504.", tally))
            }
            _ => {
                answer::hang_up(self.passenger);
                Some(("The response had begun: its connection is cut.", UNFINISHED))
            }
        }
    }

    fn was_cut(&self) -> Option<(&'static str, Tally)> {
        let still_there = self.flight.is_aboard(self.sight.number);
        still_there.then_some(("The connection was cut before.", UNFINISHED))
    }
}

/// What of an answer was sent before it was cut only the application's thread knows.
const UNFINISHED: Tally = Tally {
    status: 504,
    headers: 0,
    head_bytes: 0,
    body_bytes: 0,
    sendfile: false,
    switches: 0,
};
