//! What this machine will not have, or will let others do.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Subject;
use crate::address::{Address, Host, Protocol};
use crate::entry::Entry;
use crate::finding::{Finding, Severity};
use crate::log_target::LogTo;
use crate::origin::{Located, Origin};
use crate::trust::Peer;

fn at(origin: &Origin, rule: &'static str, subject: &Subject<'_>, message: String) -> Finding {
    let entries = &subject.outcome.loaded.entries;
    match entries.iter().find(|entry| entry.origin == *origin) {
        Some(entry) => Finding::about(Severity::Warning, rule, entry, message),
        None => Finding::at(Severity::Warning, rule, origin.clone(), message),
    }
}

/// Files and directories that are not there, from where the instance will look for them.
pub(super) fn missing_paths(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let options = subject.options();
    let start = &subject.world.directory;
    let python = &options.python;
    let directory = match &python.chdir {
        Some(chdir) => start.join(&**chdir),
        None => start.clone(),
    };
    let mut expect = |path: PathBuf, origin: &Origin, what: &str| {
        let is_open = path.to_string_lossy().contains(['*', '?', '$', '%', '[']);
        if !is_open && !path.exists() {
            let message = format!("{what} {} does not exist here", path.display());
            findings.push(at(origin, "missing-path", subject, message));
        }
    };
    for chdir in python.chdir.iter().chain(&python.chdir2) {
        expect(start.join(&**chdir), &chdir.origin, "the directory");
    }
    // From a directory that is not there nothing can be found.
    if !directory.exists() {
        return;
    }
    if let Some(file) = &python.wsgi_file {
        expect(directory.join(&**file), &file.origin, "the file");
    }
    if let Some(home) = &python.virtualenv {
        let home_directory = start.join(&**home);
        match home_directory.exists() {
            true => expect(
                home_directory.join("bin/python"),
                &home.origin,
                "the interpreter",
            ),
            false => expect(home_directory, &home.origin, "the virtual environment"),
        }
    }
    for path in &python.pythonpath {
        expect(directory.join(&**path), &path.origin, "the directory");
    }
    for mount in &python.mount {
        if mount.app.ends_with(".py") || mount.app.ends_with(".wsgi") {
            expect(directory.join(&mount.app), &mount.origin, "the file");
        }
    }
    if let Some(log) = &options.log.logto
        && let LogTo::File(path) = &log.value
    {
        expect(parent(&start.join(path)), &log.origin, "the directory");
    }
    for socket in &options.sockets.sockets {
        if let Address::Unix(path) = &socket.address {
            expect(
                parent(&start.join(path)),
                &socket.origin,
                "the socket's directory",
            );
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Users and groups that this machine does not know.
pub(super) fn unknown_accounts(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let process = &subject.options().process;
    let mut expect = |account: &Option<Located<String>>, file: &str, what: &str| {
        let Some(account) = account else { return };
        if is_account(file, account) == Some(false) {
            let message = format!("there is no {what} `{}` here", **account);
            findings.push(at(&account.origin, "unknown-account", subject, message));
        }
    };
    expect(&process.uid, "/etc/passwd", "user");
    expect(&process.gid, "/etc/group", "group");
}

/// `None` when the names cannot be read; a number is always an account.
fn is_account(file: &str, name: &str) -> Option<bool> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(true);
    }
    let accounts = std::fs::read_to_string(file).ok()?;
    Some(
        accounts
            .lines()
            .any(|line| line.split(':').next() == Some(name)),
    )
}

/// A backlog that the kernel refuses.
pub(super) fn backlog(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(entry) = subject.last_of("listen") else {
        return;
    };
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
    let Some(limit) = limit.ok().and_then(|text| text.trim().parse::<u32>().ok()) else {
        return;
    };
    if subject.options().sockets.listen > limit {
        let message = format!("this machine allows {limit} (net.core.somaxconn)");
        let finding = Finding::about(Severity::Warning, "backlog", entry, message);
        findings.push(finding.with_help("raise the kernel's limit first"));
    }
}

/// Sockets that let in everyone, or nobody but the user who starts.
pub(super) fn open_sockets(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let sockets = &subject.options().sockets;
    for socket in &sockets.sockets {
        match &socket.address {
            Address::Unix(path) => {
                if let Some(mode) = sockets.chmod_socket
                    && mode & 0o002 != 0
                    && everyone_reaches(&subject.world.directory.join(path))
                {
                    findings.extend(subject.last_of("chmod-socket").map(world_writable));
                }
            }
            Address::Tcp { host, .. } if socket.protocol == Protocol::Uwsgi && is_any(host) => {
                let message = "everyone who reaches this port can speak uwsgi and claim any REMOTE_ADDR and REMOTE_USER";
                let finding = at(&socket.origin, "open-socket", subject, message.into());
                findings.push(
                    Finding {
                        severity: Severity::Note,
                        ..finding
                    }
                    .with_help("listen on 127.0.0.1, on a private network or on a unix socket"),
                );
            }
            _ => {}
        }
    }
}

fn world_writable(entry: &Entry) -> Finding {
    Finding::about(
        Severity::Warning,
        "open-socket",
        entry,
        "every user of this machine can send requests with any REMOTE_USER",
    )
    .with_help("write 660, and chown-socket with the front end's group")
}

fn is_any(host: &Option<Host>) -> bool {
    match host {
        None => true,
        Some(Host::Ip(ip)) => ip.is_unspecified(),
        Some(Host::Name(_)) => false,
    }
}

/// Whether every user may enter all directories above a path. One that is not there yet may be made private.
fn everyone_reaches(path: &Path) -> bool {
    path.ancestors().skip(1).all(|directory| {
        directory
            .metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

/// Trust in a network of everyone.
pub(super) fn trusting_everyone(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let options = subject.options();
    let lists = [
        &options.python.uwsgi_trust,
        &options.http.http_trust_forwarded,
    ];
    for peer in lists.into_iter().flatten() {
        if matches!(
            **peer,
            Peer::Network {
                prefix: 0,
                network: IpAddr::V4(_) | IpAddr::V6(_)
            }
        ) {
            let message = "everyone is trusted".to_owned();
            let finding = at(&peer.origin, "trusts-everyone", subject, message);
            findings.push(finding.with_help("name the addresses of the proxies"));
        }
    }
}
