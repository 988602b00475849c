//! Standing: whether those for whom another service has vouched may still be logged in.
//!
//! Only its "no" ends anything: a service that is away, or answers what makes no sense, changes nothing.
//! Whom one node asks about the others leave alone, since the record says when somebody was asked about.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;

use super::Service;
use super::delegated_login::update_due;
use super::record_budget::RecordBudget;
use crate::{
    AuthServiceError, Deadline, MirrorKeys, Mirrored, Person, SessionEnd, Standing, StandingNote,
    StandingPage, StandingQuery, StoreError, Subject, UserId,
};

/// Mirrored users that are looked at in one page.
const PAGE_USERS: u32 = 500;

/// Whom the service could not be asked about is due again after this, or after the usual span.
const AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Uses are gathered for ten seconds, and written every five.
const USES_NOTED_WITHIN: Duration = Duration::from_secs(15);

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
    /// Those of the next page of mirrored users who are this node's to ask about: they have a session that
    /// was used since they were last asked about, and that was `every` ago or more.
    ///
    /// # Errors
    /// The record's.
    pub async fn claim_standings(
        &self,
        every: Duration,
        after: Option<Subject>,
        deadline: Deadline,
    ) -> Result<StandingPage, StoreError> {
        if !self.ports.clock.is_told() {
            // A wrong time would be noted, and whoever was asked about then never again.
            return Ok(StandingPage { due: Vec::new(), next: None });
        }
        let now = self.now();
        let asked_before = now.before(every);
        let query = StandingQuery {
            after,
            asked_before,
            now,
            noted_within: USES_NOTED_WITHIN,
            limit: PAGE_USERS,
        };
        let mut page = self.ports.record.list_standings(query, deadline).await?;
        if !page.due.is_empty() {
            let ids = page.due.iter().map(|who| who.id).collect();
            let note = StandingNote { ids, asked_before, asked_at: now };
            let noted = self.ports.record.note_standings(note, deadline).await?;
            let noted: BTreeSet<UserId> = noted.into_iter().collect();
            page.due.retain(|who| noted.contains(&who.id));
        }
        Ok(page)
    }

    /// Asks about one of them. Whoever may be logged in no more is logged out everywhere; of the others
    /// it is written what the service knows.
    ///
    /// # Errors
    /// [`RecheckError`]; then nothing has ended.
    pub async fn recheck_standing(
        &self,
        who: &Mirrored,
        deadline: Deadline,
    ) -> Result<Rechecked, RecheckError> {
        let Some(by) = &self.ports.auth_service else { return Ok(Rechecked::Good) };
        let mut budget = RecordBudget::of(deadline);
        match by.standing(&who.subject, budget.before_last_calls(self.clock())).await? {
            Standing::Good(person) => {
                self.follow(who, &person, &mut budget).await?;
                Ok(Rechecked::Good)
            }
            Standing::Ended => {
                let (end, now) = (SessionEnd::AllOf(who.id), self.now());
                let end = |deadline| self.ports.record.end_sessions(end, now, deadline);
                Ok(Rechecked::Ended(budget.spend(self.clock(), end).await?.value))
            }
        }
    }

    /// Those whom the service could not be asked about are due again soon.
    ///
    /// # Errors
    /// The record's; then they are due when the usual span is over.
    pub async fn postpone_standings(
        &self,
        ids: Vec<UserId>,
        every: Duration,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let asked_at = now.before(every.saturating_sub(AGAIN_AFTER));
        let note = StandingNote { ids, asked_before: now, asked_at };
        self.ports.record.note_standings(note, deadline).await?;
        Ok(())
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
