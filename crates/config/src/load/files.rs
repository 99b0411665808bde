//! Files: which one is meant, whether it may be read, and what becomes of its contents.

use std::sync::Arc;

use super::reader::Reader;
use crate::finding::{Finding, Severity};
use crate::origin::Origin;
use crate::read::magic::{FileNames, Magic};
use crate::read::{Contents, Format, Line, source};
use crate::value::Problem;

/// How deep files may include files.
const MAX_DEPTH: usize = 32;

/// How many files one configuration may read.
const MAX_FILES: usize = 1_000;

impl Reader<'_> {
    /// A file that is an argument of its own.
    pub(super) fn positional(
        &mut self,
        format: Format,
        name: &str,
        section: &str,
        origin: &Origin,
    ) -> Result<(), Problem> {
        self.first_is_settled = true;
        self.read_file(format, name, section, origin)
    }

    /// `include` and `inherit`: the format is told by the suffix, and there is no section.
    pub(super) fn include(&mut self, name: &str, origin: &Origin) -> Result<(), Problem> {
        let format = Format::of(name).ok_or_else(|| {
            Problem::new("expected a file that ends in .ini, .yaml, .yml, .json or .js")
        })?;
        self.read_file(format, name, "", origin)
    }

    /// `ini = file:section` and its like. The first file so read gives the upper-case magic variables.
    pub(super) fn file(
        &mut self,
        format: Format,
        value: &str,
        origin: &Origin,
    ) -> Result<(), Problem> {
        let (name, section) = match value.split_once("://") {
            Some(_) => (value, ""),
            None => value.rsplit_once(':').unwrap_or((value, "")),
        };
        if !self.first_is_settled {
            self.first_is_settled = true;
            self.first = Some(FileNames::new(self.world, name, section));
        }
        self.read_file(format, name, section, origin)
    }

    /// Reads a file and adds its pairs; an empty name is the ini file read last.
    fn read_file(
        &mut self,
        format: Format,
        name: &str,
        section: &str,
        origin: &Origin,
    ) -> Result<(), Problem> {
        let (given, name) = match (name, &self.last_ini) {
            ("", Some(last)) if format == Format::Ini => ("", last.clone()),
            ("", _) => {
                return Err(Problem::new("there is no file that `:section` could mean")
                    .help("write the file's name before the colon"));
            }
            _ => (name, name.to_owned()),
        };
        let id = format!("{name}:{section}");
        self.admit(&id)?;
        if format == Format::Ini {
            self.last_ini = Some(name.clone());
        }
        let lines = self.lines_of(given, &name, section)?;
        let wanted = if section.is_empty() { "uwsgi" } else { section };
        let contents = format.read(&lines, wanted);
        self.open.push(id);
        self.take(contents, &name, wanted, origin);
        self.open.pop();
        Ok(())
    }

    fn admit(&mut self, id: &str) -> Result<(), Problem> {
        self.files += 1;
        if self.open.iter().any(|open| open == id) {
            return Err(Problem::new(
                "this file is being read already: it includes itself",
            ));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::new(format!(
                "files include files more than {MAX_DEPTH} deep"
            )));
        }
        if self.files > MAX_FILES {
            self.is_full = true;
            return Err(Problem::new(format!(
                "more than {MAX_FILES} files are included"
            )));
        }
        Ok(())
    }

    fn take(&mut self, contents: Contents, name: &str, wanted: &str, origin: &Origin) {
        for remark in contents.remarks {
            let severity = match remark.is_error {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let finding = Finding::at(severity, remark.rule, remark.origin, remark.message);
            self.findings.push(match remark.help {
                "" => finding,
                help => finding.with_help(help),
            });
        }
        if !contents.sections.iter().any(|section| section == wanted)
            && !self.findings.iter().any(|finding| finding.rule == "syntax")
        {
            self.findings
                .push(no_section(name, wanted, &contents.sections, origin));
        }
        for pair in contents.pairs {
            self.add(pair.key, Some(pair.value), pair.origin);
        }
    }

    /// The text of a file between the texts that `inject-before` and `inject-after` name.
    fn lines_of(&mut self, given: &str, name: &str, section: &str) -> Result<Vec<Line>, Problem> {
        let mut names = FileNames::new(self.world, name, section);
        given.clone_into(&mut names.given);
        let magic = Magic {
            world: self.world,
            file: &names,
            first: self.first.as_ref(),
        };
        let mut lines = Vec::new();
        let mut lost = Vec::new();
        let injected = self.inject_before.iter().map(String::as_str);
        let all = injected.chain([name]);
        for name in all.chain(self.inject_after.iter().map(String::as_str)) {
            let path: Arc<str> = name.into();
            let text = source::text(self.world, name).map_err(|why| match why.line {
                0 => Problem::new(format!("{name}: {}", why.message)),
                line => Problem::new(format!("{name}:{line}: {}", why.message)),
            })?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            lines.extend(magic.lines(&path, text, &mut lost));
        }
        self.lost.extend(lost);
        Ok(lines)
    }
}

fn no_section(name: &str, wanted: &str, sections: &[String], origin: &Origin) -> Finding {
    let message = format!("{name} has no section [{wanted}], so nothing of it is used");
    let finding = Finding::at(Severity::Warning, "no-section", origin.clone(), message);
    let mut sections: Vec<_> = sections
        .iter()
        .map(|section| format!("[{section}]"))
        .collect();
    sections.sort();
    sections.dedup();
    match sections.is_empty() {
        true => finding.with_help(format!("the options must stand below a line [{wanted}]")),
        false => finding.with_help(format!("it has {}", sections.join(", "))),
    }
}
