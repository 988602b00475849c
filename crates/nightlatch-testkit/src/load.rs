//! Steady load: people who log in, ask who they are, log out and change their password, and programs
//! that do the same with tokens, at a pace, whatever happens to the server.
//!
//! Every request and every answer goes into a log, which [`crate::history`] judges.

mod book;
mod program;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::auth_service::FakeAuthService;
use crate::chance::Chance;
use crate::client::Client;
use crate::history::{Asked, Operation, Outcome};
use crate::wait::wait_until;
use book::Book;
use worker::{Habit, Worker};

/// How long requests may take to be answered, all of them.
const REST_LIMIT: Duration = Duration::from_secs(30);

/// The names of the session cookie: in development, and where there is TLS.
const SESSIONS: [&str; 2] = ["nightlatch", "__Host-nightlatch"];

/// A password that nobody guesses, and the one that it is changed to and back.
const PASSWORDS: [&str; 2] = ["violet-anchor-parade-47", "copper-lantern-meadow-82"];

/// Who does what.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// People who log in and out.
    pub movers: usize,
    /// People who ask who they are.
    pub checkers: usize,
    /// People who change their password.
    pub changers: usize,
    /// Programs that have tokens.
    pub programs: usize,
    /// How many in ten of a mover's requests are logouts.
    pub logouts_in_ten: u64,
}

impl Crowd {
    /// A bit of everything: about 190 requests a second of an idle server.
    pub const STEADY: Self =
        Self { movers: 3, checkers: 3, changers: 1, programs: 2, logouts_in_ten: 4 };

    /// People whose passwords another service keeps, which nobody changes here.
    pub const DELEGATED: Self =
        Self { movers: 4, checkers: 3, changers: 0, programs: 2, logouts_in_ten: 3 };
}

/// Load that runs. Dropped, it ends.
pub struct SteadyLoad {
    book: Arc<Book>,
    tasks: JoinSet<()>,
}

impl SteadyLoad {
    /// Registers a crowd at servers that share a record, or at the service that vouches for it, and lets it
    /// begin: each request goes to any
    /// of them, as behind a load balancer that knows nothing of sessions.
    pub async fn start(
        addresses: &[SocketAddr],
        crowd: Crowd,
        chance: &mut Chance,
        known_by: Option<&FakeAuthService>,
    ) -> Self {
        let book = Arc::new(Book::new(addresses));
        let mut tasks = JoinSet::new();
        let habits = [
            (crowd.movers, Habit::Moves { logouts_in_ten: crowd.logouts_in_ten }),
            (crowd.checkers, Habit::Checks),
            (crowd.changers, Habit::ChangesPassword),
            (crowd.programs, Habit::HasTokens),
        ];
        for (number, habit) in
            habits.into_iter().flat_map(|(count, habit)| vec![habit; count]).enumerate()
        {
            let name = format!("person{number}");
            let mut worker = Worker::new(Arc::clone(&book), name, habit, chance.split());
            worker.register(known_by).await;
            tasks.spawn(worker.work());
        }
        Self { book, tasks }
    }

    /// Registers somebody who is not of the crowd. Nothing may be wrong with the server.
    pub async fn register(&self, name: &str, password: &str) {
        worker::register(&mut Client::new(self.book.nodes()[0].address), name, password).await;
    }

    /// The moment in its log.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.book.now()
    }

    /// A server has been started again, at this address.
    pub fn move_to(&self, node: usize, address: SocketAddr) {
        self.book.move_to(node, address);
    }

    /// Lets everybody finish what they do, and ask for nothing more until [`Self::go_on`].
    pub async fn rest(&self) {
        self.book.rest(true);
        wait_until("nobody asks any more", REST_LIMIT, async || self.book.is_quiet()).await;
    }

    /// The end of [`Self::rest`].
    pub fn go_on(&self) {
        self.book.rest(false);
    }

    /// How many requests that were sent since `from` have been answered as `wanted` says.
    #[must_use]
    pub fn count(&self, from: Duration, wanted: impl Fn(&Operation) -> bool) -> usize {
        self.book.count(|operation| operation.began >= from && wanted(operation))
    }

    /// Status and code of what requests of a kind that were sent since `from` have been answered.
    #[must_use]
    pub fn told(&self, from: Duration, asked: Asked) -> Vec<(u16, String)> {
        self.book.told(from, asked)
    }

    /// Lets everybody finish what they do, asks every server once more about every session, and
    /// returns the log. Nothing may be wrong with any of them by now.
    pub async fn finish(mut self) -> Vec<Operation> {
        self.book.stop();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a worker has said why it panicked");
        }
        let mut judge =
            Worker::new(Arc::clone(&self.book), String::new(), Habit::Checks, Chance::from_seed(0));
        judge.check_all().await;
        self.book.take_log()
    }
}

/// What was answered to one kind of request, in one span of time.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How often each status; 0: no answer.
    pub statuses: std::collections::BTreeMap<u16, usize>,
    /// Half took no longer.
    pub p50: Duration,
    /// 99 in a hundred took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Summary {
    /// Of the requests `asked` that began within a span.
    #[must_use]
    pub fn of(log: &[Operation], asked: &[Asked], (from, to): (Duration, Duration)) -> Self {
        let chosen = log.iter().filter(|operation| {
            asked.contains(&operation.asked) && (from..to).contains(&operation.began)
        });
        let mut summary = Self::default();
        let mut took = Vec::new();
        for operation in chosen {
            *summary.statuses.entry(operation.status().unwrap_or(0)).or_default() += 1;
            if operation.outcome != Outcome::Lost {
                took.push(operation.took());
            }
        }
        took.sort_unstable();
        let at =
            |hundredth: usize| took.get((took.len() * hundredth / 100).min(took.len().max(1) - 1));
        summary.p50 = at(50).copied().unwrap_or_default();
        summary.p99 = at(99).copied().unwrap_or_default();
        summary.max = took.last().copied().unwrap_or_default();
        summary
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> usize {
        self.statuses.values().sum()
    }

    /// How many were told this status.
    #[must_use]
    pub fn told(&self, status: u16) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }
}
