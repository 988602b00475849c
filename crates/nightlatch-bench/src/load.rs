//! The load generator: connections that ask again and again, as fast as they can or in a rhythm.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::Connection;
use crate::latency::Latencies;

/// How much longer than asked for a turn may take before the server counts as hung.
const OVERTIME: Duration = Duration::from_secs(30);

/// Requests that take turns, whichever connection they go out on.
pub(crate) struct Requests {
    texts: Vec<String>,
    next: AtomicUsize,
    /// How many are sent in all.
    sent_max: usize,
}

/// A load on one server.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    pub(crate) requests: Arc<Requests>,
    pub(crate) connections: usize,
    /// How long a connection waits between the beginnings of two requests; zero: not at all.
    pub(crate) every: Duration,
}

/// What a load came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) latencies: Latencies,
    /// Answers other than 200; their latencies are not among the others.
    pub(crate) refused: usize,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Requests {
    pub(crate) fn new(texts: Vec<String>) -> Arc<Self> {
        Arc::new(Self { texts, next: AtomicUsize::new(0), sent_max: usize::MAX })
    }

    /// Each is sent once; then the load is over.
    pub(crate) fn once(texts: Vec<String>) -> Arc<Self> {
        Arc::new(Self { sent_max: texts.len(), texts, next: AtomicUsize::new(0) })
    }

    fn next(&self) -> Option<&[u8]> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        (turn < self.sent_max).then(|| self.texts[turn % self.texts.len()].as_bytes())
    }
}

impl Load {
    /// Loads the server for `span`; requests that are under way then are waited for.
    pub(crate) async fn run(&self, span: Duration) -> anyhow::Result<Outcome> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(self.server).await?);
        }
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for (number, connection) in (0..).zip(connections) {
            // Those with a rhythm begin one after the other, not all in the same instant.
            let stagger = self.every * number / u32::try_from(self.connections)?;
            tasks.spawn(self.clone().ask(connection, began + stagger, began + span));
        }
        let joined = timeout(span + OVERTIME, tasks.join_all());
        let parts = joined.await.context("the server did not answer any more")?;
        let mut all = Outcome { took: began.elapsed(), ..Outcome::default() };
        for part in parts {
            let part = part?;
            all.latencies.append(part.latencies);
            all.refused += part.refused;
        }
        Ok(all)
    }

    async fn ask(
        self,
        mut connection: Connection,
        mut due: Instant,
        end: Instant,
    ) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        loop {
            let asked = if self.every.is_zero() { Instant::now() } else { self.turn(due).await };
            if asked >= end {
                return Ok(outcome);
            }
            let Some(request) = self.requests.next() else { return Ok(outcome) };
            let status = connection.exchange(request).await?.status;
            match status {
                200 => outcome.latencies.push(asked.elapsed()),
                _ => outcome.refused += 1,
            }
            due += self.every;
        }
    }

    /// Waits for the next turn, and says when the request was to be sent. A timer that rings late
    /// is the load generator's fault; an answer that kept the next request waiting is the server's,
    /// and the wait counts.
    async fn turn(&self, due: Instant) -> Instant {
        if Instant::now() >= due {
            return due;
        }
        sleep_until(due).await;
        Instant::now()
    }
}

impl Outcome {
    /// Adds what another turn of the same load came to.
    pub(crate) fn append(&mut self, other: Self) {
        self.latencies.append(other.latencies);
        self.refused += other.refused;
        self.took += other.took;
    }

    /// Answers of 200 a second.
    pub(crate) fn rate(&self) -> f64 {
        let answered = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        f64::from(answered) / self.took.as_secs_f64()
    }
}
