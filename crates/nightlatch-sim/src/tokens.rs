//! Access tokens of the simulation: claims under a number.
//!
//! Nobody here forges one, and what a signature is worth is tested where it is made. What counts here
//! is what becomes of a token that is ours.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nightlatch_core::{
    AccessCheck, AccessClaims, AccessTokens, BoxFuture, Deadline, NoSigningKey, StoreError,
};

/// Those of all nodes, by their numbers.
#[derive(Default)]
pub(crate) struct PlainTokens(Mutex<Vec<AccessClaims>>);

impl PlainTokens {
    fn claims(&self) -> MutexGuard<'_, Vec<AccessClaims>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessTokens for PlainTokens {
    fn sign(&self, claims: &AccessClaims) -> Result<String, NoSigningKey> {
        let mut all = self.claims();
        all.push(*claims);
        Ok((all.len() - 1).to_string())
    }

    fn check(&self, presented: &str) -> AccessCheck {
        let number: Option<usize> = presented.parse().ok();
        let claims = number.and_then(|number| self.claims().get(number).copied());
        claims.map_or(AccessCheck::Forged, AccessCheck::Ours)
    }

    fn learn_keys(&self, _deadline: Deadline) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}
