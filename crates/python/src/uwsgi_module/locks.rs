use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use uwgate_sys::record_locks::RecordLocks;

use super::Instance;

/// `lock()` and its kin: locks between the threads of all workers, new and old ones during a reload, which a process
/// that dies gives back.
///
/// The kernel's locks belong to a process; which of its threads has one is noted here.
#[pyclass(name = "Locks", module = "uwsgi", frozen)]
pub(super) struct Locks {
    locks: Arc<RecordLocks>,
    table: Mutex<Table>,
    /// Told when a thread has given one back.
    given_back: Condvar,
}

/// Who has what in this process.
struct Table {
    /// A forked child inherits the table, but none of the locks.
    owner: u32,
    states: Vec<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Free,
    /// A thread waits for another process to give it back.
    Awaited,
    Held,
}

/// How long to wait for a lock that the kernel would rather not wait for.
const PAUSE: Duration = Duration::from_millis(5);

#[pymethods]
impl Locks {
    /// Waits until the lock is ours.
    #[pyo3(signature = (number = 0))]
    fn lock(&self, py: Python<'_>, number: i64) -> PyResult<()> {
        let number = self.number(number)?;
        py.detach(|| self.acquire(number))
            .map_err(PyOSError::new_err)
    }

    /// Gives the lock back, whichever thread took it.
    #[pyo3(signature = (number = 0))]
    fn unlock(&self, number: i64) -> PyResult<()> {
        let number = self.number(number)?;
        self.release(number).map_err(PyOSError::new_err)
    }

    /// Whether anybody has the lock.
    #[pyo3(signature = (number = 0))]
    fn is_locked(&self, number: i64) -> PyResult<bool> {
        let number = self.number(number)?;
        let ours = self.table().states.get(number as usize) == Some(&State::Held);
        let held = ours || self.locks.is_locked_elsewhere(number)?;
        Ok(held)
    }
}

impl Locks {
    pub(super) fn new(instance: &Instance) -> Self {
        let more = instance.options.workers.locks as usize;
        Self {
            locks: Arc::clone(&instance.locks),
            table: Mutex::new(Table {
                owner: std::process::id(),
                states: vec![State::Free; more + 1],
            }),
            given_back: Condvar::new(),
        }
    }

    fn number(&self, number: i64) -> PyResult<u32> {
        let known = u32::try_from(number)
            .ok()
            .filter(|number| (*number as usize) < self.table().states.len());
        known.ok_or_else(|| PyValueError::new_err("Invalid lock number"))
    }

    /// Never held while this thread calls Python or waits for another process.
    fn table(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let this = std::process::id();
        if table.owner != this {
            table.owner = this;
            table.states.fill(State::Free);
        }
        table
    }

    fn set(&self, number: u32, state: State) {
        if let Some(known) = self.table().states.get_mut(number as usize) {
            *known = state;
        }
        if state == State::Free {
            self.given_back.notify_all();
        }
    }

    fn acquire(&self, number: u32) -> Result<(), String> {
        self.wait_for_threads(number);
        let got = self.wait_for_others(number);
        self.set(
            number,
            if got.is_ok() {
                State::Held
            } else {
                State::Free
            },
        );
        got.map_err(|error| error.to_string())
    }

    /// Waits until no other thread of this process has the lock or waits for it.
    fn wait_for_threads(&self, number: u32) {
        let mut table = self.table();
        loop {
            match table.states.get_mut(number as usize) {
                Some(state) if *state != State::Free => {}
                Some(state) => return *state = State::Awaited,
                None => return,
            }
            let woken = self.given_back.wait(table);
            table = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wait_for_others(&self, number: u32) -> std::io::Result<()> {
        loop {
            match self.locks.lock(number) {
                // Another thread may well give back what the circle waits for.
                Err(error) if error.kind() == std::io::ErrorKind::Deadlock => {
                    std::thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }

    fn release(&self, number: u32) -> Result<(), String> {
        if self.table().states.get(number as usize) != Some(&State::Held) {
            return Ok(());
        }
        self.locks
            .unlock(number)
            .map_err(|error| error.to_string())?;
        self.set(number, State::Free);
        Ok(())
    }
}
