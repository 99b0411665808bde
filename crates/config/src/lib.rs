//! uWSGI's configuration: ini, YAML, JSON, the environment and the command line become one list of options, typed and
//! explained.
//!
//! [`load`] reads everything and gives the expanded list of [`Entry`]s, the typed [`Options`] and what there is to say
//! about them ([`Finding`]s). [`encode`] and [`decode`] carry the list to another process, where
//! [`Options::from_entries`] makes the same options of it. [`table`] has a row for every option.
//!
//! Nothing here opens a socket, changes a directory or becomes another user: that is for whoever gets the options.
#![forbid(unsafe_code)]

mod address;
mod apply;
mod bounds;
mod check;
pub mod cli;
pub mod command;
mod custom;
mod entry;
mod finding;
mod help;
mod load;
mod log_format;
mod log_target;
pub mod options;
mod origin;
mod read;
mod secrets;
mod show;
mod suggest;
pub mod table;
mod trust;
mod value;
mod warm_up;
mod world;

pub use address::{Address, Host, Protocol, SocketSpec};
pub use entry::{DecodeError, Entry, decode, encode};
pub use finding::{Finding, Severity};
pub use help::options_page;
pub use load::{Loaded, list_in, list_of_text, load, load_sent, section_of_text};
pub use options::Options;
pub use origin::{Located, Origin};
pub use read::magic::magic_table;
pub use show::ini as as_ini;
pub use trust::Peer;
pub use value::Problem;
pub use warm_up::WarmUp;
