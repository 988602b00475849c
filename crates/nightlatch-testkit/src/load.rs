//! The drill's steady load, for tests: people are registered, and a test that cannot go on panics.
//!
//! Every request and every answer goes into a log, which [`crate::history`] judges.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::Secret;
use nightlatch_drill::client::{Client, Server};
use nightlatch_drill::load::{self, Person, register};

use crate::auth_service::FakeAuthService;
use crate::chance::Chance;
use crate::history::Operation;

pub use nightlatch_drill::load::{Crowd, Summary};

/// How long any answer may take: above every deadline of the server, its queues included.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// A password that nobody guesses, and the one that it is changed to and back.
const PASSWORDS: [&str; 2] = ["violet-anchor-parade-47", "copper-lantern-meadow-82"];

/// Load that runs. Dropped, it ends.
pub struct SteadyLoad {
    load: load::SteadyLoad,
    first: SocketAddr,
}

impl SteadyLoad {
    /// Registers a crowd at servers that share a record, or at the service that vouches for it, and
    /// lets it begin.
    pub async fn start(
        addresses: &[SocketAddr],
        crowd: Crowd,
        chance: &mut Chance,
        known_by: Option<&FakeAuthService>,
    ) -> Self {
        let first = addresses[0];
        let mut people = Vec::new();
        for (number, habit) in crowd.habits().enumerate() {
            let name = format!("person{number}");
            match known_by {
                Some(service) => service.knows_user(&name, PASSWORDS[0]),
                None => register_at(first, &name, PASSWORDS[0]).await,
            }
            let passwords = PASSWORDS.map(|text| Arc::new(Secret::new(text.to_owned())));
            people.push(Person { name, passwords, habit });
        }
        let servers: Vec<Server> = addresses.iter().map(|address| (*address).into()).collect();
        let load = load::SteadyLoad::start(&servers, people, ANSWER_LIMIT, chance).await;
        Self { load: load.expect("a server that is well lets people in"), first }
    }

    /// Registers somebody who is not of the crowd. Nothing may be wrong with the server.
    pub async fn register(&self, name: &str, password: &str) {
        register_at(self.first, name, password).await;
    }

    /// A server has been started again, at this address.
    pub fn move_to(&self, node: usize, address: SocketAddr) {
        self.load.move_to(node, address.into());
    }

    /// Lets everybody finish what they do, and ask for nothing more until it goes on.
    pub async fn rest(&self) {
        self.load.rest().await.expect("requests are answered in the end");
    }

    /// Lets everybody finish what they do, asks every server once more about every session, and
    /// returns the log. Nothing may be wrong with any of them by now.
    pub async fn finish(self) -> Vec<Operation> {
        self.load.finish().await.expect("servers that are well know their sessions")
    }
}

impl Deref for SteadyLoad {
    type Target = load::SteadyLoad;

    fn deref(&self) -> &load::SteadyLoad {
        &self.load
    }
}

async fn register_at(address: SocketAddr, name: &str, password: &str) {
    let mut client = Client::new(address.into(), ANSWER_LIMIT);
    register(&mut client, name, password).await.expect("a server that is well registers people");
}
