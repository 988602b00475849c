//! The ports of the record, answered with copies in front: what concerns copies is judged and
//! learned from, everything else goes straight through.
//!
//! Every change that may write to the feed is here once with its rows handed to the rule, so that
//! this node is bound by it before anybody is answered (one node, one knowledge).

use std::future::ready;
use std::sync::Arc;

use nightlatch_core::{
    Actor, AddressPrefix, AuditEntry, AuditQuery, AuditStore, AuditedFailure, BoxFuture,
    ChangedPassword, Cluster, CreateUser, Credentials, Deadline, Epoch, Failure, FailureNews,
    FailurePosition, FeedNews, FeedRow, FeedStore, FoundSession, Groups, HashKind, Head, History,
    ImportOutcome, ImportUser, KeptFailures, LoginName, LookupFailures, LostRevocations,
    NewSession, NewUser, NodeId, NodeStore, PasswordChange, PasswordHash, Position, RecordStore,
    Session, SessionEnd, SessionId, SessionStore, StoreResult, Sweep, SweepBefore, ThrottleStore,
    Timestamp, TokenHash, User, UserId, UserStore, Username, Written,
};

use super::{CachedRecord, EndCause, Found, Sight, Source};

const ENDING: &str = "ending sessions";
const CHANGING: &str = "changing a password";

impl SessionStore for CachedRecord {
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>> {
        Box::pin(async move {
            let (token, replaces, began) = (session.token, session.replaces, self.now());
            let created = self.record.create_session(session, prefix, by, deadline).await;
            let created = self.heard(created)?.map(|created| self.wrote(created));
            if let (Some(replaced), Some(created)) = (replaces, &created) {
                self.drop_untold(SessionEnd::Token(replaced), &created.rows);
                self.tallies.ended(EndCause::Replaced, u64::from(!created.rows.is_empty()));
            }
            if let Some(created) = &created {
                self.tallies.started();
                self.keep_created(token, &created.value, began);
            }
            Ok(created)
        })
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        self.note_use();
        match self.find_copy(&token) {
            Some(known) => {
                let answer = Ok(known.into_answer());
                self.tallies.looked_up(Source::Memory, Found::of(&answer));
                Box::pin(ready(answer))
            }
            None => Box::pin(self.find(token, Sight::Copy, deadline)),
        }
    }

    fn reread_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        Box::pin(self.find(token, Sight::Record, deadline))
    }

    fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<Session>> {
        self.record.list_sessions(user, now, limit, deadline)
    }

    fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<(Session, Username)>> {
        self.record.list_all_sessions(below, now, limit, deadline)
    }

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>> {
        Box::pin(async move {
            let ended = self.record.end_sessions(which, now, by, deadline).await;
            let ended = self.wrote(self.heard(ended)?);
            self.tallies.ended(EndCause::of(which), ended.value);
            self.drop_untold(which, &ended.rows);
            if ended.rows.is_empty() {
                // Whatever it names has ended before, here or elsewhere, perhaps in an answer that
                // was lost: copies must be bound by that row before this is told. Or the record has
                // never heard of it, having gone back in time over the login: no row will say so.
                self.catch_up_now(ENDING, deadline).await?;
            }
            Ok(ended)
        })
    }

    fn touch_sessions(
        &self,
        seen: Vec<(SessionId, Timestamp)>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.record.touch_sessions(seen, deadline)
    }
}

impl UserStore for CachedRecord {
    fn find_credentials<'a>(
        &'a self,
        name: &'a LoginName,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'a, Option<Credentials>> {
        self.record.find_credentials(name, prefix, now, deadline)
    }

    fn find_credentials_by_id(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Credentials>> {
        self.record.find_credentials_by_id(id, prefix, now, deadline)
    }

    fn create_user(
        &self,
        user: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, CreateUser> {
        self.record.create_user(user, by, deadline)
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<User>> {
        self.record.list_users(after, limit, deadline)
    }

    fn set_enabled(
        &self,
        id: UserId,
        enabled: bool,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let changed = self.record.set_enabled(id, enabled, by, deadline).await?;
            Ok(changed.map(|changed| self.wrote(changed)))
        })
    }

    fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        Box::pin(async move { Ok(self.wrote(self.record.delete_user(id, by, deadline).await?)) })
    }

    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let changed = self.record.set_groups(id, groups, by, deadline).await?;
            Ok(changed.map(|changed| self.wrote(changed)))
        })
    }

    fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let changed = self.record.verify_email(id, by, deadline).await?;
            Ok(changed.map(|changed| self.wrote(changed)))
        })
    }

    fn change_password(
        &self,
        change: PasswordChange,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>> {
        Box::pin(async move {
            let token = change.next_session.as_ref().map(|next| next.token);
            let began = self.now();
            let changed = self.record.change_password(change, by, deadline).await;
            let changed = self.heard(changed)?.map(|changed| self.wrote(changed));
            if token.is_some() && changed.is_none() {
                // The session that asked has ended elsewhere, or its user's generation has moved:
                // its copy must be bound by that row before this is told.
                self.catch_up_now(CHANGING, deadline).await?;
            }
            let next = changed.as_ref().and_then(|changed| changed.value.next.as_ref());
            if let (Some(token), Some(next)) = (token, next) {
                self.tallies.started();
                self.tallies.ended(EndCause::PasswordChange, 1);
                self.keep_created(token, next, began);
            }
            Ok(changed)
        })
    }

    fn upgrade_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.record.upgrade_hash(id, old, new, deadline)
    }

    fn import_users(
        &self,
        users: Vec<ImportUser>,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>> {
        self.record.import_users(users, by, deadline)
    }

    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>> {
        self.record.list_hash_kinds(deadline)
    }
}

impl ThrottleStore for CachedRecord {
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.record.append_failures(by, failures, audited, deadline)
    }

    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures> {
        self.record.list_failures(since, limit, deadline)
    }

    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews> {
        self.record.poll_failures(by, after, limit, deadline)
    }
}

impl NodeStore for CachedRecord {
    fn heartbeat(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.record.heartbeat(node, deadline)
    }

    fn find_cluster(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.record.find_cluster(node, deadline)
    }

    fn leave(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, ()> {
        self.record.leave(node, deadline)
    }
}

impl FeedStore for CachedRecord {
    fn poll_feed(
        &self,
        after: Option<Position>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FeedNews> {
        self.record.poll_feed(after, limit, deadline)
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
        self.record.claim_epoch(from, fresh, deadline)
    }

    fn restore_revocations(
        &self,
        lost: LostRevocations,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<FeedRow>> {
        Box::pin(async move {
            let rows = self.record.restore_revocations(lost, now, deadline).await?;
            self.wrote_rows(&rows);
            Ok(rows)
        })
    }
}

impl AuditStore for CachedRecord {
    fn list_audit(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<AuditEntry>> {
        self.record.list_audit(query, deadline)
    }
}

impl RecordStore for CachedRecord {
    fn migrate(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>> {
        self.record.migrate(deadline)
    }

    fn probe_lookups(&self, deadline: Deadline) -> BoxFuture<'_, LookupFailures> {
        self.record.probe_lookups(deadline)
    }

    fn sweep(&self, before: SweepBefore, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep> {
        self.record.sweep(before, limit, deadline)
    }

    fn shared_secret<'a>(
        &'a self,
        name: &'a str,
        fresh: Vec<u8>,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<u8>> {
        self.record.shared_secret(name, fresh, deadline)
    }
}
