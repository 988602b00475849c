//! The ports to users and mirrored users, answered by SQLite.

use std::sync::Arc;

use nightlatch_core::{
    Actor, AddressPrefix, ChangedPassword, CreateUser, Credentials, Deadline, Groups, HashKind,
    ImportOutcome, ImportUser, LoginName, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate,
    NewUser, PasswordChange, PasswordHash, StandingNote, StandingPage, StandingQuery, StoreResult,
    Timestamp, User, UserId, UserStore, Written,
};

use super::super::failure::class_of;
use super::super::user::Whom;
use super::super::{SqliteRecord, mirror, user};

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

    fn create_user(
        &self,
        new: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, CreateUser> {
        self.change("creating a user", deadline, move |change| user::create(change, &new, &by))
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
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("enabling or disabling a user", deadline, move |change| {
            user::set_enabled(change, id, enabled, &by)
        })
    }

    fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        self.change("deleting a user", deadline, move |change| user::delete(change, id, &by))
    }

    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("setting groups", deadline, move |change| {
            user::set_groups(change, id, &groups, &by)
        })
    }

    fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.change("verifying an e-mail", deadline, move |change| {
            user::verify_email(change, id, &by)
        })
    }

    fn change_password(
        &self,
        wanted: PasswordChange,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>> {
        self.change("changing a password", deadline, move |change| {
            user::change_password(change, &wanted, &by)
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
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>> {
        self.change("importing users", deadline, move |change| user::import(change, &users, &by))
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
