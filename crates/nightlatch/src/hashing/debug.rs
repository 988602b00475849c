//! `nightlatch debug verify-hash`: the server's own verification, for scripts.
//!
//! Who is about to import users can try their hashes first, and tests of other implementations can
//! compare. Each line in is one JSON object, each line out the answer to it.

use std::io::{self, BufRead, Write};

use nightlatch_core::{Password, Verified};
use serde::Deserialize;
use serde_json::{Value, json};

use super::memory::{Memory, OutOfMemory};
use super::stored::Stored;
use super::verdict;
use crate::json_lines::{LinesReport, answer_lines};

/// One line in. Its debug form would show the password, so it has none.
#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    hash: Option<String>,
    password: String,
}

/// Answers every line `{id, hash, password}` with `{id, ok, needs_upgrade}`, or with `{id, error}`
/// where it cannot be read. A password is verified as at a login: as it is, then as NFC.
///
/// # Errors
/// Those of reading and writing, and of a machine without memory to hash in.
pub fn verify_lines(input: impl BufRead, output: impl Write) -> io::Result<LinesReport> {
    let mut memory = Memory::default();
    let expected = "a JSON object with the texts `hash` and `password`";
    answer_lines(input, output, expected, |question| {
        answer(question, &mut memory)
            .map_err(|OutOfMemory| io::Error::from(io::ErrorKind::OutOfMemory))
    })
}

fn answer(question: Question, memory: &mut Memory) -> Result<Value, OutOfMemory> {
    let Question { id, hash, password } = question;
    let stored = hash.and_then(|hash| Stored::parse(&hash).ok());
    let verified = match (stored, Password::try_new(password)) {
        (Some(stored), Ok(password)) => verify(&stored, &password, memory)?,
        (None, _) | (_, Err(_)) => Verified::No,
    };
    Ok(match verified {
        Verified::Yes { needs_upgrade } => {
            json!({"id": id, "ok": true, "needs_upgrade": needs_upgrade})
        }
        Verified::No => json!({"id": id, "ok": false, "needs_upgrade": false}),
    })
}

fn verify(
    stored: &Stored,
    password: &Password,
    memory: &mut Memory,
) -> Result<Verified, OutOfMemory> {
    let as_typed = verdict(stored, password.expose().as_bytes(), memory)?;
    match (as_typed, password.as_nfc()) {
        (Verified::No, Some(nfc)) => verdict(stored, nfc.expose().as_bytes(), memory),
        (found, _) => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$05$UD7IDREgkGSi.R/qsorDM.drqJXGSheJrb/bsQqKTVbRMkOZbNgx.";

    fn run(input: &[u8]) -> (Vec<Value>, LinesReport) {
        let mut output = Vec::new();
        let report = verify_lines(input, &mut output).expect("memory is writable");
        let lines = String::from_utf8(output).expect("JSON is UTF-8");
        (lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), report)
    }

    #[test]
    fn every_line_is_answered_in_order() {
        let input = [
            json!({"id": 1, "hash": HASH, "password": "correct horse"}).to_string(),
            json!({"id": "b", "hash": HASH, "password": "wrong", "more": 1}).to_string(),
            String::new(),
            json!({"hash": "!", "password": "x"}).to_string(),
            json!({"id": 4, "hash": null, "password": "x"}).to_string(),
            json!({"id": 5, "hash": HASH, "password": "x".repeat(2000)}).to_string(),
        ]
        .join("\r\n");
        let no = |id: Value| json!({"id": id, "ok": false, "needs_upgrade": false});
        let (answers, report) = run(input.as_bytes());
        assert_eq!(
            answers,
            [
                json!({"id": 1, "ok": true, "needs_upgrade": true}),
                no("b".into()),
                no(Value::Null),
                no(4.into()),
                no(5.into()),
            ]
        );
        assert_eq!(report, LinesReport { answered: 5, refused: 0 });
    }

    #[test]
    fn malformed_lines_are_answered_without_their_content() {
        let long = format!("{{\"id\":1,\"hash\":\"{}\"}}", "x".repeat(100_000));
        let mut input = Vec::new();
        for line in
            [&b"{"[..], b"[]", b"\xff\xfe", br#"{"id":7,"hash":5,"password":"hunter2"}"#, b"{}"]
        {
            input.extend_from_slice(line);
            input.push(b'\n');
        }
        input.extend_from_slice(long.as_bytes());
        input.extend_from_slice(b"\n{\"id\":9,\"hash\":\"\",\"password\":\"\"}");
        let (answers, report) = run(&input);
        assert_eq!(answers.len(), 7);
        assert!(answers[..6].iter().all(|answer| answer["error"].is_string()), "{answers:?}");
        assert_eq!(answers[3]["id"], 7);
        assert_eq!(answers[6]["ok"], false);
        assert_eq!(report, LinesReport { answered: 1, refused: 6 });
        assert!(!format!("{answers:?}").contains("hunter2"));
    }
}
