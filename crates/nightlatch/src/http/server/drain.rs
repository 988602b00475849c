//! The phases of a stop: first load balancers learn of it, then connections end, then all is over.

use std::time::Duration;

use tokio::sync::watch;

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No stop was asked for.
    Serving,
    /// Not ready, but still accepting: load balancers take us out.
    Leaving,
    /// No new connections; kept ones get their answers with `Connection: close`.
    Closing,
    /// Idle connections are closed.
    ClosingIdle,
    /// What is left is cut.
    Over,
}

/// Tells everybody how far the stop has come.
#[derive(Clone)]
pub struct Drain(watch::Receiver<Phase>);

/// Drives a stop.
pub struct DrainDriver(watch::Sender<Phase>);

impl Drain {
    /// A drain that has not begun, and what drives it.
    #[must_use]
    pub fn new() -> (DrainDriver, Self) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (DrainDriver(sender), Self(receiver))
    }

    /// Whether the stop has come that far.
    #[must_use]
    pub fn is_reached(&self, phase: Phase) -> bool {
        *self.0.borrow() >= phase
    }

    /// Ends when the stop has come that far.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.clone();
        // An error means that the driver is gone, and with it the server.
        let _ = receiver.wait_for(|reached| *reached >= phase).await;
    }
}

impl DrainDriver {
    /// Goes through the phases: `leave` to let load balancers notice, at most `total` in all. Ends
    /// as soon as `is_empty` does.
    pub async fn run(&self, leave: Duration, total: Duration, is_empty: impl Future<Output = ()>) {
        let leave = leave.min(total / 2);
        self.0.send_replace(Phase::Leaving);
        tokio::time::sleep(leave).await;
        self.0.send_replace(Phase::Closing);
        let rest = total.saturating_sub(leave);
        tokio::pin!(is_empty);
        for (phase, wait) in [(Phase::ClosingIdle, rest / 2), (Phase::Over, rest / 2)] {
            tokio::select! {
                biased;
                () = &mut is_empty => break,
                () = tokio::time::sleep(wait) => {}
            }
            self.0.send_replace(phase);
        }
        self.0.send_replace(Phase::Over);
    }
}
