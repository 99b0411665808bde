//! An instance for the renderers' tests.

use super::snapshot::{App, Core, Counters, InRequest, Snapshot, Socket, Status, Worker};

/// One worker with two cores, of which the first is busy, and one that is cheap.
pub(super) fn sample() -> Snapshot {
    let counters = Counters {
        requests: 3,
        exceptions: 1,
        write_errors: 0,
        read_errors: 0,
        sent: 470,
        running: 1_500_000,
        offloaded: 0,
    };
    let core = |id, request| Core {
        id,
        counters,
        request,
    };
    let request = InRequest {
        start: 1_700_000_100,
        age: 2_500,
        vars: vec!["PATH_INFO=/\"slow\"\n".into()],
    };
    let app = App {
        id: 0,
        mountpoint: String::new(),
        startup_time: 1,
        requests: 6,
        exceptions: 2,
    };
    let busy = Worker {
        id: 1,
        pid: 4711,
        accepting: true,
        status: Status::Busy,
        counters: [counters; 2].into_iter().sum(),
        delta_requests: 6,
        harakiris: 1,
        spawns: 2,
        last_spawn: 1_700_000_000,
        rss: 20_000_000,
        vsz: 90_000_000,
        average: 1_250,
        connections: 4,
        apps: vec![app],
        cores: vec![core(0, Some(request)), core(1, None)],
    };
    let cheap = Worker {
        id: 2,
        pid: 0,
        accepting: false,
        status: Status::Cheap,
        apps: Vec::new(),
        cores: vec![core(0, None), core(1, None)],
        ..busy.clone()
    };
    let socket = |name: &str, waiting| Socket {
        name: name.into(),
        protocol: "http",
        waiting,
        max: 100,
        dropped: 2,
    };
    Snapshot {
        pid: 4710,
        cwd: "/srv".into(),
        started: 1_699_999_999,
        sockets: vec![socket("127.0.0.1:80", 7), socket("/a\"b\\c", 3)],
        workers: vec![busy, cheap],
        former: counters,
        former_harakiris: 5,
        generation: 4,
        reloads: 3,
        failed_reloads: 1,
        ..Snapshot::default()
    }
}
