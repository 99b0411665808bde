//! What the workers of a generation have done and are doing, from the scoreboard.

use std::sync::atomic::{AtomicU64, Ordering};

use uwgate_sys::process::{self, Pid};

use super::{Generation, Key, Standing};
use crate::master::stats::moment;
use crate::scoreboard::{self, Row, Scoreboard, Seat, Side};
use crate::stats::{App, Book, Core, Counters, InRequest, Ledger, Status, Worker, shown};

impl Generation {
    /// What each worker's place has counted in this generation.
    pub(in crate::master) fn books(&self) -> Vec<Book> {
        books(&self.scoreboard)
    }

    /// Where its workers count.
    pub(in crate::master) fn scoreboard(&self) -> &Scoreboard {
        &self.scoreboard
    }

    /// Its workers as of now; counters are those of `ledger`, which has all generations.
    pub(in crate::master) fn figures(
        &self,
        ledger: &Ledger,
        paused: bool,
        show_secrets: bool,
    ) -> Vec<Worker> {
        let seats = self.workers().filter_map(|worker| {
            let seat = self.scoreboard.seat(worker)?;
            Some((worker, seat))
        });
        let worker = |(worker, seat)| self.figure(worker, seat, ledger, paused, show_secrets);
        seats.map(worker).collect()
    }

    fn figure(
        &self,
        id: u32,
        seat: &Seat,
        ledger: &Ledger,
        paused: bool,
        show_secrets: bool,
    ) -> Worker {
        let side = Side::from_number(u32::try_from(read(&seat.side)).unwrap_or_default());
        let row = Row {
            worker: id,
            side: side.unwrap_or(Side::First),
        };
        let lines = self.scoreboard.row(row);
        let book = ledger.worker(id);
        let cores: Vec<Core> = (0..)
            .zip(lines)
            .map(|(number, line)| Core {
                id: number,
                counters: book.cores.get(number as usize).copied().unwrap_or_default(),
                request: self.request(row, number as usize, line, show_secrets),
            })
            .collect();
        let busy = cores.iter().any(|core| core.request.is_some());
        let pid = i32::try_from(read(&seat.pid)).unwrap_or_default();
        let memory = Pid::from_raw(pid).and_then(|pid| process::memory(pid).ok());
        let first = lines.first();
        let counters = book.total();
        let begun = scoreboard::sum(lines);
        Worker {
            id,
            pid,
            accepting: first
                .is_some_and(|line| read(&line.accepting) == 1 && read(&line.declining) == 0),
            status: match (read(&seat.cheap) == 1, busy, paused) {
                (true, ..) => Status::Cheap,
                (false, true, _) => Status::Busy,
                (false, false, true) => Status::Pause,
                (false, false, false) => Status::Idle,
            },
            counters,
            delta_requests: begun.saturating_sub(read(&seat.requests_before)),
            harakiris: book.harakiris,
            spawns: book.spawns,
            last_spawn: read(&seat.last_spawn),
            rss: memory.map_or(0, |memory| memory.rss),
            vsz: memory.map_or(0, |memory| memory.vsz),
            average: book.average,
            connections: first.map_or(0, |line| read(&line.connections)),
            apps: self.apps_of(id, counters),
            cores,
        }
    }

    fn request(
        &self,
        row: Row,
        number: usize,
        line: &scoreboard::Core,
        show_secrets: bool,
    ) -> Option<InRequest> {
        let since = read(&line.busy_since);
        if since == 0 {
            return None;
        }
        let exhibit = self.scoreboard.exhibit(row, number);
        let vars = exhibit.and_then(scoreboard::Exhibit::look);
        let vars = vars.unwrap_or_default().into_iter();
        let (start, age) = moment(since);
        Some(InRequest {
            start,
            age,
            vars: vars
                .map(|(key, value)| shown(&key, &value, show_secrets))
                .collect(),
        })
    }

    /// A single application has done all that its worker has.
    fn apps_of(&self, worker: u32, counters: Counters) -> Vec<App> {
        let known = self.mountpoints.len() == self.apps as usize;
        let done = |id| match (self.apps, self.scoreboard.tally(worker, id)) {
            (1, _) => (counters.requests, counters.exceptions),
            (_, Some(tally)) => (read(&tally.requests), read(&tally.exceptions)),
            (_, None) => (0, 0),
        };
        let app = |id: u32| App {
            id,
            mountpoint: match self.mountpoints.get(id as usize).filter(|_| known) {
                Some(mountpoint) => mountpoint.clone(),
                None => String::new(),
            },
            startup_time: self.startup_time(worker, id),
            requests: done(id).0,
            exceptions: done(id).1,
        };
        (0..self.apps).map(app).collect()
    }

    /// Each worker tells it; one that has not been started yet will not need another time than its siblings did.
    fn startup_time(&self, worker: u32, app: u32) -> u64 {
        let told = |worker| Some(read(&self.scoreboard.tally(worker, app)?.startup));
        let mut all = std::iter::once(worker).chain(self.workers());
        all.find_map(|it| told(it).filter(|seconds| *seconds > 0))
            .unwrap_or_default()
    }

    /// Processes of which others have taken over, and requests in flight in them.
    pub(in crate::master) fn leaving(&self) -> (u64, u64) {
        let all_leave = self.standing == Standing::Leaving;
        let leaves = |key: &Key| {
            let slot = self.slots.get((key.worker as usize).wrapping_sub(1));
            slot.is_some_and(|slot| {
                let is_there = slot.at(key.side).child.pid().is_some();
                // The other one may also be a successor on its way.
                let was =
                    slot.current_side() != key.side && slot.handover == super::slot::Handover::None;
                is_there && (all_leave || was)
            })
        };
        let rows: Vec<Row> = self
            .keys()
            .iter()
            .filter(|key| leaves(key))
            .map(|key| key.row())
            .collect();
        let lines = rows.iter().flat_map(|row| self.scoreboard.row(*row));
        let busy = lines.filter(|line| read(&line.busy_since) > 0).count();
        (rows.len() as u64, busy as u64)
    }
}

/// What each worker's place has counted.
pub(in crate::master) fn books(scoreboard: &Scoreboard) -> Vec<Book> {
    let workers = 1..=scoreboard.workers();
    workers.map(|worker| book(scoreboard, worker)).collect()
}

fn book(scoreboard: &Scoreboard, worker: u32) -> Book {
    let seat = scoreboard.seat(worker);
    let side = seat.map_or(0, |seat| read(&seat.side));
    let side = u32::try_from(side).ok().and_then(Side::from_number);
    let side = side.unwrap_or(Side::First);
    let [current, other] = [side, side.other()].map(|side| scoreboard.row(Row { worker, side }));
    let pairs = current.iter().zip(other);
    let cores = pairs.map(|pair| [pair.0, pair.1].into_iter().map(Counters::of).sum());
    Book {
        cores: cores.collect(),
        harakiris: seat.map_or(0, |seat| read(&seat.harakiris)),
        spawns: seat.map_or(0, spawns),
        average: match average(current) {
            0 => average(other),
            average => average,
        },
    }
}

/// Processes that have filled a place.
fn spawns(seat: &Seat) -> u64 {
    match read(&seat.last_spawn) {
        0 => 0,
        _ => read(&seat.respawns) + 1,
    }
}

/// Each core's moving average, weighed by its requests.
fn average(lines: &[scoreboard::Core]) -> u64 {
    let weights = lines
        .iter()
        .map(|line| (read(&line.average), read(&line.requests)));
    let (sum, requests) = weights.fold((0_u128, 0_u128), |(sum, all), (average, requests)| {
        (
            sum + u128::from(average) * u128::from(requests),
            all + u128::from(requests),
        )
    });
    u64::try_from(sum / requests.max(1)).unwrap_or(u64::MAX)
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
