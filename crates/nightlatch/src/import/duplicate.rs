//! Names and e-mails that stand twice in one file.
//!
//! The record would notice too, but could not say which line was first.

use std::collections::HashMap;

use nightlatch_core::ImportUser;
use sha2::{Digest, Sha256};

/// The most names and the most e-mails that are remembered: about 100 MB. Beyond it the record
/// alone tells.
const REMEMBERED_MAX: usize = 1_000_000;

/// The beginning of a SHA-256: two texts that share it are the same text.
type Fingerprint = [u8; 16];

/// What has been seen, with the line.
#[derive(Default)]
pub(super) struct Duplicates {
    names: HashMap<Fingerprint, u64>,
    emails: HashMap<Fingerprint, u64>,
}

impl Duplicates {
    /// Refuses a user whose name or e-mail an earlier line has; remembers it otherwise.
    pub(super) fn check(&mut self, user: &ImportUser, line: u64) -> Result<(), String> {
        let name = fingerprint(user.username.folded());
        let email = user.email.as_ref().map(|email| fingerprint(email.folded()));
        if let Some(first) = self.names.get(&name) {
            return Err(format!("line {first} has the same username"));
        }
        if let Some(first) = email.and_then(|email| self.emails.get(&email)) {
            return Err(format!("line {first} has the same e-mail address"));
        }
        remember(&mut self.names, name, line);
        if let Some(email) = email {
            remember(&mut self.emails, email, line);
        }
        Ok(())
    }
}

fn fingerprint(folded: &str) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(&Sha256::digest(folded.as_bytes())[..16]);
    fingerprint
}

fn remember(seen: &mut HashMap<Fingerprint, u64>, fingerprint: Fingerprint, line: u64) {
    if seen.len() < REMEMBERED_MAX {
        seen.insert(fingerprint, line);
    }
}
