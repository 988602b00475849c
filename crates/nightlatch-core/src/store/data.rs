//! The port to sessions of other applications: what such a session holds, and until when.
//!
//! Nightlatch gives them no meaning: no user, no login, bytes as the application wrote them. What it
//! keeps is what it keeps of its own sessions: one that has ended never comes back, and a copy is
//! believed only as far as the feed allows.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::StoreResult;
use crate::{AsOf, Deadline, History, SessionId, Timestamp, TokenHash, Written};

/// What an application keeps in one session.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionData(Arc<[u8]>);

/// It is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{bytes} bytes of data in one session; at most {} are kept", SessionData::BYTES_MAX)]
pub struct SessionDataTooLong {
    /// So much.
    pub bytes: usize,
}

impl SessionData {
    /// The most that is kept: read with every request, it should be small; a cart fits, an upload does
    /// not.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// Data of an allowed length.
    ///
    /// # Errors
    /// [`SessionDataTooLong`].
    pub fn try_new(bytes: &[u8]) -> Result<Self, SessionDataTooLong> {
        match bytes.len() {
            0..=Self::BYTES_MAX => Ok(Self(bytes.into())),
            bytes => Err(SessionDataTooLong { bytes }),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An application may keep anything in there.
impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionData({} bytes)", self.0.len())
    }
}

/// An application's session to be created.
#[derive(Clone, Debug)]
pub struct NewApplicationSession {
    /// How the feed names it.
    pub id: SessionId,
    /// What is known of the token in the application's cookie.
    pub token: TokenHash,
    /// What it holds.
    pub data: SessionData,
    /// When it was created, in record time.
    pub created_at: Timestamp,
    /// Until when it lives, unless a later save says otherwise.
    pub expires_at: Timestamp,
}

/// What an application's session is to hold from now on: all of it.
#[derive(Clone, Debug)]
pub struct SaveData {
    /// Of which session.
    pub token: TokenHash,
    /// What it holds.
    pub data: SessionData,
    /// Now, in record time.
    pub now: Timestamp,
    /// Until when it lives.
    pub expires_at: Timestamp,
}

/// An application's session with all that a copy of it needs, read or written in one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationSession {
    /// How the feed names it.
    pub id: SessionId,
    /// What it holds.
    pub data: SessionData,
    /// Until when it lives. Of a copy this proves nothing: somebody may have saved it since.
    pub expires_at: Timestamp,
    /// The newest feed row in that statement.
    pub as_of: AsOf,
    /// Which record, and which history of it.
    pub history: History,
}

/// Sessions of other applications.
pub trait DataStore: Send + Sync {
    /// Creates a session. `None`: its token is that of another one, or was.
    fn create_data(
        &self,
        session: NewApplicationSession,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<ApplicationSession>>;

    /// The session of a token, if it has neither ended nor expired at `now`, in record time.
    fn find_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<ApplicationSession>>>;

    /// Replaces what a session holds, as a whole, and has its copies read again. Of several saves at once
    /// one is the last, for every reader alike. `None`: there is none, or it has ended or expired; it stays
    /// so.
    fn save_data(
        &self,
        save: SaveData,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ApplicationSession>>>;

    /// Ends a session, durably, and forgets what it held. `false`: there was none, or it had ended.
    fn delete_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_bounded_and_never_printed() {
        let most = vec![b'x'; SessionData::BYTES_MAX];
        let data = SessionData::try_new(&most).unwrap();
        assert_eq!(data.as_bytes(), most);
        assert_eq!(format!("{data:?}"), "SessionData(65536 bytes)");
        let error = SessionData::try_new(&[most, vec![b'x']].concat()).unwrap_err();
        assert_eq!(error.to_string(), "65537 bytes of data in one session; at most 65536 are kept");
    }
}
