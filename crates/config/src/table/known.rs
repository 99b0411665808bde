//! `known.tsv`: the names of uWSGI's options that have no row of their own.

use super::{Argument, Row, Support, Syntax, groups, row};

const TEXT: &str = include_str!("known.tsv");

/// The file's rows. The first line names the columns.
pub(super) fn rows() -> Vec<Row> {
    TEXT.lines()
        .skip(1)
        .map(|line| parse(line).unwrap_or_else(|| panic!("known.tsv: `{line}`")))
        .collect()
}

fn parse(line: &'static str) -> Option<Row> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let argument = match columns.next()? {
        "no" => Argument::No,
        "required" => Argument::Required,
        "optional" => Argument::Optional,
        _ => return None,
    };
    let syntax = match columns.next()?.split_once(':') {
        Some(("number", "N")) => Syntax::Number(""),
        Some(("number", unit)) => Syntax::Number(unit),
        Some(("text", form)) => Syntax::Text(form),
        Some(_) => return None,
        None => Syntax::Flag,
    };
    let repeatable = columns.next()? == "list";
    let flags = columns.next()?;
    let short = columns.next()?.chars().next();
    let group = groups::find(columns.next()?)?;
    Some(Row {
        argument,
        repeatable,
        short,
        default: "",
        help: columns.next()?,
        implies_master: flags.contains('m'),
        immediate: flags.contains('i'),
        ..row(name, syntax, Support::Known(group))
    })
}
