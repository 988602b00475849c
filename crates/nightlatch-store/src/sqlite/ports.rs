//! The ports of the record, answered by SQLite: which statement goes to which thread.
//!
//! Kept apart from the statements, so that which thread does what can be read in one place.

use std::sync::Arc;

use nightlatch_core::{
    AddressPrefix, BoxFuture, ChangedPassword, Cluster, CreateUser, Credentials, Deadline, Epoch,
    Failure, FailureNews, FailurePosition, FeedNews, FeedRow, FeedStore, FoundSession, Groups,
    HashKind, Head, History, ImportOutcome, ImportUser, KeptFailures, LoginName, LookupFailures,
    LostRevocations, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, NewSession, NewUser,
    NodeId, NodeStore, PasswordChange, PasswordHash, Position, RecordStore, Rotated, Rotation,
    Session, SessionEnd, SessionId, SessionStore, StandingNote, StandingPage, StandingQuery,
    StoreResult, StoredKey, Sweep, ThrottleStore, Timestamp, TokenHash, TokenStore, User, UserId,
    UserStore, Username, Written,
};

use super::failure::class_of;
use super::user::Whom;
use super::{SqliteRecord, feed, mirror, node, restore, session, sweep, throttle, token, user};

impl UserStore for SqliteRecord {
    fn find_credentials<'a>(
        &'a self,
        name: &'a LoginName,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'a, Option<Credentials>> {
        let (name, shared) = (name.clone(), Arc::clone(&self.shared));
        self.look("finding credentials", deadline, move |conn| {
            let whom = Whom::Name(name.clone());
            let found = user::find_credentials(conn, &whom, prefix, now);
            shared.lookups.credentials.note(name, &found, class_of);
            found
        })
    }

    fn find_credentials_by_id(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Credentials>> {
        self.look("finding credentials", deadline, move |conn| {
            user::find_credentials(conn, &Whom::Id(id), prefix, now)
        })
    }

    fn create_user(&self, new: NewUser, deadline: Deadline) -> StoreResult<'_, CreateUser> {
        self.change("creating a user", deadline, move |change| user::create(change, &new))
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<User>> {
        let after = after.map(str::to_owned);
        self.look("listing users", deadline, move |conn| user::list(conn, after.as_deref(), limit))
    }

    fn set_enabled(
        &self,
        id: UserId,
        enabled: bool,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("enabling or disabling a user", deadline, move |change| {
            user::set_enabled(change, id, enabled)
        })
    }

    fn delete_user(&self, id: UserId, deadline: Deadline) -> StoreResult<'_, Written<bool>> {
        self.change("deleting a user", deadline, move |change| user::delete(change, id))
    }

    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("setting groups", deadline, move |change| user::set_groups(change, id, &groups))
    }

    fn verify_email(
        &self,
        id: UserId,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("verifying an e-mail", deadline, move |change| user::verify_email(change, id))
    }

    fn change_password(
        &self,
        wanted: PasswordChange,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>> {
        self.change("changing a password", deadline, move |change| {
            user::change_password(change, &wanted)
        })
    }

    fn upgrade_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.change("upgrading a hash", deadline, move |change| {
            user::upgrade_hash(change.conn, id, &old, &new)
        })
    }

    fn import_users(
        &self,
        users: Vec<ImportUser>,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>> {
        self.change("importing users", deadline, move |change| user::import(change, &users))
    }

    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>> {
        self.look("listing kinds of hashes", deadline, user::list_hash_kinds)
    }
}

impl MirrorStore for SqliteRecord {
    fn find_mirrored(
        &self,
        keys: MirrorKeys,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<MirrorFound>> {
        self.look("finding a mirrored user", deadline, move |conn| mirror::find(conn, &keys))
    }

    fn update_mirrored(
        &self,
        update: MirrorUpdate,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("mirroring a user", deadline, move |change| mirror::update(change, &update))
    }

    fn list_standings(
        &self,
        query: StandingQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, StandingPage> {
        self.look("listing mirrored users", deadline, move |conn| {
            mirror::list_standings(conn, &query)
        })
    }

    fn note_standings(
        &self,
        note: StandingNote,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<UserId>> {
        self.change("noting who is asked about", deadline, move |change| {
            mirror::note_standings(change, &note)
        })
    }
}

impl SessionStore for SqliteRecord {
    fn create_session(
        &self,
        new: NewSession,
        prefix: AddressPrefix,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>> {
        self.change("creating a session", deadline, move |change| {
            session::create(change, &new, prefix)
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
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>> {
        self.change("ending sessions", deadline, move |change| session::end(change, which, now))
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
    fn rotate(&self, rotation: Rotation, deadline: Deadline) -> StoreResult<'_, Written<Rotated>> {
        self.change("exchanging a refresh token", deadline, move |change| {
            token::rotate(change, &rotation)
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

    fn add_key(&self, key: StoredKey, deadline: Deadline) -> StoreResult<'_, bool> {
        self.change("storing a signing key", deadline, move |change| token::add_key(change, &key))
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
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.change("noting failures", deadline, move |change| {
            throttle::append(change.conn, by, &failures)
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

    fn sweep(&self, before: Timestamp, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep> {
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
