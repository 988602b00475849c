//! Commands that are sent at once, each to the server that has its key.

use std::sync::Arc;

use redis::{Cmd, Pipeline};

use super::lane::Lane;
use super::slot::Slot;
use super::table::Table;

/// Several commands, each about one key or about none.
pub(super) struct Batch {
    commands: Vec<(Option<Slot>, Cmd)>,
}

/// What goes to one server.
pub(super) struct Share {
    pub(super) lane: Arc<Lane>,
    pub(super) commands: Pipeline,
    /// Which commands of the batch they are; `None`: nobody waits for its answer.
    pub(super) numbers: Vec<Option<usize>>,
}

impl Batch {
    pub(super) fn with_capacity(commands: usize) -> Self {
        Self { commands: Vec::with_capacity(commands) }
    }

    /// One more command, still empty, about this key.
    pub(super) fn about(&mut self, key: &str) -> &mut Cmd {
        self.push(Some(Slot::of(key)))
    }

    /// One more command, still empty, that any server will do for.
    pub(super) fn anywhere(&mut self) -> &mut Cmd {
        self.push(None)
    }

    fn push(&mut self, slot: Option<Slot>) -> &mut Cmd {
        let number = self.commands.len();
        self.commands.push((slot, Cmd::new()));
        &mut self.commands[number].1
    }

    pub(super) const fn len(&self) -> usize {
        self.commands.len()
    }

    /// What each server is to get, in the order in which it was added; what nobody is to get is left
    /// out.
    pub(super) fn part(self, table: &Table) -> Vec<Share> {
        let mut shares = Vec::with_capacity(1);
        for (number, (slot, command)) in self.commands.into_iter().enumerate() {
            if let Some(lane) = table.lane_for(slot) {
                Share::of(lane, &mut shares).push(number, command);
            }
        }
        shares
    }
}

impl Share {
    /// The share of a server.
    pub(super) fn of<'a>(lane: &Arc<Lane>, shares: &'a mut Vec<Self>) -> &'a mut Self {
        let known = shares.iter().position(|share| Arc::ptr_eq(&share.lane, lane));
        let place = known.unwrap_or(shares.len());
        if known.is_none() {
            let (commands, numbers) = (Pipeline::new(), Vec::new());
            shares.push(Self { lane: Arc::clone(lane), commands, numbers });
        }
        &mut shares[place]
    }

    pub(super) fn push(&mut self, number: usize, command: Cmd) {
        self.commands.add_command(command);
        self.numbers.push(Some(number));
    }

    /// The next command is about a key that is moving to this server.
    pub(super) fn push_asking(&mut self) {
        self.commands.cmd("ASKING");
        self.numbers.push(None);
    }
}
