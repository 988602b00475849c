//! The faults of a drill: what is done, and what people must see of it.
//!
//! The rows of docs/faults.md that can be shown with what a machine has at hand.

use std::time::Duration;

use crate::proxy;
use crate::scene::{Private, Scene};

/// What people must be told while a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What they asked for, all of them.
    Served,
    /// 503 where the servers cannot know, and some of it.
    Refused,
    /// What they asked for, or 503.
    Either,
}

/// A fault.
#[derive(Debug)]
pub struct Fault {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What people must see.
    pub promise: &'static str,
    /// What logins, logouts, password changes and exchanges of tokens come to.
    pub writes: Wanted,
    /// What session checks come to.
    pub checks: Wanted,
    pub(crate) act: Act,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The way to Redis.
    Redis(proxy::Fault),
    /// Redis is killed, and started again.
    KillRedis,
    /// Redis forgets everything, again and again.
    FlushRedis,
    /// Redis is out of reach while people log out and the servers are restarted, and comes back with all that it had.
    StaleRedis,
    /// The way to the database.
    Database(proxy::Fault),
    /// Another process holds the lock of the file.
    LockFile,
    /// A server is killed, and started again.
    KillNode,
    /// A server is stopped where it is, and goes on.
    PauseNode,
    /// The servers are stopped in order and started again, one after the other.
    RestartNodes,
}

/// How late a slow Redis answers: beyond what a request waits for it.
const REDIS_LATE: Duration = Duration::from_millis(500);

/// How late a slow database answers: within the deadline of a request.
const DATABASE_LATE: Duration = Duration::from_millis(500);

const UNNOTICED: &str = "Nobody notices: logins, logouts and session checks are served";
const RECORD_AWAY: &str = "Logins and logouts are 503 within their deadline; who is known to a \
    server stays logged in; nobody is told 401";

/// All of them, in the order of a drill.
pub static FAULTS: &[Fault] = &[
    of_redis("redis-refuses", "Redis refuses connections", proxy::Fault::Refuse),
    of_redis("redis-silent", "Redis accepts and never answers", proxy::Fault::Silent),
    of_redis(
        "redis-slow",
        "Redis answers half a second late",
        proxy::Fault::Late { there: Duration::ZERO, back: REDIS_LATE },
    ),
    of_redis("redis-garbage", "Redis answers with garbage", proxy::Fault::Garbage),
    of_redis(
        "redis-noauth",
        "Redis wants another password",
        proxy::Fault::Says("-NOAUTH Authentication required.\r\n"),
    ),
    Fault {
        name: "redis-killed",
        title: "Redis is killed, and comes back empty",
        promise: UNNOTICED,
        writes: Wanted::Served,
        checks: Wanted::Served,
        act: Act::KillRedis,
    },
    Fault {
        name: "redis-flushed",
        title: "Redis is flushed every second",
        promise: UNNOTICED,
        writes: Wanted::Served,
        checks: Wanted::Served,
        act: Act::FlushRedis,
    },
    Fault {
        name: "redis-stale",
        title: "Redis is gone, the servers are restarted, and Redis is back with what it had",
        promise: "Whoever logged out meanwhile stays logged out, whatever Redis still has",
        writes: Wanted::Either,
        checks: Wanted::Either,
        act: Act::StaleRedis,
    },
    Fault {
        name: "database-refuses",
        title: "The database refuses connections",
        promise: RECORD_AWAY,
        writes: Wanted::Refused,
        checks: Wanted::Either,
        act: Act::Database(proxy::Fault::Refuse),
    },
    Fault {
        name: "database-silent",
        title: "The database accepts and never answers",
        promise: RECORD_AWAY,
        writes: Wanted::Refused,
        checks: Wanted::Either,
        act: Act::Database(proxy::Fault::Silent),
    },
    Fault {
        name: "database-slow",
        title: "The database answers half a second late",
        promise: "All is served, or told 503 within its deadline; nobody is told 401",
        writes: Wanted::Either,
        checks: Wanted::Either,
        act: Act::Database(proxy::Fault::Late { there: Duration::ZERO, back: DATABASE_LATE }),
    },
    Fault {
        name: "file-locked",
        title: "Another process locks the file of the record",
        promise: "Logins and logouts are 503 within their deadline; who is logged in stays so",
        writes: Wanted::Refused,
        checks: Wanted::Served,
        act: Act::LockFile,
    },
    Fault {
        name: "server-killed",
        title: "A server is killed, and started again",
        promise: "The other server serves; no acknowledged login is lost, no logout undone",
        writes: Wanted::Either,
        checks: Wanted::Either,
        act: Act::KillNode,
    },
    Fault {
        name: "server-stopped",
        title: "A server is stopped where it is, and goes on",
        promise: "Once awake it serves nobody who logged out meanwhile; the other one serves",
        writes: Wanted::Either,
        checks: Wanted::Either,
        act: Act::PauseNode,
    },
    Fault {
        name: "servers-restarted",
        title: "The servers are restarted one after the other",
        promise: "The other server serves; everybody stays logged in",
        writes: Wanted::Either,
        checks: Wanted::Either,
        act: Act::RestartNodes,
    },
];

const fn of_redis(name: &'static str, title: &'static str, fault: proxy::Fault) -> Fault {
    Fault {
        name,
        title,
        promise: UNNOTICED,
        writes: Wanted::Served,
        checks: Wanted::Served,
        act: Act::Redis(fault),
    }
}

impl Fault {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.name == name)
    }

    /// Why it cannot be shown here, if so.
    #[must_use]
    pub fn why_not(&self, scene: &Scene) -> Option<&'static str> {
        const OF_PRIVATE: &str = "only servers of the drill's own are killed, stopped or restarted";
        let private = scene.private.as_ref();
        let (is_possible, why) = match self.act {
            Act::Redis(_) => (scene.redis.is_some(), "there is no Redis behind the drill's proxy"),
            Act::KillRedis | Act::FlushRedis => (
                private.is_some_and(|private| private.redis.is_some()),
                "only a Redis of the drill's own is killed or flushed",
            ),
            Act::StaleRedis if private.is_none() => (false, OF_PRIVATE),
            Act::StaleRedis => (scene.redis.is_some(), "there is no Redis"),
            Act::Database(_) => {
                (scene.database.is_some(), "there is no database behind the drill's proxy")
            }
            Act::LockFile => {
                (private.is_some_and(Private::has_file), "the record is no file of the drill's own")
            }
            Act::KillNode | Act::PauseNode | Act::RestartNodes => (private.is_some(), OF_PRIVATE),
        };
        (!is_possible).then_some(why)
    }
}
