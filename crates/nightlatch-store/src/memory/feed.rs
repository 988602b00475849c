//! The feed of the reference record: its rows, its head, and what is written back after a fork.

use nightlatch_core::{
    Actor, AsOf, BoxFuture, Deadline, Epoch, FeedKind, FeedNews, FeedRow, FeedStore, Generation,
    Head, History, LostRevocations, LostUser, Position, SessionEnd, StoreResult, Timestamp, UserId,
};

use super::{MemoryRecord, State, StoredRow};

impl FeedStore for MemoryRecord {
    fn poll_feed(
        &self,
        after: Option<Position>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FeedNews> {
        self.run("polling the feed", deadline, move |state| state.news(after, limit as usize))
    }

    fn claim_epoch(
        &self,
        from: History,
        fresh: Epoch,
        deadline: Deadline,
    ) -> StoreResult<'_, Head> {
        self.run("claiming an epoch", deadline, move |state| {
            if state.history == from {
                state.history.epoch = fresh;
                state.tell();
            }
            state.head()
        })
    }

    fn restore_revocations(
        &self,
        lost: LostRevocations,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<FeedRow>> {
        self.run("restoring revocations", deadline, move |state| state.restore(&lost, now))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.moved.notified())
    }
}

impl State {
    /// Writes the next feed row.
    pub(super) fn append(&mut self, kind: FeedKind, at: Timestamp) -> FeedRow {
        let mut row_id = [0; 8];
        self.entropy.fill(&mut row_id);
        let newest = self.feed.last_key_value().map_or(self.pruned_to, |(position, _)| *position);
        let position = Position(newest.0 + 1);
        let row = FeedRow { at: AsOf { position, row_id: i64::from_le_bytes(row_id) }, kind };
        self.feed.insert(position, StoredRow { row, written_at: at });
        self.tell();
        row
    }

    /// Several nodes may share this record: all who wait hear of it, and one who comes late.
    fn tell(&self) {
        self.moved.notify_waiters();
        self.moved.notify_one();
    }

    pub(super) fn head(&self) -> Head {
        let (_, newest) = self.feed.last_key_value().expect("the newest row is never pruned");
        Head { history: self.history, newest: newest.row.at, pruned_to: self.pruned_to }
    }

    fn news(&self, after: Option<Position>, limit: usize) -> FeedNews {
        let asked = after.and_then(|after| self.feed.get(&after));
        let above = after.map(|after| self.feed.range(Position(after.0.saturating_add(1))..));
        let rows = above.into_iter().flatten().take(limit);
        FeedNews {
            head: self.head(),
            asked: asked.map(|stored| stored.row.at.row_id),
            rows: rows.map(|(_, stored)| stored.row).collect(),
            now: Some(self.now()),
            write_failure: None,
        }
    }

    /// Raises a user's generation, ends all sessions and writes the feed row that `kind` makes of
    /// it. With how many sessions ended; `None`: no such user.
    pub(super) fn raise_generation(
        &mut self,
        id: UserId,
        kind: impl FnOnce(UserId, Generation) -> FeedKind,
        at: Timestamp,
    ) -> Option<(usize, FeedRow)> {
        self.users.get(&id)?;
        let ended = self.end_where(at, |session| session.user_id == id).len();
        let user = &mut self.users.get_mut(&id)?.user;
        user.generation = Generation(user.generation.0 + 1);
        let raised = user.generation;
        Some((ended, self.append(kind(id, raised), at)))
    }

    fn restore(&mut self, lost: &LostRevocations, now: Timestamp) -> Vec<FeedRow> {
        let mut rows = Vec::new();
        if lost.everything {
            rows.extend(self.end_by(SessionEnd::Everything, now, &Actor::node()).rows);
        }
        for id in &lost.sessions {
            rows.extend(self.end_and_tell(now, |session| session.id == *id).rows);
            for ended in self.end_applications(now, |of| of == *id) {
                rows.push(self.append(FeedKind::Session(ended), now));
            }
        }
        for user in &lost.users {
            self.restore_user(user, now, &mut rows);
        }
        rows
    }

    fn restore_user(&mut self, lost: &LostUser, now: Timestamp, rows: &mut Vec<FeedRow>) {
        let Some(row) = self.users.get(&lost.id) else { return };
        let (was, could_log_in) = (row.user.generation, row.user.enabled);
        let enabled = lost.enabled.unwrap_or(could_log_in);
        let ends_all = could_log_in && !enabled;
        let least = if ends_all { Generation(was.0 + 1) } else { was };
        let generation = lost.below.map_or(least, |below| below.max(least));
        if generation > was {
            self.end_where(now, |session| session.user_id == lost.id);
            let kind = if enabled { FeedKind::UserBelow } else { FeedKind::UserDisabled };
            rows.push(self.append(kind(lost.id, generation), now));
        }
        if enabled && !could_log_in {
            rows.push(self.append(FeedKind::UserEnabled(lost.id), now));
        }
        let row = self.users.get_mut(&lost.id).expect("it was there above");
        (row.user.generation, row.user.enabled) = (generation, enabled);
    }
}
