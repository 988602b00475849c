//! Standing: whether those for whom another service has vouched may still be logged in.
//!
//! Only its "no" ends anything: a service that is away, or answers what makes no sense, changes nothing.
//! A node claims those whom it asks about for a minute in the record, so that the others leave them alone,
//! and only who was answered for, and written, counts as asked about.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;

use super::Service;
use super::delegated_login::update_due;
use super::record_budget::RecordBudget;
use crate::{
    Actor, AuthServiceError, Deadline, MirrorKeys, Mirrored, Person, SessionEnd, Standing,
    StandingNote, StandingPage, StandingQuery, StoreError, Subject, Timestamp, UserId,
};

/// Mirrored users that are looked at in one page.
const PAGE_USERS: u32 = 500;

/// Whoever was claimed and not answered for is due again after this, or after the usual span.
const LEASE: Duration = Duration::from_mins(1);

/// Uses are gathered for ten seconds, and written every five.
const USES_NOTED_WITHIN: Duration = Duration::from_secs(15);

/// Sessions of one user that are ended one by one, and how often more of them are looked for.
const SESSIONS_PER_ROUND: u32 = 100;
const SESSION_ROUNDS_MAX: usize = 10;

/// What the service said of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rechecked {
    /// They may be logged in.
    Good,
    /// They may not, and so many sessions have ended.
    Ended(u64),
}

/// Why it is not known, or could not be written, how somebody stands.
#[derive(Debug, Error)]
pub enum RecheckError {
    /// The service could not be asked.
    #[error(transparent)]
    AuthService(#[from] AuthServiceError),
    /// The record failed.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl Service {
    /// Those of the next page of mirrored users who are due: they have a session that was used since they
    /// were last asked about, and that, as their last login, was `every` ago or more.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_standings(
        &self,
        every: Duration,
        after: Option<Subject>,
        deadline: Deadline,
    ) -> Result<StandingPage, StoreError> {
        let now = self.now();
        let query = StandingQuery {
            after,
            asked_before: now.before(every),
            now,
            // Who carries an access token is heard of when it is exchanged.
            noted_within: USES_NOTED_WITHIN + self.policy.access_age,
            limit: PAGE_USERS,
        };
        self.ports.record.list_standings(query, deadline).await
    }

    /// Which of these are this node's to ask about. It has a minute for them.
    ///
    /// # Errors
    /// The record's; then they are due in a minute.
    pub async fn claim_standings(
        &self,
        mut due: Vec<Mirrored>,
        every: Duration,
        deadline: Deadline,
    ) -> Result<Vec<Mirrored>, StoreError> {
        let now = self.now();
        let note = StandingNote {
            ids: due.iter().map(|who| who.id).collect(),
            asked_before: now.before(every),
            now,
            asked_at: now.before(every.saturating_sub(LEASE)),
        };
        let claimed = self.ports.record.note_standings(note, deadline).await?;
        let claimed: BTreeSet<UserId> = claimed.into_iter().collect();
        due.retain(|who| claimed.contains(&who.id));
        Ok(due)
    }

    /// Asks about one of them. Whoever may be logged in no more is logged out everywhere; of the others
    /// it is written what the service knows. `None`: there is no service to ask.
    ///
    /// # Errors
    /// [`RecheckError`]; then what has not ended yet is ended when they are asked about again.
    pub async fn recheck_standing(
        &self,
        who: &Mirrored,
        deadline: Deadline,
    ) -> Result<Option<Rechecked>, RecheckError> {
        let Some(by) = &self.ports.auth_service else { return Ok(None) };
        let mut budget = RecordBudget::of(deadline);
        let asked_at = self.now();
        match by.standing(&who.subject, budget.before_last_calls(self.clock())).await? {
            Standing::Good(person) => {
                self.follow(who, &person, &mut budget).await?;
                Ok(Some(Rechecked::Good))
            }
            Standing::Ended => {
                let ended = self.end_sessions_before(who.id, asked_at, &mut budget).await?;
                Ok(Some(Rechecked::Ended(ended)))
            }
        }
    }

    /// Notes for whom the service has answered.
    ///
    /// # Errors
    /// The record's; then they are asked about again in a minute.
    pub async fn note_standings(
        &self,
        ids: Vec<UserId>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let note = StandingNote { ids, asked_before: now, now, asked_at: now };
        self.ports.record.note_standings(note, deadline).await?;
        Ok(())
    }

    /// Ends what the service was asked about. For a login since then it has vouched anew, or it was by a
    /// password here.
    async fn end_sessions_before(
        &self,
        id: UserId,
        asked_at: Timestamp,
        budget: &mut RecordBudget,
    ) -> Result<u64, StoreError> {
        let record = &self.ports.record;
        let mut ended = 0;
        for _ in 0..SESSION_ROUNDS_MAX {
            let now = self.now();
            let list = |deadline| record.list_sessions(id, now, SESSIONS_PER_ROUND, deadline);
            let mut sessions = budget.spend(self.clock(), list).await?;
            sessions.retain(|session| session.created_at <= asked_at);
            if sessions.is_empty() {
                break;
            }
            for session in sessions {
                let end = SessionEnd::OneOf(id, session.id);
                let by = Actor::auth_service();
                let end = |deadline| record.end_sessions(end, now, by, deadline);
                ended += budget.spend(self.clock(), end).await?.value;
            }
        }
        Ok(ended)
    }

    async fn follow(
        &self,
        who: &Mirrored,
        person: &Person,
        budget: &mut RecordBudget,
    ) -> Result<(), StoreError> {
        let username = person.username.clone().unwrap_or_else(|| who.username.clone());
        let keys = MirrorKeys {
            subject: person.subject.clone(),
            username: username.clone(),
            email: person.email.clone(),
        };
        let find = |deadline| self.ports.record.find_mirrored(keys, deadline);
        let found = budget.spend(self.clock(), find).await?;
        if let Some(update) = update_due(person, &username, &found) {
            let update = |deadline| self.ports.record.update_mirrored(update, deadline);
            // Somebody who has taken the name meanwhile keeps it; the next round looks again.
            budget.spend(self.clock(), update).await?;
        }
        Ok(())
    }
}
