//! A real Apache with mod_proxy_uwsgi in front of the server.

use std::path::Path;
use std::process::Command;

use super::address::Address;
use super::client::{Client, Request};
use super::paths::{system_program, there};
use super::process::Process;
use super::response::Response;
use super::temp::TempDir;
use super::wait::until;

const MODULES: &str = "/usr/lib/apache2/modules";

/// A running Apache, stopped when it goes out of scope.
#[derive(Debug)]
pub struct Apache {
    process: Process,
    http: Address,
    dir: TempDir,
}

impl Apache {
    /// Everything below `/` goes to the upstream.
    pub fn before(upstream: &Address) -> Self {
        let program = system_program("apache2");
        let dir = TempDir::new();
        let http = Address::free_port();
        let config = dir.write("apache.conf", configuration(&dir, &http, upstream));
        let mut command = Command::new(program);
        command.arg("-d").arg(&*dir).arg("-f").arg(config);
        command.arg("-DFOREGROUND");
        let mut apache = Self {
            process: Process::start(command, &dir.join("output.log")),
            http,
            dir,
        };
        apache.wait_until_ready();
        apache
    }

    pub fn send(&self, request: &Request) -> Response {
        Client::connect(&self.http).send(request)
    }

    fn wait_until_ready(&mut self) {
        until("Apache to listen", || {
            if let Some(status) = self.process.try_wait() {
                let log = std::fs::read_to_string(self.dir.join("error.log"));
                panic!("Apache ended at once, {status}: {log:?}");
            }
            self.http.connect().ok()
        });
    }
}

fn configuration(dir: &Path, http: &Address, upstream: &Address) -> String {
    let modules: String = ["mpm_event", "authz_core", "proxy", "proxy_uwsgi"]
        .map(|name| {
            let file = there(format!("{MODULES}/mod_{name}.so").into());
            format!("LoadModule {name}_module {}\n", file.display())
        })
        .concat();
    let target = match upstream {
        Address::Tcp(address) => format!("uwsgi://{address}/"),
        Address::Unix(path) => format!("unix:{}|uwsgi://localhost/", path.display()),
    };
    // Apache refuses to serve as root.
    let user = if rustix::process::geteuid().is_root() {
        "User nobody\nGroup nogroup"
    } else {
        ""
    };
    let dir = dir.display();
    format!(
        "{modules}
{user}
Listen {http}
ServerName test.example
PidFile {dir}/apache.pid
ErrorLog {dir}/error.log
DefaultRuntimeDir {dir}
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
ProxyPass / {target}
"
    )
}
