//! Somebody who guesses a password all the time: throttles are never off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Between two guesses.
const GUESS_EVERY: Duration = Duration::from_millis(100);

/// Guesses until it is dropped.
pub(crate) struct Guesser {
    counts: Arc<Counts>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    evaluated: AtomicUsize,
    refused: AtomicUsize,
}

impl Guesser {
    /// Guesses the password of `username` on these servers in turn.
    pub(crate) fn start(username: &'static str, addresses: Vec<SocketAddr>) -> Self {
        let counts = Arc::<Counts>::default();
        let mut task = JoinSet::new();
        task.spawn(guess(username, addresses, Arc::clone(&counts)));
        Self { counts, _task: task }
    }

    /// How many guesses were evaluated, and how many refused.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let load = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (load(&self.counts.evaluated), load(&self.counts.refused))
    }
}

async fn guess(username: &str, addresses: Vec<SocketAddr>, counts: Arc<Counts>) {
    let mut clients: Vec<Client> = addresses.into_iter().map(Client::new).collect();
    let mut pace = interval(GUESS_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let body = json!({ "username": username, "password": "a wrong guess" });
    for turn in 0.. {
        pace.tick().await;
        let turn = turn % clients.len();
        let asked = clients[turn].request(Method::POST, "/api/v1/auth/login").json(&body);
        match asked.try_send().await.map(|answer| answer.status) {
            Ok(401) => counts.evaluated.fetch_add(1, Ordering::SeqCst),
            Ok(429) => counts.refused.fetch_add(1, Ordering::SeqCst),
            Ok(_) | Err(_) => 0,
        };
    }
}
