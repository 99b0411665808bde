//! Every folder of `configs/` runs as it stands, under uwgate and under the real uWSGI.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::both;
use crate::support::process::Process;
use crate::support::wait::until;
use crate::support::{Address, Client, Kind, Nginx, Request, TempDir, paths};

/// Copies a folder of samples; in each file, `from` is replaced by `to`.
fn copy(folder: &Path, target: &Path, from: &str, to: &str) {
    for entry in fs::read_dir(folder).expect("the samples are there") {
        let entry = entry.expect("can be listed");
        let copied = target.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&copied).expect("can be created");
            copy(&entry.path(), &copied, from, to);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            fs::write(copied, text.replace(from, to)).expect("can be written");
        }
    }
}

/// A sample that runs: its process, its directory and its port.
struct Sample {
    _process: Process,
    http: Address,
    dir: TempDir,
}

impl Sample {
    /// Runs `configs/FOLDER/FILE` from a copy, with a free port in place of 8080, until the
    /// address that `listens_at` makes of the two is there.
    fn start(
        kind: Kind,
        folder: &str,
        file: &str,
        listens_at: impl Fn(&Path, &Address) -> Address,
    ) -> Self {
        let dir = TempDir::new();
        let http = Address::free_port();
        let samples = paths::repository().join("configs").join(folder);
        copy(&samples, &dir, "127.0.0.1:8080", &http.to_string());
        symlink(paths::venv(), dir.join("venv")).expect("can be linked");
        let flag = if file.ends_with(".yaml") {
            "--yaml"
        } else {
            "--ini"
        };
        let mut command = kind.command();
        command.arg(flag).arg(dir.join(file)).current_dir("/");
        let mut process = Process::start(command, &dir.join("server.log"));
        let address = listens_at(&dir, &http);
        until("the sample to listen", || {
            assert!(process.try_wait().is_none(), "ended at once");
            address.connect().ok()
        });
        Self {
            _process: process,
            http,
            dir,
        }
    }

    fn over_http(kind: Kind, folder: &str, file: &str) -> Self {
        Self::start(kind, folder, file, |_, http| http.clone())
    }

    fn get(&self, target: &str) -> String {
        let response = Client::connect(&self.http).send(&Request::get(target));
        response.expect(200).text().to_owned()
    }
}

both! {
    fn standalone(kind) {
        let sample = Sample::over_http(kind, "standalone", "uwgate.ini");
        assert_eq!(sample.get("/"), "Hello from a file beside its configuration\n");
    }
}

both! {
    fn nginx(kind) {
        let sample = Sample::start(kind, "nginx", "uwgate.ini", |dir, _| {
            Address::Unix(dir.join("uwgate.sock"))
        });
        let site = fs::read_to_string(sample.dir.join("nginx.conf")).expect("was copied");
        let socket = sample.dir.join("uwgate.sock").display().to_string();
        let _nginx = Nginx::start("return 404;", &site.replace("/run/hello/uwgate.sock", &socket));
        assert_eq!(sample.get("/"), "Hello from behind nginx, 127.0.0.1\n");
    }
}

both! {
    fn django(kind) {
        let sample = Sample::over_http(kind, "django", "uwgate.ini");
        assert_eq!(sample.get("/"), "Hello from Django\n");
    }
}

both! {
    fn flask(kind) {
        let sample = Sample::over_http(kind, "flask", "uwgate.yaml");
        assert_eq!(sample.get("/"), "Hello from Flask\n");
    }
}

both! {
    fn two_apps(kind) {
        let sample = Sample::over_http(kind, "two-apps", "uwgate.ini");
        assert_eq!(sample.get("/page"), "This is the site: '' '/page'\n");
        assert_eq!(sample.get("/shop/page"), "This is the shop: '/shop' '/page'\n");
    }
}

both! {
    fn vassals(kind) {
        let sample = Sample::start(kind, "vassals", "emperor.ini", |dir, _| {
            Address::Unix(dir.join("site.sock"))
        });
        let shop = Address::Unix(sample.dir.join("shop.sock"));
        until("the other vassal to listen", || shop.connect().ok());
        let site = fs::read_to_string(sample.dir.join("nginx.conf")).expect("was copied");
        let directory = sample.dir.display().to_string();
        let _nginx = Nginx::start("return 404;", &site.replace("/run/vassals", &directory));
        for name in ["site", "shop"] {
            let mut request = Request::get("/");
            request.headers = vec![("Host".into(), format!("{name}.example.org"))];
            let response = Client::connect(&sample.http).send(&request).expect(200);
            assert_eq!(response.text(), format!("This is the {name}\n"));
        }
    }
}

both! {
    fn on_demand(kind) {
        let sample = Sample::over_http(kind, "on-demand", "emperor.ini");
        assert_eq!(sample.get("/"), "Hello from a vassal that was asleep\n");
    }
}

/// A sample that no test above runs, or one of the emperor's, would rot.
#[test]
fn every_sample_is_tested() {
    let here = include_str!("sample_configs.rs");
    let emperor = include_str!("emperor/table.rs");
    for entry in fs::read_dir(paths::repository().join("configs")).expect("is there") {
        let entry = entry.expect("can be listed");
        let name = entry.file_name().into_string().expect("is ASCII");
        if entry.path().is_dir() {
            assert!(
                here.contains(&format!("kind, \"{name}\", "))
                    || emperor.contains(&format!("configs/{name}/")),
                "no test runs {name}"
            );
        }
    }
}
