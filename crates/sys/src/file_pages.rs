//! The part of a process's memory that is only a view of files: its program, libraries, tables in them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ptr;

use rustix::mm::Advice;

use crate::process::thread_count;

/// Takes the pages of files that nobody can write to out of this process's memory. Returns how many bytes were there.
///
/// The kernel keeps the files' contents as before, for whoever needs them, and fetches each page back when it is
/// touched again. What starting needs (a parser, the dynamic linker, the import of an application) no longer counts as
/// memory of a process that then rests. While there are other threads, it is only done to the program itself, not to
/// libraries.
///
/// # Errors
/// `/proc/self` cannot be read.
pub fn let_go() -> io::Result<usize> {
    let alone = thread_count()? == 1;
    let views = views(BufReader::new(File::open("/proc/self/smaps")?))?;
    let program = program(&views);
    let mut bytes = 0;
    for view in views {
        if !alone && Some(view.file) != program {
            continue;
        }
        let start = ptr::with_exposed_provenance_mut(view.start);
        // SAFETY: the mapping shows a file, is private and not writable, and holds no page of its own, so whoever reads
        // it next finds the same bytes. It is still what the kernel said: no other thread can have put something else
        // there, and nobody unmaps the program.
        let advised = unsafe { rustix::mm::madvise(start, view.len, Advice::LinuxDontNeed) };
        // Locked pages stay.
        if advised.is_ok() {
            bytes += view.resident;
        }
    }
    Ok(bytes)
}

/// Which file the program that runs is.
fn program(views: &[View]) -> Option<FileId> {
    // SAFETY: takes a number.
    let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
    let entry = usize::try_from(entry).ok()?;
    let inside = |it: &&View| it.start <= entry && entry - it.start < it.len;
    views.iter().find(inside).map(|it| it.file)
}

/// A private mapping of a file that cannot be written to, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    start: usize,
    len: usize,
    resident: usize,
    file: FileId,
}

/// The same for all mappings of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: (u32, u32),
    inode: u64,
}

/// The mappings in the text of `smaps` that show nothing but their file. Relocated tables do not: their pages were
/// written to before they became read-only, and would be lost.
fn views(smaps: impl BufRead) -> io::Result<Vec<View>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        let line = line?;
        let Some((name, value)) = line.split_once(':').filter(|it| !it.0.contains(' ')) else {
            current = mapping(&line);
            continue;
        };
        let Some(view) = &mut current else {
            continue;
        };
        let kib = value.trim().trim_end_matches(" kB").parse::<usize>();
        match name {
            "Rss" => view.resident = kib.map_or(0, |kib| kib.saturating_mul(1024)),
            // It comes after `Rss`.
            "Anonymous" if kib == Ok(0) && view.resident > 0 => found.push(*view),
            _ => {}
        }
    }
    Ok(found)
}

/// `7f12a000-7f12c000 r-xp 00001000 fe:01 1234    /usr/lib/libc.so.6`
fn mapping(line: &str) -> Option<View> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let &[_, b'-', _, b'p'] = words.next()?.as_bytes() else {
        return None;
    };
    let (major, minor) = words.nth(1)?.split_once(':')?;
    let major = u32::from_str_radix(major, 16).ok()?;
    let minor = u32::from_str_radix(minor, 16).ok()?;
    let inode = words.next()?.parse().ok().filter(|&inode| inode != 0)?;
    Some(View {
        start,
        len: end.checked_sub(start)?,
        resident: 0,
        file: FileId {
            device: (major, minor),
            inode,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{FileId, View, let_go, mapping, views};

    const SMAPS: &str = "\
55d0a000-55d0c000 r-xp 00001000 fe:01 1234                     /srv/my app: a/python3 (deleted)
Size:                  8 kB
Rss:                   4 kB
Pss:                   1 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
55d0c000-55d0d000 r--p 00003000 fe:01 1234                     /srv/my app: a/python3 (deleted)
Rss:                   4 kB
Anonymous:             4 kB
55d0d000-55d0e000 rw-p 00004000 fe:01 1234                     /srv/my app: a/python3 (deleted)
Rss:                   4 kB
Anonymous:             0 kB
55d0e000-55d0f000 r--s 00004000 00:17 12                       /dev/shm/x
Rss:                   4 kB
Anonymous:             0 kB
55d0f000-55d10000 r--p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             0 kB
7ffd0000-7ffd1000 r-xp 00000000 00:00 0                        [vdso]
Rss:                   4 kB
Anonymous:             0 kB
";

    #[test]
    fn only_untouched_views_of_files_can_be_let_go_of() {
        let program = View {
            start: 0x55d0_a000,
            len: 0x2000,
            resident: 4096,
            file: FileId {
                device: (0xfe, 1),
                inode: 1234,
            },
        };
        assert_eq!(views(SMAPS.as_bytes()).unwrap(), [program]);
    }

    #[test]
    fn nonsense_is_no_mapping() {
        for line in [
            "",
            "1-2 r-xp 0 fe:01 x /x",
            "2-1 r-xp 0 fe:01 1 /x",
            "1-2 r-x 0 fe:01 1 /x",
            "1 r-xp 0 fe:01 1 /x",
            "1-2 r-xp 0 fe01 1 /x",
            "1-2 r-xp",
        ] {
            assert_eq!(mapping(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_goes_on_without_its_pages() {
        // The other tests run meanwhile, so it is only the program that goes.
        assert!(let_go().unwrap() > 0);
        assert!(let_go().unwrap() > 0, "what runs has come back");
    }
}
