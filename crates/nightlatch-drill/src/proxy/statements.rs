//! What a `PostgreSQL` client executes on one connection, read from the bytes that it sends.
//!
//! A statement is prepared once and executed by its name from then on, so the text of what is
//! executed stands in the bytes only the first time. For any other protocol the bytes are the text.

use std::collections::BTreeMap;

/// The code that stands in the place of a protocol version when TLS is asked for.
const TLS_REQUEST: u32 = 80_877_103;

/// A message that is longer belongs to another protocol.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The most texts that are remembered.
const TEXTS_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Statements {
    unread: Vec<u8>,
    phase: Phase,
    /// Text by the name of a prepared statement.
    prepared: BTreeMap<String, String>,
    said: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Messages without a type, before there is a session.
    #[default]
    Start,
    /// Messages with a type.
    Session,
    /// It is not `PostgreSQL`.
    Foreign,
}

impl Statements {
    /// Takes what was sent, and returns the texts of what it executes.
    pub(super) fn take(&mut self, sent: &[u8]) -> Vec<String> {
        self.unread.extend_from_slice(sent);
        let mut executed = Vec::new();
        while self.phase != Phase::Foreign
            && let Some((kind, body)) = self.next_message()
        {
            executed.extend(self.executed_by(kind, &body));
        }
        if self.phase == Phase::Foreign {
            executed = vec![String::from_utf8_lossy(sent).into_owned()];
            self.unread.clear();
        }
        let room = TEXTS_MAX.saturating_sub(self.said.len());
        self.said.extend(executed.iter().take(room).cloned());
        executed
    }

    /// Whether a statement with this in it was ever executed.
    pub(super) fn has_said(&self, text: &str) -> bool {
        self.said.iter().any(|said| said.contains(text))
    }

    /// The next whole message: its type, 0 if it has none, and what follows its length.
    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(self.phase == Phase::Session);
        let length = self.unread.get(head..head + 4)?;
        let length = u32::from_be_bytes(length.try_into().expect("it is four bytes"));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            self.phase = Phase::Foreign;
            return None;
        }
        let body = self.unread.get(head + 4..head + length)?.to_vec();
        let kind = if head == 1 { self.unread[0] } else { 0 };
        self.unread.drain(..head + length);
        Some((kind, body))
    }

    fn executed_by(&mut self, kind: u8, body: &[u8]) -> Option<String> {
        match kind {
            0 => {
                let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
                if code != Some(TLS_REQUEST) {
                    self.phase = Phase::Session;
                }
                None
            }
            // Parse: name, text.
            b'P' => {
                let [name, text] = strings(body)?;
                self.prepared.insert(name, text);
                None
            }
            // Bind: portal, name. What is bound is executed next.
            b'B' => {
                let [_, name] = strings(body)?;
                self.prepared.get(&name).cloned()
            }
            b'Q' => Some(strings::<1>(body)?.concat()),
            _ => None,
        }
    }
}

/// The first strings of a message, each ended by a zero byte.
fn strings<const N: usize>(body: &[u8]) -> Option<[String; N]> {
    let mut parts = body.split(|byte| *byte == 0);
    let mut texts = [const { String::new() }; N];
    for text in &mut texts {
        *text = String::from_utf8_lossy(parts.next()?).into_owned();
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("it is short");
        [kind.as_bytes(), &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_prepared_statement_is_known_by_its_text_each_time() {
        let mut statements = Statements::default();
        assert!(statements.take(&message("", &TLS_REQUEST.to_be_bytes())).is_empty());
        let start = message("", b"\x00\x03\x00\x00user\0alice\0\0");
        assert!(statements.take(&start[..5]).is_empty());
        assert!(statements.take(&start[5..]).is_empty());
        assert!(statements.take(&message("P", b"s1\0INSERT INTO t VALUES ($1)\0\0\0")).is_empty());
        let bind = message("B", b"\0s1\0\0\0\0\0\0\0");
        for _ in 0..2 {
            assert_eq!(statements.take(&bind), ["INSERT INTO t VALUES ($1)"]);
        }
        assert_eq!(statements.take(&message("Q", b"LISTEN news\0")), ["LISTEN news"]);
        assert!(statements.has_said("LISTEN") && !statements.has_said("COMMIT"));
    }

    #[test]
    fn another_protocol_is_taken_as_it_stands() {
        let mut statements = Statements::default();
        assert_eq!(statements.take(b"*1\r\n$4\r\nPING\r\n"), ["*1\r\n$4\r\nPING\r\n"]);
        assert!(statements.has_said("PING"));
    }
}
