//! Sockets of the emperor itself, in the runtime.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uwgate_sys::listener::{Address, Listener};

/// So many clients of one socket are served at a time; others wait in its queue.
const CLIENTS: usize = 16;

/// How long a client may take for all it wants, if it has to end at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long to leave the queue alone when the process has no file descriptors left.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(250);

/// A listening socket.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Who came in.
pub(crate) enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Door {
    /// A second handle of the socket. Must be called in a runtime.
    fn new(listener: &Listener) -> io::Result<Self> {
        let fd = listener.try_clone()?.fd;
        Ok(match listener.address {
            Address::Tcp(_) => Self::Tcp(TcpListener::from_std(fd.into())?),
            Address::Unix(_) | Address::Abstract(_) => {
                Self::Unix(UnixListener::from_std(fd.into())?)
            }
        })
    }

    async fn accept(&self) -> io::Result<Client> {
        Ok(match self {
            Self::Tcp(door) => Client::Tcp(door.accept().await?.0),
            Self::Unix(door) => Client::Unix(door.accept().await?.0),
        })
    }
}

/// A listening socket with the task that serves it. Both are gone when it is dropped, and its file as well.
pub(crate) struct Served {
    listener: Listener,
    task: Option<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let _ = self.listener.unlink_if_ours();
    }
}

impl Served {
    /// Nobody is served yet.
    pub(crate) fn new(listener: Listener) -> Self {
        Self {
            listener,
            task: None,
        }
    }

    /// Serves whoever comes from now on, each for so long at most. Must be called in a runtime.
    pub(crate) fn serve<F>(
        &mut self,
        patience: Duration,
        serve: impl Fn(Client) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let door = Door::new(&self.listener)?;
        self.task = Some(tokio::spawn(accept(door, patience, serve)));
        Ok(())
    }
}

/// Serves whoever comes, each for so long at most, for ever.
async fn accept<F>(door: Door, patience: Duration, serve: impl Fn(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CLIENTS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match door.accept().await {
            Ok(client) => {
                let serving = serve(client);
                tokio::spawn(async move {
                    let _ = timeout(patience, serving).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("[emperor] cannot accept a client: {error}");
                tokio::time::sleep(OUT_OF_RESOURCES).await;
            }
        }
    }
}
