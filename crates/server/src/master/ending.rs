//! The end of an instance: requests are finished, or not, and nothing is left behind.

use std::sync::Arc;
use std::time::Duration;

use uwgate_sys::clock::{Millis, coarse_now};

use super::generation::Generation;
use super::{Launcher, Master};
use crate::zygote::End;

/// Why and until when the instance is ending.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) code: i32,
    /// When patience with requests ends.
    pub(super) kill_at: Option<Millis>,
}

impl<L: Launcher> Master<'_, L> {
    pub(super) fn ended(&self) -> Option<i32> {
        let ending = self.ending?;
        let nobody =
            self.generations.is_empty() && self.zygotes.is_empty() && self.veterans.is_empty();
        let nobody = nobody && self.surroundings.are_gone();
        nobody.then_some(ending.code)
    }

    pub(super) fn leave(&mut self, code: i32) -> i32 {
        self.forget_upgrade();
        self.close_sockets();
        self.stats.close(self.vacuum);
        if self.vacuum {
            self.pidfiles.remove();
        }
        tracing::info!("goodbye to uWSGI.");
        code
    }

    /// Whoever connects from now on is refused at once and can try the next server, instead of waiting for one that
    /// will not come back.
    pub(super) fn close_sockets(&mut self) {
        for listening in std::mem::replace(&mut self.listeners, Arc::new([])).iter() {
            listening.close_queue();
            if self.vacuum
                && let Err(error) = listening.listener.unlink_if_ours()
            {
                tracing::warn!("vacuum: {}: {error}", listening.listener.address);
            }
        }
    }

    /// Nothing serves and nothing will.
    pub(super) fn give_up(&mut self, code: i32) {
        let kill_at = None;
        self.ending = Some(Ending { code, kill_at });
        self.kill_all();
    }

    pub(super) fn stop(&mut self, patience: Option<Duration>) {
        let again = self.ending.is_some();
        let kill_at = patience.map(|patience| coarse_now() + patience);
        if again && patience.is_some() {
            tracing::info!("asked again: killing workers");
            return self.kill_all();
        }
        self.ending = Some(Ending {
            code: End::Clean.code(),
            kill_at,
        });
        match patience {
            Some(_) => tracing::info!("SIGINT/SIGQUIT received...killing workers..."),
            None => tracing::info!("...gracefully killing workers..."),
        }
        for number in self.numbers() {
            self.with(number, Generation::stop);
        }
        self.veterans.stop();
        self.close_sockets();
    }

    pub(super) fn kill_all(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.kill_at = None;
        }
        self.veterans.kill();
        self.surroundings.kill();
        for number in self.numbers() {
            self.with(number, Generation::kill);
        }
    }
}
