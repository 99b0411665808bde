//! Real system calls in fresh directories and on free ports.

mod channels;
mod listeners;
mod memory;
mod sockets;
mod util;
