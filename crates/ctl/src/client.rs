//! A conversation with an emperor.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::protocol::{LONGEST_LINE, Reply, Request};

/// An emperor answers at once. One that does not is stopped, or its machine is on its knees.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answers to one request.
pub(crate) struct Answers {
    reader: BufReader<UnixStream>,
}

/// Asks the emperor behind `socket`.
pub(crate) fn ask(socket: &Path, request: &Request) -> Result<Answers, String> {
    let stream = UnixStream::connect(socket).map_err(|error| nobody(socket, &error))?;
    let said = say(&stream, request);
    said.map_err(|error| {
        format!(
            "the emperor at {} does not listen: {error}",
            socket.display()
        )
    })?;
    Ok(Answers {
        reader: BufReader::new(stream),
    })
}

fn say(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn nobody(socket: &Path, error: &io::Error) -> String {
    let shown = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "no emperor has its control socket at {shown}; name it with --socket, as its option `emperor-control-socket` does"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!(
                "the emperor of {shown} is gone: its control socket is there, but nobody listens"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("{shown} belongs to somebody else: ask as the user that the emperor runs as")
        }
        _ => format!("{shown}: {error}"),
    }
}

impl Answers {
    /// The only answer.
    pub(crate) fn one(mut self) -> Result<Reply, String> {
        self.next()?
            .ok_or_else(|| "the emperor has hung up without an answer".to_owned())
    }

    /// The next answer, `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, String> {
        let mut line = Vec::new();
        let longest = LONGEST_LINE as u64;
        let mut bounded = (&mut self.reader).take(longest);
        match bounded.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(format!("the emperor has not answered in {PATIENCE:?}"));
            }
            Err(error) => return Err(format!("the emperor's answer breaks off: {error}")),
        }
        serde_json::from_slice(&line).map(Some).map_err(|error| {
            format!("the emperor's answer is not understood ({error}); is it of another version?")
        })
    }

    /// Waits for answers as long as it takes.
    pub(crate) fn wait_for_ever(&self) -> Result<(), String> {
        let unlimited = self.reader.get_ref().set_read_timeout(None);
        unlimited.map_err(|error| error.to_string())
    }
}
