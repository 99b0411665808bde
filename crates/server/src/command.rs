//! Commands to an instance that runs already: `--reload PIDFILE`, `--ping ADDRESS` and the like.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use uwgate_config::command::{Command, Order};
use uwgate_sys::connect::{Stream, connect};
use uwgate_sys::process::{self, Pid, Signal};
use uwsgi_codec::{HEADER_LEN, Header, ping};

use crate::listen::resolve;

/// The exit codes, which are uWSGI's.
const DONE: u8 = 0;
/// There is nobody, or nobody who answers.
const NO_ANSWER: u8 = 1;
/// Somebody answers, but not that all is well.
const NOT_WELL: u8 = 2;

/// Does what is asked and returns the exit code. What a socket sends goes to `out`, what went wrong to stderr.
pub fn run(command: &Command, out: &mut impl Write) -> u8 {
    match command {
        Command::Tell { order, pidfile } => complete(tell(*order, pidfile)),
        Command::Ping { address, patience } => ask(address, *patience),
        Command::ConnectAndRead { address } => {
            let read = connect_and_read(address, out);
            complete(read.map_err(|error| format!("{address}: {error}")))
        }
    }
}

fn complete(result: Result<(), String>) -> u8 {
    match result {
        Ok(()) => DONE,
        Err(problem) => {
            eprintln!("{problem}");
            NO_ANSWER
        }
    }
}

fn tell(order: Order, pidfile: &Path) -> Result<(), String> {
    let shown = pidfile.display();
    let text = fs::read_to_string(pidfile).map_err(|error| format!("{shown}: {error}"))?;
    let pid = pid_in(&text).ok_or_else(|| {
        format!(
            "{shown} holds no process id but {:?}",
            text.chars().take(40).collect::<String>()
        )
    })?;
    let signal = signal_of(order);
    if let Some(stranger) = stranger(pid) {
        return Err(format!(
            "{shown} is stale: process {pid} is no instance but {stranger}. Remove the file; if it is an instance \
             after all: kill -{} {pid}",
            signal.as_raw()
        ));
    }
    process::kill(pid, signal).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "it belongs to another user; ask as that user or as root"
            }
            _ if !process::exists(pid) => {
                "there is no such process: the instance has ended, the file is stale"
            }
            _ => return format!("{shown}: cannot signal process {pid}: {error}"),
        };
        format!("{shown}: cannot signal process {pid}: {why}")
    })
}

/// A pidfile holds one number; uWSGI would take anything else for 0, which is everybody in the process group.
fn pid_in(text: &str) -> Option<Pid> {
    let digits = text.trim();
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok().and_then(Pid::from_raw))?
}

fn signal_of(order: Order) -> Signal {
    match order {
        Order::Reload => Signal::HUP,
        Order::Stop => Signal::INT,
        Order::TogglePause => Signal::TSTP,
    }
}

/// The program of a process that is certainly neither an instance of ours nor one of uWSGI: its number was given away
/// again after the instance had ended. What cannot be read is nobody's stranger.
fn stranger(pid: Pid) -> Option<String> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = exe.file_name()?.to_string_lossy().into_owned();
    if is_server(&name) || fs::read_link("/proc/self/exe").is_ok_and(|own| own == exe) {
        return None;
    }
    // Without a master the instance is a Python, which names us in its command line.
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (!is_server(&String::from_utf8_lossy(&line))).then(|| exe.display().to_string())
}

fn is_server(name: &str) -> bool {
    name.contains("uwgate") || name.contains("uwsgi")
}

fn ask(address: &uwgate_config::Address, patience: Duration) -> u8 {
    match sign_of_life(address, patience) {
        Ok(warning) if warning.is_empty() => DONE,
        Ok(warning) => {
            eprintln!("[WARNING] {}", String::from_utf8_lossy(&warning));
            NOT_WELL
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            eprintln!("{address}: {error}");
            NOT_WELL
        }
        Err(error) => {
            eprintln!("{address}: {error}");
            NO_ANSWER
        }
    }
}

/// The warning in the answer to a ping, which is empty when all is well. `patience` is for all of it.
fn sign_of_life(address: &uwgate_config::Address, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let mut stream = connect(&resolve(address)?, patience)?;
    stream.write_all(&ping::REQUEST)?;
    let mut head = [0; HEADER_LEN];
    read_all(&mut stream, &mut head, deadline)?;
    let header = Header::parse(head);
    if !ping::is_request(&header) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is not that of a uwsgi socket",
        ));
    }
    let mut warning = vec![0; header.datasize.into()];
    read_all(&mut stream, &mut warning, deadline)?;
    Ok(warning)
}

fn read_all(stream: &mut Stream, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let read = match stream.read(buffer) {
            Ok(0) => {
                return Err(io::Error::other(
                    "the connection was closed without an answer",
                ));
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
            }
            Err(error) => return Err(error),
        };
        buffer = &mut buffer[read..];
    }
    Ok(())
}

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(3);

fn connect_and_read(address: &uwgate_config::Address, out: &mut impl Write) -> io::Result<()> {
    let mut stream = connect(&resolve(address)?, PATIENCE)?;
    io::copy(&mut stream, out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_is_one_number() {
        for (text, pid) in [
            ("17\n", Some(17)),
            (" 17", Some(17)),
            ("", None),
            ("0\n", None),
            ("-1\n", None),
            ("+5", None),
            ("abc", None),
            ("17 18", None),
            ("99999999999", None),
        ] {
            assert_eq!(pid_in(text).map(Pid::as_raw), pid, "{text:?}");
        }
    }

    #[test]
    fn only_another_program_is_a_stranger() {
        assert_eq!(stranger(process::this()), None);
        let mut sleep = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(sleep.id())
            .ok()
            .and_then(Pid::from_raw)
            .unwrap();
        // Until it has executed its program it is still a copy of us.
        let found = (0..1000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(2));
            stranger(pid)
        });
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert!(found.is_some());
    }
}
