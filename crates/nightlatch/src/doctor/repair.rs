//! `--fix`: writes corrected values where they stand, after a copy of the file that nobody else can read.
//!
//! Into the same file, not a new one in its place: it keeps its owner, and may be a link or a mount.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nightlatch_core::{Entropy, Secret};

use super::file_text;
use super::finding::{Addition, Finding};
use crate::config::env_file::{self, Assignment, BadLine};
use crate::config::secrets;

/// How many copies of one file may lie beside it.
const COPIES_MAX: u32 = 1000;

/// What was written.
#[derive(Debug)]
pub struct Repaired {
    /// What says something else now.
    pub lines: Vec<RepairedLine>,
    /// The file as it was.
    pub copy: PathBuf,
}

/// A line that was written, without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairedLine {
    /// Its setting.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// As in "is corrected".
    pub what: &'static str,
}

/// A piece of the text that becomes another one.
struct Change {
    span: Range<usize>,
    text: Secret<String>,
    line: RepairedLine,
}

/// Writes what the findings about a file would have it say: for each setting the first, so the worst.
/// `None`: there is nothing that may be written without asking.
///
/// # Errors
/// The file cannot be read or written, or has a character that would not be written back as it is.
pub fn repair(
    path: &Path,
    findings: &[Finding],
    entropy: &dyn Entropy,
) -> io::Result<Option<Repaired>> {
    let read = file_text::read(path)?;
    let text = read.text.expose();
    let source = path.display().to_string();
    let about = findings.iter().filter(|finding| finding.source.as_ref() == Some(&source));
    let about: Vec<&Finding> = about.filter(|finding| finding.has_correction()).collect();
    let (assignments, bad_lines) = env_file::parse(text);
    let mut changes: Vec<Change> =
        assignments.iter().filter_map(|one| corrected(text, one, &about, entropy)).collect();
    changes.extend(added(text, (&assignments, &bad_lines), &about, entropy));
    changes.sort_by_key(|change| change.span.start);
    changes.dedup_by_key(|change| (change.span.start, change.line.name.clone()));
    let mut corrected = Secret::new(String::new());
    let mut done = 0;
    for change in &changes {
        corrected.expose_mut().push_str(&text[done..change.span.start]);
        corrected.expose_mut().push_str(change.text.expose());
        done = change.span.end;
    }
    corrected.expose_mut().push_str(&text[done..]);
    if corrected.expose() == text {
        return Ok(None);
    }
    // What cannot be written back as it was would be damaged.
    let written = |text: &str| read.encoding.encode(text);
    if written(text).is_none_or(|back| back.expose() != read.bytes.expose()) {
        return Err(io::Error::other("it has characters of another encoding: convert it to UTF-8"));
    }
    let Some(bytes) = written(corrected.expose()) else {
        return Err(io::Error::other("its encoding lacks a character: convert it to UTF-8"));
    };
    // Who may not write it needs no copy.
    let mut file = OpenOptions::new().write(true).open(path)?;
    let copy = copy_aside(path, read.bytes.expose())?;
    file.set_len(0)?;
    file.write_all(bytes.expose())?;
    let lines = changes.into_iter().map(|change| change.line).collect();
    Ok(Some(Repaired { lines, copy }))
}

/// Another value where one stands.
fn corrected(
    text: &str,
    one: &Assignment,
    about: &[&Finding],
    entropy: &dyn Entropy,
) -> Option<Change> {
    // A value with a reference in it is put together elsewhere.
    if one.value.expose().contains('$') {
        return None;
    }
    let is_about = |finding: &&&Finding| {
        finding.line == Some(one.line)
            && finding.name.as_ref() == Some(&one.name)
            && finding.was.as_ref().map(Secret::expose) == Some(one.value.expose())
    };
    let value = |finding: &&Finding| {
        let added = finding.addition.as_ref().filter(|it| it.name == one.name);
        finding.correction.clone().or_else(|| added.map(|it| value_of(it, entropy)))
    };
    let value = about.iter().filter(is_about).find_map(value)?;
    written_over(text, one, &value, "is corrected")
}

/// Lines that are missing, and values where a name stands and nothing behind it.
fn added(
    text: &str,
    (assignments, bad_lines): (&[Assignment], &[BadLine]),
    about: &[&Finding],
    entropy: &dyn Entropy,
) -> Vec<Change> {
    let (mut filled, mut lines) = (Vec::<Change>::new(), Vec::<Change>::new());
    let is_first = |at: usize, name: &str| {
        let mut before = about[..at].iter().filter_map(|it| it.addition.as_ref());
        before.all(|earlier| earlier.name != name)
    };
    for (at, addition) in about.iter().enumerate() {
        let Some(addition) = addition.addition.as_ref().filter(|it| is_first(at, &it.name)) else {
            continue;
        };
        let named = |one: &&Assignment| one.name == addition.name;
        if let Some(one) = assignments.iter().rfind(named) {
            let is_empty = one.value.expose().is_empty();
            let value = is_empty.then(|| value_of(addition, entropy));
            let change = value.and_then(|value| written_over(text, one, &value, "is filled in"));
            filled.extend(change);
        } else if takes_lines(text, bad_lines) {
            lines.extend(line_of(text, lines.len(), addition, entropy));
        }
    }
    filled.extend(lines);
    filled
}

fn value_of(addition: &Addition, entropy: &dyn Entropy) -> Secret<String> {
    addition.value.clone().unwrap_or_else(|| secrets::fresh(entropy))
}

fn written_over(
    text: &str,
    one: &Assignment,
    value: &Secret<String>,
    what: &'static str,
) -> Option<Change> {
    let span = one.span.clone();
    let mut written = Secret::new(String::new());
    push_quoted(written.expose_mut(), value.expose(), one.quote);
    // A comment begins with a blank, which stands before the value that is empty.
    if span.is_empty() && text[span.end..].starts_with('#') {
        written.expose_mut().push(' ');
    }
    let line = RepairedLine { name: one.name.clone(), line: one.line, what };
    is_read_back(value, one.quote).then(|| Change { span, text: written, line })
}

/// Whether what is written behind the last line is a line of its own to every reader.
fn takes_lines(text: &str, bad_lines: &[BadLine]) -> bool {
    let is_open = bad_lines.iter().any(|bad| bad.why == env_file::UNCLOSED);
    !is_open && !text.trim_end_matches(['\r', '\n']).ends_with('\\')
}

/// One more line, with the line ends of the others, and one behind it if the last one has.
fn line_of(
    text: &str,
    earlier: usize,
    addition: &Addition,
    entropy: &dyn Entropy,
) -> Option<Change> {
    let value = value_of(addition, entropy);
    let name = &addition.name;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let is_ended = text.is_empty() || text.ends_with('\n');
    let (before, after) = if is_ended { ("", end) } else { (end, "") };
    let mut line = Secret::new(String::with_capacity(name.len() + value.expose().len() + 8));
    for part in [before, name, "=", value.expose(), after] {
        line.expose_mut().push_str(part);
    }
    let number = text.matches('\n').count() + usize::from(!is_ended) + earlier + 1;
    let told = RepairedLine { name: name.clone(), line: number, what: "is added" };
    let span = text.len()..text.len();
    is_read_back(&value, None).then(|| Change { span, text: line, line: told })
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
    let is_it = |one: &Assignment| one.value.expose() == value.expose();
    bad_lines.is_empty() && read.len() == 1 && read.iter().all(is_it)
}

/// `.env.bak-1`, or the next number that is free.
fn copy_aside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    for number in 1..=COPIES_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".bak-{number}"));
        let copy = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy) {
            Ok(mut file) => {
                file.write_all(bytes)?;
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
mod tests;
