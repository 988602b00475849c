//! What other nodes have counted, as the record tells it.
//!
//! Looked at when somebody comes and the last look is a second old: a node that nobody tries to
//! log in at asks for nothing, and one under attack asks once a second. Who comes waits for the
//! look, but not long: this node's share of each limit holds whatever is known of the others.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Clock, Deadline, FailureNews, FailurePosition, NodeId, ThrottleStore};
use tokio::sync::{Notify, watch};

/// How old what a node knows of the others may be when it judges a try. A node that comes lets
/// nothing through for so long, and they all know of it.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one look may take.
const LOOK_SPAN: Duration = Duration::from_millis(500);
/// How long a try waits for it.
const WAIT_SPAN: Duration = Duration::from_millis(250);
/// The most failures in one statement.
const ROWS_MAX: u32 = 2000;
/// The most statements of one look: what is left is older than what comes, and comes later.
const STATEMENTS_MAX: u32 = 5;

/// The other nodes' failures, followed.
pub(super) struct Exchange {
    store: Arc<dyn ThrottleStore>,
    node: NodeId,
    wanted: Notify,
    looked: watch::Sender<Looked>,
}

#[derive(Clone, Copy, Default)]
struct Looked {
    through: FailurePosition,
    /// When the last look began, since boot; before the first one there is nothing to be known.
    at: Option<Duration>,
}

impl Looked {
    fn is_fresh(self, clock: &dyn Clock) -> bool {
        self.at.is_none_or(|at| clock.boottime().saturating_sub(at) < LOOK_EVERY)
    }
}

impl Exchange {
    pub(super) fn new(store: Arc<dyn ThrottleStore>, node: NodeId) -> Self {
        Self { store, node, wanted: Notify::new(), looked: watch::Sender::default() }
    }

    /// Everything up to `through` is counted.
    pub(super) fn begin_at(&self, through: FailurePosition, clock: &dyn Clock) {
        self.looked.send_replace(Looked { through, at: Some(clock.boottime()) });
    }

    /// Ends when it is known what others had counted a second ago, or that it cannot be known now.
    pub(super) async fn be_fresh(&self, clock: &dyn Clock, deadline: Deadline) {
        let mut looked = self.looked.subscribe();
        if looked.borrow().is_fresh(clock) {
            return;
        }
        self.wanted.notify_one();
        let span = deadline.remaining(clock).min(WAIT_SPAN);
        let fresh = tokio::time::timeout(span, looked.wait_for(|looked| looked.is_fresh(clock)));
        if fresh.await.is_err() {
            tracing::debug!("a try is judged by what this node knew of the others before");
        }
    }

    /// Looks whenever it is wanted; the caller ends it by dropping it.
    pub(super) async fn run(&self, clock: &dyn Clock, tell: impl Fn(FailureNews) + Send + Sync) {
        loop {
            self.wanted.notified().await;
            let looked = *self.looked.borrow();
            if looked.is_fresh(clock) {
                continue;
            }
            let at = Some(clock.boottime());
            let through = self.look(looked.through, clock, &tell).await;
            self.looked.send_replace(Looked { through, at });
        }
    }

    /// Tells what is new behind `from`; up to where it came.
    async fn look(
        &self,
        from: FailurePosition,
        clock: &dyn Clock,
        tell: &(impl Fn(FailureNews) + Send + Sync),
    ) -> FailurePosition {
        let deadline = Deadline::within(clock, LOOK_SPAN);
        let mut through = from;
        for _ in 0..STATEMENTS_MAX {
            let news = match self.store.poll_failures(self.node, through, ROWS_MAX, deadline).await
            {
                Ok(news) => news,
                Err(error) => {
                    // The record's own health says so, once; here it would be a line each second.
                    tracing::debug!(error = &error as &dyn std::error::Error, "not looked");
                    break;
                }
            };
            let is_cut = news.is_cut;
            through = news.through;
            tell(news);
            if !is_cut {
                break;
            }
        }
        through
    }
}
