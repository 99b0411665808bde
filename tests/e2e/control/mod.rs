//! What an operator can tell a running instance, and how: signals, the FIFO, files, commands.
//!
//! `claims` is the table of docs/control.md; `trial` finds out, of both servers, whether it is true.

mod claims;
mod commands;
mod files;
mod page;
mod trial;
