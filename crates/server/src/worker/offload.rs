//! The one thread of a worker that never touches Python.
//!
//! What is left of a response when the socket is full (a slow reader, a large file) goes here, so that the thread
//! that called the application is free for the next request. The thread starts with the first slow reader.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::exchange::{Response, Sent};

/// A response whose rest is to be sent, and where to give it back.
struct Job {
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
        let job = Job {
            response,
            patience,
            done,
        };
        self.jobs.get_or_init(start).send(job).ok()?;
        back.await.ok()
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
            tokio::spawn(finish(job));
        }
    });
}

async fn finish(mut job: Job) {
    if drain(&mut job.response, job.patience).await.is_err() {
        job.response.abandon();
    }
    // The connection's task may be gone with its worker.
    let _ = job.done.send(job.response);
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
