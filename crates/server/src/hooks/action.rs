//! The actions that are no commands.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use uwgate_config::Options;
use uwgate_config::options::Action;
use uwgate_sys::process;

use super::waiting;

/// Does it; paths are relative to `directory`. Commands are not done here.
pub(super) fn perform(
    action: &Action,
    directory: Option<&Path>,
    options: &Options,
) -> Result<(), String> {
    let at = |path: &PathBuf| match directory {
        Some(directory) => directory.join(path),
        None => path.clone(),
    };
    let result = match action {
        Action::Exec { .. } => Ok(()),
        Action::Print(line) => {
            tracing::info!("{line}");
            Ok(())
        }
        Action::Write { file, text, append } => write(&at(file), text, *append),
        Action::WriteFifo { fifo, text } => write_fifo(&at(fifo), text),
        Action::Create(file) => File::create(at(file)).map(drop),
        Action::Unlink(file) => fs::remove_file(at(file)),
        Action::Mkdir(directory) => fs::create_dir(at(directory)),
        Action::Chmod { path, mode } => set_mode(&at(path), *mode),
        Action::Sticky(path) => {
            let path = at(path);
            fs::metadata(&path)
                .and_then(|it| set_mode(&path, it.permissions().mode() & 0o7777 | 0o1000))
        }
        Action::Chown { path, user, group } => change_owner(&at(path), user, group),
        Action::Exit(code) => process::exit_now((*code).into()),
        Action::Wait(awaited) => return waiting::wait_for(awaited, directory, &options.hooks),
    };
    result.map_err(|error| error.to_string())
}

fn write(file: &Path, text: &str, append: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .append(append)
        .write(true)
        .truncate(!append);
    options.open(file)?.write_all(text.as_bytes())
}

/// Nobody who reads is an error, not a wait.
fn write_fifo(fifo: &Path, text: &str) -> io::Result<()> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut fifo = OpenOptions::new()
        .write(true)
        .custom_flags(nonblocking)
        .open(fifo)?;
    fifo.write_all(text.as_bytes())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn change_owner(path: &Path, user: &str, group: &str) -> io::Result<()> {
    let (user, group) = (process::resolve_user(user)?, process::resolve_group(group)?);
    chown(path, Some(user), Some(group))
}
