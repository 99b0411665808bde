//! The typed configuration: what an instance is told to do, one section per consumer.
//!
//! A field carries its option's name with `_` for `-`. A consumer takes its section apart without `..`, so that
//! the compiler names every option that nobody reads. What can still fail later (a path, a user) is [`Located`].

use std::path::{Path, PathBuf};

use crate::address::{Address, Protocol, SocketSpec};
pub use crate::log_format::{LogFormat, Piece, Place, VARIABLES, Value, Variable};
pub use crate::log_target::{Change, Encoder, LogTo, Logger, Route, Sink, Template, TemplatePiece};
use crate::origin::Located;
use crate::trust::Peer;

/// Every option that this program acts on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Where the instance listens.
    pub sockets: Sockets,
    /// Processes and threads.
    pub workers: Workers,
    /// How many workers run.
    pub cheaper: Cheaper,
    /// When a worker is replaced, and what it may use.
    pub recycling: Recycling,
    /// The interpreter and the applications in it.
    pub python: Python,
    /// Privileges and signals.
    pub process: Process,
    /// How an operator reaches the running instance.
    pub control: Control,
    /// What is done at its turning points.
    pub hooks: Hooks,
    /// Programs that run beside the workers.
    pub daemons: Daemons,
    /// Log destinations.
    pub log: Log,
    /// Bounds on a request.
    pub limits: Limits,
    /// Requests that take too long.
    pub harakiri: Harakiri,
    /// The HTTP side of `http-socket`.
    pub http: Http,
    /// What the instance tells about itself.
    pub stats: Stats,
}

impl Options {
    /// Where `path` is for everything that happens after `chdir`.
    pub fn in_chdir(&self, path: &Path) -> PathBuf {
        match &self.python.chdir {
            Some(chdir) => chdir.join(path),
            None => path.to_owned(),
        }
    }
}

/// Listening sockets and how they are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Sockets {
    /// Every socket in the order of appearance, its protocol settled.
    pub sockets: Vec<Located<SocketSpec>>,
    /// What a plain `socket` speaks (already worked into `sockets`).
    pub protocol: Protocol,
    /// Whether a unix path names an abstract socket (already worked into `sockets`).
    pub abstract_socket: bool,
    /// Mode for unix sockets, such as `0o660`.
    pub chmod_socket: Option<u32>,
    /// Owner of the unix sockets, set while still root.
    pub chown_socket: Option<Located<Ownership>>,
    /// Backlog of every socket.
    pub listen: u32,
    /// Remove unix sockets when the instance ends.
    pub vacuum: bool,
    /// Seconds a client may take for one read or write.
    pub socket_timeout: u32,
    /// Each worker binds its own TCP socket with `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Bind to addresses that the host does not have (yet).
    pub freebind: bool,
    /// `SO_KEEPALIVE` on accepted connections.
    pub so_keepalive: bool,
    /// `TCP_NODELAY` on accepted connections.
    pub tcp_nodelay: bool,
    /// `SO_SNDBUF` in bytes.
    pub socket_sndbuf: Option<u32>,
    /// `SO_RCVBUF` in bytes.
    pub socket_rcvbuf: Option<u32>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            sockets: Vec::new(),
            protocol: Protocol::Uwsgi,
            abstract_socket: false,
            chmod_socket: None,
            chown_socket: None,
            listen: 100,
            vacuum: false,
            socket_timeout: 4,
            reuse_port: false,
            freebind: false,
            so_keepalive: false,
            tcp_nodelay: false,
            socket_sndbuf: None,
            socket_rcvbuf: None,
        }
    }
}

/// `user[:group]`, each a name or a number; resolved where it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Name or number of the user.
    pub user: String,
    /// Name or number of the group, when one is given.
    pub group: Option<String>,
}

/// Processes and threads that serve requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Workers {
    /// How many workers; 0 means a master that serves nothing.
    pub processes: u32,
    /// Threads of each worker, each taking requests; 0 is read as 1.
    pub threads: u32,
    /// The app may start threads of its own (always possible here).
    pub enable_threads: bool,
    /// A supervising process; switched on by every option that needs one.
    pub master: bool,
    /// Every worker imports the app itself, after the fork.
    pub lazy_apps: bool,
    /// uWSGI's older form of `lazy-apps`.
    pub lazy: bool,
    /// Without any app the instance ends (exit code 22).
    pub need_app: bool,
    /// Locks of `uwsgi.lock()` beside the first one.
    pub locks: u32,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            processes: 1,
            threads: 1,
            enable_threads: true,
            master: false,
            lazy_apps: false,
            lazy: false,
            need_app: false,
            locks: 0,
        }
    }
}

/// How many workers run.
#[derive(Clone, Debug, PartialEq)]
pub struct Cheaper {
    /// Fewest workers that run; 0: all of them, always.
    pub cheaper: u32,
    /// How many run at first.
    pub cheaper_initial: Option<u32>,
    /// Who decides.
    pub cheaper_algo: CheaperAlgo,
    /// How many are started at a time.
    pub cheaper_step: u32,
    /// Seconds; with `backlog`, connections.
    pub cheaper_overload: u32,
    /// Seconds before `spare2` stops a worker.
    pub cheaper_idle: u32,
    /// Bytes that all workers together may use before none is started; 0 is no limit.
    pub cheaper_rss_limit_soft: u64,
    /// Bytes that all workers together may use before one is stopped; 0 is no limit.
    pub cheaper_rss_limit_hard: u64,
    /// Percent of busyness above which workers are started.
    pub cheaper_busyness_max: u32,
    /// Percent of busyness below which one may be stopped.
    pub cheaper_busyness_min: u32,
    /// Quiet periods before one is stopped.
    pub cheaper_busyness_multiplier: u32,
    /// Added to the multiplier after a stop that was a mistake.
    pub cheaper_busyness_penalty: u32,
    /// Say in the log what is seen.
    pub cheaper_busyness_verbose: bool,
    /// Waiting connections beyond which emergency workers are started.
    pub cheaper_busyness_backlog_alert: u32,
    /// The multiplier while emergency workers run.
    pub cheaper_busyness_backlog_multiplier: u32,
    /// Emergency workers started at a time.
    pub cheaper_busyness_backlog_step: u32,
    /// Seconds with waiting connections beyond which emergency workers are started.
    pub cheaper_busyness_backlog_nonzero: u32,
    /// No worker runs until somebody connects.
    pub cheap: bool,
    /// Seconds without a request after which no worker runs until somebody connects; 0 is never.
    pub idle: u32,
    /// With `idle`: end the instance instead.
    pub die_on_idle: bool,
}

impl Default for Cheaper {
    fn default() -> Self {
        Self {
            cheaper: 0,
            cheaper_initial: None,
            cheaper_algo: CheaperAlgo::Spare,
            cheaper_step: 1,
            cheaper_overload: 3,
            cheaper_idle: 10,
            cheaper_rss_limit_soft: 0,
            cheaper_rss_limit_hard: 0,
            cheaper_busyness_max: 50,
            cheaper_busyness_min: 25,
            cheaper_busyness_multiplier: 10,
            cheaper_busyness_penalty: 2,
            cheaper_busyness_verbose: false,
            cheaper_busyness_backlog_alert: 33,
            cheaper_busyness_backlog_multiplier: 3,
            cheaper_busyness_backlog_step: 1,
            cheaper_busyness_backlog_nonzero: 60,
            cheap: false,
            idle: 0,
            die_on_idle: false,
        }
    }
}

/// `cheaper-algo`: who decides how many workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheaperAlgo {
    /// Keeps about one worker free.
    Spare,
    /// Keeps `cheaper` workers free.
    Spare2,
    /// Looks at the listen queue.
    Backlog,
    /// Keeps the average busyness between two marks.
    Busyness,
    /// The operator.
    Manual,
}

/// When a worker is replaced, and what it may use. Zero is never, or no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Recycling {
    /// Requests of one worker process.
    pub max_requests: u32,
    /// So many more for each worker after the first.
    pub max_requests_delta: u32,
    /// Seconds before which a worker is not replaced for its requests or its memory.
    pub min_worker_lifetime: u32,
    /// Seconds after which it is.
    pub max_worker_lifetime: u32,
    /// So many more for each worker after the first.
    pub max_worker_lifetime_delta: u32,
    /// MiB of resident memory above which it is replaced.
    pub reload_on_rss: u32,
    /// MiB of address space above which it is replaced.
    pub reload_on_as: u32,
    /// MiB of resident memory above which it is killed.
    pub evil_reload_on_rss: u32,
    /// MiB of address space above which it is killed.
    pub evil_reload_on_as: u32,
    /// Replaced after any exception of the application.
    pub reload_on_exception: bool,
    /// Classes of exceptions after which it is replaced.
    pub reload_on_exception_type: Vec<Located<String>>,
    /// Messages of exceptions after which it is replaced.
    pub reload_on_exception_value: Vec<Located<String>>,
    /// Both, with a colon between.
    pub reload_on_exception_repr: Vec<Located<String>>,
    /// MiB of `RLIMIT_AS`.
    pub limit_as: u32,
    /// `RLIMIT_NPROC`.
    pub limit_nproc: u32,
    /// Seconds to wait before a worker that dies too fast is started again.
    pub forkbomb_delay: Option<u32>,
}

impl Default for Recycling {
    fn default() -> Self {
        Self {
            max_requests: 0,
            max_requests_delta: 0,
            min_worker_lifetime: 10,
            max_worker_lifetime: 0,
            max_worker_lifetime_delta: 0,
            reload_on_rss: 0,
            reload_on_as: 0,
            evil_reload_on_rss: 0,
            evil_reload_on_as: 0,
            reload_on_exception: false,
            reload_on_exception_type: Vec::new(),
            reload_on_exception_value: Vec::new(),
            reload_on_exception_repr: Vec::new(),
            limit_as: 0,
            limit_nproc: 0,
            forkbomb_delay: None,
        }
    }
}

/// The interpreter, and which applications run in it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Python {
    /// `pkg.mod[:callable]`, the callable perhaps a factory: `name()`.
    pub module: Option<Located<String>>,
    /// A Python file to run as the app's module.
    pub wsgi_file: Option<Located<PathBuf>>,
    /// The callable's name where the module names none (default `application`).
    pub callable: Option<Located<String>>,
    /// Apps by mountpoint.
    pub mount: Vec<Located<Mount>>,
    /// Choose among mounts by PATH_INFO, and split it into SCRIPT_NAME and the rest.
    pub manage_script_name: bool,
    /// Directories (or globs) put in front of `sys.path`.
    pub pythonpath: Vec<Located<PathBuf>>,
    /// Directory to change to before the apps are loaded.
    pub chdir: Option<Located<PathBuf>>,
    /// Directory to change to after the apps are loaded.
    pub chdir2: Option<Located<PathBuf>>,
    /// The virtual environment (or prefix) whose interpreter runs the app.
    pub virtualenv: Option<Located<PathBuf>>,
    /// Changes of the environment, in order.
    pub env: Vec<Located<EnvChange>>,
    /// The interpreter to run, a path or a name on PATH. Stronger than `virtualenv`.
    pub python: Option<Located<String>>,
    /// The interpreter that `plugins = python312` names (`python3.12`). Weaker than `virtualenv`.
    pub plugin_python: Option<Located<String>>,
    /// Modules to import before the apps.
    pub import: Vec<Located<String>>,
    /// Modules to import in every process that runs Python.
    pub shared_import: Vec<Located<String>>,
    /// Python's `-O` level.
    pub optimize: u32,
    /// Send an app's traceback to the client (for testing).
    pub catch_exceptions: bool,
    /// Leave `wsgi.file_wrapper` out of the environ.
    pub wsgi_disable_file_wrapper: bool,
    /// A request that no mountpoint matches is an error instead of the first app's.
    pub no_default_app: bool,
    /// A worker that ends runs no exit handlers at all.
    pub skip_atexit: bool,
    /// A worker that ends runs `uwsgi.atexit`, but not Python's own exit handlers.
    pub skip_atexit_teardown: bool,
    /// Peers whose `UWSGI_*` request variables are honoured.
    pub uwsgi_trust: Vec<Located<Peer>>,
}

/// `/mountpoint=app`, the app a module, a file, or `pkg.mod:callable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path prefix; empty or `/` for the root.
    pub mountpoint: String,
    /// What to load there.
    pub app: String,
}

/// One step of building the app's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvChange {
    /// `env = NAME=value`
    Set {
        /// The variable's name.
        name: String,
        /// Its new value.
        value: String,
    },
    /// `unenv = NAME`
    Unset {
        /// The variable's name.
        name: String,
    },
}

/// Privileges and signals.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Process {
    /// User to become, name or number; resolved when privileges are dropped.
    pub uid: Option<Located<String>>,
    /// Group to become, name or number; resolved when privileges are dropped.
    pub gid: Option<Located<String>>,
    /// Groups to be in beside those of the user; resolved with them.
    pub add_gid: Vec<Located<String>>,
    /// Capabilities to keep beyond the change of user, by name or number; resolved with it.
    pub cap: Vec<Located<String>>,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Nice value of the whole instance.
    pub prio: Option<i32>,
    /// How many CPUs each worker is bound to; 0 binds none.
    pub cpu_affinity: u32,
    /// SIGTERM stops (it does so here in any case).
    pub die_on_term: bool,
    /// What `ps` shows.
    pub titles: Titles,
    /// File that takes the log of an instance in the background.
    pub daemonize: Option<Located<PathBuf>>,
    /// The same, but it goes to the background only once it serves.
    pub daemonize2: Option<Located<PathBuf>>,
}

/// What `ps` shows of an instance's processes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Titles {
    /// Each process by its part: `uWSGI worker 1`. The options below imply it.
    pub auto_procname: bool,
    /// The title of all processes.
    pub procname: Option<Located<String>>,
    /// The title of the master.
    pub procname_master: Option<Located<String>>,
    /// Text in front of every title, a blank included if there is to be one.
    pub procname_prefix: Option<String>,
    /// Text behind every title.
    pub procname_append: Option<String>,
}

/// How an operator reaches the running instance, and what makes it reload.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Gets the pid before privileges are dropped.
    pub pidfile: Option<Located<PathBuf>>,
    /// Gets the pid after privileges are dropped.
    pub pidfile2: Option<Located<PathBuf>>,
    /// Gets the pid when the workers are ready.
    pub safe_pidfile: Option<Located<PathBuf>>,
    /// Gets the pid when the workers are ready.
    pub safe_pidfile2: Option<Located<PathBuf>>,
    /// Named pipes for commands; the first is read until a digit chooses another.
    pub master_fifo: Vec<Located<PathBuf>>,
    /// Touched: reload.
    pub touch_reload: Vec<Located<PathBuf>>,
    /// Touched: replace the workers.
    pub touch_workers_reload: Vec<Located<PathBuf>>,
    /// Touched: replace the workers one by one.
    pub touch_chain_reload: Vec<Located<PathBuf>>,
    /// Touched: reopen the logs.
    pub touch_logreopen: Vec<Located<PathBuf>>,
    /// Touched: rotate the logs.
    pub touch_logrotate: Vec<Located<PathBuf>>,
    /// Files and directories whose change reloads.
    pub fs_reload: Vec<Located<PathBuf>>,
    /// Files and directories whose change reloads brutally.
    pub fs_brutal_reload: Vec<Located<PathBuf>>,
    /// A reload is an end instead.
    pub exit_on_reload: bool,
    /// Seconds between two looks at the files of the imported modules; 0 is never.
    pub py_autoreload: u32,
    /// Modules that `py_autoreload` leaves out.
    pub py_auto_reload_ignore: Vec<Located<String>>,
    /// Seconds a worker may take to leave in good order.
    pub worker_reload_mercy: u32,
    /// Seconds that SIGINT, SIGQUIT and brutal reloads leave to running requests.
    pub reload_mercy: u32,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            pidfile: None,
            pidfile2: None,
            safe_pidfile: None,
            safe_pidfile2: None,
            master_fifo: Vec::new(),
            touch_reload: Vec::new(),
            touch_workers_reload: Vec::new(),
            touch_chain_reload: Vec::new(),
            touch_logreopen: Vec::new(),
            touch_logrotate: Vec::new(),
            fs_reload: Vec::new(),
            fs_brutal_reload: Vec::new(),
            exit_on_reload: false,
            py_autoreload: 0,
            py_auto_reload_ignore: Vec::new(),
            worker_reload_mercy: 60,
            reload_mercy: 2,
        }
    }
}

/// What is done at the turning points of an instance's life, and what its start waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Hooks {
    /// All of them, in order.
    pub hooks: Vec<(Phase, Located<Hook>)>,
    /// What to do when a file is touched.
    pub touch: Vec<(PathBuf, Located<Hook>)>,
    /// What signals to the master mean instead.
    pub signals: Vec<Located<(i32, SignalAction)>>,
    /// What has to be there before the start goes on.
    pub wait_for: Vec<Located<Awaited>>,
    /// Seconds to wait for network interfaces.
    pub wait_for_interface_timeout: u32,
    /// Seconds to wait for files, directories and mountpoints.
    pub wait_for_fs_timeout: u32,
    /// Seconds to wait for servers.
    pub wait_for_socket_timeout: u32,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            hooks: Vec::new(),
            touch: Vec::new(),
            signals: Vec::new(),
            wait_for: Vec::new(),
            wait_for_interface_timeout: 60,
            wait_for_fs_timeout: 60,
            wait_for_socket_timeout: 60,
        }
    }
}

/// A turning point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The very beginning.
    Asap,
    /// Before [`Phase::InJail`].
    PreJail,
    /// Before [`Phase::AsRoot`].
    InJail,
    /// Before sockets are opened and privileges dropped.
    AsRoot,
    /// Privileges are dropped.
    AsUser,
    /// Before the app is loaded.
    PreApp,
    /// The app is loaded.
    PostApp,
    /// A new worker.
    PostFork,
    /// A worker is about to take requests.
    Accepting,
    /// As `Accepting`, at the start only.
    AcceptingOnce,
    /// The workers of a generation take requests.
    Accepting1,
    /// As `Accepting1`, at the start only.
    Accepting1Once,
    /// The master runs.
    MasterStart,
    /// The very end.
    AsUserAtexit,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub action: Action,
}

/// What a hook does. Paths are relative to where the app runs, once that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs a line in a shell and waits for its end.
    Exec {
        /// The line.
        command: String,
        /// Another exit code than 0 is a failure.
        must_succeed: bool,
    },
    /// Writes a line to the log.
    Print(String),
    /// Writes text into a file, which is made if it is not there.
    Write {
        /// The file.
        file: PathBuf,
        /// The text.
        text: String,
        /// Behind what is there, instead of in its place.
        append: bool,
    },
    /// Writes text into a named pipe that somebody reads.
    WriteFifo {
        /// The pipe.
        fifo: PathBuf,
        /// The text.
        text: String,
    },
    /// Makes an empty file, or empties one.
    Create(PathBuf),
    /// Removes a file.
    Unlink(PathBuf),
    /// Makes a directory.
    Mkdir(PathBuf),
    /// Changes a mode.
    Chmod {
        /// Of what.
        path: PathBuf,
        /// The new mode.
        mode: u32,
    },
    /// Sets the sticky bit.
    Sticky(PathBuf),
    /// Changes an owner; names or numbers.
    Chown {
        /// Of what.
        path: PathBuf,
        /// The new user.
        user: String,
        /// The new group.
        group: String,
    },
    /// Ends the process with this exit code.
    Exit(u8),
    /// Waits.
    Wait(Awaited),
}

/// Something that a start waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A network interface that is up.
    Interface(String),
    /// Anything at this path.
    Any(PathBuf),
    /// A file.
    File(PathBuf),
    /// A directory.
    Directory(PathBuf),
    /// A directory where something is mounted.
    Mountpoint(PathBuf),
    /// A server that takes connections.
    Socket(String),
}

/// What a signal to the master means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalAction {
    /// Finish what there is, then end.
    Stop,
    /// End within seconds.
    Kill,
    /// Reload.
    Reload,
    /// Reload without waiting for requests.
    BrutalReload,
    /// Counters to the log.
    LogStats,
}

/// Programs that run beside the workers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Daemons {
    /// All of them, in order.
    pub attached: Vec<Located<Daemon>>,
    /// They read the instance's standard input instead of nothing.
    pub daemons_honour_stdin: bool,
}

/// One program that runs beside the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// A line for the shell.
    pub command: String,
    /// Where its pid stands. Such a program outlives reloads and the instance.
    pub pidfile: Option<PathBuf>,
    /// It goes to the background and writes the pidfile itself.
    pub goes_to_background: bool,
    /// Seconds between two looks at the pidfile.
    pub freq: u32,
    /// Its end is the end of the instance.
    pub control: bool,
    /// Files whose touch starts it anew.
    pub touch: Vec<PathBuf>,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// The signal it gets at a reload instead of being started anew.
    pub reload_signal: Option<i32>,
    /// Where it runs; without it, where the app does.
    pub chdir: Option<PathBuf>,
    /// The longest wait in seconds before it is started again.
    pub max_throttle: u32,
    /// It reads the instance's standard input.
    pub stdin: bool,
}

/// Which log lines there are, what they look like, where they go.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Log {
    /// No line per request, but for the exceptions below.
    pub disable_logging: bool,
    /// Exception: a status of 4xx.
    pub log_4xx: bool,
    /// Exception: a status of 5xx.
    pub log_5xx: bool,
    /// Exception: it took so many milliseconds; 0 is off.
    pub log_slow: u32,
    /// Exception: the answer's body has so many bytes; 0 is off.
    pub log_big: u64,
    /// Exception: the answer has no body.
    pub log_zero: bool,
    /// Exception: the answer was a file.
    pub log_sendfile: bool,
    /// Exception: the client was lost.
    pub log_ioerror: bool,
    /// The request line's form, when it is not the default one.
    pub log_format: Option<LogFormat>,
    /// `%(ftime)` has the form of `log_date`.
    pub log_format_strftime: bool,
    /// Microseconds in the default request line.
    pub log_micros: bool,
    /// The address is that of X-Forwarded-For.
    pub log_x_forwarded_for: bool,
    /// Memory in the default request line.
    pub memory_report: bool,
    /// What each line of the server begins with.
    pub log_date: Option<LogDate>,
    /// Every line is a JSON object.
    pub log_json: bool,
    /// Where everything goes, opened before privileges are dropped.
    pub logto: Option<Located<LogTo>>,
    /// Where everything goes, opened after privileges are dropped.
    pub logto2: Option<Located<LogTo>>,
    /// Empty the file of `logto` at the start.
    pub log_truncate: bool,
    /// Open log files anew at a reload.
    pub log_reopen: bool,
    /// Rotate the file of `logto` at so many bytes; 0 is never.
    pub log_maxsize: u64,
    /// What the rotated file is called.
    pub log_backupname: Option<Located<PathBuf>>,
    /// Log files belong to `uid` and `gid`.
    pub logfile_chown: bool,
    /// Mode of log files, such as `0o640`.
    pub logfile_chmod: Option<u32>,
    /// Destinations of all lines (but those of requests, if they have their own).
    pub logger: Vec<Located<Logger>>,
    /// Destinations of request lines.
    pub req_logger: Vec<Located<Logger>>,
    /// Which lines go to which named logger.
    pub log_route: Vec<Located<Route>>,
    /// Which request lines go to which named request logger.
    pub log_req_route: Vec<Located<Route>>,
    /// Lines to throw away.
    pub log_drain: Vec<Located<String>>,
    /// The only lines to keep.
    pub log_filter: Vec<Located<String>>,
    /// What is done to each line.
    pub log_encoder: Vec<Located<Encoder>>,
    /// What is done to each request line.
    pub log_req_encoder: Vec<Located<Encoder>>,
    /// All lines go through the master.
    pub log_master: bool,
    /// Longer lines are written in pieces; 0 is no limit of the operator's.
    pub log_master_bufsize: u64,
    /// Most bytes of a message of an rsyslog logger; 0 is what a datagram holds.
    pub rsyslog_packet_size: u32,
    /// Send what is beyond as further messages.
    pub rsyslog_split_messages: bool,
}

impl Log {
    /// Whether request lines travel apart from all others.
    pub fn separates_requests(&self) -> bool {
        !(self.req_logger.is_empty()
            && self.log_req_route.is_empty()
            && self.log_req_encoder.is_empty())
    }

    /// Whether lines go through the master, as something is to be done with them that no single process can do.
    pub fn collects(&self) -> bool {
        let goes_by_udp = |to: &Option<Located<LogTo>>| {
            to.as_ref()
                .is_some_and(|to| matches!(to.value, LogTo::Udp(_)))
        };
        self.log_master
            || self.separates_requests()
            || goes_by_udp(&self.logto)
            || goes_by_udp(&self.logto2)
            || !(self.logger.is_empty()
                && self.log_route.is_empty()
                && self.log_drain.is_empty()
                && self.log_filter.is_empty()
                && self.log_encoder.is_empty())
    }
}

/// `log-date`: what each line of the server begins with, before ` - `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogDate {
    /// `Fri Nov 20 16:33:54 2026`
    Ctime,
    /// A form of strftime.
    Strftime(String),
}

/// Bounds on one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest block of request variables in bytes, at most 65535.
    pub buffer_size: u32,
    /// uWSGI's size of the variable table; a request may carry twice as many variables.
    pub max_vars: u32,
    /// Largest request body in bytes; 0 is no limit.
    pub limit_post: u64,
    /// Read the whole body before the app is called, beyond so many bytes into a temporary file; 0 is off.
    pub post_buffering: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            buffer_size: 4096,
            max_vars: 64,
            limit_post: 0,
            post_buffering: 0,
        }
    }
}

/// What becomes of requests that take too long.
#[derive(Clone, Debug, PartialEq)]
pub struct Harakiri {
    /// Seconds from the application's call to its end; 0 is no limit.
    pub harakiri: u32,
    /// Also log what the kernel knows about the stuck thread, and what the other threads are doing.
    pub harakiri_verbose: bool,
    /// Seconds between a signal to the worker and its end; 0 is no signal.
    pub harakiri_graceful_timeout: u32,
    /// The number of that signal.
    pub harakiri_graceful_signal: u32,
    /// Only when so many connections wait in a listen queue; 0 is always.
    pub harakiri_queue_threshold: u32,
}

impl Default for Harakiri {
    fn default() -> Self {
        Self {
            harakiri: 0,
            harakiri_verbose: false,
            harakiri_graceful_timeout: 0,
            // SIGTERM
            harakiri_graceful_signal: 15,
            harakiri_queue_threshold: 0,
        }
    }
}

/// HTTP as `http-socket` speaks it.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Seconds an idle connection is kept open; 0 closes it after each response.
    pub http_keepalive: u32,
    /// Seconds a client may take to send a request head.
    pub http_headers_timeout: u32,
    /// Most header fields in one request.
    pub http_max_headers: u32,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are believed.
    pub http_trust_forwarded: Vec<Located<Peer>>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            http_keepalive: 60,
            http_headers_timeout: 30,
            http_max_headers: 100,
            http_trust_forwarded: Vec::new(),
        }
    }
}

/// What the instance tells about itself, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Addresses that serve the JSON.
    pub stats: Vec<Located<Address>>,
    /// They speak HTTP.
    pub stats_http: bool,
    /// The JSON has no white space.
    pub stats_minified: bool,
    /// The JSON does not say what each core does.
    pub stats_no_cores: bool,
    /// The variables of running requests are shown as they are.
    pub stats_show_secrets: bool,
    /// Addresses that serve `/metrics` (and the JSON) over HTTP.
    pub prometheus_listen: Vec<Located<Address>>,
}
