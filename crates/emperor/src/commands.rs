//! `emperor-command-socket`: datagrams that say what a vassal is to do, in the form and with the words of uWSGI 2.1: a
//! uwsgi packet with the variables `cmd`, `vassal` and `msg`. Nothing is answered; the log tells what came of it.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram as Socket;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use uwgate_config::Located;
use uwgate_sys::process;

use crate::happenings::Happening;
use crate::spec::Name;

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// That a vassal starts.
    Spawn(Name),
    /// That it reloads.
    Respawn(Name),
    /// That it ends, and stays away.
    Stop(Name),
    /// A line in the log.
    Log(String),
}

/// The socket. Its file is gone when it is dropped.
pub(crate) struct CommandSocket {
    path: PathBuf,
    socket: Option<Socket>,
    task: Option<JoinHandle<()>>,
}

impl Drop for CommandSocket {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The longest that is read, as in uWSGI.
const LONGEST: usize = 4096;

impl CommandSocket {
    /// Only its owner may send: who may start and stop vassals may do much.
    ///
    /// # Errors
    /// One sentence: it cannot be bound.
    pub(crate) fn bind(
        asked: &Located<PathBuf>,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, String> {
        let path = asked.value.as_path();
        let explain = |error: &dyn std::fmt::Display| {
            let origin = &asked.origin;
            format!(
                "{origin}: emperor-command-socket = {}: {error}",
                path.display()
            )
        };
        if path.to_string_lossy().contains(':') || path.starts_with("@") {
            return Err(explain(
                &"it has to be the path of a unix socket: over the network anybody could send commands",
            ));
        }
        let socket = bind(path, owner).map_err(|error| explain(&error))?;
        tracing::info!(
            "*** Emperor command socket enabled on {} ***",
            path.display()
        );
        Ok(Self {
            path: path.to_owned(),
            socket: Some(socket),
            task: None,
        })
    }

    /// Passes on what comes from now on. Must be called in a runtime.
    pub(crate) fn serve(&mut self, sender: UnboundedSender<Happening>) -> io::Result<()> {
        let Some(socket) = self.socket.take() else {
            return Ok(());
        };
        socket.set_nonblocking(true)?;
        let socket = UnixDatagram::from_std(socket)?;
        self.task = Some(tokio::spawn(async move {
            let mut packet = vec![0; LONGEST];
            while let Ok(length) = socket.recv(&mut packet).await {
                let packet = packet.get(..length).unwrap_or_default();
                match read(packet) {
                    Ok(command) => drop(sender.send(Happening::Command(command))),
                    Err(problem) => tracing::warn!("[uwsgi-emperor] ERROR: {problem}"),
                }
            }
        }));
        Ok(())
    }
}

fn bind(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Socket> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::other(
                "it exists and is not a socket: move it away",
            ));
        }
        // One that a dead emperor has left refuses.
        if Socket::unbound()?.connect(path).is_ok() {
            return Err(io::Error::other("it is in use"));
        }
        std::fs::remove_file(path)?;
    }
    // No moment of a wider mode.
    let before = process::umask(0o177);
    let bound = Socket::bind(path);
    process::umask(before);
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    }
    bound
}

/// Reads one packet.
fn read(packet: &[u8]) -> Result<Command, String> {
    let variables = variables(packet).ok_or("that is no uwsgi packet")?;
    let find = |names: &[&str]| {
        let mut found = variables.iter().rev();
        let found = found.find(|(name, _)| names.contains(&name.as_str()));
        found
            .map(|(_, value)| value.as_str())
            .filter(|it| !it.is_empty())
    };
    let command = find(&["cmd", "command"]).ok_or("a command without `cmd`")?;
    let vassal = || {
        let name = find(&["vassal"]).map(Name::from);
        name.ok_or_else(|| format!("the \"{command}\" command requires a vassal name"))
    };
    match command {
        "spawn" => vassal().map(Command::Spawn),
        "respawn" => vassal().map(Command::Respawn),
        "stop" => vassal().map(Command::Stop),
        "log" => match find(&["msg"]) {
            Some(text) => Ok(Command::Log(text.to_owned())),
            None => Err("the \"log\" command requires a message".to_owned()),
        },
        other => Err(format!(
            "there is no command \"{other}\": spawn, respawn, stop or log"
        )),
    }
}

/// Names and values behind the four bytes of the header.
fn variables(packet: &[u8]) -> Option<Vec<(String, String)>> {
    let (header, mut rest) = packet.split_at_checked(4)?;
    let length = u16::from_le_bytes([*header.get(1)?, *header.get(2)?]);
    rest = rest.get(..length.into())?;
    let mut variables = Vec::new();
    while !rest.is_empty() {
        let (name, more) = text(rest)?;
        let (value, more) = text(more)?;
        variables.push((name, value));
        rest = more;
    }
    Some(variables)
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for text in pairs.iter().flat_map(|&(name, value)| [name, value]) {
            body.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
            body.extend(text.as_bytes());
        }
        let [low, high] = u16::try_from(body.len()).unwrap().to_le_bytes();
        [vec![0, low, high, 0], body].concat()
    }

    #[test]
    fn commands_are_uwsgis() {
        let ask = |pairs: &[(&str, &str)]| read(&packet(pairs));
        assert_eq!(
            ask(&[("cmd", "spawn"), ("vassal", "a.ini")]),
            Ok(Command::Spawn("a.ini".into()))
        );
        assert_eq!(
            ask(&[("vassal", "a.ini"), ("command", "stop")]),
            Ok(Command::Stop("a.ini".into()))
        );
        assert_eq!(
            ask(&[("cmd", "log"), ("msg", "x")]),
            Ok(Command::Log("x".into()))
        );
        for bad in [
            &[("cmd", "spawn")][..],
            &[("cmd", "dance"), ("vassal", "a.ini")],
            &[("vassal", "a.ini")],
            &[("cmd", "log")],
        ] {
            assert!(ask(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn half_a_packet_is_none() {
        let whole = packet(&[("cmd", "stop"), ("vassal", "a.ini")]);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
    }
}
