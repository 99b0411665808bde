//! A database for each test, followers of it, and what they say.

#[path = "../../../../tests/e2e/support/postgres.rs"]
mod postgres;
#[path = "../../../../tests/e2e/support/temp.rs"]
pub mod temp;
#[path = "../../../../tests/e2e/support/wait.rs"]
#[allow(dead_code)]
pub mod wait;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use uwgate_emperor_pg::{Here, Pace, Place, Row, follow};

pub use postgres::Postgres;
use wait::PATIENCE;

/// One server for all tests that do not stop it.
static SERVER: LazyLock<Postgres> = LazyLock::new(Postgres::for_ever);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A database with the tables of `vassals.sql`.
pub struct Database<'s> {
    pub server: &'s Postgres,
    pub name: String,
}

impl Database<'static> {
    pub fn new() -> Self {
        Self::on(&SERVER)
    }
}

impl<'s> Database<'s> {
    pub fn on(server: &'s Postgres) -> Self {
        let name = format!("apps{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.database(&name);
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/postgres/vassals.sql");
        server.run(&name, &script);
        Self { server, name }
    }

    pub fn sql(&self, text: &str) -> String {
        self.server.sql(&self.name, text)
    }

    pub fn add(&self, names: &[&str]) {
        for name in names {
            self.sql(&format!(
                "INSERT INTO vassals (name, config) VALUES ('{name}', '[uwsgi]')"
            ));
        }
    }

    /// `more` are further words of the connection string, or a `;` and a query.
    pub fn place(&self, more: &str) -> String {
        let (host, name) = (self.server.socket_directory().display(), &self.name);
        format!("pg://host={host} dbname={name} user=postgres {more}")
    }
}

/// Only what is announced is seen in the time of a test.
pub const BY_NEWS: Pace = Pace {
    often: Duration::from_secs(3600),
    rarely: Duration::from_secs(3600),
};

/// What is not announced is seen as well.
pub const BY_LOOKS: Pace = Pace {
    often: Duration::from_millis(50),
    rarely: Duration::from_secs(3600),
};

/// A follower in a thread of its own.
pub struct Followed {
    told: Receiver<Vec<Row>>,
    log: Arc<Mutex<Vec<String>>>,
    pub look: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Followed {
    pub fn new(place: &str, pace: Pace) -> Self {
        let here = Here {
            host: "web1",
            variable: &|_| None,
            is_there: &|_| false,
        };
        let place = Place::parse(place, &here).unwrap_or_else(|problem| panic!("{problem}"));
        let (sender, told) = channel();
        let (stop, stopped) = oneshot::channel();
        let (log, look) = (Arc::default(), Arc::default());
        let (lines, wake) = (Lines(Arc::clone(&log)), Arc::clone(&look));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let tell = move |rows| {
                let _ = sender.send(rows);
            };
            let following = async {
                tokio::select! {
                    () = follow(place, pace, wake, |_| Ok(()), tell) => {}
                    _ = stopped => {}
                }
            };
            tracing::subscriber::with_default(lines, || runtime.block_on(following));
        });
        Self {
            told,
            log,
            look,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The next set that it tells.
    pub fn next(&self) -> Vec<Row> {
        match self.told.recv_timeout(PATIENCE) {
            Ok(rows) => rows,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing was told; its log: {:#?}", self.log())
            }
            Err(RecvTimeoutError::Disconnected) => panic!("it has ended"),
        }
    }

    pub fn next_names(&self) -> Vec<String> {
        self.next().into_iter().map(|row| row.name).collect()
    }

    /// Waits until it has told a set that fits, and returns it.
    pub fn until(&self, what: &str, fits: impl Fn(&BTreeSet<String>) -> bool) -> BTreeSet<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let names = self.next_names().into_iter().collect();
            if fits(&names) {
                return names;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}, last {names:?}"
            );
        }
    }

    /// What was told and not read yet.
    pub fn told_meanwhile(&self) -> Vec<Vec<Row>> {
        self.told.try_iter().collect()
    }

    /// Waits for a line of its log.
    pub fn says(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if let Some(line) = log.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(
                Instant::now() < deadline,
                "{text}: not in its log: {log:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .expect("no test panics while it writes")
            .clone()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps the lines of a log.
struct Lines(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("uwgate")
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0
            .lock()
            .expect("no test panics while it reads")
            .push(message.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
