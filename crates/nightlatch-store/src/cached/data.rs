//! Sessions of other applications, with copies in front: judged by the same rule as all others.
//!
//! What differs: anybody may save at any time, so a copy proves no expiry, and each save is a row of the
//! feed that outdates the copies of before. Nothing of them is shared over Redis.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::coherence::{Stamp, Verdict};
use nightlatch_core::{
    ApplicationSession, DataStore, Deadline, FailureClass, NewApplicationSession, Outcome,
    SaveData, StoreError, StoreErrorKind, StoreResult, Timestamp, TokenHash, Written,
};

use super::copies::{Copies, Copy};
use super::flights::{Boarding, Flights, Landing};
use super::{CachedRecord, Found, ROUNDS_MAX, Source, too_stale};

const FINDING: &str = "finding an application's session";
const DELETING: &str = "deleting an application's session";

/// Copies of them, and loads on their way.
pub(super) struct Data {
    pub(super) copies: Copies<ApplicationSession>,
    pub(super) flights: Flights<ApplicationSession>,
}

/// What a copy tells.
enum Known {
    Good(Arc<ApplicationSession>),
    Ended,
    /// The feed must be looked at first.
    Unconfirmed,
    TooStale,
    /// The record must be asked.
    Nothing,
}

type Answer = Result<Option<Arc<ApplicationSession>>, StoreError>;

impl Data {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { copies: Copies::new(bytes_max), flights: Flights::default() }
    }
}

impl DataStore for CachedRecord {
    fn create_data(
        &self,
        session: NewApplicationSession,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<ApplicationSession>> {
        Box::pin(async move {
            let (token, began) = (session.token, self.now());
            let created = self.heard(self.record.create_data(session, deadline).await)?;
            if let Some(created) = &created {
                self.tallies.started();
                self.keep_data(token, created, began);
            }
            Ok(created)
        })
    }

    fn find_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<ApplicationSession>>> {
        self.note_use();
        Box::pin(async move {
            let mut source = Source::Memory;
            let found = self.find_data_by(&mut source, token, now, deadline).await;
            self.tallies.looked_up(source, Found::of(&found));
            found
        })
    }

    fn save_data(
        &self,
        save: SaveData,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ApplicationSession>>> {
        Box::pin(async move {
            let (token, began) = (save.token, self.now());
            let saved = self.heard(self.record.save_data(save, deadline).await)?;
            let saved = saved.map(|saved| self.wrote(saved));
            match &saved {
                Some(saved) => _ = self.keep_data(token, &saved.value, began),
                // It has ended, wherever: a copy is of before that.
                None => self.data.copies.drop_one(&token),
            }
            Ok(saved)
        })
    }

    fn delete_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        Box::pin(async move {
            let deleted = self.record.delete_data(token, now, deadline).await;
            // Whatever became of it: from now on the record is asked.
            self.data.copies.drop_one(&token);
            let deleted = self.wrote(self.heard(deleted)?);
            if deleted.rows.is_empty() {
                // It may have ended elsewhere: loads that are under way must be bound by that row
                // before this is told.
                self.catch_up_now(DELETING, deadline).await?;
            }
            Ok(deleted)
        })
    }
}

impl CachedRecord {
    async fn find_data_by(
        &self,
        source: &mut Source,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> Answer {
        for _ in 0..ROUNDS_MAX {
            let mut known = self.known_data(&token, now);
            if matches!(known, Known::Unconfirmed) {
                let looked = self.look_now(deadline).await;
                // Whoever waited in vain may know by now that the record does not answer.
                known = self.known_data(&token, now);
                if matches!(known, Known::Unconfirmed | Known::Nothing) {
                    looked?;
                }
            }
            match known {
                Known::Good(found) => return Ok(Some(found)),
                Known::Ended => return Ok(None),
                Known::TooStale => return Err(too_stale()),
                Known::Unconfirmed => continue,
                Known::Nothing => {}
            }
            *source = Source::Record;
            match self.load_data(token, now, deadline).await {
                Ok((None, _)) => {
                    self.data.copies.drop_one(&token);
                    return Ok(None);
                }
                Ok((Some(found), began)) => {
                    match self.keep_data(token, &found, began) {
                        // A load that was joined was asked of a moment ago.
                        Verdict::Believed | Verdict::BelievedStale if found.expires_at > now => {
                            return Ok(Some(found));
                        }
                        Verdict::Revoked => return Ok(None),
                        Verdict::Believed
                        | Verdict::BelievedStale
                        | Verdict::Miss
                        | Verdict::Unconfirmed
                        | Verdict::TooStale => {
                            self.look_now(deadline).await?;
                        }
                    }
                }
                Err(error) => {
                    self.note_failure(&error);
                    let Known::Good(found) = self.known_data(&token, now) else {
                        return Err(error);
                    };
                    *source = Source::Memory;
                    return Ok(Some(found));
                }
            }
        }
        let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Busy);
        Err(StoreError::new(kind, class, Outcome::NotApplied, FINDING))
    }

    fn known_data(&self, token: &TokenHash, now: Timestamp) -> Known {
        let Some(copy) = self.data.copies.find(token) else {
            let wants_view = self.rule().wants_view(self.now());
            return if wants_view { Known::Unconfirmed } else { Known::Nothing };
        };
        match self.judge_stamp(&Stamp::of_application(&copy.found, copy.read_at)) {
            Verdict::Revoked => Known::Ended,
            // Somebody may have made it live longer.
            _ if copy.found.expires_at <= now => Known::Nothing,
            Verdict::Believed | Verdict::BelievedStale => Known::Good(copy.found),
            Verdict::Unconfirmed => Known::Unconfirmed,
            Verdict::TooStale => Known::TooStale,
            Verdict::Miss => Known::Nothing,
        }
    }

    /// Asks the record; those who ask for the same at the same moment share one answer. With when it was
    /// asked.
    async fn load_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(Option<Arc<ApplicationSession>>, Duration), StoreError> {
        // A leader that goes away leaves its place to one of those who followed.
        for _ in 0..ROUNDS_MAX {
            match self.data.flights.board(token, self.now()) {
                Boarding::Lead(lead) => {
                    let began = lead.began();
                    let answer = self.record.find_data(token, now, deadline).await;
                    return lead.land(answer).map(|found| (found, began));
                }
                Boarding::Follow(flight) => {
                    let span = deadline.remaining(self.clock.clock());
                    let began = flight.began();
                    match tokio::time::timeout(span, flight.landed()).await {
                        Ok(Landing::Found(found)) => return Ok((found, began)),
                        Ok(Landing::Failed(error)) => return Err(StoreError::shared(&error)),
                        Ok(Landing::Lost) => {}
                        Err(_elapsed) => break,
                    }
                }
            }
        }
        let (kind, class) = (StoreErrorKind::Deadline, FailureClass::Timeout);
        Err(StoreError::new(kind, class, Outcome::NotApplied, FINDING))
    }

    /// Keeps a copy of what the record was asked for, or told to write, at `began`, if it is believed.
    fn keep_data(&self, token: TokenHash, found: &ApplicationSession, began: Duration) -> Verdict {
        let stamp = Stamp::of_application(found, began);
        let verdict = self.rule_mut().judge_answer(&stamp);
        self.note_ahead(&stamp);
        if matches!(verdict, Verdict::Believed | Verdict::BelievedStale) {
            let found = Arc::new(found.clone());
            self.data.copies.keep(token, Copy { found, read_at: began });
        }
        verdict
    }
}
