//! Operators: their login, and whether a request is one of theirs.

use std::time::Duration;

use super::login::{Attempt, LoggedIn, LoginError, LoginRequest, Opened};
use super::{ActiveSession, CheckError, Service};
use crate::{Deadline, OPERATORS, User};

/// How long an operator's session lasts at most: what is done with it is grave, and rare.
const SESSION_MAX: Duration = Duration::from_hours(1);

impl Service {
    /// Logs in who is in the group [`OPERATORS`], and tells the cookie.
    ///
    /// # Errors
    /// [`LoginError`]; whoever shows [`LoginError::InvalidCredentials`] waits for
    /// [`Service::failed_login_delay`] first. No session begins for somebody else.
    pub async fn log_in_operator(
        &self,
        request: LoginRequest,
        deadline: Deadline,
    ) -> Result<(LoggedIn, String), LoginError> {
        let LoginRequest { login, password, client, device, request_id, .. } = request;
        let attempt = Attempt {
            login: &login,
            password,
            client: &client,
            device: device.as_ref(),
            request_id: &request_id,
            group: Some(OPERATORS),
        };
        let age = self.policy.session_age.min(SESSION_MAX);
        let open = |user: &User| {
            let (new, token) = self.new_session(user, client.clone(), (age, false));
            let hash = new.token;
            (new, (token, hash))
        };
        let Opened { found, secret, upgrade } = self.log_in(attempt, open, deadline).await?;
        let cookie = self.keys.operators.seal(&secret.0, secret.1);
        Ok((self.logged_in(device, (found.session, found.user), secret, upgrade), cookie))
    }

    /// Checks the session of an operator's cookie; `None`: it is nobody's, or not an operator's any more.
    ///
    /// # Errors
    /// As [`Service::check_session`].
    pub async fn check_operator(
        &self,
        cookie: &str,
        deadline: Deadline,
    ) -> Result<Option<ActiveSession>, CheckError> {
        let token = self.keys.operators.open(cookie, |token| self.token_hash(token));
        let Some(token) = token else { return Ok(None) };
        let active = self.check_session(token, deadline).await?;
        Ok(active.filter(|active| active.user().groups.contains(OPERATORS)))
    }
}
