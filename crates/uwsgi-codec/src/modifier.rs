//! Values of [`Header::modifier1`](crate::Header::modifier1) that have a meaning in uWSGI 2.0.

/// A WSGI request: a var block, its body behind the packet.
pub const WSGI: u8 = 0;
/// A PSGI (Perl) request.
pub const PSGI: u8 = 5;
/// A Lua WSAPI request.
pub const LUA: u8 = 6;
/// A Rack (Ruby) request.
pub const RACK: u8 = 7;
/// A JVM request.
pub const JVM: u8 = 8;
/// A CGI request.
pub const CGI: u8 = 9;
/// A gccgo request.
pub const GCCGO: u8 = 11;
/// A PHP request.
pub const PHP: u8 = 14;
/// A Mono request.
pub const MONO: u8 = 15;
/// A var block to be put into the spooler.
pub const SPOOLER: u8 = 17;
/// A call of a C function by its symbol.
pub const SYMCALL: u8 = 18;
/// An evaluation of source text; documented, but in no plugin of uWSGI 2.0.
pub const EVAL: u8 = 22;
/// As [`WSGI`], with SCRIPT_NAME to be cut from PATH_INFO by the server (nginx: `uwsgi_modifier1 30`).
pub const WSGI_MANAGE_PATH_INFO: u8 = 30;
/// A message whose block is a var block (old).
pub const MESSAGE: u8 = 31;
/// A message whose block is an array of strings (old).
pub const MESSAGE_ARRAY: u8 = 32;
/// A message whose block is a marshalled object (old).
pub const MESSAGE_MARSHAL: u8 = 33;
/// Not a packet but an HTTP response: the `H` of `HTTP/1.1`.
pub const HTTP_RESPONSE: u8 = 72;
/// A multicast announcement (old).
pub const MULTICAST_ANNOUNCE: u8 = 73;
/// A multicast message (old).
pub const MULTICAST: u8 = 74;
/// "Are you there?"; see [`ping`](crate::ping).
pub const PING: u8 = 100;
/// Asks for the block to be sent back.
pub const ECHO: u8 = 101;
/// A legion's heartbeat (UDP).
pub const LEGION: u8 = 109;
/// A uWSGI signal; `modifier2` is its number.
pub const SIGNAL: u8 = 110;
/// A cache operation; `modifier2` says which.
pub const CACHE: u8 = 111;
/// An emperor's configuration for its vassal, over the vassal's own descriptor.
pub const EMPEROR_CONFIG: u8 = 115;
/// Special headers between a router and a worker.
pub const COREROUTER: u8 = 123;
/// A remote procedure call; the block is an array of strings, `modifier2` says how to answer.
pub const RPC: u8 = 173;
/// A subscription to a router (datagram).
pub const SUBSCRIPTION: u8 = 224;
/// The example plugin.
pub const EXAMPLE: u8 = 250;
/// An answer to one of the above.
pub const RESPONSE: u8 = 255;
