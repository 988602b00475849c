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
use super::table::Table;
use super::{cluster, keeper};

/// Messages of others that wait to be read; more are dropped.
const PUSHED_MAX: usize = 4096;

/// Who wants to know what becomes of what requests ask.
pub trait CallObserver: Send + Sync {
    /// A server has answered, with an error or without, after so long.
    fn answered(&self, took: Duration);

    /// What was asked was not done, or not in time, or nobody was there to be asked.
    fn failed(&self, class: FailureClass);
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
        let table = if connector.is_cluster() {
            Table::of_many(Vec::new(), Vec::new())
        } else {
            let probe = keeper::probe(&key_prefix, "", &*entropy);
            Table::of_one(Lane::new(Target::Configured, probe))
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
        let (began, limit) = (Instant::now(), limit.min(self.deadline));
        let table = self.table.load_full();
        let nobody = RedisFailure::of_absence(self.absence());
        let mut answers: Vec<_> = (0..batch.len()).map(|_| Err(nobody)).collect();
        let mut elsewhere = Vec::new();
        for told in send(batch.part(&table), limit).await {
            self.take(told, &table, &mut answers, Some(&mut elsewhere));
        }
        if !elsewhere.is_empty() {
            for told in send(elsewhere, limit.saturating_sub(began.elapsed())).await {
                self.take(told, &table, &mut answers, None);
            }
        }
        for failure in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            self.calls.failed(failure.class);
        }
        answers
    }

    /// Puts the answers of one server into their places. What it says is another's, that one is to be
    /// asked.
    fn take(
        &self,
        Told { share, answers: told, took }: Told,
        table: &Table,
        answers: &mut [Result<Answer, RedisFailure>],
        mut elsewhere: Option<&mut Vec<Share>>,
    ) {
        let (values, through) = match told {
            Ok(told) => {
                self.calls.answered(took);
                told
            }
            Err(failure) => {
                for number in share.numbers.into_iter().flatten() {
                    answers[number] = Err(failure);
                }
                return;
            }
        };
        for ((value, number), command) in
            values.into_iter().zip(share.numbers).zip(share.commands.cmd_iter())
        {
            let Some(number) = number else { continue };
            if let Some(redirect) = Redirect::read(&value, share.lane.address()) {
                if !redirect.is_for_once {
                    self.misled.notify_one();
                }
                if let Some(lane) = table.lane_at(&redirect.to)
                    && let Some(elsewhere) = elsewhere.as_deref_mut()
                {
                    let share = Share::of(lane, elsewhere);
                    if redirect.is_for_once {
                        share.push_asking();
                    }
                    share.push(number, command.clone());
                }
            }
            answers[number] = through.accept(value);
        }
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

    /// Whether there is a connection to any server.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.table.load().is_connected()
    }

    /// For how long all connections have been in use that there are; nothing without one.
    pub(super) fn connected_for(&self) -> Duration {
        let since = self.table.load().connected_at();
        since.map_or(Duration::ZERO, |since| self.clock.boottime().saturating_sub(since))
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

/// A share, what its server answered, and after how long.
struct Told {
    share: Share,
    answers: Result<(Vec<Value>, Through), RedisFailure>,
    took: Duration,
}

/// Sends each server its share, to all at once.
async fn send(mut shares: Vec<Share>, limit: Duration) -> Vec<Told> {
    if shares.len() > 1 {
        let asked = shares.into_iter().map(|share| send_share(share, limit));
        return asked.collect::<JoinSet<_>>().join_all().await;
    }
    match shares.pop() {
        Some(share) => vec![send_share(share, limit).await],
        None => Vec::new(),
    }
}

async fn send_share(share: Share, limit: Duration) -> Told {
    let asked = Instant::now();
    let answers = share.lane.send(&share.commands, limit).await;
    Told { share, answers, took: asked.elapsed() }
}
