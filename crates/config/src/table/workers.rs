//! Processes and threads.

use super::{Argument, Row, flag, number};

pub(super) const ROWS: &[Row] = &[
    flag("master", |o| &mut o.workers.master)
        .short('M')
        .help("Run a supervising process that owns the sockets, replaces dead workers and reloads."),
    number("processes", "processes", |o| &mut o.workers.processes)
        .aliases(&["workers"])
        .short('p')
        .default("1")
        .help("How many worker processes serve requests; 0 serves none."),
    number("threads", "threads", |o| &mut o.workers.threads)
        .default("1")
        .help("How many requests each worker serves at a time, each on its own thread."),
    flag("enable-threads", |o| &mut o.workers.enable_threads)
        .short('T')
        .default("true")
        .help("The app may start threads of its own. Always possible; kept because libraries look for it."),
    flag("lazy-apps", |o| &mut o.workers.lazy_apps)
        .help("Every worker imports the app itself after the fork: more memory and a slower start, but nothing is shared."),
    flag("lazy", |o| &mut o.workers.lazy)
        .help("The same as lazy-apps; uWSGI's older name for it."),
    flag("need-app", |o| &mut o.workers.need_app)
        .argument(Argument::Optional)
        .help("End with exit code 22 when no app could be loaded."),
    number("locks", "locks", |o| &mut o.workers.locks)
        .default("0")
        .help("How many locks uwsgi.lock(N) offers beside lock 0."),
];
