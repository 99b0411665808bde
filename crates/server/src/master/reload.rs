//! New code beside the old: how a generation comes, takes over, or fails.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use uwgate_config::{Loaded, Options};
use uwgate_sys::clock::{coarse_now, coarse_realtime};
use uwgate_sys::process::Exit;

use super::begin::reload_mercy;
use super::generation::{Fault, Generation, Manner, Standing};
use super::surroundings::Phase;
use super::tick::Tick;
use super::wish::Wish;
use super::{Launcher, Master, fifo, memory, recycling};
use crate::listen::{self, Listening};
use crate::zygote::End;

/// How long to wait before the successor of a zygote that died is started, the first time.
pub(super) const ZYGOTE_WAIT: Duration = Duration::from_secs(1);

/// The longest such wait.
const ZYGOTE_WAIT_AT_MOST: Duration = Duration::from_secs(30);

impl<L: Launcher> Master<'_, L> {
    /// How often the instance will have been reloaded when the next generation serves.
    pub(super) fn reloads(&self) -> u64 {
        self.reloads_before + self.next_number - 1
    }

    /// Starts a new generation beside what there is.
    pub(super) fn raise(&mut self, loaded: &Loaded, listeners: Arc<[Listening]>) -> io::Result<()> {
        self.surroundings.prepare(&loaded.options);
        let number = self.next_number;
        let reloads = self.reloads();
        self.next_number += 1;
        self.raised_at = coarse_realtime();
        let mut generation = Generation::start(
            (number, reloads),
            loaded,
            listeners,
            &self.locks,
            self.launcher,
            &self.happenings,
            (self.apps() > 0, self.begin_with(&loaded.options)),
        )?;
        generation.pause(self.paused);
        self.zygotes.expect();
        if let Some(exit) = self.zygotes.spawned(generation.zygote_pid(), number) {
            self.generations.push(generation);
            self.zygote_exited(number, exit);
            return Ok(());
        }
        self.generations.push(generation);
        Ok(())
    }

    /// Every worker tells, sooner or later; a generation that was begun since has read the new code.
    pub(super) fn code_changed(&mut self, when: Duration) {
        if when > self.raised_at {
            self.grant(Wish::Reload);
        }
    }

    pub(super) fn zygote_exited(&mut self, number: u64, exit: Exit) {
        let Some(generation) = self.generations.iter_mut().find(|it| it.number() == number) else {
            return;
        };
        generation.zygote_gone();
        match generation.standing() {
            Standing::Leaving => {}
            Standing::Rising => {
                let fault = Fault::from(exit);
                if fault != Fault::Ended(End::NoApp.code()) {
                    tracing::error!("the application's Python {exit} before it could serve");
                }
                self.fallen(number, fault);
            }
            Standing::Serving if self.ending.is_none() => {
                tracing::error!("the zygote {exit}; its workers go on, a successor is started");
                self.replace_zygote();
            }
            Standing::Serving => {}
        }
    }

    /// Workers without a zygote cannot be replaced, so a successor is tried until one serves, ever more slowly.
    pub(super) fn replace_zygote(&mut self) {
        let mut serving = self
            .generations
            .iter()
            .filter(|it| it.standing() == Standing::Serving);
        if serving.any(Generation::lost_zygote) {
            self.try_again();
        }
    }

    /// Starts a new generation after a while, which is longer each time until one serves.
    pub(super) fn try_again(&mut self) {
        self.reload_at = Some(coarse_now() + self.zygote_wait);
        self.zygote_wait = (self.zygote_wait * 2).min(ZYGOTE_WAIT_AT_MOST);
    }

    /// A rising generation serves: those before it may go.
    pub(super) fn promote(&mut self, number: u64) {
        self.zygote_wait = ZYGOTE_WAIT;
        self.reload_at = None;
        self.stats.risen();
        let manner = std::mem::replace(&mut self.manner, Manner::Graceful);
        self.adopt_sockets(number);
        if let Some(loaded) = self.rising.take() {
            self.adopt(loaded);
        }
        self.pidfiles.settle();
        self.veterans.leave();
        for older in self.numbers() {
            if older != number {
                let farewell = match manner {
                    Manner::Graceful => Generation::leave,
                    Manner::Brutal => Generation::kill,
                };
                self.with(older, farewell);
            }
        }
        self.fall_asleep();
        if std::mem::take(&mut self.reload_when_risen) {
            self.reload(Manner::Graceful);
        }
    }

    /// The sockets of a generation are those of the instance from now on. Others are closed, by each worker when it
    /// has taken those who had connected by then.
    pub(super) fn adopt_sockets(&mut self, number: u64) {
        let Some(generation) = self.generations.iter().find(|it| it.number() == number) else {
            return;
        };
        let new = generation.shared_listeners();
        let stays = |old: &Listening| {
            let same = |it: &Listening| it.listener.address == old.listener.address;
            new.iter().any(same)
        };
        for older in self.generations.iter().filter(|it| it.number() != number) {
            older.close_after(|old| !stays(old));
        }
        self.listeners = new;
    }

    /// A rising generation will never serve.
    pub(super) fn fallen(&mut self, number: u64, fault: Fault) {
        let generation = self.generations.iter().find(|it| it.number() == number);
        let was_loaded = generation.is_some_and(Generation::is_loaded);
        // Those of its workers that are ready may be serving.
        self.with(number, Generation::leave);
        if self.ending.is_some() {
            return;
        }
        if self.is_serving() {
            self.put_log_back();
            return self.reload_failed("the new code cannot serve; the old code goes on");
        }
        match fault {
            Fault::Killed if was_loaded => self.try_again(),
            Fault::Killed => self.give_up(End::Failed.code()),
            Fault::Ended(code) => self.give_up(code),
        }
    }

    /// Says so, and sees to it that workers which cannot be replaced do not remain so.
    pub(super) fn reload_failed(&mut self, why: &str) {
        self.stats.reload_failed();
        tracing::error!("RELOAD FAILED: {why}");
        match self.veterans.are_serving() {
            true => self.try_again(),
            false => self.replace_zygote(),
        }
    }

    pub(super) fn reload(&mut self, manner: Manner) {
        if self.ending.is_some() {
            return;
        }
        if !self.is_serving() && self.is_any(Standing::Rising) {
            // What is rising may be the only code that works.
            self.reload_when_risen = true;
            return;
        }
        self.surroundings.notice(Phase::Reloading);
        if self.upgrade_if_newer() {
            return;
        }
        tracing::info!("...gracefully reloading: new workers first, then the old ones leave");
        self.lord.ask_config();
        let loaded = match self.launcher.load() {
            Ok(loaded) => loaded,
            Err(findings) => {
                for finding in findings {
                    tracing::error!("{finding}");
                }
                return self.reload_failed("the old configuration goes on");
            }
        };
        let vacant = fifo::check(&loaded.options);
        let listeners = match vacant.and_then(|()| self.bind(&loaded.options)) {
            Ok(listeners) => listeners,
            Err(problems) => {
                for problem in problems {
                    tracing::error!("{problem}");
                }
                return self.reload_failed("the old configuration goes on");
            }
        };
        self.overtake();
        self.manner = manner;
        let loaded = Arc::new(loaded);
        self.rising = Some(Arc::clone(&loaded));
        // The new code's first lines go to the new place.
        if let Err(problem) = self.logs.adopt(&loaded.options) {
            tracing::error!("{problem}; the log stays as it was");
        }
        if let Err(error) = self.raise(&loaded, listeners) {
            self.put_log_back();
            self.reload_failed(&format!("{error}; the old code goes on"));
        }
    }

    /// The log of a configuration that came to nothing goes on where it was.
    fn put_log_back(&mut self) {
        let came_to_nothing = self.rising.take();
        let served = &self.served.options;
        if came_to_nothing.is_some_and(|it| it.options.log != served.log)
            && let Err(problem) = self.logs.adopt(served)
        {
            tracing::error!("{problem}; the log stays where the new configuration has it");
        }
    }

    /// Takes over what a new configuration says about the master itself.
    fn adopt(&mut self, loaded: Arc<Loaded>) {
        let options = &loaded.options;
        self.vacuum = options.sockets.vacuum;
        self.exit_on_reload = options.control.exit_on_reload;
        self.reload_mercy = reload_mercy(options);
        self.tick = Tick::new(options);
        self.workforce.renew(options);
        self.recycling.renew(recycling::limits(options));
        self.memory_is_wanted = memory::is_wanted(options);
        self.lord.renew(options);
        self.pidfiles.renew(options);
        self.sources.renew(options, &self.happenings);
        self.stats.renew(options, &self.happenings);
        self.served = loaded;
    }

    /// Binds what the options newly name; what is open already, for whichever generation, stays so.
    pub(super) fn bind(&self, options: &Options) -> Result<Arc<[Listening]>, Vec<String>> {
        let mut open = Vec::new();
        let generations = self.generations.iter().flat_map(Generation::listeners);
        for listening in self.listeners.iter().chain(generations) {
            let address = &listening.listener.address;
            if !open
                .iter()
                .any(|it: &Listening| it.listener.address == *address)
            {
                let clone = listening.try_clone();
                open.push(clone.map_err(|error| vec![error.to_string()])?);
            }
        }
        Ok(listen::rebind(options, &open)?.into())
    }

    /// Gives up a generation that does not serve yet.
    pub(super) fn overtake(&mut self) {
        let rising = |it: &&Generation| it.standing() == Standing::Rising;
        if let Some(number) = self.generations.iter().find(rising).map(Generation::number) {
            tracing::info!("a newer reload overtakes the one under way");
            // Some of its workers may serve already.
            self.with(number, Generation::leave);
        }
    }
}
