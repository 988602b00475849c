//! The wire between a node and the record: what becomes of each call is drawn from the seed, within
//! what the faults of the moment allow.
//!
//! A call goes out, takes effect at once, and its answer comes back. Each way takes time, and either
//! can fail. As with a real driver, no call outlives its deadline, and what was sent without an
//! answer is "unknown".

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{
    BoxFuture, Clock, Deadline, FailureClass, Outcome, StoreError, StoreErrorKind,
};
use nightlatch_store::intercepted::Interceptor;

use crate::entropy::Rng;
use crate::history::{OpId, Recorder};

tokio::task_local! {
    /// The operation on whose behalf a call is made; the tasks of a node have none.
    pub(crate) static ASKED_BY: OpId;
}

/// How the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    /// Each way takes a few milliseconds at most.
    Good,
    /// Nothing gets through, and the caller is told so.
    Refusing,
    /// Nothing gets through, and nobody says so.
    Silent,
    /// Each way takes up to so many milliseconds.
    Slow(usize),
    /// Of a thousand calls so many are refused, and of a thousand answers as many are lost.
    Lossy(usize),
}

/// The wire of one node.
pub(crate) struct Wire {
    clock: Arc<dyn Clock>,
    recorder: Arc<Recorder>,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    quality: Quality,
    /// Looks at the feed that are under way.
    looks: usize,
}

/// What becomes of one way of a call.
enum Way {
    Arrives { after: Duration },
    Fails { class: FailureClass },
    IsLost,
}

impl Wire {
    pub(crate) fn new(clock: Arc<dyn Clock>, recorder: Arc<Recorder>, rng: Rng) -> Self {
        let state = State { rng, quality: Quality::Good, looks: 0 };
        Self { clock, recorder, state: Mutex::new(state) }
    }

    pub(crate) fn set(&self, quality: Quality) {
        self.state().quality = quality;
    }

    /// Its node has died: nobody waits for its calls.
    pub(crate) fn forget_calls(&self) {
        self.state().looks = 0;
    }

    async fn travel(
        &self,
        call: &'static str,
        deadline: Deadline,
        failed: Outcome,
    ) -> Result<(), StoreError> {
        let way = self.state().draw();
        let left = deadline.remaining(&*self.clock);
        match way {
            Way::Arrives { after } if after < left => {
                tokio::time::sleep(after).await;
                Ok(())
            }
            Way::Fails { class } => {
                tokio::time::sleep(left.min(REFUSAL_TAKES)).await;
                Err(StoreError::new(StoreErrorKind::Unavailable, class, failed, call))
            }
            Way::Arrives { .. } | Way::IsLost => {
                tokio::time::sleep(left).await;
                let (kind, class) = (StoreErrorKind::Deadline, FailureClass::Timeout);
                Err(StoreError::new(kind, class, Outcome::Unknown, call))
            }
        }
    }

    fn departs(&self, call: &'static str) {
        if is_look(call) {
            let mut state = self.state();
            state.looks += 1;
            let mut history = self.recorder.history();
            history.looks_at_once_max = history.looks_at_once_max.max(state.looks);
        }
    }

    fn is_back(&self, call: &'static str) {
        if is_look(call) {
            let mut state = self.state();
            state.looks = state.looks.saturating_sub(1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const REFUSAL_TAKES: Duration = Duration::from_millis(1);

impl Interceptor for Wire {
    fn before(
        &self,
        call: &'static str,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.departs(call);
            let arrived = self.travel(call, deadline, Outcome::NotApplied).await;
            if arrived.is_err() {
                self.is_back(call);
            }
            arrived
        })
    }

    fn after(
        &self,
        call: &'static str,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        if is_change(call)
            && let Ok(op) = ASKED_BY.try_with(|op| *op)
        {
            self.recorder.takes_effect(op);
        }
        Box::pin(async move {
            let arrived = self.travel(call, deadline, Outcome::Unknown).await;
            self.is_back(call);
            arrived
        })
    }
}

fn is_look(call: &str) -> bool {
    matches!(call, "poll_feed" | "claim_epoch")
}

/// Whether a call changes who is logged in, or who may log in.
fn is_change(call: &str) -> bool {
    matches!(
        call,
        "create_session"
            | "end_sessions"
            | "change_password"
            | "set_enabled"
            | "set_groups"
            | "rotate"
    )
}

impl State {
    fn draw(&mut self) -> Way {
        match self.quality {
            Quality::Refusing => Way::Fails { class: FailureClass::Unreachable },
            Quality::Silent => Way::IsLost,
            Quality::Slow(most) => Way::Arrives { after: self.rng.millis(0, most) },
            Quality::Lossy(times) if self.rng.permille(times) => {
                if self.rng.permille(700) {
                    Way::Fails { class: FailureClass::Closed }
                } else {
                    Way::IsLost
                }
            }
            Quality::Good | Quality::Lossy(_) => Way::Arrives { after: self.rng.millis(0, 3) },
        }
    }
}
