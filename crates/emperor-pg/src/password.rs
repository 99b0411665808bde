//! The file of passwords, as libpq's: `host:port:database:user:password` in each line, `*` for any.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Which password is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// `localhost` for a unix socket, as well as its directory.
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) database: String,
    pub(crate) user: String,
}

/// The password of the first line that fits. A file that is not there has none.
///
/// # Errors
/// When the file cannot be read, or when others may read it: libpq takes no password from such a file, either.
pub(crate) fn from_file(path: &Path, account: &Account) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let found = file.metadata()?;
    if found.is_file() && found.permissions().mode() & 0o077 != 0 {
        let problem = "others may read it, so it is not used (chmod 600)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(find(&text, account))
}

fn find(text: &str, account: &Account) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut entries = lines.map(fields);
    entries.find_map(|entry| {
        let [host, port, database, user, password] = <[String; 5]>::try_from(entry).ok()?;
        let socket = account.host.starts_with('/') && host == "localhost";
        let fits = (socket || fits(&host, &account.host))
            && fits(&port, &account.port)
            && fits(&database, &account.database)
            && fits(&user, &account.user);
        fits.then_some(password)
    })
}

fn fits(pattern: &str, value: &str) -> bool {
    pattern == "*" || pattern == value
}

/// Between colons, `\` before a colon or a `\` that is meant.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        match (sign, fields.last_mut()) {
            ('\\', Some(field)) => field.extend(signs.next()),
            (':', _) => fields.push(String::new()),
            (sign, Some(field)) => field.push(sign),
            (_, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(host: &str) -> Account {
        Account {
            host: host.into(),
            port: "5432".into(),
            database: "apps".into(),
            user: "web".into(),
        }
    }

    #[test]
    fn the_first_line_that_fits() {
        let text =
            "# comment\nbroken:line\ndb:5433:*:web:other\ndb:*:apps:web:a\\:b\\\\c\n*:*:*:*:any\n";
        assert_eq!(find(text, &account("db")).as_deref(), Some(r"a:b\c"));
        assert_eq!(find(text, &account("else")).as_deref(), Some("any"));
        let local = "localhost:5432:apps:web:socket\n";
        assert_eq!(find(local, &account("/run/pg")).as_deref(), Some("socket"));
        assert_eq!(find(local, &account("db")), None);
    }
}
