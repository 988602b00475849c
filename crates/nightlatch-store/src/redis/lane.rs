//! The way to one server: a connection that many share, or none.
//!
//! Nothing waits for a connection, so nothing is queued for one or repeated on the next. Whether there
//! is one is the keeper's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use nightlatch_core::FailureClass;
use redis::{Pipeline, Value};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::connect::{HostAndPort, PIPELINE_MAX, Target};
use super::connected::Connected;
use super::failure::{RedisFailure, Shows};

/// The way to one server.
pub(super) struct Lane {
    /// Where it leads.
    pub(super) target: Target,
    /// The name of the key that looks write and read, which this server has to have.
    probe: Mutex<String>,
    slot: ArcSwapOption<Connected>,
    /// The connection that there is, whether or not requests use it.
    at_hand: ArcSwapOption<Connected>,
    /// The boot time when the slot was last filled.
    filled_at: Mutex<Duration>,
    /// Why the slot is empty.
    absence: Mutex<FailureClass>,
    in_flight: Semaphore,
    /// Told when the slot has been emptied, or a command had no answer.
    pub(super) doubted: Notify,
}

/// A connection that is there.
pub(super) struct AtHand<'a>(&'a Lane);

impl Drop for AtHand<'_> {
    fn drop(&mut self) {
        self.0.at_hand.store(None);
    }
}

/// By which way an answer came.
#[derive(Clone)]
pub(super) struct Through {
    pub(super) lane: Arc<Lane>,
    connected: Arc<Connected>,
}

/// What was answered, and by whom.
pub(super) struct Answer {
    pub(super) value: Value,
    through: Through,
}

impl Lane {
    pub(super) fn new(target: Target, probe: String) -> Arc<Self> {
        Arc::new(Self {
            target,
            probe: Mutex::new(probe),
            slot: ArcSwapOption::empty(),
            at_hand: ArcSwapOption::empty(),
            filled_at: Mutex::default(),
            absence: Mutex::new(FailureClass::Unreachable),
            in_flight: Semaphore::new(PIPELINE_MAX),
            doubted: Notify::new(),
        })
    }

    /// Where it leads, if that is one server by its address.
    pub(super) const fn address(&self) -> Option<&HostAndPort> {
        self.target.address()
    }

    /// Sends commands at once and waits for their answers, each of which may be an error. Fails at once
    /// where there is no connection. A command that had no answer in time may still be done, at any
    /// later time.
    pub(super) async fn send(
        self: &Arc<Self>,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<(Vec<Value>, Through), RedisFailure> {
        let (through, _place) = self.take_place()?;
        let answers = through.connected.send_unless_silent(commands, limit).await;
        match answers {
            Ok(values) => Ok((values, through)),
            Err(failure) => Err(through.failed(failure)),
        }
    }

    /// What its server answers to questions that no request waits for, also over a connection that none
    /// uses.
    pub(super) async fn ask_beside(
        &self,
        questions: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, RedisFailure> {
        let connected = self.at_hand.load_full();
        let connected = connected.ok_or_else(|| RedisFailure::of_absence(self.absence()))?;
        connected.send_unless_silent(questions, limit).await
    }

    /// Notes a connection that has been made, until what this returns is dropped.
    pub(super) fn at_hand(&self, connected: &Arc<Connected>) -> AtHand<'_> {
        self.at_hand.store(Some(Arc::clone(connected)));
        AtHand(self)
    }

    /// Whether its server is connected to, if not for requests.
    pub(super) fn is_reached(&self) -> bool {
        self.at_hand.load().is_some()
    }

    /// The connection, if there is one for requests, and a place on it.
    fn take_place(self: &Arc<Self>) -> Result<(Through, SemaphorePermit<'_>), RedisFailure> {
        let connected = self.slot.load_full();
        let connected = connected.ok_or_else(|| RedisFailure::of_absence(self.absence()))?;
        let place = self.in_flight.try_acquire();
        let place = place.map_err(|_| RedisFailure::of_full_pipeline())?;
        Ok((Through { lane: Arc::clone(self), connected }, place))
    }

    /// The name of the key that looks write and read.
    pub(super) fn probe(&self) -> String {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_probe(&self, name: String) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.slot.load().is_some()
    }

    /// Since when its connection is in use; `None`: there is none.
    pub(super) fn connected_at(&self) -> Option<Duration> {
        let filled_at = *self.filled_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_connected().then_some(filled_at)
    }

    pub(super) fn publish(&self, connected: &Arc<Connected>, now: Duration) {
        // Before: a connection in use is never older than it is told to be.
        *self.filled_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
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
            self.doubted.notify_one();
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

impl Through {
    /// An answer that is no error.
    pub(super) fn accept(&self, value: Value) -> Result<Answer, RedisFailure> {
        match value.extract_error() {
            Ok(value) => Ok(Answer { value, through: self.clone() }),
            Err(error) => Err(self.failed(RedisFailure::of_command(&error))),
        }
    }

    /// What a failure of a command means for its connection.
    fn failed(&self, failure: RedisFailure) -> RedisFailure {
        if self.connected.is_lost_by(failure) {
            self.lane.empty(&self.connected, failure.class);
        } else if failure.shows == Shows::Silence {
            self.lane.doubted.notify_one();
        }
        failure
    }
}

impl Answer {
    /// It was not what it had to be: the connection that it came over is given up.
    pub(super) fn distrust(&self) {
        self.through.lane.empty(&self.through.connected, FailureClass::Protocol);
    }
}
