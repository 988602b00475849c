//! `--fix`: writes corrected values where they stand, after a copy of the file that nobody else can read.
//!
//! Into the same file, not a new one in its place: it keeps its owner, and may be a link or a mount.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nightlatch_core::Secret;

use super::file_text::{self, Encoding};
use super::finding::Finding;
use crate::config::env_file;

/// How many copies of one file may lie beside it.
const COPIES_MAX: u32 = 1000;

/// What was written.
#[derive(Debug)]
pub struct Repaired {
    /// The settings whose lines are others now, and those lines.
    pub lines: Vec<(String, usize)>,
    /// The file as it was.
    pub copy: PathBuf,
}

/// Writes what the findings about a file would have it say: for each setting the first, so the worst.
/// `None`: there is nothing that may be written without asking.
///
/// # Errors
/// The file cannot be read or written, or is in an encoding that is not kept.
pub fn repair(path: &Path, findings: &[Finding]) -> io::Result<Option<Repaired>> {
    let read = file_text::read(path)?;
    let text = read.text.expose();
    let (assignments, _) = env_file::parse(text);
    let source = path.display().to_string();
    let mut changes = Vec::new();
    for one in &assignments {
        let is_about = |finding: &&Finding| {
            finding.source.as_ref() == Some(&source)
                && finding.line == Some(one.line)
                && finding.name.as_ref() == Some(&one.name)
                && finding.was.as_ref().map(Secret::expose) == Some(one.value.expose())
        };
        // A value with a reference in it is put together elsewhere.
        if one.value.expose().contains('$') {
            continue;
        }
        let correction =
            findings.iter().filter(is_about).find_map(|finding| finding.correction.as_ref());
        let correction = correction.filter(|value| is_read_back(value, one.quote));
        changes.extend(correction.map(|value| (one, value)));
    }
    if changes.is_empty() {
        return Ok(None);
    }
    if !matches!(read.encoding, Encoding::Utf8 | Encoding::Utf8WithMark) {
        return Err(io::Error::other("it is not UTF-8: convert it first"));
    }
    let mark = if read.encoding == Encoding::Utf8WithMark { "\u{feff}" } else { "" };
    let mut corrected = Secret::new(mark.to_owned());
    let mut done = 0;
    for (one, value) in &changes {
        corrected.expose_mut().push_str(&text[done..one.span.start]);
        push_quoted(corrected.expose_mut(), value.expose(), one.quote);
        done = one.span.end;
    }
    corrected.expose_mut().push_str(&text[done..]);
    if corrected.expose().strip_prefix(mark) == Some(text) {
        return Ok(None);
    }
    // Who may not write it needs no copy.
    let mut file = OpenOptions::new().write(true).open(path)?;
    let copy = copy_aside(path, &[mark, text])?;
    file.set_len(0)?;
    file.write_all(corrected.expose().as_bytes())?;
    let lines = changes.iter().map(|(one, _)| (one.name.clone(), one.line)).collect();
    Ok(Some(Repaired { lines, copy }))
}

/// In the quotes that stood there, so that a shell reads it as it did before.
fn push_quoted(text: &mut String, value: &str, quote: Option<char>) {
    let quote = quote.filter(|_| !value.contains(['"', '\'', '\\', '$', '`']));
    text.extend(quote);
    text.push_str(value);
    text.extend(quote);
}

/// Whether it would be read as what it is: a blank before a `#` outside of quotes ends a value.
fn is_read_back(value: &Secret<String>, quote: Option<char>) -> bool {
    let mut line = Secret::new("A=".to_owned());
    push_quoted(line.expose_mut(), value.expose(), quote);
    let (read, bad_lines) = env_file::parse(line.expose());
    let is_it = |one: &env_file::Assignment| one.value.expose() == value.expose();
    bad_lines.is_empty() && read.len() == 1 && read.iter().all(is_it)
}

/// `.env.bak-1`, or the next number that is free.
fn copy_aside(path: &Path, text: &[&str]) -> io::Result<PathBuf> {
    for number in 1..=COPIES_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".bak-{number}"));
        let copy = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy) {
            Ok(mut file) => {
                for part in text {
                    file.write_all(part.as_bytes())?;
                }
                file.sync_all()?;
                return Ok(copy);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many copies of it"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::ProblemLevel::Error;

    /// What the file says after the correction of `was`, which an examination found in line 1.
    fn repaired(text: &str, was: &str, correction: &str) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(".env");
        fs::write(&path, text).expect("our folder takes a file");
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let finding = Finding {
            name: Some("REDIS_URL".to_owned()),
            source: Some(path.display().to_string()),
            line: Some(1),
            was: secret(was),
            correction: secret(correction),
            ..Finding::new("redis-auth-failed", Error, "is wrong")
        };
        let _ = repair(&path, &[finding]).expect("it can be written");
        fs::read_to_string(&path).expect("it is there")
    }

    #[test]
    fn what_somebody_wrote_meanwhile_stays() {
        assert_eq!(repaired("REDIS_URL=a\n", "a", "b"), "REDIS_URL=b\n");
        assert_eq!(repaired("REDIS_URL=theirs\n", "a", "b"), "REDIS_URL=theirs\n");
        assert_eq!(repaired("A=1\nREDIS_URL=a\n", "a", "b"), "A=1\nREDIS_URL=a\n");
        assert_eq!(repaired("REDIS_URL=${OTHER}\n", "${OTHER}", "b"), "REDIS_URL=${OTHER}\n");
    }

    #[test]
    fn quotes_comments_and_line_ends_are_kept() {
        assert_eq!(repaired("REDIS_URL='a' # why\r\nB=1", "a", "b"), "REDIS_URL='b' # why\r\nB=1");
        assert_eq!(repaired("export REDIS_URL=\"a\"\n", "a", "b"), "export REDIS_URL=\"b\"\n");
        // In quotes it would be read as something else.
        assert_eq!(repaired("REDIS_URL=\"a\"\n", "a", "b$c"), "REDIS_URL=b$c\n");
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_written() {
        for value in ["a #b", " a", "a\nB=1", "\"a", "'a'"] {
            assert_eq!(repaired("REDIS_URL=x\n", "x", value), "REDIS_URL=x\n", "{value}");
        }
        assert_eq!(repaired("REDIS_URL='x'\n", "x", "a #b"), "REDIS_URL='a #b'\n");
    }

    #[test]
    fn a_mark_at_the_beginning_stays() {
        assert_eq!(repaired("\u{feff}REDIS_URL=a\n", "a", "b"), "\u{feff}REDIS_URL=b\n");
    }
}
