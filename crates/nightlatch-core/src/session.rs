//! Sessions: an acknowledged login, valid until it expires or is revoked.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::{Entropy, Generation, Timestamp, TokenHash, UserId, entropy};

/// Identifies a session in lists and logs. Not the token: knowing it opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new id, sorted by time.
    #[must_use]
    pub fn fresh(entropy: &dyn Entropy, now: Timestamp) -> Self {
        Self(entropy::fresh_id(entropy, now))
    }

    /// From a stored or received value.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// For storing.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a request came from, for the device list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address, as far as trusted proxies tell it.
    pub address: IpAddr,
    /// Its user agent in words, such as "Firefox on Linux".
    pub user_agent: String,
}

impl Client {
    /// The longest user agent in words, in bytes.
    pub const USER_AGENT_BYTES_MAX: usize = 64;
}

/// A session as the record holds it. Whether it has ended is not part of it: the record gives out
/// only sessions that are neither revoked nor of an older credential generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The handle in lists and logs.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, as far as written.
    pub last_seen_at: Timestamp,
    /// Absolute timeout.
    pub expires_at: Timestamp,
    /// Whether the person asked to be remembered.
    pub remember: bool,
    /// Where it was created from.
    pub client: Client,
}

/// Whether a session that the record gave out is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionVerdict {
    /// It is.
    Active,
    /// Its absolute timeout has passed.
    Expired,
    /// It was not used for longer than the idle timeout.
    Idle,
}

impl Session {
    /// Judges at `now`, in record time, a session that was last used at `last_use`. `unwritten` is
    /// the time in which uses could not be written: it does not count as idle.
    #[must_use]
    pub fn verdict_at(
        &self,
        last_use: Timestamp,
        now: Timestamp,
        idle_timeout: Option<Duration>,
        unwritten: Duration,
    ) -> SessionVerdict {
        if now >= self.expires_at {
            return SessionVerdict::Expired;
        }
        match idle_timeout {
            Some(idle) if now.since(last_use).saturating_sub(unwritten) >= idle => {
                SessionVerdict::Idle
            }
            _ => SessionVerdict::Active,
        }
    }
}

/// When a session was last used, as far as the holders of one copy of it know.
#[derive(Debug)]
pub struct LastUse(AtomicI64);

impl LastUse {
    /// As it was read.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.as_micros()))
    }

    /// The latest use.
    #[must_use]
    pub fn get(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// It is used at `now`.
    pub fn raise(&self, now: Timestamp) {
        self.0.fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

impl Clone for LastUse {
    fn clone(&self) -> Self {
        Self::at(self.get())
    }
}

impl PartialEq for LastUse {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for LastUse {}

/// A session to be created, together with the credential generation it was earned at.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The row, with everything that is shown.
    pub session: Session,
    /// What the record will know of its token.
    pub token: TokenHash,
    /// The generation read together with the password hash: the insert fails if it moved.
    pub generation: Generation,
    /// A session that came with the login and ends with it.
    pub replaces: Option<TokenHash>,
    /// The first refresh token, of a session whose client has tokens instead of a cookie.
    pub refresh: Option<NewRefresh>,
}

/// A refresh token to be known to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRefresh {
    /// What the record will know of it.
    pub token: TokenHash,
    /// Until when it may be exchanged.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn timeouts_are_absolute_and_idle() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let session = Session {
            id: SessionId::from_uuid(Uuid::nil()),
            user_id: UserId::from_uuid(Uuid::nil()),
            created_at: at(0),
            last_seen_at: at(50),
            expires_at: at(100),
            remember: false,
            client: Client { address: IpAddr::from([127, 0, 0, 1]), user_agent: String::new() },
        };
        let idle = Some(Duration::from_secs(20));
        let written = Duration::ZERO;
        let verdict = |now, idle, unwritten| session.verdict_at(at(50), at(now), idle, unwritten);
        assert_eq!(verdict(69, idle, written), SessionVerdict::Active);
        assert_eq!(verdict(70, idle, written), SessionVerdict::Idle);
        assert_eq!(verdict(99, None, written), SessionVerdict::Active);
        assert_eq!(verdict(100, None, written), SessionVerdict::Expired);
        // 15 of the 20 idle seconds could not have been written.
        assert_eq!(verdict(70, idle, Duration::from_secs(15)), SessionVerdict::Active);
    }
}
