//! What every test needs: servers that start and stop by themselves, raw clients, deadlines.

pub mod address;
pub mod apache;
pub mod client;
pub mod idle;
pub mod install;
pub mod load;
pub mod nginx;
pub mod packet;
pub mod paths;
#[allow(
    dead_code,
    reason = "the tests of crates/emperor-pg use the rest of it"
)]
pub mod postgres;
pub mod process;
pub mod response;
pub mod server;
pub mod temp;
pub mod versioned;
pub mod wait;

pub use address::Address;
pub use client::{Client, Request};
pub use load::{Load, Way};
pub use nginx::Nginx;
pub use packet::Packet;
pub use response::Response;
pub use server::{Kind, Server, Setup};
pub use temp::TempDir;

/// Writes one test body twice: against `uwgate` and against the real uWSGI. What is tested this
/// way is what both must do; the second run shows that the test asks for what uWSGI does.
#[macro_export]
macro_rules! both {
    ($(#[$doc:meta])* fn $name:ident($kind:ident) $body:block) => {
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn body($kind: $crate::support::Kind) $body

            #[test]
            fn uwgate() {
                body($crate::support::Kind::Uwgate);
            }

            #[test]
            fn uwsgi() {
                body($crate::support::Kind::Uwsgi);
            }
        }
    };
}
