//! The task that has the clients of a stats address.
//!
//! The master is asked for a snapshot only when a client is there to take it. Whoever is slow, says nothing or reads
//! nothing has a few seconds and one of a few places, and costs nobody else anything.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uwgate_config::{Address, Located, Options};
use uwgate_sys::listener::{self, Bind, Listener};

use super::json::{self, Style};
use super::prometheus;
use super::snapshot::Snapshot;

/// So many clients of one address are served at a time; others wait in its queue.
const CLIENTS: usize = 16;

/// How long a client may take from its connect to its last byte.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long to leave the queue alone when the process has no file descriptors left.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(250);

/// The longest request head.
const HEAD: usize = 8 * 1024;

/// Asks the master for a snapshot. It answers when it comes to it.
pub(crate) type Ask = Arc<dyn Fn(oneshot::Sender<Snapshot>) + Send + Sync>;

/// What an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    http: bool,
    style: Style,
}

impl Settings {
    /// What the options say of the `stats` addresses.
    pub(crate) fn new(options: &Options) -> Self {
        let stats = &options.stats;
        Self {
            http: stats.stats_http,
            style: Style {
                minified: stats.stats_minified,
                cores: !stats.stats_no_cores,
            },
        }
    }

    /// What they say of the `prometheus-listen` addresses.
    pub(crate) fn with_http(self) -> Self {
        Self { http: true, ..self }
    }
}

/// A stats address with its task. Dropping it ends both.
pub(crate) struct Server {
    pub(crate) asked: Address,
    pub(crate) settings: Settings,
    listener: Listener,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Binds and serves.
    ///
    /// # Errors
    /// Why the address cannot be had, with the line that asks for it.
    pub(crate) fn start(
        asked: &Located<Address>,
        chmod: Option<u32>,
        settings: Settings,
        ask: Ask,
    ) -> Result<Self, String> {
        let explain = |error: io::Error| {
            let address = &asked.value;
            format!(
                "{}: cannot serve statistics on {address}: {error}",
                asked.origin
            )
        };
        let bind = Bind {
            chmod,
            ..Bind::default()
        };
        let address = crate::listen::resolve(&asked.value).map_err(explain)?;
        let listener = listener::bind(&address, &bind).map_err(explain)?;
        let queue = Queue::new(&listener).map_err(explain)?;
        tracing::info!("*** Stats server enabled on {} ***", listener.address);
        let clients = Clients {
            settings,
            ask,
            places: Arc::new(Semaphore::new(CLIENTS)),
        };
        Ok(Self {
            asked: asked.value.clone(),
            settings,
            listener,
            task: tokio::spawn(clients.accept(queue)),
        })
    }

    /// Removes the file of a unix socket.
    pub(crate) fn vacuum(&self) {
        if let Err(error) = self.listener.unlink_if_ours() {
            tracing::warn!("vacuum: {}: {error}", self.listener.address);
        }
    }
}

/// A listening socket in the runtime.
enum Queue {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Queue {
    fn new(listener: &Listener) -> io::Result<Self> {
        let fd = listener.try_clone()?.fd;
        Ok(match listener.address {
            listener::Address::Tcp(_) => Self::Tcp(tokio::net::TcpListener::from_std(fd.into())?),
            listener::Address::Unix(_) | listener::Address::Abstract(_) => {
                Self::Unix(tokio::net::UnixListener::from_std(fd.into())?)
            }
        })
    }
}

struct Clients {
    settings: Settings,
    ask: Ask,
    places: Arc<Semaphore>,
}

impl Clients {
    async fn accept(self, queue: Queue) {
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            let taken = match &queue {
                Queue::Tcp(queue) => queue.accept().await.map(|(it, _)| self.spawn(it, place)),
                Queue::Unix(queue) => queue.accept().await.map(|(it, _)| self.spawn(it, place)),
            };
            if let Err(error) = taken {
                tracing::warn!("stats server: {error}");
                tokio::time::sleep(OUT_OF_RESOURCES).await;
            }
        }
    }

    fn spawn<S>(&self, client: S, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (settings, ask) = (self.settings, Arc::clone(&self.ask));
        tokio::spawn(async move {
            // Neither a client that is slow nor one that leaves is worth a line.
            let _ = tokio::time::timeout(PATIENCE, serve(client, settings, &*ask)).await;
            drop(place);
        });
    }
}

type Asking = dyn Fn(oneshot::Sender<Snapshot>) + Send + Sync;

async fn serve<S>(mut client: S, settings: Settings, ask: &Asking) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = match settings.http {
        false => json::render(&snapshot(ask).await?, settings.style),
        true => match read_head(&mut client).await? {
            Wanted::Nothing => return Ok(()),
            Wanted::Json => http_json(&snapshot(ask).await?, settings.style),
            Wanted::Metrics => http_metrics(&snapshot(ask).await?, settings.style),
            Wanted::Head(content_type) => http_head(content_type, ""),
            Wanted::Refusal(refusal) => refusal.into(),
        },
    };
    client.write_all(&answer).await?;
    client.shutdown().await?;
    if settings.http {
        // Closing with bytes unread would reset the connection and take the answer along.
        let mut rest = [0; 1024];
        while client.read(&mut rest).await? > 0 {}
    }
    Ok(())
}

async fn snapshot(ask: &Asking) -> io::Result<Snapshot> {
    let (sender, receiver) = oneshot::channel();
    ask(sender);
    receiver.await.map_err(io::Error::other)
}

/// What an HTTP client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Json,
    Metrics,
    /// The head of an answer of this type.
    Head(&'static str),
    Refusal(&'static str),
    /// It has left.
    Nothing,
}

const JSON: &str = "application/json";

const BAD_REQUEST: &str = "HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n\
     This is the stats server: GET / is JSON, GET /metrics is for Prometheus.\n";

const TOO_LARGE: &str = "HTTP/1.0 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n";

const NOT_ALLOWED: &str = "HTTP/1.0 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET, HEAD\r\n\
     Content-Type: text/plain\r\n\r\nStatistics can only be read.\n";

async fn read_head<S: AsyncRead + Unpin>(client: &mut S) -> io::Result<Wanted> {
    let mut head = Vec::new();
    loop {
        let len = client.read_buf(&mut head).await?;
        let is_whole = memchr::memmem::find(&head, b"\r\n\r\n").is_some()
            || memchr::memmem::find(&head, b"\n\n").is_some();
        if len == 0 && head.is_empty() {
            return Ok(Wanted::Nothing);
        }
        if is_whole || len == 0 || head.starts_with(b"\n") || head.starts_with(b"\r\n") {
            return Ok(wanted(&head));
        }
        if head.len() > HEAD {
            return Ok(Wanted::Refusal(TOO_LARGE));
        }
    }
}

/// uWSGI gives its JSON for whatever it is asked, so only `/metrics` is another page. An empty line (`echo | nc`) is
/// enough of a request.
fn wanted(head: &[u8]) -> Wanted {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (method, target, version) = (words.next(), words.next(), words.next());
    let path = target.map(|target| target.split('?').next().unwrap_or_default());
    let is_metrics = path == Some("/metrics") || path == Some("/metrics/");
    match (method, version) {
        (None, _) => Wanted::Json,
        (Some("GET"), Some(_)) if is_metrics => Wanted::Metrics,
        (Some("GET"), Some(_)) => Wanted::Json,
        (Some("HEAD"), Some(_)) if is_metrics => Wanted::Head(prometheus::CONTENT_TYPE),
        (Some("HEAD"), Some(_)) => Wanted::Head(JSON),
        (Some(_), Some(version)) if version.starts_with("HTTP/") => Wanted::Refusal(NOT_ALLOWED),
        (Some(_), _) => Wanted::Refusal(BAD_REQUEST),
    }
}

/// uWSGI's head.
fn http_head(content_type: &str, more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\
         Content-Type: {content_type}\r\n{more}\r\n"
    )
    .into_bytes()
}

fn http_json(snapshot: &Snapshot, style: Style) -> Vec<u8> {
    let mut answer = http_head(JSON, "");
    answer.extend(json::render(snapshot, style));
    answer
}

/// With a length, so that half a page is not taken for a whole one.
fn http_metrics(snapshot: &Snapshot, style: Style) -> Vec<u8> {
    let body = prometheus::render(snapshot, style.cores);
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut answer = http_head(prometheus::CONTENT_TYPE, &length);
    answer.extend(body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_asks_for() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Wanted::Json),
            ("GET /stats HTTP/1.0\r\n\r\n", Wanted::Json),
            ("GET /metrics HTTP/1.1\r\n\r\n", Wanted::Metrics),
            ("GET /metrics?name[]=a HTTP/1.1\r\n\r\n", Wanted::Metrics),
            ("GET /metricsx HTTP/1.1\r\n\r\n", Wanted::Json),
            ("HEAD / HTTP/1.1\r\n\r\n", Wanted::Head(JSON)),
            ("POST / HTTP/1.1\r\n\r\n", Wanted::Refusal(NOT_ALLOWED)),
            ("\r\n", Wanted::Json),
            ("hello", Wanted::Refusal(BAD_REQUEST)),
            ("GET /", Wanted::Refusal(BAD_REQUEST)),
            ("\u{16}\u{3}\u{1}", Wanted::Refusal(BAD_REQUEST)),
        ] {
            assert_eq!(wanted(head.as_bytes()), expected, "{head:?}");
        }
    }

    fn http() -> Settings {
        let style = Style {
            minified: true,
            cores: true,
        };
        Settings { http: true, style }
    }

    fn answer(settings: Settings, request: &'static [u8]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let ask = |sender: oneshot::Sender<Snapshot>| {
                let _ = sender.send(super::super::sample::sample());
            };
            client.write_all(request).await.unwrap();
            let reading = async {
                let mut text = String::new();
                client.read_to_string(&mut text).await.unwrap();
                drop(client);
                text
            };
            let reading = tokio::spawn(reading);
            serve(server, settings, &ask).await.unwrap();
            reading.await.unwrap()
        })
    }

    #[test]
    fn plain_clients_need_say_nothing() {
        let settings = Settings {
            http: false,
            ..http()
        };
        assert!(answer(settings, b"").starts_with("{\"version\":"));
    }

    #[test]
    fn http_has_the_head_of_uwsgi() {
        let text = answer(http(), b"GET / HTTP/1.1\r\n\r\n");
        let head = "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\
                    Content-Type: application/json\r\n\r\n{\"version\":";
        assert!(text.starts_with(head), "{text}");
    }

    #[test]
    fn metrics_have_their_length() {
        let text = answer(http(), b"GET /metrics HTTP/1.1\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
    }

    #[test]
    fn a_posted_body_does_not_lose_the_refusal() {
        let text = answer(http(), b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody");
        assert!(text.starts_with("HTTP/1.0 405 "), "{text}");
    }
}
