//! Follows a place for ever: connects, reads, hears, looks, and comes back after trouble.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::cache::{Cache, words};
use crate::place::Place;
use crate::rows::{Book, Row};
use crate::session::{News, Session};
use crate::share::{Share, may_run};
use crate::stable_hash::stable_hash;
use crate::trouble::Trouble;

/// How often the table is read though nobody has announced a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Where changes are not announced.
    pub often: Duration,
    /// Where they are: the net under announcements that got lost.
    pub rarely: Duration,
}

impl Pace {
    /// Of `emperor-freq`: that often without announcements, and once a minute with them.
    pub fn of(frequency: Duration) -> Self {
        Self {
            often: frequency,
            rarely: frequency.max(Duration::from_secs(60)),
        }
    }
}

/// Many rows changed one by one are read together: when nothing has come for so long.
const SETTLE: Duration = Duration::from_millis(20);

/// But changes that never end are read that often all the same.
const RESTLESS: Duration = Duration::from_millis(500);

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The same trouble is said again after so long.
const REMIND: Duration = Duration::from_secs(300);

/// Follows the place and tells, each time it has changed, all rows that this host is to run. `look` asks for a look now.
/// Nothing is told before the database has answered, unless it was kept in a cache before, and nothing while it does
/// not. What `judge` says against a row is
/// logged; its vassal stays as it was before.
pub async fn follow(
    place: Place,
    pace: Pace,
    look: Arc<Notify>,
    judge: impl Fn(&Row) -> Result<(), String>,
    tell: impl FnMut(Vec<Row>),
) {
    let mut follower = Follower::new(place, pace, judge, tell);
    loop {
        let trouble = match follower.serve(&look).await {
            Ok(never) => match never {},
            Err(trouble) => trouble,
        };
        follower.fall_back();
        let again = follower.complain(&trouble);
        tokio::select! {
            () = sleep_until(again) => {}
            () = look.notified() => {}
        }
    }
}

enum Never {}

struct Follower<J, T> {
    place: Place,
    pace: Pace,
    judge: J,
    tell: T,
    book: Book,
    share: Option<Share>,
    cache: Option<Cache>,
    /// What was told last.
    told: Option<Vec<Row>>,
    announcing: Announcing,
    /// Attempts since the last success.
    attempts: u32,
    /// What was complained of last, and when.
    said: Option<(String, Instant)>,
}

/// Whether changes of the table are announced. That somebody listens does not mean that somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announcing {
    Yes,
    /// So many changes were found that nobody had announced.
    No(u32),
}

impl<J: Fn(&Row) -> Result<(), String>, T: FnMut(Vec<Row>)> Follower<J, T> {
    fn new(place: Place, pace: Pace, judge: J, tell: T) -> Self {
        let share = place.share.as_ref();
        Self {
            cache: place
                .cache
                .as_deref()
                .map(|path| Cache::new(path, place.shown())),
            share: share.map(|it| Share::new(&place.node, it.copies, it.grace)),
            place,
            pace,
            judge,
            tell,
            book: Book::default(),
            told: None,
            announcing: Announcing::No(0),
            attempts: 0,
            said: None,
        }
    }

    /// One connection from its beginning to its end.
    async fn serve(&mut self, look: &Notify) -> Result<Never, Trouble> {
        let mut session = Session::open(&self.place).await?;
        match self.talk(&mut session, look).await {
            // The server's last word is why.
            Err(trouble) if trouble.is_end_of_connection() => match session.end().await {
                Some(reason) => Err(reason),
                None => Err(trouble),
            },
            ended => ended,
        }
    }

    async fn talk(&mut self, session: &mut Session, look: &Notify) -> Result<Never, Trouble> {
        if let Some(share) = &mut self.share {
            share.reconnected(Clock::now());
        }
        self.hosts(session).await?;
        self.read(session).await?;
        self.recovered();
        if self.share.is_some() {
            session.greet(&self.place).await?;
        }
        if session.announces(&self.place).await {
            self.announcing = Announcing::Yes;
        }
        let mut next_hosts = self.next_hosts();
        let mut next_read = self.next_read(session);
        loop {
            tokio::select! {
                news = session.news() => match news? {
                    News::Vassals => {
                        let host_came = settle(session).await?;
                        self.announcing = Announcing::Yes;
                        if host_came {
                            self.hosts(session).await?;
                        }
                        self.read(session).await?;
                        next_read = self.next_read(session);
                    }
                    News::Host => {
                        self.hosts(session).await?;
                        self.tell_changes();
                    }
                },
                () = look.notified() => {
                    self.read(session).await?;
                }
                () = sleep_until(next_read) => {
                    let before = self.told.clone();
                    self.read(session).await?;
                    self.polled(before != self.told);
                    next_read = self.next_read(session);
                }
                () = sleep_until(next_hosts) => {
                    self.hosts(session).await?;
                    self.tell_changes();
                    next_hosts = self.next_hosts();
                }
            }
        }
    }

    /// Reads the table and tells what has changed.
    async fn read(&mut self, session: &Session) -> Result<(), Trouble> {
        let answer = session.ask(&self.place.table.query()).await?;
        // A user that is on other hosts only is no fault of a row for those.
        let judge = |row: &Row| match may_run(row, &self.place.node) {
            true => (self.judge)(row),
            false => Ok(()),
        };
        let problems = self.book.take(&answer, &judge);
        let problems = problems.map_err(Trouble::Answer)?;
        let shown = self.place.shown();
        for problem in problems {
            tracing::warn!("[emperor] {shown}: {problem}");
        }
        let before = self.told.clone();
        self.tell_changes();
        if let (Some(cache), Some(told)) = (&mut self.cache, &self.told) {
            cache.keep(told, self.told != before);
        }
        Ok(())
    }

    /// Before the database has answered for the first time: what it has answered in an earlier life.
    fn fall_back(&mut self) {
        let Some(cache) = self.cache.as_ref().filter(|_| self.told.is_none()) else {
            return;
        };
        let (shown, path) = (self.place.shown(), cache.path().display());
        match cache.read() {
            Ok(Some(cached)) => {
                let (count, age) = (cached.rows.len(), words(cached.age));
                tracing::warn!(
                    "[emperor] {shown}: the database does not answer; {count} vassals are wanted as it said {age} ago (cache={path})"
                );
                self.book.remember(&cached.rows);
                if let Some(share) = &mut self.share {
                    share.remember(&cached.rows);
                }
                self.told = Some(cached.rows.clone());
                (self.tell)(cached.rows);
            }
            Ok(None) => {}
            Err(problem) => {
                if self.attempts == 0 {
                    tracing::error!("[emperor] {shown}: cache={path} is of no use: {problem}");
                }
            }
        }
    }

    /// Says that this host is there, and learns which others are.
    async fn hosts(&mut self, session: &Session) -> Result<(), Trouble> {
        if let (Some(share), Some(sharing)) = (&mut self.share, &self.place.share) {
            let hosts = session.hosts(&self.place.node, sharing).await?;
            share.hosts(&hosts, Clock::now());
        }
        Ok(())
    }

    fn tell_changes(&mut self) {
        let rows = self.book.rows();
        let part = match &mut self.share {
            Some(share) => share.part(rows, Clock::now()),
            None => rows
                .filter(|row| may_run(row, &self.place.node))
                .cloned()
                .collect(),
        };
        if self.told.as_ref() != Some(&part) {
            self.told = Some(part.clone());
            (self.tell)(part);
        }
    }

    /// A look that nobody had asked for has found a change, or not. One may have overtaken its announcement.
    fn polled(&mut self, changed: bool) {
        let unannounced = match self.announcing {
            Announcing::No(count) => count,
            Announcing::Yes => 0,
        };
        if !changed {
            return;
        }
        self.announcing = Announcing::No(unannounced + 1);
        if unannounced + 1 == 2 {
            let (shown, channel, often) = (
                self.place.shown(),
                &self.place.channel,
                self.pace.often.as_secs(),
            );
            tracing::info!(
                "[emperor] {shown}: changes are not announced on channel {channel}, so they are found by asking every {often} seconds; a trigger makes them visible at once (vassals.sql)"
            );
        }
    }

    fn next_read(&self, session: &Session) -> Instant {
        let wait = match self.announcing {
            Announcing::Yes if session.listens => self.pace.rarely,
            _ => self.pace.often,
        };
        Instant::now() + wait
    }

    /// Twice within the grace time may fail.
    fn next_hosts(&self) -> Instant {
        let wait = match &self.place.share {
            Some(sharing) => sharing.grace / 3,
            // Never, as far as anybody can tell.
            None => Duration::from_secs(365 * 86_400),
        };
        Instant::now() + wait
    }

    fn recovered(&mut self) {
        let (shown, count) = (self.place.shown(), self.told.as_ref().map_or(0, Vec::len));
        match self.said.take() {
            Some(_) => tracing::info!(
                "[emperor] {shown}: the database is back, {count} vassals are wanted"
            ),
            None if self.attempts == 0 => {
                tracing::info!("[emperor] {shown}: connected, {count} vassals are wanted");
            }
            None => {}
        }
        self.attempts = 0;
    }

    /// Says what is wrong, once, and returns when to try again.
    fn complain(&mut self, trouble: &Trouble) -> Instant {
        let wait = self.wait();
        self.attempts = self.attempts.saturating_add(1);
        let sentence = trouble.sentence(&self.place);
        let known = self.said.as_ref();
        let fresh = known.is_none_or(|(said, at)| *said != sentence || at.elapsed() > REMIND);
        if fresh {
            let shown = self.place.shown();
            let meanwhile = match self.told {
                Some(_) => "vassals run on as they are",
                None => "no vassal is started before it has answered once",
            };
            tracing::error!(
                "[emperor] {shown}: {sentence}; {meanwhile}, the next attempt is in {:.1} s",
                wait.as_secs_f32()
            );
            self.said = Some((sentence, Instant::now()));
        }
        Instant::now() + wait
    }

    /// Longer each time, and another one on each host: they all lost the same database.
    fn wait(&self) -> Duration {
        let wait = FIRST_WAIT
            .saturating_mul(1 << self.attempts.min(10))
            .min(LONGEST_WAIT);
        let attempt = self.attempts.to_le_bytes();
        let percent = 75 + stable_hash(&[self.place.node.as_bytes(), &attempt]) % 50;
        wait.mul_f64(percent as f64 / 100.0)
    }
}

/// Waits until nothing more is announced, and says whether a host has come among it.
async fn settle(session: &mut Session) -> Result<bool, Trouble> {
    let end = Instant::now() + RESTLESS;
    let mut host_came = false;
    loop {
        let rest = (Instant::now() + SETTLE).min(end);
        match timeout_at(rest, session.news()).await {
            Ok(news) => host_came |= news? == News::Host,
            Err(_) => return Ok(host_came),
        }
    }
}
