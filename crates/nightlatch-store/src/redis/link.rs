//! What requests have of a Redis: a connection that many share, or none.
//!
//! Nothing waits for a connection, so nothing is queued for one or repeated on the next. Whether there
//! is one is the keeper's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use nightlatch_core::{Clock, Entropy, FailureClass};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, SemaphorePermit, mpsc};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::connect::{Connection, Connector, PIPELINE_MAX};
use super::failure::{RedisFailure, Shows};
use super::options::{RedisOptions, RedisOptionsError};

/// Messages of others that wait to be read; more are dropped.
const PUSHED_MAX: usize = 4096;

/// This many silences in a row, and their connection is given up: the client
/// would keep one that hangs for ever.
const SILENCES_MAX: u32 = 3;

/// The way to one Redis.
pub struct RedisLink {
    pub(super) connector: Connector,
    /// The longest that one request waits for it in all.
    pub(super) deadline: Duration,
    /// What the names of all our keys begin with.
    pub(super) key_prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Where nodes tell each other.
    pub(super) channel: String,
    /// What came by it.
    pub(super) pushed: AsyncMutex<mpsc::Receiver<Vec<u8>>>,
    slot: ArcSwapOption<Connected>,
    /// Why the slot is empty.
    absence: Mutex<FailureClass>,
    in_flight: Semaphore,
    /// Told when the slot has been emptied.
    pub(super) lost: Notify,
}

/// What was answered, and by whom.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) connected: Arc<Connected>,
}

/// What was answered to several commands, and by whom.
pub(super) struct Answers {
    pub(super) values: Vec<Value>,
    pub(super) connected: Arc<Connected>,
}

/// A connection, and how it does.
pub(super) struct Connected {
    connection: Connection,
    /// How long an answer may take.
    deadline: Duration,
    silences: Mutex<Silences>,
}

/// Commands in a row without an answer. Those that were under way together count as one: they met
/// the same pause.
#[derive(Default)]
struct Silences {
    count: u32,
    /// When the last that counts was given up.
    last: Option<Instant>,
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
    ) -> Result<Self, RedisOptionsError> {
        let (deadline, key_prefix) = (options.deadline, options.key_prefix.clone());
        let (push, pushed) = mpsc::channel(PUSHED_MAX);
        Ok(Self {
            connector: Connector::new(options, push)?,
            deadline,
            channel: format!("{key_prefix}news"),
            pushed: AsyncMutex::new(pushed),
            key_prefix,
            clock,
            entropy,
            slot: ArcSwapOption::empty(),
            absence: Mutex::new(FailureClass::Unreachable),
            in_flight: Semaphore::new(PIPELINE_MAX),
            lost: Notify::new(),
        })
    }

    /// Sends a command and waits for its answer, no longer than `limit` and the link's deadline. Fails at
    /// once where there is no connection. A command that had no answer in time may still be done, at
    /// any later time.
    pub(super) async fn ask(&self, command: &Cmd, limit: Duration) -> Result<Answer, RedisFailure> {
        let (connected, _place) = self.take_place()?;
        match connected.ask(command, limit.min(self.deadline)).await {
            Ok(value) => Ok(Answer { value, connected }),
            Err(failure) => Err(self.failed(&connected, failure)),
        }
    }

    /// As [`Self::ask`] for several commands that are sent at once: all answers, or the first error
    /// among them.
    pub(super) async fn ask_all(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Answers, RedisFailure> {
        let (connected, _place) = self.take_place()?;
        match connected.send(commands, limit.min(self.deadline)).await {
            Ok(values) => Ok(Answers { values, connected }),
            Err(failure) => Err(self.failed(&connected, failure)),
        }
    }

    /// The connection, if there is one, and a place on it.
    fn take_place(&self) -> Result<(Arc<Connected>, SemaphorePermit<'_>), RedisFailure> {
        let connected = self.slot.load_full();
        let connected = connected.ok_or_else(|| RedisFailure::of_absence(self.absence()))?;
        let place = self.in_flight.try_acquire();
        Ok((connected, place.map_err(|_| RedisFailure::of_full_pipeline())?))
    }

    /// What a failure of a command means for its connection.
    fn failed(&self, connected: &Arc<Connected>, failure: RedisFailure) -> RedisFailure {
        if connected.is_lost_by(failure) {
            self.empty(connected, failure.class);
        }
        failure
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

    /// An answer was not what it had to be: the connection that it came over is given up.
    pub(super) fn distrust(&self, answered_by: &Arc<Connected>) {
        self.empty(answered_by, FailureClass::Protocol);
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.slot.load().is_some()
    }

    pub(super) fn publish(&self, connected: &Arc<Connected>) {
        self.slot.store(Some(Arc::clone(connected)));
    }

    /// Gives this connection up, if it still is the one in use.
    pub(super) fn empty(&self, connected: &Arc<Connected>, why: FailureClass) {
        if self.absence_of(connected).is_some() {
            return;
        }
        // Before: whoever finds the slot empty asks why.
        self.note_absence(why);
        let was = self.slot.compare_and_swap(connected, None);
        if was.as_ref().is_some_and(|was| Arc::ptr_eq(was, connected)) {
            self.lost.notify_one();
        }
    }

    /// Why this connection is not the one in use; `None`: it is.
    pub(super) fn absence_of(&self, connected: &Arc<Connected>) -> Option<FailureClass> {
        let is_used = self.slot.load().as_ref().is_some_and(|used| Arc::ptr_eq(used, connected));
        (!is_used).then(|| self.absence())
    }

    pub(super) fn note_absence(&self, why: FailureClass) {
        *self.absence.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn absence(&self) -> FailureClass {
        *self.absence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    pub(super) fn new(connection: Connection, deadline: Duration) -> Arc<Self> {
        Arc::new(Self { connection, deadline, silences: Mutex::default() })
    }

    /// The answer, if it comes in time; errors are failures.
    pub(super) async fn ask(&self, command: &Cmd, limit: Duration) -> Result<Value, RedisFailure> {
        let mut commands = self.connection.commands.clone();
        let (sent, asking) = (Instant::now(), commands.send_packed_command(command));
        let answer = timeout(limit, asking).await.map(|told| told.and_then(Value::extract_error));
        self.heard(answer, sent)
    }

    /// Sends several at once: all answers, or the first error among them.
    pub(super) async fn send(
        &self,
        batch: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, RedisFailure> {
        let mut commands = self.connection.commands.clone();
        let sent = Instant::now();
        let sending = commands.send_packed_commands(batch, 0, batch.len());
        let answers = timeout(limit, sending).await.map(|told| {
            told.and_then(|values| values.into_iter().map(Value::extract_error).collect())
        });
        self.heard(answers, sent)
    }

    /// Has the connection get what is told on a channel.
    pub(super) async fn subscribe(
        &self,
        channel: &str,
        limit: Duration,
    ) -> Result<(), RedisFailure> {
        let mut commands = self.connection.commands.clone();
        let (sent, asking) = (Instant::now(), commands.subscribe(channel));
        let answer = timeout(limit, asking).await;
        self.heard(answer, sent)
    }

    fn heard<T>(
        &self,
        answer: Result<Result<T, RedisError>, Elapsed>,
        sent: Instant,
    ) -> Result<T, RedisFailure> {
        let answer = match answer {
            Ok(Err(_)) if self.connection.intake.was_too_much() => {
                Err(RedisFailure { class: FailureClass::Protocol, shows: Shows::Spoilt })
            }
            Ok(answer) => answer.map_err(|error| RedisFailure::of_command(&error)),
            // Who had less time left than it may take has seen nothing of it.
            Err(_) if sent.elapsed() < self.deadline => Err(RedisFailure::of_haste()),
            Err(_) => Err(RedisFailure::of_silence()),
        };
        if answer.is_ok() {
            self.connection.intake.begin();
        }
        let mut silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Err(RedisFailure { shows: Shows::Silence, .. }) => {
                if silences.last.is_none_or(|last| sent >= last) {
                    silences.count += 1;
                    silences.last = Some(Instant::now());
                }
            }
            Err(RedisFailure { shows: Shows::Nothing, .. }) => {}
            Ok(_) | Err(_) => *silences = Silences::default(),
        }
        answer
    }

    /// Of which it is the state.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether a failure of a command means that the connection is to be given up.
    pub(super) fn is_lost_by(&self, failure: RedisFailure) -> bool {
        match failure.shows {
            Shows::Spoilt => true,
            Shows::Silence => {
                let silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
                silences.count >= SILENCES_MAX
            }
            Shows::Nothing | Shows::Answered => false,
        }
    }
}
