//! The emperor's side of the control socket.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use uwgate_sys::listener::{self, Address, Bind, Listener};

use super::{Request, Response};
use crate::happenings::Happening;
use crate::listen::{Door, accept};

/// The longest request.
const LONGEST: u64 = 64 * 1024;

/// The socket, with the task that serves it.
pub(crate) struct Server {
    listener: Listener,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let _ = self.listener.unlink_if_ours();
    }
}

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
        Ok(Self {
            listener,
            task: None,
        })
    }

    /// Answers from now on.
    pub(crate) fn serve(&mut self, sender: UnboundedSender<Happening>) -> io::Result<()> {
        let door = Door::new(&self.listener)?;
        let sender = Arc::new(sender);
        self.task = Some(tokio::spawn(accept(door, move |client| {
            let sender = Arc::clone(&sender);
            async move {
                if let crate::listen::Client::Unix(client) = client {
                    // Whoever leaves in the middle is not worth a line.
                    let _ = answer(client, &sender).await;
                }
            }
        })));
        Ok(())
    }
}

async fn answer(client: UnixStream, sender: &UnboundedSender<Happening>) -> io::Result<()> {
    let (reading, mut writing) = client.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reading).take(LONGEST);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let response = match serde_json::from_slice(&line) {
            Ok(request) => ask(request, sender).await?,
            Err(error) => Response::refused(format!("not a request: {error}")),
        };
        let mut text = serde_json::to_vec(&response).map_err(io::Error::other)?;
        text.push(b'\n');
        writing.write_all(&text).await?;
    }
}

async fn ask(request: Request, sender: &UnboundedSender<Happening>) -> io::Result<Response> {
    let (reply, response) = oneshot::channel();
    let _ = sender.send(Happening::Control(request, reply));
    response.await.map_err(io::Error::other)
}
