//! Revoking a refresh token: a logout of its session, by whoever has any token of it (RFC 7009).

use super::Service;
use super::logout::LogoutError;
use crate::{Deadline, RefreshCheck, TokenHash};

impl Service {
    /// Ends the session of a refresh token. `false`: it is none of ours.
    ///
    /// # Errors
    /// [`LogoutError`] when it is not known to have ended; never [`LogoutError::NoSession`].
    pub async fn revoke_refresh(
        &self,
        presented: &str,
        deadline: Deadline,
    ) -> Result<bool, LogoutError> {
        let session = match self.keys.refresh.check(presented) {
            RefreshCheck::Ours(token) => token.session(),
            // Anybody may have invented it, with the id of somebody's session.
            RefreshCheck::UnknownKey(_) | RefreshCheck::Forged => return Ok(false),
        };
        match self.logout(TokenHash::of_bearer(session), deadline).await {
            Ok(()) | Err(LogoutError::NoSession) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
