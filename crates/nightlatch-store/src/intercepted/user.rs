//! Users, behind an interceptor.
//!
//! Kept apart from the other ports, of which there are many.

use nightlatch_core::{
    Actor, AddressPrefix, ChangedPassword, CreateUser, Credentials, Deadline, Groups, HashKind,
    ImportOutcome, ImportUser, LoginName, NewUser, PasswordChange, PasswordHash, StoreResult,
    Timestamp, User, UserId, UserStore, Written,
};

use super::InterceptedRecord;

impl UserStore for InterceptedRecord {
    fn find_credentials<'a>(
        &'a self,
        name: &'a LoginName,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'a, Option<Credentials>> {
        self.pass(("find_credentials", deadline), move |record| {
            record.find_credentials(name, prefix, now, deadline)
        })
    }

    fn find_credentials_by_id(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Credentials>> {
        self.pass(("find_credentials_by_id", deadline), move |record| {
            record.find_credentials_by_id(id, prefix, now, deadline)
        })
    }

    fn create_user(
        &self,
        user: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, CreateUser> {
        self.pass(("create_user", deadline), move |record| record.create_user(user, by, deadline))
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<User>> {
        self.pass(("list_users", deadline), move |record| record.list_users(after, limit, deadline))
    }

    fn set_enabled(
        &self,
        id: UserId,
        enabled: bool,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.pass(("set_enabled", deadline), move |record| {
            record.set_enabled(id, enabled, by, deadline)
        })
    }

    fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        self.pass(("delete_user", deadline), move |record| record.delete_user(id, by, deadline))
    }

    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.pass(("set_groups", deadline), move |record| {
            record.set_groups(id, groups, by, deadline)
        })
    }

    fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.pass(("verify_email", deadline), move |record| record.verify_email(id, by, deadline))
    }

    fn change_password(
        &self,
        change: PasswordChange,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>> {
        self.pass(("change_password", deadline), move |record| {
            record.change_password(change, by, deadline)
        })
    }

    fn upgrade_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.pass(("upgrade_hash", deadline), move |record| {
            record.upgrade_hash(id, old, new, deadline)
        })
    }

    fn import_users(
        &self,
        users: Vec<ImportUser>,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>> {
        self.pass(("import_users", deadline), move |record| {
            record.import_users(users, by, deadline)
        })
    }

    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>> {
        self.pass(("list_hash_kinds", deadline), move |record| record.list_hash_kinds(deadline))
    }
}
