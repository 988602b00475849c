//! Records in the folder where one is missing: its name may be misspelt.
//!
//! They are told by the mark in their header, so that nothing of them is opened as a database.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::super::migration::APPLICATION_ID;

/// The most files that are looked at.
const FILES_MAX: usize = 1000;

/// What a database of SQLite begins with (<https://sqlite.org/fileformat.html#the_database_header>).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where in its header the number is that says whose it is.
const APPLICATION_ID_AT: usize = 68;

/// The names of those in the folder of `path`.
pub(super) fn records(path: &Path) -> Vec<String> {
    let Some(Ok(entries)) = path.parent().map(fs::read_dir) else { return Vec::new() };
    let files = entries.take(FILES_MAX).filter_map(Result::ok);
    let records = files.filter(|entry| {
        // A pipe might never be read to its end.
        entry.file_type().is_ok_and(|kind| kind.is_file()) && is_record(&entry.path())
    });
    let mut names: Vec<String> =
        records.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn is_record(path: &Path) -> bool {
    let mut header = [0; APPLICATION_ID_AT + 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let number = header.last_chunk().map(|bytes| i64::from(u32::from_be_bytes(*bytes)));
    read.is_ok() && header.starts_with(MAGIC) && number == Some(APPLICATION_ID)
}
