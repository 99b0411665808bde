//! What stands behind `pg://`, taken apart: libpq's two forms of connection strings, a URL and `key=value` words, into
//! one list; and what the environment adds, as libpq has it.

use percent_encoding::percent_decode_str;

/// Names and values, each name once: of one that is written twice the last counts, as in libpq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings(Vec<(String, String)>);

/// What libpq takes from the environment when the string does not say it.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

impl Settings {
    /// Of a URL (`user@host/db?name=value`, with or without `postgresql://` before it) or of words
    /// (`host=... dbname=...`). It is words when a `=` comes before anything that only a URL has.
    ///
    /// # Errors
    /// What is wrong, without the text itself: there may be a password in it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bare = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"));
        let first = text.find(['=', '/', '@', '?', ':', '[']);
        let is_words = first.is_some_and(|at| text[at..].starts_with('='));
        let list = match bare {
            None if text.is_empty() => Vec::new(),
            None if is_words => words(text)?,
            bare => url(bare.unwrap_or(text))?,
        };
        let mut settings = Self::default();
        for (name, value) in list {
            settings.set(&name, value);
        }
        Ok(settings)
    }

    /// Adds what the environment says and the text did not.
    pub(crate) fn add_environment(&mut self, variable: &dyn Fn(&str) -> Option<String>) {
        for (name, source) in ENVIRONMENT {
            if self.look(name).is_none()
                && let Some(value) = variable(source).filter(|value| !value.is_empty())
            {
                self.set(name, value);
            }
        }
    }

    fn set(&mut self, name: &str, value: String) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), value));
    }

    pub(crate) fn look(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Takes a setting out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let found = self.look(name).map(str::to_owned);
        self.0.retain(|(other, _)| other != name);
        found.filter(|value| !value.is_empty())
    }

    /// As words of libpq, which any client reads.
    pub(crate) fn to_words(&self) -> String {
        let quoted = |value: &str| value.replace('\\', r"\\").replace('\'', r"\'");
        let words = self.0.iter().filter(|(_, value)| !value.is_empty());
        let words = words.map(|(name, value)| format!("{name}='{}'", quoted(value)));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// `[user[:password]@][host[:port]][,...][/database][?name=value&...]`
fn url(text: &str) -> Result<Vec<(String, String)>, String> {
    let (rest, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (account, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let (hosts, ports) = hosts_and_ports(hosts)?;
    let parts = [
        ("user", user),
        ("password", password),
        ("host", &hosts),
        ("port", &ports),
        ("dbname", database),
    ];
    let mut settings = Vec::new();
    for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
        settings.push((name.to_owned(), decoded(name, value)?));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or("behind the ? come name=value pairs with & between them")?;
        settings.push((name.to_owned(), decoded(name, value)?));
    }
    Ok(settings)
}

fn decoded(name: &str, value: &str) -> Result<String, String> {
    let text = percent_decode_str(value).decode_utf8();
    Ok(text
        .map_err(|_| format!("{name} is not UTF-8 once its %xx are decoded"))?
        .into_owned())
}

/// `a:1,b:2` as `a,b` and `1,2`.
fn hosts_and_ports(text: &str) -> Result<(String, String), String> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for one in text.split(',') {
        let (host, port) = host_and_port(one)?;
        hosts.push(host);
        ports.push(port);
    }
    if ports.iter().all(|port| port.is_empty()) {
        ports.clear();
    }
    let ports = ports.iter().map(|port| match *port {
        "" => "5432",
        port => port,
    });
    Ok((hosts.join(","), ports.collect::<Vec<_>>().join(",")))
}

fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or("the [ before an IPv6 address has no ]")?;
        return Ok((host, after.strip_prefix(':').unwrap_or("")));
    }
    Ok(text.rsplit_once(':').unwrap_or((text, "")))
}

/// `name = value name = 'va\'lue'`
fn words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or("a word without =: all of it is name=value words")?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err("a word without =: all of it is name=value words".into());
        }
        let (value, after) = word_value(after.trim_start())
            .ok_or_else(|| format!("the value of {name} has no closing quote"))?;
        settings.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(settings)
}

/// The value at the beginning of `text`, and what is behind it.
fn word_value(text: &str) -> Option<(String, &str)> {
    let (quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut signs = body.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => value.extend(signs.next().map(|(_, sign)| sign)),
            '\'' if quoted => return Some((value, &body[at + 1..])),
            sign if !quoted && sign.is_whitespace() => return Some((value, &body[at..])),
            sign => value.push(sign),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        Settings::parse(text).expect("well-formed").0
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(own).collect()
    }

    #[test]
    fn urls() {
        assert_eq!(
            parsed("web:s%40c@db.example:5433/apps?table=t&channel=c%20d"),
            pairs(&[
                ("user", "web"),
                ("password", "s@c"),
                ("host", "db.example"),
                ("port", "5433"),
                ("dbname", "apps"),
                ("table", "t"),
                ("channel", "c d"),
            ])
        );
        assert_eq!(
            parsed("postgresql:///apps?host=/run/postgresql"),
            pairs(&[("dbname", "apps"), ("host", "/run/postgresql")])
        );
        assert_eq!(
            parsed("%2Frun%2Fpg/apps"),
            pairs(&[("host", "/run/pg"), ("dbname", "apps")])
        );
        assert_eq!(
            parsed("a:1,b,[::1]:3/x"),
            pairs(&[("host", "a,b,::1"), ("port", "1,5432,3"), ("dbname", "x")])
        );
        assert_eq!(parsed(""), []);
        assert!(Settings::parse("db/x?table").is_err());
        assert!(Settings::parse("[::1/x").is_err());
    }

    #[test]
    fn words_as_libpq_has_them() {
        assert_eq!(
            parsed(r"host=/run/pg  dbname = apps password='it\'s \\ a/b' user=a\ b"),
            pairs(&[
                ("host", "/run/pg"),
                ("dbname", "apps"),
                ("password", r"it's \ a/b"),
                ("user", "a b"),
            ])
        );
        assert_eq!(
            parsed("host=a dbname=x host=b"),
            pairs(&[("dbname", "x"), ("host", "b")])
        );
        assert!(Settings::parse("dbname=apps nonsense").is_err());
        assert!(Settings::parse("dbname='apps").is_err());
    }

    #[test]
    fn what_is_written_as_words_reads_the_same() {
        let list = pairs(&[("password", r"a'b\c d"), ("dbname", "x")]);
        assert_eq!(parsed(&Settings(list.clone()).to_words()), list);
    }

    #[test]
    fn the_environment_says_only_what_the_text_did_not() {
        let mut settings = Settings::parse("db/apps").expect("a URL");
        settings.add_environment(&|name| match name {
            "PGHOST" => Some("elsewhere".into()),
            "PGUSER" => Some("web".into()),
            "PGPORT" => Some(String::new()),
            _ => None,
        });
        assert_eq!(settings.look("host"), Some("db"));
        assert_eq!(settings.look("user"), Some("web"));
        assert_eq!(settings.look("port"), None);
    }
}
