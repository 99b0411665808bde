//! The three passes over the finished list: `$(NAME)`, then `@(file)`, then `%(option)`.

use std::collections::{HashMap, HashSet};

use super::list::Item;
use crate::read::source;
use crate::value::{MAX_VALUE, Problem};
use crate::world::World;

/// Replacements in one value beyond which placeholders go in circles.
const MAX_REPLACEMENTS: usize = 1_000;

/// Bytes that all passes together may write.
const MAX_WRITTEN: usize = 16 << 20;

/// What is to be said of an item, by its index in the list.
pub(super) type Complaint = (usize, Problem);

/// Runs the passes. Values that were applied while reading stay as they are, as in uWSGI.
///
/// Adds to `used` every name that a placeholder asked for.
pub(super) fn run(world: &World, list: &mut [Item], used: &mut HashSet<String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut budget = MAX_WRITTEN;
    let mut pass = |list: &mut [Item], symbol, hook: &mut Hook<'_>| {
        for index in 0..list.len() {
            // Told once, by the value that used the rest.
            if budget == 0 {
                return;
            }
            if list[index].is_raw || !list[index].may_hold(symbol) {
                continue;
            }
            if let Err(problem) = expand(list, index, symbol, hook, &mut budget) {
                complaints.push((index, problem));
            }
        }
    };
    pass(list, b'$', &mut |_, name| {
        Ok(world.variable(name).map(str::to_owned))
    });
    pass(list, b'@', &mut |_, source| read(world, source).map(Some));
    let first = first_of_each_name(list);
    pass(list, b'%', &mut |list, name| {
        Ok(placeholder(name, |name| {
            used.insert(name.to_owned());
            let index = *first.get(name)?;
            list.get(index)?.entry.value.clone()
        }))
    });
    complaints
}

/// Finds the text of a name; `None` leaves the placeholder as it stands.
type Hook<'a> = dyn FnMut(&[Item], &str) -> Result<Option<String>, Problem> + 'a;

fn read(world: &World, source: &str) -> Result<String, Problem> {
    if source.starts_with("exec://") && !world.run_commands {
        return Ok(String::new());
    }
    let text = source::text(world, source)
        .map_err(|why| Problem::new(format!("@({source}): {}", why.message)))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// A name with two values counts by its first.
fn first_of_each_name(list: &[Item]) -> HashMap<String, usize> {
    let mut first = HashMap::new();
    for (index, item) in list.iter().enumerate() {
        first.entry(item.entry.key.clone()).or_insert(index);
    }
    first
}

/// Replaces in one value until nothing is left to replace.
///
/// uWSGI goes back to the *second* byte after a replacement, so a reference that a replacement brings to the very
/// beginning of a value stays. It is kept so: values must come out the same.
fn expand(
    list: &mut [Item],
    index: usize,
    symbol: u8,
    hook: &mut Hook<'_>,
    budget: &mut usize,
) -> Result<(), Problem> {
    let mut from = 0;
    for _ in 0..MAX_REPLACEMENTS {
        let value = list[index].entry.text();
        let mut replaced = None;
        let mut references = References::new(value, symbol, from);
        while let Some((start, name, end)) = references.next() {
            if let Some(text) = hook(list, name)? {
                replaced = Some([&value[..start], &text, &value[end..]].concat());
                break;
            }
        }
        let Some(value) = replaced else { return Ok(()) };
        *budget = budget.saturating_sub(value.len());
        if value.len() > MAX_VALUE || *budget == 0 {
            break;
        }
        list[index].entry.value = Some(value);
        from = 1;
    }
    let symbol = char::from(symbol);
    Err(
        Problem::new(format!("{symbol}(...) in this value leads back to itself"))
            .help("uWSGI would hang here: break the circle"),
    )
}

/// The references `symbol(name)` of a value, found as uWSGI finds them: parentheses in a name nest, and the symbol
/// within a name makes it no name.
struct References<'a> {
    value: &'a str,
    symbol: u8,
    at: usize,
}

impl<'a> References<'a> {
    fn new(value: &'a str, symbol: u8, from: usize) -> Self {
        Self {
            value,
            symbol,
            at: from,
        }
    }

    /// Start of the symbol, the name, and the end behind the parenthesis.
    fn next(&mut self) -> Option<(usize, &'a str, usize)> {
        let bytes = self.value.as_bytes();
        let mut start = None;
        let mut depth = 0;
        let mut symbol_before = false;
        while let Some(&byte) = bytes.get(self.at) {
            let at = self.at;
            self.at += 1;
            if byte == self.symbol {
                (symbol_before, start) = (true, None);
                continue;
            }
            match (byte, start) {
                (b'(', None) if symbol_before => (start, depth) = (Some(at + 1), 0),
                (b'(', Some(_)) => depth += 1,
                (b')', Some(_)) if depth > 0 => depth -= 1,
                (b')', Some(name)) => {
                    start = None;
                    if name < at {
                        return Some((name - 2, &self.value[name..at], at + 1));
                    }
                }
                _ => {}
            }
            symbol_before = false;
        }
        None
    }
}

/// `%(name)`, or a little arithmetic when there are blanks in it: from left to right, whole numbers, unknown names
/// empty, and what stands side by side is joined.
fn placeholder(text: &str, mut find: impl FnMut(&str) -> Option<String>) -> Option<String> {
    if !text.contains(' ') {
        return find(text);
    }
    let mut result: Option<String> = None;
    let mut operator = None;
    for token in text.split(' ').filter(|token| !token.is_empty()) {
        match token {
            "+" | "-" | "*" | "/" => operator = Some(token),
            "++" | "--" => {
                let step = if token == "++" { 1 } else { -1 };
                result = result.map(|number| integer(&number).wrapping_add(step).to_string());
                operator = None;
            }
            _ => {
                let value = match token.bytes().all(|byte| byte.is_ascii_digit()) {
                    true => token.to_owned(),
                    false => find(token).unwrap_or_default(),
                };
                let left = result.unwrap_or_default();
                result = Some(match operator.take() {
                    None => left + &value,
                    Some(operator) => calculate(&left, operator, &value).to_string(),
                });
            }
        }
    }
    result
}

fn calculate(left: &str, operator: &str, right: &str) -> i64 {
    let (left, right) = (integer(left), integer(right));
    match operator {
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        _ => left.checked_div(right).unwrap_or(0),
    }
}

/// C's `strtoll`: blanks, a sign, leading digits; too much is the largest there is.
fn integer(text: &str) -> i64 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    digits
        .bytes()
        .map_while(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')))
        .fold(0_i64, |sum, digit| {
            let digit = if negative { -digit } else { digit };
            sum.saturating_mul(10).saturating_add(digit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use crate::origin::Origin;

    fn items(pairs: &[(&str, &str)]) -> Vec<Item> {
        let item = |&(key, value): &(&str, &str)| Item {
            entry: Entry {
                key: key.into(),
                value: Some(value.into()),
                origin: Origin::file("t.ini", 1),
            },
            is_raw: false,
            is_placeholder: false,
        };
        pairs.iter().map(item).collect()
    }

    fn world() -> World {
        let variables = [
            ("E", "v"),
            ("Ev", "nested"),
            ("F", "%(n) $(E)"),
            ("HOME", "/h"),
        ];
        World::new(variables.iter().map(|(k, v)| (k.into(), v.into())))
    }

    /// Expected values are those that uWSGI 2.0.31 gave.
    #[test]
    fn every_form_of_a_reference() {
        let cases = [
            ("%(n)x%(n)", "5x5"),
            ("%(later)", "%(n)L"),
            ("x%(later)y", "x5Ly"),
            ("[%(nope)]", "[%(nope)]"),
            ("%(n + 1)", "6"),
            ("%(n+1)", "%(n+1)"),
            ("%(5 + 3 * 2)", "16"),
            ("%(n / 0)", "0"),
            ("%(a b)", ""),
            ("%(n n)", "55"),
            ("%(n ++)", "6"),
            ("%(n --)", "4"),
            ("%( n )", "5"),
            ("%()", "%()"),
            ("%( )", "%( )"),
            ("%(2 - 5)", "-3"),
            ("%(nope + 1)", "1"),
            ("%(99999999999 * 9)", "899999999991"),
            ("%(n", "%(n"),
            ("%(%(key))", "%(n)"),
            ("x%(%(key))", "x5"),
            ("%(0x10 + 1)", "1"),
            ("%(5 + -3)", "5"),
            ("%(5 +)", "5"),
            ("%(+ 5)", "5"),
            ("%(5 + + 3)", "8"),
            ("%(5 ++ ++)", "7"),
            ("%(++)", "%(++)"),
            ("%(++ 5)", "5"),
            ("%(2 3 + 1)", "24"),
            ("%(5 ++ 3)", "63"),
            ("%(x - 7)", "-7"),
            ("%(n(x))", "%(n(x))"),
            ("%(n (x) + 1)", "6"),
            ("%%(n)", "%5"),
            ("(%(n))", "(5)"),
            ("%(5%(n))", "%(55)"),
            ("$(HOME) $(NOPE) $(E) $(E$(E)) $(", "/h $(NOPE) v nested $("),
            ("$(F)", "5 v"),
            ("x$(F)", "x5 v"),
            ("x$(E)y)", "xvy)"),
            ("$() $HOME ${HOME}", "$() $HOME ${HOME}"),
        ];
        for (text, expected) in cases {
            let mut list = items(&[("t", text), ("n", "5"), ("later", "%(n)L"), ("key", "n")]);
            let complaints = run(&world(), &mut list, &mut HashSet::new());
            assert_eq!(complaints, [], "{text}");
            assert_eq!(list[0].entry.text(), expected, "{text}");
        }
    }

    #[test]
    fn the_first_value_of_a_name_counts_and_keys_stay() {
        let mut list = items(&[("a", "1"), ("a", "2"), ("k%(a)", "%(a)")]);
        run(&world(), &mut list, &mut HashSet::new());
        assert_eq!(list[2].entry.key, "k%(a)");
        assert_eq!(list[2].entry.text(), "1");
    }

    #[test]
    fn circles_end_in_an_error() {
        for circle in [
            &[("foo", "a%(foo)")][..],
            &[("a", "x%(b)"), ("b", "x%(a)")],
            &[("a", "x%(b)"), ("b", "%(b)")],
            &[("a", "%(a) %(a)")],
        ] {
            let mut list = items(circle);
            let complaints = run(&world(), &mut list, &mut HashSet::new());
            assert!(!complaints.is_empty(), "{circle:?}");
        }
    }

    #[test]
    fn a_network_scheme_is_refused_by_name() {
        let mut list = items(&[("a", "@(http://h/x)"), ("b", "a@b.c"), ("c", "@(/no/such)")]);
        let complaints = run(&world(), &mut list, &mut HashSet::new());
        let said: Vec<_> = complaints
            .iter()
            .map(|(index, p)| (*index, &*p.message))
            .collect();
        assert_eq!(
            said,
            [
                (0, "@(http://h/x): http:// is not supported"),
                (2, "@(/no/such): cannot read it: no such file or directory"),
            ]
        );
    }

    #[test]
    fn a_command_gives_its_output() {
        let mut list = items(&[("a", "[@(exec://echo hi; echo there)]")]);
        assert_eq!(run(&world(), &mut list, &mut HashSet::new()), []);
        assert_eq!(list[0].entry.text(), "[hi\nthere]");
    }
}
