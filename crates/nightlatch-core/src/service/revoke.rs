//! Ending sessions without their token: one by its id, one's other devices, all of a user, all of
//! everybody.

use super::Service;
use crate::{Actor, Deadline, SessionEnd, SessionId, StoreError, UserId};

impl Service {
    /// Ends all sessions of a user but `current`. How many ended.
    ///
    /// # Errors
    /// The record's: nothing is told as ended that may not be.
    pub async fn revoke_others(
        &self,
        user: UserId,
        current: SessionId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        let end = SessionEnd::OthersOf(user, current);
        self.end_sessions(end, by, deadline).await
    }

    /// Ends all sessions of a user, also those of logins that are under way.
    ///
    /// # Errors
    /// The record's: nothing is told as ended that may not be.
    pub async fn revoke_all_of(
        &self,
        user: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        let end = SessionEnd::AllOf(user);
        self.end_sessions(end, by, deadline).await
    }

    /// Ends the session of an id, whosever it is; it is refused from now on even if the record has
    /// it no more. Whether it was live.
    ///
    /// # Errors
    /// The record's: nothing is told as ended that may not be.
    pub async fn revoke_session_of_anybody(
        &self,
        id: SessionId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let end = SessionEnd::One(id);
        Ok(self.end_sessions(end, by, deadline).await? > 0)
    }

    /// Ends every session of everybody. How many ended.
    ///
    /// # Errors
    /// The record's: nothing is told as ended that may not be.
    pub async fn revoke_everything(
        &self,
        by: Actor,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        self.end_sessions(SessionEnd::Everything, by, deadline).await
    }

    async fn end_sessions(
        &self,
        end: SessionEnd,
        by: Actor,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        Ok(self.ports.record.end_sessions(end, self.now(), by, deadline).await?.value)
    }
}
