//! What stands between a guess and its evaluation, for login and password change alike: the
//! throttle's keys, and the verification that does the same work for everybody.

use super::Service;
use crate::throttle::Account;
use crate::{
    Actor, AddressPrefix, Credentials, Deadline, Device, FailedTry, HashError, Limit, LoginName,
    Password, ThrottleKey, User, Verified,
};

/// Who a guess counts for and where it comes from.
pub(super) struct Guess<'a> {
    pub(super) name: &'a LoginName,
    pub(super) prefix: AddressPrefix,
    pub(super) device: Option<&'a Device>,
    /// Who makes it.
    pub(super) by: &'a Actor,
}

impl Guess<'_> {
    /// As the audit log tells of it, should it fail. A name that nobody has may be a password, typed
    /// into the wrong field: it stays out.
    pub(super) fn tried(&self, found: Option<&Credentials>) -> FailedTry {
        let user = found.map(|found| (found.user.id, found.user.username.clone()));
        FailedTry { user, by: self.by.clone() }
    }
}

impl Service {
    /// Which counters a guess is reserved under. A browser that has logged in to the account before
    /// counts by itself alone, so that no stranger can lock it out.
    pub(super) fn guess_limits(
        &self,
        guess: &Guess<'_>,
        found: Option<&Credentials>,
    ) -> Vec<(ThrottleKey, Limit)> {
        let Some(limits) = &self.policy.throttles else {
            return Vec::new();
        };
        let account = match found {
            Some(credentials) => Account::user(credentials.user.id),
            None => Account::nobody(guess.name.as_str()),
        };
        if let (Some(device), Some(credentials)) = (guess.device, found)
            && device.knows(credentials.user.id)
        {
            return vec![(ThrottleKey::device(&account, device.id()), limits.login)];
        }
        let mut wants = vec![
            (ThrottleKey::login(&account, guess.prefix), limits.login),
            (ThrottleKey::address(guess.prefix), limits.address),
        ];
        if !found.is_some_and(|credentials| credentials.prefix_is_known) {
            wants.push((ThrottleKey::account(&account), limits.account));
        }
        wants
    }

    /// Verifies as typed, then at most once more as NFC. Unknown, disabled and unusable accounts
    /// cost the same and are simply "no".
    pub(super) async fn verify(
        &self,
        password: &Password,
        found: Option<&Credentials>,
        deadline: Deadline,
    ) -> Result<Option<RightPassword>, HashError> {
        let hash = found.and_then(|credentials| credentials.hash.clone());
        let hasher = &self.ports.hasher;
        let mut right = password.clone();
        let mut verified = hasher.verify(right.clone(), hash.clone(), deadline).await?;
        if verified == Verified::No
            && let Some(nfc) = password.as_nfc()
        {
            right = nfc;
            verified = hasher.verify(right.clone(), hash, deadline).await?;
        }
        let enabled = found.map(|credentials| &credentials.user).filter(|user| user.enabled);
        Ok(match (verified, enabled) {
            (Verified::Yes { needs_upgrade }, Some(user)) => {
                Some(RightPassword { user: user.clone(), password: right, needs_upgrade })
            }
            (Verified::Yes { .. }, None) | (Verified::No, _) => None,
        })
    }
}

/// The proof that somebody knew a password.
pub(super) struct RightPassword {
    pub(super) user: User,
    /// In the form that verified: typed or NFC.
    pub(super) password: Password,
    pub(super) needs_upgrade: bool,
}
