//! Ends of single sessions, gathered: those that come while a statement is on its way share the
//! next one.
//!
//! Each statement holds the feed's head until its commit is on disk, so a node's revocations would
//! wait for each other there, each with a connection of its own. Together they cost one commit.
//!
//! Statements are carried by tasks, not by callers: one who goes away takes nobody's answer along.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{Deadline, FailureClass, Outcome, StoreError, StoreErrorKind, Written};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::call::Server;
use super::end::DOING;
use super::failure::{Failure, Sent};
use super::single::Single;

/// The most sessions that one statement ends.
const GROUP_MAX: usize = 64;

/// The most that wait for a statement: 16 full ones, far more than can be served in time.
const WAITING_MAX: usize = 16 * GROUP_MAX;

/// A statement that takes longer than this (its connection may be dead) holds nobody up who comes
/// later.
const STALLED_AFTER: Duration = Duration::from_millis(300);

/// The most statements on their way at once.
const CARRIERS_MAX: usize = 4;

/// How long after its deadline a caller whose deadline is the statement's own waits to hear whether
/// it was sent at all.
const VERDICT_LIMIT: Duration = Duration::from_millis(250);

type Answer = Result<Written<u64>, StoreError>;

/// Gathers those who end single sessions.
pub(super) struct Gatherer {
    queue: Arc<Queue>,
    /// Ends with the record.
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Tasks that carry statements.
    carriers: usize,
    /// When the latest statement was begun.
    begun_at: Option<Instant>,
}

struct Waiting {
    single: Single,
    deadline: Deadline,
    claim: Arc<Claim>,
    answer: oneshot::Sender<Answer>,
}

impl Gatherer {
    pub(super) fn new() -> Self {
        Self { queue: Arc::default(), tasks: Mutex::default() }
    }

    /// Ends a session in the next statement.
    pub(super) async fn end(
        &self,
        server: &Arc<Server>,
        single: Single,
        deadline: Deadline,
    ) -> Answer {
        let remaining = server.connections.remaining(deadline);
        if remaining.is_zero() {
            return Err(Failure::of_deadline(Sent::Nothing, DOING).error);
        }
        // Not behind one who looks whether the server is back.
        if let Some(failure) = server.connections.refuses(DOING) {
            return Err(failure.error);
        }
        let claim = Arc::new(Claim::default());
        let (answer, mut answered) = oneshot::channel();
        self.wait(server, Waiting { single, deadline, claim: Arc::clone(&claim), answer })?;
        match timeout(remaining, &mut answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_carrier_is_gone)) => Err(carrier_is_gone(claim.withdraw())),
            Err(_) if claim.withdraw() => Err(Failure::of_deadline(Sent::Nothing, DOING).error),
            Err(_) if claim.sets_limit() => match timeout(VERDICT_LIMIT, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Err(Failure::of_deadline(Sent::Write, DOING).error),
            },
            Err(_) => Err(Failure::of_deadline(Sent::Write, DOING).error),
        }
    }

    fn wait(&self, server: &Arc<Server>, waiting: Waiting) -> Result<(), StoreError> {
        let mut state = self.queue.lock();
        if state.waiting.len() >= WAITING_MAX {
            state.waiting.retain(Waiting::is_wanted);
        }
        if state.waiting.len() >= WAITING_MAX {
            let (kind, class) = (StoreErrorKind::Overloaded, FailureClass::Busy);
            return Err(StoreError::new(kind, class, Outcome::NotApplied, DOING));
        }
        state.waiting.push_back(waiting);
        let is_stalled = state.begun_at.is_some_and(|at| at.elapsed() >= STALLED_AFTER);
        if state.carriers == 0 || (is_stalled && state.carriers < CARRIERS_MAX) {
            state.carriers += 1;
            drop(state);
            let (server, queue) = (Arc::clone(server), Arc::clone(&self.queue));
            let carrier = Carrier { server, queue, is_off_duty: false };
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(carrier.run());
        }
        Ok(())
    }
}

impl State {
    /// One carrier less.
    fn leave(&mut self) {
        self.carriers -= 1;
        if self.carriers == 0 {
            self.begun_at = None;
        }
    }
}

impl Waiting {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }
}

impl Queue {
    /// Who goes in the next statement; nobody: the one who asked is off duty from now on.
    fn next_group(&self) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        let mut group = Vec::new();
        while group.len() < GROUP_MAX
            && let Some(next) = state.waiting.pop_front()
        {
            if next.is_wanted() && next.claim.take() {
                group.push(next);
            }
        }
        if group.is_empty() {
            state.leave();
            return None;
        }
        state.begun_at = Some(Instant::now());
        Some(group)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends one statement after the other until nobody waits.
struct Carrier {
    server: Arc<Server>,
    queue: Arc<Queue>,
    is_off_duty: bool,
}

impl Carrier {
    async fn run(mut self) {
        while let Some(group) = self.queue.next_group() {
            self.carry(group).await;
        }
        self.is_off_duty = true;
    }

    async fn carry(&self, group: Vec<Waiting>) {
        let Some(limit) = group.iter().map(|waiting| waiting.deadline).max() else { return };
        for waiting in group.iter().filter(|waiting| waiting.deadline == limit) {
            waiting.claim.set_limit();
        }
        let singles: Vec<Single> = group.iter().map(|waiting| waiting.single.clone()).collect();
        // Whoever has left meanwhile has been told that the outcome is unknown.
        match self.server.end_each(&singles, limit).await {
            Ok(answers) => {
                for (waiting, answer) in group.into_iter().zip(answers) {
                    let _ = waiting.answer.send(Ok(answer));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for waiting in group {
                    let _ = waiting.answer.send(Err(StoreError::shared(&error)));
                }
            }
        }
    }
}

impl Drop for Carrier {
    /// The runtime stops, or there was a panic: those who wait must not wait for nobody.
    fn drop(&mut self) {
        if self.is_off_duty {
            return;
        }
        let mut state = self.queue.lock();
        state.leave();
        if state.carriers == 0 {
            state.waiting.clear();
        }
    }
}

fn carrier_is_gone(nothing_was_sent: bool) -> StoreError {
    let outcome = if nothing_was_sent { Outcome::NotApplied } else { Outcome::Unknown };
    StoreError::new(StoreErrorKind::Unavailable, FailureClass::Closed, outcome, DOING)
}

/// Who has a waiting call: a caller that gives up must know whether it may still be sent. So it is
/// taken by whoever comes first, the carrier or the caller.
#[derive(Default)]
struct Claim(AtomicU8);

impl Claim {
    const WAITING: u8 = 0;
    const WITHDRAWN: u8 = 1;
    const TAKEN: u8 = 2;
    /// Taken, and its deadline is that of the statement.
    const SETS_LIMIT: u8 = 3;

    fn take(&self) -> bool {
        self.leave_waiting_for(Self::TAKEN)
    }

    fn withdraw(&self) -> bool {
        self.leave_waiting_for(Self::WITHDRAWN)
    }

    fn set_limit(&self) {
        self.0.store(Self::SETS_LIMIT, Ordering::Release);
    }

    fn sets_limit(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::SETS_LIMIT
    }

    fn leave_waiting_for(&self, next: u8) -> bool {
        self.0.compare_exchange(Self::WAITING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
