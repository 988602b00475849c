//! Users of the reference record.
//!
//! What is unique is looked up and written under one lock, as a database does by an index.

use nightlatch_core::{
    Actor, AddressPrefix, AuditAction, ChangedPassword, CreateUser, Credentials, Deadline, Email,
    FeedKind, Generation, Groups, HashKind, ImportOutcome, ImportUser, KNOWN_PREFIX_RETENTION,
    LoginName, NewUser, PasswordChange, PasswordHash, StoreResult, Timestamp, User, UserId,
    UserStore, Written,
};

use super::audit::About;
use super::{MemoryRecord, State, UserRow};

impl UserStore for MemoryRecord {
    fn find_credentials<'a>(
        &'a self,
        name: &'a LoginName,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'a, Option<Credentials>> {
        self.run("finding a user", deadline, move |state| {
            let id = match name {
                LoginName::Username(folded) => state.names.get(folded),
                LoginName::Email(folded) => state.emails.get(folded),
                LoginName::Impossible(_) => None,
            };
            state.credentials(*id?, prefix, now)
        })
    }

    fn find_credentials_by_id(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Credentials>> {
        self.run("finding a user", deadline, move |state| state.credentials(id, prefix, now))
    }

    fn create_user(
        &self,
        user: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, CreateUser> {
        self.run("creating a user", deadline, move |state| {
            if state.names.contains_key(user.username.folded()) {
                return CreateUser::UsernameTaken;
            }
            if state.email_owner(&user).is_some() {
                return CreateUser::EmailTaken;
            }
            if user.subject.is_some() && state.users.values().any(|row| row.subject == user.subject)
            {
                return CreateUser::SubjectTaken;
            }
            CreateUser::Created(state.insert_user(user, &by))
        })
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<User>> {
        self.run("listing users", deadline, move |state| {
            let page = state.names.iter().filter(|(name, _)| after < Some(name.as_str()));
            page.take(limit as usize).map(|(_, id)| state.users[id].user.clone()).collect()
        })
    }

    fn set_enabled(
        &self,
        id: UserId,
        enabled: bool,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.run("enabling or disabling a user", deadline, move |state| {
            let now = state.now();
            state.users.get(&id)?;
            let row = if enabled {
                state.append(FeedKind::UserEnabled(id), now)
            } else {
                state.raise_generation(id, FeedKind::UserDisabled, now)?.1
            };
            let user = &mut state.users.get_mut(&id)?.user;
            user.enabled = enabled;
            let value = user.clone();
            let action = if enabled { AuditAction::UserEnabled } else { AuditAction::UserDisabled };
            state.audit(action, About::user(&value), &by, now);
            Some(Written { value, rows: vec![row] })
        })
    }

    fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        self.run("deleting a user", deadline, move |state| {
            // The feed row is written while there still is a generation to name.
            let raised = state.raise_generation(id, FeedKind::UserDisabled, state.now());
            let (Some((_, row)), Some(gone)) = (raised, state.users.remove(&id)) else {
                return Written { value: false, rows: Vec::new() };
            };
            state.names.remove(gone.user.username.folded());
            if let Some(email) = &gone.user.email {
                state.emails.remove(email.folded());
            }
            state.prefixes.retain(|(owner, _), _| *owner != id);
            state.audit(AuditAction::UserDeleted, About::user(&gone.user), &by, state.now());
            Written { value: true, rows: vec![row] }
        })
    }

    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.run("setting groups", deadline, move |state| {
            let user = &mut state.users.get_mut(&id)?.user;
            user.groups = groups;
            let value = user.clone();
            let detail = Some(value.groups.as_slice().join(","));
            let about = About { detail, ..About::user(&value) };
            state.audit(AuditAction::GroupsChanged, about, &by, state.now());
            Some(Written {
                value,
                rows: vec![state.append(FeedKind::RefetchUser(id), state.now())],
            })
        })
    }

    fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.run("verifying an e-mail", deadline, move |state| {
            let user = &mut state.users.get_mut(&id)?.user;
            user.email.as_ref()?;
            user.email_verified = true;
            let value = user.clone();
            state.audit(AuditAction::EmailVerified, About::user(&value), &by, state.now());
            Some(Written {
                value,
                rows: vec![state.append(FeedKind::RefetchUser(id), state.now())],
            })
        })
    }

    fn change_password(
        &self,
        change: PasswordChange,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>> {
        self.run("changing a password", deadline, move |state| state.change_password(change, &by))
    }

    fn upgrade_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.run("upgrading a hash", deadline, move |state| {
            let Some(row) = state.users.get_mut(&id) else { return false };
            let is_old = row.hash.as_ref() == Some(&old);
            if is_old {
                row.hash = Some(new);
            }
            is_old
        })
    }

    fn import_users(
        &self,
        users: Vec<ImportUser>,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>> {
        self.run("importing users", deadline, move |state| {
            users.into_iter().map(|user| state.import_user(user, &by)).collect()
        })
    }

    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>> {
        self.run("listing kinds of hashes", deadline, |state| {
            let hashes = state.users.values().filter_map(|row| row.hash.as_ref());
            let mut kinds: Vec<HashKind> = hashes.map(PasswordHash::kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        })
    }
}

impl State {
    fn credentials(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
    ) -> Option<Credentials> {
        let row = self.users.get(&id)?;
        let seen_at = self.prefixes.get(&(id, *prefix.as_bytes()));
        Some(Credentials {
            user: row.user.clone(),
            hash: row.hash.clone(),
            subject: row.subject.clone(),
            prefix_is_known: seen_at.is_some_and(|at| at.after(KNOWN_PREFIX_RETENTION) > now),
        })
    }

    fn email_owner(&self, user: &NewUser) -> Option<UserId> {
        self.emails.get(user.email.as_ref()?.folded()).copied()
    }

    fn insert_user(&mut self, new: NewUser, by: &Actor) -> User {
        let user = User {
            id: new.id,
            username: new.username,
            email: new.email,
            email_verified: new.email_verified,
            name: new.name,
            groups: new.groups,
            generation: Generation(1),
            enabled: new.enabled,
            created_at: new.created_at,
        };
        self.names.insert(user.username.folded().to_owned(), user.id);
        if let Some(email) = &user.email {
            self.emails.insert(email.folded().to_owned(), user.id);
        }
        let row =
            UserRow { user: user.clone(), hash: new.hash, subject: new.subject, asked_at: None };
        self.users.insert(user.id, row);
        self.audit(AuditAction::UserCreated, About::user(&user), by, self.now());
        user
    }

    fn import_user(&mut self, new: ImportUser, by: &Actor) -> ImportOutcome {
        if let Some(id) = self.names.get(new.username.folded()) {
            let there = self.users[id].user.email.as_ref();
            let same = there.map(Email::folded) == new.email.as_ref().map(Email::folded);
            return if same { ImportOutcome::Present } else { ImportOutcome::UsernameTaken };
        }
        if self.email_owner(&new).is_some() {
            return ImportOutcome::EmailTaken;
        }
        self.insert_user(new, by);
        ImportOutcome::Created
    }

    fn change_password(
        &mut self,
        change: PasswordChange,
        by: &Actor,
    ) -> Option<Written<ChangedPassword>> {
        let id = change.user_id;
        let row = self.users.get(&id).filter(|row| row.subject.is_none())?;
        let user = &row.user;
        let holds = |generation| user.enabled && generation == user.generation;
        if !change.verified_at.is_none_or(holds) {
            return None;
        }
        let (_, row) = self.raise_generation(id, FeedKind::UserBelow, self.now())?;
        let changed = self.users.get_mut(&id)?;
        changed.hash = Some(change.hash);
        let user = changed.user.clone();
        self.audit(AuditAction::PasswordChanged, About::user(&user), by, self.now());
        let next = change.next_session.and_then(|next| {
            let id = next.session.id;
            self.insert_session(next, user.generation);
            self.found(id)
        });
        Some(Written { value: ChangedPassword { user, next }, rows: vec![row] })
    }
}
