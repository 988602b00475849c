//! Copies that nodes share beside the record: asked where this node has none, and never believed
//! for what they say but for what this node knows of the feed.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::coherence::{Stamp, Verdict};
use nightlatch_core::{BoxFuture, Deadline, FoundSession, History, Timestamp, TokenHash};

use super::CachedRecord;
use super::copies::Copy;

/// What part of the time that a request has left it waits for copies of other nodes, and the least
/// that is worth it.
const SHARED_PART: u32 = 4;
const SHARED_LIMIT_MIN: Duration = Duration::from_millis(5);

/// How far the clocks of two nodes may be apart.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// Where nodes share copies of sessions.
pub trait SharedCopies: Send + Sync {
    /// The copy of a token's session that was read in this history, if one can be had within
    /// `limit`, and within what a request may spend on it.
    fn find(
        &self,
        token: TokenHash,
        history: History,
        limit: Duration,
    ) -> BoxFuture<'_, Option<SharedCopy>>;

    /// Keeps a copy, at some time, or not at all: nobody waits for it.
    fn keep(&self, token: TokenHash, found: &Arc<FoundSession>, read_at: Timestamp);
}

/// A copy that some node has shared.
#[derive(Clone, Debug)]
pub struct SharedCopy {
    /// The session, as that node read it.
    pub found: Arc<FoundSession>,
    /// When it asked the record for it, in record time.
    pub read_at: Timestamp,
}

impl CachedRecord {
    /// Where this node has no copy, one that another has shared will do, too.
    pub fn share(&self, shared: Arc<dyn SharedCopies>) {
        // They are wired once, when the node starts.
        let _ = self.shared.set(shared);
    }

    /// Takes over another node's copy, if there is one that may be of use.
    pub(super) async fn find_shared(&self, token: TokenHash, deadline: Deadline) -> bool {
        let Some(shared) = self.shared.get() else { return false };
        let Some(history) = self.rule().history() else { return false };
        // The record needs the most of the time that is left.
        let limit = deadline.remaining(self.clock.clock()) / SHARED_PART;
        if limit < SHARED_LIMIT_MIN {
            return false;
        }
        let found = shared.find(token, history, limit).await;
        let Some(SharedCopy { found, read_at }) = found else { return false };
        let now = self.clock.now();
        // By a clock that is not ours it would live too long.
        if read_at > now.after(CLOCK_TOLERANCE)
            || self.untold.names(&token, (found.session.id, found.user.id), read_at)
        {
            return false;
        }
        let read_at = self.now().saturating_sub(now.since(read_at));
        let copy = Copy { found, read_at };
        // Of a position that this node has not heard of: the record knows whether there is one.
        if self.rule().may_be_ahead(&Stamp::of(&copy.found, copy.read_at)) {
            self.looks.want();
            return false;
        }
        match self.judge(&copy) {
            Verdict::Miss => false,
            // Of two copies the one that was read later knows more.
            _ if self.copies.find(&token).is_some_and(|own| own.read_at >= read_at) => false,
            Verdict::Believed
            | Verdict::BelievedStale
            | Verdict::Revoked
            | Verdict::Unconfirmed
            | Verdict::TooStale => {
                self.copies.keep(token, copy);
                true
            }
        }
    }

    /// What the record was asked for at `began` is shared with the other nodes.
    pub(super) fn keep_shared(&self, token: TokenHash, found: &Arc<FoundSession>, began: Duration) {
        if let Some(shared) = self.shared.get() {
            let age = self.now().saturating_sub(began);
            shared.keep(token, found, self.clock.now().before(age));
        }
    }
}
