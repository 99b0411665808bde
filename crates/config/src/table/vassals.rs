//! What an emperor does with every vassal beyond starting it.

use super::{Row, flag, parsed, path, text, texts};
use crate::entry::Entry;
use crate::options::{GroupSetting, Options, ResourceLimit};
use crate::origin::Located;
use crate::value::Problem;

/// uWSGI's names of namespaces.
const NAMESPACES: [&str; 8] = ["fs", "mnt", "mount", "ipc", "net", "pid", "user", "uts"];

pub(super) const ROWS: &[Row] = &[
    texts("emperor-collect-attr", "NAME", |o| {
        &mut o.vassals.emperor_collect_attr
    })
    .aliases(&["emperor-collect-attribute"])
    .help("Read this attribute from the [emperor] section of vassals' configurations, and show it in emperor-stats and `uwgate ctl status`."),
    text("emperor-wrapper-attr", "NAME", |o| {
        &mut o.vassals.emperor_wrapper_attr
    })
    .help("The attribute that names the program to start a vassal with, in place of emperor-wrapper."),
    text("emperor-chdir-attr", "NAME", |o| &mut o.vassals.emperor_chdir_attr)
        .help("The attribute that names the directory in which a vassal's program is started, in place of that of its file."),
    parsed("vassal-limit", "NAME:VALUE", read_limit)
        .repeatable()
        .ours()
        .help("A limit of setrlimit(2) for every vassal and all it starts: as:512M, nofile:1024, nproc:50, core:0 ...; bytes with K, M, G; `unlimited`."),
    path("vassal-cgroup", "DIRECTORY", |o| &mut o.vassals.vassal_cgroup)
        .ours()
        .help("Put every vassal, before its program starts, into a control group of its own below this one, such as /sys/fs/cgroup/vassals."),
    parsed("vassal-cgroup-opt", "FILE:VALUE", read_setting)
        .repeatable()
        .ours()
        .help("Write this into every vassal's control group: memory.max:512M, pids.max:100, cpu.max:50000 100000 ..."),
    text("emperor-limit-attr", "NAME", |o| &mut o.vassals.emperor_limit_attr)
        .ours()
        .help("The attribute with limits of a vassal's own, as vassal-limit has them; may be there several times. Not from files of the user that the vassal runs as."),
    text("emperor-cgroup-opt-attr", "NAME", |o| {
        &mut o.vassals.emperor_cgroup_opt_attr
    })
    .ours()
    .help("The attribute with settings of a vassal's own control group, as vassal-cgroup-opt has them; may be there several times. Not from files of the user that the vassal runs as."),
    parsed("vassal-cap", "NAME,...", read_cap)
        .aliases(&["vassals-cap", "emperor-cap"])
        .repeatable()
        .help("The only capabilities that vassals, and all they start, can have: net_bind_service, setuid ... as in capabilities(7) without `cap_`. Those that run as another user than root have them too."),
    parsed("emperor-use-clone", "NAME,...", read_namespaces)
        .repeatable()
        .help("Start vassals in namespaces of their own: fs (or mnt), ipc, net, pid, user, uts. `pid` brings `fs`, with a /proc of its own."),
    path("emperor-command-socket", "FILE", |o| {
        &mut o.vassals.emperor_command_socket
    })
    .help("Unix datagram socket that takes commands as uwsgi packets with the variables `cmd` (spawn, respawn, stop, log), `vassal` and `msg`."),
    flag("emperor-wait-for-command", |o| {
        &mut o.vassals.emperor_wait_for_command
    })
    .help("No vassal starts before emperor-command-socket, or `uwgate ctl start`, has told it to."),
    texts("emperor-wait-for-command-ignore", "VASSAL", |o| {
        &mut o.vassals.emperor_wait_for_command_ignore
    })
    .help("With emperor-wait-for-command, this vassal starts all the same."),
];

fn located<T>(
    entry: &Entry,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Located<T>, Problem> {
    let value = read(entry.text()).map_err(Problem::new)?;
    Ok(Located::new(value, entry.origin.clone()))
}

fn read_limit(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let limit = located(entry, ResourceLimit::parse)?;
    options.vassals.vassal_limit.push(limit);
    Ok(None)
}

fn read_setting(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let setting = located(entry, GroupSetting::parse)?;
    options.vassals.vassal_cgroup_opt.push(setting);
    Ok(None)
}

fn names(entry: &Entry) -> impl Iterator<Item = Located<String>> {
    let names = entry.text().split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| Located::new(name.to_owned(), entry.origin.clone()))
}

fn read_cap(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    options.vassals.vassal_cap.extend(names(entry));
    Ok(None)
}

fn read_namespaces(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    for name in names(entry) {
        if !NAMESPACES.contains(&name.value.as_str()) {
            let message = format!("there is no namespace `{}`", name.value);
            return Err(Problem::new(message).help("write fs, ipc, net, pid, user or uts"));
        }
        options.vassals.emperor_use_clone.push(name);
    }
    Ok(None)
}
