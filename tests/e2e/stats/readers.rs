//! The programs that read the JSON: uwsgitop and the exporters.

use std::process::Command;

use serde_json::Value;

use super::metrics::metrics;
use super::{number, read_with, setup, started, stats, worker};
use crate::both;
use crate::support::process::Process;
use crate::support::wait::{until, until_true};
use crate::support::{Address, Setup, TempDir, paths};

both! {
    /// Over each kind of address that it knows.
    fn uwsgitop_shows_the_workers(kind) {
        let program = paths::there(paths::venv().join("bin/uwsgitop"));
        let program = program.display().to_string();
        let unix = started(setup(kind, "hello.py").option("processes", 2));
        unix.get("/").expect(200);
        let pids = |stats: &Value| [1, 2].map(|id| number(worker(stats, id), "pid").to_string());
        let socket = unix.dir.join("stats.sock").display().to_string();
        let [first, second] = pids(&stats(&unix));
        read_with("uwsgitop.py", &[&program, &socket, "req: 1", &first, &second, "idle"]);

        let address = Address::free_port();
        let http = Setup::app(kind, "hello.py")
            .option("stats", &address)
            .option("stats-http", true)
            .start();
        until("the stats server", || address.connect().ok());
        let master = format!("masterpid: {}", http.process.pid());
        let url = format!("http://{address}");
        read_with("uwsgitop.py", &[&program, &url, "req: 0", &master, "WID"]);
    }
}

both! {
    /// `uwsgi_exporter` and `uwsgi-prometheus` of PyPI.
    fn exporters_read_the_json(kind) {
        let address = Address::free_port();
        let server = Setup::app(kind, "hello.py")
            .option("processes", 2)
            .option("stats", &address)
            .option("stats-http", true)
            .start();
        for _ in 0..4 {
            server.get("/").expect(200);
        }
        until("the stats server", || address.connect().ok());
        let url = format!("http://{address}");
        until_true("four requests", || {
            let said = read_with("collector.py", &[&url]);
            said == "uwsgi_listen_queue_requests 0\nuwsgi_requests_total 4\nuwsgi_harakiris_total 0\n"
        });
        let page = Address::free_port();
        let _exporter = exporter(&server.dir, &address, &page);
        let families = until("the exporter", || page.connect().ok().map(|_| metrics(&page)));
        let requests = |id| families.value(&format!("uwsgi_workers_requests{{worker=\"{id}\"}}"));
        assert_eq!(requests(1) + requests(2), 4.0);
        families.value("uwsgi_workers_cores_in_request{core=\"0\",worker=\"2\"}");
        families.value("uwsgi_workers_apps_startup_time{app=\"0\",worker=\"1\"}");
        families.value(&format!("uwsgi_sockets_queue{{socket=\"{}\"}}", server.http));
    }
}

fn exporter(dir: &TempDir, stats: &Address, page: &Address) -> Process {
    let mut command = Command::new(paths::venv().join("bin/python"));
    command
        .arg(paths::there(paths::venv().join("bin/uwsgi_exporter.py")))
        .args(["--stats_addr", &format!("http://{stats}")])
        .args(["--bind_address", "127.0.0.1"])
        .args(["--bind_port", &page.port().to_string()]);
    Process::start(command, &dir.join("exporter.log"))
}

both! {
    /// What timonwong/uwsgi_exporter (written in Go) decodes into whole numbers and texts: anything of another type
    /// would make it refuse all of the JSON.
    fn the_types_that_the_go_exporter_decodes(kind) {
        let server = started(setup(kind, "hello.py"));
        let seen = stats(&server);
        let whole = |object: &Value, keys: &[&str]| {
            for key in keys {
                number(object, key);
            }
        };
        let texts = |object: &Value, keys: &[&str]| {
            for key in keys {
                assert!(object[key].is_string(), "{key} is no text: {object}");
            }
        };
        texts(&seen, &["version", "cwd"]);
        whole(&seen, &["listen_queue", "listen_queue_errors", "signal_queue", "load", "pid", "uid", "gid"]);
        let socket = &seen["sockets"][0];
        texts(socket, &["name", "proto"]);
        whole(socket, &["queue", "max_queue", "shared", "can_offload"]);
        let worker = worker(&seen, 1);
        texts(worker, &["status"]);
        whole(worker, &[
            "id", "pid", "accepting", "requests", "delta_requests", "exceptions", "harakiri_count", "signals",
            "signal_queue", "rss", "vsz", "running_time", "last_spawn", "respawn_count", "tx", "avg_rt",
        ]);
        let app = &worker["apps"][0];
        texts(app, &["mountpoint", "chdir"]);
        whole(app, &["id", "modifier1", "startup_time", "requests", "exceptions"]);
        let core = &worker["cores"][0];
        whole(core, &[
            "id", "requests", "static_requests", "routed_requests", "offloaded_requests", "write_errors", "read_errors",
            "in_request",
        ]);
        assert!(core["vars"].is_array());
    }
}
