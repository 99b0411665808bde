//! What the server remembers from one request to the next must not show in an environ.

use std::collections::BTreeMap;

use crate::both;
use crate::http_environ::Environ;
use crate::support::{Packet, Server};

const KEYS: [&str; 10] = [
    "HTTP_COOKIE",
    "HTTP_AUTHORIZATION",
    "HTTP_ACCEPT",
    "HTTP_A",
    "HTTP_B",
    "HTTP_C",
    "X_PARAM",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "REMOTE_USER",
];

/// A small generator (Knuth's constants): the same packets each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).unwrap_or_default()
    }
}

/// A packet that often resembles the one before, and what the application must find of [`KEYS`].
fn packet(dice: &mut Dice) -> (Packet, BTreeMap<&'static str, String>) {
    let mut wanted = BTreeMap::new();
    let mut packet = Packet::new(0)
        .var("REQUEST_METHOD", "GET")
        .var("PATH_INFO", "/");
    let mut keys: Vec<&str> = KEYS[..2 + dice.below(8)].to_vec();
    match dice.below(6) {
        0 => keys.reverse(),
        // The last one counts.
        1 => keys.push(KEYS[dice.below(3)]),
        2 => keys.insert(0, KEYS[dice.below(3)]),
        _ => {}
    }
    for key in keys {
        let letter = ["a", "b", ""][dice.below(3)];
        let value = letter.repeat([1, 2, 191, 192, 193, 400][dice.below(6)]);
        packet = packet.var(key, value.as_str());
        wanted.insert(key, value);
    }
    (packet, wanted)
}

both! {
    fn every_request_finds_its_own_variables(kind) {
        let server = Server::app(kind, "environ.py");
        let mut dice = Dice(20_261_120);
        for round in 0..300 {
            let (packet, wanted) = packet(&mut dice);
            let environ = Environ(server.uwsgi(&packet).expect(200).text().to_owned());
            for key in KEYS {
                match wanted.get(key) {
                    Some(value) => environ.is(key, &format!("str '{value}'")),
                    None => environ.lacks(key),
                }
            }
            if round % 7 == 0 {
                server.uwsgi(&Packet::get("/wild")).expect(200);
            }
        }
    }
}
