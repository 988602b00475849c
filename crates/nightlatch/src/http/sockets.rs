//! Open sockets of browsers and programs: how many there may be, and what they keep of their connection.
//!
//! A socket costs memory and a descriptor for as long as its client likes, so each session, address and
//! node has its share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightlatch_core::SessionId;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

use crate::http::server::Drain;

/// Of one session: its tabs.
const OF_SESSION_MAX: usize = 16;

/// Of one address: what a company behind one address has open.
const OF_ADDRESS_MAX: usize = 2048;

/// Of one node.
const OF_NODE_MAX: usize = 20_000;

/// What a socket keeps of the connection that it was: its place among them, and the stop that ends it.
pub(crate) struct Upgradable {
    pub(crate) _place: OwnedSemaphorePermit,
    pub(crate) drain: Drain,
    pub(crate) tasks: TaskTracker,
}

/// The sockets of a node.
#[derive(Debug, Default)]
pub struct Sockets(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    count: usize,
    by_session: HashMap<SessionId, usize>,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The session or the address has its share.
    Share,
    /// The node has as many as it may.
    Node,
}

/// The place of one socket, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place {
    sockets: Arc<Sockets>,
    session: SessionId,
    address: IpAddr,
}

impl Sockets {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().count
    }

    /// A place for one more.
    pub(crate) fn admit(
        self: &Arc<Self>,
        session: SessionId,
        address: IpAddr,
    ) -> Result<Place, Full> {
        let mut open = self.lock();
        if open.count >= OF_NODE_MAX {
            return Err(Full::Node);
        }
        let has = |count: Option<&usize>, most| count.is_some_and(|count| *count >= most);
        if has(open.by_session.get(&session), OF_SESSION_MAX)
            || has(open.by_address.get(&address), OF_ADDRESS_MAX)
        {
            return Err(Full::Share);
        }
        open.count += 1;
        *open.by_session.entry(session).or_default() += 1;
        *open.by_address.entry(address).or_default() += 1;
        Ok(Place { sockets: Arc::clone(self), session, address })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sockets.lock();
        open.count -= 1;
        one_less(&mut open.by_session, self.session);
        one_less(&mut open.by_address, self.address);
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_session_has_its_share_and_gets_it_back() {
        let sockets = Arc::<Sockets>::default();
        let address = IpAddr::from([127, 0, 0, 1]);
        let session = |number| SessionId::from_uuid(Uuid::from_u128(number));
        let mut places: Vec<Place> = (0..OF_SESSION_MAX)
            .map(|_| sockets.admit(session(1), address).expect("there is room"))
            .collect();
        assert_eq!(sockets.admit(session(1), address).err(), Some(Full::Share));
        assert!(sockets.admit(session(2), address).is_ok());
        places.pop();
        assert!(sockets.admit(session(1), address).is_ok());
        drop(places);
        assert_eq!(sockets.count(), 0);
        assert!(sockets.lock().by_session.is_empty() && sockets.lock().by_address.is_empty());
    }

    #[test]
    fn an_address_has_its_share_whoever_is_behind_it() {
        let sockets = Arc::<Sockets>::default();
        let session = |number: usize| SessionId::from_uuid(Uuid::from_u128(number as u128));
        let address = IpAddr::from([127, 0, 0, 1]);
        let places: Vec<Place> = (0..OF_ADDRESS_MAX)
            .map(|number| sockets.admit(session(number), address).expect("there is room"))
            .collect();
        assert_eq!(sockets.admit(session(0), address).err(), Some(Full::Share));
        assert!(sockets.admit(session(0), IpAddr::from([127, 0, 0, 2])).is_ok());
        drop(places);
    }
}
