//! Magic variables: `%n`, `%d` and their like, replaced in a file's raw text before anything else looks at it.
//!
//! Every `%` takes the byte behind it along, known or not, so `100%` at the end of a line eats the line break. Keys,
//! values and comments are all alike to it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::Line;
use crate::entry::Entry;
use crate::origin::Origin;
use crate::world::World;

/// The variables that name a file, for one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileNames {
    /// `%o`: the name as it was given, without the section.
    pub(crate) given: String,
    /// `%p`: the absolute path; empty for standard input and schemes.
    pub(crate) path: String,
    /// `%x`: the section that was given, or nothing.
    pub(crate) section: String,
}

impl FileNames {
    /// The names of the file `given` in `world`.
    pub(crate) fn new(world: &World, given: &str, section: &str) -> Self {
        let is_file = given != "-" && !given.contains("://");
        Self {
            given: given.to_owned(),
            path: match is_file {
                true => full_path(world, given),
                false => String::new(),
            },
            section: section.to_owned(),
        }
    }

    fn directory(&self) -> &str {
        self.path
            .rfind('/')
            .map_or("", |slash| &self.path[..=slash])
    }

    /// What an emperor sends has no path, but the name of the vassal (in uWSGI it has neither).
    fn base(&self) -> &str {
        match self.given.strip_prefix("emperor://") {
            Some(name) => name,
            None => &self.path[self.directory().len()..],
        }
    }

    fn magic(&self, letter: u8) -> Option<String> {
        let base = self.base();
        let dot = base.rfind('.');
        let directory = self.directory();
        Some(match letter {
            b'o' => self.given.clone(),
            b'p' => self.path.clone(),
            b'x' => self.section.clone(),
            b'd' => directory.to_owned(),
            b's' => base.to_owned(),
            b'n' => base[..dot.unwrap_or(base.len())].to_owned(),
            b'e' => dot.map_or("", |dot| &base[dot + 1..]).to_owned(),
            b'c' => directory
                .trim_end_matches('/')
                .rsplit('/')
                .next()?
                .to_owned(),
            b'0'..=b'9' => directory
                .trim_matches('/')
                .split('/')
                .nth(usize::from(letter - b'0'))
                .unwrap_or_default()
                .to_owned(),
            b'i' => inode(&self.path),
            b'j' if self.path.is_empty() => String::new(),
            b'j' => hash(&self.path),
            _ => return None,
        })
    }
}

/// What the magic variables stand for, by letter, as seen from the first file of a configuration.
pub fn magic_table(entries: &[Entry]) -> Vec<(u8, String)> {
    let world = World::new(std::env::vars_os());
    let first = entries.iter().find_map(|entry| match &entry.origin {
        Origin::File { path, .. } => Some(FileNames::new(&world, path, "")),
        Origin::CommandLine { .. } | Origin::Environment { .. } => None,
    });
    let none = FileNames::default();
    let magic = Magic {
        world: &world,
        file: first.as_ref().unwrap_or(&none),
        first: first.as_ref(),
    };
    let letters = 0x21..=0x7e_u8;
    letters
        .filter_map(|letter| Some((letter, magic.value(letter)?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// A symbolic link keeps its name as it was given; every other name is made real.
fn full_path(world: &World, given: &str) -> String {
    let path = world.path(given);
    let real = match path.is_symlink() {
        true => None,
        false => path.canonicalize().ok(),
    };
    match real {
        Some(real) => real.to_string_lossy().into_owned(),
        None if given.starts_with('/') => given.to_owned(),
        None => format!("{}/{given}", world.directory.display()),
    }
}

fn inode(path: &str) -> String {
    Path::new(path)
        .symlink_metadata()
        .map(|metadata| metadata.ino().to_string())
        .unwrap_or_default()
}

/// djb33x over the path, its four bytes printed from the lowest.
fn hash(path: &str) -> String {
    let hash = path.bytes().fold(5381_u32, |hash, byte| {
        hash.wrapping_mul(33) ^ u32::from(byte)
    });
    hash.to_le_bytes()
        .iter()
        .map(|b| format!("{b:02X}"))
        .collect()
}

/// The variables that hold while one file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Magic<'a> {
    pub(crate) world: &'a World,
    /// The file itself: lower-case letters.
    pub(crate) file: &'a FileNames,
    /// The first file of the command line: upper-case letters. `None` until there was one.
    pub(crate) first: Option<&'a FileNames>,
}

impl Magic<'_> {
    /// `None` for a letter that stands for nothing, or for nothing yet.
    fn value(&self, letter: u8) -> Option<String> {
        let of_file = self.file.magic(letter);
        let of_first = || match letter {
            b'O' | b'D' | b'S' | b'P' | b'C' | b'E' | b'N' | b'X' | b'I' | b'J' => {
                self.first?.magic(letter.to_ascii_lowercase())
            }
            _ => None,
        };
        of_file
            .or_else(of_first)
            .or_else(|| self.world.magic(letter))
    }

    /// Replaces the variables of a text and splits it into lines; each keeps the number of the line it began in. Adds
    /// to `lost` what was replaced by nothing.
    pub(crate) fn lines(
        &self,
        path: &Arc<str>,
        text: &str,
        lost: &mut Vec<(Origin, char)>,
    ) -> Vec<Line> {
        let mut number = 1;
        let mut lines = Vec::new();
        let mut line = Line {
            text: String::new(),
            origin: Origin::file(Arc::clone(path), number),
        };
        let mut rest = text;
        while let Some(at) = rest.find(['%', '\n']) {
            let (before, special) = rest.split_at(at);
            line.text.push_str(before);
            let mut chars = special.chars();
            match (chars.next(), chars.clone().next()) {
                (Some('\n'), _) => {
                    number += 1;
                    let origin = Origin::file(Arc::clone(path), number);
                    let next = Line {
                        text: String::new(),
                        origin,
                    };
                    lines.push(std::mem::replace(&mut line, next));
                }
                (_, Some('(')) => line.text.push_str("%("),
                (_, Some(letter)) => {
                    let value = u8::try_from(letter)
                        .ok()
                        .and_then(|letter| self.value(letter));
                    match value {
                        Some(value) => line.text.push_str(&value),
                        None => lost.push((Origin::file(Arc::clone(path), number), letter)),
                    }
                    number += u32::from(letter == '\n');
                }
                (_, None) => {}
            }
            if !special.starts_with('\n') {
                chars.next();
            }
            rest = chars.as_str();
        }
        line.text.push_str(rest);
        lines.push(line);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Vec<(u32, String)> {
        let world = World::new(std::iter::empty());
        let file = FileNames {
            given: "conf/app.v1.ini".into(),
            path: "/srv/conf/app.v1.ini".into(),
            section: "dev".into(),
        };
        let magic = Magic {
            world: &world,
            file: &file,
            first: None,
        };
        let lines = magic.lines(&"t.ini".into(), text, &mut Vec::new());
        let number = |line: &Line| match line.origin {
            Origin::File { line, .. } => line,
            _ => unreachable!("lines come from a file"),
        };
        lines
            .iter()
            .map(|line| (number(line), line.text.clone()))
            .collect()
    }

    #[test]
    fn names_of_the_file() {
        for (text, expected) in [
            ("%o", "conf/app.v1.ini"),
            ("%p", "/srv/conf/app.v1.ini"),
            ("%d|%s", "/srv/conf/|app.v1.ini"),
            ("%n.%e", "app.v1.ini"),
            ("%c %x", "conf dev"),
            ("%0%1%2", "srvconf"),
            ("%%n %(n) %q|", "%n %(n) |"),
            ("%N%O", ""),
            ("é%né", "éapp.v1é"),
            ("%é!", "!"),
        ] {
            assert_eq!(replaced(text), [(1, expected.to_owned())], "{text}");
        }
    }

    #[test]
    fn the_hash_is_that_of_uwsgi() {
        assert_eq!(hash("/srv/x/a.ini"), "247FB7DA");
    }

    #[test]
    fn a_percent_sign_eats_the_line_break_and_line_numbers_stay_right() {
        let lines = replaced("a = 1%\nb\n\nc = %");
        let expected = [(1, "a = 1b"), (3, ""), (4, "c = ")];
        assert_eq!(lines, expected.map(|(n, text)| (n, text.to_owned())));
    }
}
