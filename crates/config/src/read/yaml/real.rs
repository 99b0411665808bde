//! YAML as uWSGI reads it with libyaml: quotes are syntax, a list repeats its option.
//!
//! Values keep the spelling they have in the file: `0660` and `True` are texts. Since serde's self-describing form
//! would turn them into numbers, the document is gone through twice: first for its shape, then for its texts.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::super::{Contents, Line, Pair, Remark};
use crate::origin::Origin;

/// Reads every section called `section` of every document.
///
/// # Errors
/// Where and why the text is not YAML.
pub(super) fn read(lines: &[Line], section: &str) -> Result<Contents, Remark> {
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let text = texts.join("\n");
    if nests_too_deep(&text) {
        return Err(too_deep(lines));
    }
    let shapes = documents(&text, Shape::deserialize).map_err(|error| not_yaml(lines, &error))?;
    let mut shapes = shapes.iter();
    let none = Shape::Scalar;
    let nodes = documents(&text, |document| {
        shapes.next().unwrap_or(&none).deserialize(document)
    })
    .map_err(|error| not_yaml(lines, &error))?;
    let mut reader = Reader {
        lines,
        next_line: 0,
        contents: Contents::default(),
    };
    for node in nodes {
        reader.document(node, section);
    }
    Ok(reader.contents)
}

fn documents<'a, T>(
    text: &'a str,
    mut read: impl FnMut(serde_yaml::Deserializer<'a>) -> Result<T, serde_yaml::Error>,
) -> Result<Vec<T>, serde_yaml::Error> {
    serde_yaml::Deserializer::from_str(text)
        .map(&mut read)
        .collect()
}

/// Deepest nesting of brackets. libyaml's time grows with the square of it.
const MAX_BRACKETS: usize = 256;

fn nests_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_BRACKETS
    })
}

fn too_deep(lines: &[Line]) -> Remark {
    Remark {
        origin: lines
            .first()
            .map_or_else(|| Origin::file("", 0), |line| line.origin.clone()),
        rule: "yaml-dialect",
        is_error: true,
        message: "not YAML (brackets nest too deep)".into(),
        help: "",
    }
}

fn not_yaml(lines: &[Line], error: &serde_yaml::Error) -> Remark {
    let number = error.location().map_or(1, |location| location.line());
    let line = lines.get(number.saturating_sub(1)).or(lines.last());
    let text = error.to_string();
    Remark {
        origin: line.map_or_else(|| Origin::file("", 0), |line| line.origin.clone()),
        rule: "yaml-dialect",
        is_error: true,
        message: format!(
            "not YAML ({})",
            text.split(" at line ").next().unwrap_or_default()
        ),
        help: "",
    }
}

/// How many lines behind the last key the next one is looked for.
const WINDOW: usize = 1_000;

struct Reader<'a> {
    lines: &'a [Line],
    /// Where the search for the next key's line begins.
    next_line: usize,
    contents: Contents,
}

impl Reader<'_> {
    fn document(&mut self, node: Node, section: &str) {
        let Node::Mapping(sections) = node else {
            return;
        };
        for (name, body) in sections {
            self.find(|text| is_key(text, &name));
            let wanted = name == section;
            self.contents.sections.push(name);
            match body {
                Node::Mapping(options) if wanted => {
                    for (key, value) in options {
                        self.option(key, value);
                    }
                }
                _ => {}
            }
        }
    }

    fn option(&mut self, key: String, value: Node) {
        let origin = self.find(|text| is_key(text, &key));
        match value {
            Node::Scalar(value) => self.scalar(key, value, origin),
            Node::Sequence(items) => {
                for item in items {
                    self.item(&key, item, &origin);
                }
            }
            Node::Mapping(_) => {
                self.ignored(origin, format!("the mapping below `{key}` is ignored"));
            }
        }
    }

    fn item(&mut self, key: &str, item: Node, at_key: &Origin) {
        let Node::Scalar(value) = item else {
            let message = format!("a list or mapping inside the list of `{key}` is ignored");
            return self.ignored(at_key.clone(), message);
        };
        let is_item = |text: &str| {
            text.strip_prefix("- ").is_some_and(|rest| {
                unquoted(rest.trim_start()).starts_with(value.lines().next().unwrap_or_default())
            })
        };
        let origin = match self.position(is_item) {
            Some(at) => self.go_to(at),
            None => at_key.clone(),
        };
        self.scalar(key.to_owned(), value, origin);
    }

    /// A plain empty scalar is no token to libyaml, so uWSGI never sees the key.
    fn scalar(&mut self, key: String, value: String, origin: Origin) {
        if value.is_empty() && !self.is_quoted() {
            return self.ignored(
                origin,
                format!(
                    "`{key}` has no value, and uWSGI drops it: write `{key}: true` or `{key}: \"\"`"
                ),
            );
        }
        self.contents.pairs.push(Pair { key, value, origin });
    }

    /// Whether there are quotes in the line that was found last.
    fn is_quoted(&self) -> bool {
        let line = self.lines.get(self.next_line.saturating_sub(1));
        line.is_some_and(|line| line.text.contains("\"\"") || line.text.contains("''"))
    }

    fn ignored(&mut self, origin: Origin, message: String) {
        self.contents.remarks.push(Remark {
            origin,
            rule: "ignored-value",
            is_error: false,
            message,
            help: "",
        });
    }

    /// Moves to the next line that `is_it`, and says where that is; without one nothing moves.
    fn find(&mut self, is_it: impl Fn(&str) -> bool) -> Origin {
        let at = self.position(is_it);
        self.go_to(at.unwrap_or_else(|| self.next_line.saturating_sub(1)))
    }

    fn position(&self, is_it: impl Fn(&str) -> bool) -> Option<usize> {
        let rest = self.lines.get(self.next_line..)?;
        let mut rest = rest.iter().take(WINDOW);
        let at = rest.position(|line| is_it(line.text.trim_start()))?;
        Some(self.next_line + at)
    }

    fn go_to(&mut self, at: usize) -> Origin {
        self.next_line = at + 1;
        match self.lines.get(at) {
            Some(line) => line.origin.clone(),
            None => Origin::file("", 0),
        }
    }
}

fn is_key(text: &str, key: &str) -> bool {
    let rest = unquoted(text).strip_prefix(key);
    rest.is_some_and(|rest| {
        rest.trim_start_matches(['"', '\'', ' ', '\t'])
            .starts_with(':')
    })
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix(['"', '\'']).unwrap_or(text)
}

/// What a node is made of, without its texts.
enum Shape {
    Scalar,
    Sequence(Vec<Shape>),
    Mapping(Vec<Shape>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Shape, S::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shape::Sequence(items))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Shape, M::Error> {
        let mut values = Vec::new();
        while let Some((IgnoredAny, value)) = map.next_entry()? {
            values.push(value);
        }
        Ok(Shape::Mapping(values))
    }
}

/// A node with its texts.
enum Node {
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

impl<'de> DeserializeSeed<'de> for &Shape {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self {
            Shape::Scalar => String::deserialize(deserializer).map(Node::Scalar),
            Shape::Sequence(_) => deserializer.deserialize_seq(NodeVisitor(self)),
            Shape::Mapping(_) => deserializer.deserialize_map(NodeVisitor(self)),
        }
    }
}

struct NodeVisitor<'s>(&'s Shape);

impl<'de> Visitor<'de> for NodeVisitor<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a mapping")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Node, S::Error> {
        let Shape::Sequence(shapes) = self.0 else {
            return Ok(Node::Sequence(Vec::new()));
        };
        let mut items = Vec::new();
        for shape in shapes {
            items.extend(seq.next_element_seed(shape)?);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Node, M::Error> {
        let Shape::Mapping(shapes) = self.0 else {
            return Ok(Node::Mapping(Vec::new()));
        };
        let mut entries = Vec::new();
        for shape in shapes {
            let Some(key) = map.next_key()? else { break };
            entries.push((key, map.next_value_seed(shape)?));
        }
        Ok(Node::Mapping(entries))
    }
}
