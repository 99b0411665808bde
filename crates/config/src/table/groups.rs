//! What becomes of the options that are known and not acted on, group by group.

use crate::finding::Severity;

/// Options with one fate, named in the `group` column of `known.tsv`.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its name in the file.
    pub name: &'static str,
    /// A title for help texts.
    pub title: &'static str,
    /// What happens at start.
    pub effect: Effect,
    /// The sentence that is said then.
    pub message: &'static str,
    /// What to do instead; empty when there is nothing to do.
    pub help: &'static str,
}

/// What happens at start when an option is known and not acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Without it the instance would be less safe, or would serve something else: it does not start.
    Refused,
    /// It changes how the instance is run, not what it serves: it starts, and says so.
    Without,
    /// What it is for is always so here: it starts, and says so for whoever wants to know.
    Needless,
}

impl Effect {
    /// How loud the sentence is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Refused => Severity::Error,
            Self::Without => Severity::Warning,
            Self::Needless => Severity::Note,
        }
    }

    /// The finding's stable name.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Refused => "unsupported-option",
            Self::Without => "option-without-effect",
            Self::Needless => "needless-option",
        }
    }
}

/// Looks up a group of `known.tsv`.
pub(super) fn find(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

const fn refused(
    name: &'static str,
    title: &'static str,
    message: &'static str,
    help: &'static str,
) -> Group {
    Group {
        name,
        title,
        effect: Effect::Refused,
        message,
        help,
    }
}

const fn without(
    name: &'static str,
    title: &'static str,
    message: &'static str,
    help: &'static str,
) -> Group {
    Group {
        name,
        title,
        effect: Effect::Without,
        message,
        help,
    }
}

const fn needless(name: &'static str, title: &'static str, message: &'static str) -> Group {
    Group {
        name,
        title,
        effect: Effect::Needless,
        message,
        help: "",
    }
}

/// Every group, in the order in which the docs show them.
pub(super) const GROUPS: &[Group] = &[
    refused(
        "router",
        "Routers",
        "the router processes are not there yet",
        "http-socket serves HTTP/1.1 with keep-alive straight from the workers",
    ),
    without(
        "router-tuning",
        "Router settings",
        "no effect yet: it belongs to the HTTP router, which is not there yet",
        "http-socket has http-keepalive and http-headers-timeout",
    ),
    needless(
        "http-needless",
        "HTTP framing",
        "no effect: http-socket frames responses and answers Expect: 100-continue by itself",
    ),
    refused(
        "proxy-protocol",
        "PROXY protocol",
        "the PROXY protocol is not supported yet",
        "let the proxy send X-Forwarded-For and name it in http-trust-forwarded",
    ),
    refused(
        "tls",
        "TLS",
        "TLS is not supported yet",
        "end TLS in a proxy in front, such as nginx",
    ),
    without(
        "tls-tuning",
        "TLS settings",
        "no effect yet: TLS is not supported yet",
        "end TLS in a proxy in front, such as nginx",
    ),
    refused(
        "protocols",
        "Other protocols",
        "only the uwsgi protocol (modifier 0) and HTTP/1.1 are spoken",
        "use uwsgi-socket or http-socket",
    ),
    refused(
        "shared-sockets",
        "Shared sockets",
        "sockets cannot be shared or handed over by name",
        "write the address in socket or http-socket; sockets are bound before privileges are dropped",
    ),
    without(
        "socket-tuning",
        "Socket settings",
        "no effect yet",
        "socket-timeout bounds both reads and writes",
    ),
    refused(
        "emperor",
        "Other emperor options",
        "the emperor cannot do this yet",
        "docs/emperor.md tells what it can do",
    ),
    refused(
        "emperor-next",
        "Emperor options of uWSGI 2.1",
        "uWSGI 2.0 does not have it, and the emperor cannot do this",
        "hook-as-vassal-before-drop runs in each vassal's process with the emperor's privileges; docs/emperor.md has the rest",
    ),
    refused(
        "zerg",
        "Broodlord and zerg",
        "vassals and instances cannot be reinforced by others that share their sockets",
        "give the instance more processes, with cheaper if they are needed at times only",
    ),
    refused(
        "vassal-hooks",
        "Other hooks around vassals",
        "functions of plugins and mounts cannot be asked for by name",
        "write hook-as-vassal-before-drop, hook-as-vassal or hook-as-emperor = exec:COMMAND",
    ),
    refused(
        "cgroup",
        "Control groups of an instance",
        "an instance does not put itself into a control group",
        "let the service manager do it, or the emperor with vassal-cgroup and vassal-cgroup-opt",
    ),
    refused(
        "cluster",
        "Subscriptions and clusters",
        "subscriptions and legions are not supported yet",
        "name the instances in the front end's configuration",
    ),
    refused(
        "routing",
        "Internal routing and headers",
        "requests and headers are not rewritten yet",
        "do it in the front end, or in a WSGI middleware",
    ),
    refused(
        "static",
        "Static files",
        "static files are not served yet",
        "let the front end serve them, or the app (whitenoise)",
    ),
    without(
        "static-tuning",
        "Static file settings",
        "no effect yet: static files are not served yet",
        "let the front end serve them",
    ),
    refused(
        "cache",
        "Caches and shared memory",
        "the cache, queue, RPC and shared memory of the uwsgi module are not there yet",
        "use a cache server such as Redis",
    ),
    refused(
        "background",
        "Spooler, mules and cron",
        "nothing but requests and attached daemons is run yet",
        "run it as a service or a timer of its own, for example a unit of systemd",
    ),
    needless(
        "harakiri-needless",
        "Harakiri",
        "no effect: the clock stops when the application returns, before any hook",
    ),
    without(
        "recycling",
        "Memory",
        "no effect: threads have the system's stacks, and the system decides what is swapped",
        "",
    ),
    without(
        "reloads",
        "Reloads",
        "no effect",
        "SIGHUP, master-fifo and touch-reload reload",
    ),
    without(
        "process",
        "Process life",
        "no effect yet",
        "the service manager can do it",
    ),
    refused(
        "start",
        "Surroundings of the start",
        "the directory and the environment of the start cannot be changed from inside yet",
        "let the service manager do it",
    ),
    refused(
        "privileges",
        "Privileges and isolation",
        "beyond uid and gid the process is not confined, and starting without it would be less safe",
        "let the service manager do it, for example systemd's sandboxing options",
    ),
    refused(
        "hooks",
        "Other hooks",
        "there is nothing here that this could be done in or with",
        "use another hook (docs/hooks.md), or let the service manager do it",
    ),
    needless(
        "log-needless",
        "Log writing",
        "no effect: lines always travel whole",
    ),
    without(
        "alarms",
        "Alarms",
        "no effect yet: no alarms are raised",
        "watch the log",
    ),
    without(
        "stats",
        "Statistics",
        "no effect: the stats server has the instance's own figures only, and always all of them",
        "Prometheus can fetch /metrics: write stats-http, or prometheus-listen",
    ),
    without(
        "metrics",
        "Metrics senders",
        "no effect: metrics are not sent anywhere",
        "let Prometheus (or an agent) fetch /metrics: write stats-http, or prometheus-listen",
    ),
    refused(
        "async",
        "Asynchronous engines",
        "requests run in threads, not in green threads or event loops",
        "remove it and write threads = N",
    ),
    refused(
        "loading",
        "Other ways to load apps",
        "apps are loaded with module, wsgi-file and mount only, and found by path only",
        "write a small module that makes the app and name it with module",
    ),
    without("python-tuning", "Python settings", "no effect", ""),
    needless(
        "interpreter",
        "Interpreters",
        "no effect: all apps always share the one interpreter",
    ),
    needless("plugins", "Plugins", "no effect: everything is built in"),
    needless(
        "locks-needless",
        "Locks",
        "no effect: workers do not compete for a lock to accept",
    ),
    needless(
        "needless",
        "Always so",
        "no effect: what it is for is always so here",
    ),
    refused(
        "languages",
        "Other languages",
        "only Python (WSGI) apps are served",
        "",
    ),
    refused(
        "plugins-unsupported",
        "Other plugins",
        "this plugin of uWSGI has no counterpart",
        "",
    ),
    refused(
        "network",
        "Virtual networks",
        "virtual networks are not supported",
        "let the operating system do it",
    ),
    refused(
        "loaders",
        "Other configuration formats",
        "configurations are read from ini, YAML and JSON",
        "write it as ini or YAML",
    ),
    refused(
        "commands",
        "Commands",
        "this is not a command here",
        "send signals to the master: SIGHUP reloads, SIGTERM stops",
    ),
    refused(
        "listing",
        "uWSGI's own build",
        "it is about uWSGI's own build and tools",
        "",
    ),
];
