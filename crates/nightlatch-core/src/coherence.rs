//! When a copy may be believed: the one rule that every cache of sessions obeys.
//!
//! Deleting a copy when its session ends is not enough. A reader may load a row, a logout commit and
//! delete the copy, and the reader then write the old row back; a delete may be lost; an old snapshot
//! may return. So no copy is trusted by itself: it says at which position of the revocation feed it
//! was read, and is judged by what this node knows of the feed from there on.
//!
//! A state machine without I/O. Events go in (what the record told, what this node did, that time
//! has passed), verdicts and the next question come out. The server and the simulation run the same
//! one. All times are points of a clock that never steps and counts suspend.
//!
//! ```text
//!            since                 through          head of the feed
//!   ──────────┼──────────────────────┼─────────────────┼──────►  positions
//!   too old   │  everything revoked  │ not yet heard,  │
//!   to judge  │  here is in the view │ younger than    │
//!             │                      │ the lease       │
//! ```

mod announced;
mod fork;
mod limits;
mod lost;
mod names;
mod question;
mod stamp;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

pub use self::announced::Announced;
use self::announced::Early;
use self::fork::Comparison;
use self::limits::COPY_LIFE;
pub use self::limits::{CoherenceLimits, LEASE};
use self::lost::Lost;
use self::names::Names;
pub use self::question::{Learned, Question};
pub use self::stamp::Stamp;
use self::view::{Followed, View};
use crate::{Epoch, FeedNews, FeedRow, Head, History, LostRevocations, Position};

/// Whether a copy may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No revocation that we could know speaks against it.
    Believed,
    /// The same, but the record has not confirmed the view within the lease and does not answer:
    /// served within the staleness bound.
    BelievedStale,
    /// It has ended. Known, whatever the record would say.
    Revoked,
    /// It cannot be judged, or is outdated: ask the record.
    Miss,
    /// The view is older than the lease: look at the feed first.
    Unconfirmed,
    /// The record does not answer, and has not for longer than the staleness bound.
    TooStale,
}

/// The state of a node.
#[derive(Debug)]
pub struct Coherence {
    limits: CoherenceLimits,
    phase: Phase,
    /// Who has ended, by name. Outlives views and histories: a name is refused for good.
    names: Names,
    /// When a call to the record failed last; cleared by what confirms the view.
    failed_at: Option<Duration>,
    /// After a fork, until it is known what was lost.
    comparison: Option<Comparison>,
    /// The ids of remembered rows that a fork has kept, as far as they are not in the view.
    kept: BTreeMap<Position, i64>,
    /// What is to be written back after a fork.
    lost: Lost,
    forks: u64,
    /// Histories that are given up, the oldest first: a record that is in one of them again has gone
    /// back once more, and copies of then may have outlived it elsewhere.
    left: VecDeque<History>,
    /// Announced while there was no view: a look that began before them will not show them.
    early: VecDeque<Early>,
}

/// Where the node stands towards the feed.
#[derive(Debug)]
enum Phase {
    /// Knows nothing of the feed and believes no copy.
    Blind,
    /// Has seen that this history has forked, and believes no copy until it has a new epoch.
    Forked(History),
    /// Follows the feed.
    Following(View),
}

impl Coherence {
    /// A node that knows nothing yet.
    #[must_use]
    pub fn new(limits: CoherenceLimits) -> Self {
        Self {
            limits,
            phase: Phase::Blind,
            names: Names::default(),
            failed_at: None,
            comparison: None,
            kept: BTreeMap::new(),
            lost: Lost::default(),
            forks: 0,
            left: VecDeque::new(),
            early: VecDeque::new(),
        }
    }

    /// Judges a copy at `now` (DESIGN 2.1, rule 5).
    #[must_use]
    pub fn judge(&self, copy: &Stamp, now: Duration) -> Verdict {
        // By what it names, never by position: a name that has ended has ended in every history.
        if self.names.revoke(copy) {
            return Verdict::Revoked;
        }
        let is_away = self.is_away(now);
        let Phase::Following(view) = &self.phase else { return without_view(is_away) };
        if self.owes_end_of_everything() {
            return without_view(is_away);
        }
        if !view.can_judge(copy) || self.names.outdate(copy) {
            return Verdict::Miss;
        }
        if !is_away && now.saturating_sub(copy.read_at) > COPY_LIFE {
            return Verdict::Miss;
        }
        // From the start of the look that confirmed it: what was committed after that start may be
        // unknown to it.
        let age = now.saturating_sub(view.confirmed_at());
        match (age <= LEASE, is_away) {
            (true, _) => Verdict::Believed,
            (false, false) => Verdict::Unconfirmed,
            (false, true) if age <= self.limits.staleness => Verdict::BelievedStale,
            (false, true) => Verdict::TooStale,
        }
    }

    /// Judges what the record has just answered, by the view as it stands after the read.
    /// [`Verdict::Miss`]: it must be asked again.
    pub fn judge_answer(&mut self, found: &Stamp) -> Verdict {
        if self.names.revoke(found) {
            return Verdict::Revoked;
        }
        if self.owes_end_of_everything() {
            return Verdict::Unconfirmed;
        }
        let Phase::Following(view) = &mut self.phase else { return Verdict::Unconfirmed };
        if !view.can_judge(found) || self.names.outdate(found) {
            return Verdict::Miss;
        }
        // It confirms the view only if the feed ends where the view does.
        if view.confirm_by(found.as_of, found.read_at) {
            self.failed_at = None;
        }
        Verdict::Believed
    }

    /// Whether a copy or answer is ahead of the view: the feed is to be looked at now. It is noted
    /// as a row that the feed must have, or history has forked.
    pub fn is_ahead(&mut self, stamp: &Stamp, now: Duration) -> bool {
        let Phase::Following(view) = &mut self.phase else { return false };
        if stamp.history != view.history() || stamp.as_of.position <= view.through().position {
            return false;
        }
        view.expect(stamp.as_of, false, now);
        true
    }

    /// Whether [`Self::is_ahead`] has something to note: to be asked under a shared lock.
    #[must_use]
    pub fn may_be_ahead(&self, stamp: &Stamp) -> bool {
        match &self.phase {
            Phase::Following(view) => stamp.as_of.position > view.through().position,
            Phase::Blind | Phase::Forked(_) => false,
        }
    }

    /// This node has written rows to the feed: it is bound by them before anybody is answered, and
    /// knows them if the record should lose them. A row where another one stood proves a fork. One before
    /// all that the view knows may be of a call that took long, or the record has gone back.
    pub fn wrote(&mut self, rows: &[FeedRow], now: Duration) {
        // Asked of all rows before any is learned: they stand in the new history, which has not
        // lost them.
        if let Phase::Following(view) = &mut self.phase {
            if rows.iter().any(|row| view.is_contradicted_by(row.at)) {
                let from = view.history();
                self.fork();
                self.phase = Phase::Forked(from);
            } else if rows.iter().any(|row| view.begins_above(row.at)) {
                view.doubt();
            }
        }
        for row in rows {
            self.names.learn(row.kind, row.at.position, now);
            if let Phase::Following(view) = &mut self.phase {
                view.expect(row.at, true, now);
            }
        }
        self.forget(now);
    }

    /// What to ask the record next.
    #[must_use]
    pub fn question(&self) -> Question {
        match (&self.phase, &self.comparison) {
            (Phase::Blind, _) => Question::Head,
            (Phase::Forked(from), _) => Question::NewEpoch(*from),
            (Phase::Following(_), Some(comparison)) => Question::Compare(comparison.through()),
            (Phase::Following(view), None) => Question::Rows(view.through()),
        }
    }

    /// The record has answered [`Question::Head`] or [`Question::NewEpoch`], asked at `began`.
    pub fn told_head(&mut self, head: Head, began: Duration) -> Learned {
        self.failed_at = None;
        self.begin_at(head, began);
        Learned { ask_again: true, forked: false, copies_are_void: true }
    }

    /// The record has answered [`Question::Compare`] with what is after `after`.
    pub fn told_comparison(&mut self, news: &FeedNews, after: Position) -> Learned {
        self.failed_at = None;
        // History may have forked again while the answer was on its way.
        if let (Some(comparison), Phase::Following(_)) = (&mut self.comparison, &self.phase)
            && comparison.through() == after
            && comparison.compare(news)
        {
            self.lost.add(comparison.lost());
            let kept = comparison.kept().filter(|(said, _)| self.names.keep(said));
            self.kept.extend(kept.map(|(said, row_id)| (said.position, row_id)));
            self.comparison = None;
        }
        Learned { ask_again: true, ..Learned::default() }
    }

    /// The record has answered [`Question::Rows`], asked at `began` (DESIGN 2.1, rules 3 and 7).
    pub fn told_rows(&mut self, news: &FeedNews, began: Duration, now: Duration) -> Learned {
        self.failed_at = None;
        let Phase::Following(view) = &mut self.phase else {
            // The phase moved while the answer was on its way.
            return Learned { ask_again: true, ..Learned::default() };
        };
        let followed = view.follow(news, began, now, &mut self.names);
        match followed {
            Followed::ToTheEnd => {
                self.forget(now);
                Learned::default()
            }
            Followed::SomeRows => {
                self.forget(now);
                Learned { ask_again: true, ..Learned::default() }
            }
            // Slept for so long that rows are gone: the same history, but not all of it is known.
            Followed::Behind => {
                self.names.leave_history();
                self.kept.clear();
                self.begin_at(news.head, began);
                Learned { copies_are_void: true, ..Learned::default() }
            }
            // Somebody else has begun the new epoch already.
            Followed::OtherHistory => {
                self.fork();
                self.begin_at(news.head, began);
                Learned { forked: true, copies_are_void: true, ask_again: true }
            }
            Followed::Forked => {
                self.fork();
                self.phase = Phase::Forked(news.head.history);
                Learned { forked: true, copies_are_void: true, ask_again: true }
            }
        }
    }

    /// A call to the record has failed at `now`.
    pub const fn record_failed(&mut self, now: Duration) {
        self.failed_at = Some(now);
    }

    /// Whether the record is away, as far as is known: believed for no longer than a lease, or a
    /// node that nobody asks would go on serving what has ended after the record is back.
    #[must_use]
    pub fn is_away(&self, now: Duration) -> bool {
        self.failed_at.is_some_and(|failed_at| now.saturating_sub(failed_at) <= LEASE)
    }

    /// For how long the view has not been confirmed; `None`: there is none.
    #[must_use]
    pub fn unconfirmed_for(&self, now: Duration) -> Option<Duration> {
        self.view().map(|view| now.saturating_sub(view.confirmed_at()))
    }

    /// Whether there is no view to judge by, and the record may well give one.
    #[must_use]
    pub fn wants_view(&self, now: Duration) -> bool {
        !self.is_away(now) && !matches!(self.phase, Phase::Following(_))
    }

    /// Whether copies are served at `now`, with or without the record.
    #[must_use]
    pub fn serves_copies(&self, now: Duration) -> bool {
        self.unconfirmed_for(now).is_some_and(|age| age <= self.limits.staleness.max(LEASE))
    }

    /// What is to be written back after a fork, at most `max` names; `None`: nothing.
    #[must_use]
    pub fn lost(&self, max: usize) -> Option<LostRevocations> {
        // Not before there is a new epoch: it would go into the history that is given up.
        match &self.phase {
            Phase::Following(_) => self.lost.first(max),
            Phase::Blind | Phase::Forked(_) => None,
        }
    }

    /// `batch` has been written back.
    pub fn restored(&mut self, batch: &LostRevocations) {
        self.lost.remove(batch);
    }

    /// How often history has forked since the start.
    #[must_use]
    pub const fn forks(&self) -> u64 {
        self.forks
    }

    /// How many revocations are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.names.len()
    }

    /// The end of the feed as far as it is known.
    #[must_use]
    pub fn through(&self) -> Option<Position> {
        self.view().map(|view| view.through().position)
    }

    /// The history that is followed.
    #[must_use]
    pub fn history(&self) -> Option<History> {
        self.view().map(View::history)
    }

    /// The record, as far as one is known.
    #[must_use]
    pub fn record(&self) -> Option<Uuid> {
        self.known_history().map(|history| history.record)
    }

    /// The epoch that is followed.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.view().map(|view| view.history().epoch)
    }

    const fn view(&self) -> Option<&View> {
        match &self.phase {
            Phase::Following(view) => Some(view),
            Phase::Blind | Phase::Forked(_) => None,
        }
    }

    /// Forgets what is older than the window, or too much. `since` moves with what goes.
    fn forget(&mut self, now: Duration) {
        let before = now.saturating_sub(self.limits.window);
        while let Some(forgotten) = self.names.forget_one(before, self.limits.remembered_max) {
            let Some(position) = forgotten.position else { continue };
            self.kept.remove(&position);
            if let Phase::Following(view) = &mut self.phase
                && !view.give_up_below(position)
            {
                // It was written here and is not in the view yet: nothing is left to judge by.
                self.phase = Phase::Blind;
            }
        }
    }
}

/// The record must be asked for the view first; if that failed a moment ago, the request itself
/// shows whether it is back.
const fn without_view(is_away: bool) -> Verdict {
    if is_away { Verdict::Miss } else { Verdict::Unconfirmed }
}

#[cfg(test)]
mod tests;
