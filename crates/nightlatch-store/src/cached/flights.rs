//! Loads on their way: who asks for what is being loaded waits for that answer.
//!
//! When the copies become void at once, every session is asked for by many requests in the same
//! moment; the record should see each once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{FoundSession, StoreError, StoreErrorKind, TokenHash};
use tokio::sync::watch;

/// A load older than this is not joined: its answer may be from before what the one who asks has
/// heard of.
const JOIN_WITHIN: Duration = Duration::from_millis(300);

/// Loads by token.
pub(super) struct Flights<T = FoundSession>(Mutex<Aloft<T>>);

struct Aloft<T> {
    flights: HashMap<TokenHash, Flight<T>>,
    next: u64,
    /// Loads of before this number began before this node's last write.
    current: u64,
}

/// A load that somebody else makes.
pub(super) struct Flight<T> {
    number: u64,
    began: Duration,
    landing: watch::Receiver<Landing<T>>,
}

/// How a load ended.
pub(super) enum Landing<T> {
    /// With an answer.
    Found(Option<Arc<T>>),
    /// With a failure that is everybody's.
    Failed(Arc<StoreError>),
    /// Without: its maker went away, or ran out of its own time.
    Lost,
}

/// What somebody who asks is to do.
pub(super) enum Boarding<'a, T> {
    /// Load, and tell the others.
    Lead(Lead<'a, T>),
    /// Wait.
    Follow(Flight<T>),
}

/// The load of one who leads. Dropping it lets another one lead.
pub(super) struct Lead<'a, T> {
    flights: &'a Flights<T>,
    token: TokenHash,
    number: u64,
    began: Duration,
    landing: watch::Sender<Landing<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::new(Aloft { flights: HashMap::new(), next: 0, current: 0 }))
    }
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, began: self.began, landing: self.landing.clone() }
    }
}

impl<T> Clone for Landing<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Found(found) => Self::Found(found.clone()),
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::Lost => Self::Lost,
        }
    }
}

impl<T> Flights<T> {
    /// This node has written: whoever asks from now on may have been told of it, so no load that is
    /// under way is joined any more.
    pub(super) fn wrote(&self) {
        let mut aloft = self.aloft();
        aloft.current = aloft.next;
    }

    /// Joins the load of a token, or begins one.
    pub(super) fn board(&self, token: TokenHash, now: Duration) -> Boarding<'_, T> {
        let mut aloft = self.aloft();
        if let Some(flight) = aloft.flights.get(&token)
            && flight.number >= aloft.current
            && now.saturating_sub(flight.began) <= JOIN_WITHIN
        {
            return Boarding::Follow(flight.clone());
        }
        let (landing, landed) = watch::channel(Landing::Lost);
        let number = aloft.next;
        aloft.next += 1;
        aloft.flights.insert(token, Flight { number, began: now, landing: landed });
        Boarding::Lead(Lead { flights: self, token, number, began: now, landing })
    }

    fn aloft(&self) -> MutexGuard<'_, Aloft<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Flight<T> {
    /// When the record was asked, at the earliest.
    pub(super) const fn began(&self) -> Duration {
        self.began
    }

    /// Waits for the end.
    pub(super) async fn landed(mut self) -> Landing<T> {
        // Closed without a word: its maker went away.
        let _ = self.landing.changed().await;
        self.landing.borrow().clone()
    }
}

impl<T> Lead<'_, T> {
    /// When the record is asked, at the earliest.
    pub(super) const fn began(&self) -> Duration {
        self.began
    }

    /// Tells those who follow, and gives the answer to the one who led.
    pub(super) fn land(
        self,
        answer: Result<Option<Arc<T>>, StoreError>,
    ) -> Result<Option<Arc<T>>, StoreError> {
        match answer {
            Ok(found) => {
                self.landing.send_replace(Landing::Found(found.clone()));
                Ok(found)
            }
            // The others may have more time left.
            Err(error) if error.kind() == StoreErrorKind::Deadline => Err(error),
            Err(error) => {
                let error = Arc::new(error);
                self.landing.send_replace(Landing::Failed(Arc::clone(&error)));
                Err(StoreError::shared(&error))
            }
        }
    }
}

impl<T> Drop for Lead<'_, T> {
    fn drop(&mut self) {
        let mut aloft = self.flights.aloft();
        if aloft.flights.get(&self.token).is_some_and(|flight| flight.number == self.number) {
            aloft.flights.remove(&self.token);
        }
    }
}
