//! The record with copies of its sessions in memory: each is believed as far as the coherence rule
//! allows, and the record is asked for the rest.
//!
//! A session check is the most frequent request of all and changes nothing, so it should cost no
//! visit to the record; yet a logout on another node must bind here within two seconds, and a
//! record that is away must sign nobody out. Which copies may be believed is decided by
//! [`Coherence`] alone. This file asks it about every copy and
//! every answer; [`tail`](CachedRecord::tail) keeps it informed.
//!
//! A cached record is a record: whatever does not concern copies goes straight through, see
//! `cached/ports.rs`.

mod copies;
mod data;
mod flights;
mod mirror;
mod news;
mod ports;
mod shared;
mod sources;
mod state;
mod tail;
mod token;
mod turns;
mod untold;

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use nightlatch_core::coherence::{Coherence, CoherenceLimits, Stamp, Verdict};
use nightlatch_core::{
    Deadline, Entropy, FailureClass, FeedRow, FoundSession, Outcome, Record, RecordClock,
    SessionEnd, StoreError, StoreErrorKind, TokenHash, Written,
};

use uuid::Uuid;

use self::copies::{Copies, Copy};
use self::data::Data;
use self::flights::{Boarding, Flights, Landing};
pub use self::news::{Announcement, Announcements, News};
pub use self::shared::{SharedCopies, SharedCopy};
pub use self::sources::{EndCause, Found, SessionTallies, Source};
pub use self::state::CopiesState;
use self::tail::Looks;
pub use self::tail::{Look, LookObserver};
use self::turns::Turns;
use self::untold::Untold;

/// How often a request asks again when what it was told cannot be judged: each round needs the feed
/// to move under it.
const ROUNDS_MAX: u32 = 4;

/// A record in front of which copies of sessions are kept.
pub struct CachedRecord {
    record: Arc<dyn Record>,
    clock: Arc<RecordClock>,
    entropy: Arc<dyn Entropy>,
    /// Never held across an await, and written only when the feed has moved.
    rule: RwLock<Coherence>,
    copies: Copies,
    data: Data,
    shared: OnceLock<Arc<dyn SharedCopies>>,
    announcements: OnceLock<Arc<dyn Announcements>>,
    untold: Untold,
    turns: Turns,
    flights: Flights,
    looks: Looks,
    tallies: SessionTallies,
}

/// Whether a copy will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// It will, if it may be believed.
    Copy,
    /// Only the record's own word.
    Record,
}

/// What a copy tells without asking anybody.
enum Known {
    Good(Arc<FoundSession>),
    Ended,
}

impl Known {
    fn into_answer(self) -> Option<Arc<FoundSession>> {
        match self {
            Self::Good(copy) => Some(copy),
            Self::Ended => None,
        }
    }
}

/// What the record answered, and when it was asked.
struct Loaded {
    found: Option<Arc<FoundSession>>,
    began: Duration,
}

impl CachedRecord {
    /// Puts copies, at most `copies_bytes_max` of them, in front of a record, and as many of sessions of
    /// other applications. Nothing is believed before [`Self::tail`] runs.
    #[must_use]
    pub fn new(
        record: Arc<dyn Record>,
        clock: Arc<RecordClock>,
        entropy: Arc<dyn Entropy>,
        (limits, copies_bytes_max): (CoherenceLimits, u64),
    ) -> Self {
        Self {
            record,
            clock,
            entropy,
            rule: RwLock::new(Coherence::new(limits)),
            copies: Copies::new(copies_bytes_max),
            data: Data::new(copies_bytes_max),
            shared: OnceLock::new(),
            announcements: OnceLock::new(),
            untold: Untold::default(),
            turns: Turns::default(),
            flights: Flights::default(),
            looks: Looks::default(),
            tallies: SessionTallies::default(),
        }
    }

    /// Drops what a revocation is about and no row of the feed tells of, and takes no copy of it from
    /// other nodes that was read before.
    fn drop_untold(&self, which: SessionEnd, rows: &[FeedRow]) {
        self.copies.drop_untold(which, rows);
        self.untold.note(which, rows, self.clock.now());
    }

    /// Somebody is interested in the record: it is looked at as often as under traffic.
    pub fn note_use(&self) {
        self.looks.used(self.now());
    }

    /// Which record this is; `None`: it has not answered yet.
    #[must_use]
    pub fn record_id(&self) -> Option<Uuid> {
        self.rule().record()
    }

    /// A session by a copy that may be believed at once. `None`: somebody must be asked.
    fn find_copy(&self, token: &TokenHash) -> Option<Known> {
        let copy = self.copies.find(token)?;
        match self.judge(&copy) {
            Verdict::Believed | Verdict::BelievedStale => Some(Known::Good(copy.found)),
            Verdict::Revoked => Some(Known::Ended),
            Verdict::Miss | Verdict::Unconfirmed | Verdict::TooStale => None,
        }
    }

    /// A session by its copy, by the record, or by the copy again if the record turns out not to
    /// answer.
    async fn find(
        &self,
        token: TokenHash,
        sight: Sight,
        deadline: Deadline,
    ) -> Result<Option<Arc<FoundSession>>, StoreError> {
        let mut source = Source::Memory;
        let found = self.find_by(&mut source, token, sight, deadline).await;
        self.tallies.looked_up(source, Found::of(&found));
        found
    }

    async fn find_by(
        &self,
        source: &mut Source,
        token: TokenHash,
        sight: Sight,
        deadline: Deadline,
    ) -> Result<Option<Arc<FoundSession>>, StoreError> {
        for round in 0..ROUNDS_MAX {
            if let Some(known) = self.find_sighted(&token, sight) {
                return Ok(known.into_answer());
            }
            if self.is_unconfirmed(&token) {
                let looked = self.look_now(deadline).await;
                // Whoever waited in vain may know by now that the record does not answer.
                if let Some(known) = self.find_sighted(&token, sight) {
                    return Ok(known.into_answer());
                }
                looked?;
            }
            if sight == Sight::Copy && self.is_too_stale(&token) {
                return Err(too_stale());
            }
            // Once: a request waits for it no longer than that.
            if sight == Sight::Copy
                && round == 0
                && self.find_shared(token, deadline).await
                && let Some(known) = self.find_copy(&token)
            {
                *source = Source::Shared;
                return Ok(known.into_answer());
            }
            *source = Source::Record;
            match self.load(token, deadline).await {
                Ok(Loaded { found: None, .. }) => {
                    // A copy of other nodes that was read before must not bring it back while the feed
                    // has not told.
                    self.drop_untold(SessionEnd::Token(token), &[]);
                    return Ok(None);
                }
                Ok(Loaded { found: Some(found), began }) => {
                    match self.judge_answer(&found, began) {
                        Verdict::Believed | Verdict::BelievedStale => {
                            let copy = Copy { found: Arc::clone(&found), read_at: began };
                            self.copies.keep(token, copy);
                            return Ok(Some(found));
                        }
                        Verdict::Revoked => return Ok(None),
                        Verdict::Miss | Verdict::Unconfirmed | Verdict::TooStale => {
                            self.look_now(deadline).await?;
                        }
                    }
                }
                Err(error) => {
                    self.note_failure(&error);
                    let known = self.find_sighted(&token, sight).ok_or(error)?;
                    *source = Source::Memory;
                    return Ok(known.into_answer());
                }
            }
        }
        let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Busy);
        Err(StoreError::new(kind, class, Outcome::NotApplied, FINDING))
    }

    fn find_sighted(&self, token: &TokenHash, sight: Sight) -> Option<Known> {
        match sight {
            Sight::Copy => self.find_copy(token),
            Sight::Record => None,
        }
    }

    /// Whether the feed must be looked at before anything else: there is no view to judge by, or
    /// the copy waits for it.
    fn is_unconfirmed(&self, token: &TokenHash) -> bool {
        match self.copies.find(token) {
            Some(copy) => self.judge(&copy) == Verdict::Unconfirmed,
            None => self.rule().wants_view(self.now()),
        }
    }

    fn is_too_stale(&self, token: &TokenHash) -> bool {
        self.copies.find(token).is_some_and(|copy| self.judge(&copy) == Verdict::TooStale)
    }

    fn judge(&self, copy: &Copy) -> Verdict {
        self.judge_stamp(&Stamp::of(&copy.found, copy.read_at))
    }

    fn judge_stamp(&self, stamp: &Stamp) -> Verdict {
        let now = self.now();
        let (verdict, ahead) = {
            let rule = self.rule();
            (rule.judge(stamp, now), rule.may_be_ahead(stamp))
        };
        if ahead {
            self.note_ahead(stamp);
        }
        verdict
    }

    fn judge_answer(&self, found: &FoundSession, began: Duration) -> Verdict {
        let stamp = Stamp::of(found, began);
        let verdict = self.rule_mut().judge_answer(&stamp);
        self.note_ahead(&stamp);
        verdict
    }

    fn note_ahead(&self, stamp: &Stamp) {
        let now = self.now();
        if self.rule_mut().is_ahead(stamp, now) {
            self.looks.want();
        }
    }

    /// Asks the record; those who ask for the same at the same moment share one answer.
    async fn load(&self, token: TokenHash, deadline: Deadline) -> Result<Loaded, StoreError> {
        // A leader that goes away leaves its place to one of those who followed.
        for _ in 0..ROUNDS_MAX {
            match self.flights.board(token, self.now()) {
                Boarding::Lead(lead) => {
                    let began = lead.began();
                    let answer = self.record.find_session(token, deadline).await;
                    if let Ok(Some(found)) = &answer {
                        self.keep_shared(token, found, began);
                    }
                    return lead.land(answer).map(|found| Loaded { found, began });
                }
                Boarding::Follow(flight) => {
                    let span = deadline.remaining(self.clock.clock());
                    let began = flight.began();
                    match tokio::time::timeout(span, flight.landed()).await {
                        Ok(Landing::Found(found)) => return Ok(Loaded { found, began }),
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

    /// What this node wrote binds it before anybody is answered.
    fn wrote<T>(&self, written: Written<T>) -> Written<T> {
        self.wrote_rows(&written.rows);
        written
    }

    fn wrote_rows(&self, rows: &[FeedRow]) {
        if !rows.is_empty() {
            let now = self.now();
            self.rule_mut().wrote(rows, now);
            self.flights.wrote();
            self.data.flights.wrote();
            self.looks.want();
            self.announce_rows(rows);
        }
    }

    /// A session that this node has just created is as good as one that was read.
    fn keep_created(&self, token: TokenHash, found: &FoundSession, began: Duration) {
        if self.judge_answer(found, began) == Verdict::Believed {
            let found = Arc::new(found.clone());
            self.keep_shared(token, &found, began);
            self.copies.keep(token, Copy { found, read_at: began });
        }
    }

    /// An answer of the record, or a failure that tells whether it answers at all.
    fn heard<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|error| self.note_failure(error))
    }

    fn note_failure(&self, error: &StoreError) {
        match error.kind() {
            StoreErrorKind::Unavailable | StoreErrorKind::Deadline => {
                let now = self.now();
                self.rule_mut().record_failed(now);
            }
            // Our own queue, one damaged row, or our own refusal: the record may well answer.
            StoreErrorKind::Overloaded | StoreErrorKind::Corrupt | StoreErrorKind::TooStale => {}
        }
    }

    /// Every copy is void: it is of no use to keep them.
    fn drop_copies(&self) {
        self.copies.clear();
        self.data.copies.clear();
    }

    fn now(&self) -> Duration {
        self.clock.clock().boottime()
    }

    fn rule(&self) -> RwLockReadGuard<'_, Coherence> {
        self.rule.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rule_mut(&self) -> RwLockWriteGuard<'_, Coherence> {
        self.rule.write().unwrap_or_else(PoisonError::into_inner)
    }
}

const FINDING: &str = "finding a session";

/// The copies are older than the bound, and the record does not answer.
fn too_stale() -> StoreError {
    let (kind, class) = (StoreErrorKind::TooStale, FailureClass::FeedStalled);
    StoreError::new(kind, class, Outcome::NotApplied, FINDING)
}

#[cfg(test)]
mod tests;
