//! A record whose calls can be watched, and held up, refused, or robbed of their answers.
//!
//! A server measures them. What goes wrong between a node and its record happens before a call takes
//! effect or after it; a test or a simulation decides both, at the very moment that it wants to show.

mod data;
mod mirror;
mod user;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, AddressPrefix, AuditEntry, AuditQuery, AuditStore, AuditedFailure, BoxFuture, Cluster,
    Deadline, Epoch, Failure, FailureNews, FailurePosition, FeedNews, FeedRow, FeedStore,
    FoundSession, Head, History, KeptFailures, LookupFailures, LostRevocations, NewSession, NodeId,
    NodeStore, Position, Record, RecordStore, Rotated, Rotation, Session, SessionEnd, SessionId,
    SessionStore, StoreError, StoreResult, StoredKey, Sweep, SweepBefore, ThrottleStore, Timestamp,
    TokenHash, TokenStore, UserId, Username, Written,
};
use tokio::time::Instant;

/// Decides what happens to calls, or only watches them. It is told the name of the port's method, and
/// by when the caller must have an answer: keeping that is the driver's part, which stands here.
pub trait Interceptor: Send + Sync {
    /// Before the record is asked. An error: it never is.
    fn before(
        &self,
        _call: &'static str,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }

    /// The record has answered, after so long.
    fn answered(&self, _call: &'static str, _took: Duration, _outcome: Result<(), &StoreError>) {}

    /// After it has answered. An error: the answer is lost, whatever it was.
    fn after(
        &self,
        _call: &'static str,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }
}

/// A record behind an interceptor.
pub struct InterceptedRecord {
    record: Arc<dyn Record>,
    interceptor: Arc<dyn Interceptor>,
}

impl InterceptedRecord {
    /// Puts an interceptor in front of a record.
    #[must_use]
    pub fn new(record: Arc<dyn Record>, interceptor: Arc<dyn Interceptor>) -> Self {
        Self { record, interceptor }
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        (call, deadline): (&'static str, Deadline),
        ask: impl FnOnce(&'a dyn Record) -> StoreResult<'a, T> + Send + 'a,
    ) -> StoreResult<'a, T> {
        Box::pin(async move {
            self.interceptor.before(call, deadline).await?;
            let asked = Instant::now();
            let answer = ask(&*self.record).await;
            self.interceptor.answered(call, asked.elapsed(), answer.as_ref().map(|_| ()));
            self.interceptor.after(call, deadline).await?;
            answer
        })
    }
}

impl SessionStore for InterceptedRecord {
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>> {
        self.pass(("create_session", deadline), move |record| {
            record.create_session(session, prefix, by, deadline)
        })
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        self.pass(("find_session", deadline), move |record| record.find_session(token, deadline))
    }

    fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<Session>> {
        self.pass(("list_sessions", deadline), move |record| {
            record.list_sessions(user, now, limit, deadline)
        })
    }

    fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<(Session, Username)>> {
        self.pass(("list_all_sessions", deadline), move |record| {
            record.list_all_sessions(below, now, limit, deadline)
        })
    }

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>> {
        self.pass(("end_sessions", deadline), move |record| {
            record.end_sessions(which, now, by, deadline)
        })
    }

    fn touch_sessions(
        &self,
        seen: Vec<(SessionId, Timestamp)>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.pass(("touch_sessions", deadline), move |record| record.touch_sessions(seen, deadline))
    }
}

impl TokenStore for InterceptedRecord {
    fn rotate(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<Rotated>> {
        self.pass(("rotate", deadline), move |record| record.rotate(rotation, by, deadline))
    }

    fn knows_refresh(
        &self,
        session: SessionId,
        presented: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.pass(("knows_refresh", deadline), move |record| {
            record.knows_refresh(session, presented, deadline)
        })
    }

    fn list_keys(&self, deadline: Deadline) -> StoreResult<'_, Vec<StoredKey>> {
        self.pass(("list_keys", deadline), move |record| record.list_keys(deadline))
    }

    fn add_key(&self, key: StoredKey, by: Actor, deadline: Deadline) -> StoreResult<'_, bool> {
        self.pass(("add_key", deadline), move |record| record.add_key(key, by, deadline))
    }

    fn reseal_key(
        &self,
        number: u32,
        (old, new): (Vec<u8>, Vec<u8>),
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.pass(("reseal_key", deadline), move |record| {
            record.reseal_key(number, (old, new), deadline)
        })
    }
}

impl ThrottleStore for InterceptedRecord {
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.pass(("append_failures", deadline), move |record| {
            record.append_failures(by, failures, audited, deadline)
        })
    }

    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures> {
        self.pass(("list_failures", deadline), move |record| {
            record.list_failures(since, limit, deadline)
        })
    }

    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews> {
        self.pass(("poll_failures", deadline), move |record| {
            record.poll_failures(by, after, limit, deadline)
        })
    }
}

impl NodeStore for InterceptedRecord {
    fn heartbeat(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.pass(("heartbeat", deadline), move |record| record.heartbeat(node, deadline))
    }

    fn find_cluster(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.pass(("find_cluster", deadline), move |record| record.find_cluster(node, deadline))
    }

    fn leave(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, ()> {
        self.pass(("leave", deadline), move |record| record.leave(node, deadline))
    }
}

impl FeedStore for InterceptedRecord {
    fn poll_feed(
        &self,
        after: Option<Position>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FeedNews> {
        self.pass(("poll_feed", deadline), move |record| record.poll_feed(after, limit, deadline))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.record.changed()
    }

    fn claim_epoch(
        &self,
        from: History,
        fresh: Epoch,
        deadline: Deadline,
    ) -> StoreResult<'_, Head> {
        self.pass(("claim_epoch", deadline), move |record| {
            record.claim_epoch(from, fresh, deadline)
        })
    }

    fn restore_revocations(
        &self,
        lost: LostRevocations,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<FeedRow>> {
        self.pass(("restore_revocations", deadline), move |record| {
            record.restore_revocations(lost, now, deadline)
        })
    }
}

impl AuditStore for InterceptedRecord {
    fn list_audit(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<AuditEntry>> {
        self.pass(("list_audit", deadline), move |record| record.list_audit(query, deadline))
    }
}

impl RecordStore for InterceptedRecord {
    fn migrate(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>> {
        self.pass(("migrate", deadline), move |record| record.migrate(deadline))
    }

    fn probe_lookups(&self, deadline: Deadline) -> BoxFuture<'_, LookupFailures> {
        self.record.probe_lookups(deadline)
    }

    fn sweep(&self, before: SweepBefore, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep> {
        self.pass(("sweep", deadline), move |record| record.sweep(before, limit, deadline))
    }

    fn shared_secret<'a>(
        &'a self,
        name: &'a str,
        fresh: Vec<u8>,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<u8>> {
        self.pass(("shared_secret", deadline), move |record| {
            record.shared_secret(name, fresh, deadline)
        })
    }
}
