//! Copies of sessions by the hash of their token, as many as their weight allows.
//!
//! Nothing here decides whether a copy is good, and nothing needs to be deleted when a session ends:
//! the coherence rule judges every copy at every use.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};
use std::mem::size_of;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    ApplicationSession, FeedKind, FeedRow, FoundSession, SessionEnd, SessionId, TokenHash,
};
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

/// What the cache itself needs for an entry: key, pointer, counters, and the counts of the `Arc`; and
/// the CSRF token, which comes later.
const ENTRY_BYTES: usize = size_of::<TokenHash>() + 64 + 48;

/// How many entries there is room for at first.
const ENTRIES_EXPECTED: usize = 1024;

pub(super) struct Copies<T: Weighed = FoundSession>(
    Cache<TokenHash, Copy<T>, Weight, ByFirstBytes>,
);

/// A session, and when the record was asked for it.
pub(super) struct Copy<T = FoundSession> {
    pub(super) found: Arc<T>,
    pub(super) read_at: Duration,
}

impl<T> Clone for Copy<T> {
    fn clone(&self) -> Self {
        Self { found: Arc::clone(&self.found), read_at: self.read_at }
    }
}

/// What lies in copies.
pub(super) trait Weighed {
    /// In bytes, with what it points to.
    fn weight(&self) -> usize;
}

impl<T: Weighed> Copies<T> {
    pub(super) fn new(bytes_max: u64) -> Self {
        let lifecycle = DefaultLifecycle::default();
        let cache = Cache::with(ENTRIES_EXPECTED, bytes_max, Weight, ByFirstBytes, lifecycle);
        Self(cache)
    }

    pub(super) fn find(&self, token: &TokenHash) -> Option<Copy<T>> {
        self.0.get(token)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn keep(&self, token: TokenHash, copy: Copy<T>) {
        self.0.insert(token, copy);
    }

    pub(super) fn drop_one(&self, token: &TokenHash) {
        self.0.remove(token);
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl Copies {
    /// Drops what a revocation is about and no row of the feed tells of: a session that the record
    /// has never heard of, having gone back in time over its login. Copies that rows name stay: by
    /// them this node knows what has ended, even while the record is away.
    pub(super) fn drop_untold(&self, which: SessionEnd, rows: &[FeedRow]) {
        match which {
            SessionEnd::Token(token) if rows.is_empty() => self.drop_one(&token),
            SessionEnd::One(id) | SessionEnd::OneOf(_, id) if rows.is_empty() => {
                self.0.retain(|_, copy| copy.found.session.id != id);
            }
            SessionEnd::OthersOf(user, kept) => {
                let told: BTreeSet<SessionId> = rows.iter().filter_map(ended_by).collect();
                self.0.retain(|_, copy| {
                    let FoundSession { session, .. } = &*copy.found;
                    session.user_id != user || session.id == kept || told.contains(&session.id)
                });
            }
            // Told by name, by the generation, and by position.
            SessionEnd::Token(_)
            | SessionEnd::One(_)
            | SessionEnd::OneOf(..)
            | SessionEnd::AllOf(_)
            | SessionEnd::Everything => {}
        }
    }
}

fn ended_by(row: &FeedRow) -> Option<SessionId> {
    match row.kind {
        FeedKind::Session(id) => Some(id),
        FeedKind::Start
        | FeedKind::UserBelow(..)
        | FeedKind::UserDisabled(..)
        | FeedKind::UserEnabled(_)
        | FeedKind::RefetchUser(_)
        | FeedKind::RefetchSession(_)
        | FeedKind::Everything
        | FeedKind::Unknown(_) => None,
    }
}

/// Bytes.
#[derive(Clone)]
struct Weight;

impl<T: Weighed> Weighter<TokenHash, Copy<T>> for Weight {
    fn weight(&self, _token: &TokenHash, copy: &Copy<T>) -> u64 {
        (ENTRY_BYTES + copy.found.weight()) as u64
    }
}

impl Weighed for FoundSession {
    fn weight(&self) -> usize {
        let Self { session, user, .. } = self;
        let groups = user.groups.as_slice();
        let texts = session.client.user_agent.len()
            + user.username.as_str().len() * 2
            + user.email.as_ref().map_or(0, |email| email.as_str().len() * 2)
            + user.name.len()
            + groups.iter().map(|group| group.len() + size_of::<String>()).sum::<usize>();
        size_of::<Self>() + texts
    }
}

impl Weighed for ApplicationSession {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.data.as_bytes().len()
    }
}

/// The key is a cryptographic hash: its first bytes are as good as any hash of it.
#[derive(Clone, Default)]
struct ByFirstBytes;

impl BuildHasher for ByFirstBytes {
    type Hasher = FirstBytes;

    fn build_hasher(&self) -> FirstBytes {
        FirstBytes(0)
    }
}

struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}
