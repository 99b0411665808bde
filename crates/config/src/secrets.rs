//! Values without the passwords in them, for whoever looks over a shoulder or gets a report.

use std::borrow::Cow;

const MASK: &str = "***";

/// Schemes behind which libpq's forms of a connection string stand.
const DATABASES: [&str; 3] = ["pg://", "postgres://", "postgresql://"];

/// Names of libpq's that are followed by a secret.
const SECRETS: [&str; 2] = ["password", "sslpassword"];

/// A value as it may be shown: `scheme://user:***@host`, and for a database `password=***` as well.
pub(crate) fn masked(value: &str) -> Cow<'_, str> {
    let Some(at) = value.find("://") else {
        return Cow::Borrowed(value);
    };
    let start = at + "://".len();
    let is_database = DATABASES.iter().any(|scheme| value.starts_with(scheme));
    let Some((scheme, rest)) = value.split_at_checked(start) else {
        return Cow::Borrowed(value);
    };
    // A password with a / in it is wrong, and a secret all the same.
    let ends: &[char] = match is_database {
        true => &['?', ';', ' '],
        false => &['/', '?', ';', ' '],
    };
    let mut shown = format!("{scheme}{}", without_account(rest, ends));
    if is_database {
        for name in SECRETS {
            shown = without_setting(&shown, name);
        }
    }
    match shown == value {
        true => Cow::Borrowed(value),
        false => Cow::Owned(shown),
    }
}

fn without_account(rest: &str, ends: &[char]) -> String {
    let end = rest.find(ends).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let parts = authority
        .rsplit_once('@')
        .and_then(|(account, host)| Some((account.split_once(':')?.0, host)));
    match parts {
        Some((user, host)) => format!("{user}:{MASK}@{host}{after}"),
        None => rest.to_owned(),
    }
}

/// `name=value`, `name = 'va\'lue'`, wherever the name begins a word.
fn without_setting(text: &str, name: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, found) = rest.split_at(at);
        let after = found.get(name.len()..).unwrap_or_default();
        let begins_word = before.chars().next_back().or(shown.chars().next_back());
        let is_word = begins_word.is_none_or(|it| !it.is_alphanumeric() && it != '_');
        shown.push_str(before);
        shown.push_str(name);
        rest = after;
        if let (true, Some(value)) = (is_word, after.trim_start().strip_prefix('=')) {
            shown.push('=');
            shown.push_str(MASK);
            rest = behind(value.trim_start());
        }
    }
    shown.push_str(rest);
    shown
}

/// What comes behind a value.
fn behind(value: &str) -> &str {
    let Some(quoted) = value.strip_prefix('\'') else {
        let end = value.find([' ', '&', ';']).unwrap_or(value.len());
        return value.get(end..).unwrap_or_default();
    };
    let mut escaped = false;
    for (at, letter) in quoted.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return quoted.get(at + 1..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (value, expected) in [
            ("pg://emperor:geheim@db/apps", "pg://emperor:***@db/apps"),
            (
                "pg://e:ge/h@eim@db/apps?share=1",
                "pg://e:***@db/apps?share=1",
            ),
            (
                "pg://db/apps?user=e&password=geheim&share=1",
                "pg://db/apps?user=e&password=***&share=1",
            ),
            (
                "pg://host=db password=geheim dbname=apps",
                "pg://host=db password=*** dbname=apps",
            ),
            (
                r"pg://password = 'ge\'h eim' dbname=apps",
                "pg://password=*** dbname=apps",
            ),
            (
                "pg://host=db password=geheim;SELECT 1",
                "pg://host=db password=***;SELECT 1",
            ),
            ("pg://host=db password='geheim", "pg://host=db password=***"),
            ("pg://db/x?sslpassword=geheim", "pg://db/x?sslpassword=***"),
            (
                "https://me:geheim@host:8080/x",
                "https://me:***@host:8080/x",
            ),
        ] {
            assert_eq!(masked(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_password_stays() {
        for value in [
            "pg://emperor@db/apps",
            "pg://db:5432/apps?passfile=/x",
            "/srv/vassals",
            "exec://print password=x",
            "http://host:80/path@x",
            "",
        ] {
            assert_eq!(masked(value), value);
        }
    }
}
