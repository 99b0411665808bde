//! Vassals that are rows of a PostgreSQL table, under one emperor and under several.

use std::fs;

use rustix::process::Signal;

use super::{APP, Kind, PATIENCE, Realm, until_true};
use crate::support::install::Installed;
use crate::support::postgres::Postgres;
use crate::support::process::Process;
use crate::support::{Address, TempDir, paths};

/// A database with the sample's tables, and emperors that follow it.
struct Table {
    emperors: Vec<Process>,
    dir: TempDir,
    /// What runs as emperor, if it is not the binary under test.
    program: Option<std::path::PathBuf>,
    server: Postgres,
}

impl Table {
    fn new() -> Self {
        let (server, dir) = (Postgres::start(), TempDir::new());
        dir.write("app.py", APP);
        server.database("apps");
        server.run(
            "apps",
            &paths::repository().join("configs/postgres/vassals.sql"),
        );
        server.sql("apps", "CREATE USER emperor PASSWORD 'se:cret'; GRANT SELECT ON vassals, vassals_hosts TO emperor; GRANT INSERT, UPDATE (seen) ON vassals_hosts TO emperor");
        Self {
            emperors: Vec::new(),
            dir,
            program: None,
            server,
        }
    }

    /// Starts the emperor of the sample as it stands, on this machine.
    fn sample(&mut self) {
        let passwords = self
            .dir
            .write("pgpass", "localhost:5432:apps:emperor:se\\:cret\n");
        let private: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&passwords, private).expect("it is ours");
        let mut command = Kind::Uwgate.command();
        command
            .arg("--ini")
            .arg(paths::repository().join("configs/postgres/emperor.ini"));
        command.current_dir(&*self.dir).env("NODE", "web1");
        command
            .env("PGHOST", self.server.socket_directory())
            .env("PGPASSFILE", passwords);
        let process = Process::start(command, &self.dir.join("web1.log"));
        self.emperors.push(process);
    }

    /// Starts an emperor on a host of that name, whose vassals are started by `vassals`.
    fn emperor(&mut self, host: &str, vassals: Kind, more: &str) {
        let socket = self
            .server
            .socket_directory()
            .display()
            .to_string()
            .replace('/', "%2F");
        let config = self.dir.write(
            &format!("{host}.ini"),
            format!(
                "[uwsgi]\nemperor = pg://emperor:se%3Acret@{socket}/apps?node={host}{more}\n\
                 emperor-freq = 3600\nemperor-stats = {}\n",
                self.dir.join(format!("{host}.stats")).display()
            )
            .replace("%2F", "%%2F")
            .replace("%3A", "%%3A"),
        );
        let mut command = match &self.program {
            Some(program) => std::process::Command::new(program),
            None => Kind::Uwgate.command(),
        };
        command.arg("--ini").arg(config).current_dir(&*self.dir);
        command.env("UWSGI_VASSAL_HOST", host).env("NODE", host);
        if vassals != Kind::Uwgate {
            command.arg("--emperor-wrapper").arg(vassals.program());
        }
        let log = self.dir.join(format!("{host}.log"));
        self.emperors.push(Process::start(command, &log));
    }

    fn sql(&self, text: &str) -> String {
        self.server.sql("apps", text)
    }

    /// A vassal that answers with `version` on one socket for each host.
    fn config(&self, name: &str, version: &str) -> String {
        let dir = self.dir.display();
        format!(
            "[uwsgi]\nhttp-socket = {dir}/$(NODE)-{name}.sock\nmaster = true\nneed-app = true\n\
             wsgi-file = {dir}/app.py\nenv = VERSION={version}\n"
        )
    }

    fn add(&self, name: &str, version: &str) {
        let config = self.config(name, version);
        self.sql(&format!(
            "INSERT INTO vassals (name, config) VALUES ('{name}', '{config}') \
             ON CONFLICT (name) DO UPDATE SET config = '{config}'"
        ));
    }

    fn answer(&self, host: &str, name: &str) -> Option<String> {
        let address = Address::Unix(self.dir.join(format!("{host}-{name}.sock")));
        super::ask(&address)
    }

    fn wait_for_version(&self, host: &str, name: &str, version: &str) {
        until_true(
            &format!("version {version} of {name} on {host}: {}", self.log(host)),
            || {
                self.answer(host, name)
                    .is_some_and(|text| text.starts_with(&format!("{version} ")))
            },
        );
    }

    fn wait_for_end(&self, host: &str, name: &str) {
        until_true(&format!("the end of {name} on {host}"), || {
            self.answer(host, name).is_none()
        });
    }

    fn log(&self, host: &str) -> String {
        fs::read_to_string(self.dir.join(format!("{host}.log"))).unwrap_or_default()
    }

    fn wait_for_log(&self, host: &str, text: &str) {
        until_true(&format!("{text:?} in the log of {host}"), || {
            self.log(host).contains(text)
        });
    }
}

#[test]
fn the_sample_runs_as_it_stands() {
    let mut table = Table::new();
    table.sample();
    table.add("a.ini", "1");
    table.wait_for_version("web1", "a.ini", "1");
}

fn lives_and_ends(vassals: Kind) {
    let mut table = Table::new();
    table.emperor("web1", vassals, "");
    table.add("a.ini", "1");
    table.wait_for_version("web1", "a.ini", "1");
    table.add("a.ini", "2");
    table.wait_for_version("web1", "a.ini", "2");
    table.add("a.ini", "3");
    table.wait_for_version("web1", "a.ini", "3");
    table.sql("UPDATE vassals SET enabled = false");
    table.wait_for_end("web1", "a.ini");
    table.sql("UPDATE vassals SET enabled = true");
    table.wait_for_version("web1", "a.ini", "3");
    table.sql("DELETE FROM vassals");
    table.wait_for_end("web1", "a.ini");
}

#[test]
fn a_row_makes_changes_and_ends_a_vassal() {
    lives_and_ends(Kind::Uwgate);
}

#[test]
fn a_row_makes_changes_and_ends_a_real_uwsgi() {
    lives_and_ends(Kind::Uwsgi);
}

#[test]
fn two_emperors_run_the_same_rows() {
    let mut table = Table::new();
    table.add("a.ini", "1");
    for host in ["web1", "web2"] {
        table.emperor(host, Kind::Uwgate, "");
    }
    for host in ["web1", "web2"] {
        table.wait_for_version(host, "a.ini", "1");
    }
    table.add("a.ini", "2");
    for host in ["web1", "web2"] {
        table.wait_for_version(host, "a.ini", "2");
    }
    table.sql("UPDATE vassals SET hosts = '{web2}'");
    table.wait_for_end("web1", "a.ini");
    table.wait_for_version("web2", "a.ini", "2");
}

#[test]
fn two_emperors_share_and_one_takes_over_from_the_other() {
    let mut table = Table::new();
    let names = ["a.ini", "b.ini", "c.ini", "d.ini", "e.ini", "f.ini"];
    names.iter().for_each(|name| table.add(name, "1"));
    for host in ["web1", "web2"] {
        table.emperor(host, Kind::Uwgate, "&share=1&grace=2");
    }
    let runs = |host: &str, name: &str| table.answer(host, name).is_some();
    until_true("each vassal on one host, and both hosts in use", || {
        let on = |host: &str| names.iter().filter(|name| runs(host, name)).count();
        let once = names
            .iter()
            .all(|name| runs("web1", name) != runs("web2", name));
        once && on("web1") > 0 && on("web2") > 0
    });
    drop(table.emperors.pop());
    for name in names {
        table.wait_for_version("web1", name, "1");
    }
}

#[test]
fn a_database_that_is_away_disturbs_no_vassal() {
    let mut table = Table::new();
    table.add("a.ini", "1");
    table.emperor("web1", Kind::Uwgate, "");
    table.wait_for_version("web1", "a.ini", "1");
    let before = table.answer("web1", "a.ini");
    table.server.stop();
    table.wait_for_log("web1", "vassals run on as they are");
    assert_eq!(table.answer("web1", "a.ini"), before);
    table.server.start_again();
    table.wait_for_log("web1", "the database is back, 1 vassals");
    assert_eq!(table.answer("web1", "a.ini"), before, "the same process");
    table.add("a.ini", "2");
    table.wait_for_version("web1", "a.ini", "2");
}

#[test]
fn an_upgrade_while_the_database_is_away_keeps_the_vassals() {
    let (mut table, installed) = (Table::new(), Installed::new(Kind::Uwgate));
    table.program = Some(installed.program());
    table.add("a.ini", "1");
    table.emperor("web1", Kind::Uwgate, "");
    table.wait_for_version("web1", "a.ini", "1");
    table.server.stop();
    table.wait_for_log("web1", "vassals run on as they are");
    installed.upgrade();
    table.emperors[0].signal(Signal::HUP);
    table.wait_for_log("web1", "no vassal is started before it has answered once");
    table.wait_for_version("web1", "a.ini", "1");
    table.server.start_again();
    table.wait_for_log("web1", "the database is back, 1 vassals");
    table.wait_for_version("web1", "a.ini", "1");
    assert!(!table.log("web1").contains("stop the uwsgi instance"));
    table.add("a.ini", "2");
    table.wait_for_version("web1", "a.ini", "2");
}

#[test]
fn an_emperor_starts_before_its_database() {
    let mut table = Table::new();
    table.server.stop();
    table.emperor("web1", Kind::Uwgate, "");
    table.wait_for_log("web1", "the database cannot be reached");
    table.server.start_again();
    table.add("a.ini", "1");
    table.wait_for_version("web1", "a.ini", "1");
}

#[test]
fn one_bad_row_leaves_the_others_alone_and_is_named() {
    let mut table = Table::new();
    table.emperor("web1", Kind::Uwgate, "");
    table.add("a.ini", "1");
    table.sql("INSERT INTO vassals (name, config) VALUES ('bad.ini', '[uwsgi]\nprocesses = many'), ('long.ini', repeat('#', 70000)), ('nobody.ini', '')");
    table.sql("UPDATE vassals SET uid = 'no such user' WHERE name = 'nobody.ini'");
    table.wait_for_log("web1", "emperor://bad.ini:2");
    table.wait_for_log("web1", "long.ini: its config is longer than 65535 bytes");
    table.wait_for_log("web1", "nobody.ini: ");
    table.wait_for_version("web1", "a.ini", "1");
}

#[test]
fn a_row_may_say_who_its_vassal_runs_as() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut table = Table::new();
    let open: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&*table.dir, open).expect("it is ours");
    table.emperor("web1", Kind::Uwgate, "\nemperor-tyrant = true");
    table.add("root.ini", "1");
    table.wait_for_log("web1", "root.ini: it has no uid");
    let config = table.config("a.ini", "1");
    table.sql(&format!("INSERT INTO vassals (name, config, uid, gid) VALUES ('a.ini', '{config}', 'www-data', '34')"));
    table.wait_for_version("web1", "a.ini", "1");
    table.wait_for_log("web1", "dropping privileges to 33 34 for instance a.ini");
    let socket = table.dir.join("web1-a.ini.sock");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(socket).expect("it listens"));
    assert_eq!(owner, 33);
    assert!(table.answer("web1", "root.ini").is_none());
}

#[test]
fn the_password_is_shown_nowhere() {
    let mut table = Table::new();
    table.emperor("web1", Kind::Uwgate, "");
    table.wait_for_log("web1", "connected, 0 vassals");
    assert!(table.log("web1").contains("pg://emperor@"));
    let stats = Address::Unix(table.dir.join("web1.stats"));
    let mut stats = stats.connect().expect("it serves statistics");
    stats.set_timeout(PATIENCE).expect("a socket");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stats, &mut text).expect("text");
    assert!(text.contains("pg://emperor@"), "{text}");
    assert!(!text.contains("cret") && !table.log("web1").contains("cret"));
}

#[test]
fn what_cannot_be_is_refused_at_start() {
    for (place, says) in [
        ("pg://u:secret@db/apps?tabel=x", "tabel"),
        ("pg://u:secret@db/apps?sslmode=verify-full", "sslrootcert"),
        ("pg://u:secret@db/apps?share=none", "share is all"),
        ("postgresql://u:secret@db/apps?tabel=x", "tabel"),
    ] {
        let mut emperor = Realm::ours().option("emperor", place).start();
        assert_eq!(emperor.process.wait().code(), Some(1));
        let log = emperor.log();
        assert!(log.contains(says) && !log.contains("secret"), "{log}");
    }
}
