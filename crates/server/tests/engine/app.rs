//! Applications for tests.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use uwgate_server::exchange::{Request, Response};
use uwgate_server::{Host, Served};

/// So long a test waits for what must happen. Only a failing test waits that long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// A host that is a function.
pub(crate) struct Function<F>(pub(crate) F);

impl<F> Host for Function<F>
where
    F: Fn(Box<Request>, Box<Response>) -> Served + Send + Sync + 'static,
{
    fn serve(&self, request: Box<Request>, response: Box<Response>) -> Served {
        self.0(request, response)
    }
}

/// An application that gives both halves back.
pub(crate) fn app(
    answer: impl Fn(&mut Request, &mut Response) + Send + Sync + 'static,
) -> Function<impl Fn(Box<Request>, Box<Response>) -> Served> {
    Function(
        move |mut request: Box<Request>, mut response: Box<Response>| {
            answer(&mut request, &mut response);
            Served {
                request: Some(request),
                response: Some(response),
                app: Some(0),
                raised: false,
                start_afresh: false,
            }
        },
    )
}

/// What most tests serve: says hello, gives bodies back, leaves them unread, or answers at length.
pub(crate) fn echo() -> Function<impl Fn(Box<Request>, Box<Response>) -> Served> {
    app(|request, response| match &*path(request) {
        "/echo" => {
            let body = read_all(request);
            answer(response, &body);
        }
        "/unread" => answer(response, b"not read"),
        "/large" => answer(response, large()),
        "/empty" => {
            start(response, "204 No Content");
            let _ = response.finish();
        }
        _ => answer(response, b"hello"),
    })
}

/// More than any socket buffers: 16 MiB in which every byte tells its place.
pub(crate) fn large() -> &'static [u8] {
    static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..4 * 1024 * 1024_u32)
            .flat_map(u32::to_le_bytes)
            .collect()
    });
    &LARGE
}

pub(crate) fn path(request: &Request) -> String {
    variable(request, "PATH_INFO")
}

/// A variable as text; empty when it is not there.
pub(crate) fn variable(request: &Request, name: &str) -> String {
    let value = request.vars().get(name.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// The body as far as it comes.
pub(crate) fn read_all(request: &mut Request) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(bytes) = request.fill() {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        body.extend_from_slice(bytes);
        request.consume(len);
    }
    body
}

pub(crate) fn start(response: &mut Response, status: &str) {
    response.start(status.as_bytes()).expect("a status");
}

/// A whole answer. That the client is gone is not the application's affair.
pub(crate) fn answer(response: &mut Response, body: &[u8]) {
    start(response, "200 OK");
    let _ = response.finish_with(body);
}

/// A place in an application where requests stay until the test lets them go.
pub(crate) struct Gate {
    arrived: SyncSender<()>,
    opened: Mutex<Receiver<()>>,
}

/// The test's side of a [`Gate`].
pub(crate) struct Keeper {
    arrivals: Receiver<()>,
    open: SyncSender<()>,
}

pub(crate) fn gate() -> (Gate, Keeper) {
    let (arrived, arrivals) = sync_channel(64);
    let (open, opened) = sync_channel(64);
    let gate = Gate {
        arrived,
        opened: Mutex::new(opened),
    };
    (gate, Keeper { arrivals, open })
}

impl Gate {
    /// Waits to be let through.
    pub(crate) fn pass(&self) {
        self.arrived.send(()).expect("the test is there");
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        // A test that has failed opens it by going away.
        let _ = opened.recv_timeout(DEADLINE);
    }
}

impl Keeper {
    /// Waits until a request is at the gate.
    pub(crate) fn await_arrival(&self) {
        self.arrivals
            .recv_timeout(DEADLINE)
            .expect("a request at the gate");
    }

    /// Whether no further request is at the gate.
    pub(crate) fn nobody_else(&self) -> bool {
        self.arrivals.try_recv().is_err()
    }

    /// Lets one request through.
    pub(crate) fn open(&self) {
        self.open.send(()).expect("the application is there");
    }
}
