//! Copies of sessions in Redis: for nodes that have none of their own, so that the record is not
//! asked by each.
//!
//! A copy found here is judged like any other, by what this node knows of the feed; what does not
//! open in its place, or says nothing, is a miss.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    BoxFuture, FoundSession, History, RecordClock, SealingKeys, Timestamp, TokenHash,
};
use redis::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, mpsc};

use super::batch::Batch;
use super::layout::copy;
use super::link::RedisLink;
use crate::cached::{SharedCopies, SharedCopy};
use crate::seal::{Opened, Seal};

/// The most bytes that are read of a value: a user with every group there may be.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// For how long a copy is kept: nobody believes an older one.
const LIFE: Duration = Duration::from_mins(10);

/// Copies that wait to be written; more are dropped, and the record is asked once more for each.
const WAITING_MAX: usize = 1024;

/// The most that are written at once.
const BATCH_MAX: usize = 64;

/// Bytes of a token's hash in the name of its copy. The seal is bound to all of it.
const NAME_BYTES: usize = 16;

/// What seals are made for, beside the place.
const USE: &[u8] = b"session/1";

/// The copies that all nodes of a record share in one Redis.
pub struct RedisCopies {
    link: Arc<RedisLink>,
    clock: Arc<RecordClock>,
    seal: Seal,
    fill: mpsc::Sender<Fill>,
    filling: Mutex<mpsc::Receiver<Fill>>,
}

/// A copy on its way to Redis.
struct Fill {
    token: TokenHash,
    found: Arc<FoundSession>,
    read_at: Timestamp,
}

impl RedisCopies {
    /// Keeps copies where a link leads, sealed by the first of these keys.
    #[must_use]
    pub fn new(link: Arc<RedisLink>, clock: Arc<RecordClock>, keys: &SealingKeys) -> Self {
        let (fill, filling) = mpsc::channel(WAITING_MAX);
        let seal = Seal::new(keys, Arc::clone(&link.entropy));
        Self { link, clock, seal, fill, filling: Mutex::new(filling) }
    }

    /// Writes what is to be kept, for as long as the caller lets it run.
    pub async fn write(&self) {
        let mut filling = self.filling.lock().await;
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while filling.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut commands = Batch::with_capacity(batch.len());
            for fill in batch.drain(..) {
                self.add(&mut commands, &fill);
            }
            // Whatever became of it: who does not find a copy asks the record.
            let _ = self.link.ask(commands, self.link.deadline).await;
        }
    }

    fn add(&self, commands: &mut Batch, fill: &Fill) {
        let now = self.clock.now();
        let life = LIFE.saturating_sub(now.since(fill.read_at));
        let life = life.min(fill.found.session.expires_at.since(now));
        let Ok(millis @ 1..) = u64::try_from(life.as_millis()) else { return };
        let name = self.name(&fill.token);
        let place = place(&name, &fill.token, fill.found.history);
        let mut value = mark(fill.found.history).to_vec();
        value.append(&mut self.seal.seal(&place, copy::to_bytes(&fill.found, fill.read_at)));
        commands.about(&name).arg("SET").arg(&name).arg(value).arg("PX").arg(millis);
    }

    fn name(&self, token: &TokenHash) -> String {
        self.link.name("s:", &token.as_bytes()[..NAME_BYTES])
    }

    async fn look_up(
        &self,
        token: &TokenHash,
        history: History,
        limit: Duration,
    ) -> Option<SharedCopy> {
        let name = self.name(token);
        let mut command = Batch::with_capacity(1);
        // Whatever lies there, not more of it than a copy could be.
        command.about(&name).arg("GETRANGE").arg(&name).arg(0).arg(VALUE_BYTES_MAX - 1);
        let mut answer = self.link.ask(command, limit).await.pop()?.ok()?;
        let mut value = match &mut answer.value {
            Value::BulkString(value) => std::mem::take(value),
            Value::Nil => return None,
            // Not an answer to this question: they have got out of step.
            _ => {
                answer.distrust();
                return None;
            }
        };
        let (begin, sealed) = value.split_first_chunk_mut()?;
        if *begin != mark(history) {
            return None;
        }
        match self.seal.open(&place(&name, token, history), sealed) {
            Opened::Text(text) => {
                let (found, read_at) = copy::from_bytes(text, history)?;
                Some(SharedCopy { found: Arc::new(found), read_at })
            }
            Opened::UnknownKey => None,
            Opened::Forged => {
                // As above, or somebody plays with us.
                answer.distrust();
                None
            }
        }
    }
}

impl SharedCopies for RedisCopies {
    fn find(
        &self,
        token: TokenHash,
        history: History,
        limit: Duration,
    ) -> BoxFuture<'_, Option<SharedCopy>> {
        Box::pin(async move { self.look_up(&token, history, limit).await })
    }

    fn keep(&self, token: TokenHash, found: &Arc<FoundSession>, read_at: Timestamp) {
        // Full, or nobody writes: it is not kept.
        let _ = self.fill.try_send(Fill { token, found: Arc::clone(found), read_at });
    }
}

/// What the values of a history begin with. Those of another, of a staging record perhaps, or of
/// another release are a miss and no forgery.
fn mark(history: History) -> [u8; 4] {
    let digest = Sha256::new().chain_update(USE).chain_update(history_bytes(history)).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Where a copy is good: under this name, for this token, in this history.
fn place(name: &str, token: &TokenHash, history: History) -> Vec<u8> {
    // All parts but the name have a length of their own.
    [USE, token.as_bytes(), &history_bytes(history), name.as_bytes()].concat()
}

fn history_bytes(history: History) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(history.record.as_bytes());
    bytes[16..].copy_from_slice(&history.epoch.0.to_be_bytes());
    bytes
}
