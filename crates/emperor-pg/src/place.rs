//! A source as the operator writes it: `pg://` and what comes behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::password::Account;
use crate::rows::SECONDS;
use crate::settings::Settings;
use crate::tls::{Proof, Security};

/// What a place may take from the machine it is read on.
pub struct Here<'a> {
    /// The name of this host among those that share a table.
    pub host: &'a str,
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is such a file or directory.
    pub is_there: &'a dyn Fn(&Path) -> bool,
}

/// A table of vassals in some database, and how this host follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    shown: String,
    /// Everything but a password from the file, which may be another one each time.
    pub(crate) config: Config,
    pub(crate) security: Security,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) account: Account,
    pub(crate) table: Table,
    pub(crate) channel: String,
    /// The name of this host.
    pub(crate) node: String,
    pub(crate) share: Option<Sharing>,
    /// Where the last answer is kept.
    pub(crate) cache: Option<PathBuf>,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// A table or view, quoted for SQL.
    Named(String),
    /// A query of the operator's own, as uWSGI takes it behind a `;`.
    Query(String),
}

/// That each vassal runs on some of the hosts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// How many hosts run a vassal.
    pub(crate) copies: usize,
    /// For how long a host may say nothing before others take its place.
    pub(crate) grace: Duration,
    /// The table of hosts, quoted for SQL.
    pub(crate) hosts: String,
}

/// Settings of ours among libpq's.
const OWN: &str = "table, channel, share, hosts, grace, node, passfile, cache";

/// What libpq knows and what changes nothing here.
const WITHOUT_EFFECT: [&str; 3] = ["client_encoding", "fallback_application_name", "gssencmode"];

impl Place {
    /// Of `pg://[user[:password]@][host[:port]]/database[?name=value&...]`, or `pg://` and libpq's words, either with
    /// `;` and a query behind it.
    ///
    /// # Errors
    /// What is wrong and what to do, in a sentence without the password.
    pub fn parse(text: &str, here: &Here<'_>) -> Result<Self, String> {
        let text = text.strip_prefix("pg://").unwrap_or(text);
        let (connection, query) = match text.split_once(';') {
            Some((connection, query)) => (connection, Some(query.trim())),
            None => (text, None),
        };
        let mut settings = Settings::parse(connection)?;
        settings.add_environment(here.variable);
        let (mode, security) = security(&mut settings, here)?;
        let table = table(&mut settings, query.filter(|query| !query.is_empty()))?;
        let channel = channel(&mut settings, &table);
        let node = settings
            .take("node")
            .unwrap_or_else(|| here.host.to_owned());
        let share = sharing(&mut settings, &table)?;
        let cache = settings.take("cache").map(PathBuf::from);
        let password_file = password_file(&mut settings, here);
        let config = config(settings, mode, here)?;
        let account = account(&config);
        Ok(Self {
            shown: shown(&account, &table),
            config,
            security,
            password_file,
            account,
            table: table.1,
            channel,
            node,
            share,
            cache,
        })
    }

    /// It, without the password: for logs, statistics and titles.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl Table {
    /// What is sent to the database.
    pub(crate) fn query(&self) -> String {
        match self {
            Self::Named(table) => {
                format!("SELECT *, extract(epoch FROM ts) AS {SECONDS} FROM {table}")
            }
            Self::Query(query) => query.clone(),
        }
    }
}

/// libpq's modes: `prefer` takes what the server has, what comes after it must not be given less.
fn security(settings: &mut Settings, here: &Here<'_>) -> Result<(SslMode, Security), String> {
    let at_home = |name: &str| {
        let file = PathBuf::from((here.variable)("HOME")?)
            .join(".postgresql")
            .join(name);
        (here.is_there)(&file).then_some(file)
    };
    let mut file = |setting: &str, usual: &str| {
        settings
            .take(setting)
            .map(PathBuf::from)
            .or_else(|| at_home(usual))
    };
    let authorities = file("sslrootcert", "root.crt");
    let (certificate, key) = (
        file("sslcert", "postgresql.crt"),
        file("sslkey", "postgresql.key"),
    );
    let needed = |authorities: Option<PathBuf>| {
        authorities.ok_or(
            "to verify the server, name its authority with sslrootcert=FILE, or sslrootcert=system",
        )
    };
    let mode = settings.take("sslmode");
    let (mode, proof) = match mode.as_deref() {
        Some("disable" | "allow") => (SslMode::Disable, Proof::None),
        None | Some("prefer") => (SslMode::Prefer, Proof::None),
        // As in libpq, who names an authority wants it asked.
        Some("require") => (
            SslMode::Require,
            authorities.map_or(Proof::None, Proof::Signed),
        ),
        Some("verify-ca") => (SslMode::Require, Proof::Signed(needed(authorities)?)),
        Some("verify-full") => (SslMode::Require, Proof::SignedForHost(needed(authorities)?)),
        Some(_) => {
            return Err(
                "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full".into(),
            );
        }
    };
    let own = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("sslcert and sslkey are both needed, or neither".into()),
    };
    Ok((mode, Security { proof, own }))
}

/// The table as it is written, and for SQL.
type Named = (String, Table);

fn table(settings: &mut Settings, query: Option<&str>) -> Result<Named, String> {
    let name = settings.take("table");
    match (name, query) {
        (Some(_), Some(_)) => {
            Err("there is a table= and a query behind the ;: leave one of them out".into())
        }
        (None, Some(query)) => Ok(("vassals".into(), Table::Query(query.to_owned()))),
        (name, None) => {
            let name = name.unwrap_or_else(|| "vassals".into());
            let quoted = quoted_path(&name);
            Ok((name, Table::Named(quoted)))
        }
    }
}

/// Without a name it is the table's.
fn channel(settings: &mut Settings, (table, _): &Named) -> String {
    let of_table = || table.rsplit('.').next().unwrap_or(table).to_owned();
    settings.take("channel").unwrap_or_else(of_table)
}

fn sharing(settings: &mut Settings, (table, _): &Named) -> Result<Option<Sharing>, String> {
    let hosts = settings.take("hosts");
    let grace = settings.take("grace");
    let grace = match grace.as_deref().map(str::parse) {
        None => 30,
        Some(Ok(seconds @ 1..=86_400)) => seconds,
        Some(_) => return Err("grace is a number of seconds, 1 to 86400".into()),
    };
    let copies = match settings.take("share").as_deref() {
        None | Some("all") => return Ok(None),
        Some(text) => text.parse().ok().filter(|copies| *copies > 0),
    };
    Ok(Some(Sharing {
        copies: copies
            .ok_or("share is all, or the number of hosts that run a vassal, 1 or more")?,
        grace: Duration::from_secs(grace),
        hosts: quoted_path(&hosts.unwrap_or_else(|| format!("{table}_hosts"))),
    }))
}

fn password_file(settings: &mut Settings, here: &Here<'_>) -> Option<PathBuf> {
    let at_home = || Some(PathBuf::from((here.variable)("HOME")?).join(".pgpass"));
    settings
        .take("passfile")
        .map(PathBuf::from)
        .or_else(at_home)
}

fn config(mut settings: Settings, mode: SslMode, here: &Here<'_>) -> Result<Config, String> {
    for name in WITHOUT_EFFECT {
        settings.take(name);
    }
    let words = settings.to_words();
    let mut config: Config = words.parse().map_err(|error| {
        let reason = crate::trouble::root(&error);
        format!("{reason}; beside libpq's settings there are {OWN}")
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host(default_host(here));
    }
    // As in libpq nothing is encrypted inside one machine.
    let hosts = config.get_hosts();
    let local = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
    config.ssl_mode(match local {
        true => SslMode::Disable,
        false => mode,
    });
    if config.get_application_name().is_none() {
        config.application_name("uwgate emperor");
    }
    // The client's own is none, and 2 hours: too long for a database that has vanished.
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    if settings.look("keepalives_idle").is_none() {
        config.keepalives_idle(Duration::from_secs(30));
    }
    Ok(config)
}

/// Where a server of this machine listens: libpq has the directory compiled in, which differs from system to system.
fn default_host(here: &Here<'_>) -> &'static str {
    let directories = ["/run/postgresql", "/var/run/postgresql"];
    let found = directories
        .into_iter()
        .find(|it| (here.is_there)(Path::new(it)));
    found.unwrap_or("/tmp")
}

/// The first of several hosts stands for all of them.
fn account(config: &Config) -> Account {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(directory)) => directory.display().to_string(),
        None => config
            .get_hostaddrs()
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    let user = config.get_user().unwrap_or_default();
    Account {
        host,
        port: config.get_ports().first().unwrap_or(&5432).to_string(),
        database: config.get_dbname().unwrap_or(user).to_owned(),
        user: user.to_owned(),
    }
}

fn shown(account: &Account, (table, read): &Named) -> String {
    let Account {
        host,
        port,
        database,
        user,
    } = account;
    let user = match user.as_str() {
        "" => String::new(),
        user => format!("{user}@"),
    };
    let port = match port.as_str() {
        "5432" => String::new(),
        port => format!(":{port}"),
    };
    let what = match read {
        Table::Query(query) => format!(";{query}"),
        Table::Named(_) if table == "vassals" => String::new(),
        Table::Named(_) => format!("?table={table}"),
    };
    format!("pg://{user}{host}{port}/{database}{what}")
}

/// `schema.table` for SQL.
fn quoted_path(name: &str) -> String {
    let parts = name.split('.').map(quoted);
    parts.collect::<Vec<_>>().join(".")
}

/// An identifier for SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place, String> {
        let here = Here {
            host: "web1",
            variable: &|name| (name == "HOME").then(|| "/home/web".to_owned()),
            is_there: &|path| path == "/run/postgresql",
        };
        Place::parse(text, &here)
    }

    fn place(text: &str) -> Place {
        parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    #[test]
    fn a_url() {
        let place =
            place("pg://web:secret@db.example:5433/apps?table=host.apps&share=2&grace=5&node=x");
        assert_eq!(
            place.shown(),
            "pg://web@db.example:5433/apps?table=host.apps"
        );
        assert_eq!(place.config.get_password(), Some(&b"secret"[..]));
        assert_eq!(place.table, Table::Named("\"host\".\"apps\"".into()));
        assert_eq!((place.channel.as_str(), place.node.as_str()), ("apps", "x"));
        let share = place.share.expect("shared");
        assert_eq!((share.copies, share.grace.as_secs()), (2, 5));
        assert_eq!(share.hosts, "\"host\".\"apps_hosts\"");
    }

    #[test]
    fn as_uwsgi_has_it() {
        let place = place("pg://host=db.example user=web dbname=apps;SELECT name,config,ts FROM v");
        assert_eq!(
            place.shown(),
            "pg://web@db.example/apps;SELECT name,config,ts FROM v"
        );
        assert_eq!(place.table.query(), "SELECT name,config,ts FROM v");
        assert_eq!(place.channel, "vassals");
        assert_eq!(place.node, "web1");
    }

    #[test]
    fn little_is_needed() {
        let place = place("pg://dbname=apps");
        assert_eq!(place.account.host, "/run/postgresql");
        assert_eq!(place.password_file, Some("/home/web/.pgpass".into()));
        assert!(place.share.is_none());
    }

    #[test]
    fn modes_of_tls() {
        let of = |text: &str| {
            let place = place(text);
            (place.config.get_ssl_mode(), place.security.proof)
        };
        assert_eq!(of("pg://db/apps"), (SslMode::Prefer, Proof::None));
        assert_eq!(
            of("pg://db/apps?sslmode=require"),
            (SslMode::Require, Proof::None)
        );
        assert_eq!(
            of("pg://db/apps?sslmode=require&sslrootcert=/ca"),
            (SslMode::Require, Proof::Signed("/ca".into()))
        );
        assert_eq!(
            of("pg://db/apps?sslmode=verify-full&sslrootcert=system"),
            (SslMode::Require, Proof::SignedForHost("system".into()))
        );
        assert_eq!(of("pg://host=/run/pg sslmode=require").0, SslMode::Disable);
        for text in ["sslmode=verify-full", "sslmode=nonsense", "sslcert=/c"] {
            assert!(parse(&format!("pg://db/apps?{text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn mistakes_name_themselves_and_no_password() {
        for (text, word) in [
            ("pg://u:secret@db/apps?tabel=x", "tabel"),
            ("pg://u:secret@db/apps?share=0", "share"),
            ("pg://u:secret@db/apps?grace=soon", "grace"),
            ("pg://u:secret@db:port/apps", "port"),
            ("pg://password=secret host", "name=value"),
            ("pg://u:secret@db/apps?table=x;SELECT 1", "table="),
        ] {
            let problem = parse(text).expect_err(text);
            assert!(
                problem.contains(word) && !problem.contains("secret"),
                "{problem}"
            );
        }
    }
}
