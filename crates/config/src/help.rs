//! Texts made from the option table: `--help`, `help OPTION`, and the options page of the docs.

use std::fmt::Write as _;

use crate::suggest;
use crate::table::{self, Argument, Effect, Group, Row, SECTIONS, Support, Syntax};

pub(crate) const CHECK_USAGE: &str = "\
usage: uwgate check [--json] [--deny-warnings] [--elsewhere] [--color=always|never] FILE...
FILE... may be anything that the instance would be started with. The exit status is 1 when it would not start, with
--deny-warnings also when something is doubtful. With --elsewhere paths and users of this machine are not looked for.
";

pub(crate) const CONFIG_USAGE: &str = "\
usage: uwgate config [--as-yaml] FILE...
FILE... may be anything that the instance would be started with.
";

const USAGE: &str = "\
uwgate serves Python WSGI applications over the uwsgi protocol and HTTP. It reads uWSGI's configurations.

usage: uwgate [OPTION...] [FILE.ini | FILE.yaml | FILE.json | FILE.py | MODULE:CALLABLE]...
       uwgate check [--json] [--deny-warnings] FILE...   what there is to say about a configuration
       uwgate config [--as-yaml] FILE...                 the effective configuration, with origins
       uwgate help OPTION                                everything about one option

Every option can stand in a file (`processes = 4`), on the command line (`--processes 4`) and in the environment
(`UWGATE_PROCESSES=4`, or uWSGI's `UWSGI_PROCESSES`). A file that is an argument of its own is read after all options.
";

/// Width of the column of names.
const COLUMN: usize = 34;
const WIDTH: usize = 110;

/// `--help`: every option that this program acts on, and where to ask for the others.
pub(crate) fn overview() -> String {
    let mut text = String::from(USAGE);
    for section in SECTIONS {
        let _ = writeln!(text, "\n{}:", section.title);
        for row in section.rows {
            let _ = writeln!(text, "{}", entry(row));
        }
    }
    let known = table::known().len();
    let _ = writeln!(
        text,
        "\n{known} more options of uWSGI are known by name; `uwgate help OPTION` says what becomes of each."
    );
    text
}

fn entry(row: &Row) -> String {
    let short = row
        .short
        .map_or_else(|| "    ".into(), |letter| format!("-{letter}, "));
    let names = format!("  {short}--{}{}", row.name, argument(row));
    let lines = wrapped(row.help, WIDTH - COLUMN);
    let indent = " ".repeat(COLUMN);
    let first = match names.len() < COLUMN - 1 {
        true => format!("{names:COLUMN$}"),
        false => format!("{names}\n{indent}"),
    };
    first + &lines.join(&format!("\n{indent}"))
}

fn argument(row: &Row) -> String {
    let placeholder = row.syntax.placeholder().to_uppercase().replace(' ', "-");
    match row.argument {
        Argument::No => String::new(),
        _ if placeholder.is_empty() => String::new(),
        Argument::Required => format!(" {placeholder}"),
        Argument::Optional => format!("[={placeholder}]"),
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        match line.len() {
            0 => line.push_str(word),
            length if length + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `help OPTION`.
///
/// # Errors
/// What to say when there is no such option.
pub(crate) fn option(name: &str) -> Result<String, String> {
    let Some(row) = table::find(name) else {
        let similar = suggest::option_like(name)
            .map_or_else(String::new, |similar| format!(" Did you mean `{similar}`?"));
        return Err(format!("There is no option `{name}`.{similar}\n"));
    };
    let mut text = format!("{name}{}\n", usage_of(row));
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {label:<10} {value}");
        }
    };
    let others: Vec<_> = row.names().filter(|other| *other != name).collect();
    line("aliases", &others.join(", "));
    line(
        "short",
        &row.short
            .map_or_else(String::new, |letter| format!("-{letter}")),
    );
    line("default", row.default);
    line(
        "repeatable",
        if row.repeatable {
            "yes: every line counts"
        } else {
            ""
        },
    );
    line("implies", if row.implies_master { "master" } else { "" });
    line(
        "in uWSGI",
        if row.ours {
            "there is no such option"
        } else {
            ""
        },
    );
    for paragraph in [row.help, &fate(row)] {
        if !paragraph.is_empty() {
            let _ = writeln!(text, "\n  {}", wrapped(paragraph, WIDTH - 2).join("\n  "));
        }
    }
    Ok(text)
}

fn usage_of(row: &Row) -> String {
    match row.syntax {
        Syntax::Text("") => String::new(),
        syntax => format!(
            " = {}",
            syntax.placeholder().to_uppercase().replace(' ', "-")
        ),
    }
}

/// What becomes of an option that is only known.
fn fate(row: &Row) -> String {
    let Support::Known(group) = row.support else {
        return String::new();
    };
    let help = match group.help {
        "" => String::new(),
        help => format!("; {help}"),
    };
    let verdict = match group.effect {
        Effect::Refused => "Refused here",
        Effect::Without | Effect::Needless => "Here",
    };
    format!("{verdict}: {}{help}.", group.message)
}

/// The options page of the docs, in Markdown.
pub fn options_page() -> String {
    let mut page = String::from(PAGE_HEAD);
    for section in SECTIONS {
        let _ = writeln!(page, "\n## {}\n", section.title);
        page.push_str("| option | value | default | what it does |\n|---|---|---|---|\n");
        for row in section.rows {
            let _ = writeln!(page, "{}", table_line(row));
        }
    }
    page.push_str(KNOWN_HEAD);
    for group in table::groups() {
        let _ = writeln!(page, "\n### {}\n", group.title);
        let help = match group.help {
            "" => String::new(),
            help => format!(" Instead: {help}."),
        };
        let _ = writeln!(
            page,
            "*{}.* {}.{help}\n",
            capital(verdict_title(group)),
            capital(group.message)
        );
        let names: Vec<_> = table::known()
            .iter()
            .filter(|row| matches!(row.support, Support::Known(of) if of.name == group.name))
            .map(|row| format!("`{}`", row.name))
            .collect();
        let _ = writeln!(page, "{}", wrapped(&names.join(", "), WIDTH).join("\n"));
    }
    page
}

const PAGE_HEAD: &str = "\
# Options

This page is made from the option table of the program (`uwgate help OPTION` says the same). BOOL is on unless
`false`, `off`, `no` or `0`. An option that can be repeated is marked with `*`: all its lines count; of every other the
last one does. Options marked with `+` are not in uWSGI.
";

const KNOWN_HEAD: &str = "
# Options of uWSGI without effect here

Every option that uWSGI and its plugins have is known by name. An option that is *refused* would make the instance
less safe or serve something else when it was ignored, so nothing is started. One that is *accepted without effect* is
told at start. One that is *needless* is for something that is always so here.
";

fn verdict_title(group: &Group) -> &'static str {
    match group.effect {
        Effect::Refused => "refused",
        Effect::Without => "accepted without effect",
        Effect::Needless => "needless",
    }
}

fn table_line(row: &Row) -> String {
    let mark = match (row.repeatable, row.ours) {
        (true, true) => " `*+`",
        (true, false) => " `*`",
        (false, true) => " `+`",
        (false, false) => "",
    };
    let others = row.aliases.iter().map(|alias| format!("`{alias}`"));
    let short = row.short.map(|letter| format!("`-{letter}`"));
    let names: Vec<_> = std::iter::once(format!("`{}`{mark}", row.name))
        .chain(others)
        .chain(short)
        .collect();
    let escaped = |text: &str| text.replace('|', "\\|");
    format!(
        "| {} | {} | {} | {} |",
        names.join(", "),
        escaped(&row.syntax.placeholder().to_uppercase()),
        row.default,
        escaped(row.help)
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
