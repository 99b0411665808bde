//! A real PostgreSQL of our own: a cluster in a fresh directory, reached by a unix socket in it and by nothing else.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::temp::TempDir;
use super::wait::PATIENCE;

/// Ends the server when nobody holds its input any more: also after a test that was killed. `$REMOVE` is a directory
/// that goes with it.
const KEEPER: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -QUIT $server; } 2>/dev/null &
wait $server
[ -z "$REMOVE" ] || rm -rf "$REMOVE"
"#;

/// A server, ended when it goes out of scope.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    keeper: Option<Child>,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    port: u16,
    /// Nobody will drop it.
    for_ever: bool,
}

impl Postgres {
    /// A fresh cluster. Its superuser `postgres` needs no password, all others do.
    pub fn start() -> Self {
        Self::make(false)
    }

    /// One that may live in a `static`: it ends with the process of the tests.
    pub fn for_ever() -> Self {
        Self::make(true)
    }

    fn make(for_ever: bool) -> Self {
        let dir = TempDir::new();
        let user = other_user();
        if let Some((uid, gid)) = user {
            chown(&*dir, Some(uid), Some(gid)).expect("root gives directories away");
        }
        let mut postgres = Self {
            dir,
            keeper: None,
            user,
            settings: vec!["listen_addresses=".to_owned()],
            port: 5432,
            for_ever,
        };
        postgres.initialize();
        postgres.start_again();
        postgres
    }

    fn initialize(&self) {
        let mut initdb = self.command("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--no-instructions", "-D"]);
        initdb.arg(self.data());
        expect_success("initdb", &initdb.output());
        let rules = "local all postgres trust\nlocal all all scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rules).expect("the cluster is there");
    }

    /// Ends the server at once, as a crash does.
    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().expect("a child of this process");
        }
    }

    /// Starts it on what is there, until it answers.
    pub fn start_again(&mut self) {
        let mut command = self.command("sh");
        command
            .args(["-c", KEEPER, "keeper"])
            .arg(program("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.socket_directory());
        for setting in [
            "fsync=off",
            "max_connections=60",
            "shared_buffers=8MB",
            "wal_level=minimal",
            "max_wal_senders=0",
            "autovacuum=off",
            "jit=off",
        ] {
            command.arg("-c").arg(setting);
        }
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        if self.for_ever {
            command.env("REMOVE", &*self.dir);
        }
        let log = fs::File::create(self.dir.join("server.log")).expect("a fresh directory");
        let errors = log.try_clone().expect("a file");
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        let mut keeper = command.spawn().expect("sh is there");
        let deadline = Instant::now() + PATIENCE;
        while let Err(problem) = self.psql("postgres", "SELECT 1") {
            let alive = keeper.try_wait().expect("a child").is_none();
            let log = || fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
            assert!(
                alive && Instant::now() < deadline,
                "{problem}; its log: {}",
                log()
            );
            thread::sleep(Duration::from_millis(10));
        }
        self.keeper = Some(keeper);
    }

    /// A new database.
    pub fn database(&self, name: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
    }

    /// Listens on a port of the loopback as well, with TLS only: its certificate is for `localhost` and signed by what
    /// is returned as a file.
    pub fn with_tls(&mut self, port: u16) -> PathBuf {
        self.stop();
        let dir = self.dir.to_path_buf();
        let certificate = |name: &str| dir.join(name);
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ]);
        openssl.args(["-nodes", "-days", "2", "-subj", "/CN=localhost"]);
        openssl.args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        openssl
            .arg("-keyout")
            .arg(certificate("key.pem"))
            .arg("-out")
            .arg(certificate("cert.pem"));
        expect_success("openssl", &openssl.output());
        if let Some((uid, gid)) = self.user {
            chown(certificate("key.pem"), Some(uid), Some(gid)).expect("root gives files away");
        }
        let rules = "local all postgres trust\nhostssl all all all scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rules).expect("the cluster is there");
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate("cert.pem").display()),
            format!("ssl_key_file={}", certificate("key.pem").display()),
        ] {
            self.settings.push(setting);
        }
        self.port = port;
        self.start_again();
        certificate("cert.pem")
    }

    /// Runs SQL as the superuser and returns what it prints, cells separated by `|`.
    pub fn sql(&self, database: &str, text: &str) -> String {
        self.psql(database, text)
            .unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    /// Runs a file of SQL.
    pub fn run(&self, database: &str, file: &Path) {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.sql(database, &text);
    }

    /// Where its socket is: `host` for libpq.
    pub fn socket_directory(&self) -> &Path {
        &self.dir
    }

    fn psql(&self, database: &str, text: &str) -> Result<String, String> {
        let mut psql = Command::new(program("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
        ]);
        psql.arg(self.socket_directory())
            .args(["-p", &self.port.to_string()])
            .args(["-d", database, "-c", text]);
        let output = psql.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        // The directory of the test may be closed to the user of the server.
        command.current_dir(&*self.dir).env_remove("PGDATA");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// PostgreSQL refuses to run as root: then it is the user that its package brings, or nobody.
fn other_user() -> Option<(u32, u32)> {
    let ours = fs::metadata("/proc/self").expect("procfs is there").uid();
    if ours != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        let line = accounts
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    of("postgres")
        .or_else(|| of("nobody"))
        .or(Some((65534, 65534)))
}

/// A program of PostgreSQL: Debian keeps the server's off `PATH`, one directory for each version.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
    versions.sort();
    let there = versions
        .into_iter()
        .rev()
        .map(|version| version.join("bin").join(name));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let on_path = on_path.into_iter().map(|directory| directory.join(name));
    there
        .chain(on_path)
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tests/setup.sh"))
}

fn expect_success(what: &str, output: &io::Result<Output>) {
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{what}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{what}: {error}"),
    }
}
