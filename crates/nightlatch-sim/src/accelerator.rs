//! A Redis that lies: copies that are old, gone, or back again, and news that are late, lost, or said
//! twice.
//!
//! What is forged does not open, and so is a miss: real servers show that. Here is what opens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{FeedRow, FoundSession, History, SessionEnd, Timestamp, TokenHash};
use tokio::sync::Notify;

use crate::clock::TrueTime;
use crate::entropy::Rng;
use crate::history::NodeId;

/// How many versions of a copy may come back.
const VERSIONS_MAX: usize = 6;

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faith {
    /// Nothing is lost, nothing is old, and news come soon.
    Good,
    /// It forgets, lags, repeats and returns.
    Bad,
}

/// In this time good news are heard.
pub(crate) const GOOD_NEWS_WITHIN: Duration = Duration::from_secs(1);

/// The copies and news of all nodes.
pub(crate) struct Accelerator {
    time: TrueTime,
    faith: Faith,
    state: Mutex<State>,
    /// Of each node: there is something new in its inbox.
    rings: Vec<Notify>,
}

struct State {
    rng: Rng,
    copies: BTreeMap<[u8; 32], Vec<KeptCopy>>,
    /// Of each node what it hears, by when and in which order it was said.
    inboxes: Vec<BTreeMap<(Duration, usize), Told>>,
    said: usize,
}

/// A copy that some node has shared.
#[derive(Clone)]
pub(crate) struct KeptCopy {
    pub(crate) found: Arc<FoundSession>,
    pub(crate) read_at: Timestamp,
}

/// What some node has told.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) history: History,
    pub(crate) said_at: Timestamp,
    pub(crate) news: ToldNews,
}

#[derive(Clone)]
pub(crate) enum ToldNews {
    Ended(Vec<FeedRow>),
    Pending(SessionEnd),
}

impl Accelerator {
    pub(crate) fn new(time: TrueTime, faith: Faith, nodes: usize, rng: Rng) -> Self {
        let inboxes = vec![BTreeMap::new(); nodes];
        let state = State { rng, copies: BTreeMap::new(), inboxes, said: 0 };
        let rings = (0..nodes).map(|_| Notify::new()).collect();
        Self { time, faith, state: Mutex::new(state), rings }
    }

    /// A copy of a token's session that was read in a history: the newest, if it is good.
    pub(crate) async fn find(&self, token: TokenHash, history: History) -> Option<KeptCopy> {
        let takes = self.state().rng.millis(0, 3);
        tokio::time::sleep(takes).await;
        let mut state = self.state();
        let State { rng, copies, .. } = &mut *state;
        let versions = copies.get(token.as_bytes())?;
        let of_history: Vec<_> =
            versions.iter().filter(|copy| copy.found.history == history).collect();
        if self.faith == Faith::Good || rng.permille(400) {
            return of_history.last().copied().cloned();
        }
        if rng.permille(300) {
            return None;
        }
        rng.pick(&of_history).cloned()
    }

    pub(crate) fn keep(&self, token: TokenHash, copy: &KeptCopy) {
        let mut state = self.state();
        if self.faith == Faith::Bad && state.rng.permille(200) {
            return;
        }
        let versions = state.copies.entry(*token.as_bytes()).or_default();
        // What nodes note in theirs stays with them.
        let FoundSession { session, user, as_of, history, .. } = &*copy.found;
        let found = FoundSession::new(session.clone(), user.clone(), *as_of, *history);
        versions.push(KeptCopy { found: Arc::new(found), read_at: copy.read_at });
        if versions.len() > VERSIONS_MAX {
            versions.remove(0);
        }
    }

    /// Tells all others.
    pub(crate) fn tell(&self, by: NodeId, told: &Told) {
        let now = self.time.now();
        let mut state = self.state();
        for node in (0..self.rings.len()).filter(|node| *node != by.0) {
            let times = match self.faith {
                Faith::Good => 1,
                Faith::Bad => state.rng.below(3),
            };
            for _ in 0..times {
                let after = match self.faith {
                    Faith::Good => state.rng.millis(0, 50),
                    Faith::Bad if state.rng.permille(300) => state.rng.millis(0, 40_000),
                    Faith::Bad => state.rng.millis(0, 500),
                };
                state.said += 1;
                let place = (now + after, state.said);
                state.inboxes[node].insert(place, told.clone());
            }
            self.rings[node].notify_one();
        }
    }

    /// What a node hears next.
    pub(crate) async fn hear(&self, node: NodeId) -> Told {
        loop {
            let due = self.state().inboxes[node.0].first_key_value().map(|((at, _), _)| *at);
            let now = self.time.now();
            match due {
                Some(due) if due <= now => {
                    let first = self.state().inboxes[node.0].pop_first();
                    if let Some((_, told)) = first {
                        return told;
                    }
                }
                Some(due) => {
                    let ring = self.rings[node.0].notified();
                    let _ = tokio::time::timeout(due.saturating_sub(now), ring).await;
                }
                None => self.rings[node.0].notified().await,
            }
        }
    }

    /// Nobody listens on a node any more: what it has not heard, it never will.
    pub(crate) fn hangs_up(&self, node: NodeId) {
        self.state().inboxes[node.0].clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
