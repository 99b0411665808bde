//! The servers, and how each is told to serve a scenario. Only those that are installed take part.

use std::path::{Path, PathBuf};

use super::scenarios::{Scenario, Way};

/// One server in one of its ways.
pub struct Server {
    pub name: &'static str,
    /// Its command. In it are replaced: `{ours}`, `{venv}`, `{dir}` (where app.py is), `{app}`, `{address}`,
    /// `{processes}`, `{threads}`.
    command: &'static str,
    /// What tells whether it is there: a file below the venv's `bin`, or a module's name.
    needs: Needs,
    uwsgi: bool,
    keeps: bool,
    has_threads: bool,
    has_processes: bool,
}

enum Needs {
    Nothing,
    Program(&'static str),
    Module(&'static str),
}

const OPTIONS: Server = Server {
    name: "",
    command: "",
    needs: Needs::Nothing,
    uwsgi: false,
    keeps: true,
    has_threads: true,
    has_processes: true,
};

/// The name of the server that all others are compared with.
pub const OURS: &str = "uwgate";

pub const SERVERS: &[Server] = &[
    Server {
        name: OURS,
        command: "{ours} --http-socket {address} --wsgi-file {dir}/app.py --callable {app} --processes {processes} \
                  --threads {threads} --master --need-app --disable-logging",
        ..OPTIONS
    },
    Server {
        name: OURS,
        command: "{ours} --socket {address} --wsgi-file {dir}/app.py --callable {app} --processes {processes} \
                  --threads {threads} --master --need-app --disable-logging",
        uwsgi: true,
        ..OPTIONS
    },
    Server {
        name: "uWSGI",
        command: "{venv}/bin/uwsgi --http-socket {address} --wsgi-file {dir}/app.py --callable {app} \
                  --processes {processes} --threads {threads} --master --need-app --disable-logging --listen 1024",
        needs: Needs::Program("uwsgi"),
        keeps: false,
        ..OPTIONS
    },
    Server {
        name: "uWSGI",
        command: "{venv}/bin/uwsgi --socket {address} --wsgi-file {dir}/app.py --callable {app} \
                  --processes {processes} --threads {threads} --master --need-app --disable-logging --listen 1024",
        needs: Needs::Program("uwsgi"),
        uwsgi: true,
        ..OPTIONS
    },
    Server {
        name: "granian",
        command: "{venv}/bin/granian --interface wsgi --host 127.0.0.1 --port {port} --workers {processes} \
                  --blocking-threads {threads} --no-ws --http 1 --backlog 4096 --backpressure 4096 \
                  --log-level error app:{app}",
        needs: Needs::Program("granian"),
        ..OPTIONS
    },
    Server {
        name: "gunicorn gthread",
        command: "{venv}/bin/gunicorn -b {address} -w {processes} -k gthread --threads {threads} --keep-alive 60 \
                  --worker-connections 4000 --log-level error app:{app}",
        needs: Needs::Program("gunicorn"),
        ..OPTIONS
    },
    Server {
        name: "waitress",
        command: "{venv}/bin/waitress-serve --listen={address} --threads={threads} app:{app}",
        needs: Needs::Program("waitress-serve"),
        has_processes: false,
        ..OPTIONS
    },
    Server {
        name: "bjoern",
        command: "{venv}/bin/python {dir}/peer.py bjoern {app} {port} {processes}",
        needs: Needs::Module("bjoern"),
        has_threads: false,
        ..OPTIONS
    },
    Server {
        name: "fastwsgi",
        command: "{venv}/bin/python {dir}/peer.py fastwsgi {app} {port} {processes}",
        needs: Needs::Module("fastwsgi"),
        has_threads: false,
        ..OPTIONS
    },
];

impl Server {
    pub fn is_installed(&self) -> bool {
        match self.needs {
            Needs::Nothing => true,
            Needs::Program(name) => venv().join("bin").join(name).is_file(),
            Needs::Module(name) => has_module(name),
        }
    }

    /// Whether it can be asked this.
    pub fn takes(&self, scenario: &Scenario) -> bool {
        self.uwsgi == (scenario.way == Way::Uwsgi)
            && (self.has_threads || scenario.threads == 1)
            && (self.has_processes || scenario.processes == 1)
    }

    /// Whether it keeps connections open, when asked to.
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// The words of its command; `address`: `127.0.0.1:PORT` or the path of a unix socket.
    pub fn command(&self, scenario: &Scenario, address: &str) -> Vec<String> {
        let port = address.rsplit(':').next().unwrap_or_default();
        let values = [
            ("{ours}", ours().display().to_string()),
            ("{venv}", venv().display().to_string()),
            ("{dir}", directory().display().to_string()),
            ("{app}", scenario.app.to_owned()),
            ("{address}", address.to_owned()),
            ("{port}", port.to_owned()),
            ("{processes}", scenario.processes.to_string()),
            ("{threads}", scenario.threads.to_string()),
        ];
        let fill = |word: &str| {
            let start = word.to_owned();
            let fill = |word: String, (name, value): &(&str, String)| word.replace(name, value);
            values.iter().fold(start, fill)
        };
        self.command.split_whitespace().map(fill).collect()
    }
}

/// Where `app.py` is.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/server")
}

/// The binary that cargo built, or the one that `UWGATE_BENCH_PROGRAM` names.
fn ours() -> PathBuf {
    let named = std::env::var_os("UWGATE_BENCH_PROGRAM");
    named.map_or_else(|| env!("CARGO_BIN_EXE_uwgate").into(), PathBuf::from)
}

/// Where the other servers are installed: `UWGATE_BENCH_VENV`, or the venv of the tests.
fn venv() -> PathBuf {
    let named = std::env::var_os("UWGATE_BENCH_VENV").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"))
}

fn has_module(name: &str) -> bool {
    let begins = |entry: std::fs::DirEntry| {
        let file = entry.file_name();
        file.to_string_lossy().starts_with(name)
    };
    let Ok(versions) = std::fs::read_dir(venv().join("lib")) else {
        return false;
    };
    let packages = versions.flatten().map(|it| it.path().join("site-packages"));
    let files = packages.filter_map(|path| path.read_dir().ok()).flatten();
    files.flatten().any(begins)
}
