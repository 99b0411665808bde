//! A peer's bytes in a log line: they must not begin a line of their own, steer the terminal of whoever reads it, or
//! end the quotes they stand in.

use uwgate_config::options::Place;

/// Appends a value as it may stand at `place`. A [`Place::JsonValue`] becomes a string with its quotes.
pub(crate) fn append(line: &mut Vec<u8>, value: &[u8], place: Place) {
    match place {
        Place::Plain => escape(line, value, &[], plain),
        Place::Quoted => escape(line, value, b"\"\\", plain),
        Place::JsonString => escape(line, value, b"\"\\", json),
        Place::JsonValue => {
            line.push(b'"');
            escape(line, value, b"\"\\", json);
            line.push(b'"');
        }
    }
}

/// Copies whole runs of what is harmless; the rest is told letter by letter.
fn escape(line: &mut Vec<u8>, value: &[u8], special: &[u8], tell: fn(&mut Vec<u8>, Letter)) {
    let harmless = |byte: &u8| matches!(byte, 0x20..=0x7e) && !special.contains(byte);
    if value.iter().all(harmless) {
        line.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\0'..='\x7f' if !harmless(&(letter as u8)) => {
                    tell(line, Letter::Ascii(letter as u8));
                }
                // The controls of ISO 6429, such as CSI, in their form of eight bits.
                '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => tell(line, Letter::Wide(letter)),
                _ => line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for &byte in chunk.invalid() {
            tell(line, Letter::Stray(byte));
        }
    }
}

/// What cannot be written as it is.
enum Letter {
    Ascii(u8),
    Wide(char),
    /// A byte that is no part of UTF-8; in JSON it is read as latin-1, as WSGI does.
    Stray(u8),
}

fn plain(line: &mut Vec<u8>, letter: Letter) {
    match letter {
        Letter::Ascii(byte) | Letter::Stray(byte) => line.extend(std::ascii::escape_default(byte)),
        Letter::Wide(letter) => line.extend(letter.escape_unicode().map(|letter| letter as u8)),
    }
}

fn json(line: &mut Vec<u8>, letter: Letter) {
    let code = match letter {
        Letter::Ascii(byte @ (b'"' | b'\\')) => return line.extend([b'\\', byte]),
        Letter::Ascii(b'\n') => return line.extend(b"\\n"),
        Letter::Ascii(b'\r') => return line.extend(b"\\r"),
        Letter::Ascii(b'\t') => return line.extend(b"\\t"),
        Letter::Ascii(byte) | Letter::Stray(byte) => u32::from(byte),
        // None of them is beyond the basic plane.
        Letter::Wide(letter) => u32::from(letter),
    };
    line.extend(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = char::from_digit((code >> shift) & 15, 16).unwrap_or('0');
        line.push(digit as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &[u8], place: Place) -> String {
        let mut line = Vec::new();
        append(&mut line, value, place);
        String::from_utf8_lossy(&line).into_owned()
    }

    #[test]
    fn each_place_has_its_dangers() {
        let value = "a\"\\\n\x1b\u{9b}é€".as_bytes();
        assert_eq!(written(value, Place::Plain), "a\"\\\\n\\x1b\\u{9b}é€");
        assert_eq!(written(value, Place::Quoted), "a\\\"\\\\\\n\\x1b\\u{9b}é€");
        assert_eq!(
            written(value, Place::JsonString),
            "a\\\"\\\\\\n\\u001b\\u009bé€"
        );
        assert_eq!(written(b"a\xff", Place::JsonValue), "\"a\\u00ff\"");
        assert_eq!(written(b"a\xff", Place::Plain), "a\\xff");
    }
}
