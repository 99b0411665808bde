//! The figures of an instance that becomes a newer binary: what was counted goes on, and what the workers of the
//! former binary still count is read where they count it, if both versions mean the same by it.
//!
//! As lines of the [heritage](super::heritage): `since START RISEN FAILED` (seconds since 1970; generations that came to
//! serve; reloads that failed), `board WORKERS CORES FD FD FD LAYOUT` (a scoreboard), and for each worker, in their
//! order, `book HARAKIRIS SPAWNS AVERAGE CORE...` with seven numbers for each core, as `1,2,3,4,5,6,7`. Books before the
//! first board are those of generations that are gone, others those of the board before them, as they were when the
//! newer binary began.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use uwgate_sys::process::{self, inherited};

use super::generation::books;
use crate::scoreboard::{Memory, Scoreboard};
use crate::stats::{Book, Counters, Ledger};

/// What has been counted before the master that counts now.
#[derive(Debug, Default)]
pub(super) struct Annals {
    /// When the instance was started, in seconds since 1970; 0 for now.
    pub(super) started: u64,
    /// Generations that came to serve.
    pub(super) risen: u64,
    pub(super) failed_reloads: u64,
    /// Of generations that are gone.
    pub(super) gone: Ledger,
    /// Of those with workers that may still be there.
    pub(super) boards: Vec<Board>,
}

/// Where the workers of a former binary count.
#[derive(Debug, Clone)]
pub(super) struct Board {
    /// `None` when that binary has counted otherwise.
    scoreboard: Option<Scoreboard>,
    /// What it said last.
    last: Vec<Book>,
}

impl Board {
    pub(super) fn of(scoreboard: &Scoreboard) -> Self {
        Self {
            scoreboard: Some(scoreboard.clone()),
            last: Vec::new(),
        }
    }

    pub(super) fn books(&self) -> Vec<Book> {
        let now = self.scoreboard.as_ref().map(books);
        now.unwrap_or_else(|| self.last.clone())
    }

    fn take(fields: &[&str]) -> Option<io::Result<Self>> {
        let [workers, cores, lines, seats, tallies, layout] = fields else {
            return None;
        };
        let (workers, cores) = (workers.parse().ok()?, cores.parse().ok()?);
        let take = |fd: &str| inherited(fd.parse::<RawFd>().map_err(io::Error::other)?);
        let memory = || -> io::Result<Memory> {
            Ok(Memory {
                lines: take(lines)?,
                seats: take(seats)?,
                tallies: take(tallies)?,
                exhibits: None,
            })
        };
        // The descriptors are ours in any case.
        Some(memory().map(|memory| {
            Self {
                scoreboard: Scoreboard::attach(memory, workers, cores)
                    .ok()
                    .filter(|_| *layout == Scoreboard::layout()),
                last: Vec::new(),
            }
        }))
    }
}

impl Annals {
    /// Takes a line of the heritage, if it is of these. False: it is not.
    ///
    /// # Errors
    /// When a descriptor is not there.
    pub(super) fn take_line(&mut self, line: &str) -> io::Result<bool> {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            ["since", started, risen, failed] => {
                let number = |field: &str| field.parse().unwrap_or_default();
                self.started = number(started);
                self.risen = number(risen);
                self.failed_reloads = number(failed);
            }
            ["board", ref fields @ ..] => {
                self.boards.extend(Board::take(fields).transpose()?);
            }
            ["book", ref fields @ ..] => {
                let book = book(fields);
                match self.boards.last_mut() {
                    Some(board) => board.last.push(book),
                    None => self.gone.append(book),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Who counts otherwise than we do has said all that it will.
    pub(super) fn settle_unreadable(&mut self) {
        for board in self.boards.extract_if(.., |it| it.scoreboard.is_none()) {
            self.gone.add(&board.last);
        }
    }

    /// Writes the lines for the next binary. Returns the descriptors that they name.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(super) fn leave(&self, text: &mut String) -> io::Result<Vec<OwnedFd>> {
        let Self {
            started,
            risen,
            failed_reloads,
            gone,
            boards,
        } = self;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "since {started} {risen} {failed_reloads}");
        tell(text, gone.books());
        let mut kept = Vec::new();
        for board in boards {
            if let Some(scoreboard) = &board.scoreboard {
                let (workers, cores) = (scoreboard.workers(), scoreboard.cores());
                let _ = write!(text, "board {workers} {cores}");
                let Memory {
                    lines,
                    seats,
                    tallies,
                    exhibits: _,
                } = scoreboard.share()?;
                for fd in [lines, seats, tallies] {
                    let fd = process::inheritable(std::os::fd::AsFd::as_fd(&fd))?;
                    let _ = write!(text, " {}", fd.as_raw_fd());
                    kept.push(fd);
                }
                let _ = writeln!(text, " {}", Scoreboard::layout());
            }
            tell(text, &board.books());
        }
        Ok(kept)
    }
}

fn tell(text: &mut String, books: &[Book]) {
    for book in books {
        let Book {
            cores,
            harakiris,
            spawns,
            average,
        } = book;
        let _ = write!(text, "book {harakiris} {spawns} {average}");
        for core in cores {
            let numbers = <[u64; 7]>::from(*core).map(|number| number.to_string());
            let _ = write!(text, " {}", numbers.join(","));
        }
        text.push('\n');
    }
}

fn book(fields: &[&str]) -> Book {
    let mut fields = fields.iter();
    let mut number = || {
        let field = fields.next().and_then(|field| field.parse().ok());
        field.unwrap_or_default()
    };
    let (harakiris, spawns, average) = (number(), number(), number());
    Book {
        harakiris,
        spawns,
        average,
        cores: fields.map(|field| counters(field)).collect(),
    }
}

fn counters(field: &str) -> Counters {
    let mut numbers = [0; 7];
    for (number, digits) in numbers.iter_mut().zip(field.split(',')) {
        *number = digits.parse().unwrap_or_default();
    }
    numbers.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_taken() {
        let core = |first: u64| Counters {
            requests: first,
            exceptions: first + 1,
            write_errors: first + 2,
            read_errors: first + 3,
            sent: first + 4,
            running: u64::MAX,
            offloaded: 7,
        };
        let one = Book {
            cores: vec![core(1), core(20)],
            harakiris: 3,
            spawns: 4,
            average: 5,
        };
        let other = Book {
            cores: vec![core(300)],
            ..one.clone()
        };
        let mut annals = Annals {
            started: 1_700_000_000,
            risen: 2,
            failed_reloads: 1,
            ..Annals::default()
        };
        annals.gone.append(one.clone());
        annals.gone.append(other.clone());
        let mut text = String::new();
        annals.leave(&mut text).unwrap();
        let mut taken = Annals::default();
        for line in text.lines() {
            assert!(taken.take_line(line).unwrap(), "{line}");
        }
        assert_eq!(taken.gone, annals.gone);
        assert_eq!(
            (taken.started, taken.risen, taken.failed_reloads),
            (1_700_000_000, 2, 1)
        );
        assert!(!taken.take_line("paused").unwrap());
    }
}
