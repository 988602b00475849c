//! Ending several sessions at once: one's other devices, all of a user, all of everybody.

use super::Service;
use crate::{Deadline, SessionEnd, SessionId, StoreError, UserId};

impl Service {
    /// Ends all sessions of a user but `current`. How many ended.
    ///
    /// # Errors
    /// The record's: nothing is told as ended that may not be.
    pub async fn revoke_others(
        &self,
        user: UserId,
        current: SessionId,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        let end = SessionEnd::OthersOf(user, current);
        self.ports.record.end_sessions(end, self.now(), deadline).await
    }

    /// Ends all sessions of a user, also those of logins that are under way.
    ///
    /// # Errors
    /// The record's: nothing is told as ended that may not be.
    pub async fn revoke_all_of(&self, user: UserId, deadline: Deadline) -> Result<u64, StoreError> {
        let end = SessionEnd::AllOf(user);
        self.ports.record.end_sessions(end, self.now(), deadline).await
    }
}
