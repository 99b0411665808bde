//! Who may be in the application: as many requests as there are cores (`threads`), first come, first served.
//!
//! The runtime has one thread more than there are cores, so that somebody can always accept, read heads and send. A
//! request that finds no core free waits in a queue. The thread that gives a core back goes on with the first of
//! that queue itself, so nothing is handed to another thread.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The cores of a worker.
#[derive(Debug)]
pub(crate) struct Cores {
    /// First in, first out, and nobody overtakes the queue.
    free: Arc<Semaphore>,
    /// The numbers of the free ones; never fewer than permits.
    numbers: Mutex<Vec<usize>>,
}

/// The right to be in the application. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Turn {
    cores: Arc<Cores>,
    number: usize,
    _permit: OwnedSemaphorePermit,
}

impl Cores {
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(threads)),
            numbers: Mutex::new((0..threads).rev().collect()),
        })
    }

    /// A core, if one is free and nobody waits for it.
    pub(crate) fn try_turn(self: &Arc<Self>) -> Option<Turn> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(self.begin(permit))
    }

    /// A core, after those who came before; `None` when there will be none any more.
    pub(crate) async fn turn(self: &Arc<Self>) -> Option<Turn> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(self.begin(permit))
    }

    /// Sends away those who wait, and who come later.
    pub(super) fn close(&self) {
        self.free.close();
    }

    /// Whether one is free now.
    pub(crate) fn has_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    fn begin(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Turn {
        let number = self.numbers().pop().unwrap_or_default();
        Turn {
            cores: Arc::clone(self),
            number,
            _permit: permit,
        }
    }

    fn numbers(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Which core it is, from 0.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

/// The number is back before the permit is: fields are dropped afterwards.
impl Drop for Turn {
    fn drop(&mut self) {
        self.cores.numbers().push(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_has_a_core_of_its_own() {
        let cores = Cores::new(3);
        let turns: Vec<Turn> = std::iter::from_fn(|| cores.try_turn()).collect();
        let mut numbers: Vec<usize> = turns.iter().map(Turn::number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
        drop(turns);
        assert!(cores.try_turn().is_some());
    }
}
