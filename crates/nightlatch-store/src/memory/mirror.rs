//! Mirrored users of the reference record.

use nightlatch_core::{
    Deadline, Email, FeedKind, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, StoreResult,
    User, UserId, Written,
};

use super::{MemoryRecord, State};

impl MirrorStore for MemoryRecord {
    fn find_mirrored(
        &self,
        keys: MirrorKeys,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<MirrorFound>> {
        self.run("finding a mirrored user", deadline, move |state| {
            let ids = state.owners(&keys);
            ids.into_iter().map(|id| state.mirror_found(id)).collect()
        })
    }

    fn update_mirrored(
        &self,
        update: MirrorUpdate,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        self.run("mirroring a user", deadline, move |state| state.update_mirrored(update))
    }
}

impl State {
    /// Who has one of these keys.
    fn owners(&self, keys: &MirrorKeys) -> Vec<UserId> {
        let owns = |(id, row): (&UserId, &super::UserRow)| {
            let email = |user: &User| user.email.as_ref().map(|own| own.folded().to_owned());
            let is_owner = row.subject.as_ref() == Some(&keys.subject)
                || row.user.username.folded() == keys.username.folded()
                || keys.email.is_some()
                    && email(&row.user).as_deref() == keys.email.as_ref().map(Email::folded);
            is_owner.then_some(*id)
        };
        self.users.iter().filter_map(owns).collect()
    }

    fn mirror_found(&self, id: UserId) -> MirrorFound {
        let row = &self.users[&id];
        MirrorFound {
            user: row.user.clone(),
            subject: row.subject.clone(),
            has_password: row.hash.is_some(),
        }
    }

    fn update_mirrored(&mut self, update: MirrorUpdate) -> Option<Written<User>> {
        let MirrorUpdate { id, subject, username, email, .. } = update;
        let keys = MirrorKeys {
            subject: subject.clone(),
            username: username.clone(),
            email: email.clone(),
        };
        let is_taken = self.owners(&keys).iter().any(|owner| *owner != id);
        let row = self.users.get_mut(&id)?;
        let is_anothers = row.subject.as_ref().is_some_and(|own| *own != subject);
        if is_taken || is_anothers || row.hash.is_some() {
            return None;
        }
        let (old_name, old_email) = (row.user.username.clone(), row.user.email.clone());
        row.subject = Some(subject);
        row.user.username = username;
        row.user.email = email;
        row.user.email_verified = update.email_verified;
        row.user.name = update.name;
        row.user.groups = update.groups;
        let value = row.user.clone();
        self.names.remove(old_name.folded());
        self.names.insert(value.username.folded().to_owned(), id);
        if let Some(old) = old_email {
            self.emails.remove(old.folded());
        }
        if let Some(email) = &value.email {
            self.emails.insert(email.folded().to_owned(), id);
        }
        let row = self.append(FeedKind::RefetchUser(id), self.now());
        Some(Written { value, rows: vec![row] })
    }
}
