//! How many failed tries are allowed.

use nightlatch_core::Limit;

/// The limits of DESIGN's throttling section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// Failed logins per account and address prefix.
    pub login: Limit,
    /// Failed logins per address prefix.
    pub address: Limit,
    /// Failed logins per account from unknown devices.
    pub account: Limit,
    /// Registrations per address prefix.
    pub register: Limit,
    /// `DISABLE_THROTTLING`: none of them counts; start and health say so.
    pub disabled: bool,
}
