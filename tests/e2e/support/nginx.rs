//! A real nginx in front of the server, without root and in a directory of its own.

use std::path::Path;
use std::process::Command;

use super::address::Address;
use super::client::{Client, Request};
use super::paths::{system_program, there};
use super::process::Process;
use super::response::Response;
use super::temp::TempDir;
use super::wait::until;

/// A running nginx, stopped when it goes out of scope.
#[derive(Debug)]
pub struct Nginx {
    pub process: Process,
    pub http: Address,
    pub dir: TempDir,
}

impl Nginx {
    /// nginx's own file of uwsgi parameters, as its package installs it.
    pub const UWSGI_PARAMS: &'static str = "/etc/nginx/uwsgi_params";

    /// One upstream, everything passed to it.
    pub fn before(upstream: &Address) -> Self {
        Self::start(&format!("uwsgi_pass {};", Self::upstream(upstream)), "")
    }

    /// `location` is what stands in `location / { … }` beside the parameters; `http` what stands
    /// in `http { … }`, upstreams for example.
    pub fn start(location: &str, http: &str) -> Self {
        let program = system_program("nginx");
        there(Self::UWSGI_PARAMS.into());
        let dir = TempDir::new();
        let address = Address::free_port();
        let config = configuration(&dir, &address, location, http);
        let config = dir.write("nginx.conf", config);
        let mut command = Command::new(program);
        command.arg("-p").arg(&*dir).arg("-c").arg(config);
        command.arg("-e").arg(dir.join("error.log"));
        let mut nginx = Self {
            process: Process::start(command, &dir.join("output.log")),
            http: address,
            dir,
        };
        nginx.wait_until_ready();
        nginx
    }

    /// An address as `uwsgi_pass` wants it.
    pub fn upstream(address: &Address) -> String {
        match address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    pub fn send(&self, request: &Request) -> Response {
        Client::connect(&self.http).send(request)
    }

    pub fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    /// What nginx wrote into its error log.
    pub fn error_log(&self) -> String {
        std::fs::read_to_string(self.dir.join("error.log")).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) {
        until("nginx to listen", || {
            if let Some(status) = self.process.try_wait() {
                panic!("nginx ended at once, {status}: {}", self.error_log());
            }
            self.http.connect().ok()
        });
    }
}

fn configuration(dir: &Path, address: &Address, location: &str, http: &str) -> String {
    // Without it nginx's workers become nobody, who may not enter our directory.
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let dir = dir.display();
    let params = Nginx::UWSGI_PARAMS;
    format!(
        "{user}
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    scgi_temp_path {dir}/scgi;
    uwsgi_temp_path {dir}/uwsgi;
    {http}
    server {{
        listen {address};
        server_name test.example;
        location / {{
            include {params};
            {location}
        }}
    }}
}}
"
    )
}
