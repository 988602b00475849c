//! The beginning of a file: its encoding and what it holds.

use std::io::{BufRead, BufReader, Chain, Cursor, Read};

use super::{Format, ImportError};

/// How much of the beginning is looked at, in bytes.
const BEGINNING_BYTES: u64 = 4096;

/// A reader that stands after the byte order mark.
pub(super) type Opened<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// Cuts the mark that Windows puts before UTF-8, and tells the format.
pub(super) fn open<R: BufRead>(mut reader: R) -> Result<(Opened<R>, Format), ImportError> {
    let mut beginning = Vec::new();
    let looked_at = reader.by_ref().take(BEGINNING_BYTES).read_to_end(&mut beginning);
    looked_at.map_err(ImportError::Read)?;
    if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
        return Err(ImportError::Utf16);
    }
    if beginning.starts_with(b"\xef\xbb\xbf") {
        beginning.drain(..3);
    }
    let format = tell(&beginning);
    Ok((BufReader::new(Cursor::new(beginning).chain(reader)), format))
}

fn tell(beginning: &[u8]) -> Format {
    let content = beginning.trim_ascii_start();
    match content.first() {
        Some(b'[') => Format::Django,
        Some(b'{') => {
            let end = content.iter().position(|byte| *byte == b'\n').unwrap_or(content.len());
            let has = |name: &[u8]| content[..end].windows(name.len()).any(|part| part == name);
            if has(b"\"model\"") && has(b"\"fields\"") { Format::Django } else { Format::JsonLines }
        }
        Some(_) | None => Format::Csv,
    }
}
