//! Login for tokens: a right password becomes a session whose client has no cookie.

use std::time::Duration;

use super::Service;
use super::login::{Attempt, HashUpgrade, LoginError, Opened, session_from};
use crate::{
    AccessClaims, Client, Deadline, FoundSession, NewRefresh, NewSession, Password, RefreshToken,
    TokenHash, User,
};

/// What a login for tokens brings.
#[derive(Debug)]
pub struct TokenRequest {
    /// User name or e-mail, as typed.
    pub login: String,
    /// The password, as typed.
    pub password: Password,
    /// Where it comes from.
    pub client: Client,
    /// The id of the request.
    pub request_id: String,
}

/// What a client without cookies goes on with.
#[derive(Debug)]
pub struct TokenPair {
    /// To be signed.
    pub access: AccessClaims,
    /// To be exchanged once.
    pub refresh: RefreshToken,
}

/// What a login for tokens gives.
#[derive(Debug)]
pub struct IssuedTokens {
    /// The tokens.
    pub pair: TokenPair,
    /// A stored hash to be replaced behind the answer.
    pub upgrade: Option<HashUpgrade>,
}

impl Service {
    /// Logs in, as [`Service::login`] does, for a pair of tokens.
    ///
    /// # Errors
    /// [`LoginError`]; whoever shows [`LoginError::InvalidCredentials`] waits for
    /// [`Service::failed_login_delay`] first.
    pub async fn issue_tokens(
        &self,
        request: TokenRequest,
        deadline: Deadline,
    ) -> Result<IssuedTokens, LoginError> {
        let TokenRequest { login, password, client, request_id } = request;
        let attempt = Attempt {
            login: &login,
            password,
            client: &client,
            device: None,
            request_id: &request_id,
            group: None,
        };
        let open = |user: &User| self.new_token_session(user, client.clone());
        let Opened { found, secret, upgrade } = self.log_in(attempt, open, deadline).await?;
        Ok(IssuedTokens { pair: self.pair(&found, secret), upgrade })
    }

    /// A copy of a session for its client, and the secret to come back with.
    pub(super) fn pair(&self, found: &FoundSession, refresh: RefreshToken) -> TokenPair {
        let life = (self.now(), self.policy.access_age);
        TokenPair { access: AccessClaims::of(found, life, self.entropy()), refresh }
    }

    fn new_token_session(&self, user: &User, client: Client) -> (NewSession, RefreshToken) {
        let now = self.now();
        let age = (self.token_session_age(), true);
        let session = session_from(now, (user, client), age, self.entropy());
        let refresh = self.keys.refresh.first(session.id, self.entropy());
        let token = TokenHash::of_bearer(session.id);
        let new = NewSession {
            session,
            token,
            generation: user.generation,
            replaces: None,
            refresh: Some(NewRefresh {
                token: refresh.hash(),
                expires_at: now.after(self.policy.refresh_age),
            }),
        };
        (new, refresh)
    }

    /// How long it may go on by refreshing: as long as a session that is to be remembered, and never
    /// less than its first refresh token lives.
    fn token_session_age(&self) -> Duration {
        self.policy.remember_age.max(self.policy.refresh_age)
    }
}
