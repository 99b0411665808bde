//! `emperor-stats`: the state of the emperor as uWSGI's JSON.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use uwgate_config::{Address, Located, Options};
use uwgate_sys::listener::{self, Bind};

use crate::happenings::Happening;
use crate::listen::{Client, PATIENCE, Served};
use crate::snapshot::{Snapshot, VassalView};

/// A stats socket.
pub(crate) struct Server(Served);

impl Server {
    /// # Errors
    /// One sentence: it cannot be bound.
    pub(crate) fn bind(
        asked: &Located<Address>,
        options: &Options,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, String> {
        let explain = |error: io::Error| {
            format!(
                "{}: cannot serve the emperor's statistics on {}: {error}",
                asked.origin, asked.value
            )
        };
        let address = uwgate_server::listen::resolve(&asked.value).map_err(explain)?;
        let how = Bind {
            chmod: options.sockets.chmod_socket,
            owner,
            ..Bind::default()
        };
        let listener = listener::bind(&address, &how).map_err(explain)?;
        tracing::info!(
            "*** Emperor stats server enabled on {} ***",
            listener.address
        );
        Ok(Self(Served::new(listener)))
    }

    /// Answers from now on.
    pub(crate) fn serve(&mut self, sender: &UnboundedSender<Happening>) -> io::Result<()> {
        let sender = sender.clone();
        self.0.serve(PATIENCE, move |client| {
            let sender = sender.clone();
            async move {
                // A client that leaves in the middle is not worth a line.
                let _ = answer(client, &sender).await;
            }
        })
    }
}

async fn answer(client: Client, sender: &UnboundedSender<Happening>) -> io::Result<()> {
    let (reply, snapshot) = oneshot::channel();
    let _ = sender.send(Happening::Stats(reply));
    let text = render(&snapshot.await.map_err(io::Error::other)?);
    match client {
        Client::Tcp(mut client) => {
            client.write_all(&text).await?;
            client.shutdown().await
        }
        Client::Unix(mut client) => {
            client.write_all(&text).await?;
            client.shutdown().await
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    version: &'a str,
    pid: i32,
    uid: u32,
    gid: u32,
    cwd: String,
    emperor: &'a [String],
    emperor_tyrant: u8,
    throttle_level: u64,
    vassals: Vec<Vassal<'a>>,
    blacklist: Vec<Blacklisted<'a>>,
}

#[derive(Serialize)]
struct Vassal<'a> {
    id: &'a str,
    pid: i32,
    born: u64,
    last_mod: u64,
    last_heartbeat: u64,
    loyal: u8,
    ready: u8,
    accepting: u8,
    last_loyal: u64,
    last_ready: u64,
    last_accepting: u64,
    first_run: u64,
    last_run: u64,
    cursed: u64,
    zerg: u8,
    on_demand: &'a str,
    uid: u32,
    gid: u32,
    monitor: &'a str,
    respawns: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attrs: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Blacklisted<'a> {
    id: &'a str,
    throttle_level: u64,
    attempt: u32,
    first_attempt: u64,
    last_attempt: u64,
}

impl<'a> From<&'a VassalView> for Vassal<'a> {
    fn from(it: &'a VassalView) -> Self {
        let (uid, gid) = it.owner.unwrap_or_default();
        Self {
            id: &it.name,
            pid: if it.pid == 0 { -1 } else { it.pid },
            born: it.first_run,
            last_mod: it.last_mod,
            last_heartbeat: it.last_heartbeat,
            loyal: u8::from(it.last_loyal > 0),
            ready: u8::from(it.last_ready > 0),
            accepting: u8::from(it.last_accepting > 0),
            last_loyal: it.last_loyal,
            last_ready: it.last_ready,
            last_accepting: it.last_accepting,
            first_run: it.first_run,
            last_run: it.since,
            cursed: if it.failures > 0 && it.pid == 0 {
                it.reason_at
            } else {
                0
            },
            zerg: 0,
            on_demand: &it.on_demand,
            uid,
            gid,
            monitor: &it.source,
            respawns: it.respawns,
            attrs: attrs(&it.attributes),
        }
    }
}

/// As in uWSGI, of one that is given several times the first counts.
fn attrs(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    let latest_first = pairs.iter().rev();
    latest_first
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

impl<'a> From<&'a VassalView> for Blacklisted<'a> {
    fn from(it: &'a VassalView) -> Self {
        Self {
            id: &it.name,
            throttle_level: it.throttle,
            attempt: it.failures,
            first_attempt: it.first_run,
            last_attempt: it.reason_at,
        }
    }
}

/// The version is uWSGI's whose form this is, as programs look at it.
fn render(snapshot: &Snapshot) -> Vec<u8> {
    let failing = snapshot.vassals.iter().filter(|it| it.failures > 0);
    let page = Page {
        version: &snapshot.version,
        pid: snapshot.pid,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        cwd: std::env::current_dir()
            .map_or_else(|_| String::new(), |it| it.to_string_lossy().into_owned()),
        emperor: &snapshot.sources,
        emperor_tyrant: u8::from(snapshot.vassals.iter().any(|it| it.owner.is_some())),
        throttle_level: failing.clone().map(|it| it.throttle).max().unwrap_or(0),
        vassals: snapshot.vassals.iter().map(Vassal::from).collect(),
        blacklist: failing.map(Blacklisted::from).collect(),
    };
    let mut text = Vec::new();
    let form = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, form);
    // Writing numbers and texts to memory cannot fail.
    let _ = page.serialize(&mut serializer);
    text
}
