//! A worker in a thread of the test.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

use uwgate_config::Options;
use uwgate_server::Host;
use uwgate_server::listen::{self, Listening};
use uwgate_server::message::{FromWorker, Message, SIZE, ToWorker};
use uwgate_server::scoreboard::{Row, Scoreboard, Side};
use uwgate_server::worker::{self, Setup};
use uwgate_sys::channel::{self, Channel};
use uwgate_sys::listener::Address;
use uwgate_sys::socket::wait_readable;

use crate::app::DEADLINE;
use crate::client::Client;

/// Sockets and options that one worker or several may serve.
pub(crate) struct Site {
    options: Arc<Options>,
    listeners: Vec<Listening>,
    dir: PathBuf,
}

impl Site {
    /// Binds an HTTP socket on TCP and a uwsgi socket on unix.
    pub(crate) fn new(args: &[&str]) -> Self {
        let dir = fresh_dir();
        let uwsgi = dir.join("uwsgi.sock").into_os_string();
        let mut all: Vec<OsString> = [
            "--disable-logging",
            "--http-socket",
            "127.0.0.1:0",
            "--socket",
        ]
        .map(OsString::from)
        .into();
        all.push(uwsgi);
        all.extend(args.iter().map(OsString::from));
        let loaded = uwgate_config::load(&all, std::iter::empty()).expect("good options");
        let listeners = listen::bind(&loaded.options, None).expect("free addresses");
        Self {
            options: Arc::new(loaded.options),
            listeners,
            dir,
        }
    }

    /// A worker that serves `host`, once it has said that it is ready.
    pub(crate) fn worker(&self, host: impl Host) -> Worker {
        let (master, theirs) = channel::pair().expect("a channel");
        let workers = &self.options.workers;
        let scoreboard = Scoreboard::create(1, workers.threads as usize, false).expect("memory");
        let listeners = self
            .listeners
            .iter()
            .map(|it| it.try_clone().expect("a descriptor"));
        let setup = Setup {
            row: Row {
                worker: 1,
                side: Side::First,
            },
            options: Arc::clone(&self.options),
            listeners: listeners.collect(),
            master: Some(theirs),
            scoreboard: scoreboard.clone(),
            apps: 1,
            room: None,
        };
        let (ended, end) = channel::<std::io::Result<ToWorker>>();
        std::thread::spawn(move || ended.send(worker::run(setup, host)));
        let worker = Worker {
            master: Some(master),
            scoreboard,
            end,
        };
        assert_eq!(worker.next_word(), Some(FromWorker::Ready { apps: 1 }));
        worker
    }

    pub(crate) fn http(&self) -> SocketAddr {
        let tcp = |listening: &Listening| match listening.listener.address {
            Address::Tcp(address) => Some(address),
            Address::Unix(_) | Address::Abstract(_) => None,
        };
        self.listeners.iter().find_map(tcp).expect("a TCP socket")
    }

    pub(crate) fn uwsgi(&self) -> PathBuf {
        self.dir.join("uwsgi.sock")
    }

    pub(crate) fn http_client(&self) -> Client {
        Client::tcp(self.http())
    }

    pub(crate) fn uwsgi_client(&self) -> Client {
        Client::unix(&self.uwsgi())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn fresh_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("uwgate-engine-{}-{number}", std::process::id());
    let dir = Path::new(&std::env::temp_dir()).join(name);
    std::fs::create_dir(&dir).expect("a directory for the sockets");
    dir
}

/// A running worker, seen by its master. Dropping it is the master's death.
pub(crate) struct Worker {
    master: Option<Channel>,
    pub(crate) scoreboard: Scoreboard,
    end: Receiver<std::io::Result<ToWorker>>,
}

impl Worker {
    /// What the worker says next; `None` at the end of its channel.
    fn next_word(&self) -> Option<FromWorker> {
        let master = self.master.as_ref().expect("the master lives");
        assert!(
            wait_readable(master.as_fd(), Some(DEADLINE)).expect("a channel"),
            "the worker says nothing"
        );
        let mut datagram = [0; SIZE];
        let received = master.recv(&mut datagram).expect("a channel");
        FromWorker::decode(datagram.get(..received.len)?)
    }

    pub(crate) fn tell(&self, order: ToWorker) {
        let master = self.master.as_ref().expect("the master lives");
        master
            .send(&order.encode(), &[])
            .expect("the worker listens");
    }

    /// The end of the master's side of the channel.
    pub(crate) fn lose_master(&mut self) {
        self.master = None;
    }

    /// Waits until the worker is done.
    pub(crate) fn ended(self) -> ToWorker {
        let end = self.end.recv_timeout(DEADLINE).expect("the worker ends");
        end.expect("the worker ends well")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.end.try_recv().is_err()
    }
}
