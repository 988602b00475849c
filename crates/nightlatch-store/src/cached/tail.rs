//! Following the feed: the task that tells the coherence rule what the record says.
//!
//! One look after the other, each with a limit, in a rhythm that follows the traffic. A look that
//! fails says so to whoever observes, and the next one comes as usual: the record's return is
//! noticed by it, without a load of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightlatch_core::coherence::{Learned, Question};
use nightlatch_core::{
    Deadline, Epoch, FailureClass, FeedNews, Outcome, StoreError, StoreErrorKind,
};
use tokio::sync::{Notify, watch};

use super::CachedRecord;

/// Between the starts of two looks while there is traffic. Whatever becomes of two that follow each
/// other, the second has ended within the lease of the first: by then the view is confirmed, or the
/// record known not to answer.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two looks without: one read, so that an idle node is quiet.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(5);

/// No session check for this long is no traffic.
const IDLE_AFTER: Duration = Duration::from_secs(5);

/// The longest a look waits for the record: less than half the lease.
const LOOK_MAX: Duration = Duration::from_millis(900);

/// Rows that one look reads.
const ROWS_MAX: u32 = 2000;

/// Looks that follow each other at once when there is more to read.
const CATCH_UP_MAX: u32 = 200;

/// Names that are written back in one go after a fork, so that no login waits long behind it.
const RESTORE_MAX: usize = 500;

/// Batches of names that are written back between two looks.
const RESTORE_BATCHES_MAX: u32 = 50;

/// The longest writing one batch back takes.
const RESTORE_DEADLINE: Duration = Duration::from_secs(2);

/// How one look went, for health.
pub struct Look<'a> {
    /// What the record said, or why it did not.
    pub answer: Result<&'a FeedNews, &'a StoreError>,
    /// When it was asked, since boot.
    pub asked: Duration,
    /// When it answered.
    pub answered: Duration,
    /// Whether history was found to have forked since the last look.
    pub forked: bool,
}

/// Told of every look, between the look and those who wait for it.
pub trait LookObserver: Send + Sync {
    /// A look has ended.
    fn looked(&self, look: &Look<'_>);
}

/// The numbers of the latest looks that ended, by how they did.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    caught_up: u64,
    in_vain: u64,
}

/// What waiting for a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// The view is at the end of the feed, as it was after the question.
    CaughtUp,
    /// The record did not answer.
    InVain,
}

/// Who wants a look, and which one they got.
pub(super) struct Looks {
    wanted: Notify,
    /// How many have begun and how many of them have ended.
    begun: AtomicU64,
    ended: watch::Sender<Ended>,
    /// When a session was last asked for: milliseconds since boot.
    used_at: AtomicU64,
    /// Of how many forks the observer has heard.
    forks_told: AtomicU64,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            wanted: Notify::new(),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(Ended::default()),
            used_at: AtomicU64::new(0),
            forks_told: AtomicU64::new(0),
        }
    }
}

impl Looks {
    /// Has the feed looked at soon.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// There is traffic at `now`.
    pub(super) fn used(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // Written once a second: a line of memory that every core writes is a slow one.
        if now.saturating_sub(self.used_at.load(Ordering::Relaxed)) > 1000 {
            self.used_at.store(now, Ordering::Relaxed);
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        let used_at = Duration::from_millis(self.used_at.load(Ordering::Relaxed));
        now.saturating_sub(used_at) > IDLE_AFTER
    }
}

impl CachedRecord {
    /// Follows the feed until it is dropped. Without it no copy is believed.
    pub async fn tail(&self, observer: &dyn LookObserver) {
        loop {
            let began = self.now();
            self.catch_up(observer).await;
            self.restore().await;
            self.until_next_look(began).await;
        }
    }

    /// The last look began at `began`.
    async fn until_next_look(&self, began: Duration) {
        let now = self.now();
        if self.rule().is_away(now) {
            // Whoever waits for it cannot have it sooner: a record that comes back is not stormed.
            tokio::time::sleep(LOOK_EVERY).await;
            return;
        }
        let every = if self.looks.is_idle(now) { IDLE_LOOK_EVERY } else { LOOK_EVERY };
        tokio::select! {
            biased;
            () = self.looks.wanted.notified() => {}
            () = self.record.changed() => {}
            () = tokio::time::sleep(every.saturating_sub(now.saturating_sub(began))) => {}
        }
    }

    /// Waits for a look that begins after this call.
    pub(super) async fn look_now(&self, deadline: Deadline) -> Result<Looked, StoreError> {
        let mine = self.looks.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.looks.ended.subscribe();
        self.looks.want();
        let span = deadline.remaining(self.clock.clock());
        let looked = ended.wait_for(|ended| ended.caught_up >= mine || ended.in_vain >= mine);
        match tokio::time::timeout(span, looked).await {
            Ok(Ok(ended)) if ended.caught_up >= mine => Ok(Looked::CaughtUp),
            // The sender lives as long as we do.
            Ok(_) => Ok(Looked::InVain),
            Err(_elapsed) => {
                let (kind, class) = (StoreErrorKind::Deadline, FailureClass::Timeout);
                Err(StoreError::new(kind, class, Outcome::NotApplied, "looking at the feed"))
            }
        }
    }

    /// Has the view at the end of the feed, as it is after this call, or fails: what the record did
    /// not do must not be told before this node knows why.
    pub(super) async fn catch_up_now(
        &self,
        doing: &'static str,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        match self.look_now(deadline).await? {
            Looked::CaughtUp => Ok(()),
            Looked::InVain => {
                let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::FeedStalled);
                Err(StoreError::new(kind, class, Outcome::NotApplied, doing))
            }
        }
    }

    /// Looks until the view is at the end of the feed.
    async fn catch_up(&self, observer: &dyn LookObserver) {
        for _ in 0..CATCH_UP_MAX {
            let begun = self.looks.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let learned = self.look(observer).await;
            match learned {
                None => self.looks.ended.send_modify(|ended| ended.in_vain = begun),
                Some(Learned { ask_again: true, .. }) => continue,
                Some(_) => self.looks.ended.send_modify(|ended| ended.caught_up = begun),
            }
            return;
        }
        self.looks.want();
    }

    /// One look; `None`: the record did not answer.
    async fn look(&self, observer: &dyn LookObserver) -> Option<Learned> {
        let asked = self.now();
        let deadline = Deadline::at_boottime(asked + LOOK_MAX);
        let question = self.rule().question();
        let (after, limit) = match question {
            Question::Rows(through) => (Some(through.position), ROWS_MAX),
            Question::Compare(after) => (Some(after), ROWS_MAX),
            Question::Head | Question::NewEpoch(_) => (None, 0),
        };
        let answer = match question {
            Question::NewEpoch(from) => {
                let claimed = self.record.claim_epoch(from, self.fresh_epoch(), deadline).await;
                claimed.map(|head| FeedNews {
                    head,
                    asked: None,
                    rows: Vec::new(),
                    now: None,
                    write_failure: None,
                })
            }
            Question::Head | Question::Rows(_) | Question::Compare(_) => {
                self.record.poll_feed(after, limit, deadline).await
            }
        };
        let answered = self.now();
        let learned = self.learn(question, &answer, asked);
        if learned.is_some_and(|learned| learned.copies_are_void) {
            self.drop_copies();
        }
        let forks = self.rule().forks();
        let forked = self.looks.forks_told.swap(forks, Ordering::Relaxed) != forks;
        observer.looked(&Look { answer: answer.as_ref(), asked, answered, forked });
        learned
    }

    fn learn(
        &self,
        question: Question,
        answer: &Result<FeedNews, StoreError>,
        asked: Duration,
    ) -> Option<Learned> {
        let now = self.now();
        let mut rule = self.rule_mut();
        let Ok(news) = answer else {
            rule.record_failed(now);
            return None;
        };
        Some(match question {
            Question::Head | Question::NewEpoch(_) => rule.told_head(news.head, asked),
            Question::Rows(_) => rule.told_rows(news, asked, now),
            Question::Compare(after) => rule.told_comparison(news, after),
        })
    }

    /// Writes back what the record has lost. What cannot be written waits for the next turn.
    async fn restore(&self) {
        for _ in 0..RESTORE_BATCHES_MAX {
            let Some(batch) = self.rule().lost(RESTORE_MAX) else { return };
            let deadline = Deadline::within(self.clock.clock(), RESTORE_DEADLINE);
            let now = self.clock.now();
            match self.record.restore_revocations(batch.clone(), now, deadline).await {
                Ok(rows) => {
                    self.wrote_rows(&rows);
                    self.rule_mut().restored(&batch);
                }
                Err(error) => {
                    tracing::debug!(event = "feed.restore_postponed", error = %error);
                    return;
                }
            }
        }
        self.looks.want();
    }

    /// Drawn at random: of two restored backups each may count on from the same number.
    fn fresh_epoch(&self) -> Epoch {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        Epoch(i64::from_be_bytes(bytes) & i64::MAX)
    }
}
