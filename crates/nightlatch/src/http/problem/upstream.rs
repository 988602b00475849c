//! What is said when the auth service gives no answer that a login could rest on: to the person generic,
//! by code and status exact.

use axum::http::StatusCode;

/// In which way; the codes of the contract, without their common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// Refused, no route, or ended without an answer.
    Unreachable,
    /// Its name cannot be resolved.
    Dns,
    /// There is no safe connection.
    Tls,
    /// No connection in time.
    ConnectTimeout,
    /// No answer in time.
    ReadTimeout,
    /// It says 503.
    Unavailable,
    /// It says 429 or 408.
    Throttled,
    /// It does not take our own credentials.
    ServiceCredentials,
    /// It has no such endpoint.
    EndpointMissing,
    /// It says another 5xx.
    Error,
    /// Its answer makes no sense.
    BadResponse,
}

impl Upstream {
    /// All of them.
    pub(super) const ALL: [Self; 11] = [
        Self::Unreachable,
        Self::Dns,
        Self::Tls,
        Self::ConnectTimeout,
        Self::ReadTimeout,
        Self::Unavailable,
        Self::Throttled,
        Self::ServiceCredentials,
        Self::EndpointMissing,
        Self::Error,
        Self::BadResponse,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::Dns => "upstream_dns",
            Self::Tls => "upstream_tls",
            Self::ConnectTimeout => "upstream_connect_timeout",
            Self::ReadTimeout => "upstream_read_timeout",
            Self::Unavailable => "upstream_unavailable",
            Self::Throttled => "upstream_throttled",
            Self::ServiceCredentials => "upstream_service_credentials",
            Self::EndpointMissing => "upstream_endpoint_missing",
            Self::Error => "upstream_error",
            Self::BadResponse => "upstream_bad_response",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Unreachable | Self::Dns | Self::Unavailable | Self::Throttled => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::ConnectTimeout | Self::ReadTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Tls
            | Self::ServiceCredentials
            | Self::EndpointMissing
            | Self::Error
            | Self::BadResponse => StatusCode::BAD_GATEWAY,
        }
    }

    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Throttled => {
                "The service that checks passwords is asked too often at this moment. Try again."
            }
            Self::Unreachable
            | Self::Dns
            | Self::ConnectTimeout
            | Self::ReadTimeout
            | Self::Unavailable => {
                "The service that checks passwords does not answer at this moment. Try again."
            }
            Self::Tls
            | Self::ServiceCredentials
            | Self::EndpointMissing
            | Self::Error
            | Self::BadResponse => {
                "The service that checks passwords gave no answer that we could use. Try again, or tell the operator the request id."
            }
        }
    }

    pub(super) const fn suggestions(self) -> &'static [&'static str] {
        match self {
            Self::Unreachable => &[
                "Check that the auth service runs, and host and port in AUTH_SERVICE_URL.",
                "Look at /health: auth_service names the class of the failure.",
            ],
            Self::Dns => &["Check the host name in AUTH_SERVICE_URL."],
            Self::Tls => &[
                "Name the certificate authority of the auth service in AUTH_SERVICE_CA_FILE.",
                "Use the host name in AUTH_SERVICE_URL that its certificate is for.",
            ],
            Self::ConnectTimeout => &[
                "Check host and port in AUTH_SERVICE_URL, and what stands in between: nothing refuses the connection.",
                "AUTH_SERVICE_CONNECT_TIMEOUT is how long it may take.",
            ],
            Self::ReadTimeout => &[
                "Look at how long the auth service takes for a login.",
                "AUTH_SERVICE_READ_TIMEOUT and AUTH_SERVICE_DEADLINE are how long it may take.",
            ],
            Self::Unavailable => {
                &["See the log of the auth service: it says that it is not available."]
            }
            Self::Throttled => &["Raise the limits of the auth service for SERVICE_ID."],
            Self::ServiceCredentials => &[
                "Check SERVICE_ID and SERVICE_SECRET: the auth service must know them.",
                "`nightlatch config` says whether they are set, and from where.",
            ],
            Self::EndpointMissing => &[
                "Check AUTH_SERVICE_LOGIN_PATH, and the path in AUTH_SERVICE_URL that goes before it.",
            ],
            Self::Error => &["See the log of the auth service: it says that it has failed."],
            Self::BadResponse => &[
                "Compare its answer with docs/delegated-login.md.",
                "AUTH_SERVICE_FIELD_SUBJECT names the member that holds the user's id.",
            ],
        }
    }
}
