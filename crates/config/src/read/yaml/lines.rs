//! YAML as uWSGI reads it without libyaml: line by line, by indentation alone.

use super::super::{Contents, Line, Pair, Remark};

/// Width of a tab when uWSGI counts indentation.
const TAB: usize = 8;

/// Reads the first section called `section`. What ends the reading early is an error in the remarks.
pub(super) fn read(lines: &[Line], section: &str) -> Contents {
    let mut contents = Contents::default();
    let mut inside = false;
    for line in lines {
        let text = before_comment(&line.text);
        let content = text.trim_start_matches([' ', '\t']);
        if content.is_empty() {
            continue;
        }
        let is_top = depth(text) == 0;
        match (inside, is_top) {
            (false, true) => {
                let name = content.split_once(':').map(|(name, _)| name);
                inside = name == Some(section);
                contents.sections.extend(name.map(str::to_owned));
            }
            (false, false) => {}
            (true, true) => break,
            (true, false) => match pair(line, content) {
                Some(pair) => contents.pairs.push(pair),
                None => {
                    contents.remarks.push(ends_here(line));
                    break;
                }
            },
        }
    }
    contents
}

fn before_comment(text: &str) -> &str {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    text.trim_end_matches([' ', '\t'])
}

fn depth(text: &str) -> usize {
    text.bytes()
        .map_while(|byte| match byte {
            b' ' => Some(1),
            b'\t' => Some(TAB),
            _ => None,
        })
        .sum()
}

fn pair(line: &Line, content: &str) -> Option<Pair> {
    let colon = content
        .find(": ")
        .into_iter()
        .chain(content.find(":\t"))
        .min()?;
    let (key, value) = content.split_at(colon);
    Some(Pair {
        key: key.trim_end_matches([' ', '\t']).to_owned(),
        value: value[1..].trim_start_matches([' ', '\t']).to_owned(),
        origin: line.origin.clone(),
    })
}

fn ends_here(line: &Line) -> Remark {
    Remark {
        origin: line.origin.clone(),
        rule: "syntax",
        is_error: true,
        message: "this line is not `key: value`, and the file is not YAML either".into(),
        help: "uWSGI without libyaml would ignore everything from here on",
    }
}
