//! What becomes of the text of a file.

use std::fs;

use nightlatch_core::SystemEntropy;

use super::*;
use crate::config::ProblemLevel::Error;

const NAME: &str = "REDIS_URL";

/// What an examination found in line 1.
fn finding() -> Finding {
    Finding {
        name: Some(NAME.to_owned()),
        line: Some(1),
        ..Finding::new("redis-auth-failed", Error, "is wrong")
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// What the file says after this was found of it, and what is told.
fn repaired_by(bytes: &[u8], finding: Finding) -> (Vec<u8>, Vec<RepairedLine>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(".env");
    fs::write(&path, bytes).expect("our folder takes a file");
    let finding = Finding { source: Some(path.display().to_string()), ..finding };
    let repaired = repair(&path, &[finding], &SystemEntropy).expect("it can be written");
    let lines = repaired.map_or_else(Vec::new, |repaired| repaired.lines);
    (fs::read(&path).expect("it is there"), lines)
}

/// The same of the correction of `was`.
fn repaired(text: &str, was: &str, correction: &str) -> String {
    let (was, correction) = (Some(secret(was)), Some(secret(correction)));
    let (bytes, _) = repaired_by(text.as_bytes(), Finding { correction, was, ..finding() });
    String::from_utf8(bytes).expect("it is UTF-8")
}

/// The same where a line `B=b` should be.
fn added(bytes: &[u8]) -> (Vec<u8>, Vec<RepairedLine>) {
    let addition = Addition { name: "B".to_owned(), value: Some(secret("b")) };
    repaired_by(bytes, Finding { addition: Some(addition), ..finding() })
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

#[test]
fn a_line_that_is_missing_is_added_as_the_others_are_written() {
    for (before, after, line) in [
        ("A=1\n", "A=1\nB=b\n", 2),
        ("A=1", "A=1\nB=b", 2),
        ("A=1\r\n# why\r\n", "A=1\r\n# why\r\nB=b\r\n", 3),
        ("A=1\r\nC=2", "A=1\r\nC=2\r\nB=b", 3),
        ("\u{feff}A=1\n", "\u{feff}A=1\nB=b\n", 2),
        ("\u{feff}", "\u{feff}B=b\n", 1),
        ("", "B=b\n", 1),
        ("# B=1\n\n", "# B=1\n\nB=b\n", 3),
    ] {
        let (bytes, lines) = added(before.as_bytes());
        assert_eq!(String::from_utf8_lossy(&bytes), after);
        let told = RepairedLine { name: "B".to_owned(), line, what: "is added" };
        assert_eq!(lines, [told], "{before:?}");
    }
}

#[test]
fn a_name_with_nothing_behind_it_is_filled_in_where_it_stands() {
    for (before, after) in [
        ("B=\nA=1\n", "B=b\nA=1\n"),
        ("export B=\"\" # why\nA=1", "export B=\"b\" # why\nA=1"),
        ("B=\nB=\n", "B=\nB=b\n"),
        ("B= # why\n", "B= b # why\n"),
    ] {
        let (bytes, lines) = added(before.as_bytes());
        assert_eq!(String::from_utf8_lossy(&bytes), after);
        assert_eq!(lines[0].what, "is filled in");
    }
}

/// Somebody has written it meanwhile, or other readers would take it for a part of what is before it.
#[test]
fn no_line_is_added_where_it_would_not_be_one() {
    for text in ["B=theirs\n", "B=\nB=theirs\n", "A=\"1\n", "A=1\\\n", "# why \\"] {
        let (bytes, lines) = added(text.as_bytes());
        assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), lines), (text, vec![]));
    }
}

#[test]
fn a_file_keeps_its_encoding() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for (before, after) in [
        (b"A=\xE9\n".to_vec(), b"A=\xE9\nB=b\n".to_vec()),
        (utf16("\u{feff}A=\u{e9}\r\n"), utf16("\u{feff}A=\u{e9}\r\nB=b\r\n")),
    ] {
        assert_eq!(added(&before).0, after);
    }
    // Half a character would become a whole one.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(".env");
    fs::write(&path, b"\xFF\xFEA\x00=\x00\x00\xD8\n\x00").expect("our folder takes a file");
    let addition = Some(Addition { name: "B".to_owned(), value: None });
    let source = Some(path.display().to_string());
    let refused = repair(&path, &[Finding { source, addition, ..finding() }], &SystemEntropy);
    assert!(refused.is_err_and(|error| error.to_string().contains("convert it to UTF-8")));
    assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 1, "no copy either");
}

#[test]
fn a_new_secret_is_another_one_each_time_and_fit_for_production() {
    let made = |text: &str| {
        let addition = Some(Addition { name: NAME.to_owned(), value: None });
        let finding = Finding { was: Some(secret("changeme")), addition, ..finding() };
        let text = String::from_utf8(repaired_by(text.as_bytes(), finding).0).expect("UTF-8");
        text.trim_end().strip_prefix("REDIS_URL=").expect("it is there").to_owned()
    };
    let all = [made(""), made("REDIS_URL=\n"), made("REDIS_URL=changeme\n")];
    assert!(all.iter().all(|one| secrets::weakness(one).is_none()));
    assert!(all[0] != all[1] && all[1] != all[2]);
}
