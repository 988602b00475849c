//! What requests have of Redis: a connection to each server that many share, or none.
//!
//! Nothing waits for a connection, so nothing is queued for one. A command is sent once; only a server
//! that says itself that another one has the key leads to that one, once, within the same deadline.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use nightlatch_core::{Clock, Entropy, FailureClass};
use redis::Value;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{Batch, Share};
use super::connect::{Connector, Target};
use super::failure::RedisFailure;
use super::keeper::{Keeper, LinkObserver};
use super::lane::{Answer, Lane, Through};
use super::options::{RedisOptions, RedisOptionsError};
use super::redirect::Redirect;
use super::slot::{self, Slot};
use super::table::Table;
use super::{cluster, keeper};
use crate::certificate::CertificateExpiry;

/// Messages of others that wait to be read; more are dropped.
const PUSHED_MAX: usize = 4096;

/// Who wants to know what becomes of what requests ask.
pub trait CallObserver: Send + Sync {
    /// A server has answered, with an error or without, after so long.
    fn answered(&self, took: Duration);

    /// What was asked was not done, or not in time, or nobody was there to be asked; known after so long.
    fn failed(&self, class: FailureClass, took: Duration);
}

/// The way to one Redis: to its server, or to all servers of its Cluster.
pub struct RedisLink {
    pub(super) connector: Connector,
    /// The longest that one request waits for it in all.
    pub(super) deadline: Duration,
    /// What the names of all our keys begin with.
    pub(super) key_prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    calls: Arc<dyn CallObserver>,
    /// Where nodes tell each other.
    pub(super) channel: String,
    /// What came by it.
    pub(super) pushed: AsyncMutex<mpsc::Receiver<Vec<u8>>>,
    table: ArcSwap<Table>,
    /// For each slot of a Cluster a number that leads there.
    pub(super) tags: Vec<u32>,
    /// Why a key is nobody's.
    absence: Mutex<FailureClass>,
    /// Told when a server says that another one has a key.
    pub(super) misled: Notify,
}

impl RedisLink {
    /// Connects to nothing yet: [`Self::keep`] does, and has to run.
    ///
    /// # Errors
    /// [`RedisOptionsError`] when it cannot even be tried.
    pub fn new(
        options: RedisOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        calls: Arc<dyn CallObserver>,
    ) -> Result<Self, RedisOptionsError> {
        let (deadline, key_prefix) = (options.deadline, options.key_prefix.clone());
        let (push, pushed) = mpsc::channel(PUSHED_MAX);
        let connector = Connector::new(options, push)?;
        let (table, tags) = if connector.is_cluster() {
            (Table::of_many(Vec::new(), Vec::new()), slot::tags())
        } else {
            let probe = keeper::probe(&key_prefix, "", &*entropy);
            (Table::of_one(Lane::new(Target::Configured, probe)), Vec::new())
        };
        Ok(Self {
            connector,
            deadline,
            channel: format!("{key_prefix}news"),
            pushed: AsyncMutex::new(pushed),
            key_prefix,
            clock,
            entropy,
            calls,
            table: ArcSwap::from_pointee(table),
            tags,
            absence: Mutex::new(FailureClass::Unreachable),
            misled: Notify::new(),
        })
    }

    /// Keeps the link connected, for as long as the caller lets it run, and tells how it does.
    pub async fn keep(self: Arc<Self>, observer: Arc<dyn LinkObserver>) {
        if self.connector.is_cluster() {
            cluster::follow(&self, observer).await;
            return;
        }
        let table = self.table.load_full();
        for lane in table.lanes() {
            Keeper::new(Arc::clone(&self), Arc::clone(lane), Arc::clone(&observer)).keep().await;
        }
    }

    /// Sends commands, each to the server that has its key, and waits for their answers, no longer than
    /// `limit` and the link's deadline. Each has an answer of its own, in the order in which they were
    /// added; where there is no connection it is a failure, at once. A command that had no answer in
    /// time may still be done, at any later time.
    pub(super) async fn ask(
        &self,
        batch: Batch,
        limit: Duration,
    ) -> Vec<Result<Answer, RedisFailure>> {
        let asked = Instant::now();
        let limit = limit.min(self.deadline);
        let table = self.table.load_full();
        let nobody = RedisFailure::of_absence(self.absence());
        let mut answers: Vec<_> = (0..batch.len()).map(|_| Err(nobody)).collect();
        let shares = batch.part(&table);
        for told in at_once(shares, |share| follow(share, Arc::clone(&table), limit)).await {
            for took in told.took {
                self.calls.answered(took);
            }
            if told.is_misled {
                self.misled.notify_one();
            }
            for (number, answer) in told.answers {
                answers[number] = answer;
            }
        }
        for failure in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            self.calls.failed(failure.class, asked.elapsed());
        }
        answers
    }

    /// The name of one of our keys.
    pub(super) fn name(&self, kind: &str, id: &[u8]) -> String {
        let mut name = String::with_capacity(self.key_prefix.len() + kind.len() + 2 * id.len());
        name.push_str(&self.key_prefix);
        name.push_str(kind);
        for byte in id {
            for digit in [byte >> 4, byte & 15] {
                name.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        name
    }

    /// Until when the certificate is good that was shown last.
    #[must_use]
    pub const fn certificate_expiry(&self) -> &CertificateExpiry {
        &self.connector.certificate
    }

    /// Whether there is a connection to any server.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.table.load().is_connected()
    }

    /// For how long the connection has been in use that has been so longest; nothing without one.
    pub(super) fn connected_for(&self) -> Duration {
        let table = self.table.load();
        self.since(table.lanes().iter().filter_map(|lane| lane.connected_at()).min())
    }

    /// For how long that to the server of a key has been; nothing without one.
    pub(super) fn connected_for_key(&self, name: &str) -> Duration {
        let table = self.table.load();
        self.since(table.lane_for(Some(Slot::of(name))).and_then(|lane| lane.connected_at()))
    }

    fn since(&self, at: Option<Duration>) -> Duration {
        at.map_or(Duration::ZERO, |at| self.clock.boottime().saturating_sub(at))
    }

    pub(super) fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    pub(super) fn note_absence(&self, why: FailureClass) {
        *self.absence.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn absence(&self) -> FailureClass {
        *self.absence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What servers answered.
#[derive(Default)]
struct Told {
    answers: Vec<(usize, Result<Answer, RedisFailure>)>,
    /// How long each took that answered.
    took: Vec<Duration>,
    /// Whether one said that another has its keys from now on.
    is_misled: bool,
}

impl Told {
    /// Notes what a server answered; what it says is another's, that one is to be asked.
    fn take(&mut self, (share, told, took): Answered, table: &Table) -> Vec<Share> {
        let mut elsewhere = Vec::new();
        let (values, through) = match told {
            Ok(told) => told,
            Err(failure) => {
                let numbers = share.numbers.into_iter().flatten();
                self.answers.extend(numbers.map(|number| (number, Err(failure))));
                return elsewhere;
            }
        };
        self.took.push(took);
        for ((value, number), command) in
            values.into_iter().zip(share.numbers).zip(share.commands.cmd_iter())
        {
            let Some(number) = number else { continue };
            if let Some(redirect) = Redirect::read(&value, share.lane.address()) {
                self.is_misled |= !redirect.is_for_once;
                if let Some(lane) = table.lane_at(&redirect.to) {
                    let share = Share::of(lane, &mut elsewhere);
                    if redirect.is_for_once {
                        share.push_asking();
                    }
                    share.push(number, command.clone());
                }
            }
            self.answers.push((number, through.accept(value)));
        }
        elsewhere
    }
}

/// A share, what its server answered, and after how long.
type Answered = (Share, Result<(Vec<Value>, Through), RedisFailure>, Duration);

/// Sends a server its share, and once what it says is another's to that one. What comes later among the
/// answers to one command holds.
async fn follow(share: Share, table: Arc<Table>, limit: Duration) -> Told {
    let asked = Instant::now();
    let mut told = Told::default();
    let elsewhere = told.take(send(share, limit).await, &table);
    let left = limit.saturating_sub(asked.elapsed());
    for answered in at_once(elsewhere, |share| send(share, left)).await {
        told.take(answered, &table);
    }
    told
}

async fn send(share: Share, limit: Duration) -> Answered {
    let asked = Instant::now();
    let answers = share.lane.send(&share.commands, limit).await;
    (share, answers, asked.elapsed())
}

/// Has something done with each share, with all at once.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    mut shares: Vec<Share>,
    each: impl Fn(Share) -> F,
) -> Vec<T> {
    if shares.len() > 1 {
        return shares.into_iter().map(each).collect::<JoinSet<_>>().join_all().await;
    }
    match shares.pop() {
        Some(share) => vec![each(share).await],
        None => Vec::new(),
    }
}
