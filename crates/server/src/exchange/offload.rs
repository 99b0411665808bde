//! The one thread of a worker that never touches Python.
//!
//! What is left of a response when the socket is full (a slow reader, a large file) goes here, so that the thread
//! that called the application is free for the next request. So does the care for what a streaming application is ahead
//! of its reader. The thread starts when it is first needed.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::outbox::Outbox;
use super::{Response, Sent};

enum Job {
    Rest(Rest),
    Attend {
        outbox: Arc<Outbox>,
        patience: Duration,
    },
}

/// A response whose rest is to be sent, and where to give it back.
struct Rest {
    response: Box<Response>,
    /// How long the peer may take none of it.
    patience: Duration,
    done: oneshot::Sender<Box<Response>>,
}

/// The way to the thread.
#[derive(Debug, Default)]
pub(crate) struct Offload {
    jobs: OnceLock<mpsc::UnboundedSender<Job>>,
}

impl Offload {
    /// Sends the rest of `response`, which comes back when all is sent or the peer is lost.
    pub(crate) async fn send_rest(
        &self,
        response: Box<Response>,
        patience: Duration,
    ) -> Option<Box<Response>> {
        let (done, back) = oneshot::channel();
        let rest = Rest {
            response,
            patience,
            done,
        };
        let jobs = self.jobs.get_or_init(start);
        jobs.send(Job::Rest(rest)).ok()?;
        back.await.ok()
    }

    /// Has `outbox` attended to; see there. False when the thread is not to be had.
    pub(super) fn attend(&self, outbox: Arc<Outbox>, patience: Duration) -> bool {
        let jobs = self.jobs.get_or_init(start);
        jobs.send(Job::Attend { outbox, patience }).is_ok()
    }
}

fn start() -> mpsc::UnboundedSender<Job> {
    let (sender, jobs) = mpsc::unbounded_channel();
    let started = std::thread::Builder::new()
        .name("offload".into())
        .spawn(move || run(jobs));
    if let Err(error) = started {
        tracing::error!("no offload thread: {error}; slow readers will be cut off");
    }
    sender
}

fn run(mut jobs: mpsc::UnboundedReceiver<Job>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("offload thread: {error}"),
    };
    runtime.block_on(async {
        while let Some(job) = jobs.recv().await {
            match job {
                Job::Rest(rest) => tokio::spawn(finish(rest)),
                Job::Attend { outbox, patience } => tokio::spawn(outbox.attend(patience)),
            };
        }
    });
}

async fn finish(mut rest: Rest) {
    if drain(&mut rest.response, rest.patience).await.is_err() {
        rest.response.abandon();
    }
    // The connection's task may be gone with its worker.
    let _ = rest.done.send(rest.response);
}

async fn drain(response: &mut Response, patience: Duration) -> io::Result<()> {
    let socket = uwgate_sys::readiness::writable(Arc::clone(response.socket()))?;
    loop {
        let mut ready = tokio::time::timeout(patience, socket.writable()).await??;
        match response.send_pending()? {
            Sent::All => return Ok(()),
            Sent::SocketFull => ready.clear_ready(),
        }
    }
}
