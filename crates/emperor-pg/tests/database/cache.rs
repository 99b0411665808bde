//! What the database has said last counts until it answers again.

use crate::support::temp::TempDir;
use crate::support::{BY_NEWS, Database, Followed, Postgres};

#[test]
fn a_host_that_starts_without_its_database_goes_on_from_the_cache() {
    let mut server = Postgres::start();
    let (database, dir) = (Database::on(&server), TempDir::new());
    database.add(&["a.ini", "b.ini"]);
    let file = dir.join("rows");
    let place = database.place(&format!("cache={}", file.display()));
    let (name, followed) = (database.name.clone(), Followed::new(&place, BY_NEWS));
    let first = followed.next();
    server.sql(&name, "DELETE FROM vassals WHERE name = 'b.ini'");
    assert_eq!(followed.next_names(), ["a.ini"]);
    drop(followed);
    server.stop();
    let followed = Followed::new(&place, BY_NEWS);
    let rows = followed.next();
    assert_eq!(rows, first[..1], "no version of it is another one");
    let line = followed.says("vassals are wanted as it said");
    assert!(
        line.contains("1 vassals") && line.contains(" s ago"),
        "{line}"
    );
    let log = followed.log();
    assert!(!log.iter().any(|line| line.contains("no vassal is started")));
    server.start_again();
    followed.says("the database is back, 1 vassals");
    assert_eq!(followed.told_meanwhile(), [[]; 0], "nothing has changed");
    server.sql(
        &name,
        "INSERT INTO vassals (name, config) VALUES ('c.ini', '')",
    );
    assert_eq!(followed.next_names(), ["a.ini", "c.ini"]);
}

#[test]
fn without_a_good_cache_nothing_is_started() {
    let dir = TempDir::new();
    let (nowhere, file) = (dir.join("nowhere"), dir.join("rows"));
    let (nowhere, cache) = (nowhere.display(), file.display());
    let place = format!("pg://host={nowhere} dbname=apps user=postgres cache={cache}");
    let followed = Followed::new(&place, BY_NEWS);
    followed.says("no vassal is started");
    std::fs::write(&file, "{").expect("it can be written");
    let followed = Followed::new(&place, BY_NEWS);
    followed.says("is of no use");
    followed.says("no vassal is started");
    assert_eq!(followed.told_meanwhile(), [[]; 0]);
}
