//! How it is with a Cluster: what is said of each of its servers, in one word.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightlatch_core::FailureClass;
use tokio::sync::Notify;

use super::connect::HostAndPort;
use super::keeper::{LinkObserver, Observation};

/// What is known of all servers.
pub(super) struct Overall {
    observer: Arc<dyn LinkObserver>,
    state: Mutex<State>,
    /// Told when a server does not do well.
    unwell: Notify,
}

/// Of this many looks in a row one may tell something.
const FAILED_LOOKS_MAX: u32 = 3;

struct State {
    /// How many looks for the map in a row have told nothing.
    failed: u32,
    /// Whether each key has its server, or why that is not known.
    map: Result<(), FailureClass>,
    servers: BTreeMap<HostAndPort, Server>,
}

/// What was said of one server; `None`: nothing yet.
#[derive(Clone, Copy, Default)]
struct Server {
    outcome: Option<Result<(), FailureClass>>,
    listens: Option<Result<(), FailureClass>>,
}

/// Of one server.
pub(super) struct OfOne {
    pub(super) overall: Arc<Overall>,
    pub(super) address: HostAndPort,
}

impl Overall {
    pub(super) fn new(observer: Arc<dyn LinkObserver>) -> Arc<Self> {
        let state =
            State { failed: 0, map: Err(FailureClass::Unreachable), servers: BTreeMap::new() };
        Arc::new(Self { observer, state: Mutex::new(state), unwell: Notify::new() })
    }

    /// These are the servers from now on, and this is how it is with the map of them.
    pub(super) fn arrange<'a>(
        &self,
        servers: impl Iterator<Item = &'a HostAndPort>,
        map: Result<(), FailureClass>,
    ) {
        let mut state = self.lock();
        let mut were = std::mem::take(&mut state.servers);
        state.servers = servers
            .map(|address| (address.clone(), were.remove(address).unwrap_or_default()))
            .collect();
        (state.map, state.failed) = (map, 0);
    }

    /// A look for the map has ended.
    pub(super) fn looked(&self, seen: Observation) {
        let mut state = self.lock();
        if let Err(class) = seen.outcome {
            state.failed = state.failed.saturating_add(1);
            // While its servers do well it is no matter that one look told nothing.
            if state.servers.is_empty() || state.failed >= FAILED_LOOKS_MAX {
                state.map = Err(class);
            }
        }
        self.tell(&state, seen);
    }

    /// Whether all is as it should be.
    pub(super) fn is_well(&self) -> bool {
        self.lock().outcome() == Some(Ok(()))
    }

    /// Returns as soon as a server does not do well, which may have been since the last time.
    pub(super) async fn is_unwell(&self) {
        self.unwell.notified().await;
    }

    /// Under the lock, so that what is told last is what is known last.
    fn tell(&self, state: &State, seen: Observation) {
        // As long as nothing is known of a server there is nothing to tell.
        if let Some(outcome) = state.outcome() {
            self.observer.observed(Observation { outcome, ..seen });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn outcome(&self) -> Option<Result<(), FailureClass>> {
        let mut told = self.servers.values().map(|server| server.outcome);
        if let Some(failure) = told.clone().find(|outcome| matches!(outcome, Some(Err(_)))) {
            return failure;
        }
        if !self.servers.is_empty() && told.any(|outcome| outcome.is_none()) {
            return None;
        }
        Some(self.map)
    }

    /// Whether news come by any of the servers, or why they do not.
    fn listens(&self) -> Option<Result<(), FailureClass>> {
        let mut told = self.servers.values().filter_map(|server| server.listens);
        let first = told.next()?;
        Some(if told.any(|listens| listens.is_ok()) { Ok(()) } else { first })
    }
}

impl LinkObserver for OfOne {
    fn observed(&self, seen: Observation) {
        let mut state = self.overall.lock();
        if let Some(server) = state.servers.get_mut(&self.address) {
            server.outcome = Some(seen.outcome);
        }
        if seen.outcome.is_err() {
            self.overall.unwell.notify_one();
        }
        self.overall.tell(&state, seen);
    }

    fn listens(&self, outcome: Result<(), FailureClass>) {
        let mut state = self.overall.lock();
        if let Some(server) = state.servers.get_mut(&self.address) {
            server.listens = Some(outcome);
        }
        let outcome = state.listens();
        if let Some(outcome) = outcome {
            self.overall.observer.listens(outcome);
        }
    }
}
