//! Mirrored users of the reference record.

use nightlatch_core::{
    Deadline, Email, FeedKind, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, Mirrored,
    StandingNote, StandingPage, StandingQuery, StoreResult, Timestamp, User, UserId, Written,
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

    fn list_standings(
        &self,
        query: StandingQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, StandingPage> {
        self.run("listing mirrored users", deadline, move |state| state.standings(&query))
    }

    fn note_standings(
        &self,
        note: StandingNote,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<UserId>> {
        self.run("noting who is asked about", deadline, move |state| {
            let StandingNote { mut ids, asked_before, now, asked_at } = note;
            ids.retain(|id| {
                let row = state.users.get_mut(id);
                let is_due = |at: Timestamp| at <= asked_before || at > now;
                let row = row.filter(|row| row.asked_at.is_none_or(is_due));
                row.map(|row| row.asked_at = Some(asked_at)).is_some()
            });
            ids
        })
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

    fn standings(&self, query: &StandingQuery) -> StandingPage {
        let mut rows: Vec<_> = self
            .users
            .values()
            .filter(|row| row.user.enabled && row.hash.is_none())
            .filter_map(|row| Some((row.subject.as_ref()?, row)))
            .filter(|(subject, _)| query.after.as_ref().is_none_or(|after| *subject > after))
            .collect();
        rows.sort_unstable_by_key(|(subject, _)| *subject);
        rows.truncate(query.limit as usize);
        let is_full = rows.len() == query.limit as usize;
        let next = rows.last().filter(|_| is_full).map(|(subject, _)| (*subject).clone());
        let due = rows.into_iter().filter(|(_, row)| self.is_due(row, query));
        let due = due.map(|(subject, row)| Mirrored {
            id: row.user.id,
            subject: subject.clone(),
            username: row.user.username.clone(),
        });
        StandingPage { due: due.collect(), next }
    }

    fn is_due(&self, row: &super::UserRow, query: &StandingQuery) -> bool {
        let asked_at = row.asked_at.filter(|at| *at <= query.now);
        let asked_at = asked_at.unwrap_or(Timestamp::from_micros(0));
        let live = || {
            self.sessions
                .values()
                .filter(|it| it.session.user_id == row.user.id && self.lives(it))
                .map(|it| &it.session)
                .filter(|session| session.expires_at > query.now)
        };
        let is_used =
            live().any(|session| session.last_seen_at.after(query.noted_within) >= asked_at);
        let is_vouched_for = live().any(|session| session.created_at > query.asked_before);
        asked_at <= query.asked_before && is_used && !is_vouched_for
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
