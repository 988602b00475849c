//! Revoking a refresh token: a logout of its session, by whoever has any token of it (RFC 7009).

use super::Service;
use super::logout::LogoutError;
use crate::{
    Actor, Deadline, FailureClass, Outcome, RefreshCheck, StoreError, StoreErrorKind, TokenHash,
};

impl Service {
    /// Ends the session of a refresh token. `false`: it is none of ours.
    ///
    /// # Errors
    /// [`LogoutError`] when it is not known to have ended; never [`LogoutError::NoSession`].
    pub async fn revoke_refresh(
        &self,
        presented: &str,
        by: Actor,
        deadline: Deadline,
    ) -> Result<bool, LogoutError> {
        let session = match self.keys.refresh.check(presented) {
            RefreshCheck::Ours(token) => token.session(),
            RefreshCheck::Forged => return Ok(false),
            // Anybody may have invented it, with the id of somebody's session: the record knows its hash,
            // or it ends nothing.
            RefreshCheck::UnknownKey(token) => {
                self.spend_unknown_key().map_err(|_| LogoutError::Record(too_many()))?;
                let record = &self.ports.record;
                let known = record.knows_refresh(token.session(), token.hash(), deadline).await;
                if !known.map_err(LogoutError::Record)? {
                    return Ok(false);
                }
                token.session()
            }
        };
        match self.logout(TokenHash::of_bearer(session), by, deadline).await {
            Ok(()) | Err(LogoutError::NoSession) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// As many as may be asked for have been.
fn too_many() -> StoreError {
    let (kind, class) = (StoreErrorKind::Overloaded, FailureClass::Busy);
    StoreError::new(kind, class, Outcome::NotApplied, "asking for a refresh token")
}
