//! How many failed tries are allowed.

use nightlatch_core::{Limit, LimitError};

use super::reader::Reader;
use super::setting::Form;
use super::value::{self, Wrong};

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

impl ThrottleConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            login: reader.required("THROTTLE_LOGIN", limit),
            address: reader.required("THROTTLE_ADDRESS", limit),
            account: reader.required("THROTTLE_ACCOUNT", limit),
            register: reader.required("THROTTLE_REGISTER", limit),
            disabled: disabled(reader),
        }
    }
}

fn disabled(reader: &mut Reader) -> bool {
    let disabled = reader.required("DISABLE_THROTTLING", value::switch);
    if disabled {
        let why = "nothing limits how often passwords are tried";
        reader.remark("DISABLE_THROTTLING", Wrong::new(why).better("off"));
    }
    disabled
}

fn limit(text: &str, _: Form) -> Result<Limit, Wrong> {
    text.parse().map_err(|error: LimitError| Wrong::new(format!("cannot be read: {error}")))
}
