//! Names of uWSGI's module that are not here: asking for one says why, and `hasattr` says no, so that libraries that
//! look before they leap find their other way.

use std::ffi::CStr;

use pyo3::exceptions::PyAttributeError;
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

/// What uWSGI has and this server has not (yet).
struct Absent {
    /// Whole names, or with a `*` at the end their beginnings.
    names: &'static [&'static str],
    subject: &'static str,
    instead: &'static str,
}

const ABSENT: &[Absent] = &[
    Absent {
        names: &[
            "spool",
            "send_to_spooler",
            "set_spooler_frequency",
            "spooler*",
        ],
        subject: "the spooler",
        instead: "use a task queue such as Celery, RQ or Dramatiq",
    },
    Absent {
        names: &["mule_msg*", "mule_get_msg", "farm_*"],
        subject: "mules",
        instead: "run such work as a process of its own",
    },
    Absent {
        names: &[
            "signal*",
            "register_signal",
            "add_timer",
            "add_rb_timer",
            "add_cron",
            "add_file_monitor",
        ],
        subject: "uWSGI's signals, timers and cron",
        instead: "use cron, systemd timers or a task queue",
    },
    Absent {
        names: &["cache_*"],
        subject: "the cache",
        instead: "use Redis, Memcached or a local cache of the framework",
    },
    Absent {
        names: &["queue_*"],
        subject: "the shared queue",
        instead: "use Redis or a task queue",
    },
    Absent {
        names: &["sharedarea_*"],
        subject: "shared areas",
        instead: "use multiprocessing.shared_memory",
    },
    Absent {
        names: &["rpc*", "register_rpc", "call"],
        subject: "RPC",
        instead: "call the other service over HTTP",
    },
    Absent {
        names: &["metric_*", "snmp_*"],
        subject: "metrics of the application",
        instead: "use prometheus_client or OpenTelemetry",
    },
    Absent {
        names: &["websocket_*", "chunked_read*"],
        subject: "WebSockets and reading chunks",
        instead: "wsgi.input reads chunked bodies; WebSockets need an ASGI server",
    },
    Absent {
        names: &[
            "async_*",
            "suspend",
            "green_schedule",
            "wait_fd_*",
            "connect",
            "send",
            "recv",
            "close",
        ],
        subject: "uWSGI's asynchronous loop",
        instead: "use threads = N and Python's own sockets",
    },
    Absent {
        names: &["sendfile", "offload"],
        subject: "handing a file over by function",
        instead: "return wsgi.file_wrapper, which the kernel sends",
    },
    Absent {
        names: &["set_warning_message"],
        subject: "warnings in the answer to a ping",
        instead: "let the health check ask the application",
    },
    Absent {
        names: &["alarm"],
        subject: "alarms",
        instead: "tell your monitoring from the application, or let it read the log",
    },
    Absent {
        names: &["route", "i_am_the_lord", "lord_scroll", "scrolls"],
        subject: "routing by function, and legions",
        instead: "let the web server or the service manager do it",
    },
    Absent {
        names: &[
            "parsefile",
            "embedded_data",
            "extract",
            "Symbols*",
            "ZipImporter",
        ],
        subject: "reading uWSGI's own files",
        instead: "use Python's files and importlib.resources",
    },
    Absent {
        names: &["env", "start_response"],
        subject: "the request as an attribute of the module",
        instead: "use what the application is called with",
    },
];

impl Absent {
    fn covers(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|known| match known.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => *known == name,
            })
    }
}

const NAME: &CStr = c_str!("__getattr__");

/// The module's `__getattr__`, which Python asks for what it does not find.
pub(super) fn getattr(py: Python<'_>) -> PyResult<Bound<'_, PyCFunction>> {
    super::function(py, NAME, |args| {
        let name: String = args.get_item(0)?.extract()?;
        Err(PyAttributeError::new_err(explain(&name)))
    })
}

fn explain(name: &str) -> String {
    match ABSENT.iter().find(|absent| absent.covers(name)) {
        Some(Absent {
            subject, instead, ..
        }) => format!(
            "module 'uwsgi' has no attribute '{name}': uwgate does not have {subject}; {instead}"
        ),
        None => format!("module 'uwsgi' has no attribute '{name}'"),
    }
}
