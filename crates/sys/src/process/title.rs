//! The text that `ps` shows for this process: the memory of its command line, written anew.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::sync::{Mutex, PoisonError};

use super::thread_count;

/// Has `ps` show `title` for this process, up to the first NUL.
///
/// There is as much room as the command line had. A title that needs more gets the room of the environment too,
/// whose strings are moved away first, as long as this process has a single thread; else it is cut.
///
/// [`std::env::args`] gives nothing sensible afterwards. Children by fork show the same title until they set their own.
pub fn set_title(title: &str) -> io::Result<()> {
    static ROOM: Mutex<Option<Room>> = Mutex::new(None);
    let mut room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    let room = match &mut *room {
        Some(room) => room,
        none => none.insert(Room::find()?),
    };
    let title = title.split('\0').next().unwrap_or_default();
    if title.len() >= room.writable {
        room.take_environment()?;
    }
    room.write(title.as_bytes());
    Ok(())
}

/// The memory at the top of the stack where the kernel put the command line, and the environment behind it.
#[derive(Debug)]
struct Room {
    start: usize,
    /// Bytes of the command line.
    arguments: usize,
    /// Bytes of the environment, if they follow at once and are not ours yet.
    environment: usize,
    /// Bytes that may be written.
    writable: usize,
}

impl Room {
    fn find() -> io::Result<Self> {
        Self::from_stat(&std::fs::read_to_string("/proc/self/stat")?).ok_or_else(|| {
            io::Error::other("/proc/self/stat does not say where the command line is")
        })
    }

    /// From the fields `arg_start`, `arg_end`, `env_start` and `env_end` of proc_pid_stat(5).
    fn from_stat(stat: &str) -> Option<Self> {
        // The second field is the name in parentheses, which may contain anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(45);
        let mut next = || fields.next()?.parse::<usize>().ok();
        let (start, end, environment_start, environment_end) = (next()?, next()?, next()?, next()?);
        let arguments = end
            .checked_sub(start)
            .filter(|&size| start != 0 && size != 0)?;
        let environment = match environment_start == end {
            true => environment_end.checked_sub(end)?,
            false => 0,
        };
        Some(Self {
            start,
            arguments,
            environment,
            writable: arguments,
        })
    }

    fn take_environment(&mut self) -> io::Result<()> {
        if self.environment == 0 || thread_count()? != 1 {
            return Ok(());
        }
        move_environment();
        self.writable += std::mem::take(&mut self.environment);
        Ok(())
    }

    fn write(&mut self, title: &[u8]) {
        // SAFETY: the kernel made this memory writable at exec and it lives as long as the process. Its strings belong
        // to the command line, which nobody reads after the first call here (so the documentation asks), and to
        // the environment only once that was moved.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.start as *mut u8, self.writable) };
        let length = title.len().min(bytes.len().saturating_sub(1));
        let (text, rest) = bytes.split_at_mut(length);
        text.copy_from_slice(&title[..length]);
        rest.fill(0);
        // An argument list that does not end in NUL is what the kernel knows a title by: it shows the text up to
        // the first NUL instead of the whole room.
        if length + 1 < self.arguments {
            bytes[self.arguments - 1] = b'.';
        }
    }
}

/// Gives the environment's strings other memory, for good.
fn move_environment() {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: the process has a single thread, so nobody changes or reads the list meanwhile; it ends with a null
    // pointer, and each string with NUL. The old memory is overwritten only by us.
    unsafe {
        let mut strings = Vec::new();
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            strings.push(CString::from(CStr::from_ptr(*at)).into_raw());
            at = at.add(1);
        }
        strings.push(std::ptr::null_mut());
        environ = strings.leak().as_mut_ptr();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_where_stat_says() {
        let mut fields = vec!["0"; 50];
        fields[45..49].copy_from_slice(&["1000", "1100", "1100", "1400"]);
        let stat = format!("7 (a ) b) {}", fields.join(" "));
        let room = Room::from_stat(&stat).unwrap();
        assert_eq!(
            (room.start, room.arguments, room.environment),
            (1000, 100, 300)
        );
        assert_eq!(room.writable, 100);
        fields[47] = "1200";
        let apart = Room::from_stat(&format!("7 (x) {}", fields.join(" "))).unwrap();
        assert_eq!(apart.environment, 0);
        // Not ours to know: the kernel writes zeros.
        assert!(Room::from_stat(&format!("7 (x) {}", ["0"; 50].join(" "))).is_none());
    }
}
