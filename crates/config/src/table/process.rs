//! Privileges, signals, and what a process shows of itself.

use super::{Row, Syntax, flag, number, parsed, path, text, texts};
use crate::entry::Entry;
use crate::options::{Options, Titles};
use crate::value::Problem;

pub(super) const ROWS: &[Row] = &[
    text("uid", "USER", |o| &mut o.process.uid)
        .help("Become this user (name or number) once sockets and logs are open."),
    text("gid", "GROUP", |o| &mut o.process.gid)
        .help("Become this group (name or number) once sockets and logs are open."),
    texts("add-gid", "GROUP", |o| &mut o.process.add_gid)
        .help("Be in this group too (name or number), beside those of the user."),
    parsed("cap", "NAME,...", read_cap)
        .repeatable()
        .help("Capabilities that the application keeps when the user changes: net_bind_service, sys_nice ... as in capabilities(7) without `cap_`."),
    parsed("umask", "MODE", read_umask)
        .immediate()
        .help("Mode bits that new files and sockets do not get, in octal."),
    Row {
        syntax: Syntax::Number(""),
        ..parsed("prio", "NICE", read_prio)
    }
    .help("Nice value of the whole instance, from -20 to 19."),
    number("cpu-affinity", "CPUs", |o| &mut o.process.cpu_affinity)
        .default("0")
        .help("Bind each worker to so many CPUs of those that the instance may use, one worker after the other; 0 binds none."),
    flag("die-on-term", |o| &mut o.process.die_on_term).help(
        "SIGTERM stops the instance. It always does here; in uWSGI it reloads without this option.",
    ),
    flag("auto-procname", |o| &mut o.process.titles.auto_procname)
        .help("Have ps show each process by its part: `uWSGI master`, `uWSGI worker 1`. Without it the command line is shown, with the part behind it."),
    text("procname", "TITLE", |o| &mut o.process.titles.procname)
        .help("Have ps show every process by this title."),
    text("procname-master", "TITLE", |o| &mut o.process.titles.procname_master)
        .help("Have ps show the master by this title. Implies auto-procname."),
    parsed("procname-prefix", "TEXT", read_prefix)
        .help("Text in front of every title. Implies auto-procname."),
    parsed("procname-prefix-spaced", "TEXT", read_spaced_prefix)
        .help("Text and a blank in front of every title. Implies auto-procname."),
    parsed("procname-append", "TEXT", read_append)
        .help("Text behind every title. Implies auto-procname."),
    path("daemonize", "FILE", |o| &mut o.process.daemonize)
        .short('d')
        .help("Go to the background once sockets and logs are open, and append all log lines to a file. What goes wrong before \
               is said on the terminal, and is the exit code."),
    path("daemonize2", "FILE", |o| &mut o.process.daemonize2)
        .help("As daemonize, but only once the app is loaded and served."),
];

fn read_cap(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    use crate::origin::Located;

    let names = entry.text().split(',').map(str::trim);
    let caps = &mut options.process.cap;
    caps.extend(
        names
            .filter(|name| !name.is_empty())
            .map(|name| Located::new(name.to_owned(), entry.origin.clone())),
    );
    Ok(None)
}

fn read_umask(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let mask = u32::from_str_radix(entry.text(), 8)
        .ok()
        .filter(|&mask| mask <= 0o777)
        .ok_or_else(|| Problem::new("expected octal digits such as 022"))?;
    options.process.umask = Some(mask);
    Ok(None)
}

fn read_prio(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let nice = entry
        .text()
        .parse()
        .ok()
        .filter(|nice| (-20..=19).contains(nice))
        .ok_or_else(|| Problem::new("expected a nice value from -20 to 19"))?;
    options.process.prio = Some(nice);
    Ok(None)
}

fn titles(options: &mut Options) -> &mut Titles {
    &mut options.process.titles
}

fn read_prefix(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    titles(options).procname_prefix = Some(entry.text().to_owned());
    Ok(None)
}

fn read_spaced_prefix(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    titles(options).procname_prefix = Some(format!("{} ", entry.text()));
    Ok(None)
}

fn read_append(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    titles(options).procname_append = Some(entry.text().to_owned());
    Ok(None)
}
