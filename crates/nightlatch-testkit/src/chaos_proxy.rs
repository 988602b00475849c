//! The fault proxy in front of servers of 127.0.0.1, for tests.
//!
//! It panics where a test cannot go on.

use std::ops::Deref;

use nightlatch_drill::proxy::{FaultProxy, Place};

pub use nightlatch_drill::proxy::Fault;

/// The proxy. Dropped, it is gone, and its connections with it.
pub struct ChaosProxy(FaultProxy);

impl ChaosProxy {
    /// Starts it in front of a server of 127.0.0.1, without a fault.
    pub async fn start(target_port: u16) -> Self {
        let proxy = FaultProxy::start(([127, 0, 0, 1], 0).into(), Place::here(target_port));
        Self(proxy.await.expect("a port is free"))
    }

    /// From now on this fault lasts; returns when it is in force.
    pub async fn set(&self, fault: Fault) {
        self.0.set(fault).await.expect("closing sockets is this machine's work alone");
    }

    /// New connections lead to another server of 127.0.0.1; live ones are as they were.
    pub fn lead_to(&self, target_port: u16) {
        self.0.lead_to(Place::here(target_port));
    }
}

impl Deref for ChaosProxy {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.0
    }
}
