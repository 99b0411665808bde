//! When a worker is replaced, and what it may use.

use super::{Row, flag, number, optional_number, texts};

pub(super) const ROWS: &[Row] = &[
    number("max-requests", "requests", |o| &mut o.recycling.max_requests)
        .short('R')
        .default("0")
        .help("Replace a worker that has served so many requests; 0 is never."),
    number("max-requests-delta", "requests", |o| &mut o.recycling.max_requests_delta)
        .default("0")
        .help("Worker N may serve N-1 times as many more, so that not all are replaced at once."),
    number("min-worker-lifetime", "seconds", |o| &mut o.recycling.min_worker_lifetime)
        .default("10")
        .help("No worker younger than this is replaced for its requests or its memory."),
    number("max-worker-lifetime", "seconds", |o| &mut o.recycling.max_worker_lifetime)
        .default("0")
        .help("Replace a worker of this age; 0 is never."),
    number("max-worker-lifetime-delta", "seconds", |o| {
        &mut o.recycling.max_worker_lifetime_delta
    })
    .default("0")
    .help("Worker N may live N-1 times as much longer, so that not all are replaced at once."),
    number("reload-on-rss", "megabytes", |o| &mut o.recycling.reload_on_rss)
        .default("0")
        .help("Replace a worker that uses more resident memory; 0 is no limit."),
    number("reload-on-as", "megabytes", |o| &mut o.recycling.reload_on_as)
        .default("0")
        .help("Replace a worker whose address space is larger; 0 is no limit."),
    number("evil-reload-on-rss", "megabytes", |o| &mut o.recycling.evil_reload_on_rss)
        .implying_master()
        .default("0")
        .help("Kill a worker that uses more resident memory, in the middle of a request if need be; 0 is no limit."),
    number("evil-reload-on-as", "megabytes", |o| &mut o.recycling.evil_reload_on_as)
        .implying_master()
        .default("0")
        .help("Kill a worker whose address space is larger, in the middle of a request if need be; 0 is no limit."),
    flag("reload-on-exception", |o| &mut o.recycling.reload_on_exception)
        .help("Replace a worker whose app has raised an exception."),
    texts("reload-on-exception-type", "NAME", |o| {
        &mut o.recycling.reload_on_exception_type
    })
    .help("Replace a worker whose app has raised an exception of this class (its name without the module)."),
    texts("reload-on-exception-value", "TEXT", |o| {
        &mut o.recycling.reload_on_exception_value
    })
    .help("Replace a worker whose app has raised an exception with this message."),
    texts("reload-on-exception-repr", "NAME:TEXT", |o| {
        &mut o.recycling.reload_on_exception_repr
    })
    .help("Replace a worker whose app has raised an exception of this class with this message."),
    number("limit-as", "megabytes", |o| &mut o.recycling.limit_as)
        .default("0")
        .help("Largest address space of a worker (RLIMIT_AS): the app gets MemoryError beyond. 0 is no limit."),
    number("limit-nproc", "processes", |o| &mut o.recycling.limit_nproc)
        .default("0")
        .help("Most processes and threads of the app's user (RLIMIT_NPROC); 0 is no limit."),
    optional_number("forkbomb-delay", "seconds", |o| &mut o.recycling.forkbomb_delay)
        .implying_master()
        .help("Wait so long before a worker that dies too fast is started again; without it from 0.25 to 5 seconds, longer each time."),
];
