//! JSON configurations: `{"uwsgi": {"option": "value"}}`.
//!
//! uWSGI reads them in one of two ways by build; both turn `true` into 1, `false` and `null` into 0, repeat an option
//! for each element of an array, and pass over objects inside. Numbers are taken as they are written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Contents, Line, Pair, Remark};
use crate::origin::Origin;

/// Reads the pairs of the object called `section`.
pub(crate) fn read(lines: &[Line], section: &str) -> Contents {
    let text = Joined::new(lines);
    let mut contents = Contents::default();
    let sections: Object<'_> = match serde_json::from_str(&text.text) {
        Ok(sections) => sections,
        Err(error) => {
            let origin = text.origin_of_line(error.line());
            contents.remarks.push(syntax_error(origin, &error));
            return contents;
        }
    };
    for (name, body) in &sections.0 {
        contents.sections.push((*name).to_string());
        if name == section {
            read_section(&text, body, &mut contents);
        }
    }
    contents
}

fn read_section(text: &Joined, body: &RawValue, contents: &mut Contents) {
    let Ok(Object(options)) = serde_json::from_str::<Object<'_>>(body.get()) else {
        contents.remarks.push(Remark {
            origin: text.origin_of(body.get()),
            rule: "syntax",
            is_error: true,
            message: "expected an object of options".into(),
            help: "write {\"uwsgi\": {\"option\": \"value\"}}",
        });
        return;
    };
    for (key, value) in options {
        let mut add = |value: &RawValue| match scalar(value.get()) {
            Some(scalar) => contents.pairs.push(Pair {
                key: key.clone(),
                value: scalar,
                origin: text.origin_of(value.get()),
            }),
            None => contents.remarks.push(Remark {
                origin: text.origin_of(value.get()),
                rule: "ignored-value",
                is_error: false,
                message: format!("the value of `{key}` is nested too deeply and is ignored"),
                help: "write a string, a number, true, false or an array of them",
            }),
        };
        match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(items) => items.into_iter().for_each(&mut add),
            Err(_) => add(value),
        }
    }
}

/// The text of a value, or `None` for an array or an object.
fn scalar(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b't' => Some("1".into()),
        b'f' | b'n' => Some("0".into()),
        b'[' | b'{' => None,
        _ => Some(raw.to_owned()),
    }
}

fn syntax_error(origin: Origin, error: &serde_json::Error) -> Remark {
    let text = error.to_string();
    Remark {
        origin,
        rule: "syntax",
        is_error: true,
        message: text
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned(),
        help: "the file must be one JSON object of sections",
    }
}

/// An object's members in their order, repeated names included.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
    type Value = Object<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'a>, M::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

/// The lines as one text again, with the way back from a place in it to its line.
struct Joined<'a> {
    text: String,
    lines: &'a [Line],
    /// Where in the text each line begins.
    starts: Vec<usize>,
}

impl<'a> Joined<'a> {
    fn new(lines: &'a [Line]) -> Self {
        let mut text = String::new();
        let mut starts = Vec::with_capacity(lines.len());
        for line in lines {
            starts.push(text.len());
            text.push_str(&line.text);
            text.push('\n');
        }
        Self {
            text,
            lines,
            starts,
        }
    }

    /// Where a part of the text stands; the part may be borrowed from a part.
    fn origin_of(&self, part: &str) -> Origin {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.origin_of_line(self.starts.partition_point(|&start| start <= offset))
    }

    fn origin_of_line(&self, number: usize) -> Origin {
        let line = self.lines.get(number.saturating_sub(1));
        line.or(self.lines.last())
            .map_or_else(|| Origin::file("", 0), |line| line.origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::lines_of;
    use super::*;

    fn pairs(text: &str) -> Vec<(u32, String, String)> {
        let contents = read(&lines_of("t.json", text), "uwsgi");
        let line = |origin: &Origin| match origin {
            Origin::File { line, .. } => *line,
            _ => 0,
        };
        contents
            .pairs
            .into_iter()
            .map(|pair| (line(&pair.origin), pair.key, pair.value))
            .collect()
    }

    #[test]
    fn each_kind_of_value() {
        let text = r#"{"uwsgi": {
            "a": "x\"y", "b": true, "c": false, "d": null,
            "e": [1, "x",
                  false, 2.50],
            "a": "again", "f": {"n": 1}, "g": -3, "h": [[1]]
        }, "other": {"z": 1}}"#;
        let expected = [
            (2, "a", "x\"y"),
            (2, "b", "1"),
            (2, "c", "0"),
            (2, "d", "0"),
            (3, "e", "1"),
            (3, "e", "x"),
            (4, "e", "0"),
            (4, "e", "2.50"),
            (5, "a", "again"),
            (5, "g", "-3"),
        ];
        let expected = expected.map(|(line, key, value)| (line, key.into(), value.into()));
        assert_eq!(pairs(text), expected);
        assert_eq!(read(&lines_of("t", text), "uwsgi").remarks.len(), 2);
    }

    #[test]
    fn what_is_no_configuration_is_an_error_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("{\n\"uwsgi\": {\n", 3),
            ("[1]", 1),
            ("{\n\"uwsgi\": [1]}", 2),
            ("{}{}", 1),
        ] {
            let contents = read(&lines_of("t.json", text), "uwsgi");
            let [remark] = &contents.remarks[..] else {
                panic!("{text}: {contents:?}");
            };
            assert!(remark.is_error, "{text}");
            assert_eq!(remark.origin, Origin::file("t.json", line), "{text}");
        }
    }
}
