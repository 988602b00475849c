//! Users with their hashes from other systems.
//!
//! Nobody has to choose a new password because the login moved: hashes are taken as they are and
//! upgraded at the next login. What cannot be taken is said with its line and the reason, and the
//! rest goes on; only a file that cannot be read at all ends the import. Nothing here writes: the
//! caller hands the users on in batches.
//!
//! CSV and JSON lines are read one entry at a time, whatever the size of the file. Django's
//! `dumpdata` may put groups behind the users who are in them, so it is read whole, up to
//! [`DUMP_BYTES_MAX`].

mod csv;
mod django;
mod duplicate;
mod entry;
mod json_lines;
mod source;

use std::io::{self, BufRead};

use nightlatch_core::{Entropy, ImportUser, Timestamp};
use thiserror::Error;

use self::duplicate::Duplicates;
use self::entry::Entry;

/// The largest dump of Django's that is read: some half a million users.
pub const DUMP_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The longest entry of a CSV or JSON lines file, in bytes. Only an unclosed quote makes a longer
/// one, and would make it as long as the file.
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// How users are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-, semicolon- or tab-separated values under a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// What `manage.py dumpdata auth` writes, as one array or (`--format jsonl`) as lines.
    Django,
}

/// A file that cannot be imported, or not any further.
#[derive(Debug, Error)]
pub enum ImportError {
    /// It could not be read.
    #[error("the file could not be read")]
    Read(#[source] io::Error),
    /// It is in another encoding.
    #[error("the file is UTF-16; save it as UTF-8")]
    Utf16,
    /// A header without the one column that is needed.
    #[error("the first line must name the columns, one of them `username`")]
    NoHeader,
    /// Two columns that mean the same.
    #[error("two columns of the header both mean {0}")]
    TwoColumns(&'static str),
    /// More than fits into memory.
    #[error("a dump has at most {} MiB; export the users as JSON lines instead", DUMP_BYTES_MAX >> 20)]
    TooLarge,
    /// No such format from here on.
    #[error("line {line} is not {expected}")]
    Malformed {
        /// Where.
        line: u64,
        /// What should have been there.
        expected: &'static str,
    },
    /// An entry that does not end.
    #[error("the entry at line {line} is longer than {} KiB: a quote is not closed", ENTRY_BYTES_MAX >> 10)]
    EntryTooLong {
        /// Where it begins.
        line: u64,
    },
    /// A dump of other tables.
    #[error("the dump has no users; `manage.py dumpdata auth` writes them")]
    NoUsers,
}

/// A user who is not imported, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedUser {
    /// The line of the file that the entry begins at.
    pub line: u64,
    /// The name as far as it is known, fit for a terminal.
    pub name: Option<String>,
    /// Why, in words. Never holds a part of a password or hash.
    pub reason: String,
}

/// One entry of a file.
#[derive(Clone, Debug)]
pub enum Imported {
    /// A user who can be created.
    User {
        /// The line of the file that the entry begins at.
        line: u64,
        /// The user.
        user: Box<ImportUser>,
    },
    /// A user who cannot.
    Refused(RefusedUser),
}

/// What an import takes from outside.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// Users without a date are created now.
    pub now: Timestamp,
    /// For their ids.
    pub entropy: &'a dyn Entropy,
}

/// Reads a file, in the format that is given or else told by its content: `[` begins a dump, `{`
/// JSON lines, anything else is CSV. Ends after the first error.
///
/// # Errors
/// [`ImportError`] when it is none of them.
pub fn read<'a>(
    reader: impl BufRead + 'a,
    format: Option<Format>,
    origin: Origin<'a>,
) -> Result<impl Iterator<Item = Result<Imported, ImportError>> + 'a, ImportError> {
    let (reader, found) = source::open(reader)?;
    let entries: Box<dyn Iterator<Item = Result<Entry, ImportError>> + 'a> =
        match format.unwrap_or(found) {
            Format::Csv => Box::new(csv::read(reader)?),
            Format::JsonLines => Box::new(json_lines::read(reader)),
            Format::Django => Box::new(django::read(reader)?),
        };
    let mut duplicates = Duplicates::default();
    let mut is_over = false;
    Ok(entries
        .take_while(move |entry| !std::mem::replace(&mut is_over, entry.is_err()))
        .map(move |entry| Ok(take(entry?, origin, &mut duplicates))))
}

/// Checks one entry, and that it was not there before.
fn take(entry: Entry, origin: Origin<'_>, duplicates: &mut Duplicates) -> Imported {
    let (line, name) = (entry.line, entry.printable_name());
    let user = entry.into_user(origin).and_then(|user| {
        duplicates.check(&user, line)?;
        Ok(user)
    });
    match user {
        Ok(user) => Imported::User { line, user: Box::new(user) },
        Err(reason) => Imported::Refused(RefusedUser { line, name, reason }),
    }
}

#[cfg(test)]
mod tests;
