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
#[derive(Default)]
pub(super) struct Flights(Mutex<Aloft>);

#[derive(Default)]
struct Aloft {
    flights: HashMap<TokenHash, Flight>,
    next: u64,
    /// Loads of before this number began before this node's last write.
    current: u64,
}

/// A load that somebody else makes.
#[derive(Clone)]
pub(super) struct Flight {
    number: u64,
    began: Duration,
    landing: watch::Receiver<Landing>,
}

/// How a load ended.
#[derive(Clone)]
pub(super) enum Landing {
    /// With an answer.
    Found(Option<Arc<FoundSession>>),
    /// With a failure that is everybody's.
    Failed(Arc<StoreError>),
    /// Without: its maker went away, or ran out of its own time.
    Lost,
}

/// What somebody who asks is to do.
pub(super) enum Boarding<'a> {
    /// Load, and tell the others.
    Lead(Lead<'a>),
    /// Wait.
    Follow(Flight),
}

/// The load of one who leads. Dropping it lets another one lead.
pub(super) struct Lead<'a> {
    flights: &'a Flights,
    token: TokenHash,
    number: u64,
    began: Duration,
    landing: watch::Sender<Landing>,
}

impl Flights {
    /// This node has written: whoever asks from now on may have been told of it, so no load that is
    /// under way is joined any more.
    pub(super) fn wrote(&self) {
        let mut aloft = self.aloft();
        aloft.current = aloft.next;
    }

    /// Joins the load of a token, or begins one.
    pub(super) fn board(&self, token: TokenHash, now: Duration) -> Boarding<'_> {
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

    fn aloft(&self) -> MutexGuard<'_, Aloft> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// When the record was asked, at the earliest.
    pub(super) const fn began(&self) -> Duration {
        self.began
    }

    /// Waits for the end.
    pub(super) async fn landed(mut self) -> Landing {
        // Closed without a word: its maker went away.
        let _ = self.landing.changed().await;
        self.landing.borrow().clone()
    }
}

impl Lead<'_> {
    /// When the record is asked, at the earliest.
    pub(super) const fn began(&self) -> Duration {
        self.began
    }

    /// Tells those who follow, and gives the answer to the one who led.
    pub(super) fn land(
        self,
        answer: Result<Option<Arc<FoundSession>>, StoreError>,
    ) -> Result<Option<Arc<FoundSession>>, StoreError> {
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

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut aloft = self.flights.aloft();
        if aloft.flights.get(&self.token).is_some_and(|flight| flight.number == self.number) {
            aloft.flights.remove(&self.token);
        }
    }
}
