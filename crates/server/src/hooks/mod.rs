//! What the options want done at the turning points of an instance's life.
//!
//! Where a process has nothing better to do it does its hooks one after the other with [`run`]. The master, which
//! has, does them through `master::chores`.

mod action;
mod waiting;

use std::path::Path;

use uwgate_config::Options;
use uwgate_config::options::{Hook, Phase};
use uwgate_config::{Located, options};
use uwgate_sys::process::{self, Exit, Pid, Spawn};

pub(crate) use waiting::wait_for_all;

use crate::environment::environment;

/// What became of an action.
pub(crate) enum Outcome {
    Done,
    /// A command runs; how it ends is judged by [`verdict`].
    Running(Pid),
}

/// The hooks of a turning point, in their order.
pub fn of(options: &Options, phase: Phase) -> impl Iterator<Item = &Located<Hook>> {
    let hooks = options.hooks.hooks.iter();
    hooks
        .filter(move |(its, _)| *its == phase)
        .map(|(_, hook)| hook)
}

/// Whether there is something that only a master does.
pub(crate) fn want_master(options: &Options) -> bool {
    let masters = [
        Phase::AcceptingOnce,
        Phase::Accepting1,
        Phase::Accepting1Once,
    ];
    let hooks = &options.hooks;
    !hooks.touch.is_empty() || hooks.hooks.iter().any(|(phase, _)| masters.contains(phase))
}

/// Does all that is to be done at a turning point, and waits for it. Paths and commands are relative to `directory`;
/// without one, to where this process is.
///
/// # Errors
/// One sentence about the first that failed, with the line that asks for it; those behind it are not done.
pub fn run(options: &Options, phase: Phase, directory: Option<&Path>) -> Result<(), String> {
    of(options, phase).try_for_each(|hook| run_one(hook, phase, options, directory))
}

/// Does one hook of a turning point, as [`run`] does.
///
/// # Errors
/// As of [`run`].
pub fn run_one(
    hook: &Located<Hook>,
    phase: Phase,
    options: &Options,
    directory: Option<&Path>,
) -> Result<(), String> {
    match begin(hook, phase_name(phase), options, directory)? {
        Outcome::Done => Ok(()),
        Outcome::Running(pid) => {
            let exit = process::reap(pid);
            verdict(hook, exit.map_err(|error| failed(hook, &error))?)
        }
    }
}

/// Begins one; `when` is for the log.
pub(crate) fn begin(
    hook: &Located<Hook>,
    when: &str,
    options: &Options,
    directory: Option<&Path>,
) -> Result<Outcome, String> {
    tracing::info!("running \"{}\" ({when})...", hook.text);
    if let options::Action::Exec { command, .. } = &hook.action {
        let started = shell(command, options, directory).spawn();
        return started
            .map(Outcome::Running)
            .map_err(|error| failed(hook, &error));
    }
    action::perform(&hook.action, directory, options)
        .map(|()| Outcome::Done)
        .map_err(|problem| failed(hook, &problem))
}

/// What a command's end means.
pub(crate) fn verdict(hook: &Located<Hook>, exit: Exit) -> Result<(), String> {
    let must_succeed = !matches!(
        hook.action,
        options::Action::Exec {
            must_succeed: false,
            ..
        }
    );
    if exit.success() {
        return Ok(());
    }
    let problem = format!("command \"{}\" {exit}", hook.text);
    if must_succeed {
        return Err(failed(hook, &problem));
    }
    tracing::warn!("{}: {problem}", hook.origin);
    Ok(())
}

fn failed(hook: &Located<Hook>, why: &dyn std::fmt::Display) -> String {
    format!("{}: hook `{}` failed: {why}", hook.origin, hook.text)
}

/// The command that runs a line of shell in the app's environment.
fn shell(line: &str, options: &Options, directory: Option<&Path>) -> Spawn {
    Spawn {
        args: vec!["-c".into(), line.into()],
        env: Some(environment(&options.python)),
        cwd: directory.map(Path::to_owned),
        ..Spawn::new("/bin/sh")
    }
}

/// uWSGI's words for it.
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Asap => "asap",
        Phase::PreJail => "pre-jail",
        Phase::InJail => "in-jail",
        Phase::AsRoot => "as root",
        Phase::AsUser => "as user",
        Phase::PreApp => "pre app",
        Phase::PostApp => "post app",
        Phase::PostFork => "post-fork",
        Phase::Accepting => "accepting",
        Phase::AcceptingOnce => "accepting-once",
        Phase::Accepting1 => "accepting1",
        Phase::Accepting1Once => "accepting1-once",
        Phase::MasterStart => "master-start",
        Phase::AsUserAtexit => "atexit",
        Phase::EmperorStop => "emperor-stop",
        Phase::EmperorReload => "emperor-reload",
        Phase::EmperorLost => "emperor-lost",
        Phase::EmperorStart => "emperor-start",
        Phase::AsVassalBeforeDrop => "as-vassal-before-drop",
        Phase::AsVassal => "as-vassal",
        Phase::AsEmperor => "as-emperor",
        Phase::AsOnDemandVassal => "as-on-demand-vassal",
    }
}
