//! One exchange of a session at a time on this node.
//!
//! Whoever presents one refresh token hundreds of times at once would have as many connections wait for
//! one row of the record, and everybody else for a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::SessionId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

/// Whose turn it is, of each session that somebody asks about.
#[derive(Default)]
pub(super) struct Turns(Mutex<BTreeMap<SessionId, Arc<AsyncMutex<()>>>>);

/// A turn, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    session: SessionId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for a turn of a session; `None`: not within that time.
    pub(super) async fn take(&self, session: SessionId, span: Duration) -> Option<Turn<'_>> {
        // Made before it is waited for: whoever gives up or leaves cleans up behind himself.
        let mut turn = Turn { turns: self, session, guard: None };
        let waiting = Arc::clone(self.lock().entry(session).or_default()).lock_owned();
        turn.guard = timeout(span, waiting).await.ok();
        turn.guard.is_some().then_some(turn)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Arc<AsyncMutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        drop(self.guard.take());
        if turns.get(&self.session).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinSet;
    use uuid::Uuid;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_goes_at_a_time_and_nothing_is_left_of_them() {
        let turns = Arc::new(Turns::default());
        let session = SessionId::from_uuid(Uuid::from_u128(1));
        let mut tasks = JoinSet::new();
        for number in 0..10 {
            let turns = Arc::clone(&turns);
            tasks.spawn(async move {
                let turn = turns.take(session, Duration::from_millis(350)).await;
                // So many have their turn within the time that they wait.
                if turn.is_some() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                (number, turn.is_some())
            });
        }
        let other = SessionId::from_uuid(Uuid::from_u128(2));
        assert!(turns.take(other, Duration::ZERO).await.is_some(), "of another nobody waits");
        let served = tasks.join_all().await.into_iter().filter(|(_, served)| *served).count();
        assert_eq!(served, 4);
        assert!(turns.lock().is_empty());
    }
}
