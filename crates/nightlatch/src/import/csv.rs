//! Users as comma-separated values under a header (RFC 4180, and what spreadsheets make of it).

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::entry::{Entry, Field};
use super::source::Opened;
use super::{ENTRY_BYTES_MAX, ImportError};

/// Reads the header, and then the users under it.
pub(super) fn read<R: BufRead>(
    mut source: Opened<R>,
) -> Result<impl Iterator<Item = Result<Entry, ImportError>>, ImportError> {
    let header = read_header(&mut source)?;
    let separator = separator(&header);
    let columns = columns(&header, separator)?;
    let reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(Bounded { source, left: ENTRY_BYTES_MAX });
    Ok(Users { reader, columns, record: ByteRecord::new() })
}

struct Users<R: BufRead> {
    reader: Reader<Bounded<R>>,
    columns: Vec<Option<Field>>,
    record: ByteRecord,
}

impl<R: BufRead> Iterator for Users<R> {
    type Item = Result<Entry, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.get_mut().left = ENTRY_BYTES_MAX;
        // The header was the first line, so the reader's first is the second of the file.
        let at = self.reader.position().line() + 1;
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(at, |position| position.line() + 1);
                Some(Ok(entry(line, &self.columns, &self.record)))
            }
            Err(error) => Some(Err(fatal(error, at))),
        }
    }
}

fn fatal(error: csv::Error, line: u64) -> ImportError {
    match error.into_kind() {
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            ImportError::EntryTooLong { line }
        }
        ErrorKind::Io(error) => ImportError::Read(error),
        // Fields are bytes and rows of any length, so there is nothing else to be wrong.
        _ => ImportError::Malformed { line, expected: "a row of a CSV file" },
    }
}

fn entry(line: u64, columns: &[Option<Field>], record: &ByteRecord) -> Entry {
    if record.len() != columns.len() {
        let reason = format!("it has {} columns, the header {}", record.len(), columns.len());
        return Entry::damaged(line, reason);
    }
    let mut entry = Entry { line, ..Entry::default() };
    for (field, bytes) in columns.iter().zip(record) {
        let Some(field) = field else { continue };
        match std::str::from_utf8(bytes) {
            Ok(text) => entry.set(*field, text.to_owned()),
            Err(_) => {
                entry.damage = Some(format!("its {} is not UTF-8", field.as_str()));
            }
        }
    }
    entry
}

/// The first line as it stands; names of columns have no line breaks.
fn read_header(source: &mut impl BufRead) -> Result<String, ImportError> {
    let mut line = Vec::new();
    let read = source.by_ref().take(ENTRY_BYTES_MAX).read_until(b'\n', &mut line);
    read.map_err(ImportError::Read)?;
    let header = String::from_utf8(line).map_err(|_| ImportError::NoHeader)?;
    let header = header.trim_end();
    // A lone carriage return would make the whole file one header and lose every user.
    if header.contains('\r') {
        return Err(ImportError::NoHeader);
    }
    Ok(header.to_owned())
}

/// The separator that stands in the header most often: spreadsheets choose it by country.
fn separator(header: &str) -> u8 {
    let count = |separator: &u8| header.bytes().filter(|byte| byte == separator).count();
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// What each column means.
fn columns(header: &str, separator: u8) -> Result<Vec<Option<Field>>, ImportError> {
    let mut reader =
        ReaderBuilder::new().delimiter(separator).has_headers(false).from_reader(header.as_bytes());
    let mut names = ByteRecord::new();
    let read = reader.read_byte_record(&mut names);
    read.map_err(|_| ImportError::NoHeader)?;
    let meanings = names.iter().map(|name| Field::named(&String::from_utf8_lossy(name)));
    let columns: Vec<Option<Field>> = meanings.collect();
    for (number, field) in columns.iter().enumerate() {
        if let Some(field) = field
            && columns[..number].contains(&Some(*field))
        {
            return Err(ImportError::TwoColumns(field.as_str()));
        }
    }
    if !columns.contains(&Some(Field::Username)) {
        return Err(ImportError::NoHeader);
    }
    Ok(columns)
}

/// Ends with an error when more than `left` bytes are read before somebody sets it anew.
struct Bounded<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.source.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
