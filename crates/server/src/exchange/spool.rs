//! A body that is read whole before the application is called (`post-buffering`): in memory as long as it is small,
//! in a temporary file without a name beyond that.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::{Mode, OFlags};

/// How much of a file is read at once.
const WINDOW: usize = 64 * 1024;

/// The bytes, and where the next read begins.
#[derive(Debug)]
pub struct Spool {
    store: Store,
    len: u64,
    /// Bytes in memory before a file is used.
    threshold: u64,
    position: u64,
    /// Bytes of the file from `position` on.
    window: Vec<u8>,
    taken: usize,
}

#[derive(Debug)]
enum Store {
    Memory(Vec<u8>),
    File(File),
}

impl Spool {
    pub(super) fn new(threshold: u64) -> Self {
        Self {
            store: Store::Memory(Vec::new()),
            len: 0,
            threshold,
            position: 0,
            window: Vec::new(),
            taken: 0,
        }
    }

    /// Appends what has arrived.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = self.len + bytes.len() as u64;
        if let Store::Memory(memory) = &self.store
            && len > self.threshold
        {
            let mut file = nameless_file()?;
            file.write_all(memory)?;
            self.store = Store::File(file);
        }
        match &mut self.store {
            Store::Memory(memory) => memory.extend_from_slice(bytes),
            Store::File(file) => file.write_all(bytes)?,
        }
        self.len = len;
        Ok(())
    }

    pub(super) fn left(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes to `position`; beyond the end there is nothing to read.
    pub(super) fn seek(&mut self, position: u64) {
        self.position = position.min(self.len);
        self.window.clear();
        self.taken = 0;
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that need no further read of the file.
    pub(super) fn at_hand(&self) -> &[u8] {
        match &self.store {
            Store::Memory(memory) => {
                let from = usize::try_from(self.position).unwrap_or(usize::MAX);
                memory.get(from..).unwrap_or_default()
            }
            Store::File(_) => self.window.get(self.taken..).unwrap_or_default(),
        }
    }

    /// Reads on in the file if nothing is at hand.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if !self.at_hand().is_empty() || self.left() == 0 {
            return Ok(());
        }
        if let Store::File(file) = &self.store {
            self.window.resize(WINDOW, 0);
            let len = file.read_at(&mut self.window, self.position)?;
            self.window.truncate(len);
            self.taken = 0;
        }
        Ok(())
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.position += len as u64;
        self.taken += len;
    }
}

fn nameless_file() -> io::Result<File> {
    let dir = std::env::temp_dir();
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(&dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // A file system without nameless files.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => unlinked_file(&dir),
        Err(error) => Err(error.into()),
    }
}

fn unlinked_file(dir: &std::path::Path) -> io::Result<File> {
    let number = uwgate_sys::clock::realtime_micros();
    let path = dir.join(format!("uwgate-body-{}-{number}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(spool: &mut Spool) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            spool.fill().unwrap();
            let bytes = spool.at_hand().to_vec();
            if bytes.is_empty() {
                return all;
            }
            spool.consume(bytes.len());
            all.extend(bytes);
        }
    }

    #[test]
    fn memory_and_file_give_the_same_bytes_again_after_a_seek() {
        let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for threshold in [0, 1000, u64::MAX] {
            let mut spool = Spool::new(threshold);
            for piece in body.chunks(777) {
                spool.append(piece).unwrap();
            }
            assert_eq!(matches!(spool.store, Store::File(_)), threshold < 800_000);
            assert_eq!(spool.len(), body.len() as u64);
            assert_eq!(read_all(&mut spool), body);
            assert_eq!(spool.left(), 0);
            spool.seek(799_999);
            assert_eq!(spool.position(), 799_999);
            assert_eq!(read_all(&mut spool), &body[799_999..]);
            spool.seek(u64::MAX);
            assert_eq!(read_all(&mut spool), b"");
        }
    }
}
