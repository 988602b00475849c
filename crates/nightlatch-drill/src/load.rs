//! Steady load: people who log in, ask who they are, log out and change their password, and programs
//! that do the same with tokens, at a pace, whatever happens to the server.
//!
//! Every request and every answer goes into a log, which [`crate::history`] judges.

mod book;
mod program;
mod summary;
mod visitor;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::Secret;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::client::{Client, Lost, Server};
use crate::history::{Asked, Operation};
use crate::until::until;
use book::Book;
use worker::Worker;

pub use summary::Summary;
pub use visitor::{Visit, Visitor};
pub use worker::{Habit, register};

/// How long requests may take to be answered, all of them.
const REST_LIMIT: Duration = Duration::from_secs(30);

/// The names of the session cookie: in development, and where there is TLS.
const SESSIONS: [&str; 3] = ["nightlatch", "__Host-nightlatch", "__Secure-nightlatch"];

/// Why there is no load, or no log of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Somebody cannot log in though nothing is wrong.
    #[error("{0} cannot log in: {1}")]
    NoLogin(String, String),
    /// Somebody cannot register though nothing is wrong.
    #[error("{0} cannot register: {1}")]
    NoRegistration(String, String),
    /// Requests are still under way.
    #[error("requests are not answered within {0:?}")]
    NoRest(Duration),
    /// A server that should be well does not say whether it knows a session.
    #[error("a server does not say whose a session is within {0:?}")]
    Unknowing(Duration),
    /// There was more than can be remembered.
    #[error("more requests or sessions than can be remembered")]
    TooMuch,
}

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

    /// What each of them does all day.
    pub fn habits(self) -> impl Iterator<Item = Habit> {
        let habits = [
            (self.movers, Habit::Moves { logouts_in_ten: self.logouts_in_ten }),
            (self.checkers, Habit::Checks),
            (self.changers, Habit::ChangesPassword),
            (self.programs, Habit::HasTokens),
        ];
        habits.into_iter().flat_map(|(count, habit)| std::iter::repeat_n(habit, count))
    }
}

/// Somebody of a crowd, who is registered.
#[derive(Clone, Debug)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The password, and the one that it is changed to and back.
    pub passwords: [Arc<Secret<String>>; 2],
    /// What they do.
    pub habit: Habit,
}

/// Load that runs. Dropped, it ends.
pub struct SteadyLoad {
    book: Arc<Book>,
    tasks: JoinSet<()>,
    limit: Duration,
}

impl SteadyLoad {
    /// Logs a crowd in at servers that share a record, and lets it begin: each request goes to any of
    /// them, as behind a load balancer that knows nothing of sessions. An answer may take so long.
    ///
    /// # Errors
    /// Somebody cannot log in.
    pub async fn start(
        servers: &[Server],
        people: Vec<Person>,
        limit: Duration,
        chance: &mut Chance,
    ) -> Result<Self, LoadError> {
        let book = Arc::new(Book::new(servers));
        let mut tasks = JoinSet::new();
        for person in people {
            let mut worker = Worker::new(Arc::clone(&book), person, limit, chance.split());
            worker.begin_day().await?;
            tasks.spawn(worker.work());
        }
        Ok(Self { book, tasks, limit })
    }

    /// The moment in its log.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.book.now()
    }

    /// A server has been started again, at this address.
    pub fn move_to(&self, node: usize, server: Server) {
        self.book.move_to(node, server);
    }

    /// Nobody asks this server from now on, as if a load balancer had found it dead; or does again.
    pub fn pass_over(&self, node: usize, is_passed_over: bool) {
        self.book.pass_over(node, is_passed_over);
    }

    /// Lets everybody finish what they do, and ask for nothing more until [`Self::go_on`].
    ///
    /// # Errors
    /// Requests are still under way after some time.
    pub async fn rest(&self) -> Result<(), LoadError> {
        self.book.rest(true);
        let quiet = until(REST_LIMIT, async || self.book.is_quiet()).await;
        quiet.map_err(|_| LoadError::NoRest(REST_LIMIT))
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

    /// Looks at what has been logged since the entry of this number; returns the number of the next.
    pub fn read_on(&self, from: usize, look: impl FnMut(&Operation)) -> usize {
        self.book.read_on(from, look)
    }

    /// Status and code of what requests of a kind that were sent since `from` have been answered.
    #[must_use]
    pub fn told(&self, from: Duration, asked: Asked) -> Vec<(u16, String)> {
        self.book.told(from, asked)
    }

    /// Lets everybody finish what they do, asks every server once more about every session, and
    /// returns the log. Nothing may be wrong with any of them by now.
    ///
    /// # Errors
    /// There was too much for a log, or a server does not say what it knows.
    pub async fn finish(mut self) -> Result<Vec<Operation>, LoadError> {
        self.book.stop();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a worker has said why it panicked");
        }
        let nobody = Person {
            name: String::new(),
            passwords: std::array::from_fn(|_| Arc::new(Secret::new(String::new()))),
            habit: Habit::Checks,
        };
        let chance = Chance::from_seed(0);
        let mut judge = Worker::new(Arc::clone(&self.book), nobody, self.limit, chance);
        judge.check_all().await?;
        self.book.take_log()
    }
}

/// Why there was no answer, or what was told instead of the one that was hoped for.
fn in_words(answer: Result<crate::client::Answer, Lost>) -> String {
    match answer {
        Ok(answer) => format!("{} {}", answer.status, answer.code()).trim_end().to_owned(),
        Err(Lost::NotConnected) => "there is no connection".to_owned(),
        Err(Lost::TooLate) => "there is no answer in time".to_owned(),
        Err(Lost::UnansweredOnNewConnection(why) | Lost::UnansweredOnKeptConnection(why)) => why,
    }
}

/// A client of each server.
fn clients(servers: impl Iterator<Item = Server>, limit: Duration) -> Vec<Client> {
    servers.map(|server| Client::new(server, limit)).collect()
}
