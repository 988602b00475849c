//! Work on its way to a thread of the record and its answer on the way back.
//!
//! A caller that gives up must know whether its change may still happen. So a job is taken by
//! whoever comes first: the thread, to run it, or the caller, to abandon it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nightlatch_core::{Clock, Deadline, FailureClass, Outcome, StoreError, StoreErrorKind};
use tokio::sync::oneshot;

use super::failure::{Failure, Fault};

/// Who has taken a job.
struct Claim(AtomicU8);

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const ABANDONED: u8 = 2;

impl Claim {
    fn take(&self, by: u8) -> bool {
        self.0.compare_exchange(WAITING, by, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// What is known of a job apart from its work.
pub(super) struct Task {
    /// For errors: what the record was doing.
    pub(super) doing: &'static str,
    pub(super) deadline: Deadline,
    claim: Arc<Claim>,
    begun: bool,
}

/// The thread's end of a job.
pub(super) struct Reply<T> {
    pub(super) task: Task,
    to: oneshot::Sender<Result<T, StoreError>>,
}

/// The caller's end of a job.
pub(super) struct Pending<T> {
    doing: &'static str,
    deadline: Deadline,
    claim: Arc<Claim>,
    answer: oneshot::Receiver<Result<T, StoreError>>,
}

/// A job's two ends.
pub(super) fn job<T>(doing: &'static str, deadline: Deadline) -> (Reply<T>, Pending<T>) {
    let claim = Arc::new(Claim(AtomicU8::new(WAITING)));
    let (to, answer) = oneshot::channel();
    let task = Task { doing, deadline, claim: Arc::clone(&claim), begun: false };
    (Reply { task, to }, Pending { doing, deadline, claim, answer })
}

impl Task {
    /// Fails if there is no time left to begin.
    pub(super) fn check(&self, clock: &dyn Clock) -> Result<(), Failure> {
        let abandoned = self.claim.0.load(Ordering::Acquire) == ABANDONED;
        if abandoned || self.deadline.is_over(clock) {
            return Err(Failure::of(Fault::TooLate));
        }
        Ok(())
    }

    /// Takes the job, once and for all its runs: from now on its caller cannot abandon it.
    pub(super) fn begin(&mut self, clock: &dyn Clock) -> Result<(), Failure> {
        self.check(clock)?;
        self.begun = self.begun || self.claim.take(RUNNING);
        if self.begun { Ok(()) } else { Err(Failure::of(Fault::TooLate)) }
    }
}

impl<T> Reply<T> {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_unwanted(&self) -> bool {
        self.to.is_closed()
    }

    pub(super) fn succeed(self, value: T) {
        // A caller that has gone has been told that the outcome is unknown.
        let _ = self.to.send(Ok(value));
    }

    pub(super) fn fail(self, failure: &Failure, outcome: Outcome) {
        let error = failure.to_error(outcome, self.task.doing);
        let _ = self.to.send(Err(error));
    }
}

impl<T> Pending<T> {
    /// Waits until the deadline. `if_begun` is the outcome when it runs out while the job runs;
    /// `trouble` is asked what is known to be wrong then.
    pub(super) async fn wait(
        self,
        clock: &dyn Clock,
        if_begun: Outcome,
        trouble: impl FnOnce() -> Option<FailureClass>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.deadline.remaining(clock), self.answer).await {
            Ok(Ok(answer)) => answer,
            // The thread dropped the job: it is stopping, or the work panicked.
            Ok(Err(_closed)) => {
                let outcome =
                    if self.claim.take(ABANDONED) { Outcome::NotApplied } else { if_begun };
                Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    FailureClass::Closed,
                    outcome,
                    self.doing,
                ))
            }
            Err(_elapsed) => {
                let outcome =
                    if self.claim.take(ABANDONED) { Outcome::NotApplied } else { if_begun };
                let class = trouble().unwrap_or(FailureClass::Timeout);
                Err(StoreError::new(StoreErrorKind::Deadline, class, outcome, self.doing))
            }
        }
    }
}
