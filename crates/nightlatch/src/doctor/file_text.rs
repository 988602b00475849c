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
    Utf16,
    /// One byte a character, as old editors save it.
    Latin1,
}

pub(super) struct FileText {
    pub(super) text: Secret<String>,
    pub(super) encoding: Encoding,
}

/// Reads a file of at most 1 MiB.
pub(super) fn read(path: &Path) -> io::Result<FileText> {
    // A pipe or a device might never end, or never begin.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let bytes = read_bounded_bytes(path, FILE_BYTES_MAX)?;
    Ok(decode(bytes.expose()))
}

/// Never fails: every byte is some character of Latin-1.
pub(super) fn decode(bytes: &[u8]) -> FileText {
    let (encoding, text) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (Encoding::Utf16, utf16(rest, u16::from_le_bytes)),
        [0xFE, 0xFF, rest @ ..] => (Encoding::Utf16, utf16(rest, u16::from_be_bytes)),
        // Names are ASCII, so every second byte of UTF-16 is zero.
        [first, 0, ..] if *first != 0 => (Encoding::Utf16, utf16(bytes, u16::from_le_bytes)),
        [0, second, ..] if *second != 0 => (Encoding::Utf16, utf16(bytes, u16::from_be_bytes)),
        [0xEF, 0xBB, 0xBF, rest @ ..] => match str::from_utf8(rest) {
            Ok(text) => (Encoding::Utf8WithMark, text.to_owned()),
            Err(_) => (Encoding::Latin1, latin1(rest)),
        },
        _ => match str::from_utf8(bytes) {
            Ok(text) => (Encoding::Utf8, text.to_owned()),
            Err(_) => (Encoding::Latin1, latin1(bytes)),
        },
    };
    FileText { text: Secret::new(text), encoding }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks(2).map(|pair| match pair {
        [first, second] => unit([*first, *second]),
        _ => u16::from(char::REPLACEMENT_CHARACTER as u8),
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_saving_a_text_is_read() {
        let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
            let units = "A=é\n".encode_utf16().flat_map(unit);
            mark.iter().copied().chain(units).collect::<Vec<_>>()
        };
        for (bytes, encoding) in [
            ("A=é\n".as_bytes().to_vec(), Encoding::Utf8),
            ("\u{feff}A=é\n".as_bytes().to_vec(), Encoding::Utf8WithMark),
            (utf16(&[0xFF, 0xFE], u16::to_le_bytes), Encoding::Utf16),
            (utf16(&[0xFE, 0xFF], u16::to_be_bytes), Encoding::Utf16),
            (utf16(&[], u16::to_le_bytes), Encoding::Utf16),
            (utf16(&[], u16::to_be_bytes), Encoding::Utf16),
            (b"A=\xE9\n".to_vec(), Encoding::Latin1),
        ] {
            let read = decode(&bytes);
            assert_eq!((read.text.expose().as_str(), read.encoding), ("A=é\n", encoding));
        }
        for bytes in [&b""[..], b"A", b"\xFF\xFEA", b"\xFF\xFE\x00\xD8", b"\x00"] {
            let _ = decode(bytes);
        }
    }
}
