//! The ports of the record, answered by SQLite: which statement goes to which thread.
//!
//! Kept apart from the statements, so that which thread does what can be read in one place.

mod users;

use std::sync::Arc;

use nightlatch_core::{
    Actor, AddressPrefix, AuditEntry, AuditQuery, AuditStore, AuditedFailure, BoxFuture, Cluster,
    Deadline, Epoch, Failure, FailureNews, FailurePosition, FeedNews, FeedRow, FeedStore,
    FoundSession, Head, History, KeptFailures, LookupFailures, LostRevocations, NewSession, NodeId,
    NodeStore, Position, RecordStore, Rotated, Rotation, Session, SessionEnd, SessionId,
    SessionStore, StoreResult, StoredKey, Sweep, SweepBefore, ThrottleStore, Timestamp, TokenHash,
    TokenStore, UserId, Username, Written,
};

use super::failure::class_of;
use super::{SqliteRecord, audit, feed, node, restore, session, sweep, throttle, token};

impl SessionStore for SqliteRecord {
    fn create_session(
        &self,
        new: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>> {
        self.change("creating a session", deadline, move |change| {
            session::create(change, &new, prefix, &by)
        })
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        let shared = Arc::clone(&self.shared);
        self.look("finding a session", deadline, move |conn| {
            let found = session::find(conn, token).map(|found| found.map(Arc::new));
            shared.lookups.sessions.note(token, &found, class_of);
            found
        })
    }

    fn list_sessions(
        &self,
        of: UserId,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<Session>> {
        self.look("listing sessions", deadline, move |conn| session::list(conn, of, now, limit))
    }

    fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<(Session, Username)>> {
        self.look("listing sessions", deadline, move |conn| {
            session::list_all(conn, below, now, limit)
        })
    }

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>> {
        self.change("ending sessions", deadline, move |change| {
            session::end(change, which, now, &by)
        })
    }

    fn touch_sessions(
        &self,
        seen: Vec<(SessionId, Timestamp)>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.change("touching sessions", deadline, move |change| session::touch(change.conn, &seen))
    }
}

impl TokenStore for SqliteRecord {
    fn rotate(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<Rotated>> {
        self.change("exchanging a refresh token", deadline, move |change| {
            token::rotate(change, &rotation, &by)
        })
    }

    fn knows_refresh(
        &self,
        session: SessionId,
        presented: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.look("asking for a refresh token", deadline, move |conn| {
            token::knows(conn, session, presented)
        })
    }

    fn list_keys(&self, deadline: Deadline) -> StoreResult<'_, Vec<StoredKey>> {
        self.look("listing signing keys", deadline, token::list_keys)
    }

    fn add_key(&self, key: StoredKey, by: Actor, deadline: Deadline) -> StoreResult<'_, bool> {
        self.change("storing a signing key", deadline, move |change| {
            token::add_key(change, &key, &by)
        })
    }

    fn reseal_key(
        &self,
        number: u32,
        (old, new): (Vec<u8>, Vec<u8>),
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.change("sealing a signing key anew", deadline, move |change| {
            token::reseal_key(change, number, &old, &new)
        })
    }
}

impl FeedStore for SqliteRecord {
    fn poll_feed(
        &self,
        after: Option<Position>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FeedNews> {
        let write_failure = self.shared.write_failure();
        self.look("polling the feed", deadline, move |conn| {
            feed::poll(conn, after, limit, write_failure)
        })
    }

    fn claim_epoch(
        &self,
        from: History,
        fresh: Epoch,
        deadline: Deadline,
    ) -> StoreResult<'_, Head> {
        self.change("claiming an epoch", deadline, move |change| change.claim_epoch(from, fresh))
    }

    fn restore_revocations(
        &self,
        lost: LostRevocations,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<FeedRow>> {
        self.change("restoring revocations", deadline, move |change| {
            restore::restore(change, &lost, now)
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.until_feed_has_moved())
    }
}

impl ThrottleStore for SqliteRecord {
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.change("noting failures", deadline, move |change| {
            throttle::append(change, by, &failures, &audited)
        })
    }

    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures> {
        self.look("listing failures", deadline, move |conn| throttle::list(conn, since, limit))
    }

    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews> {
        let now = self.shared.record_clock.now();
        self.look("asking what others have counted", deadline, move |conn| {
            let live = node::find_cluster(conn, by, now)?.live;
            throttle::poll(conn, by, after, limit, live)
        })
    }
}

impl NodeStore for SqliteRecord {
    fn heartbeat(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.change("saying that this node lives", deadline, move |change| {
            node::heartbeat(change, node)
        })
    }

    fn find_cluster(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        let now = self.shared.record_clock.now();
        self.look("asking which nodes live", deadline, move |conn| {
            node::find_cluster(conn, node, now)
        })
    }

    fn leave(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, ()> {
        self.change("saying that this node leaves", deadline, move |change| {
            node::leave(change.conn, node)
        })
    }
}

impl AuditStore for SqliteRecord {
    fn list_audit(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<AuditEntry>> {
        self.look("reading the audit log", deadline, move |conn| audit::list(conn, &query))
    }
}

impl RecordStore for SqliteRecord {
    fn migrate(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>> {
        self.order_migration(deadline)
    }

    fn probe_lookups(&self, deadline: Deadline) -> BoxFuture<'_, LookupFailures> {
        Box::pin(async move {
            let failures = self.shared.lookups.probe(self, deadline).await;
            LookupFailures {
                some: failures.some.or_else(|| self.shared.read_failure()),
                ..failures
            }
        })
    }

    fn sweep(&self, before: SweepBefore, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep> {
        self.change("sweeping", deadline, move |change| sweep::sweep(change.conn, before, limit))
    }

    fn shared_secret<'a>(
        &'a self,
        name: &'a str,
        fresh: Vec<u8>,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<u8>> {
        let name = name.to_owned();
        self.change("sharing a secret", deadline, move |change| {
            throttle::shared_secret(change.conn, &name, &fresh)
        })
    }
}
