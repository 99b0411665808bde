//! The JSON of uWSGI's stats server: its names, its order, its types.
//!
//! Each struct here is one object of it. As in uWSGI, what an instance has none of (daemons, caches, spoolers, crons)
//! is left out.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::snapshot::{App, Core, Daemon, Snapshot, Socket, Worker};

/// How the JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// `stats-minified`
    pub(super) minified: bool,
    /// Not `stats-no-cores`.
    pub(super) cores: bool,
}

/// The JSON text.
pub(super) fn render(snapshot: &Snapshot, style: Style) -> Vec<u8> {
    let instance = Instance::new(snapshot, style.cores);
    let mut text = Vec::new();
    let written = match style.minified {
        true => instance.serialize(&mut serde_json::Serializer::with_formatter(
            &mut text,
            CompactFormatter,
        )),
        false => instance.serialize(&mut serde_json::Serializer::with_formatter(
            &mut text,
            Tabs(PrettyFormatter::with_indent(b"\t")),
        )),
    };
    // All keys are texts, and a vector takes everything.
    debug_assert!(written.is_ok());
    text
}

#[derive(Serialize)]
struct Instance<'s> {
    version: &'static str,
    listen_queue: u32,
    listen_queue_errors: u64,
    signal_queue: u32,
    load: u32,
    pid: i32,
    uid: u32,
    gid: u32,
    cwd: &'s str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    daemons: Vec<DaemonObject<'s>>,
    locks: Vec<UserLock>,
    sockets: Vec<SocketObject<'s>>,
    workers: Vec<WorkerObject<'s>>,
}

/// `"user N"` and the process that holds it, 0 for none.
type UserLock = BTreeMap<String, i32>;

#[derive(Serialize)]
struct DaemonObject<'s> {
    cmd: &'s str,
    pid: i32,
    respawns: u32,
}

#[derive(Serialize)]
struct SocketObject<'s> {
    name: &'s str,
    proto: &'static str,
    queue: u32,
    max_queue: u32,
    shared: u32,
    can_offload: u32,
}

#[derive(Serialize)]
struct WorkerObject<'s> {
    id: u32,
    pid: i32,
    accepting: u32,
    requests: u64,
    delta_requests: u64,
    exceptions: u64,
    harakiri_count: u64,
    signals: u64,
    signal_queue: u64,
    status: &'static str,
    rss: u64,
    vsz: u64,
    running_time: u64,
    last_spawn: u64,
    respawn_count: u64,
    tx: u64,
    avg_rt: u64,
    apps: Vec<AppObject<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cores: Option<Vec<CoreObject<'s>>>,
}

#[derive(Serialize)]
struct AppObject<'s> {
    id: u32,
    modifier1: u32,
    mountpoint: &'s str,
    startup_time: u64,
    requests: u64,
    exceptions: u64,
    chdir: &'s str,
}

#[derive(Serialize)]
struct CoreObject<'s> {
    id: u32,
    requests: u64,
    static_requests: u64,
    routed_requests: u64,
    offloaded_requests: u64,
    write_errors: u64,
    read_errors: u64,
    in_request: u32,
    vars: &'s [String],
    req_info: RequestObject,
}

/// Empty between requests.
#[derive(Serialize)]
struct RequestObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_start: Option<u64>,
}

impl<'s> Instance<'s> {
    fn new(snapshot: &'s Snapshot, cores: bool) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            listen_queue: snapshot.listen_queue(),
            listen_queue_errors: snapshot.listen_queue_errors(),
            signal_queue: 0,
            load: snapshot.listen_queue(),
            pid: snapshot.pid,
            uid: snapshot.uid,
            gid: snapshot.gid,
            cwd: &snapshot.cwd,
            daemons: snapshot.daemons.iter().map(DaemonObject::new).collect(),
            locks: (0..)
                .zip(&snapshot.locks)
                .map(|(number, pid): (u32, _)| BTreeMap::from([(format!("user {number}"), *pid)]))
                .collect(),
            sockets: snapshot.sockets.iter().map(SocketObject::new).collect(),
            workers: snapshot
                .workers
                .iter()
                .map(|worker| WorkerObject::new(worker, cores))
                .collect(),
        }
    }
}

impl<'s> DaemonObject<'s> {
    fn new(daemon: &'s Daemon) -> Self {
        Self {
            cmd: &daemon.command,
            pid: daemon.pid,
            respawns: daemon.respawns,
        }
    }
}

impl<'s> SocketObject<'s> {
    fn new(socket: &'s Socket) -> Self {
        Self {
            name: &socket.name,
            proto: socket.protocol,
            queue: socket.waiting,
            max_queue: socket.max,
            shared: 0,
            can_offload: 0,
        }
    }
}

impl<'s> WorkerObject<'s> {
    fn new(worker: &'s Worker, cores: bool) -> Self {
        Self {
            id: worker.id,
            pid: worker.pid,
            accepting: worker.accepting.into(),
            requests: worker.counters.requests,
            delta_requests: worker.delta_requests,
            exceptions: worker.counters.exceptions,
            harakiri_count: worker.harakiris,
            signals: 0,
            signal_queue: 0,
            status: worker.status.word(),
            rss: worker.rss,
            vsz: worker.vsz,
            running_time: worker.counters.running,
            last_spawn: worker.last_spawn,
            respawn_count: worker.spawns,
            tx: worker.counters.sent,
            avg_rt: worker.average,
            apps: worker.apps.iter().map(AppObject::new).collect(),
            cores: cores.then(|| worker.cores.iter().map(CoreObject::new).collect()),
        }
    }
}

impl<'s> AppObject<'s> {
    fn new(app: &'s App) -> Self {
        Self {
            id: app.id,
            modifier1: 0,
            mountpoint: &app.mountpoint,
            startup_time: app.startup_time,
            requests: app.requests,
            exceptions: app.exceptions,
            chdir: "",
        }
    }
}

impl<'s> CoreObject<'s> {
    fn new(core: &'s Core) -> Self {
        let request = core.request.as_ref();
        Self {
            id: core.id,
            requests: core.counters.requests,
            static_requests: 0,
            routed_requests: 0,
            offloaded_requests: core.counters.offloaded,
            write_errors: core.counters.write_errors,
            read_errors: core.counters.read_errors,
            in_request: request.is_some().into(),
            vars: request.map_or(&[], |request| &request.vars),
            req_info: RequestObject {
                request_start: request.map(|request| request.start),
            },
        }
    }
}

/// Tabs, and no blank after a colon: what scripts that look at lines expect of uWSGI.
struct Tabs(PrettyFormatter<'static>);

impl Formatter for Tabs {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b":")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(minified: bool, cores: bool) -> String {
        let snapshot = super::super::sample::sample();
        String::from_utf8(render(&snapshot, Style { minified, cores })).unwrap()
    }

    #[test]
    fn lines_and_minified_say_the_same() {
        let lines: serde_json::Value = serde_json::from_str(&text(false, true)).unwrap();
        let minified: serde_json::Value = serde_json::from_str(&text(true, true)).unwrap();
        assert_eq!(lines, minified);
        assert!(!text(true, true).contains(['\t', '\n']));
        assert!(!text(true, true).contains("\": "));
    }

    #[test]
    fn lines_are_those_of_uwsgi() {
        let text = text(false, true);
        assert!(text.starts_with("{\n\t\"version\":\""), "{text}");
        assert!(text.contains("\n\t\"listen_queue\":7,\n"), "{text}");
        assert!(text.contains("\n\t\t\t\"status\":\"busy\",\n"), "{text}");
    }

    #[test]
    fn a_request_in_flight_is_shown() {
        let all: serde_json::Value = serde_json::from_str(&text(true, true)).unwrap();
        let cores = &all["workers"][0]["cores"];
        assert_eq!(cores[0]["in_request"], 1);
        assert_eq!(cores[0]["req_info"]["request_start"], 1_700_000_100);
        assert_eq!(cores[0]["vars"][0], "PATH_INFO=/\"slow\"\n");
        assert_eq!(cores[1]["req_info"], serde_json::json!({}));
        assert_eq!(cores[1]["vars"], serde_json::json!([]));
    }

    #[test]
    fn cores_can_be_left_out() {
        let all: serde_json::Value = serde_json::from_str(&text(true, false)).unwrap();
        assert_eq!(all["workers"][0].get("cores"), None);
    }
}
