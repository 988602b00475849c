//! Copies that nodes share beside the record: asked where this node has none, and never believed
//! for what they say but for what this node knows of the feed.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{BoxFuture, FoundSession, History, Timestamp, TokenHash};

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
