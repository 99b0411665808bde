//! From what CPython's `faulthandler` writes to a traceback as Python prints it, with its lines of source.
//!
//! `faulthandler` writes from a signal handler, so it has the innermost frame first, no source, and everything that is
//! not printable ASCII escaped:
//!
//! ```text
//! Stack (most recent call first):
//!   File "/srv/app.py", line 12 in slow
//!   File "/srv/app.py", line 30 in application
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;

/// The stack of one thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Which thread, where several were asked for: Python's `threading.get_ident()`.
    pub(crate) thread: Option<u64>,
    frames: Vec<Frame>,
    /// There were more than `faulthandler` tells.
    cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    file: String,
    line: String,
    function: String,
}

/// The stacks in a dump of one or of all threads.
pub(crate) fn parse(dump: &str) -> Vec<Stack> {
    let mut stacks: Vec<Stack> = Vec::new();
    for line in dump.lines() {
        if line.ends_with("(most recent call first):") {
            stacks.push(Stack {
                thread: thread(line),
                ..Stack::default()
            });
        }
        let Some(stack) = stacks.last_mut() else {
            continue;
        };
        stack.frames.extend(frame(line));
        stack.cut |= line == "  ...";
    }
    for stack in &mut stacks {
        stack.forget_start();
    }
    stacks
}

/// `Thread 0x00007f33c0ff96c0 [name] (most recent call first):`, or `Current thread 0x...`.
fn thread(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("hread 0x")?;
    let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}

/// `  File "/srv/app.py", line 12 in slow`
fn frame(line: &str) -> Option<Frame> {
    let rest = line.strip_prefix("  File \"")?;
    let (file, rest) = rest.rsplit_once("\", line ")?;
    let (line, function) = rest.split_once(" in ")?;
    Some(Frame {
        file: unescape(file),
        line: line.to_owned(),
        function: unescape(function),
    })
}

/// `\xe9`, `\u20ac` and `\U0001f600` are what they stand for.
fn unescape(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        result.push_str(before);
        let digits = match after.as_bytes().first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let code = after.get(1..=digits).filter(|_| digits > 0);
        let letter = code
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        match letter {
            Some(letter) => result.push(letter),
            None => result.push('\\'),
        }
        rest = match letter {
            Some(_) => after.get(digits + 1..).unwrap_or_default(),
            None => after,
        };
    }
    result + rest
}

impl Stack {
    /// Takes out the program that has started the server: a line of text in which Python's main thread is all its life.
    fn forget_start(&mut self) {
        let is_start = |frame: &mut Frame| frame.file == "<string>" && frame.function == "<module>";
        self.frames.pop_if(is_start);
    }

    /// Whether the thread runs Python code at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The traceback, innermost call last, each line with its newline.
    pub(crate) fn render(&self, sources: &mut Sources) -> String {
        let mut text = String::new();
        if self.is_empty() {
            text.push_str(
                "  (no Python code: the thread waits for the interpreter, or runs something else)\n",
            );
        }
        if self.cut {
            text.push_str("  ... (frames further out are not known)\n");
        }
        for frame in self.frames.iter().rev() {
            let Frame {
                file,
                line,
                function,
            } = frame;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  File \"{file}\", line {line}, in {function}");
            if let Some(source) = sources.line(file, line) {
                let _ = writeln!(text, "    {source}");
            }
        }
        text
    }
}

/// Files of source that were looked into.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: HashMap<String, String>,
}

/// A file of source that is larger than this is not looked into.
const LARGEST: u64 = 4 * 1024 * 1024;

impl Sources {
    fn line(&mut self, file: &str, line: &str) -> Option<&str> {
        let line: usize = line.parse().ok()?;
        let text = self
            .files
            .entry(file.to_owned())
            .or_insert_with(|| read(file).unwrap_or_default());
        let line = text.lines().nth(line.checked_sub(1)?)?.trim();
        Some(line).filter(|line| !line.is_empty())
    }
}

fn read(file: &str) -> Option<String> {
    let about = std::fs::metadata(file).ok()?;
    if !about.is_file() || about.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_reads_as_python_prints_it() {
        let dir = std::env::temp_dir().join(format!("uwgate-traceback-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let app = dir.join("a p\u{e9}.py");
        std::fs::write(
            &app,
            "import time\ndef application(e, s):\n    time.sleep(60)  # é\n",
        )
        .unwrap();
        let escaped = app.to_str().unwrap().replace('\u{e9}', "\\xe9");
        let dump = format!(
            "Stack (most recent call first):\n  File \"{escaped}\", line 3 in application\n  \
             File \"/x.py\", line 1 in outer\n  File \"<string>\", line 22 in <module>\n"
        );
        let stacks = parse(&dump);
        assert_eq!(stacks.len(), 1);
        assert_eq!(stacks[0].thread, None);
        assert_eq!(
            stacks[0].render(&mut Sources::default()),
            format!(
                "  File \"/x.py\", line 1, in outer\n  File \"{}\", line 3, in application\n    \
                 time.sleep(60)  # é\n",
                app.display()
            )
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn threads_are_told_apart() {
        // Of Python 3.11, 3.14, and one that runs no Python.
        let dump = "Thread 0x00007f33c0ff96c0 (most recent call first):\n  \
                    File \"/x.py\", line 1 in a\n  ...\n\n\
                    Current thread 0x00007f33c0ff96c1 [worker] (most recent call first):\n  \
                    <no Python frame>\n";
        let stacks = parse(dump);
        assert_eq!(
            stacks.iter().map(|stack| stack.thread).collect::<Vec<_>>(),
            [Some(0x7f33_c0ff_96c0), Some(0x7f33_c0ff_96c1)]
        );
        assert!(stacks[0].cut && stacks[1].is_empty());
        assert!(
            stacks[1]
                .render(&mut Sources::default())
                .contains("no Python code")
        );
    }

    #[test]
    fn nonsense_is_no_stack() {
        assert!(parse("").is_empty());
        assert!(parse("  File \"/x.py\", line 1 in a\n").is_empty());
        let odd = parse(
            "Stack (most recent call first):\n  File \"x\n  File \"/x\\q\\x4\", line ??? in \\u20ac\\U0001f600\n",
        );
        assert_eq!(
            odd[0].render(&mut Sources::default()),
            "  File \"/x\\q\\x4\", line ???, in \u{20ac}\u{1f600}\n"
        );
    }
}
