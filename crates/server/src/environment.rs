//! The environment of the application and of everything else that the instance runs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use uwgate_config::options::{EnvChange, Python};

/// What a service manager or an emperor tells its service and nobody else: a child that took these for its own would report
/// readiness in the instance's name, or take its sockets.
const NOT_PASSED_ON: [&str; 9] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "UWSGI_EMPEROR_FD",
    "UWSGI_EMPEROR_FD_CONFIG",
    "UWGATE_VASSAL_OWNER",
];

/// The environment of this process, with the changes of `env` and `unenv` in their order.
pub fn environment(python: &Python) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| NOT_PASSED_ON.iter().all(|private| name != private))
        .collect();
    for change in &python.env {
        let (name, value) = match &change.value {
            EnvChange::Set { name, value } => (name, Some(value)),
            EnvChange::Unset { name } => (name, None),
        };
        let name = OsString::from_vec(name.clone().into_bytes());
        environment.retain(|(known, _)| *known != name);
        if let Some(value) = value {
            environment.push((name, value.into()));
        }
    }
    environment
}
