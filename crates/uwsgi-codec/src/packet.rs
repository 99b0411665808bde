use crate::Error;

/// Bytes of a packet's header.
pub const HEADER_LEN: usize = 4;

/// Bytes of the largest block a header can announce.
pub const MAX_BLOCK: usize = u16::MAX as usize;

/// The first four bytes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the packet is; see [`modifier`](crate::modifier).
    pub modifier1: u8,
    /// Bytes of the block that follows.
    pub datasize: u16,
    /// A detail whose meaning depends on `modifier1`.
    pub modifier2: u8,
}

impl Header {
    /// Reads a header; every four bytes are one.
    pub const fn parse(bytes: [u8; HEADER_LEN]) -> Self {
        let [modifier1, low, high, modifier2] = bytes;
        let datasize = u16::from_le_bytes([low, high]);
        Self {
            modifier1,
            datasize,
            modifier2,
        }
    }

    /// The header as it goes over the wire.
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [low, high] = self.datasize.to_le_bytes();
        [self.modifier1, low, high, self.modifier2]
    }

    /// Whether these are the first bytes of an HTTP request, sent by someone who took the socket for an HTTP one.
    ///
    /// Taken as a header they announce a block of more than 16,000 bytes and a modifier that nobody serves, so no packet is lost
    /// by saying "this is a uwsgi socket" instead.
    pub const fn looks_like_http(self) -> bool {
        matches!(
            &self.to_bytes(),
            b"GET " | b"HEAD" | b"POST" | b"PUT " | b"PATC" | b"DELE" | b"OPTI" | b"CONN" | b"TRAC"
        )
    }
}

/// How much a peer may send in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one block (uWSGI's `buffer-size`). Above [`MAX_BLOCK`] nothing more is allowed, as nothing more can come.
    pub block: usize,
    /// Variables in one block. uWSGI's `max-vars = N` admits 2 N of them, so its default of 64 is 128 here.
    pub vars: usize,
}

impl Default for Limits {
    /// uWSGI's defaults: 4,096 bytes and 128 variables.
    fn default() -> Self {
        Self {
            block: 4096,
            vars: 128,
        }
    }
}

/// The outcome of reading from a buffer that may not hold everything yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status<T> {
    /// All there.
    Complete(T),
    /// Read more and call again.
    Partial {
        /// At least so many bytes are still to come, never zero. Before the header is complete it counts the rest of
        /// the header only, afterwards it is exact.
        missing: usize,
    },
}

/// A packet that borrows its block from the buffer it was decoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header as sent.
    pub header: Header,
    /// The `header.datasize` bytes behind it, not looked into.
    pub block: &'a [u8],
}

impl Packet<'_> {
    /// Bytes of the whole packet; what comes behind them in the buffer (a request's body) belongs to the next stage.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a packet has at least a header"
    )]
    pub const fn len(&self) -> usize {
        HEADER_LEN + self.block.len()
    }
}

/// Takes the packet at the start of `buf`, whatever its modifiers are; bytes behind it are left alone.
///
/// # Errors
/// [`Error::TooLarge`], as soon as the header is there, when it announces more than `limits.block` bytes.
pub fn decode<'a>(buf: &'a [u8], limits: &Limits) -> Result<Status<Packet<'a>>, Error> {
    let Some((head, rest)) = buf.split_first_chunk() else {
        return Ok(Status::Partial {
            missing: HEADER_LEN - buf.len(),
        });
    };
    let header = Header::parse(*head);
    let datasize = usize::from(header.datasize);
    if datasize > limits.block {
        return Err(Error::TooLarge {
            datasize,
            limit: limits.block,
        });
    }
    Ok(match rest.get(..datasize) {
        Some(block) => Status::Complete(Packet { header, block }),
        None => Status::Partial {
            missing: datasize - rest.len(),
        },
    })
}
