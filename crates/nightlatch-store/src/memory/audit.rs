//! The audit log of the reference record.

use nightlatch_core::{
    Actor, AuditAction, AuditEntry, AuditId, AuditPage, AuditQuery, AuditStore, AuditedFailure,
    AuditedUser, Deadline, SessionId, StoreResult, Timestamp, User, UserId,
};

use super::{MemoryRecord, State};

/// What an entry is about.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) user: Option<UserId>,
    pub(super) session: Option<SessionId>,
    pub(super) count: Option<u64>,
    pub(super) detail: Option<String>,
    /// Of a user who is gone by now.
    pub(super) username: Option<String>,
}

impl About {
    pub(super) fn user(user: &User) -> Self {
        Self {
            user: Some(user.id),
            username: Some(user.username.as_str().to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn session(user: UserId, session: SessionId) -> Self {
        Self { user: Some(user), session: Some(session), ..Self::default() }
    }
}

impl AuditStore for MemoryRecord {
    fn list_audit(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<AuditEntry>> {
        self.run("reading the audit log", deadline, move |state| {
            let is_wanted = |entry: &&AuditEntry| {
                query.user.as_ref().is_none_or(|user| match user {
                    AuditedUser::Id(id) => entry.user == Some(*id),
                    AuditedUser::Name(name) => entry.username.as_ref() == Some(name),
                }) && (query.actions.is_empty()
                    || query.actions.iter().any(|action| action.as_str() == entry.action))
                    && query.since.is_none_or(|since| entry.at >= since)
                    && query.until.is_none_or(|until| entry.at < until)
                    && match query.page {
                        AuditPage::Newest => true,
                        AuditPage::Below(id) => entry.id < id,
                        AuditPage::Above(id) => entry.id > id,
                    }
            };
            let rising = state.audit.values().filter(is_wanted).cloned();
            let limit = query.limit as usize;
            match query.page {
                AuditPage::Above(_) => rising.take(limit).collect(),
                AuditPage::Newest | AuditPage::Below(_) => rising.rev().take(limit).collect(),
            }
        })
    }
}

impl State {
    /// Writes an entry.
    pub(super) fn audit(&mut self, action: AuditAction, about: About, by: &Actor, at: Timestamp) {
        let named = about.user.and_then(|id| self.users.get(&id));
        let username = named.map(|row| row.user.username.as_str().to_owned());
        let id = AuditId(self.audited_to.0 + 1);
        self.audited_to = id;
        let entry = AuditEntry {
            id,
            at,
            action: action.as_str().to_owned(),
            user: about.user,
            username: username.or(about.username),
            session: about.session,
            count: about.count,
            detail: about.detail,
            by: by.clone(),
        };
        self.audit.insert(id, entry);
    }

    pub(super) fn audit_failure(&mut self, failure: AuditedFailure) {
        let AuditedFailure { at, tried, count } = failure;
        let (user, username) = tried.user.unzip();
        let username = username.map(|name| name.as_str().to_owned());
        let count = Some(count).filter(|count| *count != 1);
        let about = About { user, count, username, ..About::default() };
        self.audit(AuditAction::LoginFailed, about, &tried.by, at);
    }

    /// Looks at the oldest `limit` entries.
    pub(super) fn sweep_audit(&mut self, before: Timestamp, limit: u32) -> u64 {
        let oldest = self.audit.values().take(limit as usize);
        let old: Vec<AuditId> =
            oldest.filter(|entry| entry.at < before).map(|entry| entry.id).collect();
        for id in &old {
            self.audit.remove(id);
        }
        old.len() as u64
    }
}
