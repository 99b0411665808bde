//! One connection: asks, and hears what others announce.

use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Connection, SimpleQueryMessage, Socket};

use crate::password;
use crate::place::{Place, Sharing, Table, quoted};
use crate::rows::Answer;
use crate::share::Host;
use crate::tls::{Secured, Tls};
use crate::trouble::Trouble;

/// A table that is locked for longer than this, or a database that is gone without a word.
const ANSWER: Duration = Duration::from_secs(30);

/// How an announcement of a host begins.
const HOST: &str = "uwgate-host";

/// What was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Something of the vassals.
    Vassals,
    /// A host has come.
    Host,
}

/// A connection, until it is dropped.
pub(crate) struct Session {
    client: Client,
    news: mpsc::UnboundedReceiver<News>,
    driver: Option<JoinHandle<Result<(), tokio_postgres::Error>>>,
    /// Announcements reach this connection.
    pub(crate) listens: bool,
}

impl Session {
    /// Connects and listens.
    pub(crate) async fn open(place: &Place) -> Result<Self, Trouble> {
        let mut config = place.config.clone();
        if config.get_password().is_none()
            && let Some(password) = password_from_file(place)?
        {
            config.password(password);
        }
        let tls = Tls::new(&place.security).map_err(Trouble::Files)?;
        let connecting = timeout(ANSWER, config.connect(tls));
        let (client, connection) = connecting.await.map_err(|_| Trouble::Silent)??;
        let (sender, news) = mpsc::unbounded_channel();
        let mut session = Self {
            client,
            news,
            driver: Some(tokio::spawn(drive(connection, sender))),
            listens: false,
        };
        session.listen(place).await?;
        Ok(session)
    }

    /// A standby and some poolers cannot; then there is the polling.
    async fn listen(&mut self, place: &Place) -> Result<(), Trouble> {
        let statement = format!("LISTEN {}", quoted(&place.channel));
        match self.ask(&statement).await {
            Ok(_) => self.listens = true,
            Err(Trouble::Database(error)) if error.as_db_error().is_some() => {
                let (shown, reason) = (place.shown(), crate::trouble::root(&error));
                tracing::info!(
                    "[emperor] {shown}: this database announces no changes ({reason}): it is asked every emperor-freq seconds"
                );
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// What is announced next; an error when the connection has ended.
    pub(crate) async fn news(&mut self) -> Result<News, Trouble> {
        self.news.recv().await.ok_or(Trouble::Closed)
    }

    /// What the server said when it ended the connection.
    pub(crate) async fn end(&mut self) -> Option<Trouble> {
        let ended = self.driver.take()?.await.ok()?;
        ended.err().map(Trouble::Database)
    }

    /// The answer to one statement, or to the last one of several.
    pub(crate) async fn ask(&self, query: &str) -> Result<Answer, Trouble> {
        let asked = timeout(ANSWER, self.client.simple_query(query));
        let mut answer = Answer::default();
        for message in asked.await.map_err(|_| Trouble::Silent)?? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    answer.columns = columns.iter().map(|it| it.name().to_owned()).collect();
                    answer.rows.clear();
                }
                SimpleQueryMessage::Row(row) => {
                    let cell = |at| row.try_get(at).ok().flatten().map(str::to_owned);
                    answer.rows.push((0..row.len()).map(cell).collect());
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Whether the table has a trigger that announces what changes.
    pub(crate) async fn announces(&self, place: &Place) -> bool {
        let Table::Named(table) = &place.table else {
            return false;
        };
        let query = format!(
            "SELECT 1 FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
             WHERE t.tgrelid = to_regclass({}) AND t.tgenabled <> 'D' AND NOT t.tgisinternal \
             AND p.prosrc ~* 'notify' LIMIT 1",
            literal(table)
        );
        let found = self.ask(&query).await;
        self.listens && found.is_ok_and(|answer| !answer.rows.is_empty())
    }

    /// Says that this host is there, and asks which others are.
    pub(crate) async fn hosts(&self, node: &str, sharing: &Sharing) -> Result<Vec<Host>, Trouble> {
        let Sharing {
            copies: _,
            grace,
            hosts,
        } = sharing;
        let (node, grace) = (literal(node), grace.as_secs());
        let query = format!(
            "INSERT INTO {hosts} (host, seen) VALUES ({node}, now()) ON CONFLICT (host) DO UPDATE SET seen = now(); \
             SELECT host, seen > now() - interval '{grace} seconds', enabled FROM {hosts}"
        );
        let answer = self.ask(&query).await?;
        let yes = |cell: Option<&Option<String>>| matches!(cell, Some(Some(text)) if text == "t");
        let host = |row: &Vec<Option<String>>| {
            Some(Host {
                name: row.first()?.clone()?,
                is_there: yes(row.get(1)),
                enabled: yes(row.get(2)),
            })
        };
        Ok(answer.rows.iter().filter_map(host).collect())
    }

    /// Tells the others that this host has come, so that they do not find it at their next look only.
    pub(crate) async fn greet(&self, place: &Place) -> Result<(), Trouble> {
        let (channel, text) = (
            literal(&place.channel),
            literal(&format!("{HOST} {}", place.node)),
        );
        self.ask(&format!("SELECT pg_notify({channel}, {text})"))
            .await?;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

fn password_from_file(place: &Place) -> Result<Option<String>, Trouble> {
    let Some(file) = &place.password_file else {
        return Ok(None);
    };
    let found = password::from_file(file, &place.account);
    found.map_err(|error| Trouble::Files(format!("{}: {error}", file.display())))
}

/// Keeps the connection going, and passes on what is announced.
async fn drive(
    mut connection: Connection<Socket, Secured<Socket>>,
    news: mpsc::UnboundedSender<News>,
) -> Result<(), tokio_postgres::Error> {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message? {
            let one = match notification.payload().starts_with(HOST) {
                true => News::Host,
                false => News::Vassals,
            };
            // Nobody receives when the session is gone; then the client is as well, and the loop ends.
            let _ = news.send(one);
        }
    }
    Ok(())
}

/// A text for SQL, whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}
