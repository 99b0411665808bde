//! Arguments of the command line that are no options.
//!
//! uWSGI takes configuration files there, told by their suffix. What it would refuse and can only mean one thing is
//! understood as well: `app.ini:section`, `app.py`, `pkg.module:app`.

use super::reader::Reader;
use crate::origin::Origin;
use crate::read::Format;
use crate::value::Problem;

/// Adds what an argument stands for.
pub(super) fn add(reader: &mut Reader<'_>, argument: &str, origin: &Origin) {
    // uWSGI leaves arguments of this form to others.
    if argument.starts_with('[') {
        return;
    }
    let result = match meaning(argument) {
        Some(Meaning::File(format, name, section)) => {
            reader.positional(format, name, section, origin)
        }
        Some(Meaning::Option(key)) => {
            reader.add(key.into(), Some(argument.into()), origin.clone());
            Ok(())
        }
        None => Err(Problem::new(format!(
            "`{argument}` is neither a configuration nor an app"
        ))
        .help(
            "write a file that ends in .ini, .yaml, .yml or .json, an app such as app.py or \
                 package.module:app, or an option that begins with --",
        )),
    };
    if let Err(problem) = result {
        reader.complain(origin.clone(), "command-line", problem);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Meaning<'a> {
    File(Format, &'a str, &'a str),
    Option(&'static str),
}

fn meaning(argument: &str) -> Option<Meaning<'_>> {
    if let Some(format) = Format::of(argument) {
        return Some(Meaning::File(format, argument, ""));
    }
    if let Some((name, section)) = argument.rsplit_once(':')
        && let Some(format) = Format::of(name)
    {
        return Some(Meaning::File(format, name, section));
    }
    if argument.ends_with(".py") || argument.ends_with(".wsgi") {
        return Some(Meaning::Option("wsgi-file"));
    }
    let (module, name) = argument.split_once(':')?;
    let name = name.strip_suffix("()").unwrap_or(name);
    let is_app = module.split('.').all(is_identifier) && is_identifier(name);
    is_app.then_some(Meaning::Option("module"))
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    starts && chars.all(|c| c == '_' || c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_argument_has_one_meaning() {
        for (argument, expected) in [
            ("app.ini", Some(Meaning::File(Format::Ini, "app.ini", ""))),
            ("a/b.yml", Some(Meaning::File(Format::Yaml, "a/b.yml", ""))),
            (
                "app.ini:dev",
                Some(Meaning::File(Format::Ini, "app.ini", "dev")),
            ),
            ("x.json:s", Some(Meaning::File(Format::Json, "x.json", "s"))),
            ("app.py", Some(Meaning::Option("wsgi-file"))),
            ("app.wsgi", Some(Meaning::Option("wsgi-file"))),
            ("pkg.mod:app", Some(Meaning::Option("module"))),
            ("mod:make()", Some(Meaning::Option("module"))),
            (":8080", None),
            ("127.0.0.1:80", None),
            ("localhost:8080", None),
            ("app", None),
            ("-", None),
        ] {
            assert_eq!(meaning(argument), expected, "{argument}");
        }
    }
}
