//! Passwords without the work: hashing takes some milliseconds of simulated time and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{
    BoxFuture, Deadline, HashError, NewPassword, Password, PasswordAssessor, PasswordHash,
    PasswordHasher, Verified, Weakness,
};

use crate::entropy::Rng;

/// The longest that hashing takes, in milliseconds: long enough for others to come in between.
const HASHING_MILLIS_MAX: usize = 60;

/// A hasher and assessor.
pub(crate) struct PlainHasher(Mutex<Rng>);

impl PlainHasher {
    pub(crate) const fn new(rng: Rng) -> Self {
        Self(Mutex::new(rng))
    }

    async fn work(&self) {
        let span = {
            let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            rng.millis(0, HASHING_MILLIS_MAX)
        };
        tokio::time::sleep(span).await;
    }
}

/// What is stored of a password.
pub(crate) fn stored(password: &str) -> PasswordHash {
    PasswordHash::from_stored(format!("plain${password}"))
}

impl PasswordHasher for PlainHasher {
    fn hash(
        &self,
        password: Password,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<PasswordHash, HashError>> {
        Box::pin(async move {
            self.work().await;
            Ok(stored(password.expose()))
        })
    }

    fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Verified, HashError>> {
        Box::pin(async move {
            self.work().await;
            let is_it = hash == Some(stored(password.expose()));
            Ok(if is_it { Verified::Yes { needs_upgrade: false } } else { Verified::No })
        })
    }

    fn failed_login_span(&self) -> Duration {
        Duration::from_millis(50)
    }
}

impl PasswordAssessor for PlainHasher {
    fn assess(
        &self,
        _candidate: NewPassword,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Option<Weakness>, HashError>> {
        Box::pin(async { Ok(None) })
    }
}
