//! Users as JSON lines: one object a line, read one at a time.

use std::io::{BufRead, Read};

use serde_json::{Map, Value};

use super::entry::{Entry, Field};
use super::{ENTRY_BYTES_MAX, ImportError};

/// Reads the users of a file. A line that is no object is refused, and the next one read.
pub(super) fn read(source: impl BufRead) -> impl Iterator<Item = Result<Entry, ImportError>> {
    Users { source, line: 0, text: Vec::new() }
}

struct Users<R> {
    source: R,
    line: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Iterator for Users<R> {
    type Item = Result<Entry, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Ends at the latest at the end of the file: every round reads a line.
        loop {
            self.line += 1;
            self.text.clear();
            let limited =
                self.source.by_ref().take(ENTRY_BYTES_MAX).read_until(b'\n', &mut self.text);
            match limited {
                Err(error) => return Some(Err(ImportError::Read(error))),
                Ok(0) => return None,
                Ok(count) if count as u64 == ENTRY_BYTES_MAX && !self.text.ends_with(b"\n") => {
                    return Some(self.skip_long_line());
                }
                Ok(_) if self.text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(self.entry())),
            }
        }
    }
}

impl<R: BufRead> Users<R> {
    fn skip_long_line(&mut self) -> Result<Entry, ImportError> {
        self.source.skip_until(b'\n').map_err(ImportError::Read)?;
        let reason = format!("it is longer than {} KiB", ENTRY_BYTES_MAX >> 10);
        Ok(Entry::damaged(self.line, reason))
    }

    fn entry(&self) -> Entry {
        match serde_json::from_slice(&self.text) {
            Ok(members) => from_members(self.line, members),
            // serde's own words could hold a part of a hash.
            Err(_) => Entry::damaged(self.line, "it is not a JSON object"),
        }
    }
}

/// An entry from the members of an object.
pub(super) fn from_members(line: u64, members: Map<String, Value>) -> Entry {
    let mut entry = Entry { line, ..Entry::default() };
    let mut seen = Vec::new();
    for (name, value) in members {
        let Some(field) = Field::named(&name) else { continue };
        if seen.contains(&field) {
            entry.damage = Some(format!("two members both mean {}", field.as_str()));
        }
        seen.push(field);
        match (field, value) {
            (_, Value::Null) => {}
            (_, Value::String(text)) => entry.set(field, text),
            (Field::IsActive | Field::EmailVerified, Value::Bool(flag)) => {
                entry.set(field, flag.to_string());
            }
            (Field::IsActive | Field::EmailVerified, Value::Number(flag)) => {
                entry.set(field, flag.to_string());
            }
            (Field::Groups, Value::Array(names)) => match texts(names) {
                Some(names) => entry.groups = names,
                None => entry.damage = Some("its groups are not all names".to_owned()),
            },
            (_, Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                entry.damage = Some(format!("its {} is not a text", field.as_str()));
            }
        }
    }
    entry
}

fn texts(values: Vec<Value>) -> Option<Vec<String>> {
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    values.into_iter().map(text).collect()
}
