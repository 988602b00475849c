//! The text of a file, whatever editor and system it was saved with.

use std::fs;
use std::io;
use std::path::Path;

use nightlatch_core::Secret;

use crate::config::source::{FILE_BYTES_MAX, read_bounded_bytes};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    /// With the mark that some editors put in front.
    Utf8WithMark,
    Utf16(Order, Mark),
    /// One byte a character, as old editors save it.
    Latin1,
}

/// Which byte of a unit of UTF-16 comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Low,
    High,
}

/// Whether a mark before the text says how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    There,
    Missing,
}

pub(super) struct FileText {
    pub(super) text: Secret<String>,
    pub(super) encoding: Encoding,
    /// As they lie on the disk.
    pub(super) bytes: Secret<Vec<u8>>,
}

impl Encoding {
    /// A text as it is written so. `None`: a character has no place there.
    pub(super) fn encode(self, text: &str) -> Option<Secret<Vec<u8>>> {
        let marked = |mark: &[u8], rest: Vec<u8>| [mark, &rest].concat();
        let units = |order: Order| {
            let bytes = |unit: u16| match order {
                Order::Low => unit.to_le_bytes(),
                Order::High => unit.to_be_bytes(),
            };
            text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        Some(Secret::new(match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Utf8WithMark => marked(&[0xEF, 0xBB, 0xBF], text.as_bytes().to_vec()),
            Self::Utf16(order, Mark::Missing) => units(order),
            Self::Utf16(Order::Low, Mark::There) => marked(&[0xFF, 0xFE], units(Order::Low)),
            Self::Utf16(Order::High, Mark::There) => marked(&[0xFE, 0xFF], units(Order::High)),
            Self::Latin1 => {
                text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>()?
            }
        }))
    }
}

/// Reads a file of at most 1 MiB.
pub(super) fn read(path: &Path) -> io::Result<FileText> {
    // A pipe or a device might never end, or never begin.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let bytes = read_bounded_bytes(path, FILE_BYTES_MAX)?;
    Ok(decode(bytes))
}

/// Never fails: every byte is some character of Latin-1.
pub(super) fn decode(bytes: Secret<Vec<u8>>) -> FileText {
    let (encoding, text) = match bytes.expose().as_slice() {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, Order::Low, Mark::There),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, Order::High, Mark::There),
        // Names are ASCII, so every second byte of UTF-16 is zero.
        all @ [first, 0, ..] if *first != 0 => utf16(all, Order::Low, Mark::Missing),
        all @ [0, second, ..] if *second != 0 => utf16(all, Order::High, Mark::Missing),
        [0xEF, 0xBB, 0xBF, rest @ ..] => match str::from_utf8(rest) {
            Ok(text) => (Encoding::Utf8WithMark, text.to_owned()),
            Err(_) => (Encoding::Latin1, latin1(rest)),
        },
        all => match str::from_utf8(all) {
            Ok(text) => (Encoding::Utf8, text.to_owned()),
            Err(_) => (Encoding::Latin1, latin1(all)),
        },
    };
    FileText { text: Secret::new(text), encoding, bytes }
}

fn utf16(bytes: &[u8], order: Order, mark: Mark) -> (Encoding, String) {
    let units = bytes.chunks(2).map(|pair| match pair {
        [first, second] => match order {
            Order::Low => u16::from_le_bytes([*first, *second]),
            Order::High => u16::from_be_bytes([*first, *second]),
        },
        _ => u16::from(char::REPLACEMENT_CHARACTER as u8),
    });
    let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    (Encoding::Utf16(order, mark), text.collect())
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_saving_a_text_is_read_and_written_back() {
        let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
            let units = "A=é\n".encode_utf16().flat_map(unit);
            mark.iter().copied().chain(units).collect::<Vec<_>>()
        };
        for (bytes, encoding) in [
            ("A=é\n".as_bytes().to_vec(), Encoding::Utf8),
            ("\u{feff}A=é\n".as_bytes().to_vec(), Encoding::Utf8WithMark),
            (utf16(&[0xFF, 0xFE], u16::to_le_bytes), Encoding::Utf16(Order::Low, Mark::There)),
            (utf16(&[0xFE, 0xFF], u16::to_be_bytes), Encoding::Utf16(Order::High, Mark::There)),
            (utf16(&[], u16::to_le_bytes), Encoding::Utf16(Order::Low, Mark::Missing)),
            (utf16(&[], u16::to_be_bytes), Encoding::Utf16(Order::High, Mark::Missing)),
            (b"A=\xE9\n".to_vec(), Encoding::Latin1),
        ] {
            let read = decode(Secret::new(bytes.clone()));
            assert_eq!((read.text.expose().as_str(), read.encoding), ("A=é\n", encoding));
            let back = encoding.encode(read.text.expose()).map(|it| it.expose().clone());
            assert_eq!(back, Some(bytes));
        }
        assert!(Encoding::Latin1.encode("A=€").is_none());
        for bytes in [&b""[..], b"A", b"\xFF\xFEA", b"\xFF\xFE\x00\xD8", b"\x00"] {
            let _ = decode(Secret::new(bytes.to_vec()));
        }
    }
}
