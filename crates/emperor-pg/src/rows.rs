//! From what the database answers to what is wanted: a row of the table to a vassal's row, and a bad row to a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::stable_hash::stable_hash;

/// One vassal as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its name; the ending is the language of its configuration.
    pub name: String,
    /// The text of its configuration.
    #[serde(with = "text")]
    pub config: Arc<[u8]>,
    /// When it was changed, in seconds since 1970 as the database says; 0 when it says nothing of the kind.
    pub seconds: u64,
    /// Other than before when anything of the configuration or its time is, to the microsecond.
    pub serial: u64,
    /// Who it runs as, by name or in digits.
    pub uid: Option<String>,
    /// Its group, by name or in digits.
    pub gid: Option<String>,
    /// The socket on which somebody has to connect before it is started.
    pub socket: Option<String>,
    /// The only hosts that may run it; empty for any.
    pub hosts: Vec<String>,
}

/// A configuration where it is written down: PostgreSQL has no text that is no UTF-8.
mod text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        config: &Arc<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(config))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[u8]>, D::Error> {
        Ok(String::deserialize(deserializer)?.into_bytes().into())
    }
}

/// A row as text, column by column: `None` is SQL's NULL.
pub(crate) type Cells = Vec<Option<String>>;

/// An answer of the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Cells>,
}

/// The name under which a query of ours asks for the time in seconds.
pub(crate) const SECONDS: &str = "uwgate_seconds";

/// Which column is what.
struct Columns {
    name: usize,
    config: usize,
    seconds: usize,
    enabled: Option<usize>,
    uid: Option<usize>,
    gid: Option<usize>,
    socket: Option<usize>,
    hosts: Option<usize>,
}

/// Columns that are known by their names, wherever they stand.
const NAMED: [&str; 3] = ["enabled", "socket", "hosts"];

impl Columns {
    /// # Errors
    /// When one of those that every vassal has is not there.
    fn of(columns: &[String]) -> Result<Self, String> {
        let named = |name: &str| columns.iter().position(|column| column == name);
        let table = named(SECONDS).is_some();
        // In a query of the operator's own they are told by their places, as in uWSGI: there they often have no name.
        let at = |place: usize, name: &str| match table {
            true => named(name),
            false => {
                let stranger = |column: &&String| !NAMED.contains(&column.as_str());
                columns.get(place).filter(stranger).map(|_| place)
            }
        };
        let needed = |place, name: &str| {
            let problem = match table {
                true => format!("the table has no column {name}"),
                false => "the query has to give name, config and time of change as its first three columns".into(),
            };
            at(place, name).ok_or(problem)
        };
        Ok(Self {
            name: needed(0, "name")?,
            config: needed(1, "config")?,
            seconds: needed(2, SECONDS)?,
            uid: at(3, "uid"),
            gid: at(4, "gid"),
            enabled: named("enabled"),
            socket: named("socket"),
            hosts: named("hosts"),
        })
    }
}

/// What is known of the table: the rows of the last answer, and of bad ones the good ones that stood in their place.
#[derive(Debug, Default)]
pub(crate) struct Book {
    rows: BTreeMap<String, Row>,
    /// What was said already of bad rows.
    said: BTreeSet<String>,
}

impl Book {
    /// Takes an answer, and returns what is new to say of bad rows: those that are bad in themselves and those that
    /// `judge` has something against. A vassal whose row has become bad stays as it was.
    ///
    /// # Errors
    /// When it is no answer to what was asked; nothing has changed then.
    pub(crate) fn take(
        &mut self,
        answer: &Answer,
        judge: &dyn Fn(&Row) -> Result<(), String>,
    ) -> Result<Vec<String>, String> {
        let columns = Columns::of(&answer.columns)?;
        let mut rows = BTreeMap::new();
        let mut problems = BTreeSet::new();
        for cells in &answer.rows {
            match judged(row(cells, &columns), judge) {
                Reading::Wanted(row) => {
                    if rows.contains_key(&row.name) {
                        problems.insert(format!(
                            "{}: there are several rows of this name, one of them counts",
                            row.name
                        ));
                    } else {
                        rows.insert(row.name.clone(), row);
                    }
                }
                Reading::Unwanted => {}
                Reading::Bad { name, problem } => {
                    if let Some(before) = self.rows.get(&name) {
                        rows.insert(name.clone(), before.clone());
                    }
                    problems.insert(format!("{name}: {problem}"));
                }
            }
        }
        let news = problems.difference(&self.said).cloned().collect();
        (self.rows, self.said) = (rows, problems);
        Ok(news)
    }

    /// What was known of it in an earlier life.
    pub(crate) fn remember(&mut self, rows: &[Row]) {
        let named = |row: &Row| (row.name.clone(), row.clone());
        self.rows = rows.iter().map(named).collect();
    }

    /// In the order of their names.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }
}

enum Reading {
    Wanted(Row),
    Unwanted,
    Bad { name: String, problem: String },
}

fn row(cells: &Cells, columns: &Columns) -> Reading {
    let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
    let maybe = |at: Option<usize>| at.and_then(cell).map(str::trim).filter(|it| !it.is_empty());
    if maybe(columns.enabled).is_some_and(is_no) {
        return Reading::Unwanted;
    }
    let Some(name) = cell(columns.name).filter(|name| !name.is_empty()) else {
        return bad("(no name)", "a row without a name");
    };
    if name.contains('/') || name.contains(char::is_control) {
        return bad(
            &name.escape_debug().to_string(),
            "a name has no / and no control characters",
        );
    }
    let Some(config) = cell(columns.config) else {
        return bad(name, "its config is NULL");
    };
    let time = cell(columns.seconds).unwrap_or("");
    Reading::Wanted(Row {
        name: name.to_owned(),
        config: config.as_bytes().into(),
        seconds: seconds(time),
        serial: stable_hash(&[config.as_bytes(), time.as_bytes()]),
        uid: maybe(columns.uid).map(str::to_owned),
        gid: maybe(columns.gid).map(str::to_owned),
        socket: maybe(columns.socket).map(str::to_owned),
        hosts: maybe(columns.hosts).map(names).unwrap_or_default(),
    })
}

fn judged(reading: Reading, judge: &dyn Fn(&Row) -> Result<(), String>) -> Reading {
    match reading {
        Reading::Wanted(row) => match judge(&row) {
            Ok(()) => Reading::Wanted(row),
            Err(problem) => bad(&row.name, &problem),
        },
        other => other,
    }
}

fn bad(name: &str, problem: &str) -> Reading {
    Reading::Bad {
        name: name.to_owned(),
        problem: problem.to_owned(),
    }
}

fn is_no(text: &str) -> bool {
    ["f", "false", "0", "no", "off", "n"]
        .iter()
        .any(|no| text.eq_ignore_ascii_case(no))
}

/// `1700000000.123456`; what is no number of seconds is still a version.
fn seconds(text: &str) -> u64 {
    let whole = text.split('.').next().unwrap_or("");
    whole.parse().unwrap_or(0)
}

/// A list of names as text, or as an array the way the database writes it: `web1, web2`, `{web1,web2}`.
fn names(text: &str) -> Vec<String> {
    text.split(|sign: char| sign.is_whitespace() || ",{}\"".contains(sign))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(columns: &[&str], rows: &[&[Option<&str>]]) -> Answer {
        let own = |cell: &Option<&str>| cell.map(str::to_owned);
        Answer {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: rows
                .iter()
                .map(|row| row.iter().map(own).collect())
                .collect(),
        }
    }

    const TABLE: &[&str] = &["id", "name", "config", "ts", "enabled", "hosts", SECONDS];

    fn take(book: &mut Book, answer: &Answer) -> Result<Vec<String>, String> {
        book.take(answer, &|row| match &*row.config {
            b"bad" => Err("it is bad".into()),
            _ => Ok(()),
        })
    }

    fn names_of(book: &Book) -> Vec<&str> {
        book.rows().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn a_table_is_read_by_the_names_of_its_columns() {
        let mut book = Book::default();
        let rows: &[&[_]] = &[
            &[
                Some("1"),
                Some("b.ini"),
                Some("[uwsgi]\n"),
                Some("2024-01-01"),
                Some("t"),
                Some("{web1,web2}"),
                Some("1700000000.25"),
            ],
            &[Some("2"), Some("a.ini"), Some(""), None, None, None, None],
            &[
                Some("3"),
                Some("off.ini"),
                Some(""),
                None,
                Some("f"),
                None,
                None,
            ],
        ];
        assert_eq!(take(&mut book, &answer(TABLE, rows)), Ok(vec![]));
        assert_eq!(names_of(&book), ["a.ini", "b.ini"]);
        let row = book.rows().nth(1).expect("two");
        assert_eq!(
            (row.seconds, row.hosts.as_slice()),
            (1_700_000_000, &["web1".to_owned(), "web2".to_owned()][..])
        );
        assert!(row.uid.is_none());
    }

    #[test]
    fn a_query_of_the_operator_is_read_by_places() {
        let mut book = Book::default();
        let rows: &[&[_]] = &[&[
            Some("a.ini"),
            Some("x"),
            Some("17"),
            Some("1000"),
            Some("33"),
        ]];
        let columns = ["n", "c", "extract", "uid", "gid"];
        assert_eq!(take(&mut book, &answer(&columns, rows)), Ok(vec![]));
        let row = book.rows().next().expect("one");
        assert_eq!(
            (row.seconds, row.uid.as_deref(), row.gid.as_deref()),
            (17, Some("1000"), Some("33"))
        );
        let columns = ["n", "c", "ts", "enabled"];
        let rows: &[&[_]] = &[&[Some("a.ini"), Some("x"), Some("17"), Some("true")]];
        assert_eq!(take(&mut book, &answer(&columns, rows)), Ok(vec![]));
        assert_eq!(book.rows().next().and_then(|row| row.uid.as_deref()), None);
        assert!(take(&mut book, &answer(&["n", "c"], &[])).is_err());
        assert_eq!(names_of(&book), ["a.ini"], "a bad answer changes nothing");
    }

    #[test]
    fn a_row_that_has_become_bad_stays_as_it_was() {
        let mut book = Book::default();
        let columns = ["name", "config", "ts"];
        let good: &[&[_]] = &[
            &[Some("a.ini"), Some("x"), Some("1")],
            &[Some("b.ini"), Some("y"), Some("1")],
        ];
        let bad: &[&[_]] = &[
            &[Some("a.ini"), None, Some("2")],
            &[None, Some("y"), Some("1")],
            &[Some("../c.ini"), Some("y"), Some("1")],
            &[Some("b.ini"), Some("bad"), Some("2")],
        ];
        assert_eq!(take(&mut book, &answer(&columns, good)), Ok(vec![]));
        assert_eq!(
            take(&mut book, &answer(&columns, bad))
                .expect("an answer")
                .len(),
            4
        );
        assert_eq!(names_of(&book), ["a.ini", "b.ini"]);
        assert_eq!(
            take(&mut book, &answer(&columns, bad)),
            Ok(vec![]),
            "it is said once"
        );
        assert_eq!(take(&mut book, &answer(&columns, &[])), Ok(vec![]));
        assert_eq!(names_of(&book), [""; 0], "an empty table is an empty set");
    }

    #[test]
    fn whatever_changes_makes_another_version() {
        let serial = |config: &str, time: &str| {
            let mut book = Book::default();
            let rows: &[&[_]] = &[&[Some("a.ini"), Some(config), Some(time)]];
            take(&mut book, &answer(&["name", "config", "ts"], rows)).expect("an answer");
            book.rows().next().expect("one").serial
        };
        assert_eq!(serial("x", "1"), serial("x", "1"));
        assert_ne!(
            serial("x", "1"),
            serial("y", "1"),
            "a text under an old time"
        );
        assert_ne!(
            serial("x", "2"),
            serial("x", "1"),
            "a time that jumped back"
        );
        assert_ne!(serial("x", "1.5"), serial("x", "1.25"));
    }
}
