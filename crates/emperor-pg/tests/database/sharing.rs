//! Several hosts share one table.

use std::collections::BTreeSet;

use crate::support::{BY_NEWS, Database, Followed};

const APPS: usize = 40;

fn database() -> Database<'static> {
    let database = Database::new();
    database.sql(&format!(
        "INSERT INTO vassals SELECT 'app' || n || '.ini', '' FROM generate_series(1, {APPS}) n"
    ));
    database
}

fn host(database: &Database<'_>, name: &str) -> Followed {
    Followed::new(
        &database.place(&format!("share=1 grace=1 node={name}")),
        BY_NEWS,
    )
}

#[test]
fn everything_runs_once_wherever_hosts_come_and_go() {
    let database = database();
    let one = host(&database, "web1");
    one.until("everything on the only host", |names| names.len() == APPS);
    let two = host(&database, "web2");
    let there = two.until("a part on the other host", |names| {
        !names.is_empty() && names.len() < APPS
    });
    let here = one.until("the rest on the first", |names| {
        names.len() + there.len() == APPS
    });
    assert!(here.is_disjoint(&there));
    drop(two);
    one.until("everything, as the other host is gone", |names| {
        names.len() == APPS
    });
}

#[test]
fn a_host_that_is_disabled_hands_over_and_gets_its_part_again() {
    let database = database();
    let (one, two) = (host(&database, "web1"), host(&database, "web2"));
    let own = two.until("a part", |names| !names.is_empty() && names.len() < APPS);
    one.until("the rest", |names| names.len() + own.len() == APPS);
    database.sql("UPDATE vassals_hosts SET enabled = false WHERE host = 'web2'");
    one.until("everything", |names| names.len() == APPS);
    two.until("nothing", BTreeSet::is_empty);
    database.sql("UPDATE vassals_hosts SET enabled = true WHERE host = 'web2'");
    two.until("its part", |names| *names == own);
}

#[test]
fn a_host_that_may_not_enter_itself_runs_nothing_and_says_so() {
    let database = database();
    database.sql(
        "CREATE USER only_reads PASSWORD 'x'; GRANT SELECT ON vassals, vassals_hosts TO only_reads",
    );
    let place = database.place("share=1 user=only_reads password=x");
    let line = Followed::new(&place, BY_NEWS).says("permission denied");
    assert!(line.contains("INSERT"), "{line}");
    database.sql("GRANT INSERT, UPDATE (seen) ON vassals_hosts TO only_reads");
    assert_eq!(Followed::new(&place, BY_NEWS).next().len(), APPS);
    database.sql("ALTER USER only_reads SET default_transaction_read_only = on");
    Followed::new(&place, BY_NEWS).says("not a standby");
}
