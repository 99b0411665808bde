use std::fmt;

/// What is wrong with a packet or a var block. Offsets count bytes from the start of the block.
///
/// From the reading side ([`decode`](crate::decode), [`Vars::parse`](crate::Vars::parse)) every variant is the
/// peer's fault; from [`BlockWriter`](crate::BlockWriter) it is that of whoever supplied the variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The header announces (or the block has) more bytes than [`Limits::block`](crate::Limits::block) allows.
    TooLarge {
        /// Bytes of the block.
        datasize: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A variable has a key of no bytes.
    EmptyKey {
        /// Where the key's length stands.
        at: usize,
    },
    /// A length, key or value reaches beyond the end of the block.
    Truncated {
        /// Where the length stands that cannot be read or kept; the end of the block, if a value is missing entirely.
        at: usize,
    },
    /// The block has more variables than [`Limits::vars`](crate::Limits::vars) allows.
    TooManyVars {
        /// Variables allowed.
        limit: usize,
    },
    /// A key or a value to be written is longer than 65,535 bytes, which its length field cannot say.
    VarTooLong,
    /// The block to be written would pass 65,535 bytes, which the header cannot say.
    BlockTooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { datasize, limit } => write!(
                f,
                "the block has {datasize} bytes, more than the {limit} of buffer-size"
            ),
            Self::EmptyKey { at } => {
                write!(f, "the variable at byte {at} of the block has an empty key")
            }
            Self::Truncated { at } => write!(
                f,
                "the length at byte {at} of the block reaches beyond the end of the block"
            ),
            Self::TooManyVars { limit } => {
                write!(
                    f,
                    "the block has more than {limit} variables, the limit that max-vars sets"
                )
            }
            Self::VarTooLong => f.write_str("a key or value is longer than 65535 bytes"),
            Self::BlockTooLarge => {
                f.write_str("the variables do not fit into one block of 65535 bytes")
            }
        }
    }
}

impl std::error::Error for Error {}
