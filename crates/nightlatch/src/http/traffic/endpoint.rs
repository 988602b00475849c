//! What a request was for, as metrics name it: few names, whatever people type behind them.

use crate::http::api::check;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Login,
    Logout,
    Register,
    Password,
    Session,
    Sessions,
    Check,
    Token,
    Refresh,
    Verify,
    Revoke,
    Page,
    Health,
    Metrics,
    Other,
}

impl Endpoint {
    /// All of them.
    pub(crate) const ALL: [Self; 15] = [
        Self::Login,
        Self::Logout,
        Self::Register,
        Self::Password,
        Self::Session,
        Self::Sessions,
        Self::Check,
        Self::Token,
        Self::Refresh,
        Self::Verify,
        Self::Revoke,
        Self::Page,
        Self::Health,
        Self::Metrics,
        Self::Other,
    ];

    /// By the route, not the path.
    pub(crate) fn of(route: &str) -> Self {
        match route {
            "/api/v1/session" => Self::Session,
            "/api/v1/auth/verify" | "/api/token/verify" => Self::Verify,
            "/api/v1/auth/refresh" | "/api/token/refresh" | "/api/auth/refresh" => Self::Refresh,
            "/api/v1/auth/login" | "/auth/login" => Self::Login,
            "/api/v1/auth/token" | "/api/token" => Self::Token,
            "/api/v1/auth/logout" | "/auth/logout" => Self::Logout,
            "/api/v1/auth/revoke" | "/api/token/blacklist" => Self::Revoke,
            "/api/v1/auth/register" | "/auth/register" => Self::Register,
            "/api/v1/auth/password" => Self::Password,
            "/api/v1/sessions" | "/api/v1/sessions/{id}" => Self::Sessions,
            check::PATH | check::PATH_WITH_MORE => Self::Check,
            "/"
            | "/auth/profile"
            | "/auth/sessions"
            | "/operator"
            | "/operator/login"
            | "/operator/logout"
            | "/operator/users/{id}" => Self::Page,
            "/health" | "/health/live" | "/health/ready" => Self::Health,
            "/metrics" => Self::Metrics,
            _ => Self::Other,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Register => "register",
            Self::Password => "password",
            Self::Session => "session",
            Self::Sessions => "sessions",
            Self::Check => "check",
            Self::Token => "token",
            Self::Refresh => "refresh",
            Self::Verify => "verify",
            Self::Revoke => "revoke",
            Self::Page => "page",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_their_order() {
        assert!((0..).zip(Endpoint::ALL).all(|(index, endpoint)| endpoint as usize == index));
    }
}
