//! What `ps` shows of each process of the instance.

use std::sync::OnceLock;

use uwgate_config::options::Titles;
use uwgate_sys::process::set_title;

/// What a process is to the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Owns the sockets.
    Master,
    /// Looks after instances.
    Emperor,
    /// Has the application and forks workers.
    Zygote,
    /// Serves requests; its number.
    Worker(u32),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Emperor => f.write_str("Emperor"),
            Self::Zygote => f.write_str("zygote"),
            Self::Worker(number) => write!(f, "worker {number}"),
        }
    }
}

static COMMAND_LINE: OnceLock<String> = OnceLock::new();

/// How the instance was started, for the titles of processes that had another command line. The first call counts.
pub fn started_as(command_line: &str) {
    let _ = COMMAND_LINE.set(command_line.to_owned());
}

/// Shows this process as the options want it. Not worth failing for: what went wrong is logged.
pub fn show(titles: &Titles, part: Part) {
    let command_line = COMMAND_LINE.get().map(String::as_str);
    if let Some(title) = title(titles, part, command_line)
        && let Err(error) = set_title(&title)
    {
        tracing::warn!("ps will show another title than `{title}`: {error}");
    }
}

/// The title; `None` leaves the command line of this process as it is, which only a master does that has it from its
/// start.
fn title(titles: &Titles, part: Part, command_line: Option<&str>) -> Option<String> {
    let Titles {
        auto_procname,
        procname,
        procname_master,
        procname_prefix,
        procname_append,
    } = titles;
    let named = procname_master
        .as_ref()
        .filter(|_| part == Part::Master)
        .or(procname.as_ref())
        .map(|named| named.value.clone());
    let by_part = *auto_procname
        || procname_master.is_some()
        || procname_prefix.is_some()
        || procname_append.is_some();
    let text = match named {
        Some(named) => named,
        None if by_part => format!("uWSGI {part}"),
        None if matches!(part, Part::Master | Part::Emperor) => {
            return command_line.map(str::to_owned);
        }
        None => return Some(format!("{} ({part})", command_line?)),
    };
    let prefix = procname_prefix.as_deref().unwrap_or_default();
    let append = procname_append.as_deref().unwrap_or_default();
    Some(format!("{prefix}{text}{append}"))
}

#[cfg(test)]
mod tests {
    use uwgate_config::{Located, Origin};

    use super::*;

    fn of(change: impl Fn(&mut Titles)) -> [Option<String>; 2] {
        let mut titles = Titles::default();
        change(&mut titles);
        [
            (Part::Master, None),
            (Part::Worker(2), Some("uwgate app.ini")),
        ]
        .map(|(part, command_line)| title(&titles, part, command_line))
    }

    fn some(text: &str) -> Option<Located<String>> {
        Some(Located::new(text.to_owned(), Origin::file("t.ini", 1)))
    }

    /// The master's and a worker's, as uWSGI 2.0.31 shows them with these options (all but the first pair).
    #[test]
    fn titles_are_those_of_uwsgi() {
        let pair = |master: &str, worker: &str| [Some(master.to_owned()), Some(worker.to_owned())];
        assert_eq!(of(|_| {}), [None, Some("uwgate app.ini (worker 2)".into())]);
        assert_eq!(
            of(|titles| titles.auto_procname = true),
            pair("uWSGI master", "uWSGI worker 2")
        );
        assert_eq!(
            of(|titles| {
                titles.auto_procname = true;
                titles.procname = some("X");
            }),
            pair("X", "X")
        );
        assert_eq!(
            of(|titles| titles.procname_master = some("M")),
            pair("M", "uWSGI worker 2")
        );
        assert_eq!(
            of(|titles| titles.procname_prefix = Some("P ".into())),
            pair("P uWSGI master", "P uWSGI worker 2")
        );
        assert_eq!(
            of(|titles| {
                titles.procname = some("X");
                titles.procname_master = some("M");
                titles.procname_append = Some("A".into());
            }),
            pair("MA", "XA")
        );
    }
}
