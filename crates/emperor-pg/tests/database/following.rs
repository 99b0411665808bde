//! What is in the table is told, and told again when it has changed.

use std::os::unix::fs::PermissionsExt;

use crate::support::temp::TempDir;
use crate::support::{BY_LOOKS, BY_NEWS, Database, Followed, Postgres};

#[test]
fn rows_that_come_change_and_go_are_announced() {
    let database = Database::new();
    let followed = Followed::new(&database.place(""), BY_NEWS);
    assert_eq!(
        followed.next_names(),
        [""; 0],
        "an empty table is an empty set"
    );
    database.sql("INSERT INTO vassals (name, config, uid, socket, hosts) VALUES ('a.ini', E'[uwsgi]\\nä=\\'1\\'\\n', 'www-data', '/run/a.socket', '{web1,web2}')");
    let rows = followed.next();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(&*row.config, "[uwsgi]\nä='1'\n".as_bytes());
    assert_eq!(
        (
            row.uid.as_deref(),
            row.gid.as_deref(),
            row.socket.as_deref()
        ),
        (Some("www-data"), None, Some("/run/a.socket"))
    );
    assert!(row.seconds > 1_700_000_000);
    database.sql("UPDATE vassals SET ts = ts - interval '1 day'");
    let touched = followed.next();
    assert!(
        touched[0].serial != row.serial && touched[0].seconds < row.seconds,
        "a time that jumps back is a change"
    );
    database.sql("UPDATE vassals SET config = 'x'");
    assert_ne!(
        followed.next()[0].serial,
        touched[0].serial,
        "so is a text under the same time"
    );
    database.sql("BEGIN; INSERT INTO vassals (name, config) VALUES ('b.ini', ''), ('c.ini', ''); UPDATE vassals SET enabled = false WHERE name = 'a.ini'; COMMIT");
    assert_eq!(followed.next_names(), ["b.ini", "c.ini"]);
    database.sql("UPDATE vassals SET hosts = '{web2}' WHERE name = 'b.ini'");
    assert_eq!(followed.next_names(), ["c.ini"], "a row for another host");
    database.sql("TRUNCATE vassals");
    assert_eq!(followed.next_names(), [""; 0]);
}

#[test]
fn changes_that_nobody_announces_are_found_by_looking() {
    let database = Database::new();
    database.sql("DROP TRIGGER vassals_notify ON vassals");
    let followed = Followed::new(&database.place(""), BY_LOOKS);
    assert_eq!(followed.next_names(), [""; 0]);
    database.add(&["a.ini"]);
    assert_eq!(followed.next_names(), ["a.ini"]);
    database.add(&["b.ini"]);
    assert_eq!(followed.next_names(), ["a.ini", "b.ini"]);
    followed.says("vassals.sql");
}

#[test]
fn a_look_can_be_asked_for() {
    let database = Database::new();
    database.sql("DROP TRIGGER vassals_notify ON vassals");
    let followed = Followed::new(&database.place(""), BY_NEWS);
    assert_eq!(followed.next_names(), [""; 0]);
    database.add(&["a.ini"]);
    followed.look.notify_one();
    assert_eq!(followed.next_names(), ["a.ini"]);
}

#[test]
fn a_query_of_the_operator_as_uwsgi_takes_it() {
    let database = Database::new();
    database.add(&["a.ini"]);
    let query = ";SELECT name,config,EXTRACT(epoch FROM ts) FROM vassals WHERE name <> 'b.ini'";
    let followed = Followed::new(&database.place(query), BY_NEWS);
    let rows = followed.next();
    assert!(rows.len() == 1 && rows[0].name == "a.ini" && rows[0].seconds > 1_700_000_000);
    database.add(&["b.ini", "c.ini"]);
    followed.until("c.ini", |names| names.len() == 2 && names.contains("c.ini"));
}

#[test]
fn another_table_in_a_url_with_the_password_in_a_file() {
    let database = Database::new();
    let (user, dir) = (format!("reader_{}", database.name), TempDir::new());
    database.sql(&format!(
        "CREATE SCHEMA host; CREATE TABLE host.\"My Apps\" (LIKE vassals INCLUDING ALL); \
         INSERT INTO host.\"My Apps\" VALUES ('a.yaml', ''); \
         CREATE USER {user} PASSWORD 'se:cret'; GRANT USAGE ON SCHEMA host TO {user}; GRANT SELECT ON host.\"My Apps\" TO {user}"
    ));
    let file = dir.write(
        "pgpass",
        format!("localhost:5432:{}:{user}:se\\:cret\n", database.name),
    );
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("it is ours");
    let socket = database
        .server
        .socket_directory()
        .display()
        .to_string()
        .replace('/', "%2F");
    let place = format!(
        "pg://{user}@{socket}/{}?table=host.My%20Apps&channel=vassals&passfile={}",
        database.name,
        file.display()
    );
    let followed = Followed::new(&place, BY_NEWS);
    assert_eq!(followed.next_names(), ["a.yaml"]);
    // Its own channel, as if a trigger had spoken.
    database.sql("INSERT INTO host.\"My Apps\" VALUES ('b.yaml', ''); NOTIFY vassals");
    assert_eq!(followed.next_names(), ["a.yaml", "b.yaml"]);
}

#[test]
fn while_the_database_is_away_nothing_is_told_and_afterwards_what_has_changed() {
    let mut server = Postgres::start();
    let database = Database::on(&server);
    database.add(&["a.ini", "b.ini"]);
    let (name, place) = (database.name.clone(), database.place(""));
    let followed = Followed::new(&place, BY_NEWS);
    assert_eq!(followed.next_names(), ["a.ini", "b.ini"]);
    server.stop();
    followed.says("vassals run on as they are");
    server.start_again();
    followed.says("the database is back, 2 vassals");
    assert_eq!(followed.told_meanwhile(), [[]; 0], "nothing has changed");
    server.sql(&name, "UPDATE vassals SET enabled = name = 'b.ini'");
    assert_eq!(followed.next_names(), ["b.ini"], "it listens again");
    server.stop();
    server.start_again();
    server.sql(
        &name,
        "INSERT INTO vassals (name, config) VALUES ('c.ini', '')",
    );
    assert_eq!(followed.next_names(), ["b.ini", "c.ini"]);
}

#[test]
fn a_connection_that_is_cut_is_made_again() {
    let database = Database::new();
    database.add(&["a.ini"]);
    let followed = Followed::new(&database.place("application_name=cut_me"), BY_NEWS);
    assert_eq!(followed.next_names(), ["a.ini"]);
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut_me'",
    );
    followed.says("vassals run on as they are");
    database.add(&["b.ini"]);
    assert_eq!(followed.next_names(), ["a.ini", "b.ini"]);
}

#[test]
fn a_thousand_changes_end_with_the_last_one() {
    let database = Database::new();
    database.add(&["a.ini"]);
    let followed = Followed::new(&database.place(""), BY_NEWS);
    assert_eq!(followed.next_names(), ["a.ini"]);
    database.sql("DO $$ BEGIN FOR n IN 1..1000 LOOP UPDATE vassals SET config = n::text; COMMIT; END LOOP; END $$");
    while &*followed.next()[0].config != b"1000" {}
}
