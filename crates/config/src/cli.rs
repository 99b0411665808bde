//! The commands that explain: `check`, `config` and `help`. Nothing is started by them.
//!
//! Each takes its arguments without the program's and the command's name, writes to `out`, and gives the exit status.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::check;
use crate::finding::{Finding, Severity};
use crate::help;
use crate::load;
use crate::show;
use crate::world::World;

/// Exit status for a command line that cannot be understood.
const USAGE: u8 = 2;

/// `uwgate check [--json] [--deny-warnings] [--elsewhere] [--color=always|never] FILE...`
///
/// 0 when the instance would start (with `--deny-warnings`: and nothing is doubtful), else 1. Commands in
/// `@(exec://...)` are not run.
///
/// # Errors
/// When `out` cannot be written.
pub fn check(args: &[OsString], out: &mut dyn Write) -> io::Result<ExitCode> {
    let mut colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (mut as_json, mut deny_warnings, mut elsewhere) = (false, false, false);
    let rest = take_flags(args, |flag| {
        match flag {
            "--json" => as_json = true,
            "--deny-warnings" => deny_warnings = true,
            "--elsewhere" => elsewhere = true,
            "--color=always" => colours = true,
            "--color=never" => colours = false,
            _ => return false,
        }
        true
    });
    if rest.is_empty() {
        write!(out, "{}", help::CHECK_USAGE)?;
        return Ok(ExitCode::from(USAGE));
    }
    let mut world = World::new(std::env::vars_os());
    world.run_commands = false;
    let findings = check::examine(&world, &rest, elsewhere);
    match as_json {
        true => write!(out, "{}", check::json(&findings))?,
        false => write!(out, "{}", check::human(&world, &findings, colours))?,
    }
    let worst = if deny_warnings {
        Severity::Warning
    } else {
        Severity::Error
    };
    Ok(status(
        findings.iter().any(|finding| finding.severity <= worst),
    ))
}

/// `uwgate config [--as-yaml] FILE...`: the effective configuration, each value with the place it comes from.
///
/// # Errors
/// When `out` cannot be written.
pub fn config(args: &[OsString], out: &mut dyn Write) -> io::Result<ExitCode> {
    let mut as_yaml = false;
    let rest = take_flags(args, |flag| {
        as_yaml |= flag == "--as-yaml";
        flag == "--as-yaml"
    });
    if rest.is_empty() {
        write!(out, "{}", help::CONFIG_USAGE)?;
        return Ok(ExitCode::from(USAGE));
    }
    let world = World::new(std::env::vars_os());
    let outcome = load::read(&world, &rest);
    let entries = &outcome.loaded.entries;
    match as_yaml {
        true => write!(out, "{}", show::yaml(entries))?,
        false => write!(out, "{}", show::ini(entries))?,
    }
    let findings = &outcome.loaded.findings;
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    for error in &errors {
        eprintln!("{error}");
    }
    Ok(status(!errors.is_empty()))
}

/// `uwgate help [OPTION...]`, and `uwgate --help` without names.
///
/// # Errors
/// When `out` cannot be written.
pub fn help(args: &[OsString], out: &mut dyn Write) -> io::Result<ExitCode> {
    if args.is_empty() {
        write!(out, "{}", help::overview())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = false;
    for name in args {
        let name = name.to_string_lossy();
        match help::option(name.trim_start_matches('-')) {
            Ok(text) => write!(out, "{text}")?,
            Err(text) => {
                failed = true;
                write!(out, "{text}")?;
            }
        }
    }
    Ok(status(failed))
}

fn status(failed: bool) -> ExitCode {
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Hands every leading argument to `take`; what it does not know, and all behind it, is left.
fn take_flags(args: &[OsString], mut take: impl FnMut(&str) -> bool) -> Vec<OsString> {
    let mut rest = args;
    while let Some((first, others)) = rest.split_first()
        && first.to_str().is_some_and(&mut take)
    {
        rest = others;
    }
    rest.to_vec()
}
