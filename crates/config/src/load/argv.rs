//! The command line, taken apart as getopt_long does it for uWSGI: first all options, then all other arguments.

use std::collections::BTreeSet;
use std::ffi::OsString;

use crate::origin::Origin;
use crate::table::{self, Argument, Row};
use crate::value::Problem;

/// An option: its name in full, its value, and which argument it is.
pub(crate) type Given = (String, Option<String>, Origin);

/// A command line in parts.
#[derive(Debug, Default)]
pub(crate) struct CommandLine {
    /// Options in their order.
    pub(crate) options: Vec<Given>,
    /// The other arguments.
    pub(crate) others: Vec<(String, Origin)>,
    /// Arguments that cannot be understood.
    pub(crate) complaints: Vec<(Origin, Problem)>,
}

/// Takes arguments (without the program's name) apart.
pub(crate) fn parse(arguments: &[OsString]) -> CommandLine {
    let mut line = CommandLine::default();
    let mut arguments = arguments.iter().zip(1..);
    while let Some((argument, number)) = arguments.next() {
        let origin = Origin::CommandLine { argument: number };
        let mut value = || Some(arguments.next()?.0.to_str()?.to_owned());
        let result = match argument.to_str() {
            None => Err(Problem::new("this argument is not UTF-8")),
            Some("--") => {
                line.rest(&mut arguments);
                break;
            }
            Some(text) => match (text.strip_prefix("--"), text.strip_prefix('-')) {
                (Some(long), _) => line.long(long, &origin, &mut value),
                (None, Some(letters)) if !letters.is_empty() => {
                    line.letters(letters, &origin, &mut value)
                }
                _ => {
                    line.others.push((text.to_owned(), origin.clone()));
                    Ok(())
                }
            },
        };
        if let Err(problem) = result {
            line.complaints.push((origin, problem));
        }
    }
    line
}

type Next<'a> = dyn FnMut() -> Option<String> + 'a;

impl CommandLine {
    /// Behind `--` nothing is an option.
    fn rest<'a>(&mut self, arguments: impl Iterator<Item = (&'a OsString, u32)>) {
        for (argument, number) in arguments {
            let origin = Origin::CommandLine { argument: number };
            match argument.to_str() {
                Some(text) => self.others.push((text.to_owned(), origin)),
                None => self
                    .complaints
                    .push((origin, Problem::new("this argument is not UTF-8"))),
            }
        }
    }

    fn long(&mut self, text: &str, origin: &Origin, next: &mut Next<'_>) -> Result<(), Problem> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let (name, row) = resolve(name)?;
        let value = match (row.argument, value) {
            (Argument::No, Some(_)) => {
                return Err(
                    Problem::new(format!("--{name} takes no value on the command line"))
                        .help(format!("write --{name} alone, or --set {name}=VALUE")),
                );
            }
            (Argument::Required, None) => Some(next().ok_or_else(|| needs_value(&name, row))?),
            (_, value) => value,
        };
        self.options.push((name, value, origin.clone()));
        Ok(())
    }

    /// `-MT`, `-p4`, `-p 4`.
    fn letters(
        &mut self,
        letters: &str,
        origin: &Origin,
        next: &mut Next<'_>,
    ) -> Result<(), Problem> {
        for (at, letter) in letters.char_indices() {
            let row = table::find_short(letter)
                .ok_or_else(|| Problem::new(format!("there is no option -{letter}")))?;
            let rest = &letters[at + letter.len_utf8()..];
            let attached = (!rest.is_empty()).then(|| rest.to_owned());
            let value = match row.argument {
                Argument::No => None,
                Argument::Optional => attached,
                Argument::Required => {
                    let value = attached.or_else(&mut *next);
                    Some(value.ok_or_else(|| needs_value(row.name, row))?)
                }
            };
            self.options
                .push((row.name.to_owned(), value, origin.clone()));
            if row.argument != Argument::No {
                break;
            }
        }
        Ok(())
    }
}

fn needs_value(name: &str, row: &Row) -> Problem {
    Problem::new(format!("--{name} needs a value"))
        .help(format!("write --{name} {}", row.syntax.placeholder()))
}

/// The option of a name that may be cut short where nothing else begins like it.
fn resolve(name: &str) -> Result<(String, &'static Row), Problem> {
    if let Some(row) = table::find(name).filter(|_| !name.is_empty()) {
        return Ok((name.to_owned(), row));
    }
    let names: BTreeSet<_> = table::all()
        .flat_map(Row::names)
        .filter(|full| !name.is_empty() && full.starts_with(name))
        .collect();
    let mut candidates = names.iter();
    match (candidates.next(), candidates.next()) {
        (Some(full), None) => Ok(((*full).to_owned(), known(full))),
        (Some(_), Some(_)) => {
            let names: Vec<_> = names
                .iter()
                .take(6)
                .map(|name| format!("--{name}"))
                .collect();
            Err(
                Problem::new(format!("--{name} is short for more than one option"))
                    .help(format!("write one of {} in full", names.join(", "))),
            )
        }
        _ => {
            let problem = Problem::new(format!("there is no option --{name}"));
            Err(match crate::suggest::option_like(name) {
                Some(similar) => problem.help(format!("did you mean --{similar}?")),
                None => problem.help(format!("a placeholder is set with --set-ph {name}=VALUE")),
            })
        }
    }
}

fn known(name: &str) -> &'static Row {
    table::find(name).expect("the name was taken from the table")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let line = parse(&arguments);
        let option = |(name, value, _): (String, Option<String>, Origin)| match value {
            Some(value) => format!("{name}={value}"),
            None => name,
        };
        (
            line.options.into_iter().map(option).collect(),
            line.others.into_iter().map(|(text, _)| text).collect(),
            line.complaints
                .into_iter()
                .map(|(_, p)| p.message)
                .collect(),
        )
    }

    #[test]
    fn options_in_every_form() {
        let arguments = [
            "-M",
            "a.ini",
            "-p",
            "4",
            "[x",
            "--threads=2",
            "-MT",
            "-p3",
            "--proce",
            "5",
            "-C",
            "-C660",
            "--http-keepalive",
            "--env",
            "A=b=c",
            "--listen=",
            "--",
            "-L",
            "--x",
        ];
        let (options, others, complaints) = parsed(&arguments);
        let expected = [
            "master",
            "processes=4",
            "threads=2",
            "master",
            "enable-threads",
            "processes=3",
            "processes=5",
            "chmod-socket",
            "chmod-socket=660",
            "http-keepalive",
            "env=A=b=c",
            "listen=",
        ];
        assert_eq!(options, expected);
        assert_eq!(others, ["a.ini", "[x", "-L", "--x"]);
        assert_eq!(complaints, [""; 0]);
    }

    #[test]
    fn every_mistake_is_told() {
        let arguments = [
            "--master=false",
            "--proc",
            "2",
            "--foo",
            "-Z",
            "-",
            "--processes",
        ];
        let (options, others, complaints) = parsed(&arguments);
        assert_eq!(options, [""; 0]);
        assert_eq!(others, ["2", "-"]);
        assert_eq!(
            complaints,
            [
                "--master takes no value on the command line",
                "--proc is short for more than one option",
                "there is no option --foo",
                "there is no option -Z",
                "--processes needs a value",
            ]
        );
    }
}
