//! Whether all is as it was before the fault.
//!
//! Somebody logs in and is known on every server, and health says what it said before.

use std::time::Duration;

use crate::client::{Client, Server};
use crate::load::{Person, SteadyLoad, Visitor};
use crate::look::{Said, health};
use crate::until::until;

/// How long it is waited for.
pub(crate) const WELL_LIMIT: Duration = Duration::from_secs(30);

/// How long it is waited for before a fault: a server that has just started may not have reached all yet.
const USUAL_LIMIT: Duration = Duration::from_secs(5);

/// How long health may take.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

pub(super) struct Well {
    onlooker: Person,
    /// One of each server, and what it usually says.
    looks: Vec<(Client, Option<Said>)>,
}

impl Well {
    /// Remembers what is usual.
    pub(super) async fn usual(servers: &[Server], onlooker: Person) -> Self {
        let mut looks = Vec::new();
        for server in servers {
            let mut client = Client::new(server.clone(), LOOK_LIMIT);
            let mut said = None;
            // Whoever is ill before a fault need not be well after it.
            let _ = until(USUAL_LIMIT, async || {
                said = health(&mut client).await;
                said.as_ref().is_some_and(|said| said.classes.is_empty())
            })
            .await;
            looks.push((client, said));
        }
        Self { onlooker, looks }
    }

    /// What fails now, as the servers say.
    pub(super) async fn classes(&mut self) -> Vec<String> {
        let mut classes = Vec::new();
        for (client, _) in &mut self.looks {
            classes.extend(health(client).await.into_iter().flat_map(|said| said.classes));
        }
        classes
    }

    /// Waits until all is well again; whether it came to be.
    pub(super) async fn again(&mut self, load: &SteadyLoad) -> bool {
        let mut visitor = load.visitor(self.onlooker.clone());
        for (node, (client, usual)) in self.looks.iter_mut().enumerate() {
            let is_so = until(WELL_LIMIT, async || {
                let says = health(client).await;
                (usual.is_none() || says == *usual) && is_known(&mut visitor, node).await
            });
            if is_so.await.is_err() {
                return false;
            }
        }
        true
    }
}

async fn is_known(visitor: &mut Visitor, node: usize) -> bool {
    let Some(visit) = visitor.log_in(node).await else { return false };
    visitor.check(node, &visit).await == Some(200)
}
