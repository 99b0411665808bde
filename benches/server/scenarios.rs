//! What is asked of the servers.

/// One kind of load on one application.
pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    /// The callable in `app.py`.
    pub app: &'static str,
    pub way: Way,
    pub connections: usize,
    pub processes: usize,
    pub threads: usize,
    /// The server has the first CPU and the load the second.
    pub pinned: bool,
    /// Bytes of the request's body.
    pub body: usize,
    /// The headers of a browser.
    pub browser: bool,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// HTTP over kept connections.
    Keep,
    /// HTTP with a connection for each request.
    Close,
    /// uwsgi packets over a unix socket.
    Uwsgi,
}

const HELLO: Scenario = Scenario {
    name: "",
    title: "",
    app: "hello",
    way: Way::Keep,
    connections: 32,
    processes: 1,
    threads: 1,
    pinned: true,
    body: 0,
    browser: false,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "keep-alive",
        title: "hello over 32 kept connections, 1 process",
        ..HELLO
    },
    Scenario {
        name: "close",
        title: "hello with a connection for each request, 32 at a time",
        way: Way::Close,
        ..HELLO
    },
    Scenario {
        name: "uwsgi",
        title: "hello in the uwsgi protocol over a unix socket, 32 at a time",
        way: Way::Uwsgi,
        ..HELLO
    },
    Scenario {
        name: "environ",
        title: "20 keys of the environ looked up, the headers of a browser",
        app: "environ",
        browser: true,
        ..HELLO
    },
    Scenario {
        name: "post",
        title: "64 KiB posted and hashed, 16 connections",
        app: "echo",
        connections: 16,
        body: 64 * 1024,
        ..HELLO
    },
    Scenario {
        name: "large",
        title: "an answer of 1 MiB, 8 connections",
        app: "big",
        connections: 8,
        ..HELLO
    },
    Scenario {
        name: "sleep",
        title: "10 ms of sleep, 1 process with 16 threads, 64 connections (1,600/s at most)",
        app: "sleep",
        connections: 64,
        threads: 16,
        ..HELLO
    },
    Scenario {
        name: "workers",
        title: "hello, 2 processes, not pinned",
        processes: 2,
        pinned: false,
        ..HELLO
    },
    Scenario {
        name: "cpu",
        title: "about 1 ms of Python, 2 processes, not pinned",
        app: "cpu",
        processes: 2,
        pinned: false,
        ..HELLO
    },
];
