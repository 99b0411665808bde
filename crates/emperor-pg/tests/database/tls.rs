//! A server that takes nobody without TLS.

use std::net::TcpListener;

use crate::support::{BY_NEWS, Database, Followed, Postgres};

#[test]
fn modes_as_libpq_has_them() {
    let mut server = Postgres::start();
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let certificate = server.with_tls(port).display().to_string();
    let database = Database::on(&server);
    database.sql("CREATE USER web PASSWORD 'secret'; GRANT SELECT ON vassals TO web");
    database.add(&["a.ini"]);
    let followed = |host: &str, more: &str| {
        let place = format!("pg://web:secret@{host}:{port}/{}?{more}", database.name);
        Followed::new(&place, BY_NEWS)
    };
    let ca = format!("sslrootcert={certificate}");
    for (host, more) in [
        ("127.0.0.1", ""),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", &format!("sslmode=require&{ca}")),
        ("127.0.0.1", &format!("sslmode=verify-ca&{ca}")),
        ("localhost", &format!("sslmode=verify-full&{ca}")),
    ] {
        assert_eq!(
            followed(host, more).next_names(),
            ["a.ini"],
            "{host} {more}"
        );
    }
    followed("127.0.0.1", &format!("sslmode=verify-full&{ca}")).says("not valid for name");
    followed("localhost", "sslmode=verify-full&sslrootcert=system").says("UnknownIssuer");
    followed("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem").says("/nowhere.pem");
    followed("127.0.0.1", "sslmode=disable").says("wants sslmode=require");
}
