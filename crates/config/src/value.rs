//! uWSGI's readings of a value's text: what is on, what is a number.
//!
//! The results are uWSGI's. What it takes in silence and a user cannot have meant comes with a remark.

/// Why a value cannot be used, in words for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One sentence.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A value together with what is odd about the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) remark: Option<Problem>,
}

impl<T> Read<T> {
    const fn plain(value: T) -> Self {
        Self {
            value,
            remark: None,
        }
    }
}

/// uWSGI's flags: anything but `false`, `off`, `no` and `0` switches on, and so does no value at all.
pub(crate) fn is_on(text: Option<&str>) -> bool {
    !text.is_some_and(is_off_word)
}

fn is_off_word(text: &str) -> bool {
    text == "0"
        || ["false", "off", "no"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

/// Reads a flag, with a remark when the text begins like "off" and still means "on".
pub(crate) fn flag(text: Option<&str>) -> Read<bool> {
    let value = is_on(text);
    let first = text.and_then(|text| text.split(|c: char| !c.is_ascii_alphanumeric()).next());
    let looks_off = first.is_some_and(|word| is_off_word(word) || is_other_off_word(word));
    let remark = (value && looks_off).then(|| {
        Problem::new("this switches the option on: only `false`, `off`, `no` and `0` alone are off")
            .help("write `false`; a comment needs a line of its own")
    });
    Read { value, remark }
}

fn is_other_off_word(word: &str) -> bool {
    ["none", "null", "disable", "disabled", "n", "f"]
        .iter()
        .any(|off| word.eq_ignore_ascii_case(off))
}

/// Reads a number as C's `atoi` does: the leading digits count, the rest does not.
///
/// A missing value is 1 and an empty one 0, as in uWSGI. Words for on and off are 0, with a remark; every other text
/// without a digit is an error. `unit` completes "expected a number of ...".
pub(crate) fn number(text: Option<&str>, unit: &str) -> Result<Read<u64>, Problem> {
    let Some(text) = text else {
        return Ok(Read::plain(1));
    };
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits_end);
    if digits.is_empty() {
        return wordy_number(text, unit);
    }
    let value = digits
        .parse()
        .map_err(|_| Problem::new(format!("{digits} is too large")))?;
    let remark = (!rest.is_empty()).then(|| {
        let problem = Problem::new(format!("only the leading {digits} counts"));
        match rest.trim_start().starts_with([';', '#']) {
            true => problem.help("a comment needs a line of its own"),
            false => problem.help(format!("expected {}", number_of(unit))),
        }
    });
    Ok(Read { value, remark })
}

fn number_of(unit: &str) -> String {
    match unit {
        "" => "a number".into(),
        unit => format!("a number of {unit}"),
    }
}

fn wordy_number(text: &str, unit: &str) -> Result<Read<u64>, Problem> {
    if let Some(rest) = text.strip_prefix('+') {
        return number(Some(rest), unit);
    }
    let negative = text
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if negative {
        return Err(
            Problem::new("must not be negative").help(format!("expected {}", number_of(unit)))
        );
    }
    let word = text.split([' ', '\t', ';', '#']).next().unwrap_or_default();
    let means_zero = ["", "true", "yes", "on", "false", "no", "off", "none"];
    if !means_zero
        .iter()
        .any(|zero| word.eq_ignore_ascii_case(zero))
    {
        return Err(Problem::new(format!("expected {}", number_of(unit))));
    }
    let what = if word.is_empty() {
        "an empty value"
    } else {
        word
    };
    Ok(Read {
        value: 0,
        remark: Some(
            Problem::new(format!("{what} counts as 0 here"))
                .help(format!("write {}", number_of(unit))),
        ),
    })
}

/// Longest value that replacing may make.
pub(crate) const MAX_VALUE: usize = 1 << 20;

/// `text` with every `from` replaced, unless that would be longer than any value has reason to be.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> Option<String> {
    let count = text.matches(from).count();
    let length = count.checked_mul(to.len())?.checked_add(text.len())?;
    (count == 0 || length <= MAX_VALUE).then(|| text.replace(from, to))
}

/// Splits at the first `=`, as `env` and `mount` are written.
pub(crate) fn key_and_value<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), Problem> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Problem::new(format!("expected {form}")))
}

/// Reads a socket's mode: three octal digits, or `1` for 666.
pub(crate) fn socket_mode(text: Option<&str>) -> Result<u32, Problem> {
    match text {
        None | Some("1") => Ok(0o666),
        Some(digits) if digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            u32::from_str_radix(digits, 8).map_err(|_| not_a_mode())
        }
        Some(_) => Err(not_a_mode()),
    }
}

fn not_a_mode() -> Problem {
    Problem::new("expected three octal digits such as 660, or 1 for 666")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_on_unless_exactly_off() {
        for on in [
            None,
            Some(""),
            Some("true"),
            Some("1"),
            Some("false ; x"),
            Some("00"),
        ] {
            assert!(is_on(on), "{on:?}");
        }
        for off in ["false", "OFF", "No", "0"] {
            assert!(!is_on(Some(off)), "{off}");
        }
    }

    #[test]
    fn a_flag_that_only_looks_off_gets_a_remark() {
        for odd in ["false ; x", "0 # y", "disabled", "None", "no,"] {
            assert!(flag(Some(odd)).remark.is_some(), "{odd}");
        }
        for plain in ["true", "true ; x", "", "0", "nobody", "1"] {
            assert!(flag(Some(plain)).remark.is_none(), "{plain}");
        }
    }

    #[test]
    fn numbers_are_read_as_atoi_reads_them() {
        let read =
            |text| number(Some(text), "seconds").map(|read| (read.value, read.remark.is_some()));
        assert_eq!(number(None, "").unwrap(), Read::plain(1));
        assert_eq!(read("60"), Ok((60, false)));
        assert_eq!(read("+5"), Ok((5, false)));
        assert_eq!(read("60 ; comment"), Ok((60, true)));
        assert_eq!(read("60s"), Ok((60, true)));
        assert_eq!(read(""), Ok((0, true)));
        assert_eq!(read("True"), Ok((0, true)));
        for bad in ["soon", "-1", "99999999999999999999", ".5", "-", "%k"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_have_three_octal_digits() {
        assert_eq!(socket_mode(Some("660")), Ok(0o660));
        assert_eq!(socket_mode(Some("1")), Ok(0o666));
        assert_eq!(socket_mode(None), Ok(0o666));
        for bad in ["", "0660", "66", "888", "true", "+66"] {
            assert!(socket_mode(Some(bad)).is_err(), "{bad}");
        }
    }
}
