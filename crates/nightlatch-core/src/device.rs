//! Device cookies: a browser that has logged in before is told from a stranger.
//!
//! An attacker who guesses at somebody's account must not lock its owner out. A browser that holds
//! our signed cookie of an earlier login of the account is counted by that cookie alone, so that
//! what strangers do does not touch it (OWASP, "Slow Down Online Guessing Attacks with Device
//! Cookies").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::key::{KeyId, Tag};
use crate::{Entropy, MacKeys, MasterKeys, UserId, entropy};

const ID_BYTES: usize = 16;
const KEY_ID_BYTES: usize = size_of::<KeyId>();
const TAG_BYTES: usize = size_of::<Tag>();

/// A browser, with the accounts that have logged in from it, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    id: [u8; ID_BYTES],
    users: Vec<UserId>,
}

impl Device {
    /// The most accounts that are remembered of one browser.
    pub const USERS_MAX: usize = 5;

    /// A browser that was not seen before.
    #[must_use]
    pub fn fresh(entropy: &dyn Entropy) -> Self {
        Self { id: entropy::fresh(entropy), users: Vec::new() }
    }

    /// What failures of this browser are counted by.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Whether the user has logged in from it.
    #[must_use]
    pub fn knows(&self, user: UserId) -> bool {
        self.users.contains(&user)
    }

    /// Notes a login.
    pub(crate) fn remember(&mut self, user: UserId) {
        self.users.retain(|known| *known != user);
        self.users.insert(0, user);
        self.users.truncate(Self::USERS_MAX);
    }
}

/// Makes and checks device cookies.
#[derive(Clone)]
pub struct DeviceCookies(MacKeys);

impl DeviceCookies {
    /// With the keys of this use.
    #[must_use]
    pub fn new(masters: &MasterKeys) -> Self {
        Self(MacKeys::derive(masters, "device-cookie"))
    }

    /// The signed cookie.
    #[must_use]
    pub fn seal(&self, device: &Device) -> String {
        let mut bytes = device.id.to_vec();
        for user in &device.users {
            bytes.extend_from_slice(user.as_uuid().as_bytes());
        }
        let (id, tag) = self.0.sign(&[&bytes]);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The device of a cookie; `None` if the cookie is not ours.
    #[must_use]
    pub fn open(&self, cookie: &str) -> Option<Device> {
        const BYTES_MAX: usize = ID_BYTES * (1 + Device::USERS_MAX) + KEY_ID_BYTES + TAG_BYTES;
        if cookie.len() > BYTES_MAX.div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (body, seal) =
            bytes.split_at_checked(bytes.len().checked_sub(KEY_ID_BYTES + TAG_BYTES)?)?;
        let (key_id, tag) = seal.split_first_chunk::<KEY_ID_BYTES>()?;
        if self.0.verify(*key_id, tag, &[body]) != Some(true) {
            return None;
        }
        let (id, users) = body.split_first_chunk::<ID_BYTES>()?;
        let users = users
            .chunks_exact(16)
            .filter_map(|chunk| Uuid::from_slice(chunk).ok())
            .map(UserId::from_uuid)
            .collect();
        Some(Device { id: *id, users })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::tests::masters;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_cookie_remembers_the_latest_accounts() {
        let cookies = DeviceCookies::new(&masters(&["k"]));
        let mut device = Device { id: [9; 16], users: Vec::new() };
        for n in 0..7 {
            device.remember(user(n));
        }
        let opened = cookies.open(&cookies.seal(&device)).expect("our own cookie");
        assert_eq!(opened, device);
        assert!(opened.knows(user(6)) && opened.knows(user(2)) && !opened.knows(user(1)));
    }

    proptest! {
        #[test]
        fn foreign_cookies_are_nothing(text in any::<String>()) {
            prop_assert_eq!(DeviceCookies::new(&masters(&["k"])).open(&text), None);
        }
    }
}
