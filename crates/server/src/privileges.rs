//! Who the instance becomes once it has opened what only its starter may open.

use std::io;

use uwgate_config::Options;
use uwgate_config::options::Process;
use uwgate_sys::process::{self, Capabilities, Identity};

/// Whom to become, looked up in the system's files; `None` stays who it is.
///
/// # Errors
/// One sentence with the line that names a user, group or capability there is not.
pub(crate) fn resolve(options: &Process) -> Result<Option<Identity>, String> {
    let (uid, gid, more) = (&options.uid, &options.gid, &options.add_gid);
    // An unknown name is found out even when nobody will be changed.
    capabilities(options)?;
    let Some(asked) = uid.as_ref().or(gid.as_ref()).or(more.first()) else {
        return Ok(None);
    };
    let user = match uid {
        Some(uid) => uid.value.clone(),
        None => rustix::process::getuid().as_raw().to_string(),
    };
    let group = gid.as_ref().map(|gid| gid.value.as_str());
    let mut identity = process::resolve(&user, group)
        .map_err(|error: io::Error| format!("{}: {error}", asked.origin))?;
    for group in more {
        let id = process::resolve_group(&group.value)
            .map_err(|error| format!("{}: add-gid: {error}", group.origin))?;
        if !identity.groups.contains(&id) {
            identity.groups.push(id);
        }
    }
    Ok(Some(identity))
}

fn capabilities(options: &Process) -> Result<Capabilities, String> {
    options
        .cap
        .iter()
        .try_fold(Capabilities::default(), |all, name| {
            Capabilities::named(&name.value)
                .map(|one| all.and(one))
                .ok_or_else(|| format!("{}: there is no capability `{}`", name.origin, name.value))
        })
}

/// Becomes `identity` for good, and keeps the capabilities that the options name.
///
/// # Errors
/// What the kernel says; the process is in between then.
pub(crate) fn assume(identity: Option<&Identity>, options: &Process) -> Result<(), String> {
    let keep = capabilities(options)?;
    let Some(identity) = identity else {
        if !keep.is_empty() {
            tracing::warn!("cap has no effect without uid");
        }
        return Ok(());
    };
    if !rustix::process::geteuid().is_root() {
        tracing::warn!("not started as root: uid, gid and cap change nothing");
        return Ok(());
    }
    process::drop_to_keeping(identity, keep)
        .map_err(|error| format!("cannot drop privileges: {error}"))?;
    for group in &options.add_gid {
        tracing::info!("set additional group {}", group.value);
    }
    Ok(())
}

/// The capabilities to pass on to the application: those that the options name and this process has.
pub fn kept_capabilities(options: &Options) -> Capabilities {
    if rustix::process::geteuid().is_root() {
        // Root's programs get all of them anyway.
        return Capabilities::default();
    }
    let named = capabilities(&options.process).unwrap_or_default();
    let permitted = Capabilities::permitted().unwrap_or_default();
    named.also_in(permitted)
}
