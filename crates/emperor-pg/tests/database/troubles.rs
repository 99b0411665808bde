//! What is wrong is said once, with whose fault it is and what to do; and when it is right again all goes on.

use std::os::unix::fs::PermissionsExt;

use crate::support::temp::TempDir;
use crate::support::{BY_NEWS, Database, Followed};

/// A user with a password and no rights.
fn user(database: &Database<'_>) -> String {
    let user = format!("user_{}", database.name);
    database.sql(&format!("CREATE USER {user} PASSWORD 'right'"));
    user
}

fn place_of(database: &Database<'_>, user: &str, password: &str) -> String {
    let (host, name) = (database.server.socket_directory().display(), &database.name);
    format!("pg://host={host} dbname={name} user={user} password={password}")
}

#[test]
fn a_wrong_password() {
    let database = Database::new();
    let user = user(&database);
    let followed = Followed::new(&place_of(&database, &user, "wrong"), BY_NEWS);
    let line = followed.says("password");
    assert!(
        line.contains(&format!("pg://{user}@")) && line.contains("is not that of this user"),
        "{line}"
    );
    assert!(line.contains("no vassal is started"), "{line}");
    database.sql(&format!(
        "ALTER USER {user} PASSWORD 'wrong'; GRANT SELECT ON vassals TO {user}"
    ));
    assert_eq!(followed.next_names(), [""; 0]);
    assert!(!followed.log().iter().any(|line| line.contains("wrong")));
}

#[test]
fn a_missing_password_and_a_file_that_others_can_read() {
    let database = Database::new();
    let (user, dir) = (user(&database), TempDir::new());
    let place = place_of(&database, &user, "''");
    let followed = Followed::new(&place, BY_NEWS);
    followed.says("~/.pgpass");
    let file = dir.write("pgpass", "*:*:*:*:right\n");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("it is ours");
    let followed = Followed::new(&format!("{place} passfile={}", file.display()), BY_NEWS);
    followed.says("chmod 600");
}

#[test]
fn a_table_that_is_not_there_yet() {
    let database = Database::new();
    let followed = Followed::new(&database.place("table=later"), BY_NEWS);
    let line = followed.says("later");
    assert!(line.contains("create the table with vassals.sql"), "{line}");
    database.sql(
        "CREATE TABLE later (LIKE vassals); INSERT INTO later VALUES ('a.ini', '', now(), true)",
    );
    assert_eq!(followed.next_names(), ["a.ini"]);
    followed.says("the database is back");
}

#[test]
fn a_table_that_goes_away_stops_nobody() {
    let database = Database::new();
    database.add(&["a.ini"]);
    let followed = Followed::new(&database.place(""), BY_NEWS);
    assert_eq!(followed.next_names(), ["a.ini"]);
    database.sql("ALTER TABLE vassals RENAME TO away; NOTIFY vassals");
    followed.says("vassals run on as they are");
    assert_eq!(followed.told_meanwhile(), [[]; 0]);
    database.sql("ALTER TABLE away RENAME TO vassals");
    followed.says("the database is back");
    assert_eq!(followed.told_meanwhile(), [[]; 0]);
}

#[test]
fn a_table_that_may_not_be_read() {
    let database = Database::new();
    let user = user(&database);
    let followed = Followed::new(&place_of(&database, &user, "right"), BY_NEWS);
    let line = followed.says("permission denied");
    assert!(line.contains("GRANT SELECT"), "{line}");
    database.sql(&format!("GRANT SELECT ON vassals TO {user}"));
    assert_eq!(followed.next_names(), [""; 0]);
}

#[test]
fn a_table_of_another_shape() {
    let database = Database::new();
    database.sql("CREATE TABLE a (name text, config text); CREATE TABLE b (name text, text text, ts timestamp); CREATE TABLE c (name text, config text, ts int)");
    for (table, says) in [
        ("a", "name, config and ts"),
        ("b", "no column config"),
        ("c", "a timestamp"),
    ] {
        Followed::new(&database.place(&format!("table={table}")), BY_NEWS).says(says);
    }
    Followed::new(&database.place(";SELECT 1 AS only"), BY_NEWS).says("first three columns");
    Followed::new(&database.place(";SELEKT"), BY_NEWS).says("correct the query");
}

#[test]
fn a_database_that_is_not_there_and_a_server_that_is_not() {
    let database = Database::new();
    Followed::new(&database.place("dbname=nothing"), BY_NEWS).says("create the database");
    let dir = TempDir::new();
    let nobody = format!("host={}", dir.display());
    Followed::new(&database.place(&nobody), BY_NEWS).says("cannot be reached");
}

#[test]
fn a_bad_row_leaves_the_others_and_its_own_vassal_alone() {
    let database = Database::new();
    database.sql("ALTER TABLE vassals ALTER config DROP NOT NULL");
    database.add(&["a.ini", "b.ini"]);
    let followed = Followed::new(&database.place(""), BY_NEWS);
    let rows = followed.next();
    database.sql("UPDATE vassals SET config = CASE name WHEN 'b.ini' THEN 'new' END");
    let after = followed.next();
    assert_eq!(after[0], rows[0]);
    assert_eq!(&*after[1].config, b"new");
    followed.says("a.ini: its config is NULL");
}
