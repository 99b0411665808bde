//! From options to an emperor that lives.

use std::ffi::OsString;
use std::fs;
use std::io;

use uwgate_config::options::Phase;
use uwgate_config::{Loaded, Options};
use uwgate_server::background::Background;
use uwgate_server::hooks;
use uwgate_server::station::Station;
use uwgate_server::title::Part;
use uwgate_sys::process;
use uwgate_sys::signals::Signal;

use crate::commands::CommandSocket;
use crate::control;
use crate::emperor::{Emperor, Servers};
use crate::happenings;
use crate::heritage::Heritage;
use crate::kept::Kept;
use crate::source::Source;
use crate::stats;

/// Whether the options ask for an emperor.
pub fn is_asked(options: &Options) -> bool {
    !options.emperor.emperor.is_empty()
}

/// Exit codes.
const CLEAN: i32 = 0;
const FAILED: i32 = 1;

/// Runs an emperor until it is told to stop. Returns the process's exit code. `args`: the command line without the
/// program's name, for a newer binary to take over with. `heritage`: what the process had as an emperor before it became
/// this binary.
pub fn run(
    loaded: &Loaded,
    args: &[OsString],
    heritage: Option<Heritage>,
    mut background: Background,
) -> i32 {
    match start(loaded, (args, heritage), &mut background) {
        Ok(()) => CLEAN,
        Err(problems) => {
            for problem in &problems {
                tracing::error!("{problem}");
            }
            FAILED
        }
    }
}

/// Signals that wait until they can be obeyed.
const AWAITED: [Signal; 8] = [
    Signal::HUP,
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::URG,
];

fn start(
    loaded: &Loaded,
    before: (&[OsString], Option<Heritage>),
    background: &mut Background,
) -> Result<(), Vec<String>> {
    let options = &loaded.options;
    let one = |problem: String| vec![problem];
    let system = |error: io::Error| vec![error.to_string()];
    is_nothing_else(options)?;
    let sources = Source::all(options)?;
    uwgate_sys::signals::block(&AWAITED).map_err(system)?;
    let mut shown = options.clone();
    if let Some(title) = &options.emperor.emperor_procname {
        shown.process.titles.procname = Some(title.clone());
    }
    let mut station = Station::open(&shown, Part::Emperor, background).map_err(one)?;
    // A successor goes on where its former self was.
    let begins = before.1.is_none();
    let do_hooks = |phases: &[Phase]| match begins {
        true => do_hooks(options, phases),
        false => Ok(()),
    };
    do_hooks(&[Phase::Asap, Phase::PreJail, Phase::InJail])?;
    tracing::info!("*** starting uWSGI Emperor ***");
    make_room();
    let owner = station.identity().map(|it| (it.uid, it.gid));
    // Before anything of another emperor's could be touched.
    let kept = Kept::open(options, owner).map_err(one)?;
    let servers = bind(options, &station, begins)?;
    write_pid(options).map_err(one)?;
    do_hooks(&[Phase::AsRoot])?;
    station.settle(options).map_err(one)?;
    do_hooks(&[Phase::AsUser, Phase::EmperorStart])?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(system)?;
    let result = runtime.block_on(async {
        let happenings =
            happenings::subscribe(options.emperor.emperor_graceful_shutdown, kept.is_some())
                .map_err(system)?;
        let emperor = Emperor::new(loaded, sources, station, servers, happenings, before, kept)?;
        // What came meanwhile is handled now.
        uwgate_sys::signals::unblock_all();
        emperor.live().await;
        Ok(())
    });
    if let Some(pidfile) = &options.emperor.emperor_pidfile {
        let _ = fs::remove_file(&pidfile.value);
    }
    result
}

fn do_hooks(options: &Options, phases: &[Phase]) -> Result<(), Vec<String>> {
    let done = phases
        .iter()
        .try_for_each(|phase| hooks::run(options, *phase, None));
    done.map_err(|problem| vec![problem])
}

/// An emperor serves no requests itself: one program that stops for another's fault is not what it is for.
fn is_nothing_else(options: &Options) -> Result<(), Vec<String>> {
    let sockets = options.sockets.sockets.first().map(|it| &it.origin);
    let python = &options.python;
    let app = python.module.as_ref().map(|it| &it.origin);
    let app = app.or(python.wsgi_file.as_ref().map(|it| &it.origin));
    let app = app.or(python.mount.first().map(|it| &it.origin));
    let problems: Vec<String> = [(sockets, "a socket"), (app, "an application")]
        .into_iter()
        .filter_map(|(origin, what)| {
            Some(format!(
                "{}: an emperor does not serve requests itself, so it has no use for {what}: write it into a vassal's file",
                origin?
            ))
        })
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

/// Hundreds of vassals are a few descriptors each.
fn make_room() {
    let limit = process::open_files();
    if let Some(hard) = limit.hard
        && limit.soft.is_some_and(|soft| soft < hard)
    {
        let _ = process::set_open_files(hard);
    }
}

fn bind(options: &Options, station: &Station, begins: bool) -> Result<Servers, Vec<String>> {
    let owner = station.identity().map(|it| (it.uid, it.gid));
    let stats = options.emperor.emperor_stats.iter();
    let stats: Result<_, _> = stats
        .map(|asked| stats::Server::bind(asked, options, owner))
        .collect();
    let one = |problem| vec![problem];
    let commands = options.vassals.emperor_command_socket.as_ref();
    let commands = commands.map(|asked| CommandSocket::bind(asked, owner));
    let commands = match commands.transpose() {
        // The vassals of a successor do not die for it.
        Err(problem) if !begins => {
            tracing::error!("{problem}");
            None
        }
        bound => bound.map_err(one)?,
    };
    Ok(Servers {
        stats: stats.map_err(one)?,
        control: bind_control(options, owner).map_err(one)?,
        commands,
    })
}

/// A socket that nobody has asked for need not be there: another emperor may have it.
fn bind_control(
    options: &Options,
    owner: Option<(u32, u32)>,
) -> Result<Option<control::Server>, String> {
    let (path, is_asked) = control::path(&options.emperor);
    match control::Server::bind(&path, owner) {
        Ok(server) => Ok(Some(server)),
        Err(problem) if is_asked => Err(problem),
        Err(problem) => {
            tracing::warn!(
                "`uwgate ctl` will not reach this emperor ({problem}); give it an emperor-control-socket of its own"
            );
            Ok(None)
        }
    }
}

fn write_pid(options: &Options) -> Result<(), String> {
    let Some(pidfile) = &options.emperor.emperor_pidfile else {
        return Ok(());
    };
    fs::write(&pidfile.value, format!("{}\n", process::this()))
        .map_err(|error| format!("{}: emperor-pidfile: {error}", pidfile.origin))
}
