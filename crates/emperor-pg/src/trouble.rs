//! What went wrong with the database: whose fault, and what to do.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::place::{Place, Table};

/// Why the table could not be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The client or the server says so.
    Database(Error),
    /// The connection has ended.
    Closed,
    /// No answer in time.
    Silent,
    /// There is an answer, but not to what was asked.
    Answer(String),
    /// A file with a password or a certificate cannot be used.
    Files(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl Trouble {
    /// Whether all that is known is that the connection has ended.
    pub(crate) fn is_end_of_connection(&self) -> bool {
        match self {
            Self::Database(error) => error.is_closed(),
            Self::Closed => true,
            Self::Silent | Self::Answer(_) | Self::Files(_) => false,
        }
    }

    /// In a sentence.
    pub(crate) fn sentence(&self, place: &Place) -> String {
        match self {
            Self::Database(error) => match error.as_db_error() {
                Some(refusal) => refused(refusal, place),
                None => unreachable_database(error),
            },
            Self::Closed => "the connection to the database was closed".into(),
            Self::Silent => {
                "the database does not answer: is it overloaded, or a lock on the table held?"
                    .into()
            }
            Self::Answer(problem) | Self::Files(problem) => problem.clone(),
        }
    }
}

fn unreachable_database(error: &Error) -> String {
    let reason = root(error);
    match reason.as_str() {
        "password missing" => "the database wants a password: put it into ~/.pgpass (or passfile=), or into PGPASSWORD".into(),
        _ if error.is_closed() => "the connection to the database was closed".into(),
        _ => format!("the database cannot be reached: {reason}"),
    }
}

/// What the server says, and who can help.
fn refused(refusal: &DbError, place: &Place) -> String {
    let said = refusal.message();
    let user = &place.account.user;
    let advice = match *refusal.code() {
        SqlState::INVALID_PASSWORD => {
            "the password in passfile, PGPASSWORD or the URL is not that of this user".into()
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "see pg_hba.conf of the database; a line `hostssl` wants sslmode=require".into()
        }
        SqlState::INVALID_CATALOG_NAME => {
            "create the database, or correct its name in the URL".into()
        }
        SqlState::UNDEFINED_TABLE => {
            "create the table with vassals.sql, or name yours with table=".into()
        }
        SqlState::UNDEFINED_COLUMN => {
            "the table needs the columns name, config and ts: compare vassals.sql".into()
        }
        SqlState::UNDEFINED_FUNCTION if matches!(place.table, Table::Named(_)) => {
            "ts has to be a timestamp: compare vassals.sql".into()
        }
        SqlState::INSUFFICIENT_PRIVILEGE => match &place.share {
            None => format!("as the owner of the table: GRANT SELECT ON ... TO {user}"),
            Some(share) => format!(
                "as the owner of the tables: GRANT SELECT ON ... TO {user}; GRANT SELECT, INSERT, UPDATE ON {} TO {user}",
                share.hosts
            ),
        },
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "share= writes to the table of hosts: this has to be the primary, not a standby".into()
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            "each emperor needs one connection: raise max_connections".into()
        }
        SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
            return format!("the database is being stopped or started: {said}");
        }
        _ => match &place.table {
            Table::Query(_) => "correct the query behind the ;".into(),
            Table::Named(_) => String::new(),
        },
    };
    match advice.as_str() {
        "" => format!("the database refuses: {said} ({})", refusal.code().code()),
        advice => format!("the database refuses: {said}: {advice}"),
    }
}

/// The innermost reason of an error.
pub(crate) fn root(error: &Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}
