//! `log-encoder`: what is done to a line on its way.

use std::borrow::Cow;

use uwgate_config::options::{Change, Place, TemplatePiece};
use uwgate_sys::clock::TimeForm;

use crate::log::{escape, times};

/// One encoder, ready to use.
#[derive(Debug)]
pub(super) enum Encoder {
    Template { pieces: Vec<Piece>, place: Place },
    Newline,
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(Vec<u8>),
    Message,
    Unix,
    Micros,
    Time(TimeForm),
}

impl Encoder {
    pub(super) fn new(change: &Change) -> Self {
        match change {
            Change::Format(template) => Self::Template {
                pieces: template.iter().map(piece).collect(),
                place: Place::Plain,
            },
            Change::Json(template) => Self::Template {
                pieces: template.iter().map(piece).collect(),
                place: Place::JsonString,
            },
            Change::Nl => Self::Newline,
            Change::Prefix(text) => Self::Prefix(text.as_bytes().to_vec()),
            Change::Suffix(text) => Self::Suffix(text.as_bytes().to_vec()),
        }
    }

    /// The line after it; `micros` since 1970 is now.
    fn encode(&self, line: &[u8], micros: u64) -> Vec<u8> {
        match self {
            Self::Template { pieces, place } => {
                let mut made = Vec::with_capacity(line.len() + 64);
                for piece in pieces {
                    piece.append(&mut made, line, *place, micros);
                }
                made
            }
            Self::Newline => [line, b"\n"].concat(),
            Self::Prefix(text) => [text, line].concat(),
            Self::Suffix(text) => [line, text].concat(),
        }
    }
}

impl Piece {
    fn append(&self, made: &mut Vec<u8>, line: &[u8], place: Place, micros: u64) {
        match self {
            Self::Text(text) => made.extend_from_slice(text),
            Self::Message if place == Place::JsonString => escape::append(made, line, place),
            Self::Message => made.extend_from_slice(line),
            Self::Unix => made.extend_from_slice((micros / 1_000_000).to_string().as_bytes()),
            Self::Micros => made.extend_from_slice(micros.to_string().as_bytes()),
            Self::Time(form) => times::append(made, form, micros / 1_000_000),
        }
    }
}

fn piece(piece: &TemplatePiece) -> Piece {
    match piece {
        TemplatePiece::Text(text) => Piece::Text(text.as_bytes().to_vec()),
        TemplatePiece::Message => Piece::Message,
        TemplatePiece::Unix => Piece::Unix,
        TemplatePiece::Micros => Piece::Micros,
        TemplatePiece::Strftime(form) => Piece::Time(TimeForm::local(form)),
    }
}

/// The line after all of them, one after the other.
pub(super) fn apply<'l>(encoders: &[Encoder], line: &'l [u8], micros: u64) -> Cow<'l, [u8]> {
    let mut made = Cow::Borrowed(line);
    for encoder in encoders {
        made = Cow::Owned(encoder.encode(&made, micros));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_work_one_after_the_other() {
        let json = vec![
            TemplatePiece::Text("{\"t\":".into()),
            TemplatePiece::Unix,
            TemplatePiece::Text(",\"m\":\"".into()),
            TemplatePiece::Message,
            TemplatePiece::Text("\"}".into()),
        ];
        let chain = [
            Change::Prefix("<".into()),
            Change::Suffix(">".into()),
            Change::Json(json),
            Change::Nl,
        ];
        let chain: Vec<_> = chain.iter().map(Encoder::new).collect();
        let made = apply(&chain, b"a\"\t\xff", 5_000_001);
        assert_eq!(&*made, b"{\"t\":5,\"m\":\"<a\\\"\\t\\u00ff>\"}\n");
    }
}
