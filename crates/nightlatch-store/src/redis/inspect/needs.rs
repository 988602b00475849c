//! What the server asks of a Redis, asked once for each command and on keys that go away by themselves.
//!
//! A dry run (`ACL DRYRUN`) needs more rights than the user of a server should have, and does not tell
//! what only happens when it is done: a replica, a full memory, a disk that takes nothing.

use nightlatch_core::FailureClass;
use redis::{Cmd, RedisError};
use tokio::time::timeout;

use super::{ASK_LIMIT, Answered, RedisVisit};

/// Something that the server needs and Redis does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// In lower case, as `ACL SETUSER` takes it behind a `+`.
    pub command: &'static str,
    /// How it failed.
    pub class: FailureClass,
    /// Where it is a right that is missing: which.
    pub lack: Lack,
}

impl Unmet {
    /// Whether it had no answer: neither would the next.
    fn is_silence(&self) -> bool {
        self.class == FailureClass::Timeout
    }
}

/// What a user may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Use the command.
    Command,
    /// Touch keys of our prefix.
    Key,
    /// Listen or speak on our channel.
    Channel,
}

impl Lack {
    pub(super) fn of(error: &RedisError) -> Self {
        let detail = error.detail().unwrap_or_default();
        match detail {
            _ if detail.contains("channel") => Self::Channel,
            _ if detail.contains("access a key") || detail.contains("of the keys") => Self::Key,
            _ => Self::Command,
        }
    }
}

impl RedisVisit {
    /// What of all that the server asks is not done. In a Cluster one server is asked, on keys that it
    /// may not have: that they are another's is no lack.
    pub async fn unmet_needs(&self, mark: u64) -> Vec<Unmet> {
        let text = format!("{}doctor:{mark:016x}", self.key_prefix);
        let (text, counter) = (text.as_str(), format!("{text}:c"));
        let counter = counter.as_str();
        let channel = format!("{}news", self.key_prefix);
        let mut unmet = Vec::new();
        for (command, words) in [
            ("set", vec!["SET", text, "look", "PX", "5000"]),
            ("getrange", vec!["GETRANGE", text, "0", "3"]),
            // Before anything is written that would stay without it.
            ("pexpire", vec!["PEXPIRE", text, "5000"]),
            ("zadd", vec!["ZADD", counter, "1", "a"]),
            ("pexpire", vec!["PEXPIRE", counter, "5000"]),
            ("zremrangebyrank", vec!["ZREMRANGEBYRANK", counter, "5", "6"]),
            ("zcard", vec!["ZCARD", counter]),
            ("zscore", vec!["ZSCORE", counter, "a"]),
            ("zrange", vec!["ZRANGE", counter, "0", "-1"]),
            ("zrangebyscore", vec!["ZRANGEBYSCORE", counter, "-inf", "0", "WITHSCORES"]),
            ("zrem", vec!["ZREM", counter, "a"]),
            ("eval", vec!["EVAL", "return 1", "1", counter]),
            // Nodes drop what they cannot open.
            ("publish", vec!["PUBLISH", channel.as_str(), ""]),
        ] {
            let is_lasting = unmet.iter().any(|one: &Unmet| one.command == "pexpire");
            if is_lasting && command == "zadd" || unmet.last().is_some_and(Unmet::is_silence) {
                continue;
            }
            let mut asked = Cmd::new();
            asked.arg(&words);
            let lacks = self.try_need(command, &asked).await;
            unmet.extend(lacks.filter(|lacks| unmet.last().is_none_or(|last| last != lacks)));
        }
        unmet.extend(self.try_subscribe(&channel).await);
        unmet
    }

    async fn try_need(&self, command: &'static str, asked: &Cmd) -> Option<Unmet> {
        let Answered { class, lack, .. } = self.ask(asked).await.err()?;
        (class != FailureClass::ClusterDown).then_some(Unmet { command, class, lack })
    }

    /// Only where messages come over the same connection (RESP3): the server does without news else.
    async fn try_subscribe(&self, channel: &str) -> Option<Unmet> {
        let mut commands = self.connection.commands.clone();
        let asked = timeout(ASK_LIMIT, commands.subscribe(channel)).await;
        let error = asked.ok()?.err()?;
        let class = super::classify(&error);
        let command = "subscribe";
        (class == FailureClass::Forbidden).then_some(Unmet {
            command,
            class,
            lack: Lack::of(&error),
        })
    }
}
