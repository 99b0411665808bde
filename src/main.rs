//! uwgate: from the command line to a running instance.
#![forbid(unsafe_code)]

mod demo;
mod interpreter;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use uwgate_config::command::Command;
use uwgate_config::{Finding, Loaded, Located, Severity, cli};
use uwgate_server::background::{self, Background};
use uwgate_server::master::{self, Heritage};
use uwgate_server::sent_config;
use uwgate_server::successor::TRY;
use uwgate_server::title;
use uwgate_sys::process;

fn main() -> ExitCode {
    if uwgate_ctl::is_completing() {
        uwgate_ctl::print_completions();
    }
    uwgate_server::log::init();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|first| first.to_str()) {
        None => demo::run(),
        Some("--version" | "-V") => {
            println!("uwgate {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("ctl") => {
            let words = args.get(1..).unwrap_or_default();
            uwgate_ctl::run(words, &mut io::stdout().lock()).into()
        }
        Some("check") => explain(cli::check, &args),
        Some("config") => explain(cli::config, &args),
        Some("help" | "--help" | "-h") => explain(cli::help, &args),
        Some(flag) if flag == master::SUCCESSION.flag => succeed(args),
        Some(flag) if flag == uwgate_emperor::SUCCESSION.flag => succeed_emperor(args),
        Some(uwgate_emperor::LAUNCH) => exit_code(uwgate_emperor::launch(args)),
        Some(_) => match Command::find(&args) {
            Some(command) => talk(command),
            None => serve(args, Before::Nothing),
        },
    }
}

/// Runs a subcommand that talks about configuration and starts nothing.
fn explain(
    subcommand: fn(&[OsString], &mut dyn Write) -> io::Result<ExitCode>,
    args: &[OsString],
) -> ExitCode {
    let args = args.get(1..).unwrap_or_default();
    // A reader that has seen enough (a pager, `head`) is no error.
    subcommand(args, &mut io::stdout().lock()).unwrap_or(ExitCode::FAILURE)
}

/// Goes on with what this process had before it became this binary: `--succeed FD ARGUMENTS`.
fn succeed(mut args: Vec<OsString>) -> ExitCode {
    if args.get(1).is_some_and(|what| what == TRY) {
        return try_to_succeed(args.split_off(2));
    }
    let fd = args.get(1).and_then(|fd| fd.to_str()?.parse().ok());
    let heritage = fd
        .ok_or_else(|| io::Error::other("no descriptor"))
        .and_then(Heritage::take);
    match heritage {
        Ok(heritage) => serve(args.split_off(2), Before::Master(heritage)),
        Err(error) => {
            tracing::error!(
                "{} is for a master that is upgraded: {error}",
                master::SUCCESSION.flag
            );
            ExitCode::FAILURE
        }
    }
}

/// Says whether this binary could take over an instance with these arguments: `--succeed try ARGUMENTS`.
fn try_to_succeed(args: Vec<OsString>) -> ExitCode {
    let launcher = interpreter::Launcher { args };
    let problems = match load(&launcher.args) {
        Ok(loaded) => master::try_to_succeed(&loaded, &launcher)
            .err()
            .unwrap_or_default(),
        Err(findings) => findings.iter().map(Finding::to_string).collect(),
    };
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The same of an emperor: `--succeed-emperor FD ARGUMENTS`, or `try` in place of the descriptor.
fn succeed_emperor(mut args: Vec<OsString>) -> ExitCode {
    let word = args.get(1).and_then(|it| it.to_str()).map(str::to_owned);
    let rest = args.split_off(args.len().min(2));
    if word.as_deref() == Some(TRY) {
        let problems = match load(&rest) {
            Ok(loaded) => uwgate_emperor::try_to_succeed(&loaded)
                .err()
                .unwrap_or_default(),
            Err(findings) => findings.iter().map(Finding::to_string).collect(),
        };
        for problem in &problems {
            eprintln!("{problem}");
        }
        return match problems.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let fd = word.and_then(|it| it.parse().ok());
    let heritage = fd
        .ok_or_else(|| io::Error::other("no descriptor"))
        .and_then(uwgate_emperor::Heritage::take);
    match heritage {
        Ok(heritage) => serve(rest, Before::Emperor(heritage)),
        Err(error) => {
            tracing::error!(
                "{} is for an emperor that is upgraded: {error}",
                uwgate_emperor::SUCCESSION.flag
            );
            ExitCode::FAILURE
        }
    }
}

/// What this process was before it became this binary.
enum Before {
    Nothing,
    Master(Heritage),
    Emperor(uwgate_emperor::Heritage),
}

/// Talks to an instance that runs already.
fn talk(command: Result<Command, Finding>) -> ExitCode {
    match command {
        Ok(command) => uwgate_server::command::run(&command, &mut io::stdout().lock()).into(),
        Err(finding) => {
            eprintln!("{finding}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the instance that `args` describe.
fn serve(args: Vec<OsString>, before: Before) -> ExitCode {
    let (heritage, realm) = match before {
        Before::Nothing => (None, None),
        Before::Master(heritage) => (Some(heritage), None),
        Before::Emperor(realm) => (None, Some(realm)),
    };
    let is_successor = heritage.is_some() || realm.is_some();
    let launcher = interpreter::Launcher { args };
    let loaded = match load(&launcher.args) {
        Ok(loaded) => loaded,
        Err(findings) => {
            for finding in &findings {
                eprintln!("{finding}");
            }
            return ExitCode::FAILURE;
        }
    };
    let background = match leave_terminal(&loaded, is_successor) {
        Ok(background) => background,
        Err(problem) => {
            tracing::error!("{problem}");
            return exit_code(FAILED_TO_START);
        }
    };
    if is_successor {
        // Its own command line is nobody's business.
        title::started_as(&launcher.command_line().to_string_lossy());
    }
    uwgate_server::log::adopt_style(&loaded.options);
    tracing::info!(
        "*** Starting uwgate {} (pid: {}) ***",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    for message in &loaded.messages {
        tracing::info!("{message}");
    }
    loaded.findings.iter().for_each(announce);
    if loaded.show_config {
        println!("{}", loaded.effective());
    }
    if let Some(code) = loaded.exit {
        return ExitCode::from(code);
    }
    let code = match uwgate_emperor::is_asked(&loaded.options) {
        true => uwgate_emperor::run(&loaded, &launcher.args, realm, background),
        false => master::run(&loaded, &launcher, heritage, background),
    };
    match &loaded.fallback_config {
        Some(file) if code == FAILED_TO_START => fall_back(file),
        _ => exit_code(code),
    }
}

/// Goes to the background, if that is wanted and was not done by the former self.
fn leave_terminal(loaded: &Loaded, is_successor: bool) -> Result<Background, String> {
    if is_successor || loaded.exit.is_some() {
        return Ok(Background::default());
    }
    if background::is_asked(&loaded.options.process) {
        // Once more for the terminal: the rest is the log's.
        loaded.findings.iter().for_each(announce);
    }
    background::enter(&loaded.options.process)
}

/// The exit code for which uWSGI tries `fallback-config`.
const FAILED_TO_START: i32 = 1;

/// Becomes an instance of another configuration.
fn fall_back(file: &Located<String>) -> ExitCode {
    tracing::warn!(
        "{}: starting with fallback-config = {}",
        file.origin,
        file.value
    );
    let error = process::exec_self("uwgate".as_ref(), &[&file.value], None);
    tracing::error!("{}: fallback-config: {error}", file.origin);
    exit_code(FAILED_TO_START)
}

fn load(args: &[OsString]) -> Result<Loaded, Vec<Finding>> {
    let environment = std::env::vars_os();
    match sent_config::receive(args) {
        None => uwgate_config::load(args, environment),
        Some(sent) => uwgate_config::load_sent(args, environment, sent),
    }
}

fn announce(finding: &Finding) {
    match finding.severity {
        Severity::Error => tracing::error!("{finding}"),
        Severity::Warning => tracing::warn!("{finding}"),
        Severity::Note => tracing::info!("{finding}"),
    }
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
