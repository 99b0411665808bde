use crate::{Error, HEADER_LEN, Header, MAX_BLOCK, Vars};

/// Writes a var block, with or without a packet header, behind whatever the caller's buffer already holds.
///
/// A call that fails leaves the block as it was before the call. A writer that is dropped without
/// [`finish`](Self::finish) leaves an unfinished packet behind; truncate the buffer to its old length then.
#[derive(Debug)]
#[must_use = "a packet is complete only after finish()"]
pub struct BlockWriter<'b> {
    out: &'b mut Vec<u8>,
    /// Where the block begins.
    block: usize,
    /// Where the last complete variable ends. What lies behind it was begun and given up.
    end: usize,
    count: usize,
    /// The header to be written in front, its `datasize` still unknown.
    header: Option<Header>,
}

impl<'b> BlockWriter<'b> {
    /// Begins a packet: four bytes of header, the block behind them.
    pub fn packet(out: &'b mut Vec<u8>, modifier1: u8, modifier2: u8) -> Self {
        let header = Header {
            modifier1,
            datasize: 0,
            modifier2,
        };
        out.extend_from_slice(&header.to_bytes());
        Self {
            header: Some(header),
            ..Self::block(out)
        }
    }

    /// Begins a bare block.
    pub fn block(out: &'b mut Vec<u8>) -> Self {
        let start = out.len();
        Self {
            out,
            block: start,
            end: start,
            count: 0,
            header: None,
        }
    }

    /// Appends one variable.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::VarTooLong`] or [`Error::BlockTooLarge`].
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if key.is_empty() {
            let at = self.end - self.block;
            return Err(Error::EmptyKey { at });
        }
        let too_long = |_| Error::VarTooLong;
        let key_len = u16::try_from(key.len()).map_err(too_long)?.to_le_bytes();
        let value_len = u16::try_from(value.len()).map_err(too_long)?.to_le_bytes();
        let size = 4 + key.len() + value.len();
        if self.end - self.block + size > MAX_BLOCK {
            return Err(Error::BlockTooLarge);
        }
        self.out.truncate(self.end);
        self.out.reserve(size);
        self.out.extend_from_slice(&key_len);
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(&value_len);
        self.out.extend_from_slice(value);
        self.end += size;
        self.count += 1;
        Ok(())
    }

    /// Appends one variable whose key and value are the given pieces joined.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_parts(&mut self, key: &[&[u8]], value: &[&[u8]]) -> Result<(), Error> {
        let mut writer = self.begin_key();
        for part in key {
            writer.extend(part);
        }
        let mut writer = writer.value()?;
        for part in value {
            writer.extend(part);
        }
        writer.finish()
    }

    /// Begins a variable whose key is written piece by piece.
    #[inline]
    pub fn begin_key(&mut self) -> KeyWriter<'_, 'b> {
        self.out.truncate(self.end);
        self.out.extend_from_slice(&[0; 2]);
        KeyWriter { block: self }
    }

    /// Begins a variable whose value is written piece by piece.
    ///
    /// # Errors
    /// [`Error::EmptyKey`] or [`Error::VarTooLong`], both about the key.
    #[inline]
    pub fn begin_value(&mut self, key: &[u8]) -> Result<ValueWriter<'_, 'b>, Error> {
        let mut writer = self.begin_key();
        writer.extend(key);
        writer.value()
    }

    /// What has been written so far.
    pub fn vars(&self) -> Vars<'_> {
        let block = self.out.get(self.block..self.end).unwrap_or_default();
        Vars::written(block, self.count)
    }

    /// Completes the block: patches the header, if there is one, and gives the variables back for reading.
    ///
    /// # Errors
    /// [`Error::BlockTooLarge`]; does not occur, since no variable that passes the limit is taken.
    pub fn finish(self) -> Result<Vars<'b>, Error> {
        let Self {
            out,
            block,
            end,
            count,
            header,
        } = self;
        out.truncate(end);
        let datasize = u16::try_from(end - block).map_err(|_| Error::BlockTooLarge)?;
        if let Some(header) = header
            && let Some(bytes) = out.get_mut(block - HEADER_LEN..block)
        {
            bytes.copy_from_slice(&Header { datasize, ..header }.to_bytes());
        }
        let block: &'b [u8] = out;
        Ok(Vars::written(
            block.get(end - usize::from(datasize)..).unwrap_or_default(),
            count,
        ))
    }

    /// Fills in the length, left open at `at`, of the string that ends the buffer.
    #[inline]
    fn close_string(&mut self, at: usize) -> Result<usize, Error> {
        let len = self.out.len() - at - 2;
        let bytes = u16::try_from(len)
            .map_err(|_| Error::VarTooLong)?
            .to_le_bytes();
        if let Some(field) = self.out.get_mut(at..at + 2) {
            field.copy_from_slice(&bytes);
        }
        Ok(len)
    }
}

/// A variable whose key is being written. Dropped, it leaves nothing in the block.
#[derive(Debug)]
#[must_use = "the variable is lost without value() and finish()"]
pub struct KeyWriter<'w, 'b> {
    block: &'w mut BlockWriter<'b>,
}

impl<'w, 'b> KeyWriter<'w, 'b> {
    /// Appends bytes to the key.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.block.out.extend_from_slice(bytes);
    }

    /// Appends each byte after `map` has changed it (a header name to upper case, say).
    #[inline]
    pub fn extend_mapped(&mut self, bytes: &[u8], map: impl Fn(u8) -> u8) {
        self.block.out.extend(bytes.iter().map(|&byte| map(byte)));
    }

    /// Ends the key and begins the value.
    ///
    /// # Errors
    /// [`Error::EmptyKey`] or [`Error::VarTooLong`].
    #[inline]
    pub fn value(self) -> Result<ValueWriter<'w, 'b>, Error> {
        let Self { block } = self;
        if block.close_string(block.end)? == 0 {
            return Err(Error::EmptyKey {
                at: block.end - block.block,
            });
        }
        let start = block.out.len();
        block.out.extend_from_slice(&[0; 2]);
        Ok(ValueWriter { block, start })
    }
}

/// A variable whose value is being written. Dropped, it leaves nothing in the block.
#[derive(Debug)]
#[must_use = "the variable is lost without finish()"]
pub struct ValueWriter<'w, 'b> {
    block: &'w mut BlockWriter<'b>,
    /// Where the value's length stands.
    start: usize,
}

impl ValueWriter<'_, '_> {
    /// Appends bytes to the value.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.block.out.extend_from_slice(bytes);
    }

    /// Appends one byte to the value.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.block.out.push(byte);
    }

    /// Ends the value; from now on the variable is part of the block.
    ///
    /// # Errors
    /// [`Error::VarTooLong`] or [`Error::BlockTooLarge`].
    #[inline]
    pub fn finish(self) -> Result<(), Error> {
        let Self { block, start } = self;
        block.close_string(start)?;
        let end = block.out.len();
        if end - block.block > MAX_BLOCK {
            return Err(Error::BlockTooLarge);
        }
        block.end = end;
        block.count += 1;
        Ok(())
    }
}
