//! YAML configurations, in the two dialects that builds of uWSGI have.
//!
//! A build with libyaml (Debian, Ubuntu) reads YAML: quotes go, lists repeat the option. A build without it (pip) goes
//! line by line: quotes stay, comments begin at any `#`, and the first line that is not `key: value` ends the file.
//! Most files mean the same to both. Where they differ the libyaml reading is taken, for it is what the writer of a
//! YAML file expects, and the difference is reported. A text that is not YAML at all (`chdir: %(base)`) is read line by
//! line.

mod lines;
mod real;

use super::{Contents, Line, Pair, Remark};

/// Reads the pairs of the section called `section`.
pub(crate) fn read(lines: &[Line], section: &str) -> Contents {
    let by_line = lines::read(lines, section);
    match real::read(lines, section) {
        Ok(mut real) => {
            if let Some(remark) = difference(&by_line, &real) {
                real.remarks.push(remark);
            }
            real
        }
        Err(why) => not_yaml(by_line, why),
    }
}

/// A text that only the reader without libyaml takes. What it skips in silence would be lost, so that is an error.
fn not_yaml(mut by_line: Contents, why: Remark) -> Contents {
    let stopped = by_line.remarks.iter().any(|remark| remark.is_error);
    if !stopped {
        by_line.remarks.push(Remark {
            is_error: false,
            message: format!(
                "{}: read line by line, but uWSGI with libyaml (Debian) refuses the file",
                why.message
            ),
            help: "put the value in quotes; quotes are understood here",
            ..why
        });
    }
    by_line
}

fn difference(by_line: &Contents, real: &Contents) -> Option<Remark> {
    let same = |(a, b): &(&Pair, &Pair)| a.key == b.key && a.value == b.value;
    let common = by_line
        .pairs
        .iter()
        .zip(&real.pairs)
        .take_while(same)
        .count();
    let pair = real
        .pairs
        .get(common)
        .or_else(|| by_line.pairs.get(common))?;
    let other = match by_line.pairs.get(common) {
        Some(other) if other.key == pair.key => format!("reads `{}` here", other.value),
        _ => "stops or skips here".into(),
    };
    Some(Remark {
        origin: pair.origin.clone(),
        rule: "yaml-dialect",
        is_error: false,
        message: format!(
            "read as `{} = {}`; uWSGI without libyaml (from pip) {other}",
            pair.key, pair.value
        ),
        help: "it matters only if uWSGI reads the file too",
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::lines_of;
    use super::*;

    fn contents(text: &str) -> Contents {
        read(&lines_of("t.yaml", text), "uwsgi")
    }

    #[track_caller]
    fn assert_pairs(text: &str, expected: &[(&str, &str)]) -> Vec<Remark> {
        let contents = contents(text);
        let pairs: Vec<_> = contents
            .pairs
            .iter()
            .map(|pair| (pair.key.as_str(), pair.value.as_str()))
            .collect();
        assert_eq!(pairs, expected, "{text}");
        contents.remarks
    }

    #[test]
    fn files_that_both_dialects_read_alike_raise_nothing() {
        let text = "# c\nother:\n  x: 1\nuwsgi:\n  a: 1\n  socket: /tmp/a.sock\n  socket: :80\n  b: true # c\n\n  c: x y\n";
        let pairs = [
            ("a", "1"),
            ("socket", "/tmp/a.sock"),
            ("socket", ":80"),
            ("b", "true"),
            ("c", "x y"),
        ];
        assert_eq!(assert_pairs(text, &pairs), []);
    }

    #[test]
    fn quotes_and_lists_are_those_of_yaml_and_the_difference_is_reported() {
        let remarks = assert_pairs(
            "uwsgi:\n  http: \":80\"\n  env:\n    - A=1\n    - 'B=2'\n  plugins: [a, b]\n",
            &[
                ("http", ":80"),
                ("env", "A=1"),
                ("env", "B=2"),
                ("plugins", "a"),
                ("plugins", "b"),
            ],
        );
        assert_eq!(remarks.len(), 1);
        assert_eq!(remarks[0].origin, crate::Origin::file("t.yaml", 2));
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let pairs = [
            ("a", "0660"),
            ("b", "1.50"),
            ("c", "0x10"),
            ("d", "True"),
            ("e", "~"),
            ("f", "1_000"),
        ];
        let text = "uwsgi:\n  a: 0660\n  b: 1.50\n  c: 0x10\n  d: True\n  e: ~\n  f: 1_000\n";
        assert_eq!(assert_pairs(text, &pairs), []);
    }

    #[test]
    fn a_key_without_a_value_is_dropped_and_said_so() {
        let remarks = assert_pairs(
            "uwsgi:\n  a: 1\n  endif:\n  b: 2\n",
            &[("a", "1"), ("b", "2")],
        );
        assert!(!remarks.is_empty());
    }

    #[test]
    fn what_is_no_yaml_is_read_line_by_line() {
        let remarks = assert_pairs(
            "uwsgi:\n  base: /srv\n  chdir: %(base)/app\n  b: 2\n",
            &[("base", "/srv"), ("chdir", "%(base)/app"), ("b", "2")],
        );
        assert_eq!(remarks.len(), 1);
        assert!(!remarks[0].is_error);
    }

    #[test]
    fn what_neither_dialect_reads_to_the_end_is_an_error() {
        let remarks = contents("uwsgi:\n  chdir: %(base)\n  env:\n    - A=1\n").remarks;
        assert!(remarks.iter().any(|remark| remark.is_error), "{remarks:?}");
    }

    #[test]
    fn origins_are_the_lines_of_the_keys_and_items() {
        let text = "uwsgi:\n  a: 1\n\n  b: \"2\"\n  env:\n  - A=1\n  - B=2\n  a: 3\n";
        let lines: Vec<_> = contents(text)
            .pairs
            .into_iter()
            .map(|pair| match pair.origin {
                crate::Origin::File { line, .. } => (pair.value, line),
                _ => (pair.value, 0),
            })
            .collect();
        let expected = [("1", 2), ("2", 4), ("A=1", 6), ("B=2", 7), ("3", 8)];
        assert_eq!(
            lines,
            expected.map(|(value, line)| (value.to_owned(), line))
        );
    }
}
