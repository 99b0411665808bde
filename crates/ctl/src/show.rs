//! Answers for people.

use std::fmt::Write;

use crate::protocol::{Deed, Emperor, Line, Reply, State, Vassal};

/// How to draw.
pub(crate) struct Style {
    /// Whether to colour.
    pub(crate) colours: bool,
    /// Columns of the terminal, if there is one.
    pub(crate) width: Option<usize>,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

#[derive(Clone, Copy)]
enum Colour {
    Green,
    Yellow,
    Red,
    Dim,
    Bold,
}

impl Style {
    fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
            Colour::Dim => 2,
            Colour::Bold => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

fn colour(state: State) -> Colour {
    match state {
        State::Running => Colour::Green,
        State::Starting | State::Reloading | State::Stopping => Colour::Yellow,
        State::Cursed | State::Blacklisted => Colour::Red,
        State::OnDemand | State::Stopped => Colour::Dim,
    }
}

/// Any answer.
pub(crate) fn reply(reply: &Reply, style: &Style) -> String {
    match reply {
        Reply::Vassals { vassals, .. } => table(vassals, style),
        Reply::Vassal(vassal) => sheet(vassal, style),
        Reply::Done(deeds) => deeds.iter().map(deed).collect(),
        Reply::Line(Line { vassal, text }) => {
            let (vassal, text) = (style.paint(Colour::Bold, &clean(vassal)), clean(text));
            format!("{vassal}: {text}\n")
        }
        Reply::Error(problem) => format!("{}\n", clean(problem)),
    }
}

fn deed(deed: &Deed) -> String {
    format!("{}: {}\n", clean(&deed.vassal), clean(&deed.done))
}

/// How many are in which state, and who is in trouble.
pub(crate) fn summary(answer: &Reply, style: &Style) -> String {
    let Reply::Vassals { emperor, vassals } = answer else {
        return reply(answer, style);
    };
    let mut text = head(emperor, vassals.len(), style);
    let states = [
        State::Running,
        State::Starting,
        State::Reloading,
        State::Stopping,
        State::OnDemand,
        State::Stopped,
        State::Cursed,
        State::Blacklisted,
    ];
    for state in states {
        let count = vassals.iter().filter(|it| it.state == state).count();
        if count > 0 {
            let _ = writeln!(
                text,
                "{count:>6}  {}",
                style.paint(colour(state), state.word())
            );
        }
    }
    let troubled = vassals.iter().filter(|it| it.reason.is_some());
    let troubled: Vec<Vassal> = troubled.cloned().collect();
    if !troubled.is_empty() {
        text.push('\n');
        text.push_str(&table(&troubled, style));
    }
    text
}

fn head(emperor: &Emperor, vassals: usize, style: &Style) -> String {
    let Emperor {
        pid,
        since,
        version,
        sources,
    } = emperor;
    let age = span(style.now.saturating_sub(*since));
    let sources = clean(&sources.join(", "));
    format!("emperor {version} (pid {pid}), up for {age}, {vassals} vassals from {sources}\n")
}

const TITLES: [&str; 7] = [
    "VASSAL", "STATE", "STARTED", "PID", "RSS", "RESPAWNS", "WHY",
];

/// A line for each.
fn table(vassals: &[Vassal], style: &Style) -> String {
    if vassals.is_empty() {
        return "no vassals\n".to_owned();
    }
    let rows: Vec<[String; 7]> = vassals.iter().map(|it| row(it, style.now)).collect();
    let mut widths = TITLES.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let titles = TITLES.map(str::to_owned);
    push_row(&mut text, &titles, &widths, style, |_, cell| {
        style.paint(Colour::Bold, cell)
    });
    for (row, vassal) in rows.iter().zip(vassals) {
        push_row(
            &mut text,
            row,
            &widths,
            style,
            |column, cell| match column {
                1 => style.paint(colour(vassal.state), cell),
                _ => cell.to_owned(),
            },
        );
    }
    text
}

/// Cells in columns; what is too long for the terminal in the last one is cut, as a second line would hide the next
/// vassal.
fn push_row(
    text: &mut String,
    cells: &[String; 7],
    widths: &[usize; 7],
    style: &Style,
    paint: impl Fn(usize, &str) -> String,
) {
    const GAP: &str = "  ";
    const RIGHT: [usize; 3] = [3, 4, 5];
    let mut used = 0;
    let last = cells.len() - 1;
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let length = cell.chars().count();
        let padding = " ".repeat(width.saturating_sub(length));
        if column == last {
            let room = style
                .width
                .map_or(usize::MAX, |all| all.saturating_sub(used));
            text.push_str(&paint(column, &cut(cell, room.max(TITLES[last].len()))));
        } else if RIGHT.contains(&column) {
            let _ = write!(text, "{padding}{}{GAP}", paint(column, cell));
        } else {
            let _ = write!(text, "{}{padding}{GAP}", paint(column, cell));
        }
        used += width + GAP.len();
    }
    while text.ends_with(' ') {
        text.pop();
    }
    text.push('\n');
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn row(vassal: &Vassal, now: u64) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        clean(&vassal.name),
        vassal.state.word().to_owned(),
        or_dash(age(vassal, now)),
        or_dash(vassal.pid.map(|pid| pid.to_string())),
        or_dash(vassal.rss.map(mebibytes)),
        vassal.respawns.to_string(),
        why(vassal, now),
    ]
}

/// How long ago its process was started.
fn age(vassal: &Vassal, now: u64) -> Option<String> {
    vassal.since.map(|since| span(now.saturating_sub(since)))
}

fn why(vassal: &Vassal, now: u64) -> String {
    let reason = vassal.reason.as_deref().map(clean);
    match (reason, vassal.next_try) {
        (Some(reason), Some(at)) => {
            format!("{reason} (next try in {})", span(at.saturating_sub(now)))
        }
        (None, Some(at)) => format!("next try in {}", span(at.saturating_sub(now))),
        (Some(reason), None) => reason,
        (None, None) => String::new(),
    }
}

/// Everything about one.
fn sheet(vassal: &Vassal, style: &Style) -> String {
    let state = style.paint(colour(vassal.state), vassal.state.word());
    let mut text = format!(
        "{}  {state}\n",
        style.paint(Colour::Bold, &clean(&vassal.name))
    );
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|it| !it.is_empty()) {
            let _ = writeln!(text, "{name:>10}  {value}");
        }
    };
    fact("why", Some(why(vassal, style.now)));
    fact("pid", vassal.pid.map(|pid| pid.to_string()));
    fact(
        "started",
        age(vassal, style.now).map(|age| format!("{age} ago")),
    );
    let heartbeat = vassal.heartbeat.map(|at| style.now.saturating_sub(at));
    fact(
        "heartbeat",
        heartbeat.map(|age| format!("{} ago", span(age))),
    );
    fact("respawns", Some(vassal.respawns.to_string()));
    fact(
        "loyal",
        Some(if vassal.loyal { "yes" } else { "no" }.to_owned()),
    );
    fact("rss", vassal.rss.map(mebibytes));
    let config = vassal.config.as_ref();
    fact(
        "config",
        config.map(|path| clean(&path.display().to_string())),
    );
    fact("source", Some(clean(&vassal.source)));
    fact("on demand", vassal.on_demand.as_deref().map(clean));
    let owner = vassal.uid.map(|uid| match vassal.gid {
        Some(gid) => format!("uid {uid}, gid {gid}"),
        None => format!("uid {uid}"),
    });
    fact("runs as", owner);
    fact("limits", Some(clean(&vassal.limits.join(", "))));
    let cgroup = vassal.cgroup.as_ref();
    fact("cgroup", cgroup.map(|it| clean(&it.display().to_string())));
    fact("namespaces", Some(clean(&vassal.namespaces.join(", "))));
    let capabilities = vassal.capabilities.as_ref();
    fact("may", capabilities.map(|names| clean(&names.join(", "))));
    for (name, value) in &vassal.attributes {
        fact("attribute", Some(clean(&format!("{name} = {value}"))));
    }
    if !vassal.log.is_empty() {
        text.push('\n');
        for line in &vassal.log {
            let _ = writeln!(text, "  {}", clean(line));
        }
    }
    text
}

/// A vassal may write what moves the cursor or renames the terminal; it is shown, not obeyed.
fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let shown: Box<dyn Iterator<Item = char>> = match letter {
                '\t' => Box::new(std::iter::once(letter)),
                _ if letter.is_control() => Box::new(letter.escape_default()),
                _ => Box::new(std::iter::once(letter)),
            };
            shown
        })
        .collect()
}

fn mebibytes(bytes: u64) -> String {
    const MEBIBYTE: u64 = 1 << 20;
    format!(
        "{}.{} MiB",
        bytes / MEBIBYTE,
        bytes % MEBIBYTE * 10 / MEBIBYTE
    )
}

/// A time in its largest unit; one that matters more to the second is seldom looked at in a table.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style {
        colours: false,
        width: None,
        now: 1_000_000,
    };

    fn vassal(name: &str, state: State) -> Vassal {
        Vassal {
            name: name.to_owned(),
            state,
            pid: Some(4321),
            since: Some(1_000_000 - 7_300),
            respawns: 0,
            heartbeat: None,
            loyal: true,
            reason: None,
            next_try: None,
            source: "/etc/vassals".to_owned(),
            config: Some("/etc/vassals/shop.ini".into()),
            uid: None,
            gid: None,
            on_demand: None,
            rss: Some(3 << 20 | 1 << 19),
            limits: Vec::new(),
            cgroup: None,
            namespaces: Vec::new(),
            capabilities: None,
            attributes: Vec::new(),
            log: Vec::new(),
        }
    }

    fn cursed() -> Vassal {
        Vassal {
            pid: None,
            rss: None,
            since: Some(1_000_000 - 12),
            respawns: 7,
            reason: Some("no module named 'blog'".to_owned()),
            next_try: Some(1_000_008),
            ..vassal("blog.ini", State::Cursed)
        }
    }

    fn listed(vassals: Vec<Vassal>) -> Reply {
        Reply::Vassals {
            emperor: Emperor {
                pid: 1,
                since: 1_000_000 - 200_000,
                version: "0.1.0".to_owned(),
                sources: vec!["/etc/vassals".to_owned()],
            },
            vassals,
        }
    }

    #[test]
    fn a_table_has_its_columns_under_each_other() {
        let both = listed(vec![cursed(), vassal("shop.ini", State::Running)]);
        let expected = "\
VASSAL    STATE    STARTED   PID      RSS  RESPAWNS  WHY
blog.ini  cursed   12 s        -        -         7  no module named 'blog' (next try in 8 s)
shop.ini  running  2 h      4321  3.5 MiB         0
";
        assert_eq!(reply(&both, &PLAIN), expected);
        assert_eq!(reply(&listed(Vec::new()), &PLAIN), "no vassals\n");
    }

    #[test]
    fn a_narrow_terminal_loses_the_end_of_the_reason_only() {
        let narrow = Style {
            width: Some(60),
            ..PLAIN
        };
        let drawn = reply(&listed(vec![cursed()]), &narrow);
        for line in drawn.lines() {
            assert!(line.chars().count() <= 60, "{line}");
        }
        assert!(drawn.contains("no modul") && drawn.contains('…'), "{drawn}");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let colourful = Style {
            colours: true,
            ..PLAIN
        };
        let both = listed(vec![cursed(), vassal("shop.ini", State::Running)]);
        let drawn = reply(&both, &colourful);
        assert!(drawn.contains("\x1b[31mcursed\x1b[0m   12 s"), "{drawn:?}");
        assert!(drawn.contains("\x1b[32mrunning\x1b[0m  2 h"), "{drawn:?}");
    }

    #[test]
    fn what_a_vassal_writes_is_shown_and_not_obeyed() {
        let line = Reply::Line(Line {
            vassal: "a.ini".to_owned(),
            text: "\x1b]0;mine\x07é\tb".to_owned(),
        });
        assert_eq!(reply(&line, &PLAIN), "a.ini: \\u{1b}]0;mine\\u{7}é\tb\n");
    }

    #[test]
    fn a_summary_counts_and_names_those_in_trouble() {
        let all = listed(vec![
            cursed(),
            vassal("a.ini", State::Running),
            vassal("b.ini", State::Running),
        ]);
        let drawn = summary(&all, &PLAIN);
        assert!(
            drawn.starts_with("emperor 0.1.0 (pid 1), up for 2 d, 3 vassals from /etc/vassals\n")
        );
        assert!(drawn.contains("     2  running\n"), "{drawn}");
        assert!(drawn.contains("     1  cursed\n"), "{drawn}");
        assert!(
            drawn.contains("blog.ini") && !drawn.contains("a.ini  "),
            "{drawn}"
        );
    }

    #[test]
    fn a_sheet_has_the_log() {
        let mut one = vassal("shop.ini", State::Running);
        one.log = vec!["first".to_owned(), "second".to_owned()];
        one.uid = Some(33);
        one.limits = vec!["nofile:64".to_owned(), "memory.max:1G".to_owned()];
        one.attributes = vec![("plan".to_owned(), "big".to_owned())];
        let drawn = reply(&Reply::Vassal(Box::new(one)), &PLAIN);
        assert!(drawn.starts_with("shop.ini  running\n"), "{drawn}");
        assert!(drawn.contains("   runs as  uid 33\n"), "{drawn}");
        assert!(
            drawn.contains("    limits  nofile:64, memory.max:1G\n"),
            "{drawn}"
        );
        assert!(drawn.contains(" attribute  plan = big\n"), "{drawn}");
        assert!(drawn.ends_with("\n  first\n  second\n"), "{drawn}");
    }
}
