//! From options to open destinations.

use std::os::fd::OwnedFd;
use std::path::Path;

use uwgate_config::options::{Log, LogTo, Sink as SinkOption};
use uwgate_config::{Located, Origin};
use uwgate_sys::clock::TimeForm;

use super::pipeline::{Parts, Pipeline};
use super::sink::{Outlet, Shape, Sink, Socket};
use crate::log::file::{LogFile, Manners};

/// What a message of syslog over UDP holds at most.
const DATAGRAM: usize = 65_000;

/// Both ways of lines.
#[derive(Debug)]
pub(super) struct Pipelines {
    pub(super) lines: Pipeline,
    pub(super) requests: Pipeline,
    pub(super) json: bool,
    pub(super) longest: usize,
}

/// What a process had as standard output and standard error before its log was moved.
#[derive(Debug)]
pub(crate) struct Originals {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

impl Originals {
    /// # Errors
    /// What the kernel says.
    pub(crate) fn keep() -> std::io::Result<Self> {
        Ok(Self {
            stdout: rustix::stdio::stdout().try_clone_to_owned()?,
            stderr: rustix::stdio::stderr().try_clone_to_owned()?,
        })
    }
}

/// Opens all destinations that the options name.
///
/// # Errors
/// One sentence, with the place, about the first that cannot be opened.
pub(super) fn pipelines(
    log: &Log,
    originals: &Originals,
    manners: &Manners,
) -> Result<Pipelines, String> {
    let opener = Opener {
        log,
        originals,
        manners,
    };
    let lines = Pipeline::new(Parts {
        drain: &log.log_drain,
        filter: &log.log_filter,
        routes: &log.log_route,
        encoders: &log.log_encoder,
        loggers: opener.loggers(&log.logger)?,
        rest: opener.rest()?,
    })?;
    let requests = Pipeline::new(Parts {
        drain: &[],
        filter: &[],
        routes: &log.log_req_route,
        encoders: &log.log_req_encoder,
        loggers: opener.loggers(&log.req_logger)?,
        rest: opener.rest()?,
    })?;
    let bufsize = usize::try_from(log.log_master_bufsize).unwrap_or(usize::MAX);
    Ok(Pipelines {
        lines,
        requests,
        json: log.log_json,
        longest: match bufsize {
            0 => super::assembler::LONGEST,
            bytes => bytes.min(super::assembler::LONGEST),
        },
    })
}

struct Opener<'o> {
    log: &'o Log,
    originals: &'o Originals,
    manners: &'o Manners,
}

impl Opener<'_> {
    fn loggers(
        &self,
        loggers: &[Located<uwgate_config::options::Logger>],
    ) -> Result<Vec<(Option<String>, Sink)>, String> {
        let open = |logger: &Located<uwgate_config::options::Logger>| {
            let outlet = self.outlet(&logger.sink);
            match outlet {
                Ok(outlet) => Ok((logger.name.clone(), Sink::new(outlet))),
                Err(problem) => Err(format!("{}: {problem}", logger.origin)),
            }
        };
        loggers.iter().map(open).collect()
    }

    /// Where lines go that no logger takes.
    fn rest(&self) -> Result<Sink, String> {
        let Some(to) = self.log.logto2.as_ref().or(self.log.logto.as_ref()) else {
            return self.original_stderr().map(Sink::new);
        };
        let outlet = match &to.value {
            LogTo::File(_) => {
                let file = logto_file(self.log, to, self.manners);
                file.map_or_else(|| self.original_stderr(), open_file)
            }
            LogTo::Udp(address) => datagrams(Socket::udp(address), address, plain("")),
        };
        outlet
            .map(Sink::new)
            .map_err(|problem| format!("{}: {problem}", to.origin))
    }

    fn original_stderr(&self) -> Result<Outlet, String> {
        let fd = self.originals.stderr.try_clone();
        fd.map(Outlet::Stream).map_err(|error| error.to_string())
    }

    fn outlet(&self, sink: &SinkOption) -> Result<Outlet, String> {
        match sink {
            SinkOption::File {
                path,
                maxsize,
                backupname,
            } => open_file(LogFile::new(
                path,
                *maxsize,
                backupname.as_deref(),
                self.manners.clone(),
            )),
            SinkOption::Fd(number) => self.descriptor(*number),
            SinkOption::Syslog { tag, facility } => {
                let shape = self.syslog(*facility, 6, format!("{tag}: "), DATAGRAM);
                datagrams(Socket::unix(SYSLOG), SYSLOG, shape)
            }
            SinkOption::Rsyslog { address, tag } => {
                let tag = match tag {
                    Some(tag) => format!("{tag}: "),
                    None => format!("{} uwsgi: ", crate::listen::host_name()),
                };
                let longest = match self.log.rsyslog_packet_size {
                    0 => DATAGRAM,
                    bytes => bytes as usize,
                };
                // daemon.notice, as uWSGI's.
                let shape = self.syslog(3, 5, tag, longest);
                datagrams(Socket::udp(address), address, shape)
            }
            SinkOption::Socket { address, prefix } => {
                let by_udp = address.contains(':') && !address.contains('/');
                let socket = match by_udp {
                    true => Socket::udp(address),
                    false => Socket::unix(address),
                };
                datagrams(socket, address, plain(prefix))
            }
        }
    }

    fn syslog(&self, facility: u8, severity: u8, tag: String, longest: usize) -> Shape {
        Shape::Syslog {
            priority: format!("<{}>", u32::from(facility) * 8 + u32::from(severity)).into(),
            time: TimeForm::local("%b %e %H:%M:%S"),
            tag: tag.into(),
            longest,
            splits: self.log.rsyslog_split_messages,
        }
    }

    fn descriptor(&self, number: u32) -> Result<Outlet, String> {
        let fd = match number {
            0 => Err(std::io::Error::other(
                "nothing is written to standard input",
            )),
            1 => self.originals.stdout.try_clone(),
            2 => self.originals.stderr.try_clone(),
            // By name, as it may be asked for again at a reload.
            number => std::fs::OpenOptions::new()
                .append(true)
                .open(format!("/proc/self/fd/{number}"))
                .map(OwnedFd::from),
        };
        fd.map(Outlet::Stream)
            .map_err(|error| format!("descriptor {number}: {error}"))
    }
}

const SYSLOG: &str = "/dev/log";

fn plain(prefix: &str) -> Shape {
    Shape::Plain {
        prefix: prefix.as_bytes().to_vec(),
    }
}

fn datagrams(
    socket: std::io::Result<Socket>,
    address: &str,
    shape: Shape,
) -> Result<Outlet, String> {
    match socket {
        Ok(socket) => Ok(Outlet::Datagrams { socket, shape }),
        Err(error) => Err(format!("cannot log to {address}: {error}")),
    }
}

fn open_file(of: LogFile) -> Result<Outlet, String> {
    let problem = |error| format!("cannot log to {}: {error}", of.path().display());
    let file = of.open().map_err(problem)?;
    let is_file = file.metadata().is_ok_and(|data| data.is_file());
    Ok(match is_file {
        true => Outlet::File {
            file,
            size: of.size(),
            of,
        },
        // A named pipe may be full.
        false => Outlet::Stream(file.into()),
    })
}

/// The file of `logto`, with what the options say about its size.
pub(crate) fn logto_file(log: &Log, to: &Located<LogTo>, manners: &Manners) -> Option<LogFile> {
    let LogTo::File(path) = &to.value else {
        return None;
    };
    let backup = log.log_backupname.as_ref();
    let backup = backup.map(|backup: &Located<std::path::PathBuf>| -> &Path { backup });
    Some(LogFile::new(path, log.log_maxsize, backup, manners.clone()))
}

/// A place for complaints that have none of their own.
pub(crate) fn at(origin: &Origin, problem: impl std::fmt::Display) -> String {
    format!("{origin}: {problem}")
}
