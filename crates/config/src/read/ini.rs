//! uWSGI's ini files: sections, `key = value`, and lines that begin with `;` or `#`. There is nothing else to them: no
//! quotes, no escapes, no continuation, no comments behind a value.

use super::{Contents, Line, Pair};

/// Blanks that uWSGI strips from both ends of a line.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// Reads the pairs of every section called `section`.
pub(crate) fn read(lines: &[Line], section: &str) -> Contents {
    let mut contents = Contents::default();
    let mut wanted = false;
    for line in lines {
        let text = line.text.trim_matches(BLANKS);
        match text.chars().next() {
            None | Some(';' | '#') => {}
            Some('[') => {
                let name = header(text);
                wanted = name == section;
                contents.sections.push(name.to_owned());
            }
            Some(_) if wanted => contents.pairs.push(pair(line, text)),
            Some(_) => {}
        }
    }
    contents
}

/// The name in a header: everything but its first and its last character, whatever that is.
fn header(text: &str) -> &str {
    let inner = text.strip_prefix('[').unwrap_or(text);
    match inner.char_indices().next_back() {
        Some((last, _)) => &inner[..last],
        None => inner,
    }
}

fn pair(line: &Line, text: &str) -> Pair {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Pair {
        key: key.trim_end_matches(BLANKS).to_owned(),
        value: value.trim_start_matches(BLANKS).to_owned(),
        origin: line.origin.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::lines_of;
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(&lines_of("t.ini", text), "uwsgi")
            .pairs
            .into_iter()
            .map(|pair| (pair.key, pair.value))
            .collect()
    }

    #[test]
    fn only_the_wanted_section_counts_and_it_may_come_back() {
        let text = "x = 0\n[uwsgi]\na = 1\n[other]\nb = 2\n[uwsgi]\nc = 3";
        assert_eq!(
            pairs(text),
            [("a".into(), "1".into()), ("c".into(), "3".into())]
        );
    }

    #[test]
    fn a_header_with_anything_behind_it_is_another_section() {
        for header in ["[uwsgi] ; x", "[ uwsgi ]", "[uwsgi", "[uwsgi]]", "[]", "["] {
            assert_eq!(pairs(&format!("{header}\na = 1")), [], "{header}");
        }
        assert_eq!(pairs("  [uwsgi]  \r\na=1\r\n").len(), 1);
    }

    #[test]
    fn values_are_taken_as_they_are() {
        let text = "[uwsgi]\n a = \"q\" ; c \nb\n = v\nc = d = e\n=\n;c\n # d\nl:1\n";
        let expected = [
            ("a", "\"q\" ; c"),
            ("b", ""),
            ("", "v"),
            ("c", "d = e"),
            ("", ""),
            ("l:1", ""),
        ];
        let read = pairs(text);
        let read: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, expected);
    }
}
