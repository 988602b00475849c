//! One connection, and how it does. What the server answers is handed on as it came, errors too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::FailureClass;
use redis::{Pipeline, RedisError, Value};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::connect::Connection;
use super::failure::{RedisFailure, Shows};

/// This many silences in a row, a request's and then the keeper's, and their connection is given up: the
/// client would keep one that hangs for ever.
const SILENCES_MAX: u32 = 2;

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

impl Connected {
    pub(super) fn new(connection: Connection, deadline: Duration) -> Arc<Self> {
        Arc::new(Self { connection, deadline, silences: Mutex::default() })
    }

    /// The answers to commands that are sent at once, if they come in time; each may be an error.
    pub(super) async fn send(
        &self,
        batch: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, RedisFailure> {
        self.send_as_of(Instant::now(), batch, limit).await
    }

    /// The same, but nothing is sent after commands that had no answer. Whoever asks then would only
    /// wait, perhaps for a second time; its keeper finds out whether it is heard again.
    pub(super) async fn send_unless_silent(
        &self,
        batch: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, RedisFailure> {
        // Before it is looked: a silence that is noticed in between is none of two in a row.
        let sent = Instant::now();
        if self.silences().count > 0 {
            return Err(RedisFailure::of_absence(FailureClass::Timeout));
        }
        self.send_as_of(sent, batch, limit).await
    }

    async fn send_as_of(
        &self,
        sent: Instant,
        batch: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, RedisFailure> {
        let mut commands = self.connection.commands.clone();
        let sending = commands.send_packed_commands(batch, 0, batch.len());
        let answers = timeout(limit, sending).await;
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
        let mut silences = self.silences();
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
            Shows::Silence => self.silences().count >= SILENCES_MAX,
            Shows::Nothing | Shows::Answered => false,
        }
    }

    fn silences(&self) -> MutexGuard<'_, Silences> {
        self.silences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
