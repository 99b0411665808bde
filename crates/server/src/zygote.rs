//! The process that has the application and makes workers of itself.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use uwgate_config::Options;
use uwgate_config::options::Phase;
use uwgate_sys::allocator;
use uwgate_sys::channel::Channel;
use uwgate_sys::process::{self, Fork, allowed_cpus, this, thread_count};
use uwgate_sys::signals::Signal;
use uwgate_sys::socket::wait_readable;

use crate::at_rest;
use crate::hooks;
use crate::host::Host;
use crate::inherit::Inherited;
use crate::message::{FromWorker, FromZygote, Message, SIZE, ToZygote};
use crate::scoreboard::{Row, Side};
use crate::title::{self, Part};
use crate::warm_up;
use crate::worker::{self, Room};

/// What the language side of a zygote can do. It is asked from one thread, which is the only one of the process
/// unless the application has started more.
pub trait Nursery {
    /// What serves the requests in a worker.
    type Host: Host;

    /// Loads the applications and says how many were found; what went wrong was logged.
    fn load(&mut self) -> u32;

    /// Lends out the host for a while, in a process that has loaded the applications and is no worker yet.
    fn rehearse(&mut self, play: impl FnOnce(&Self::Host));

    /// Makes ready for many children: nothing is moved in memory that they share.
    fn settle(&mut self) {}

    /// Forks so that the child is adopted by the master, with whatever the language wants done around a fork.
    ///
    /// # Errors
    /// What the kernel says.
    fn fork(&mut self) -> io::Result<Fork>;

    /// Looks from now on, in a worker, whether the code that it has loaded changes (`py-autoreload`), and calls
    /// `changed` with the time of the change since 1970.
    fn watch(&mut self, changed: impl Fn(Duration) + Send + Sync + 'static) {
        drop(changed);
    }

    /// Says that this process is a worker from now on, and runs what the application wants done in each of them.
    fn become_worker(&mut self, row: Row);

    /// The host of the worker.
    fn host(&mut self) -> Self::Host;
}

/// How a zygote or worker ends, as the exit code that uWSGI would use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Done.
    Clean,
    /// A worker that finished what it had and makes room for another.
    Worker,
    /// A worker without master that was told to stop.
    Stopped,
    /// Something is wrong with the machine or with us.
    Failed,
    /// `need-app`, and there is none.
    NoApp,
}

impl End {
    /// The process's exit code.
    pub fn code(self) -> i32 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Worker => 17,
            Self::NoApp => 22,
            Self::Stopped => 30,
        }
    }
}

/// Serves as zygote until the master is gone, and as worker in the children. With no master in `inherited` it is
/// worker 1 itself.
pub fn run<N: Nursery>(inherited: Inherited, mut nursery: N) -> End {
    match run_or_fail(inherited, &mut nursery) {
        Ok(end) => end,
        Err(error) => {
            tracing::error!("pid {}: {error}", std::process::id());
            End::Failed
        }
    }
}

fn run_or_fail<N: Nursery>(mut inherited: Inherited, nursery: &mut N) -> io::Result<End> {
    let workers = &inherited.options.workers;
    let (lazy, need_app) = (workers.lazy_apps || workers.lazy, workers.need_app);
    let mut load = Load::InWorker { need_app };
    if inherited.master.is_some() {
        title::show(&inherited.options.process.titles, Part::Zygote);
    } else {
        // There is nothing yet that could be finished.
        end_after_signals(1, 1);
    }
    // What is loaded here counts as well: importing is where an application first eats.
    limit_memory(&inherited.options);
    if !lazy {
        let apps = load_apps(&inherited.options, nursery)?;
        if apps == 0 && need_app {
            return Ok(End::NoApp);
        }
        load = Load::Done { apps };
    }
    let room = Room::new(&inherited.options)?;
    let Some(master) = inherited.master.take() else {
        let alone = Row {
            worker: 1,
            side: Side::First,
        };
        return serve(inherited, nursery, alone, None, load, None);
    };
    if !lazy {
        warn_about_threads();
        nursery.settle();
        share_memory();
    }
    let apps = load.apps();
    master.send(&FromZygote::Loaded { apps }.encode(), &[])?;
    while let Some((row, channel)) = next_fork(&master)? {
        match nursery.fork() {
            Ok(Fork::Parent(_)) => {}
            Ok(Fork::Child) => {
                drop(master);
                return serve(inherited, nursery, row, Some(channel), load, Some(room));
            }
            Err(error) => {
                let Row { worker, side } = row;
                tracing::error!("worker {worker} cannot be forked: {error}");
                master.send(&FromZygote::ForkFailed { worker, side }.encode(), &[])?;
            }
        }
    }
    Ok(End::Clean)
}

/// Whether the applications are there already.
#[derive(Clone, Copy)]
enum Load {
    Done { apps: u32 },
    InWorker { need_app: bool },
}

impl Load {
    fn apps(self) -> u32 {
        match self {
            Self::Done { apps } => apps,
            Self::InWorker { .. } => 0,
        }
    }
}

/// Leaves the memory in a state in which the workers write to as little of it as possible.
fn share_memory() {
    // The workers' settings; changed in each of them it would touch what is free all over the memory.
    allocator::settle();
    allocator::give_back();
    let holes = allocator::fill_holes();
    tracing::debug!("filled {} KiB of holes in the memory", holes / 1024);
}

/// The next order; `None` when the master is gone.
fn next_fork(master: &Channel) -> io::Result<Option<(Row, Channel)>> {
    loop {
        if !wait_readable(master.as_fd(), Some(at_rest::QUIET))? {
            at_rest::keep_only_what_is_needed("zygote");
            wait_readable(master.as_fd(), None)?;
        }
        let mut datagram = [0; SIZE];
        let received = master.recv(&mut datagram)?;
        if received.is_eof() {
            return Ok(None);
        }
        let order = datagram.get(..received.len).and_then(ToZygote::decode);
        if let (Some(ToZygote::Fork { worker, side }), Some(fd)) =
            (order, received.fds.into_iter().next())
        {
            return Ok(Some((Row { worker, side }, Channel::adopt(fd)?)));
        }
    }
}

/// A worker whose master has died finishes what it has; one that cannot is ended by the kernel after so many seconds,
/// lest it keeps the sockets (the master's mercy is as long).
const WITHOUT_MASTER: u32 = 60;

/// The life of a worker, in the worker.
fn serve<N: Nursery>(
    inherited: Inherited,
    nursery: &mut N,
    row: Row,
    master: Option<Channel>,
    load: Load,
    room: Option<Room>,
) -> io::Result<End> {
    if let Some(master) = &master {
        let pid = u32::try_from(this().as_raw()).unwrap_or_default();
        master.send(&FromWorker::Started { pid }.encode(), &[])?;
        uwgate_sys::signals::end_after_parent(WITHOUT_MASTER)?;
    }
    let alone = master.is_none();
    let process = &inherited.options.process;
    title::show(&process.titles, Part::Worker(row.worker));
    bind_to_cpus(row.worker, process.cpu_affinity);
    limit_processes(&inherited.options);
    allocator::settle();
    nursery.become_worker(row);
    do_hooks(&inherited.options, Phase::PostFork)?;
    let apps = match load {
        Load::Done { apps } => apps,
        Load::InWorker { need_app } => match load_apps(&inherited.options, nursery)? {
            0 if need_app => return Ok(End::NoApp),
            apps => apps,
        },
    };
    let Inherited {
        options,
        listeners,
        scoreboard,
        ..
    } = inherited;
    if options.control.py_autoreload > 0
        && let Some(master) = &master
    {
        watch(nursery, master.try_clone()?);
    }
    do_hooks(&options, Phase::Accepting)?;
    if alone {
        let control = &options.control;
        end_after_signals(control.reload_mercy, control.worker_reload_mercy);
    }
    let setup = worker::Setup {
        row,
        options: Arc::clone(&options),
        listeners,
        master,
        scoreboard,
        apps,
        room,
    };
    worker::run(setup, nursery.host())?;
    if alone {
        do_hooks(&options, Phase::AsUserAtexit)?;
    }
    Ok(if alone { End::Stopped } else { End::Worker })
}

/// What the zygote, and each worker after it, may use; a limit that cannot be set is logged.
fn limit_memory(options: &Options) {
    let megabytes = u64::from(options.recycling.limit_as);
    if megabytes > 0
        && let Err(error) = process::limit_address_space(megabytes << 20)
    {
        tracing::error!("limit-as = {megabytes}: {error}");
    }
}

/// How many processes the worker's user may have; a limit that cannot be set is logged.
fn limit_processes(options: &Options) {
    let processes = u64::from(options.recycling.limit_nproc);
    if processes > 0
        && let Err(error) = process::limit_processes(processes)
    {
        tracing::error!("limit-nproc = {processes}: {error}");
    }
}

/// Without a master nobody ends a worker that is stuck in a request when it is told to stop.
fn end_after_signals(quick: u32, graceful: u32) {
    for (signal, seconds) in [
        (Signal::INT, quick),
        (Signal::QUIT, quick),
        (Signal::TERM, graceful),
        (Signal::HUP, graceful),
    ] {
        uwgate_sys::signals::end_after(signal, seconds, End::Stopped.code());
    }
}

/// Has changes of the code told to the master.
fn watch<N: Nursery>(nursery: &mut N, master: Channel) {
    nursery.watch(move |when| {
        let seconds = u32::try_from(when.as_secs()).unwrap_or(u32::MAX);
        let nanos = when.subsec_nanos();
        // Without a master nobody reloads.
        let _ = master.send(&FromWorker::CodeChanged { seconds, nanos }.encode(), &[]);
    });
}

/// The applications, between the hooks around them.
fn load_apps<N: Nursery>(options: &Options, nursery: &mut N) -> io::Result<u32> {
    do_hooks(options, Phase::PreApp)?;
    let apps = nursery.load();
    do_hooks(options, Phase::PostApp)?;
    if apps > 0 && !options.python.warm_up.is_empty() {
        nursery.rehearse(|host| warm_up::run(options, host));
    }
    Ok(apps)
}

fn do_hooks(options: &Options, phase: Phase) -> io::Result<()> {
    // This process is where the application runs.
    hooks::run(options, phase, None).map_err(io::Error::other)
}

/// Gives each worker its `count` CPUs of those that the instance may use, going round.
fn bind_to_cpus(worker: u32, count: u32) {
    if count == 0 {
        return;
    }
    let bound = allowed_cpus().and_then(|allowed| {
        let first = (worker.saturating_sub(1) as usize).saturating_mul(count as usize);
        let number = (count as usize).min(allowed.len());
        let mine = allowed.iter().copied().cycle();
        let mine: Vec<usize> = mine
            .skip(first % allowed.len().max(1))
            .take(number)
            .collect();
        process::bind_to_cpus(&mine).map(|()| mine)
    });
    match bound {
        Ok(cpus) => {
            let cpus: Vec<String> = cpus.iter().map(usize::to_string).collect();
            tracing::info!("mapping worker {worker} to CPUs: {}", cpus.join(" "));
        }
        Err(error) => tracing::warn!("cpu-affinity: worker {worker} is not bound: {error}"),
    }
}

/// A thread that was started while the application loaded does not exist in the workers.
fn warn_about_threads() {
    if let Ok(threads @ 2..) = thread_count() {
        tracing::warn!(
            "the application started {} thread(s) while it was loaded; they will not run in the workers. \
             Start them after the fork, or set lazy-apps = true",
            threads - 1
        );
    }
}
