//! Ends that no row of the feed tells of: of a session that the record has never heard of, having gone
//! back in time over its login. This node's own copy is dropped; one that another node has shared, or
//! that its client carries, would bring it back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{FeedRow, SessionEnd, SessionId, Timestamp, TokenHash, UserId};

/// For how long a shared copy may be believed, and how far the clocks of two nodes may be apart.
const KEPT_FOR: Duration = Duration::from_mins(11);
const TOLERANCE: Duration = Duration::from_secs(2);

/// The most that are remembered by name; beyond it every copy from before is refused.
const NAMES_MAX: usize = 10_000;

/// What has ended without a word of the feed, and when, in record time.
#[derive(Default)]
pub(super) struct Untold(Mutex<State>);

#[derive(Default)]
struct State {
    names: BTreeMap<Name, Timestamp>,
    /// Copies of anything from before are refused.
    all: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Token([u8; 32]),
    Session(SessionId),
    /// All sessions of a user, for the one who kept their own.
    User(UserId),
}

impl Untold {
    /// A revocation was told as done at `now`, with these rows.
    pub(super) fn note(&self, which: SessionEnd, rows: &[FeedRow], now: Timestamp) {
        let name = match which {
            SessionEnd::Token(token) if rows.is_empty() => Name::Token(*token.as_bytes()),
            SessionEnd::One(id) | SessionEnd::OneOf(_, id) if rows.is_empty() => Name::Session(id),
            SessionEnd::OthersOf(user, _) => Name::User(user),
            SessionEnd::Token(_)
            | SessionEnd::One(_)
            | SessionEnd::OneOf(..)
            | SessionEnd::AllOf(_)
            | SessionEnd::Everything => return,
        };
        let mut state = self.lock();
        if state.names.len() >= NAMES_MAX {
            state.names.retain(|_, at| now.since(*at) < KEPT_FOR);
        }
        if state.names.len() < NAMES_MAX || state.names.contains_key(&name) {
            state.names.insert(name, now);
        } else {
            state.names.clear();
            state.all = Some(now);
        }
    }

    /// Whether a copy that was read at `read_at` may be of something that has ended since.
    pub(super) fn names(
        &self,
        token: &TokenHash,
        (session, user): (SessionId, UserId),
        read_at: Timestamp,
    ) -> bool {
        let state = self.lock();
        let names = [Name::Token(*token.as_bytes()), Name::Session(session), Name::User(user)];
        let ended = names.iter().filter_map(|name| state.names.get(name)).chain(&state.all);
        ended.copied().max().is_some_and(|at| read_at <= at.after(TOLERANCE))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
