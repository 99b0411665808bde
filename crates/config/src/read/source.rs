//! A file's bytes: read whole, but never without bound, and only if they are text.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::load::OWNER;
use crate::world::World;

/// No configuration has more than this; what has is the wrong file.
pub(crate) const MAX_FILE: u64 = 4 << 20;

/// Why a file cannot be used. `line` is 0 for the file as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) line: u32,
    pub(crate) message: String,
}

impl Unreadable {
    fn whole(message: impl Into<String>) -> Self {
        Self {
            line: 0,
            message: message.into(),
        }
    }
}

/// The text of a file (`-` is standard input), or of what a scheme names.
pub(crate) fn text(world: &World, name: &str) -> Result<String, Unreadable> {
    if let Some((only, text)) = &world.only {
        return match only == name {
            true => checked(text.clone().into_bytes()),
            false => Err(Unreadable::whole("nothing but this text can be read")),
        };
    }
    match name.split_once("://") {
        None if name == "-" => limited(std::io::stdin().lock()),
        None => file(world, name),
        Some(("exec", command)) => run(world, command),
        Some(("fd", number)) => descriptor(number),
        Some(("emperor", _)) => sent(world),
        Some((scheme, _)) => Err(Unreadable::whole(format!("{scheme}:// is not supported"))),
    }
    .and_then(checked)
}

fn file(world: &World, name: &str) -> Result<Vec<u8>, Unreadable> {
    let path = world.path(name);
    // A FIFO without a writer would make open() wait for ever; what is special must be asked for as fd:// or -.
    let metadata = std::fs::metadata(&path).map_err(|error| cannot_read(&error))?;
    if metadata.is_dir() {
        return Err(Unreadable::whole("it is a directory"));
    }
    if !metadata.is_file() && !name.starts_with("/dev/") && !name.starts_with("/proc/") {
        return Err(Unreadable::whole("it is not a regular file"));
    }
    let file = std::fs::File::open(&path).map_err(|error| cannot_read(&error))?;
    check_owner(world, &path, &file)?;
    limited(file)
}

/// Of a vassal's own file, see [`OWNER`].
fn check_owner(world: &World, path: &Path, file: &std::fs::File) -> Result<(), Unreadable> {
    let rule = world.variable(OWNER).unwrap_or_default();
    let mut parts = rule.splitn(3, ':');
    let (Some(uid), Some(gid), Some(own)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(());
    };
    if Path::new(own) != path {
        return Ok(());
    }
    let found = file.metadata().map_err(|error| cannot_read(&error))?;
    match (found.uid().to_string(), found.gid().to_string()) == (uid.into(), gid.into()) {
        true => Ok(()),
        false => Err(Unreadable::whole(format!(
            "it belongs to {}:{} and not to {uid}:{gid}, as whom it would run",
            found.uid(),
            found.gid()
        ))),
    }
}

fn descriptor(number: &str) -> Result<Vec<u8>, Unreadable> {
    let number: u32 = number
        .parse()
        .map_err(|_| Unreadable::whole("expected a number after fd://"))?;
    let file = std::fs::File::open(format!("/proc/self/fd/{number}"));
    limited(file.map_err(|error| cannot_read(&error))?)
}

fn sent(world: &World) -> Result<Vec<u8>, Unreadable> {
    match &world.emperor {
        Some(Ok(bytes)) => Ok(bytes.clone()),
        Some(Err(problem)) => Err(Unreadable::whole(problem)),
        None => Err(Unreadable::whole(
            "only a vassal can have it: its emperor sends it",
        )),
    }
}

fn run(world: &World, command: &str) -> Result<Vec<u8>, Unreadable> {
    let mut child = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(&world.directory)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map_err(|error| cannot_read(&error))?;
    let output = child.stdout.take().map(limited);
    // A command whose output was too long may still be writing.
    if !matches!(output, Some(Ok(_))) {
        let _ = child.kill();
    }
    let _ = child.wait();
    output.unwrap_or_else(|| Ok(Vec::new()))
}

fn limited(reader: impl Read) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot_read(&error))?;
    match bytes.len() as u64 {
        0..=MAX_FILE => Ok(bytes),
        _ => Err(Unreadable::whole(format!(
            "it is larger than {} MiB: not a configuration",
            MAX_FILE >> 20
        ))),
    }
}

fn cannot_read(error: &std::io::Error) -> Unreadable {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    Unreadable::whole(format!("cannot read it: {}", reason.to_lowercase()))
}

/// Text without NUL bytes. uWSGI would cut a line at a NUL; nobody means that.
fn checked(bytes: Vec<u8>) -> Result<String, Unreadable> {
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return Err(Unreadable {
            line: line_at(&bytes, at),
            message: "there is a NUL byte in this line: not a text file".into(),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Unreadable {
            line: line_at(error.as_bytes(), at),
            message: "this line is not UTF-8".into(),
        }
    })
}

fn line_at(bytes: &[u8], at: usize) -> u32 {
    let before = bytes.get(..at).unwrap_or(bytes);
    let breaks = before.iter().filter(|&&byte| byte == b'\n').count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}

/// Splits a text into lines with their origins, without replacing anything.
pub(crate) fn lines_of(name: &str, text: &str) -> Vec<super::Line> {
    text.split('\n')
        .zip(1..)
        .map(|(text, number)| super::Line {
            text: text.to_owned(),
            origin: crate::Origin::file(name, number),
        })
        .collect()
}
