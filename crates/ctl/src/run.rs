//! From what was written to an exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::{self, Answers};
use crate::command::{self, Order, What};
use crate::complete::VARIABLE;
use crate::protocol::{Reply, Request};
use crate::show::{self, Style};

/// All went well.
const DONE: u8 = 0;
/// There is no emperor, or it refuses.
const REFUSED: u8 = 1;

/// Does what the words after `uwgate ctl` ask and returns the exit code: 0 done, 1 no emperor or not done, 2 not
/// understood.
pub fn run(words: &[OsString], out: &mut dyn Write) -> u8 {
    let order = match command::read(words) {
        Ok(order) => order,
        Err(error) => {
            // Help goes to stdout, a complaint to stderr; nobody is there to be told that it cannot be written.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(REFUSED);
        }
    };
    match carry_out(&order, out) {
        Ok(()) => DONE,
        Err(Trouble::Said(problem)) => {
            eprintln!("uwgate ctl: {problem}");
            REFUSED
        }
        // A reader that has seen enough (a pager, `head`) is no error.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(Trouble::Output(error)) => {
            eprintln!("uwgate ctl: the answer cannot be written: {error}");
            REFUSED
        }
    }
}

enum Trouble {
    Said(String),
    Output(io::Error),
}

impl From<String> for Trouble {
    fn from(problem: String) -> Self {
        Self::Said(problem)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn carry_out(order: &Order, out: &mut dyn Write) -> Result<(), Trouble> {
    match &order.what {
        What::Completion(shell) => completion_script(shell, out),
        What::Summary => {
            let reply = client::ask(&order.socket, &Request::List)?.one()?;
            print(order, &reply, out, show::summary)
        }
        What::Ask(request @ Request::Tail { follow, .. }) => {
            let answers = client::ask(&order.socket, request)?;
            tail(answers, order.json, *follow, out)
        }
        What::Ask(request) => {
            let reply = client::ask(&order.socket, request)?.one()?;
            print(order, &reply, out, show::reply)
        }
    }
}

fn print(
    order: &Order,
    reply: &Reply,
    out: &mut dyn Write,
    draw: impl Fn(&Reply, &Style) -> String,
) -> Result<(), Trouble> {
    if let Reply::Error(problem) = reply {
        return Err(Trouble::Said(problem.clone()));
    }
    if order.json {
        return Ok(writeln!(out, "{}", json(reply))?);
    }
    Ok(out.write_all(draw(reply, &style()).as_bytes())?)
}

fn tail(
    mut answers: Answers,
    as_json: bool,
    follow: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if follow {
        answers.wait_for_ever()?;
    }
    let style = style();
    while let Some(reply) = answers.next()? {
        match reply {
            Reply::Error(problem) => return Err(Trouble::Said(problem)),
            reply if as_json => writeln!(out, "{}", json(&reply))?,
            reply => out.write_all(show::reply(&reply, &style).as_bytes())?,
        }
        out.flush()?;
    }
    if follow {
        return Err(Trouble::Said("the emperor has gone".to_owned()));
    }
    Ok(())
}

/// The content of an answer: which one it is, the program that asked knows.
fn json(reply: &Reply) -> String {
    let content = match reply {
        Reply::Vassals { emperor, vassals } => serde_json::to_string_pretty(&serde_json::json!({
            "emperor": emperor, "vassals": vassals
        })),
        Reply::Vassal(vassal) => serde_json::to_string_pretty(vassal),
        Reply::Done(deeds) => serde_json::to_string_pretty(deeds),
        // One a line, so that a reader need not wait for the last.
        Reply::Line(line) => serde_json::to_string(line),
        Reply::Error(problem) => serde_json::to_string(problem),
    };
    content.unwrap_or_default()
}

fn style() -> Style {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Style {
        colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        width: terminal_width(),
        now: now.map(|now| now.as_secs()).unwrap_or_default(),
    }
}

/// In columns, where there is a terminal.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// What the shell is to run at its start. The program is asked as the shell itself would.
fn completion_script(shell: &str, out: &mut dyn Write) -> Result<(), Trouble> {
    let program = std::env::current_exe()?;
    let script = Command::new(program).env(VARIABLE, shell).output()?;
    Ok(out.write_all(&script.stdout)?)
}
