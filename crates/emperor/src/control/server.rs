//! The emperor's side of the control socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender, channel};
use uwgate_ctl::protocol::{LONGEST_REQUEST, Reply, Request};
use uwgate_sys::listener::{self, Address, Bind};

use crate::happenings::Happening;
use crate::listen::{self, Served};
use crate::race::race;

/// So many answers wait for a client that reads slowly. One that follows the log is let go when there are more: the
/// emperor waits for nobody.
const WAITING: usize = 4096;

/// A client that follows the log stays for as long as it likes.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Where the answers to one request go.
pub(crate) type Client = Sender<Reply>;

/// The control socket.
pub(crate) struct Server(Served);

impl Server {
    /// Only the emperor's user may come in.
    ///
    /// # Errors
    /// One sentence: it cannot be bound.
    pub(crate) fn bind(path: &Path, owner: Option<(u32, u32)>) -> Result<Self, String> {
        let how = Bind {
            chmod: Some(0o600),
            owner,
            ..Bind::default()
        };
        let listener = listener::bind(&Address::Unix(path.to_owned()), &how)
            .map_err(|error| format!("control socket {}: {error}", path.display()))?;
        Ok(Self(Served::new(listener)))
    }

    /// Answers from now on.
    pub(crate) fn serve(&mut self, sender: UnboundedSender<Happening>) -> io::Result<()> {
        self.0.serve(FOR_EVER, move |client| {
            let sender = sender.clone();
            async move {
                if let listen::Client::Unix(client) = client {
                    // Whoever leaves in the middle is not worth a line.
                    let _ = answer(client, &sender).await;
                }
            }
        })
    }
}

async fn answer(client: UnixStream, sender: &UnboundedSender<Happening>) -> io::Result<()> {
    let (reading, writing) = client.into_split();
    let mut reading = BufReader::new(reading);
    let mut line = Vec::new();
    let mut limited = (&mut reading).take(LONGEST_REQUEST as u64);
    let asking = limited.read_until(b'\n', &mut line);
    tokio::time::timeout(listen::PATIENCE, asking).await??;
    let (client, answers) = channel(WAITING);
    let mut follows = false;
    match serde_json::from_slice(&line) {
        Ok(request) => {
            follows = matches!(request, Request::Tail { follow: true, .. });
            let _ = sender.send(Happening::Control(request, client));
        }
        Err(error) => drop(client.try_send(Reply::Error(format!("that is no request: {error}")))),
    }
    match follows {
        true => drop(race(pass_on(answers, writing), gone(reading)).await),
        false => pass_on(answers, writing).await,
    }
    Ok(())
}

async fn pass_on(mut answers: Receiver<Reply>, mut writing: OwnedWriteHalf) {
    while let Some(reply) = answers.recv().await {
        let mut text = serde_json::to_vec(&reply).unwrap_or_default();
        text.push(b'\n');
        let sent = tokio::time::timeout(listen::PATIENCE, writing.write_all(&text)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// Returns when the client closes its half. Whoever follows the log keeps it open until it has seen enough.
async fn gone(mut reading: BufReader<OwnedReadHalf>) {
    let mut more = [0; 256];
    while matches!(reading.read(&mut more).await, Ok(1..)) {}
}
