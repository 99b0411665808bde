//! One process that looks after many instances, each with a configuration of its own.

use super::{Row, Store, Support, Syntax, flag, number, path, paths, row, text, texts};
use crate::options::Options;

pub(super) const ROWS: &[Row] = &[
    texts("emperor", "DIRECTORY|GLOB|pg://...", |o| &mut o.emperor.emperor)
        .help("Be an emperor: run one instance (a vassal) for each configuration file in this directory, or that this pattern matches; or for each row of a table in a PostgreSQL database (pg://user@host/database, see docs/emperor.md). May be given several times."),
    number("emperor-freq", "seconds", |o| &mut o.emperor.emperor_freq)
        .default("3")
        .help("Look at all configurations so often where the kernel does not tell of changes (network file systems); elsewhere changes are seen at once."),
    texts("emperor-extra-extension", "EXTENSION", |o| &mut o.emperor.emperor_extra_extension)
        .aliases(&["emperor-extra-ext"])
        .help("Files with this ending are vassals too, beside .ini, .yml, .yaml, .json and .js; they are started with --config."),
    flag("emperor-nofollow", |o| &mut o.emperor.emperor_nofollow)
        .help("Of a symbolic link, the time of the link itself counts, not that of its target."),
    number("emperor-throttle", "milliseconds", |o| &mut o.emperor.emperor_throttle)
        .default("1000")
        .help("How long to wait before a vassal that failed is started again; twice as long after each further failure."),
    number("emperor-max-throttle", "milliseconds", |o| &mut o.emperor.emperor_max_throttle)
        .default("180000")
        .help("The longest such wait."),
    flag("emperor-no-blacklist", |o| &mut o.emperor.emperor_no_blacklist)
        .help("Always wait emperor-throttle only, however often a vassal fails."),
    number("emperor-required-heartbeat", "seconds", |o| {
        &mut o.emperor.emperor_required_heartbeat
    })
    .default("30")
    .help("Kill a vassal that has sent heartbeats (option heartbeat) and then none for so long, and start it again."),
    number("emperor-curse-tolerance", "seconds", |o| {
        &mut o.emperor.emperor_curse_tolerance
    })
    .default("30")
    .help("How long a vassal that no longer listens to the emperor may live on before it is killed."),
    flag("emperor-graceful-shutdown", |o| {
        &mut o.emperor.emperor_graceful_shutdown
    })
    .help("SIGINT and SIGQUIT let vassals finish their requests, as SIGTERM always does here."),
    path("emperor-pidfile", "FILE", |o| &mut o.emperor.emperor_pidfile)
        .help("Write the emperor's pid here."),
    addresses("emperor-stats", |o| &mut o.emperor.emperor_stats)
        .aliases(&["emperor-stats-server"])
        .help("Serve the state of the emperor and its vassals as uWSGI's JSON on this address."),
    path("emperor-control-socket", "FILE", |o| {
        &mut o.emperor.emperor_control_socket
    })
    .ours()
    .help("Unix socket on which `uwgate ctl` reaches the emperor. Without it, it is /run/uwgate-emperor.sock, or uwgate-emperor.sock in the user's own run-time directory."),
    path("emperor-keep-vassals", "DIRECTORY", |o| {
        &mut o.emperor.emperor_keep_vassals
    })
    .ours()
    .help("Vassals go on when the emperor dies, or leaves on SIGTERM; the next emperor with the same directory here takes them over. Without it they end with it."),
    text("emperor-on-demand-extension", "EXTENSION", |o| {
        &mut o.emperor.emperor_on_demand_extension
    })
    .aliases(&["emperor-on-demand-ext"])
    .help("Vassals on demand: if there is a file with this behind the name of a vassal's file, its first line is the address of a socket, and the vassal is started when somebody connects there."),
    path("emperor-on-demand-directory", "DIRECTORY", |o| {
        &mut o.emperor.emperor_on_demand_directory
    })
    .aliases(&["emperor-on-demand-dir"])
    .help("Vassals on demand: each is started when somebody connects to the unix socket in this directory that is named as its file, with `.socket` for the ending."),
    text("emperor-on-demand-exec", "COMMAND", |o| {
        &mut o.emperor.emperor_on_demand_exec
    })
    .help("Vassals on demand: what this command, given a vassal's name, prints is the address of a socket, and the vassal is started when somebody connects there. One for which it prints nothing is started as usual."),
    texts("vassal-set", "NAME=VALUE", |o| &mut o.emperor.vassal_set)
        .aliases(&["vassals-set"])
        .help("Give every vassal this option (--set), which its own file may overrule."),
    paths("vassals-include", "FILE", |o| &mut o.emperor.vassals_include)
        .help("Have every vassal include this file after its own."),
    paths("vassals-include-before", "FILE", |o| {
        &mut o.emperor.vassals_include_before
    })
    .help("Have every vassal include this file before its own."),
    paths("vassals-inherit", "FILE", |o| &mut o.emperor.vassals_inherit)
        .help("Have every vassal inherit this file after its own."),
    paths("vassals-inherit-before", "FILE", |o| {
        &mut o.emperor.vassals_inherit_before
    })
    .help("Have every vassal inherit this file before its own."),
    text("emperor-wrapper", "PROGRAM", |o| &mut o.emperor.emperor_wrapper)
        .help("Start vassals with this program instead of this one, a real uWSGI for example."),
    texts("emperor-wrapper-override", "PROGRAM", |o| {
        &mut o.emperor.emperor_wrapper_override
    })
    .help("Try to start vassals with this program before emperor-wrapper."),
    texts("emperor-wrapper-fallback", "PROGRAM", |o| {
        &mut o.emperor.emperor_wrapper_fallback
    })
    .help("Start vassals with this program if emperor-wrapper cannot be started."),
    flag("emperor-tyrant", |o| &mut o.emperor.emperor_tyrant)
        .help("Run each vassal as the owner (user and group) of its file. Files of root are refused."),
    flag("emperor-tyrant-nofollow", |o| {
        &mut o.emperor.emperor_tyrant_nofollow
    })
    .help("With emperor-tyrant, the owner of a symbolic link counts, not that of the file behind it."),
    flag("emperor-magic-exec", |o| &mut o.emperor.emperor_magic_exec)
        .help("An executable file is a program whose output is the vassal's configuration."),
    text("emperor-procname", "TITLE", |o| &mut o.emperor.emperor_procname)
        .help("Have ps show the emperor by this title."),
    text("vassals-start-hook", "COMMAND", |o| &mut o.emperor.vassals_start_hook)
        .help("Run this command, with the vassal's name behind it, before each start of a vassal, as its user and in its directory."),
    text("vassals-stop-hook", "COMMAND", |o| &mut o.emperor.vassals_stop_hook)
        .help("Run this command, with the vassal's name behind it, after each end of a vassal, as the emperor's user."),
    number("heartbeat", "seconds", |o| &mut o.emperor.heartbeat)
        .default("0")
        .help("In a vassal: send the emperor a sign of life so often; 0 never does."),
];

type Addresses = fn(&mut Options) -> &mut Vec<crate::origin::Located<crate::address::Address>>;

const fn addresses(name: &'static str, field: Addresses) -> Row {
    let syntax = Syntax::Text("ADDRESS");
    row(name, syntax, Support::Stored(Store::Addresses(field))).repeatable()
}
