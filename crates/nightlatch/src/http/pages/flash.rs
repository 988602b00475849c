//! Messages that survive one redirect.
//!
//! A cookie carries the code and never the words, so that nobody can put words into our mouth by
//! planting a cookie.

/// What the page before has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flash {
    /// A login.
    LoggedIn,
    /// A logout of this device.
    LoggedOut,
    /// A page was asked for that needs a login.
    LoginNeeded,
    /// A new account, not logged in yet.
    Registered,
    /// A password change.
    PasswordChanged,
    /// One other device was logged out.
    DeviceLoggedOut,
    /// A device was to be logged out that is no longer there.
    DeviceGone,
    /// All other devices were logged out.
    OthersLoggedOut,
    /// All devices were logged out, this one too.
    EverywhereLoggedOut,
    /// An operator ended all sessions of a user.
    UserLoggedOut,
    /// An operator disabled a user.
    UserDisabled,
    /// An operator enabled a user.
    UserEnabled,
}

impl Flash {
    const ALL: [Self; 12] = [
        Self::LoggedIn,
        Self::LoggedOut,
        Self::LoginNeeded,
        Self::Registered,
        Self::PasswordChanged,
        Self::DeviceLoggedOut,
        Self::DeviceGone,
        Self::OthersLoggedOut,
        Self::EverywhereLoggedOut,
        Self::UserLoggedOut,
        Self::UserDisabled,
        Self::UserEnabled,
    ];

    /// The code in the cookie.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::LoggedIn => "logged_in",
            Self::LoggedOut => "logged_out",
            Self::LoginNeeded => "login_needed",
            Self::Registered => "registered",
            Self::PasswordChanged => "password_changed",
            Self::DeviceLoggedOut => "device_logged_out",
            Self::DeviceGone => "device_gone",
            Self::OthersLoggedOut => "others_logged_out",
            Self::EverywhereLoggedOut => "everywhere_logged_out",
            Self::UserLoggedOut => "user_logged_out",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
        }
    }

    /// The message of a cookie; `None` if it is none of ours.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flash| flash.code() == code)
    }

    /// What the person reads.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::LoggedIn => "You are logged in.",
            Self::LoggedOut => "You are logged out.",
            Self::LoginNeeded => "Please log in to see this page.",
            Self::Registered => "Your account is ready. You can log in now.",
            Self::PasswordChanged => {
                "Your password is changed, and every other device is logged out."
            }
            Self::DeviceLoggedOut => "That device is logged out.",
            Self::DeviceGone => "That device was already logged out.",
            Self::OthersLoggedOut => "All other devices are logged out.",
            Self::EverywhereLoggedOut => "You are logged out on every device.",
            Self::UserLoggedOut => "This user is logged out on every device.",
            Self::UserDisabled => "This user is disabled, and logged out on every device.",
            Self::UserEnabled => "This user may log in again.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_as_their_message_and_nothing_else_does() {
        for flash in Flash::ALL {
            assert_eq!(Flash::parse(flash.code()), Some(flash));
        }
        assert_eq!(Flash::parse("You owe us money"), None);
        assert_eq!(Flash::parse(""), None);
    }
}
