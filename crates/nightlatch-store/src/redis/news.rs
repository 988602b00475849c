//! News of revocations over Redis: what one node writes to the feed, or cannot write yet, the others
//! hear at once, a node that the record is out of reach of among them.
//!
//! Whoever can publish there can say what they like: only what our key has sealed is heard.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use nightlatch_core::SealingKeys;
use tokio::sync::{Mutex, mpsc};

use super::batch::Batch;
use super::layout::news;
use super::link::RedisLink;
use crate::cached::{Announcement, Announcements};
use crate::seal::{Opened, Seal};

/// News that wait to be sent; more are dropped, and the others hear of them by the feed.
const WAITING_MAX: usize = 1024;

/// The most that are sent at once.
const BATCH_MAX: usize = 64;

/// How many messages are remembered: each of a Cluster's servers says the same.
const HEARD_MAX: usize = 256;

/// What seals are made for, beside the channel.
const USE: &[u8] = b"news/1";

/// The channel by which all nodes of a record tell each other.
pub struct RedisNews {
    link: Arc<RedisLink>,
    seal: Seal,
    place: Vec<u8>,
    tell: mpsc::Sender<Announcement>,
    telling: Mutex<mpsc::Receiver<Announcement>>,
}

impl RedisNews {
    /// Over the channel that a link listens to, sealed by the first of these keys.
    #[must_use]
    pub fn new(link: Arc<RedisLink>, keys: &SealingKeys) -> Self {
        let (tell, telling) = mpsc::channel(WAITING_MAX);
        let place = [USE, link.channel.as_bytes()].concat();
        let seal = Seal::new(keys, Arc::clone(&link.entropy));
        Self { link, seal, place, tell, telling: Mutex::new(telling) }
    }

    /// Sends what is to be told, for as long as the caller lets it run.
    pub async fn send(&self) {
        let mut telling = self.telling.lock().await;
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while telling.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut commands = Batch::with_capacity(batch.len());
            for text in batch.drain(..).filter_map(|told| news::to_bytes(&told)) {
                let sealed = self.seal.seal(&self.place, text);
                // A Cluster's servers tell each other.
                commands.anywhere().arg("PUBLISH").arg(&self.link.channel).arg(sealed);
            }
            // Whatever became of it: the feed tells the same, a little later.
            let _ = self.link.ask(commands, self.link.deadline).await;
        }
    }

    /// Hands on what others tell, for as long as the caller lets it run.
    pub async fn listen(&self, hear: impl Fn(Announcement) + Send + Sync) {
        let mut pushed = self.link.pushed.lock().await;
        let mut heard = Heard::default();
        while let Some(mut sealed) = pushed.recv().await {
            if heard.has(&sealed) {
                continue;
            }
            match self.seal.open(&self.place, &mut sealed) {
                Opened::Text(text) => {
                    if let Some(announcement) = news::from_bytes(text) {
                        hear(announcement);
                    }
                }
                // Another installation's, or somebody plays with us: it says nothing of the
                // connection, to which anybody's messages come.
                Opened::UnknownKey | Opened::Forged => {}
            }
        }
    }
}

/// The last messages, by what a secret of this process makes of them: nobody can have one taken for
/// another.
#[derive(Default)]
struct Heard {
    marks: VecDeque<u64>,
    secret: RandomState,
}

impl Heard {
    /// Whether it is one of the last, which it is from now on.
    fn has(&mut self, message: &[u8]) -> bool {
        let mark = self.secret.hash_one(message);
        if self.marks.contains(&mark) {
            return true;
        }
        self.marks.push_back(mark);
        if self.marks.len() > HEARD_MAX {
            self.marks.pop_front();
        }
        false
    }
}

impl Announcements for RedisNews {
    fn announce(&self, announcement: Announcement) {
        // Full, or nobody sends: they hear of it by the feed.
        let _ = self.tell.try_send(announcement);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_servers_say_is_heard_once() {
        let mut heard = Heard::default();
        assert!(
            !heard.has(b"one") && heard.has(b"one") && !heard.has(b"other") && heard.has(b"one")
        );
        for number in 0..HEARD_MAX {
            assert!(!heard.has(&number.to_be_bytes()));
        }
        assert!(!heard.has(b"one"), "so many are not remembered");
        assert_eq!(heard.marks.len(), HEARD_MAX);
    }
}
